"""What operators see: logs, metrics and health. Nothing here knows how a push is made; it is told, and it shows.

Rule: names are enums (`names`), since dashboards and alerts depend on them; no token, key or message text passes.
"""

from __future__ import annotations
