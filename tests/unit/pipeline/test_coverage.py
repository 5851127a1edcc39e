from __future__ import annotations

import pytest

from wakeline.model.app import ApnsEnvironment, App, AppSettings, CallsBy
from wakeline.model.credential import Credential, CredentialKind, CredentialState
from wakeline.model.device import TargetKind
from wakeline.model.notification import PushType
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline import coverage
from wakeline.ports import VoipPlace

NOW = 1_795_000_000_000
PRODUCTION, SANDBOX = Environment.PRODUCTION, Environment.SANDBOX
KEY, CERTIFICATE, FCM = (
    CredentialKind.APNS_KEY,
    CredentialKind.APNS_CERTIFICATE,
    CredentialKind.FCM_SERVICE_ACCOUNT,
)


def credential(number: int, kind: CredentialKind, *topics: str, **facts: object) -> Credential:
    values: dict[str, object] = {"environments": (PRODUCTION, SANDBOX)}
    return Credential(id=number, app=1, kind=kind, topics=topics, **(values | facts))  # type: ignore[arg-type]  # overrides


TEAM = credential(1, KEY)
SCOPED = credential(2, KEY, "com.acme")
PLAIN = credential(3, CERTIFICATE, "com.acme", environments=(PRODUCTION,))
VOIP = credential(4, CERTIFICATE, "com.acme.voip", environments=(PRODUCTION,))
UNIVERSAL = credential(5, CERTIFICATE, "com.acme", "com.acme.voip")
BROKEN = credential(6, KEY, "com.acme", state=CredentialState.FAILED)
OVER = credential(7, CERTIFICATE, "com.acme", not_after=NOW)
PROJECT = credential(8, FCM, "acme-1", environments=())


@pytest.mark.parametrize(
    ("known", "push_type", "environment", "topic", "chosen"),
    [
        ([TEAM], PushType.ALERT, PRODUCTION, "com.acme", (1, "com.acme")),
        ([TEAM], PushType.CALL, SANDBOX, "com.acme", (1, "com.acme")),
        ([TEAM], PushType.ALERT, PRODUCTION, "", None),
        ([TEAM, SCOPED], PushType.ALERT, PRODUCTION, "com.acme", (2, "com.acme")),
        ([TEAM, SCOPED], PushType.ALERT, PRODUCTION, "com.other", (1, "com.other")),
        ([SCOPED], PushType.ALERT, PRODUCTION, "", (2, "com.acme")),
        ([SCOPED], PushType.ALERT, PRODUCTION, "com.other", None),
        ([TEAM, BROKEN], PushType.ALERT, PRODUCTION, "com.acme", (1, "com.acme")),
        ([BROKEN], PushType.ALERT, PRODUCTION, "com.acme", (6, "com.acme")),
        ([TEAM, OVER], PushType.ALERT, PRODUCTION, "com.acme", (1, "com.acme")),
        ([PLAIN], PushType.ALERT, PRODUCTION, "com.acme", (3, "com.acme")),
        ([PLAIN], PushType.ALERT, SANDBOX, "com.acme", None),
        ([PLAIN], PushType.CALL, PRODUCTION, "com.acme", None),
        ([PLAIN, VOIP], PushType.CALL, PRODUCTION, "com.acme", (4, "com.acme")),
        ([UNIVERSAL], PushType.CALL, PRODUCTION, "", (5, "com.acme")),
        ([PROJECT], PushType.ALERT, PRODUCTION, "com.acme", None),
    ],
)
def test_the_best_credential_is_chosen(
    known: list[Credential], push_type: PushType, environment: Environment, topic: str, chosen: tuple[int, str] | None
) -> None:
    kind = TargetKind.APNS_VOIP if push_type is PushType.CALL else TargetKind.APNS
    choice = coverage.choose(known, coverage.need_of(kind, environment, topic, push_type), NOW)
    assert (None if choice is None else (choice.credential.id, choice.topic)) == chosen


@pytest.mark.parametrize(("topic", "covered"), [("acme-1", True), ("", True), ("acme-2", False)])
def test_a_service_account_speaks_for_its_project(topic: str, covered: bool) -> None:
    need = coverage.need_of(TargetKind.FCM, SANDBOX, topic, PushType.ALERT)
    assert (coverage.choose([TEAM, PROJECT], need, NOW) is not None) is covered


@pytest.mark.parametrize(
    ("known", "topic"),
    [([UNIVERSAL], "com.acme"), ([TEAM], "com.acme"), ([PLAIN, VOIP], "com.acme/.voip"), ([VOIP], "com.acme/.voip")],
)
def test_a_suffix_gets_a_route_of_its_own_only_if_its_credential_is_another(
    known: list[Credential], topic: str
) -> None:
    need = coverage.need_of(TargetKind.APNS_VOIP, PRODUCTION, "com.acme", PushType.CALL)
    choice = coverage.choose(known, need, NOW)
    assert choice is not None
    made = coverage.route_topic(known, need, choice, NOW)
    assert made == topic
    again = coverage.choose(known, coverage.need_of_route(ProviderKind.APNS, PRODUCTION, made), NOW)
    assert again is not None
    assert again.credential == choice.credential
    assert coverage.bundle_of_route(made) == "com.acme"


def test_the_alert_form_of_a_call_needs_no_suffix() -> None:
    need = coverage.need_of(TargetKind.APNS, PRODUCTION, "com.acme", PushType.CALL)
    assert coverage.choose([PLAIN], need, NOW) is not None


@pytest.mark.parametrize(
    ("known", "topic", "said"),
    [
        ([], "", "It would take one for apns production."),
        ([], "com.acme", "It would take one for apns production com.acme."),
        ([SCOPED], "com.other", "It would take one for apns production com.other."),
        ([TEAM], "", "give the credential its `topics`, or the device's target its `topic`."),
        ([PROJECT], "", "It would take one for apns production."),
    ],
)
def test_what_is_missing_is_said_so_that_it_can_be_given(known: list[Credential], topic: str, said: str) -> None:
    need = coverage.need_of(TargetKind.APNS, PRODUCTION, topic, PushType.ALERT)
    assert coverage.choose(known, need, NOW) is None
    assert coverage.missing(known, need).endswith(said)


ORIGIN = "https://push.example:8443"


def test_a_vapid_key_speaks_for_every_push_service_and_the_route_is_the_origin() -> None:
    vapid = credential(9, CredentialKind.VAPID_KEY, environments=(PRODUCTION,))
    need = coverage.need_of(TargetKind.WEBPUSH, SANDBOX, ORIGIN, PushType.CALL)
    assert need.environment is PRODUCTION  # there is one world
    choice = coverage.choose([TEAM, PROJECT, vapid], need, NOW)
    assert choice == coverage.Choice(vapid, ORIGIN)
    assert coverage.route_topic([vapid], need, choice, NOW) == ORIGIN
    again = coverage.need_of_route(ProviderKind.WEBPUSH, PRODUCTION, ORIGIN)
    assert coverage.choose([vapid], again, NOW) == choice


def test_without_a_vapid_key_it_is_said_how_to_make_one() -> None:
    need = coverage.need_of(TargetKind.WEBPUSH, PRODUCTION, ORIGIN, PushType.ALERT)
    assert coverage.choose([TEAM, PROJECT], need, NOW) is None
    assert "wakeline credential vapid" in coverage.missing([TEAM, PROJECT], need)


HERE, THERE = VoipPlace(PRODUCTION, "com.acme"), VoipPlace(SANDBOX, "com.acme")


@pytest.mark.parametrize(
    ("known", "places", "said"),
    [
        ([PLAIN], [HERE], ["production com.acme.voip"]),
        ([PLAIN, VOIP], [HERE, THERE], ["sandbox com.acme.voip"]),
        ([], [THERE, HERE], ["sandbox com.acme.voip", "production com.acme.voip"]),
        ([PROJECT], [VoipPlace(PRODUCTION, "")], ["production <bundle id>.voip"]),
        ([PLAIN], [], []),
        ([UNIVERSAL], [HERE, THERE], []),
        ([TEAM], [HERE, THERE], []),
    ],
)
def test_voip_tokens_that_no_credential_covers_are_named(
    known: list[Credential], places: list[VoipPlace], said: list[str]
) -> None:
    warnings = coverage.silent_calls(App(id=1, slug="acme", name="Acme"), known, places, NOW)
    assert [warning.partition("covers ")[2].partition(". ")[0] for warning in warnings] == said


def test_what_the_app_says_of_its_calls_counts_before_how_its_tokens_are_registered() -> None:
    settings = AppSettings(apns_environment=ApnsEnvironment.PRODUCTION)
    forced = App(id=1, slug="acme", name="Acme", settings=settings)
    assert coverage.silent_calls(forced, [VOIP], [HERE, THERE], NOW) == ()

    by_alert = App(id=1, slug="acme", name="Acme", settings=AppSettings(calls_by=CallsBy.ALERT))
    assert coverage.silent_calls(by_alert, [PLAIN], [HERE], NOW) == ()
