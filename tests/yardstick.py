"""What the benches need besides Python."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def _can_build() -> bool:
    if not all(map(shutil.which, ("cc", "pkg-config", "h2load"))):
        return False
    return subprocess.run(["pkg-config", "--exists", "libnghttp2", "openssl"], check=False).returncode == 0


needs_the_yardstick = pytest.mark.skipif(
    not _can_build(), reason="BENCH CANNOT RUN: apt-get install gcc nghttp2-client libnghttp2-dev libssl-dev"
)
