"""The cost model: its simulation obeys the laws that it must, stays near what was measured, and made the page that is kept."""

from __future__ import annotations

from pathlib import Path

import bench
import msgspec
import pytest
from bench import report
from bench.report import Report
from bench.scale import day, measured, one, page, proof, ramping, words
from bench.scale.around import Far, Work
from bench.scale.measured import Measured, Point, Round
from bench.scale.node import Done, Node

REPORT = Path(bench.__file__).parent / "report.json"
PUSH = 0.00001


@pytest.fixture(scope="module")
def kept() -> Report:
    return report.read(REPORT)


@pytest.fixture(scope="module")
def found(kept: Report) -> Measured:
    return measured.of(kept)


def run(work: Work, commit: float = 0.001, **far: float) -> Done:
    return Node(msgspec.structs.replace(Far(), **far), work, commit=commit).run()


def broadcast(devices: int, cost: float = PUSH, connected: int = 1, **far: float) -> Done:
    return run(Work(broadcast=devices, broadcast_cost=cost, connected=connected), **far)


# --- what is kept


def test_the_page_that_is_kept_is_made_from_the_report_that_is_kept(
    kept: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m bench.scale --write` makes it anew."""
    text, blank = page.PAGE.read_text(encoding="utf-8"), tmp_path / "scale.md"
    blank.write_text(page.fill(text, dict.fromkeys(page.TABLES, "")), encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", blank)

    assert page.write(kept).read_text(encoding="utf-8") == text


def test_the_simulation_takes_about_as_long_as_what_was_measured(found: Measured) -> None:
    """A report that breaks this was measured beside other work, or the gateway's ways changed and `node` has to follow."""
    judged = {each.point.figure: each for each in proof.broadcasts(found)}

    assert set(judged) == {"fanout", "fanout-50ms", "fanout-100ms"}
    for name, each in judged.items():
        assert each.least <= each.error <= proof.SLOW, f"{name}: {each.error:+.0%}"


def test_a_round_finds_the_connections_of_the_round_before(found: Measured) -> None:
    cold = Point("far", 45_000, 100.0, (Round(1.0, 0.1),))
    warm = Point("far", 45_000, 100.0, (Round(1.0, 0.1),) * 3)

    first, more = (
        proof.broadcasts(msgspec.structs.replace(found, points=(point,)))[0].simulated for point in (cold, warm)
    )
    assert more < 0.8 * first


def test_a_report_without_a_figure_is_refused_by_its_name(kept: Report) -> None:
    lacking = msgspec.structs.replace(kept, figures=[figure for figure in kept.figures if figure.key != "disk"])

    with pytest.raises(measured.Absent, match="no figure 'disk'"):
        measured.of(lacking)


def test_pushes_that_cost_twice_as_much_halve_the_rates(found: Measured) -> None:
    dear = msgspec.structs.replace(found, broadcast=2 * found.broadcast, far=2 * found.far)

    assert one.kinds(dear)[0].cost == 2 * one.kinds(found)[0].cost
    assert one.rates(dear) != one.rates(found)
    assert one.drain(dear, 200_000, Far()).drained > 1.9 * one.drain(found, 200_000, Far()).drained


# --- one node


def test_far_away_streams_by_round_trip_are_the_rate() -> None:
    for trip, connections in ((0.05, 1), (0.1, 1), (0.1, 3)):
        done = broadcast(90_000, 1e-7, connections, trip=trip, jitter=0.0, most=connections)

        assert 90_000 / done.drained == pytest.approx(connections * 900 / trip, rel=0.05)


def test_next_door_the_core_is_the_rate() -> None:
    done = broadcast(100_000)

    assert done.drained == pytest.approx(100_000 * PUSH, rel=0.05)
    assert done.busy == pytest.approx(100_000 * PUSH)


def test_a_small_window_is_the_rate_of_a_connection_and_brings_more_of_them() -> None:
    alone = broadcast(10_000, 1e-7, window=65_535, body=655, trip=0.1, jitter=0.0, most=1)
    done = broadcast(10_000, 1e-7, window=65_535, body=655, trip=0.1, jitter=0.0)

    assert 10_000 / alone.drained == pytest.approx(100 / 0.1, rel=0.05)
    assert done.connections == Far().most
    assert done.drained < alone.drained / 2


def test_connections_are_added_one_by_one_while_all_are_full() -> None:
    made = [
        broadcast(devices, connected=0, trip=0.1, jitter=0.0).connections for devices in (500, 5_000, 12_000, 200_000)
    ]

    assert made[0] == 1
    assert made == sorted(made)
    assert made[1] < made[-1] == Far().most


def test_a_new_connection_is_trusted_after_its_first_answer() -> None:
    cold, warm = (broadcast(1, connected=up, trip=0.1, jitter=0.0) for up in (0, 1))

    assert cold.drained - warm.drained == pytest.approx(3 * 0.1, abs=0.01)
    assert broadcast(2, connected=0, trip=0.1, jitter=0.0).drained > cold.drained + 0.09


def test_calls_do_not_wait_for_the_broadcast() -> None:
    done = run(Work(broadcast=200_000, broadcast_cost=PUSH, calls=50, single_cost=0.0002, seconds=1.0, connected=1))

    assert len(done.calls) == 50
    assert done.drained > 2.0
    assert max(done.calls) < 0.05


def test_who_comes_during_a_commit_shares_the_next_one() -> None:
    work = Work(singles=1000, single_cost=PUSH, seconds=2.0, connected=1)
    slow, fast = run(work, 0.01), run(work, 0.0001)

    assert len(slow.singles) == len(fast.singles)
    assert slow.commits <= 2.1 / 0.01
    assert fast.commits > 5 * slow.commits
    assert proof.middle(slow.singles) > 0.01


def test_everything_that_came_is_sent_once() -> None:
    done = run(
        Work(broadcast=5_000, broadcast_cost=PUSH, singles=500, calls=20, single_cost=0.0002, seconds=2.0), trip=0.05
    )

    assert done.sent == 5_000 + len(done.singles) + len(done.calls)
    assert len(done.calls) == 40
    assert len(done.singles) == pytest.approx(1000, rel=0.15)


def test_the_same_seed_lives_the_same() -> None:
    work = Work(broadcast=5_000, broadcast_cost=PUSH, singles=500, single_cost=PUSH, seconds=0.2)

    assert Node(Far(trip=0.05), work).run() == Node(Far(trip=0.05), work).run()
    assert Node(Far(trip=0.05), work).run() != Node(Far(trip=0.05), work, seed=2).run()


# --- many nodes, and days


def test_no_minute_takes_more_than_the_quota_and_nothing_is_lost() -> None:
    for nodes in (1, 10):
        ramped = ramping.broadcast(nodes, 2_000_000, rate=1e6)

        assert ramped.accepted == 2_000_000
        assert ramped.most_a_minute <= 600_000
        assert ramped.seconds > 120


def test_nodes_that_ramp_apart_are_refused_more_often() -> None:
    alone, together = (ramping.broadcast(nodes, 2_000_000, rate=1e6) for nodes in (1, 10))

    assert together.refused > alone.refused > 0
    assert ramping.broadcast(1, 2_000_000, rate=1e6, quota=10**9).refused == 0


def test_a_quiet_day_has_no_queue_and_a_busy_one_works_it_off() -> None:
    quiet, busy = day.live(100, 0.001), day.live(600, 0.001)

    assert (quiet.waiting, quiet.late) == (0, 0)
    assert busy.waiting > 10_000
    assert busy.wait > 10


def test_a_broadcast_moves_though_alerts_fill_the_core() -> None:
    moved = day.live(500, 0.001, broadcast=10_000, broadcast_cost=0.001)

    assert moved.broadcast is not None
    assert 10 / 1.0 <= moved.broadcast <= 10 / 0.05 + day.STEP


def test_the_rhythm_has_the_mean_one() -> None:
    busy = [day.rhythm(second) for second in range(0, day.DAY, day.STEP)]

    assert sum(busy) / len(busy) == pytest.approx(1.0)
    assert day.NOON <= busy.index(day.busiest()) * day.STEP < 13 * 3600


# --- the page


def test_a_table_needs_its_place_and_a_place_its_table() -> None:
    text = "Before.\n<!-- made: a -->\nold\n<!-- end -->\nAfter.\n"

    assert page.fill(text, {"a": "new"}) == "Before.\n<!-- made: a -->\nnew\n<!-- end -->\nAfter.\n"
    with pytest.raises(ValueError, match="places for"):
        page.fill(text, {"a": "new", "b": "other"})
    with pytest.raises(ValueError, match="places for"):
        page.fill(text, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,230,000"), (58_849, "58,800"), (999.6, "1,000"), (12.04, "12"), (0.0456, "0.0456")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert words.number(value) == text


def test_times_and_bytes_have_the_unit_that_fits() -> None:
    assert [words.span(value) for value in (0.0145, 1.5, 150, 100_000, 1_000_000)] == [
        "14.5 ms",
        "1.5 s",
        "2.5 min",
        "27.8 h",
        "11.6 days",
    ]
    assert [words.size(value) for value in (16.4, 4_120, 1.12e14)] == ["16.4 B", "4.12 kB", "112 TB"]
