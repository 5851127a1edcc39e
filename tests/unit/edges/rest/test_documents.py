"""The API describes itself: OpenAPI, the served pages, docs/reference/rest.md and docs/problems all say the same."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from unit.edges.rest.gateway import Gateway
from wakeline.edges.rest import OPERATIONS, openapi, problem_pages, reference
from wakeline.edges.rest.operations import Reach
from wakeline.edges.rest.problems import problem_of
from wakeline.model.errors import WakelineError
from wakeline.model.event import EventType

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def document() -> Any:
    return openapi.build(OPERATIONS)


def test_the_document_is_valid_openapi(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_is_in_the_document(document: Any) -> None:
    described = {
        (path, method.upper()): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert described == {(operation.path, operation.method): operation.name for operation in OPERATIONS}


def test_what_webhooks_are_told_is_in_the_document_type_by_type(document: Any) -> None:
    assert list(document["webhooks"]) == list(EventType)
    for told in document["webhooks"].values():
        assert "2XX" in told["post"]["responses"]
        reference_to_event = told["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert reference_to_event.rpartition("/")[2] in document["components"]["schemas"]


def test_names_of_operations_are_unique_and_lists_of_scopes_are_there() -> None:
    names = [operation.name for operation in OPERATIONS]

    assert len(names) == len(set(names))
    for operation in OPERATIONS:
        assert bool(operation.scopes) is (operation.reach is not Reach.ANYBODY), operation.name


def test_every_post_takes_an_idempotency_key(document: Any) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = [parameter["name"] for parameter in operation["parameters"]]
            assert ("Idempotency-Key" in names) is (method == "post"), path


def test_pages_in_docs_are_made_from_the_table_and_the_error_tree() -> None:
    """`python docs/draw_api.py` makes them."""
    pages = {
        DOCS / "reference" / "rest.md": reference.markdown(OPERATIONS),
        DOCS / "problems" / "index.md": problem_pages.index(),
        **{DOCS / "problems" / f"{code}.md": problem_pages.markdown(code) for code in problem_pages.PAGES},
    }

    for file, text in pages.items():
        assert file.read_text() == text, file.name


def test_every_error_has_a_page_a_status_and_an_exit_code() -> None:
    classes = list(problem_pages.classes())

    assert len(classes) > 25
    for kind in classes:
        assert kind.code in problem_pages.PAGES, kind
        assert 400 <= kind.status < 600
        assert 1 <= kind.exit_code <= 5
        assert kind.title
        assert (DOCS / "problems" / f"{kind.code}.md").is_file()


def test_there_is_no_page_about_an_error_that_is_not_there() -> None:
    assert set(problem_pages.PAGES) == set(problem_pages.by_code())
    assert {path.stem for path in (DOCS / "problems").glob("*.md")} - {"index"} == set(problem_pages.PAGES)


def test_codes_belong_to_one_meaning() -> None:
    for kind in problem_pages.classes():
        first = problem_pages.by_code()[kind.code]
        assert issubclass(kind, first), (kind, first)


async def test_the_pages_are_whole_without_script_and_load_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = await gateway.call("GET", "/docs", key="")

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for operation in OPERATIONS:
        assert operation.summary in unescape(page.text)
    assert "<style" not in page.text
    loaded = re.findall(r'(?:src|rel="stylesheet" href)="([^"]+)"', page.text)
    assert loaded == ["/docs/static/docs.css", "/docs/static/docs.js"]
    for path in loaded:
        assert (await gateway.call("GET", path, key="")).status_code == 200


async def test_links_inside_the_pages_lead_somewhere(gateway: Gateway) -> None:
    page = await gateway.call("GET", "/docs", key="")

    for link in dict.fromkeys(re.findall(r'href="?(/[^">\s]+)', page.text)):
        assert (await gateway.call("GET", link, key="")).status_code == 200, link


async def test_the_document_is_served(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/openapi.json", key="")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/docs/problems/none", "/docs/static/none.js", "/docs/static/..%2F..%2Fasgi.py"])
async def test_what_is_not_a_page_is_404(gateway: Gateway, path: str) -> None:
    assert (await gateway.call("GET", path, key="")).status_code == 404


def test_an_inside_error_never_shows_its_text() -> None:
    assert "secret" not in problem_of(WakelineError("secret"), "r").detail
