"""A list of devices from another push server, read row by row.

`reading`: bytes into rows of cells, whatever is wrong with some; `columns`: cells into what the API takes; `progress`: how far
an import came, and the rows that were kept aside.
"""

from __future__ import annotations
