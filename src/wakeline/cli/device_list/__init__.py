"""A list of devices from another push server, read row by row.

`reading`: bytes into rows of cells, whatever is wrong with some, `sql_dump`: the same of a dump of a Bitrix24 portal;
`columns`: cells into what the API takes, `portal`: those of such a portal; `progress`: how far an import came, and the rows
that were kept aside; `kind`: what all of them have in common.
"""

from __future__ import annotations
