"""Every failure that mesibo's and Bitrix24's guides name, provoked: its code, its webhook, its doctor line, its explanation.

One row of the table is one story: what an operator or a phone does wrong, and the four places that say so.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from acme import Stack
from contract import Caller
from portal_batch import APPLE, apple, block
from processes import Simulator, gateway, until
from wakeline.cli.demo import material
from webhook_receiver import Receiver, receiving

_APPLE = "1.2.840.113635.100.6.3"


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    """Return somebody's program that is told of everything."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, fake: Simulator, told: Receiver) -> Iterator[Stack]:
    """Return a gateway with limits, as an operator has it, that tells of everything."""
    settings = (
        f'[providers.apns]\nproduction = "{fake.apns}"\nsandbox = "{fake.apns}"\nca_file = "{fake.ca_file}"\n'
        f'[providers.fcm]\nbase_url = "{fake.fcm}"\nca_file = "{fake.ca_file}"\n'
        f'token_hosts = ["localhost", "127.0.0.1"]\n'
        "[webhooks]\nallow_private = true\nallow_http = true\n"
    )
    with gateway(tmp_path_factory.mktemp("why"), settings) as running, running.client() as http:
        made = http.post("/v1/webhooks", json={"url": told.url, "events": []}).raise_for_status().json()
        told.secret = made["secret"]
        yield Stack(gateway=running, simulator=fake, http=http)


class App(Caller):
    """An app of its own on that gateway, and what was said about it."""

    def __init__(self, stack: Stack, name: str, told: Receiver) -> None:
        super().__init__(stack, name)
        self.told = told
        self.http.post("/v1/apps", json={"id": name}).raise_for_status()

    def key(self, bundle: str) -> None:
        """Give it an APNs key."""
        form = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": bundle}
        self.credential(material.auth_key(), **form)

    def account(self) -> None:
        """Give it a service account."""
        self.credential(material.service_account(self.simulator.token_uri))

    def credential(self, file: bytes, **form: str) -> dict[str, Any]:
        """Upload a credential."""
        answer = self.http.post(f"{self.path}/credentials", files={"file": file}, data=form)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def message(self, event_type: str, notification: str = "") -> dict[str, Any]:
        """Return what the program was told of this type, about this app and notification."""

        def said() -> dict[str, Any] | None:
            for one in self.told.messages():
                data = one["data"]
                about = data.get("app") == self.app and notification in ("", data.get("notification"))
                if about and one["type"] == event_type:
                    return one
            return None

        return until(said, f"{event_type} of {self.app} is told")

    def line(self, *words: str, user: str = "") -> dict[str, Any]:
        """Return the doctor's line about this app that is no praise and says all these words."""

        def found() -> dict[str, Any] | None:
            query = {"app": self.app} | ({"user": user} if user else {})
            checks = self.http.get("/v1/doctor", params=query).raise_for_status().json()["checks"]
            odd = [one for one in checks if one["status"] in ("warning", "failed")]
            return next(
                (one for one in odd if all(word in f"{one['name']} {one['cause']} {one['fix']}" for word in words)),
                None,
            )

        return until(found, f"the doctor says {words}")

    def says(
        self,
        notification: str,
        code: int,
        *,
        told: str = "push.failed",
        response: int | None = None,
        doctor: tuple[str, ...],
        user: str = "",
        explain: str,
    ) -> dict[str, Any]:
        """Check that the delivery, the webhook, the doctor and the explanation say the same; return what the program was told."""
        delivery = self.judged(notification, code)
        message = self.message(told, notification)
        outcome = message["data"]["outcome"]
        assert outcome["code"] == delivery["outcome"]["code"] == code
        assert outcome["class"]
        assert outcome["cause"]
        assert outcome["fix"]
        assert message["data"]["response"]["code"] == (code if response is None else response)
        line = self.line(*doctor, user=user)
        assert line["fix"], line
        explained = self.explain(notification)
        assert explain in f"{explained['cause']} {explained['fix']}", explained
        return dict(message["data"])

    def judged(self, notification: str, code: int) -> dict[str, Any]:
        """Return the delivery that ended with this code."""

        def there() -> dict[str, Any] | None:
            found = self.show(notification)["deliveries"]
            ended = [one for one in found if one["state"] in ("failed", "expired")]
            return next((one for one in ended if one["outcome"]["code"] == code), None)

        return until(there, f"{notification} ends with {code}")


def certificate(bundle: str, *, seconds: float, mark: str) -> bytes:
    """Return a push certificate in the form of Apple's that ends so soon; `mark` 1: sandbox, 2: production."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    names = [(NameOID.COMMON_NAME, f"Apple Push Services: {bundle}"), (NameOID.USER_ID, bundle)]
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    now = dt.datetime.now(dt.UTC)
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_APPLE}.{mark}"), b"\x05\x00")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=300))
        .not_valid_after(now + dt.timedelta(seconds=seconds))
        .add_extension(extension, critical=False)
        .sign(key, hashes.SHA256())
    )
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + written


CALL = {"call": {"id": "1", "caller": "Ann"}}


def test_901_an_iphone_with_an_fcm_token_and_no_fcm_credential(here: Stack, told: Receiver) -> None:
    app = App(here, "why-901", told)
    app.key("com.example.why901")
    reached, lost = app.phone(), app.phone("fcm", platform="ios")

    sent = app.send(reached, lost)

    data = app.says(
        sent, 901, doctor=("FCM on iOS", "no FCM credential"), explain="no credential for this push service"
    )
    assert "request" not in data, "nothing was sent"
    assert data["device"] == lost.device


def test_902_an_app_that_is_paused(here: Stack, told: Receiver) -> None:
    app = App(here, "why-902", told)
    app.key("com.example.why902")
    app.http.patch(app.path, json={"paused": True}).raise_for_status()

    app.says(app.send(app.phone("apns-voip"), **CALL), 902, doctor=("paused", "902"), explain="paused by an operator")


def test_903_a_certificate_that_has_expired(here: Stack, told: Receiver) -> None:
    app = App(here, "why-903", told)
    app.credential(certificate("com.example.why903.voip", seconds=4, mark="2"))
    phone = app.phone("apns-voip")
    app.line("ended", "903")

    app.says(app.send(phone, **CALL), 903, doctor=("held for its credential", "903"), explain="has expired")


def test_904_a_key_that_apple_refuses(here: Stack, told: Receiver) -> None:
    app = App(here, "why-904", told)
    app.key("com.example.why904")
    first, second = app.phone("apns-voip"), app.phone("apns-voip")
    app.simulator.script(first.token, {"status": 403, "reason": "InvalidProviderToken", "times": None})

    refused = app.send(first, **CALL)

    doctor = ("held for its credential", "904")
    data = app.says(refused, 904, response=403, doctor=doctor, explain="cannot verify our signature")
    assert data["response"]["body"] == '{"reason":"InvalidProviderToken"}'
    assert first.token not in str(data["request"])
    assert data["request"]["headers"]["authorization"] == "bearer [redacted]"
    app.says(app.send(second, **CALL), 904, doctor=doctor, explain="credential")
    assert app.message("credential.failed")


def test_905_a_development_certificate_for_a_production_token(here: Stack, told: Receiver) -> None:
    app = App(here, "why-905", told)
    app.credential(certificate("com.example.why905.voip", seconds=80 * 86400, mark="1"))

    app.says(app.send(app.phone("apns-voip"), **CALL), 905, doctor=("production",), explain="other APNs environment")


def test_911_a_token_that_is_gone(here: Stack, told: Receiver) -> None:
    app = App(here, "why-911", told)
    app.key("com.example.why911")
    phone = app.phone()
    gone = {"status": 410, "reason": "Unregistered", "timestamp": int(time.time() * 1000) + 60_000}
    app.simulator.script(phone.token, gone)

    sent = app.send(phone)

    data = app.says(
        sent, 911, response=410, doctor=("none has a token",), user=phone.user, explain="not active any more"
    )
    assert '"Unregistered"' in data["response"]["body"]
    assert app.message("target.retired")["data"]["device"] == phone.device


def test_911_a_token_that_apple_doubts_in_both_environments(here: Stack, told: Receiver) -> None:
    app = App(here, "why-911b", told)
    app.key("com.example.why911b")
    phone = app.phone()
    app.simulator.script(phone.token, {"status": 400, "reason": "BadDeviceToken", "times": None})

    app.says(
        app.send(phone), 911, response=400, doctor=("none has a token",), user=phone.user, explain="other environment"
    )
    assert app.message("target.quarantined")["data"]["device"] == phone.device


def test_912_a_token_of_another_app(here: Stack, told: Receiver) -> None:
    app = App(here, "why-912", told)
    app.key("com.example.why912")
    phone = app.phone()
    app.simulator.script(phone.token, {"status": 400, "reason": "DeviceTokenNotForTopic", "times": None})

    app.says(app.send(phone), 912, response=400, doctor=("bundle id",), explain="bundle id")


def test_912_a_token_of_another_firebase_project(here: Stack, told: Receiver) -> None:
    app = App(here, "why-912b", told)
    app.account()
    phone = app.phone("fcm")
    app.simulator.script(phone.token, {"status": 403, "error": "SENDER_ID_MISMATCH", "times": None})

    app.says(app.send(phone), 912, response=403, doctor=("project",), explain="project")


def test_913_a_payload_that_apple_does_not_take(here: Stack, told: Receiver) -> None:
    app = App(here, "why-913", told)
    app.key("com.example.why913")
    phone = app.phone()
    app.simulator.script(phone.token, {"status": 413, "reason": "PayloadTooLarge", "times": None})

    sent = app.send(phone, alert={"body": "x" * 3990})

    app.says(sent, 913, response=413, doctor=("4096", "bytes"), explain="larger")


def test_914_a_user_who_is_called_too_often(here: Stack, told: Receiver) -> None:
    app = App(here, "why-914", told)
    app.key("com.example.why914")
    phone = app.phone("apns-voip")
    for _ in range(6):
        app.send(phone, **CALL)

    app.says(app.send(phone, **CALL), 914, doctor=("limit",), user=phone.user, explain="as many pushes")


def test_a_legacy_server_key_is_refused_with_what_to_create_instead(here: Stack, told: Receiver) -> None:
    app = App(here, "why-legacy", told)

    answer = app.http.post(f"{app.path}/credentials", files={"file": b"AAAAabc1234:APA91bH" + b"x" * 120})

    assert answer.status_code == 422, answer.text
    assert "legacy FCM API" in answer.json()["detail"]
    assert "Service accounts" in answer.json()["detail"]


def test_a_device_that_registered_without_a_token(here: Stack, told: Receiver) -> None:
    app = App(here, "why-bare", told)
    app.key("com.example.whybare")
    name = "phone-without-token"
    app.http.put(f"{app.path}/devices/{name}", json={"user": "nora", "targets": []}).raise_for_status()

    answer = app.post(to={"users": ["nora"]}, alert={"body": "x"})

    assert answer.status_code == 202, answer.text
    assert app.message("push.skipped", answer.json()["id"])["data"]["outcome"]["reason"] == "no_target"
    app.line("without any token")
    explained = app.http.get("/v1/explain", params={"q": "user:nora", "app": app.app}).json()
    assert "no " in explained["verdict"] + explained["cause"]
    assert "regist" in explained["fix"]


def test_a_sandbox_token_that_was_registered_for_production_is_put_right(here: Stack, told: Receiver) -> None:
    app = App(here, "why-sandbox", told)
    app.key("com.example.whysandbox")
    phone = app.phone()
    app.simulator.script(phone.token, {"status": 400, "reason": "BadDeviceToken"})

    assert app.delivery(app.send(phone))["state"] == "accepted"

    def target() -> dict[str, Any] | None:
        found: dict[str, Any] = app.device(phone)["targets"][0]
        return found if found["environment"] == "sandbox" else None

    assert until(target, "it belongs to the sandbox")["state"] == "active"


def test_a_phone_that_is_connected_needs_no_push(here: Stack, told: Receiver) -> None:
    app = App(here, "why-connected", told)
    app.key("com.example.whyconnected")
    phone = app.phone()
    until_later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    presence = f"{app.path}/devices/{phone.device}/presence"
    app.http.put(presence, json={"connected_until": until_later}).raise_for_status()

    sent = app.send(phone, alert={"body": "x"}, only_if_absent=True, ttl=1)

    outcome = app.delivery(sent)["outcome"]
    assert outcome["reason"] == "connected"
    assert "was connected" in app.explain(sent)["cause"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"platform": "ios", "notifications_enabled": False}, "notifications are switched off"),
        ({"platform": "ios", "background_refresh": False}, "background refresh is off"),
        ({"platform": "ios", "low_power": True}, "Low Power Mode"),
        ({"platform": "android", "battery_restricted": True}, "battery"),
    ],
    ids=["switched off", "background refresh", "low power", "battery"],
)
def test_accepted_and_not_shown_is_explained_by_what_the_phone_said(
    here: Stack, told: Receiver, facts: dict[str, Any], said: str
) -> None:
    app = App(here, f"why-shown-{''.join(filter(str.isalpha, said.lower()))[:12]}", told)
    app.key("com.example.whyshown")
    app.account()
    phone = app.phone("fcm" if facts["platform"] == "android" else "apns", **facts)

    sent = app.send(phone, **({"data": {"x": "1"}} if "background_refresh" in facts else {}))

    assert app.delivery(sent)["state"] == "accepted"
    explained = app.explain(sent)
    assert "decision" in explained["cause"]
    assert said in explained["fix"]
    assert ("battery" in explained["fix"]) == (facts["platform"] == "android")


def test_the_debug_window_tells_of_successes_with_what_was_sent_and_answered(here: Stack, told: Receiver) -> None:
    app = App(here, "why-debug", told)
    app.key("com.example.whydebug")
    app.http.put(f"{app.path}/debug", json={}).raise_for_status()
    phone = app.phone()

    sent = app.send(phone, alert={"title": "Anna", "body": "won"})

    data = app.message("push.accepted", sent)["data"]
    assert data["response"]["code"] == 200
    assert '"title":"Anna"' in data["request"]["body"].replace(" ", "")
    assert phone.token not in str(data)
    app.line("debug window")
    app.http.delete(f"{app.path}/debug").raise_for_status()
    quiet = app.send(phone)
    app.settled(quiet)
    assert "request" not in app.message("push.accepted", quiet)["data"]


def test_a_portal_that_moved_to_another_address(here: Stack, told: Receiver) -> None:
    app = App(here, "why-moved", told)
    app.key("com.example.whymoved")
    bound = app.http.post("/v1/bitrix24/keys", json={"app": app.app, "name": "why"}).raise_for_status().json()
    for host in ("old.example", "new.example"):
        batch = block(2, apple(APPLE, app.phone().token), host=host)
        app.http.post(bound["url"], data={"Action": "SendMessage", "MessageBody": batch}).raise_for_status()

    assert "new.example" in app.message("portal.moved")["data"]["note"]
    app.line("push service why", "new.example")
