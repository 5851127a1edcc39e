"""`wakeline demo` holds what it promises."""

from __future__ import annotations

from pathlib import Path

from processes import document, wakeline


def test_the_demonstration_comes_out_as_it_must(tmp_path: Path) -> None:
    done = wakeline("demo", "--json", cwd=tmp_path, seconds=150)
    found = document(done)
    assert found["wrong"] == []
    assert done.returncode == 0
    assert len(found["cases"]) >= 8
    assert list(tmp_path.iterdir()) == []
