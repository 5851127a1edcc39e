"""Figure "import": `wakeline import devices FILE` into a gateway that runs, from CSV and from NDJSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench import gateway, pipeline
from bench.machine import cost
from bench.pipeline import Stage
from bench.report import PER, Figure, Goal, Run

UNIT = "elapsed s per 1,000,000 devices"
GOAL = Goal(value=60.0)
_MILLION = 1_000_000
_METHOD = """{rounds} rounds; a file of {devices:,} rows, a device with one user and one token each, none known before, given
to the command on one core while the gateway runs on the other; from the start of the command to its end, when all is on
disk. The command says how many devices it made, and rows kept aside are an
error. The server is the gateway here."""


class _Form(NamedTuple):
    """How a list is written; `head` is its first line, or nothing."""

    name: str
    suffix: str
    head: str
    row: Callable[[dict[str, str]], str]


FORMS = (
    _Form("CSV", "csv", "device,user,kind,token,topic\n", lambda row: ",".join(row.values()) + "\n"),
    _Form("NDJSON", "ndjson", "", lambda row: json.dumps(row) + "\n"),
)


def apps(rounds: int) -> dict[str, int]:
    """The apps that `measure` fills, empty: one a round and form."""
    return {_app(form, number): 0 for form in FORMS for number in range(1, rounds + 1)}


def measure(stage: Stage, *, rounds: int, devices: int) -> list[Figure]:
    """Import `devices` rows in each form, `rounds` times. Raises RuntimeError if one is not kept."""
    runs = _runs(stage, rounds, devices)
    return [
        Figure(
            key=f"import-{form.suffix}",
            name=f"Import of devices from {form.name}",
            goal=GOAL,
            unit=UNIT,
            payload=f"{devices:,} rows of device, user, kind, token and topic",
            durability=pipeline.DURABILITY.partition(":")[0] + ": imported means on disk",
            method=" ".join(_METHOD.format(rounds=rounds, devices=devices).split()),
            runs=runs[form.suffix],
        )
        for form in FORMS
    ]


def _runs(stage: Stage, rounds: int, devices: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {form.suffix: [] for form in FORMS}
    for number in range(1, rounds + 1):
        for form in FORMS:
            file = stage.directory / f"list-{number}.{form.suffix}"
            with file.open("w", encoding="utf-8") as out:
                out.write(form.head)
                out.writelines(form.row(row) for row in _rows(number, devices))
            runs[form.suffix].append(_run(stage, form, number, file, devices))
            file.unlink()
    return runs


def _run(stage: Stage, form: _Form, number: int, file: Path, devices: int) -> Run:
    config = str(stage.directory / "wakeline.toml")
    command = [sys.executable, "-m", "wakeline", "import", "devices", str(file), "--app", _app(form, number)]
    stage.gateway.forget_peak()
    resident, cpu = stage.gateway.resident(), stage.gateway.cpu_seconds()
    done = cost([*command, "--config", config, "--json"], stage.machine.server_core)
    told = json.loads(done.output.splitlines()[-1])
    if (told["rows"], told["rejected"]) != (devices, 0):
        raise RuntimeError(f"{devices} rows, {told}")
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=devices,
        server_saw=told["devices"],
        value=done.wall_seconds * _MILLION / devices,
        server_cpu=(stage.gateway.cpu_seconds() - cpu) * PER / devices,
        wall_seconds=done.wall_seconds,
        more={
            "CPU s of the command per 1,000,000": done.cpu_seconds * _MILLION / devices,
            "RSS peak of the command, MB": done.peak / 1e6,
            "RSS growth of the gateway, MB": (stage.gateway.peak() - resident) / 1e6,
        },
    )


def _rows(number: int, devices: int) -> Iterator[dict[str, str]]:
    for device in range(devices):
        yield {
            "device": f"device-{device:07d}",
            "user": f"user-{device:07d}",
            "kind": "apns",
            "token": gateway.token(1 << 60 | number << 40 | device),
            "topic": gateway.TOPIC,
        }


def _app(form: _Form, number: int) -> str:
    return f"import-{form.suffix}-{number}"
