"""The pages that people see at this door: in a frame of their portal, or back from its authorization page.

Rule: a page may be framed by the portal that it is about and by nobody else. In a portal's frame it runs Bitrix24's own library,
which it needs to say that the installation is finished (until then no events go out); it may fetch nothing and send nothing.
Source: Bitrix24 REST, "Completing application installation" (BX24.installFinish; it has no effect once that is so).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from wakeline.edges.bitrix24.connected.refused import Refused
from wakeline.model.bitrix24.installation import Installation

if TYPE_CHECKING:
    from jinja2 import Environment

_LIBRARY = "https://api.bitrix24.com/api/v1/"
_FINISH = "BX24.init(function () { BX24.installFinish(); });"


@cache
def _environment() -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - most gateways show no page

    own, login = (PackageLoader(f"wakeline.edges.bitrix24.{edge}", "templates") for edge in ("connected", "oauth"))
    found = Environment(
        loader=ChoiceLoader([own, login]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("wakeline.edges.bitrix24.oauth").joinpath("templates", "style.css").read_text()
    found.globals |= {"style": style, "library": _LIBRARY, "finish": _FINISH}
    return found


def connected(installation: Installation, *, framed: bool) -> HTMLResponse:
    """Return the page that says that a portal is connected; `framed`: in a frame of that portal."""
    html = _environment().get_template("connected.html").render(portal=_host(installation), framed=framed)
    return _answer(html, 200, _frame(installation) if framed else "'none'", scripts=framed)


def refused(refusal: Refused, installation: Installation | None) -> HTMLResponse:
    """Return the page that says why it does not work; `installation`: the one whose portal may frame it."""
    html = _environment().get_template("refused.html").render(cause=refusal.cause, fix=refusal.fix)
    return _answer(html, refusal.status, _frame(installation), scripts=False)


def _frame(installation: Installation | None) -> str:
    if installation is None:
        return "'none'"
    return f"{urlsplit(installation.client_endpoint).scheme}://{_host(installation)}"


def _host(installation: Installation) -> str:
    return urlsplit(installation.client_endpoint).netloc


def _answer(html: str, status: int, frame: str, *, scripts: bool) -> HTMLResponse:
    allowed = f"script-src {_LIBRARY} '{_hash(_FINISH)}'; " if scripts else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(_environment().globals['style'])}'; {allowed}"
        f"form-action 'none'; base-uri 'none'; frame-ancestors {frame}"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return HTMLResponse(html, status, headers)


@cache
def _hash(inline: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
