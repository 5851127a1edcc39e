from __future__ import annotations

from pathlib import Path

import pytest

from wakeline.model.errors import StoreUnavailable
from wakeline.storage.sqlite.lock import NAME, OwnerLock


def test_a_lock_that_cannot_be_opened_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()

    with pytest.raises(StoreUnavailable, match=NAME) as caught:
        OwnerLock(tmp_path).take()

    assert "data directory" in caught.value.fix
    assert caught.value.exit_code == 5


def test_a_link_in_the_place_of_the_lock_empties_no_file(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / NAME).symlink_to(precious)

    with pytest.raises(StoreUnavailable):
        OwnerLock(tmp_path).take()

    assert precious.read_text() == "kept"
