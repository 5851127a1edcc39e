"""A program that keeps things in a store, says so, and is killed in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def lived(program: str, lines: int, *arguments: str) -> list[int]:
    """Let a program live until it has said so many lines, kill it, and return the turns of which it said `kept <turn>`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, env=environment, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        time.sleep(0.0007 * lines)  # the kill has to come at no particular point of a commit
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    return [int(line.split()[1]) for line in said if line.startswith("kept ") and line.endswith("\n")]
