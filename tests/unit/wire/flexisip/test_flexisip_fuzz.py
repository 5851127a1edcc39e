"""Whatever a stranger writes: values, settings and templates are read or refused, and nothing else happens."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from wakeline.model.errors import InvalidRequest
from wakeline.model.sip.push import PushTexts
from wakeline.wire.content import encode
from wakeline.wire.flexisip.external import read_phone
from wakeline.wire.flexisip.payloads import Form, Occasion, Push, apple, collapse_id_of, firebase
from wakeline.wire.flexisip.placeholders import NAMES, asked, check_template, fill
from wakeline.wire.flexisip.rules import RULES, translate

_VALUES = st.dictionaries(
    st.sampled_from([*NAMES, "appid", "cid", "snd", "x"]),
    st.one_of(st.text(max_size=80), st.sampled_from(["apple", "firebase", "call", "a1" * 32, "org.x.voip.dev"])),
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@given(_VALUES)
@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
def test_a_push_that_is_asked_for_is_understood_or_refused(query: dict[str, str]) -> None:
    with contextlib.suppress(InvalidRequest):
        found = asked(query)
        assert found.token


@given(st.text(max_size=200))
@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
def test_a_phone_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert read_phone(text)["token"]


@given(_VALUES, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
def test_no_value_moves_a_request_to_another_host(values: dict[str, str], rest: str) -> None:
    template = f"https://push.example.org/{rest}?t=$token"
    with contextlib.suppress(InvalidRequest):
        check_template(template)
        found = fill(template, values)
        assert found.isascii()
        assert found.isprintable()
        assert urlsplit(found).netloc == "push.example.org"


@given(st.lists(st.tuples(st.sampled_from(sorted(RULES)), st.text(max_size=40)), max_size=5), st.text(max_size=80))
@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
def test_every_settings_file_is_read(pairs: list[tuple[tuple[str, str], str]], rest: str) -> None:
    text = "".join(f"[{section}]\n{name}={value}\n" for (section, name), value in pairs) + rest
    assert all(one.verdict.why for one in translate(text))


@given(st.sampled_from(Form), st.sampled_from(Occasion), _TEXT, _TEXT, _TEXT)
@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
def test_every_payload_is_json_within_what_the_push_services_take(
    form: Form, occasion: Occasion, name: str, uri: str, call_id: str
) -> None:
    call_id = call_id[:200]
    push = Push(occasion=occasion, ttl=30, at=0, from_name=name, from_uri=uri, call_id=call_id)
    document = encode(apple(form, PushTexts(), push))
    assert len(document) <= (5120 if form is Form.PUSHKIT else 4096)
    assert call_id in json.dumps(json.loads(document), ensure_ascii=False) or not call_id.isalnum()
    assert len(encode(firebase(PushTexts(), push))) <= 4096
    assert len(collapse_id_of(call_id).encode()) <= 64
