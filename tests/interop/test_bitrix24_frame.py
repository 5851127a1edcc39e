"""Chromium opens our application in a frame of its portal: what it makes of the page's policy and of the portal's library."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from interop.bitrix24_portal import Portal, served
from wakeline.model.bitrix24.installation import BY_MEMBER_ID, ApplicationAccess, Installation, InstallationState
from wakeline.service.wiring import Gateway

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="the extra `interop` is not installed: no browser looked"
)
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: apt-get install chromium"),
]

NAME, MEMBER, TOKEN = "frame0123456789", "a223c6b3710f85df22e9377d6c4f7553", "51856fefc120afa4b628cc82d3935cce"
PORTAL, STRANGER = "https://acme.bitrix24.test", "https://evil.test"
_LIBRARY = """
window.BX24 = { init: ready => ready(), installFinish: () => { document.body.className = "finished"; } };
"""
_FORM = """<!doctype html><title>Portal</title>
<form method="post" target="application" action="{action}">
<input name="AUTH_ID" value="of-an-employee"><input name="REFRESH_ID" value="r"><input name="member_id" value="{member}">
<input name="APPLICATION_TOKEN" value="{token}"><input name="PLACEMENT" value="DEFAULT"></form>
<iframe name="application"></iframe>
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    async def connect(gateway: Gateway) -> None:
        ports = gateway._portal._connected.door._ports
        app = ports.apps.get("acme-chat")
        assert app is not None
        await ports.installations.create(
            Installation(
                id=0,
                name=NAME,
                app=app.id,
                access=ApplicationAccess(client_id="local.acme", client_secret="secret"),
                client_endpoint=f"{PORTAL}/rest/",
                member_id=MEMBER,
                application_token=TOKEN,
                prefix=BY_MEMBER_ID,
                state=InstallationState.ACTIVE,
            )
        )

    with served(tmp_path_factory.mktemp("gateway")) as made:
        made.run(connect)
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    # Pages of the Internet may frame nothing on the loopback, where the gateway of a test is.
    args = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
    with (
        playwright.sync_playwright() as driver,
        contextlib.closing(driver.chromium.launch(executable_path=CHROMIUM, args=args, timeout=60_000)) as browser,
    ):
        yield browser


@contextlib.contextmanager
def opened(chromium: Any, gateway: Portal, origin: str, token: str = TOKEN) -> Iterator[tuple[Any, list[str]]]:
    """Open the application at a page of this origin; the frame, and what the browser complained of."""
    context = chromium.new_context(ignore_https_errors=True)
    page, complaints = context.new_page(), []
    page.set_default_timeout(30_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    html = _FORM.format(action=f"{gateway.secure}/bitrix24/events/{NAME}", member=MEMBER, token=token)
    page.route(f"{origin}/**", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route(
        "https://api.bitrix24.com/**", lambda route: route.fulfill(body=_LIBRARY, content_type="text/javascript")
    )
    page.goto(f"{origin}/marketplace/app/1/")
    with page.expect_event("framenavigated", lambda frame: frame.parent_frame is not None):
        page.locator("form").evaluate("it => it.submit()")
    yield page.frame("application"), complaints
    context.close()


def _until_heard(page: Any, complaints: list[str], text: str) -> None:
    """Wait until the browser complained of this: it does so beside what it shows."""
    for _ in range(600):
        if any(text in said for said in complaints):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"nothing is said of {text}: {complaints}")


def test_the_page_tells_the_portal_that_the_installation_is_finished(chromium: Any, gateway: Portal) -> None:
    with opened(chromium, gateway, PORTAL) as (frame, complaints):
        frame.locator("body.finished").wait_for()
        assert frame.get_by_role("heading").inner_text() == "Connected"
        assert "acme.bitrix24.test" in frame.locator("main").inner_text()
        assert complaints == []


def test_nobody_else_frames_it(chromium: Any, gateway: Portal) -> None:
    with opened(chromium, gateway, STRANGER) as (frame, complaints):
        assert frame.get_by_role("heading").count() == 0
        _until_heard(frame.page, complaints, "frame-ancestors")


def test_who_is_refused_reads_why_and_runs_nothing(chromium: Any, gateway: Portal) -> None:
    with opened(chromium, gateway, PORTAL, token="x" * 32) as (frame, _):
        frame.get_by_role("alert").wait_for()
        assert frame.locator("script").count() == 0


def test_the_page_may_not_fetch_what_else_is_behind_our_address(chromium: Any, gateway: Portal) -> None:
    with opened(chromium, gateway, PORTAL) as (frame, _):
        frame.locator("body.finished").wait_for()
        said = frame.evaluate("() => fetch('/healthz').then(() => 'fetched', error => String(error))")
        assert said != "fetched"
