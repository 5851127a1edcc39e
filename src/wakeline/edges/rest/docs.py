"""The documentation that the gateway serves by itself: the API's reference, its OpenAPI document, a page for each error code.

Rule: every page is complete without JavaScript and loads nothing from elsewhere; the Content-Security-Policy says so.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from importlib.resources import files

from wakeline import __version__
from wakeline.edges.rest import openapi, problem_pages
from wakeline.edges.rest.operations import Answer, Call, Media, Operation, Reach
from wakeline.edges.rest.reference import facts_of
from wakeline.model.errors import NotFound

_STATIC = {"docs.css": Media.CSS, "docs.js": Media.SCRIPT}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_SECURE = (("content-security-policy", _POLICY), ("referrer-policy", "no-referrer"))


async def page(call: Call) -> Answer:
    """Show the reference of the API."""
    return Answer(body=_page(call.operations), media=Media.HTML, headers=_SECURE)


async def problem(call: Call) -> Answer:
    """Show what an error code means."""
    code = call.path["code"]
    known, words = problem_pages.by_code().get(code), problem_pages.PAGES.get(code)
    if known is None or words is None:
        raise NotFound(f"there is no error code {code[:64]!r}", fix="`/docs` lists them.")
    steps = "".join(f"<li>{_inline(step)}</li>" for step in words.steps)
    body = (
        f"<h1>{escape(code)}</h1><p><strong>{escape(known.title)}</strong> (HTTP {known.status}; exit code {known.exit_code} of "
        f"the command line)</p><p>{_inline(words.meaning)}</p><h2>What to do</h2><ol>{steps}</ol>"
        '<p><a href="/docs">The API</a></p>'
    )
    return Answer(body=_html(code, body), media=Media.HTML, headers=_SECURE)


async def static(call: Call) -> Answer:
    """Give out a file of the pages."""
    name = call.path["file"]
    if name not in _STATIC:
        raise NotFound("there is no such file")
    return Answer(body=_file(name), media=_STATIC[name])


async def machine_readable(call: Call) -> Answer:
    """Give out the OpenAPI document."""
    return Answer(body=openapi.document(call.operations))


@lru_cache(maxsize=4)
def _file(name: str) -> bytes:
    return files("wakeline.edges.rest").joinpath("static", name).read_bytes()


@lru_cache(maxsize=2)
def _page(operations: tuple[Operation, ...]) -> bytes:
    nouns = dict.fromkeys(operation.noun for operation in operations)
    contents = "".join(f'<li><a href="#{noun}">{noun}</a></li>' for noun in nouns)
    groups = "".join(
        f'<section id="{noun}"><h2>{noun}</h2>{"".join(_entry(one) for one in operations if one.noun == noun)}</section>'
        for noun in nouns
    )
    codes = "".join(
        f'<tr><td><a href="/docs/problems/{code}">{code}</a></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
        for code, kind in sorted(problem_pages.by_code().items())
        if code in problem_pages.PAGES
    )
    body = (
        f"<header><h1>Wakeline API</h1><p>Release {__version__}. For machines: <a href=/openapi.json>openapi.json</a>.</p></header>"
        f"<nav><ul>{contents}<li><a href=#errors>errors</a></li></ul></nav><main>{groups}"
        f"<section id=errors><h2>errors</h2><p>Errors are problem details (RFC 9457) with a stable <code>code</code>.</p>"
        f"<table><thead><tr><th>Code</th><th>Status</th><th>Meaning</th></tr></thead><tbody>{codes}</tbody></table></section></main>"
        '<script src="/docs/static/docs.js" defer></script>'
    )
    return _html("API", body)


def _entry(operation: Operation) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{_inline(value)}</dd>" for name, value in facts_of(operation))
    return (
        f'<details class="operation" id="{operation.name}" data-operation="{operation.name}"><summary>'
        f'<span class="method {operation.method.lower()}">{operation.method}</span> <code>{escape(operation.path)}</code> '
        f"<span>{escape(operation.summary)}</span></summary><dl>{facts}</dl></details>"
    )


def _inline(text: str) -> str:
    """Return text as HTML; what stands between backticks is code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def _html(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{escape(title)} - Wakeline</title><link rel="stylesheet" href="/docs/static/docs.css"></head>'
        f"<body>{body}</body></html>"
    ).encode()


def _operation(name: str, path: str, summary: str, media: Media) -> Operation:
    handlers = {"page": page, "problem": problem, "static": static, "openapi": machine_readable}
    return Operation(
        name=f"docs.{name}",
        method="GET",
        path=path,
        handler=handlers[name],
        summary=summary,
        reach=Reach.ANYBODY,
        media=media,
    )


OPERATIONS = (
    _operation("page", "/docs", "Read about the API", Media.HTML),
    _operation("problem", "/docs/problems/{code}", "Read what an error code means", Media.HTML),
    _operation("static", "/docs/static/{file}", "Styles and script of these pages", Media.CSS),
    _operation("openapi", "/openapi.json", "The API for machines (OpenAPI 3.1)", Media.JSON),
)
