"""What a log line looks like, and what it never shows."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from wakeline.config.tree import Logs
from wakeline.observe.logs import configure
from wakeline.observe.masking import _searched, masked_text, masked_token

APNS = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
FCM = "cXy-Z0abQ1:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx_abcdefghijklmno"


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_event_in_front() -> None:
    out = io.StringIO()
    configure(Logs(format="json"), out)
    structlog.get_logger().info("push_settled", app="acme-chat", attempt=2)
    (line,) = lines(out)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["event"] == "push_settled"
    assert line["attempt"] == 2


def test_auto_is_json_where_nobody_watches() -> None:
    out = io.StringIO()
    configure(Logs(), out)
    structlog.get_logger().info("x")
    assert lines(out)[0]["event"] == "x"


def test_console_is_text() -> None:
    out = io.StringIO()
    configure(Logs(format="console"), out)
    structlog.get_logger().info("push_settled", app="acme")
    assert "push_settled" in out.getvalue()
    assert not out.getvalue().startswith("{")


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_peer_said_in_no_known_encoding_fails_no_line(form: Literal["json", "console"]) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    configure(Logs(format=form), out)
    structlog.get_logger().info("sip.refused", call_id="a\udcffb", at=Path("x"), uid="\u00fc")
    out.seek(0)
    (line,) = out.read().splitlines()
    assert "a?b" in line
    assert "\u00fc" in line
    assert form == "console" or msgspec.json.decode(line)["at"] == "x"


def test_the_level_takes_effect_for_loggers_that_exist_already() -> None:
    out = io.StringIO()
    logger = structlog.get_logger()
    configure(Logs(format="json", level="warning"), out)
    logger.info("quiet")
    configure(Logs(format="json", level="debug"), out)
    logger.debug("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_libraries_speak_through_the_same_format_from_warning_on() -> None:
    out = io.StringIO()
    configure(Logs(format="json", level="debug"), out)
    configure(Logs(format="json", level="debug"), out)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("token %s is odd", APNS)
    (line,) = lines(out)
    assert line["logger"] == "some.library"
    assert APNS not in str(line)


def test_a_traceback_is_masked_too() -> None:
    out = io.StringIO()
    configure(Logs(format="json"), out)
    try:
        int(f"/3/device/{APNS}")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "Traceback" in out.getvalue()
    assert APNS not in out.getvalue()
    assert APNS[-6:] in out.getvalue()


def test_nested_values_are_masked() -> None:
    out = io.StringIO()
    configure(Logs(format="json"), out)
    structlog.get_logger().info(
        "x", targets=[{"token": FCM}, {"authorization": "Bearer abc"}], raw=b"secret bytes", note=None
    )
    text = out.getvalue()
    assert FCM not in text
    assert "Bearer abc" not in text
    assert "secret bytes" not in text
    assert FCM[-6:] in text


@pytest.mark.parametrize(
    "secret",
    [
        "wk_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA",
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJURUFNIn0.c2lnbmF0dXJl",
        "ya29.c.Kp8BCQj-abc_def",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----",
    ],
)
def test_secrets_leave_nothing(secret: str) -> None:
    text = masked_text(f"before {secret} after")
    assert text == "before *** after"


def test_the_password_of_a_url_is_hidden_and_its_host_is_not() -> None:
    assert masked_text("http://me:pw@proxy.example:3128/") == "http://***@proxy.example:3128/"


def test_ids_of_notifications_are_not_mistaken_for_tokens() -> None:
    text = "0192f0c1-2345-7abc-8def-0123456789ab"
    assert masked_text(text) == text


ENDPOINT = "https://updates.push.services.mozilla.com:443/wpush/v2/gAAAAABk_Zm9vYmFy"


def test_the_endpoint_of_a_subscription_is_a_token_and_its_push_service_is_none() -> None:
    assert masked_text(f"to {ENDPOINT} now") == "to https://updates.push.services.mozilla.com:443/...9vYmFy now"
    assert masked_text("https://ntfy.sh/upAbCdEfGhIjKl?up=1") == "https://ntfy.sh/...l?up=1"
    assert "wpush" not in masked_text(f"/v1/explain?q={quote(ENDPOINT, safe='')}&app=acme")
    assert masked_text("https://oauth2.googleapis.com/token") == "https://oauth2.googleapis.com/token"
    assert masked_token(f"{ENDPOINT} BPublicKey c2VjcmV0") == "...9vYmFy"


PIECES = (
    APNS,
    FCM,
    "wk_abcdefgh12",
    "whsec_Zm9vYmFy",
    "ya29.abc",
    "eyJhbGci.eyJpc3Mi.c2ln",
    "https://u:p@host.example/x",
    "HTTP%3A%2F%2Fpush.example%2Fsend%2Fabcdefghijklmnop",
    "/rest/7/s3cr3t/",
    "/REST/api/1%2fcode",
    "?auth=s",
    "/re\u017ft/1/code",
    "%26access%5Ftoken%3Ds",
    "code=abc",
    "-----BEGIN PRIVATE KEY-----\nx",
    "\u017ft",
    "\u212a",
    " ",
    "&",
    "a",
    "/",
    "\udcff",
    "0" * 31,
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map("".join))
def test_the_quick_look_passes_over_nothing_that_a_search_would_mask(text: str) -> None:
    assert masked_text(text) == _searched(text)


def test_a_short_token_shows_nothing() -> None:
    assert masked_token("abc") == "***"
    assert masked_token(APNS) == f"...{APNS[-6:]}"


def test_requests_are_lines_of_their_own_if_asked_for() -> None:
    out = io.StringIO()
    record = ('%s - "%s %s HTTP/%s" %d', "10.0.0.1:5", "GET", f"/v1/explain?q={APNS}", "1.1", 200)
    configure(Logs(format="json"), out)
    logging.getLogger("uvicorn.access").info(*record)
    assert out.getvalue() == ""
    configure(Logs(format="json", access=True), out)
    logging.getLogger("uvicorn.access").info(*record)
    (line,) = lines(out)
    assert (line["event"], line["method"], line["status"]) == ("http.request", "GET", 200)
    assert line["path"] == f"/v1/explain?q=...{APNS[-6:]}"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/rest/1/hook0123456789ab/profile.json", "/rest/1/***/profile.json"),
        ("/rest//17/short/", "/rest//17/***/"),
        ("/rest/api/1/hook0123456789ab/tasks.task.get?a=1", "/rest/api/1/***/tasks.task.get?a=1"),
        ("/rest/profile?auth=s3cr3t1&x=1", "/rest/profile?auth=***&x=1"),
        (
            "//oauth/token/?grant_type=refresh_token&client_id=local.x&client_secret=s3cr3t1&refresh_token=s3cr3t2",
            "//oauth/token/?grant_type=refresh_token&client_id=local.x&client_secret=***&refresh_token=***",
        ),
        ("/oauth/token/?code=s3cr3t1&code_verifier=s3cr3t2", "/oauth/token/?code=***&code_verifier=***"),
        ("/rest/x?auth%5Baccess_token%5D=s3cr3t1", "/rest/x?auth%5Baccess_token%5D=***"),
        ("/send/?key=s3cr3t1", "/send/?key=***"),
        ("/rest/x?%61uth=s3cr3t1&A%55TH=s3cr3t2", "/rest/x?%61uth=***&A%55TH=***"),
        ("/rest/x?access.token=s3cr3t1&client+secret=s3cr3t2", "/rest/x?access.token=***&client+secret=***"),
        ("/rest/x?auth[a][b]=s3cr3t1&code%5B%5D=s3cr3t2", "/rest/x?auth[a][b]=***&code%5B%5D=***"),
        (
            "/rest/batch?cmd[a]=profile%3Fauth%3Ds3cr3t1%26x%3D1&cmd[b]=scope",
            "/rest/batch?cmd[a]=profile%3Fauth%3D***%26x%3D1&cmd[b]=scope",
        ),
        ("/oauth/authorize/?login=anna&password=s3cr3t1", "/oauth/authorize/?login=anna&password=***"),
        ("/rest/1%2Fhook0123456789ab%2Fprofile", "/rest/1%2F***%2Fprofile"),
        ("/rest/x?author=anna&keys=1&encode=2&a=b", "/rest/x?author=anna&keys=1&encode=2&a=b"),
        ("/bitrix24/oauth/abc?code=s3cr3t1&state=s3cr3t2.s3cr3t3&a=b", "/bitrix24/oauth/abc?code=***&state=***&a=b"),
        (
            "/bitrix24/events/abc?AUTH_ID=s3cr3t1&REFRESH_ID=s3cr3t2&APP_SID=s3cr3t3&APPLICATION_TOKEN=s3cr3t4",
            "/bitrix24/events/abc?AUTH_ID=***&REFRESH_ID=***&APP_SID=***&APPLICATION_TOKEN=***",
        ),
        ("/rest/batch", "/rest/batch"),
    ],
)
def test_secrets_that_bitrix24_puts_in_addresses_are_never_written(path: str, shown: str) -> None:
    out = io.StringIO()
    configure(Logs(format="json", access=True), out)
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "10.0.0.1:5", "GET", path, "1.1", 200)
    (line,) = lines(out)
    assert line["path"] == shown
    assert masked_text(f"GET https://portal.example{path} failed").count("s3cr3t") == 0
