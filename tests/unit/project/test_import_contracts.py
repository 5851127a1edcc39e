"""The import contracts of pyproject.toml hold, and they bite: violations planted in a copy are caught."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINT = Path(sys.executable).with_name("lint-imports")

STRANGER = "utils/__init__.py"
"""A package that no contract names: the layers are exhaustive."""

PLANTED = [
    ("model/app.py", "import wakeline.config"),
    ("model/app.py", "import asyncio"),
    ("wire/__init__.py", "import socket"),
    ("wire/__init__.py", "import time"),
    ("wire/__init__.py", "import wakeline.ports"),
    ("config/__init__.py", "import wakeline.ports"),
    ("ports/__init__.py", "import wakeline.observe"),
    ("observe/__init__.py", "import wakeline.transport"),
    ("transport/__init__.py", "import wakeline.storage"),
    ("storage/__init__.py", "import wakeline.pipeline"),
    ("providers/__init__.py", "import wakeline.storage"),
    ("providers/fcm.py", "import wakeline.providers.apns"),
    ("pipeline/__init__.py", "import wakeline.providers"),
    ("pipeline/__init__.py", "import wakeline.transport"),
    ("doctor/__init__.py", "import wakeline.edges"),
    ("edges/__init__.py", "import wakeline.storage"),
    ("edges/__init__.py", "import wakeline.providers"),
    ("service/__init__.py", "import wakeline.cli"),
    ("simulator/__init__.py", "import wakeline.wire"),
    ("cli/__init__.py", "import wakeline.storage"),
    (STRANGER, ""),
]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--config", str(root / "pyproject.toml"), "--no-cache"]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_house_keeps_its_contracts(copy: Path) -> None:
    result = lint(copy)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("path", "line"), PLANTED, ids=[f"{path}: {line}" for path, line in PLANTED])
def test_a_planted_violation_is_caught(copy: Path, path: str, line: str) -> None:
    file = copy / "src" / "wakeline" / path
    if path == STRANGER:
        file.parent.mkdir()
    before = "" if path == STRANGER else file.read_text()
    file.write_text(f"{before}\n{line}\n")
    try:
        result = lint(copy)
    finally:
        if path == STRANGER:
            shutil.rmtree(file.parent)
        else:
            file.write_text(before)

    assert result.returncode != 0, "the violation was not seen"
    assert "BROKEN" in result.stdout
