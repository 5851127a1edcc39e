"""What is asked of phones, and what is spoken to in order to ask them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wakeline.config import Sip
from wakeline.edges.sip.bucket import Bucket
from wakeline.edges.sip.dialog_routes import DialogRoutes
from wakeline.edges.sip.life import Life
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.waking import Wakes
from wakeline.ports import Clock
from wakeline.wire.flexisip.payloads import Occasion
from wakeline.wire.sip.message import Request


class ForkPorts(msgspec.Struct, kw_only=True):
    """What forks speak to."""

    layer: TransactionLayer
    bucket: Bucket
    wakes: Wakes
    routes: DialogRoutes
    life: Life
    clock: Clock
    settings: Callable[[], Sip]


class Asked(msgspec.Struct, kw_only=True):
    """What is asked of the phones: `request` as it goes on, but for where to. `occasion` None: nobody is woken for it.

    `mark` ends the branches, `direct`: see `DialogRoutes.record`; `patience` is how long phones may take to wake, in seconds.
    `gruu`: it is for the phone alone that has this one (RFC 5627). `caller`: who asks, or from which address.
    """

    request: Request
    aor: str
    occasion: Occasion | None
    mark: str
    direct: bool
    patience: float
    gruu: str = ""
    caller: str = ""
