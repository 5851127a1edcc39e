"""`wakeline push` and `flexisip_pusher` before anything is sent: how phones are named, and how what is wrong is said."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from pathlib import Path

import pytest

from wakeline.cli.context import Context
from wakeline.cli.printing import Printer
from wakeline.cli.pusher import program, ways
from wakeline.cli.pusher.phones import Named, Unusable, phones_of
from wakeline.cli.pusher.plans import Plan, Wishes, plan
from wakeline.cli.pusher.report import Report
from wakeline.cli.root import root
from wakeline.model.outcome import Outcome
from wakeline.model.sip.push import PushParams, PushProvider
from wakeline.service.lone_push import Said
from wakeline.wire.flexisip.payloads import Form
from wakeline.wire.flexisip.pusher import Wording
from wakeline.wire.outcomes import apns

BUNDLE = "org.example.phone"
TOKEN = "ab" * 32
MIXED = "found both legacy and standard parameters, choose one way or the other!"
STANDARD = ("--pn-provider", "apns", "--pn-param", f"TEAMID1234.{BUNDLE}")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ways, "FLEXISIP", tmp_path / "nowhere")


def flexisip(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["flexisip_pusher", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.run()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def standard(param: str, prid: str = TOKEN, provider: str = "apns") -> PushParams:
    (phone,) = phones_of(Named(pn_provider=provider, pn_param=param, pn_prid=(prid,)))
    return phone


def planned(params: PushParams, form: Form | None = None) -> Plan | Outcome:
    return plan(params, Wishes(form=form, call_id="c1"), 1_790_000_000_000)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*STANDARD, "--pn-prid", TOKEN, "--pntok", TOKEN), MIXED),
        (("--pntype", "apple", "--raw", f"pn-provider=fcm;pn-param=1;pn-prid={TOKEN}"), MIXED),
        (STANDARD, "trying to use standard push notifications but couldn't find any pn-prid"),
        (
            ("--raw", "pn-provider=fcm;pn-param=1"),
            "trying to use standard push notifications but couldn't find any pn-prid",
        ),
        (
            ("--pntype", "apple", "--appid", f"{BUNDLE}.prod"),
            "trying to use legacy push notifications but couldn't find any pntok",
        ),
        ((), "no phone was named: give --pn-provider, --pn-param and --pn-prid, or --raw"),
        (("--raw", "transport=tls"), "the raw parameters hold neither pn-provider nor pn-tok"),
        (("--pn-provider", "wp10", "--pn-param", "x", "--pn-prid", "y"), "The push service 'wp10' is not served"),
        (
            ("--pn-provider", "webpush", "--pn-prid", "https://push"),
            "this tool pushes to apns, apns.dev and fcm",
        ),
        ((*STANDARD, "--pn-prid", TOKEN, "--customPayload", "[1]"), "--customPayload is no JSON object"),
        ((*STANDARD, "--pn-prid", TOKEN, "--key", "absent.pem"), "The file absent.pem cannot be read"),
        ((*STANDARD, "--pn-prid", TOKEN, "--nonsense"), "Unknown option"),
        ((*STANDARD, "--pn-prid", TOKEN, "--apple-push-type", "Loud"), "Invalid value"),
        ((*STANDARD, "--pn-prid", TOKEN, "--config", "absent.toml"), "absent.toml"),
    ],
)
def test_what_cannot_begin_ends_with_255_and_says_why(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flexisip(*arguments, monkeypatch=monkeypatch) == 255
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_as_a_command_of_wakeline_it_ends_the_same_way_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.meta(["push", *STANDARD, "--json"], result_action="return_value") == 255
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["cause"].startswith("Error: trying to use standard")
    assert captured.err == "Error: trying to use standard push notifications but couldn't find any pn-prid\n"


def test_help_and_version_end_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert flexisip("-h", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    flags = "--pn-provider --pn-param --pn-prid --pntype --appid --pntok --raw --key --sid --prefix --apple-push-type"
    for flag in (*flags.split(), "--customPayload", "--call-id", "--debug", "--silent", "--format", "--config"):
        assert flag in text
    assert flexisip("--version", monkeypatch=monkeypatch) == 0


def test_the_program_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["flexisip_pusher"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_flags_without_effect_are_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flexisip(*STANDARD, "--pn-prid", TOKEN, "--silent", "--sid", "s", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["Warning: --sid has no effect.", "Warning: --silent has no effect."]


def test_every_prid_is_a_phone_of_its_own() -> None:
    phones = phones_of(Named(pn_provider="fcm", pn_param="my-project", pn_prid=("one", "two")))

    assert [phone.tokens[0].value for phone in phones] == ["one", "two"]
    assert {phone.tokens[0].topic for phone in phones} == {"my-project"}


def test_a_flag_is_taken_as_it_is_and_a_contact_is_unescaped() -> None:
    (flag,) = phones_of(Named(pn_provider="fcm", pn_param="p", pn_prid=("a%3Ab",)))
    (contact,) = phones_of(Named(raw="pn-provider=fcm;pn-param=p;pn-prid=a%3Ab"))

    assert (flag.prid, contact.prid) == ("a%3Ab", "a:b")


@pytest.mark.parametrize("kind", ["firebase", "google", "android"])
def test_the_older_names_of_firebase_are_known(kind: str) -> None:
    (phone,) = phones_of(Named(pn_type=kind, app_id="1234", pn_tok=("token",)))

    assert (phone.provider, phone.param, phone.prid) == (PushProvider.FCM, "1234", "token")


def test_an_older_app_id_says_environment_and_service() -> None:
    (phone,) = phones_of(Named(pn_type="apple", app_id=f"{BUNDLE}.voip.dev", pn_tok=(TOKEN,)))
    made = planned(phone)

    assert isinstance(made, Plan)
    assert (made.target.kind, made.target.environment, made.target.topic) == ("apns-voip", "sandbox", BUNDLE)


@pytest.mark.parametrize(
    ("param", "prid", "form", "kind"),
    [
        (f"T.{BUNDLE}", TOKEN, Form.BACKGROUND, "apns"),
        (f"T.{BUNDLE}.voip", TOKEN, Form.PUSHKIT, "apns-voip"),
        (f"T.{BUNDLE}.voip&remote", f"{'cd' * 32}:voip&{TOKEN}:remote", Form.BACKGROUND, "apns"),
    ],
)
def test_without_a_push_type_the_token_decides(param: str, prid: str, form: Form, kind: str) -> None:
    made = planned(standard(param, prid))

    assert isinstance(made, Plan)
    assert (made.form, made.target.kind, made.target.value) == (form, kind, TOKEN)


def test_pushkit_uses_the_voip_token_of_two() -> None:
    made = planned(standard(f"T.{BUNDLE}.voip&remote", f"{'cd' * 32}:voip&{TOKEN}:remote"), Form.PUSHKIT)

    assert isinstance(made, Plan)
    assert made.target.value == "cd" * 32


@pytest.mark.parametrize(
    ("param", "form", "word"),
    [(f"T.{BUNDLE}", Form.PUSHKIT, ".voip"), (f"T.{BUNDLE}.voip", Form.ALERT, "--apple-push-type PushKit")],
)
def test_a_push_without_its_kind_of_token_is_not_sent(param: str, form: Form, word: str) -> None:
    made = planned(standard(param), form)

    assert isinstance(made, Outcome)
    assert word in made.fix


def test_a_request_of_a_gateway_and_a_push_from_here_are_the_same() -> None:
    made = planned(standard(f"T.{BUNDLE}.voip"))

    assert isinstance(made, Plan)
    lone, request = made.lone(), made.request()
    assert request.to.targets == (lone.target,)
    assert (request.type, request.call, request.apns, request.ttl) == (
        lone.content.type,
        lone.content.call,
        lone.content.apns,
        lone.ttl,
    )


@pytest.mark.parametrize(("failures", "code"), [(0, 0), (3, 3), (254, 254), (256, 254), (600, 254)])
def test_the_exit_code_counts_failures_and_is_never_taken_for_success(
    failures: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(Context(None, Printer(as_json=False)), Wording.FLEXISIP_2_4, debug=False)
    for _ in range(failures):
        report.pushed(standard(f"T.{BUNDLE}"), Said(outcome=apns(410, "Unregistered")))

    assert report.end() == code
    assert f"failed = {failures}]" in capsys.readouterr().out


def test_what_names_no_phone_shows_no_token() -> None:
    named = Named(pn_provider="apns", pn_prid=(TOKEN,), pn_tok=(TOKEN,))

    assert TOKEN not in repr(named)
    with pytest.raises(Unusable) as refused:
        phones_of(named)
    assert TOKEN not in str(refused.value)
