"""The REST methods, by family; each module has its `METHODS`."""

from __future__ import annotations
