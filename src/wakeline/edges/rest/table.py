"""The table of operations: the API as one list. Routing, OpenAPI, scopes, reference, command line and tests read it."""

from __future__ import annotations

from wakeline.edges.rest import (
    apps,
    bitrix24,
    brakes,
    calls,
    credentials,
    debugging,
    device_history,
    device_import,
    devices,
    docs,
    doctor,
    events,
    explaining,
    health,
    keys,
    limits,
    master_key,
    metrics,
    notifications,
    phones,
    queue,
    routes,
    sending,
    sip_bindings,
    sip_push,
    sip_users,
    users,
    vapid,
)
from wakeline.edges.rest.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *apps.OPERATIONS,
    *debugging.OPERATIONS,
    *credentials.OPERATIONS,
    *vapid.OPERATIONS,
    *devices.OPERATIONS,
    *device_import.OPERATIONS,
    *device_history.OPERATIONS,
    *phones.OPERATIONS,
    *users.OPERATIONS,
    *limits.OPERATIONS,
    *sending.OPERATIONS,
    *notifications.OPERATIONS,
    *calls.OPERATIONS,
    *explaining.OPERATIONS,
    *doctor.OPERATIONS,
    *keys.OPERATIONS,
    *master_key.OPERATIONS,
    *routes.OPERATIONS,
    *brakes.OPERATIONS,
    *queue.OPERATIONS,
    *events.OPERATIONS,
    *bitrix24.OPERATIONS,
    *sip_push.OPERATIONS,
    *sip_users.OPERATIONS,
    *sip_bindings.OPERATIONS,
    *health.OPERATIONS,
    *metrics.OPERATIONS,
    *docs.OPERATIONS,
)

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}
"""What a client looks an operation up by: `BY_NAME["device.put"].url(app="acme-chat", device="ios-1")`."""
