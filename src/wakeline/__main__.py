"""`python -m wakeline`: the same as `wakeline`."""

from __future__ import annotations

from wakeline.cli import main

if __name__ == "__main__":
    main()
