"""The doctor: a table of checks, looked at side by side. A check that hangs or fails is a line like any other.

Some look at the installation, some at apps: whoever may see some apps and no more is shown the lines of these.
"""

from __future__ import annotations

import asyncio

import structlog

from wakeline.doctor import (
    answers,
    backups,
    connected_portals,
    content,
    credentials,
    debugging,
    fallen,
    limits,
    listeners,
    machine,
    portal_keys,
    registered,
    services,
    silence,
    waiting,
    webhooks,
)
from wakeline.doctor.checking import DoctorPorts, Look, failed
from wakeline.model.errors import WakelineError
from wakeline.observe.health import Check

PATIENCE = 5.0
"""Seconds that a check may take: no operator waits longer for all of them together, since they look side by side."""

Table = tuple[tuple[str, Look], ...]
"""Checks, each with the name under which it fails if it cannot look."""

OF_INSTALLATION: Table = (
    ("disk", machine.disk),
    ("write-ahead log", machine.write_ahead),
    ("backup", backups.look),
    ("clock", machine.clock),
    ("public_url", machine.public_url),
    ("certificates", listeners.certificates),
    ("push service", portal_keys.look),
    ("connected portal", connected_portals.look),
    ("webhooks", webhooks.of_installation),
)

OF_APPS: Table = (
    ("apps", waiting.apps),
    ("routes", waiting.routes),
    ("waiting", waiting.queue),
    ("credentials", credentials.look),
    ("push services", services.look),
    ("devices", registered.look),
    ("fallen tokens", fallen.look),
    ("contents", content.look),
    ("answers", answers.look),
    ("limits", limits.look),
    ("debug windows", debugging.look),
    ("silence", silence.look),
    ("webhooks of apps", webhooks.of_apps),
)
"""Their lines are about the apps that are asked for, and about nothing else."""

CHECKS: Table = OF_INSTALLATION + OF_APPS

_log = structlog.get_logger()


async def examine(ports: DoctorPorts, checks: Table = CHECKS) -> list[Check]:
    """Return the lines of all checks, in the order of the table."""
    found = await asyncio.gather(*(_one(name, look, ports) for name, look in checks))
    return [check for lines in found for check in lines]


async def _one(name: str, look: Look, ports: DoctorPorts) -> list[Check]:
    try:
        async with asyncio.timeout(PATIENCE):
            return [*await look(ports)]
    except TimeoutError:
        return [failed(name, f"This check did not end within {PATIENCE:g} s.", "Look at the network, and at the log.")]
    except WakelineError as error:
        return [failed(name, error.detail, error.fix)]
    except Exception:  # noqa: BLE001 - a defect in one check must not hide what the others found
        _log.exception("doctor.defect", check=name)
        return [
            failed(name, "This check failed inside the gateway.", "Look at the log for doctor.defect, and report it.")
        ]
