"""The end of a certificate, as it is said on the day somebody asks."""

from __future__ import annotations

import pytest

from unit.wire.credential_material import NOW_MS
from wakeline.model.credential import Grade, Verdict
from wakeline.wire.credential_file.validity import aged, ends

DAY = 86_400_000
STORED = Verdict(grade=Grade.OK, notes=("A .p8 key never expires.",))
DOUBTFUL = Verdict(grade=Grade.WARNING, notes=("Not issued by Apple.",))


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (41 * DAY, "in 41 days, on 2027-01-02"),
        (DAY, "in 1 day, on 2026-11-23"),
        (DAY - 1, "within a day, on 2026-11-22"),
        (0, "less than a day ago, on 2026-11-22"),
        (-DAY, "1 day ago, on 2026-11-21"),
        (-320 * DAY, "320 days ago, on 2026-01-06"),
    ],
)
def test_the_end_is_said_in_days_and_as_a_date(left: int, said: str) -> None:
    assert ends(NOW_MS + left, NOW_MS) == said


@pytest.mark.parametrize(
    ("stored", "left", "grade", "first"),
    [
        (STORED, 30 * DAY, Grade.OK, "A .p8 key"),
        (STORED, 30 * DAY - 1, Grade.WARNING, "The certificate expires in 29 days"),
        (DOUBTFUL, 30 * DAY, Grade.WARNING, "Not issued"),
        (DOUBTFUL, DAY, Grade.WARNING, "The certificate expires in 1 day"),
        (STORED, 0, Grade.REFUSED, "The certificate expired"),
    ],
)
def test_a_stored_verdict_ages(stored: Verdict, left: int, grade: Grade, first: str) -> None:
    verdict = aged(stored, NOW_MS + left, NOW_MS)

    assert verdict.grade is grade
    assert verdict.notes[0].startswith(first)
    assert set(stored.notes) < set(verdict.notes)


def test_what_never_ends_does_not_age() -> None:
    assert aged(STORED, None, NOW_MS) is STORED
