"""The yardstick itself: the bench's server counts what was sent, whoever sent it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import engine, installed_peers, machine, payload
from bench.h2load import Load
from bench.server import serving

from yardstick import needs_the_yardstick

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


@needs_the_yardstick
def test_every_request_of_every_program_is_counted_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(engine.__file__).parent.parent)
    here = machine.look()

    figure = engine.measure(here, tmp_path, [], rounds=1, requests=3_100, paced=100)

    assert figure.programs() == [engine.OURS, engine.ANCHOR, engine.REPEATED]
    assert [run.server_saw for run in figure.runs] == [3_100] * 3
    assert figure.complete
    for program in figure.programs():
        assert 0 < figure.also(engine.P50, program) <= figure.also(engine.P99, program)
        assert figure.also(engine.PEAK, program) > 1


@needs_the_yardstick
@pytest.mark.parametrize("kind", installed_peers.KINDS, ids=lambda kind: kind.folder)
def test_an_installed_peer_pushes_what_it_is_told(
    kind: installed_peers.Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(engine.__file__).parent.parent)
    peers = installed_peers.look(installed_peers.cache()).named(kind.folder)
    if not peers:
        pytest.skip(f"{kind.name} IS NOT INSTALLED: bench/peers/install.sh {kind.folder}")
    core = machine.look().client_core

    with serving(tmp_path, core) as server:
        peers[0].send(server, tmp_path, core, 300)
        fast = server.counts()
        paced = peers[0].send(server, tmp_path, core, 40, 400.0)
        both = server.counts()

    # Go's client dials for each request that finds no connection yet, and goes on with the one that is first.
    assert (fast.requests, fast.connections <= 30) == (300, True)
    assert both.requests == 340
    assert len([int(line) for line in paced.output.split()]) == 40
    assert len(payload.BODY) <= fast.body_bytes / fast.requests <= len(payload.BODY) + 20


@needs_the_yardstick
def test_a_round_trip_holds_back_every_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(engine.__file__).parent.parent)
    core = machine.look().client_core

    with serving(tmp_path, core, max_streams=50, delay_ms=40) as server:
        sent = engine.ours(server, tmp_path, core, 250, Load(in_flight=250))
        seen = server.counts()

    # 50 streams carry 250 requests in five turns of 40 ms at least.
    assert seen.requests == 250
    assert sent.wall_seconds >= 0.2
