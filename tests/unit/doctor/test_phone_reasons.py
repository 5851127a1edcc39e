"""What a phone may do with an accepted push: told by it, excluded by it, and never that of another system."""

from __future__ import annotations

import pytest

from wakeline.doctor.phone_reasons import REASONS, System, ask_phone, every, possible, system_of, unused
from wakeline.model.device import Device, DeviceFacts, Target, TargetKind
from wakeline.model.notification import PushType

DAY = 86_400_000
NOW = 1_800_000_000_000
SAYS_NOTHING = DeviceFacts()
ALL_WELL = DeviceFacts(notifications_enabled=True, background_refresh=True, low_power=False, battery_restricted=False)


def phone(facts: DeviceFacts = SAYS_NOTHING, *, seen: int = NOW, device_id: str = "phone") -> Device:
    return Device(id=1, app=1, device_id=device_id, users=("alice",), facts=facts, seen=seen)


@pytest.mark.parametrize(
    ("kind", "platform", "system"),
    [
        ("apns", "", System.APPLE),
        ("apns-voip", "", System.APPLE),
        ("fcm", "", System.ANDROID),
        ("fcm", "iOS", System.APPLE),
        ("fcm", "Android 15", System.ANDROID),
        ("webpush", "", System.BROWSER),
        ("http", "", System.OTHER),
        ("something new", "", System.OTHER),
    ],
)
def test_a_device_follows_the_rules_of_its_system(kind: str, platform: str, system: System) -> None:
    assert system_of(phone(DeviceFacts(platform=platform)), kind) is system


@pytest.mark.parametrize("push_type", [PushType.ALERT, PushType.BACKGROUND])
def test_an_iphone_is_not_told_of_android_nor_an_android_phone_of_iphones(push_type: PushType) -> None:
    apple = " ".join(every(phone(), "apns", NOW, push_type))
    android = " ".join(every(phone(), "fcm", NOW, push_type))

    assert "Apple keeps but the last" in apple
    assert not {"battery optimisation", "Google", "memory cleaner"} & {word for word in WORDS if word in apple}
    assert {"battery optimisation", "Google", "memory cleaner"} <= {word for word in WORDS if word in android}
    assert not {"Low Power Mode", "Background App Refresh", "APNs"} & {word for word in WORDS if word in android}


WORDS = ("battery optimisation", "Google", "memory cleaner", "Low Power Mode", "Background App Refresh", "APNs")


def test_what_the_device_excluded_is_not_asked_for() -> None:
    asked = " ".join(possible(phone(ALL_WELL), System.APPLE, PushType.ALERT))
    before = " ".join(possible(phone(), System.APPLE, PushType.ALERT))

    assert ("notifications of the app allowed" in before, "Low Power Mode" in before) == (True, True)
    assert ("notifications of the app allowed" in asked, "Low Power Mode" in asked) == (False, False)
    assert "Focus" in asked


def test_a_background_push_needs_no_permission_and_an_alert_no_background_refresh() -> None:
    silent = " ".join(possible(phone(), System.APPLE, PushType.BACKGROUND))
    shown = " ".join(possible(phone(), System.APPLE, PushType.ALERT))

    assert ("Background App Refresh" in silent, "force-quit" in silent, "Focus" in silent) == (True, True, False)
    assert ("Background App Refresh" in shown, "force-quit" in shown, "Focus" in shown) == (False, False, True)


def test_only_a_call_asks_for_callkit() -> None:
    asked = {push_type: " ".join(possible(phone(), System.APPLE, push_type)) for push_type in PushType}

    assert "CallKit" in asked[PushType.CALL]
    assert "Focus" in asked[PushType.CALL]
    assert "CallKit" not in asked[PushType.ALERT] + asked[PushType.BACKGROUND]


def test_what_the_device_told_comes_before_what_is_possible() -> None:
    told = every(phone(DeviceFacts(battery_restricted=True)), "fcm", NOW, PushType.ALERT)

    assert told[0].startswith("The device said that its battery settings restrict the app")
    assert not [reason for reason in told[1:] if "battery optimisation" in reason]


@pytest.mark.parametrize(
    ("kind", "seen", "words"),
    [
        ("fcm", NOW - 3 * DAY, "3 days ago"),
        ("fcm", NOW - 2 * DAY + 1, "1 day ago"),
        ("fcm", NOW - DAY, ""),
        ("fcm", 0, ""),
        ("apns", NOW - 3 * DAY, ""),
    ],
)
def test_an_android_app_that_was_not_opened_for_a_day_or_two_is_named(kind: str, seen: int, words: str) -> None:
    device = phone(seen=seen)
    said = unused(device, system_of(device, kind), NOW)

    assert (words in said, bool(said)) == (True, bool(words))
    assert (said in ask_phone(device, kind, NOW, PushType.ALERT)) is True


def test_a_token_that_was_confirmed_lately_is_a_sign_of_life_and_a_raw_one_has_none() -> None:
    target = Target(id=1, kind=TargetKind.FCM, value="t", confirmed=NOW - DAY)
    confirmed = Device(id=1, app=1, device_id="phone", users=(), targets=(target,), seen=NOW - 9 * DAY)

    assert not unused(confirmed, System.ANDROID, NOW)
    assert not unused(phone(seen=NOW - 9 * DAY, device_id="raw-1"), System.ANDROID, NOW)


@pytest.mark.parametrize(
    ("kind", "facts", "words", "asked"),
    [
        ("apns", DeviceFacts(os_version="14.8"), "scheduled summary", False),
        ("apns", DeviceFacts(os_version="iOS 17.2"), "scheduled summary", True),
        ("apns", DeviceFacts(), "scheduled summary", True),
        ("fcm", DeviceFacts(os_version="12"), "From Android 13 on", False),
        ("fcm", DeviceFacts(os_version="15"), "From Android 13 on", True),
        ("fcm", DeviceFacts(os_version="15", notifications_enabled=True), "From Android 13 on", False),
        ("fcm", DeviceFacts(model="Pixel 8"), "maker's own battery management", False),
        ("fcm", DeviceFacts(model="Redmi Note 12"), "maker's own battery management", True),
        ("fcm", DeviceFacts(), "maker's own battery management", True),
    ],
)
def test_what_a_version_or_a_model_does_not_have_is_not_asked_for(
    kind: str, facts: DeviceFacts, words: str, *, asked: bool
) -> None:
    assert (words in " ".join(every(phone(facts), kind, NOW, PushType.ALERT))) is asked


def test_a_finding_is_about_a_fact_and_no_reason_is_for_nobody() -> None:
    assert all(reason.fact is not None for reason in REASONS if reason.said)
    assert {reason.fact for reason in REASONS if reason.said} == {reason.fact for reason in REASONS if reason.fact}
    assert all(reason.systems and (reason.shows or reason.wakes or reason.rings) for reason in REASONS)


def test_what_the_device_told_is_no_reason_for_a_push_of_another_type() -> None:
    device = phone(DeviceFacts(background_refresh=False, notifications_enabled=False))
    shown, silent = (" ".join(every(device, "apns", NOW, each)) for each in (PushType.ALERT, PushType.BACKGROUND))

    assert ("notifications are switched off" in shown, "background refresh is off" in shown) == (True, False)
    assert ("notifications are switched off" in silent, "background refresh is off" in silent) == (False, True)
