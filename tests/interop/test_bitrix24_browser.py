"""Chromium signs in at our portal's login page: what a browser makes of the page's policy, cookie, form and redirect."""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import msgspec
import pytest

from interop.bitrix24_portal import CLIENT_ID, CLIENT_SECRET, Portal, served
from wakeline.edges.bitrix24.secrets import password_hash
from wakeline.service.wiring import Gateway

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="the extra `interop` is not installed: no browser looked"
)
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: apt-get install chromium"),
]

PASSWORD = "correct horse"
_ACCENT = "rgb(37, 99, 235)"


class Back:
    """The application's own place, to which its users come back; `/frame` shows a page of somebody else inside its own."""

    def __init__(self) -> None:
        self.answers: queue.Queue[dict[str, str]] = queue.Queue()
        answers = self.answers

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = dict(parse_qsl(parts.query))
                if parts.path == "/back":
                    answers.put(asked)
                frame = f'<iframe src="{escape(asked["page"])}"></iframe>' if parts.path == "/frame" else ""
                page = f"<!doctype html><title>Application</title>{frame}".encode()
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                """Leave the terminal to the tests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.origin}/back"


@pytest.fixture(scope="module")
def back() -> Iterator[Back]:
    made = Back()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    async def name(gateway: Gateway) -> None:
        access = gateway._portal.ports.access
        user = await access.user(1)
        assert user is not None
        kept = await password_hash(PASSWORD)
        await access.put_user(msgspec.structs.replace(user, login="anna", password=kept))

    with served(tmp_path_factory.mktemp("portal")) as made:
        made.run(name)
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with (
        playwright.sync_playwright() as driver,
        contextlib.closing(
            driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=60_000)
        ) as browser,
    ):
        yield browser


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of a browser without cookies; what its console says in anger fails the test."""
    context = chromium.new_context(ignore_https_errors=True)
    opened, complaints = context.new_page(), []
    opened.set_default_timeout(30_000)
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert [said for said in complaints if "favicon" not in said and "403" not in said] == []


def registered(portal: Portal, **fields: object) -> None:
    """Change the application."""
    portal.administer("PATCH", f"/v1/bitrix24/applications/{CLIENT_ID}", json=fields)


def address(at: str, **more: str) -> str:
    asked = {"client_id": CLIENT_ID, "response_type": "code", "state": "a&b=c", **more}
    return f"{at}/oauth/authorize/?{urlencode(asked)}"


def sign_in(page: Any, password: str = PASSWORD) -> None:
    page.get_by_label("Login").fill("anna")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in and allow").click()


def tokens(portal: Portal, code: str) -> dict[str, Any]:
    asked = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": code}
    answer = httpx2.post(f"{portal.plain}/oauth/token/", data=asked, timeout=30, trust_env=False)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


_OVER: list[Callable[[Portal], str]] = [lambda portal: portal.secure, lambda portal: portal.plain]


@pytest.mark.parametrize("over", _OVER, ids=["https", "http"])
def test_who_signs_in_comes_back_with_a_code_that_becomes_tokens(
    portal: Portal, back: Back, page: Any, over: Callable[[Portal], str]
) -> None:
    registered(portal, name="Judge", redirect_uri=back.url)
    page.goto(address(over(portal)))
    button = page.get_by_role("button", name="Sign in and allow")
    assert "Judge asks to work on this portal in your name" in page.locator("main").inner_text()
    assert button.evaluate("it => getComputedStyle(it).backgroundColor") == _ACCENT, "the style sheet is allowed"
    sign_in(page)
    answer = back.answers.get(timeout=30)
    assert answer["state"] == "a&b=c"
    assert tokens(portal, answer["code"])["user_id"] == 1


def test_a_wrong_password_is_said_on_the_page_and_the_next_try_works(portal: Portal, back: Back, page: Any) -> None:
    registered(portal, redirect_uri=back.url)
    page.goto(address(portal.secure))
    sign_in(page, "wrong")
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Login").input_value() == "anna"
    assert page.get_by_label("Password").input_value() == ""
    sign_in(page)
    assert back.answers.get(timeout=30)["code"]


def test_a_mobile_app_is_called_by_its_own_scheme(portal: Portal, page: Any) -> None:
    registered(portal, redirect_uri="myapp://back")
    page.goto(address(portal.secure))
    with page.expect_response(lambda answer: answer.status == 302) as sent:
        sign_in(page)
    assert sent.value.headers["location"].startswith("myapp://back?code=")


def test_a_name_that_is_markup_stays_text_and_runs_nothing(portal: Portal, back: Back, page: Any) -> None:
    name = '<img src="x" onerror="document.title=1"><script>document.title=2</script>'
    registered(portal, name=name, redirect_uri=back.url)
    page.goto(address(portal.secure))
    assert page.locator("strong").inner_text() == name
    assert (page.locator("img, script").count(), page.title()) == (0, f"Sign in to {urlsplit(portal.secure).netloc}")
    registered(portal, name="Judge")


def test_nobody_frames_the_page(portal: Portal, back: Back, chromium: Any) -> None:
    registered(portal, redirect_uri=back.url)
    with contextlib.closing(chromium.new_page()) as outer:
        outer.goto(f"{back.origin}/frame?{urlencode({'page': address(portal.plain)})}")
        (inner,) = outer.main_frame.child_frames
        assert inner.get_by_role("button").count() == 0
        outer.goto(address(portal.plain))
        assert outer.get_by_role("button").count() == 1


def test_no_script_sees_the_cookie(portal: Portal, back: Back, page: Any) -> None:
    registered(portal, redirect_uri=back.url)
    page.goto(address(portal.plain))
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/oauth/")


def test_two_pages_side_by_side_both_come_back(portal: Portal, back: Back, page: Any) -> None:
    registered(portal, redirect_uri=back.url)
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(address(portal.secure))
    for tab in (page, other):
        sign_in(tab)
    codes = {back.answers.get(timeout=30)["code"] for _ in range(2)}
    assert len(codes) == 2
