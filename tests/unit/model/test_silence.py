from __future__ import annotations

import msgspec
import pytest

from wakeline.model.device import DeviceFacts
from wakeline.model.silence import CAUSES, HOUR, WHOLE, Slice, SliceKind, Suspicion, Traits, slices_of, traits_of

SUSPICION = Suspicion(
    app=1,
    part=Slice(SliceKind.OS_VERSION, "ios", "18"),
    since=0,
    noticed=3 * HOUR,
    sent=200,
    heard=90,
    usual=0.9,
)


@pytest.mark.parametrize(
    ("facts", "kind", "traits"),
    [
        (
            DeviceFacts(platform="Android", os_version="14.1.2", model=" Redmi  9 "),
            "fcm",
            Traits("android", "14", "Redmi 9"),
        ),
        (DeviceFacts(os_version="iOS 17.4"), "apns-voip", Traits("ios", "17", "")),
        (DeviceFacts(), "fcm", Traits("android", "", "")),
        (DeviceFacts(), "webpush", Traits("web", "", "")),
        (DeviceFacts(), "http", Traits("", "", "")),
        (DeviceFacts(os_version="Tiramisu", model="x" * 100), "", Traits("", "", "x" * 64)),
    ],
)
def test_what_is_compared_of_a_phone(facts: DeviceFacts, kind: str, traits: Traits) -> None:
    assert traits_of(facts, kind) == traits


def test_a_phone_belongs_to_slices_from_the_widest_to_the_narrowest() -> None:
    phone = Traits("android", "14", "Redmi 9")

    assert [part.words for part in slices_of(phone)] == [
        "the whole app",
        "Android",
        "Android 14",
        "model Redmi 9 (Android)",
    ]
    assert slices_of(Traits()) == (WHOLE,)
    assert all(part.holds(phone) for part in slices_of(phone))
    assert not Slice(SliceKind.OS_VERSION, "ios", "14").holds(phone)


def test_a_suspicion_says_who_how_much_less_and_why() -> None:
    assert SUSPICION.note == (
        "iOS 18: of 200 pushes in 3 hours, 45% were confirmed, usually 90%. " + CAUSES[SliceKind.OS_VERSION]
    )


def test_the_end_of_a_silence_says_how_long_it_was() -> None:
    over = msgspec.structs.replace(SUSPICION, until=HOUR * 60)

    assert over.note == "iOS 18: pushes are confirmed as usual again, after 2 days."
    assert "counts as usual" in msgspec.structs.replace(over, lasting=True).note


def test_every_kind_of_slice_has_a_likely_cause() -> None:
    assert CAUSES.keys() == set(SliceKind)
