"""The pages that people see: sign in, or why not. Without script; one style sheet inside the page, named by its hash.

Rule: the policy lets the form lead to us and to the application's own address and nowhere else; nobody may frame the page.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from wakeline.edges.bitrix24.oauth.ticket import LIFE
from wakeline.edges.bitrix24.redirects import form_source
from wakeline.model.bitrix24.access import PortalApplication

if TYPE_CHECKING:
    from jinja2 import Environment

COOKIE = "wakeline_login"
_PATH = "/oauth/"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - most commands show no page

    found = Environment(
        loader=PackageLoader("wakeline.edges.bitrix24.oauth", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["style"] = _style()
    return found


def login(
    application: PortalApplication,
    host: str,
    ticket: str,
    cookie: str,
    *,
    secure: bool,
    said: str = "",
    name: str = "",
    status: int = 200,
) -> HTMLResponse:
    """Return the login page. `said`: what went wrong the last time; `name`: what stood in its first field."""
    page = _answer(
        _environment()
        .get_template("login.html")
        .render(application=application, host=host, ticket=ticket, said=said, name=name),
        status,
        form_source(application.redirect_uri),
    )
    page.set_cookie(COOKIE, cookie, max_age=LIFE, path=_PATH, secure=secure, httponly=True, samesite="lax")
    return page


def refused(cause: str, fix: str, status: int) -> HTMLResponse:
    """Return a page that says why nothing can be done, and what to do about it."""
    return _answer(_environment().get_template("refused.html").render(cause=cause, fix=fix), status, "")


def _answer(html: str, status: int, destination: str) -> HTMLResponse:
    policy = (
        f"default-src 'none'; style-src '{_style_hash()}'; form-action 'self' {destination}".rstrip()
        + "; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return HTMLResponse(html, status, headers)


@cache
def _style() -> str:
    return files("wakeline.edges.bitrix24.oauth").joinpath("templates", "style.css").read_text()


@cache
def _style_hash() -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
