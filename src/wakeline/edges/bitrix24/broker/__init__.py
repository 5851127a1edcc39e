"""The push service of self-hosted portals: what a portal posts to `/send/` or `/pub/` becomes notifications to raw tokens.

    door       the ASGI application: key, form or JSON, answer
    pushes     an entry -> the notification that sends it as it is
    taking     entries of one key -> one commit -> what became of each
    sources    from where a key is used, and `portal.moved`
    results    what is answered: XML to the portal's form, JSON to JSON

The bytes are `wire.bitrix_broker`'s affair; what the push services say later is kept with the tokens, as with any other push.
"""

from __future__ import annotations

from wakeline.edges.bitrix24.broker.door import Broker
from wakeline.edges.bitrix24.broker.ports import BrokerPorts

__all__ = ["Broker", "BrokerPorts"]
