"""`wakeline push` and `flexisip_pusher`: against the stand-ins, with files, with a store, and through a gateway that runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acme import APP, BUNDLE, Stack
from apn_directory import put
from contract import only_push
from processes import Simulator, pointing_at, until
from wakeline.cli.demo import material
from wakeline.cli.pusher import program, ways
from wakeline.cli.root import root

_FAILED = "There are failed requests, relaunch with --debug to consult exact error cause."
_PNR = r"E: PNR 0x[0-9a-f]+ with identifier {} failed with error {} \({}\)"


class Ended(msgspec.Struct, frozen=True):
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Pusher:
    """Runs the program in a directory with settings that lead to the stand-ins."""

    def __init__(self, directory: Path, fake: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.fake = fake
        self._capsys = capsys
        self.config = directory / "wakeline.toml"
        self.config.write_text(f'[server]\ndata_dir = "{directory}/data"\n{pointing_at(fake)}')
        self.account = directory / "account.json"
        self.account.write_bytes(material.service_account(fake.token_uri))

    def flexisip(self, *arguments: str, config: Path | None = None) -> Ended:
        """Run `flexisip_pusher`."""
        sys.argv = ["./flexisip_pusher", *arguments, "--config", str(config or self.config)]
        with pytest.raises(SystemExit) as ended:
            program.run()
        return self._ended(ended.value.code)

    def wakeline(self, *arguments: str, config: Path | None = None) -> Ended:
        """Run `wakeline push`."""
        return self.run("push", *arguments, config=config)

    def run(self, *arguments: str, config: Path | None = None) -> Ended:
        """Run a command."""
        code = root.meta([*arguments, "--config", str(config or self.config)], result_action="return_value")
        return self._ended(code)

    def key(self) -> str:
        """Put a key of Apple's; returns what --key is."""
        path = self.directory / "AuthKey_ABCDE12345.p8"
        path.write_bytes(material.auth_key())
        return str(path)

    def certificates(self, *names: str, topic: str = BUNDLE) -> str:
        """Put certificates as Flexisip keeps them; returns what --prefix is."""
        apn = self.directory / "flexisip" / "apn"
        apn.mkdir(parents=True, exist_ok=True)
        for name in names:
            marks = ("1",) if name.endswith(".dev.pem") else ("2",)
            put(apn / name, f"{topic}.voip" if ".voip." in name else topic, marks=marks)
        return str(apn.parent)

    def _ended(self, code: object) -> Ended:
        assert isinstance(code, int)
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)


@pytest.fixture
def pusher(
    tmp_path: Path, fake: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Pusher:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(ways, "FLEXISIP", tmp_path / "etc-flexisip")
    return Pusher(tmp_path, fake, capsys)


_counter = iter(range(1, 1000))


def token() -> str:
    """Return a token of Apple's that no other test uses."""
    return f"{next(_counter):04x}".rjust(64, "e")


def received(fake: Simulator, target: str) -> dict[str, Any]:
    return only_push(fake.requests(target))


def test_a_call_is_pushed_with_the_voip_certificate_of_flexisips_directory(pusher: Pusher) -> None:
    prefix, to = pusher.certificates(f"{BUNDLE}.voip.prod.pem"), token()

    ended = pusher.flexisip(
        *("--pn-provider", "apns", "--pn-param", f"ABCD1234.{BUNDLE}.voip", "--pn-prid", to),
        *("--apple-push-type", "PushKit", "--prefix", prefix, "--call-id", "c1", "--customPayload", '{"a": "\\"b"}'),
    )

    assert ended.lines == [
        "1 push notification(s) sent, 1 successfully and 0 failed.",
        "job is done, thanks for using ./flexisip_pusher. Bye!",
    ]
    assert (ended.code, ended.err) == (0, "")
    request = received(pusher.fake, to)
    assert request["headers"]["apns-push-type"] == "voip"
    assert request["headers"]["apns-topic"] == f"{BUNDLE}.voip"
    body = request["body"]
    assert body["aps"]["loc-key"] == "IC_MSG"
    assert body["aps"]["call-id"] == "c1"
    assert body["pn_ttl"] == 90
    assert body["customPayload"] == {"a": '"b'}


@pytest.mark.parametrize(
    ("form", "push_type", "priority"),
    [("RemoteBasic", "alert", "10"), ("RemoteWithMutableContent", "alert", "10"), ("Background", "background", "5")],
)
def test_other_pushes_go_to_the_bundle_id(pusher: Pusher, form: str, push_type: str, priority: str) -> None:
    to = token()

    ended = pusher.flexisip(
        *("--pn-provider", "apns.dev", "--pn-param", f"TEAMID1234.{BUNDLE}", "--pn-prid", to),
        *("--apple-push-type", form, "--key", pusher.key()),
    )

    assert ended.code == 0, ended.err
    headers = received(pusher.fake, to)["headers"]
    assert (headers["apns-push-type"], headers["apns-priority"], headers["apns-topic"]) == (push_type, priority, BUNDLE)
    assert received(pusher.fake, to)["body"]["pn_ttl"] == 28 * 86400


def test_the_older_form_and_raw_parameters_name_the_same_phone(pusher: Pusher) -> None:
    prefix, legacy, raw = pusher.certificates(f"{BUNDLE}.voip.prod.pem"), token(), token()

    older = pusher.flexisip(
        "--pntype", "apple", "--appid", f"{BUNDLE}.voip.prod", "--pntok", legacy, "--prefix", prefix
    )
    contact = (
        f"<sip:bob@192.0.2.1;pn-provider=apns;pn-param=ABCD1234.{BUNDLE}.voip;pn-prid={raw}:voip;pn-call-str=RING>"
    )
    whole = pusher.flexisip("--raw", contact, "--prefix", prefix)

    assert (older.code, whole.code) == (0, 0), (older.err, whole.err)
    for to, text in ((legacy, "IC_MSG"), (raw, "RING")):
        assert received(pusher.fake, to)["body"]["aps"]["loc-key"] == text


def test_an_invalid_token_is_error_8_with_its_explanation_and_counts_in_the_exit_code(pusher: Pusher) -> None:
    good, bad, gone = token(), token(), token()
    pusher.fake.script(bad, {"status": 400, "reason": "BadDeviceToken"})
    pusher.fake.script(gone, {"status": 410, "reason": "Unregistered"})

    ended = pusher.flexisip(
        *(
            "--pn-provider",
            "apns",
            "--pn-param",
            f"TEAMID1234.{BUNDLE}",
            "--key",
            pusher.key(),
            "--pn-prid",
            good,
            bad,
            gone,
        )
    )

    assert ended.code == 2
    assert ended.lines == [
        "3 push notification(s) sent, 1 successfully and 2 failed.",
        _FAILED,
        "job is done, thanks for using ./flexisip_pusher. Bye!",
    ]
    said = ended.err.splitlines()
    assert re.fullmatch(_PNR.format(2, 8, "Invalid token"), said[0])
    assert said[1].startswith("   400 BadDeviceToken: ")
    assert "application id" in said[2]
    assert any(re.fullmatch(_PNR.format(3, 8, "Invalid token"), line) for line in said)
    assert "ad hoc IPA" in ended.err


def test_debug_shows_request_and_answer_and_no_secret(pusher: Pusher) -> None:
    to, key = token(), pusher.key()

    ended = pusher.flexisip(
        *(
            "--pn-provider",
            "apns",
            "--pn-param",
            f"TEAMID1234.{BUNDLE}.voip&remote",
            "--pn-prid",
            f"{token()}:voip&{to}:remote",
        ),
        *("--key", key, "--debug"),
    )

    assert ended.code == 0, ended.err
    said = ended.err.splitlines()
    assert f"with {key}" in said
    assert any(line.startswith("> POST https://") and line.endswith(to[-6:]) for line in said)
    assert "> apns-push-type: background" in said
    assert "> authorization: bearer [redacted]" in said
    assert any(line.startswith('> {"aps":') for line in said)
    assert "< 200" in said
    assert to not in ended.err
    assert received(pusher.fake, to)["headers"]["authorization"].startswith("bearer ey")


def test_a_key_of_apple_needs_its_team_and_says_where_it_is(pusher: Pusher) -> None:
    ended = pusher.flexisip(
        "--pn-provider", "apns", "--pn-param", f"ABCD1234.{BUNDLE}", "--pn-prid", token(), "--key", pusher.key()
    )

    assert (ended.code, ended.out) == (255, "")
    assert "team_id" in ended.err
    assert "--pn-param" in ended.err


def test_firebase_takes_the_service_account_of_the_key_whatever_the_number_of_the_project(pusher: Pusher) -> None:
    ended = pusher.flexisip(
        *(
            "--pn-provider",
            "fcm",
            "--pn-param",
            "123456789",
            "--pn-prid",
            "phone-of-number",
            "--key",
            str(pusher.account),
        ),
        *("--format", "flexisip-2.4"),
    )

    assert ended.lines == ["Summary: 1 push notification(s) sent [successful = 1, failed = 0]"]
    assert (ended.code, ended.err) == (0, "")
    request = received(pusher.fake, "phone-of-number")
    assert request["path"] == f"/v1/projects/{material.PROJECT}/messages:send"
    android = request["body"]["message"]["android"]
    assert android["priority"] == "high"
    assert android["data"]["loc-key"] == "IM_MSG"


def test_firebase_failures_have_numbers_too(pusher: Pusher) -> None:
    pusher.fake.script("gone-phone", {"status": 404, "error": "UNREGISTERED"})

    ended = pusher.flexisip(
        "--pn-provider", "fcm", "--pn-param", material.PROJECT, "--pn-prid", "gone-phone", "--key", str(pusher.account)
    )

    assert ended.code == 1
    assert re.match(_PNR.format(1, 8, "Invalid token"), ended.err)
    assert "Firebase project" in ended.err


@pytest.mark.parametrize(
    "key", ["AAAAabcdefg:APA91b" + "x" * 134, "AIza" + "y" * 35], ids=["server key", "key of the API console"]
)
def test_a_legacy_key_is_refused_with_what_to_do(pusher: Pusher, key: str) -> None:
    ended = pusher.flexisip("--pn-provider", "fcm", "--pn-param", "1234", "--pn-prid", "phone", "--key", key)

    assert (ended.code, ended.out) == (255, "")
    assert ended.err.startswith("Error: This is a server key of the legacy FCM API")
    assert "Generate new private key" in ended.err
    assert key not in ended.err


def test_firebase_without_any_service_account_is_flexisips_error_and_makes_no_store(pusher: Pusher) -> None:
    ended = pusher.flexisip("--pn-provider", "fcm", "--pn-param", "1234", "--pn-prid", "phone")

    assert (ended.code, ended.out) == (255, "")
    assert ended.err == "Error: missing Firebase service account file, use '--key'\n"
    assert not (pusher.directory / "data").exists()


def test_what_flexisip_left_in_its_place_is_used_without_being_named(pusher: Pusher) -> None:
    to = token()
    (pusher.directory / "flexisip").mkdir()
    prefix = pusher.certificates(f"{BUNDLE}.prod.pem")
    (pusher.directory / "etc-flexisip").symlink_to(prefix)

    ended = pusher.flexisip("--pn-provider", "apns", "--pn-param", f"ABCD1234.{BUNDLE}", "--pn-prid", to)

    assert ended.code == 0, ended.err
    assert received(pusher.fake, to)["headers"]["apns-topic"] == BUNDLE


def test_without_a_fitting_certificate_nothing_is_sent_and_the_reason_said(pusher: Pusher) -> None:
    prefix, to = pusher.certificates(f"{BUNDLE}.prod.pem"), token()
    (Path(prefix) / "apn" / "broken.pem").write_text("nothing of use")

    ended = pusher.flexisip(
        *(
            "--pn-provider",
            "apns",
            "--pn-param",
            f"ABCD1234.{BUNDLE}.voip",
            "--pn-prid",
            to,
            "--prefix",
            prefix,
            "--debug",
        )
    )

    assert ended.code == 1
    assert re.search(_PNR.format(1, 1, "Processing error"), ended.err)
    assert f"apns production {BUNDLE}.voip" in ended.err
    assert "broken.pem" in ended.err
    assert pusher.fake.requests(to) == []


def test_a_server_that_cannot_be_reached_is_a_failure_with_cause(pusher: Pusher) -> None:
    pusher.config.write_text('[providers.apns]\nproduction = "https://127.0.0.1:1"\n')

    ended = pusher.flexisip(
        "--pn-provider", "apns", "--pn-param", f"TEAMID1234.{BUNDLE}", "--pn-prid", token(), "--key", pusher.key()
    )

    assert ended.code == 1
    assert "failed with error 1 (Processing error)" in ended.err
    assert "Try again in a while." in ended.err


@pytest.fixture
def stored(pusher: Pusher) -> Pusher:
    """Give a store with an app, its key and its service account, that no gateway serves."""
    key = pusher.directory / f"AuthKey_{material.KEY_ID}.p8"
    key.write_bytes(material.auth_key())
    pusher.run("app", "create", APP)
    pusher.run("credential", "add", str(key), "--team-id", material.TEAM_ID, "--topics", BUNDLE)
    pusher.run("credential", "add", str(pusher.account))
    return pusher


def test_the_store_lends_its_credentials_while_no_gateway_runs(stored: Pusher) -> None:
    to = token()

    apple = stored.wakeline("--pn-provider", "apns", "--pn-param", f"ABCD1234.{BUNDLE}.voip", "--pn-prid", to)
    google = stored.wakeline("--pn-provider", "fcm", "--pn-param", "98765", "--pn-prid", "stored-phone", "--debug")

    assert (apple.code, google.code) == (0, 0), (apple.err, google.err)
    assert apple.lines[-1] == "job is done, thanks for using wakeline. Bye!"
    assert received(stored.fake, to)["headers"]["apns-topic"] == f"{BUNDLE}.voip"
    assert f"with a credential of the store {stored.config.parent}" in google.err
    assert received(stored.fake, "stored-phone")["path"] == f"/v1/projects/{material.PROJECT}/messages:send"


@pytest.fixture(scope="module")
def own(stack: Stack) -> str:
    """Return a bundle id that one app alone has: other tests give other apps that of the usual one."""
    bundle, file = "com.example.pusher", stack.gateway.directory / f"AuthKey_{material.KEY_ID}.p8"
    stack.gateway.json("app", "create", "acme-pusher")
    apple = ("--team-id", material.TEAM_ID, "--topics", bundle, "--no-canary", "--no-check")
    stack.gateway.json("credential", "add", str(file), "--app", "acme-pusher", *apple)
    return bundle


def test_a_gateway_that_runs_sends_through_its_socket_and_remembers(pusher: Pusher, stack: Stack, own: str) -> None:
    to, config = token(), stack.gateway.config

    ended = pusher.wakeline(
        *("--pn-provider", "apns", "--pn-param", f"ABCD1234.{own}.voip", "--pn-prid", to, "--debug", "--json"),
        config=config,
    )

    assert ended.code == 0, ended.err
    shown = json.loads(ended.out)
    assert (shown["sent"], shown["successful"], shown["failed"]) == (1, 1, 0)
    (push,) = shown["pushes"]
    assert push["credential"] == "app acme-pusher of the gateway that runs"
    assert push["outcome"]["status"] == 200
    assert push["request"]["url"].endswith(to[-6:])
    assert to not in ended.out
    request = received(stack.simulator, to)
    assert request["headers"]["apns-push-type"] == "voip"
    assert request["body"]["aps"]["loc-key"] == "IC_MSG"


def test_through_the_gateway_failures_are_told_the_same_way(pusher: Pusher, stack: Stack, own: str) -> None:
    to, config = token(), stack.gateway.config
    stack.simulator.script(to, {"status": 410, "reason": "Unregistered"})

    ended = pusher.flexisip("--pn-provider", "apns", "--pn-param", f"A.{own}", "--pn-prid", to, config=config)

    assert ended.code == 1
    assert re.match(_PNR.format(1, 8, "Invalid token"), ended.err)
    assert "410 Unregistered" in ended.err


def test_a_push_that_would_wait_in_the_gateway_is_taken_back(pusher: Pusher, stack: Stack, own: str) -> None:
    to, config = token(), stack.gateway.config
    stack.simulator.script(to, {"status": 500, "reason": "InternalServerError"})

    ended = pusher.flexisip("--pn-provider", "apns", "--pn-param", f"A.{own}", "--pn-prid", to, config=config)

    assert ended.code == 1
    assert "500 InternalServerError" in ended.err
    newest = until(lambda: stack.http.get("/v1/explain", params={"q": to}).json(), "explain knows the token")
    assert "cancelled" in json.dumps(newest)


def test_another_project_than_the_gateways_is_said_so(pusher: Pusher, stack: Stack) -> None:
    ended = pusher.wakeline(
        "--pn-provider", "fcm", "--pn-param", "other-project", "--pn-prid", "phone", config=stack.gateway.config
    )

    assert ended.code == 1
    assert "other-project" in ended.err


def test_of_several_projects_the_settings_say_which_one_a_number_is(stored: Pusher) -> None:
    account = json.loads(stored.account.read_bytes()) | {"project_id": "other-project"}
    stored.account.write_text(json.dumps(account))
    stored.run("app", "create", "other")
    stored.run("credential", "add", str(stored.account), "--app", "other")
    phone = ("--pn-provider", "fcm", "--pn-param", "98765", "--pn-prid", "phone-of-other")

    unknown = stored.wakeline(*phone)
    stored.config.write_text(f'{stored.config.read_text()}\n[sip]\nsenders = ["98765:other"]\n')
    known = stored.wakeline(*phone)

    assert (unknown.code, known.code) == (1, 0), (unknown.err, known.err)
    assert received(stored.fake, "phone-of-other")["path"] == "/v1/projects/other-project/messages:send"
