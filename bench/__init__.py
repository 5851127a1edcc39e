"""What Wakeline costs, measured against h2load in the same run: `python -m bench` (`--quick` for a smoke).

Each figure is one module with a `measure` function that returns a `Figure`. Machines and their moods differ by factors;
therefore every figure is a ratio to an anchor that ran interleaved with it, against the same server, in the same minute.
"""

from __future__ import annotations
