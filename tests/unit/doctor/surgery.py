"""What the doctor looks at in a gateway of a test: a memory store, hosts that answer as told."""

from __future__ import annotations

from unit.edges.rest.gateway import Gateway
from wakeline.doctor.checking import DoctorPorts


def ports_of(gateway: Gateway) -> DoctorPorts:
    """Return the doctor's ports of a gateway."""
    store = gateway.store
    return DoctorPorts(
        clock=gateway.clock,
        settings=gateway.settings,
        apps=store.apps,
        credentials=store.credentials,
        devices=store.devices,
        routes=store.routes,
        ledger=store.ledger,
        facts=store.settings,
        queue=store.queue,
        events=store.events,
        endpoints=store.endpoints,
        keeper=store.keeper,
        portal_keys=store.portal_keys,
        installations=store.installations,
        probe=gateway.probe,
        services=gateway.probe,
        pipeline=gateway.pipeline,
    )
