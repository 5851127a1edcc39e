"""What was collected can be dealt out to workers: no two tests have one name, and each row is one (docs/adr/0025)."""

from __future__ import annotations

from collections import Counter

import pytest


def test_every_test_has_a_name_of_its_own(request: pytest.FixtureRequest) -> None:
    names = Counter(item.nodeid for item in request.session.items)

    assert [name for name, times in names.items() if times > 1] == [], "a worker would run one of them only"


def test_tests_of_real_programs_run_in_their_row(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("not in workers: `make test` has two")
    rows = {item.nodeid: mark.args[0] for item in request.session.items for mark in item.iter_markers("xdist_group")}

    assert [name for name, row in rows.items() if not name.endswith(f"@{row}")] == [], "workers would share the row"
