"""Asking hosts whether they answer: some at a time, each once, and never for longer than a check may take."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from wakeline.model.errors import TransportError
from wakeline.ports.probe import Probe

AT_ONCE = 16
PATIENCE = 4.5
"""Seconds in which all hosts are asked: less than a check may take, so that what answered is told."""

Reached = str | TransportError
"""The address at which a host answered, or why it did not."""


async def reach(probe: Probe, hosts: Collection[str]) -> dict[str, Reached]:
    """Return what came of asking hosts; those for which there was no time are not in it."""
    answers: dict[str, Reached] = {}
    some = asyncio.Semaphore(AT_ONCE)

    async def ask(host: str) -> None:
        async with some:
            try:
                answers[host] = await probe.https(host)
            except TransportError as error:
                answers[host] = error

    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as asking:
            for host in hosts:
                asking.create_task(ask(host))
    return answers
