"""Every method of the portal by its name: what the door, batch and `methods` read."""

from __future__ import annotations

from wakeline.edges.bitrix24.call import Method
from wakeline.edges.bitrix24.methods import (
    access,
    basic,
    crm,
    events,
    im,
    mobile,
    offline_events,
    options,
    pull,
    tasks,
    telephony,
    users,
)

METHODS: tuple[Method, ...] = (
    *access.METHODS,
    *basic.METHODS,
    *crm.METHODS,
    *events.METHODS,
    *im.METHODS,
    *mobile.METHODS,
    *offline_events.METHODS,
    *options.METHODS,
    *pull.METHODS,
    *tasks.METHODS,
    *telephony.METHODS,
    *users.METHODS,
)

BY_NAME = {method.name: method for method in METHODS}
