"""Every method of the portal by its name: what the door, batch and `methods` read."""

from __future__ import annotations

from wakeline.edges.bitrix24.call import Method
from wakeline.edges.bitrix24.methods import basic, crm, tasks

METHODS: tuple[Method, ...] = (*basic.METHODS, *crm.METHODS, *tasks.METHODS)

BY_NAME = {method.name: method for method in METHODS}
