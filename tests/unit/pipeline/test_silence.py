"""Silence, found and not found, in simulated weeks and months.

The thresholds were settled on 200 such months of more and less orderly crowds (ADR 35); these are a few of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from crowd import BEGIN, KINDS, REDMI, SAMSUNG, Crowd, Swallows
from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, WHOLE, Slice, SliceKind, Suspicion, Traits
from wakeline.pipeline.silence.doubt import Doubt
from wakeline.pipeline.silence.judge import Judge, Sent
from wakeline.pipeline.silence.tally import MOST_LEAVES, Tally

MODEL = Slice(SliceKind.MODEL, "android", "Redmi 9")


def pushes_of(crowd: Crowd, traits: Traits) -> Swallows:
    """Swallow two fifths of the pushes to each phone of a model."""
    return lambda phone: phone.traits == traits and crowd.random.random() < 0.4


def phones_of(_crowd: Crowd, traits: Traits) -> Swallows:
    """Swallow all pushes to two fifths of the phones of a model."""
    return lambda phone: phone.traits == traits and phone.fate < 0.4


def until_named(crowd: Crowd, judge: Judge, swallows: Swallows) -> tuple[Suspicion, int]:
    """Return what is suspected first, and how many pushes its phones had got."""
    sent: list[Sent] = []
    for some, found in crowd.go_on(judge, swallows):
        sent += some
        if found:
            return found[0], sum(found[0].part.holds(one.traits) for one in sent)
    raise AssertionError("nobody noticed")


def changes(life: Iterable[tuple[list[Sent], list[Suspicion]]]) -> list[Suspicion]:
    """Return all that was found, and all that ended."""
    return [change for _, found in life for change in found]


class TestAModelOfWhichTwoFifthsAreSwallowed:
    @pytest.mark.parametrize("swallowing", [pushes_of, phones_of])
    @pytest.mark.parametrize("seed", [1, 2])
    def test_is_named_within_300_pushes_to_it(self, seed: int, swallowing: object) -> None:
        crowd = Crowd(seed)
        judge = crowd.watched()
        assert callable(swallowing)

        found, sent = until_named(crowd, judge, swallowing(crowd, REDMI))

        assert found.part == MODEL
        assert sent <= 300
        assert found.rate < 0.75 * found.usual
        assert found.cause.startswith("Battery management of this maker")

    def test_is_named_once_and_its_end_is_told_when_it_is_over(self) -> None:
        crowd = Crowd(4)
        judge = crowd.watched()
        silent = changes(crowd.go_on(judge, pushes_of(crowd, REDMI), days=3))
        over = changes(crowd.go_on(judge, after=11, days=3))

        assert [change.part for change in silent] == [MODEL]
        assert [(change.part, change.noticed) for change in over] == [(MODEL, silent[0].noticed)]
        assert over[0].until is not None
        assert 0 < over[0].until - (BEGIN + 11 * 24) * HOUR < 24 * HOUR

    def test_does_not_keep_a_second_silence_from_being_seen(self) -> None:
        crowd = Crowd(5)
        judge = crowd.watched()
        first = changes(crowd.go_on(judge, pushes_of(crowd, REDMI), days=2))

        both = [pushes_of(crowd, traits) for traits in (REDMI, SAMSUNG)]
        more = changes(crowd.go_on(judge, lambda phone: any(one(phone) for one in both), after=10, days=3))

        assert [change.part for change in first] == [MODEL]
        assert [change.part for change in more] == [Slice(SliceKind.MODEL, "android", "SM-S911")]

    def test_counts_as_usual_after_a_week(self) -> None:
        crowd = Crowd(6)
        judge = crowd.watched()
        found = changes(crowd.go_on(judge, pushes_of(crowd, REDMI), days=8))

        assert [(change.part, change.lasting) for change in found] == [(MODEL, False), (MODEL, True)]
        assert (
            found[1].note
            == "Model Redmi 9 (Android): the silence has gone on for a week, and counts as usual from now on."
        )


@pytest.mark.parametrize(
    ("silent", "part"),
    [
        (lambda _traits: True, WHOLE),
        (lambda traits: traits.platform == "ios", Slice(SliceKind.PLATFORM, "ios")),
        (
            lambda traits: (traits.platform, traits.os_version) == ("android", "14"),
            Slice(SliceKind.OS_VERSION, "android", "14"),
        ),
    ],
)
def test_what_is_wider_than_a_model_is_named_as_what_it_is(silent: object, part: Slice) -> None:
    crowd = Crowd(7)
    judge = crowd.watched()
    assert callable(silent)
    is_silent = {phone.number: bool(silent(phone.traits)) for phone in crowd.phones}

    found, sent = until_named(crowd, judge, lambda phone: is_silent[phone.number] and crowd.random.random() < 0.6)

    assert found.part == part
    assert sent <= 300


class TestNormalLife:
    @pytest.mark.parametrize(("seed", "size", "daily"), [(11, 300, 500), (12, 60, 300)])
    def test_of_thirty_days_with_nights_and_weekends_is_no_silence(self, seed: int, size: int, daily: int) -> None:
        crowd = Crowd(seed, size=size, daily=daily)

        judge = crowd.watched(30)

        assert judge.suspicions == []
        assert judge.expecting.usual(WHOLE, Lane.ALERT) is not None

    def test_of_a_day_that_is_bad_for_everybody_accuses_no_part(self) -> None:
        crowd = Crowd(14)
        judge = crowd.watched()

        found = changes(crowd.go_on(judge, days=1, mood=-0.8))

        assert found == []

    def test_of_a_few_phones_that_go_off_is_no_silence_however_much_they_are_sent(self) -> None:
        crowd = Crowd(15, size=120)
        judge = crowd.watched()
        off = [phone.number for phone in crowd.phones if phone.traits == REDMI][:3]

        found = changes(crowd.go_on(judge, lambda phone: phone.number in off, days=2))
        hammered = [
            Sent((BEGIN + 240) * HOUR + number, Lane.ALERT, off[number % 3], REDMI, heard=False)
            for number in range(300)
        ]

        assert found == []
        assert judge.take(hammered)[1] == []

    def test_nothing_is_said_of_an_app_before_it_was_watched_for_most_of_a_week(self) -> None:
        crowd = Crowd(16)
        judge = crowd.watched(3)

        found = changes(crowd.go_on(judge, lambda _phone: True, after=3, days=2))

        assert found == []
        assert judge.expecting.usual(WHOLE, Lane.ALERT) is None


def test_what_is_judged_again_after_a_start_is_counted_once_and_found_once() -> None:
    crowd = Crowd(17)
    judge = crowd.watched()
    sent = [one for hour in range(BEGIN + 192, BEGIN + 216) for one in crowd.hour(hour, pushes_of(crowd, REDMI))]
    counted, found = judge.take(sent)
    after = judge.tally.sums(BEGIN + 192, BEGIN + 216)[WHOLE]
    again = Judge(1, judge.tally, found)

    recounted, refound = again.take([one for one in sent if one.at <= found[0].noticed], counting=False)

    assert after[0] == len(sent) == sum(cell[0] for cell in counted.values())
    assert [change.part for change in found] == [MODEL]
    assert (recounted, refound) == ({}, [])
    assert judge.tally.sums(BEGIN + 192, BEGIN + 216)[WHOLE] == after


def test_kinds_beyond_the_limit_count_without_their_model() -> None:
    tally = Tally()
    for number in range(MOST_LEAVES + 5):
        traits = Traits("android", "14", f"model {number}")
        tally.add(tally.leaf(Lane.ALERT, traits), BEGIN, 1, 1)

    late = tally.leaf(Lane.ALERT, Traits("android", "14", "a late one"))

    assert late == (Lane.ALERT, Traits())
    sums = tally.sums(BEGIN, BEGIN + 1)
    assert sums[WHOLE] == (MOST_LEAVES + 5, MOST_LEAVES + 5)
    assert len(sums) == MOST_LEAVES + 3


def test_rates_show_the_last_day_beside_the_week_before_and_who_is_silent() -> None:
    crowd = Crowd(18)
    judge = crowd.watched()
    for _ in crowd.go_on(judge, pushes_of(crowd, REDMI), days=1):
        pass

    rates = {one.part: one for one in judge.rates(BEGIN + 9 * 24 - 1)}

    assert next(iter(rates)) == WHOLE
    assert {kind.model for kind in KINDS} == {part.value for part in rates if part.kind is SliceKind.MODEL}
    silent, other = rates[MODEL], rates[Slice(SliceKind.MODEL, "android", "SM-S911")]
    assert silent.suspicion is not None
    assert other.suspicion is None
    assert silent.day[1] / silent.day[0] < 0.75 * silent.week[1] / silent.week[0]


def test_a_doubt_counts_the_phones_that_said_nothing() -> None:
    doubt = Doubt(0.5)
    for phone in (1, 1, 2, 3):
        doubt.add(phone, heard=phone == 3, share=0.9, spread=1.0, at=phone)

    assert (doubt.sent, doubt.heard, doubt.unheard, doubt.since) == (4, 1, 2, 1)
    assert doubt.usual == pytest.approx(3.6)


def test_hope_grows_with_what_is_confirmed() -> None:
    hope = Doubt(0.3, sign=-1)
    scores = [hope.add(phone, heard=True, share=0.9, spread=1.0, at=0) for phone in range(5)]

    assert scores == sorted(scores)
    assert hope.add(9, heard=False, share=0.9, spread=1.0, at=0) < scores[-1]
