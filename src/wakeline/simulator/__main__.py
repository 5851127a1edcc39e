"""`python -m wakeline.simulator`: the same as `wakeline simulate`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from wakeline.simulator.simulator import run


def main() -> None:
    """Reads the flags of `wakeline simulate` and runs until stopped."""
    parser = argparse.ArgumentParser(prog="python -m wakeline.simulator", description=__doc__)
    parser.add_argument("--apns-port", type=int, default=0)
    parser.add_argument("--apns-sandbox-port", type=int, default=None)
    parser.add_argument("--fcm-port", type=int, default=0)
    parser.add_argument("--portal-port", type=int, default=None)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--state-dir", type=Path, default=None)
    asyncio.run(run(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
