"""A fake Bitrix24 portal with its OAuth host: what an application or a webhook of a portal talks to.

Written from Bitrix24's documentation and from what its clients need, never from `wakeline.edges` or `wakeline.wire`.
One port is both hosts. They differ in the answer to `/rest/app.info` alone, which the address decides.
"""

from __future__ import annotations
