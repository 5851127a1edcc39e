"""The process: construction of all parts (`wiring`), start and stop (`lifecycle`), listeners, signals, reload.

Rule: `wiring` is the only place that constructs storage, providers and transport; everything else meets them as ports.
"""

from __future__ import annotations
