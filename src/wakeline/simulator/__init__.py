"""Fake push services that real clients cannot tell from the real ones, scriptable from outside.

Written from the vendors' rules and from what real clients need, never from `wakeline.wire`: what this package and
that one agree on, two readings of the rules agree on.

    async with Simulator(state_dir=directory) as simulator:
        simulator.ports.apns, simulator.ports.fcm, simulator.ports.control, simulator.ca_file
"""

from __future__ import annotations

from wakeline.simulator.simulator import Ports, Simulator, run

__all__ = ["Ports", "Simulator", "run"]
