"""The end of a command: what the interpreter does after the work is done."""

from __future__ import annotations

import subprocess
import sys

_WATCHED = """
import atexit, gc, sys
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 0))
sys.argv = ["wakeline", "--version"]
from wakeline.cli import main
main()
"""


def test_struct_types_are_left_alone_by_the_last_collection() -> None:
    done = subprocess.run([sys.executable, "-c", _WATCHED], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "frozen True"
