"""What `make test` installs: one package or one moment of a mirror that fails keeps nothing else away, and is said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "system-packages.sh"
_TOOLS = ("sh", "sed", "ls", "tail", "mktemp", "rm", "cat")
_APT = """#!/bin/sh
for word; do case $word in update | install) command=$word ;; esac; done
echo "$*" >> {directory}/asked
case $command,$*,$(cat {directory}/updated 2>/dev/null) in
update,*) echo yes > {directory}/updated ;;
*sipsak*) echo "E: no sipsak is to be had" >&2; exit 100 ;;
*,yes) ;;
*) echo "E: the lists are old" >&2; exit 100 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory of programs: those that the script needs, root, and an apt-get whose lists are old and without sipsak."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in _TOOLS:
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    for name, text in {"id": "#!/bin/sh\necho 0\n", "apt-get": _APT.format(directory=tmp_path)}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return programs


def run(machine: Path, **variables: str) -> str:
    sh = str(machine / "sh")
    done = subprocess.run(
        [sh, str(SCRIPT)], env={"PATH": str(machine)} | variables, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_old_lists_are_fetched_and_what_cannot_be_had_keeps_nothing_else_away(machine: Path) -> None:
    said = run(machine)

    asked = (machine.parent / "asked").read_text().splitlines()
    ways = [[word for word in line.split() if word in {"update", "sipsak", "sip-tester"}] for line in asked]
    both = ["sip-tester", "sipsak"]
    assert ways[:3] == [both, ["update"], both]
    assert [way for way in ways[3:] if way] == [["sip-tester"], ["sipsak"]]
    assert "sipsak could not be installed:\nE: no sipsak is to be had" in said
    assert said.count("could not be installed") == 1
    assert "WILL BE SKIPPED" in said


def test_nothing_is_installed_where_that_is_forbidden(machine: Path) -> None:
    said = run(machine, NO_APT="1")

    assert not (machine.parent / "asked").exists()
    assert "MISSING" in said
