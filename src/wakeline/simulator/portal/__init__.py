"""A fake Bitrix24 portal with its OAuth host: what an application or a webhook of a portal talks to.

Written from Bitrix24's documentation and from what its clients need, never from `wakeline.edges` or `wakeline.wire`.
One port is both hosts, as in Bitrix24's cloud every path but `/rest/app.info` differs: the address decides that one.
"""

from __future__ import annotations
