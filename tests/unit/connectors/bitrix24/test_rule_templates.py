"""Templates of rules: what they may use, and what hostile ones are refused or cut off at."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeline.connectors.bitrix24.rules import sandbox, templates
from wakeline.model.errors import InvalidRequest

RECORD = {
    "ID": "7",
    "TITLE": "Pumps",
    "OPPORTUNITY": "1250.50",
    "CURRENCY_ID": "EUR",
    "ASSIGNED_BY_ID": "3",
    "DATE_MODIFY": "2026-01-05T09:37:00+03:00",
    "COMMENTS": "<b>Call</b>&nbsp;[i]back[/i] &amp; [url=https://a.example]ask[/url]",
    "PHONE": [{"VALUE": "+491"}, {"VALUE": "+492"}],
    "UF_MONEY": "99|USD",
    "NOTHING": None,
    "LONG": "x" * 4096,
    "MANY": [str(number) for number in range(500)],
}
VARIABLES: dict[str, object] = {
    **dict.fromkeys(templates.VARIABLES),
    "event": "ONCRMDEALUPDATE",
    "data": {"FIELDS": {"ID": "7"}},
    "record": RECORD,
    "deal": RECORD,
    "responsible": {"ID": "3", "NAME": "Anna"},
    "user": 5,
}


def rendered(source: str, most: int = 4096) -> str:
    return templates.template(source).text(VARIABLES, most)


def value(source: str) -> object:
    return templates.expression(source).value(VARIABLES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ deal.TITLE }} is {{ deal.OPPORTUNITY|money(deal.CURRENCY_ID) }}", "Pumps is 1\u00a0250.50\u00a0EUR"),
        ("{{ 1000000|money }} {{ '12'|money('JPY') }}", "1\u00a0000\u00a0000 12\u00a0JPY"),
        ("{{ record.UF_MONEY|money }}", "99\u00a0USD"),
        ("{{ '1234567.8'|money('EUR', '.', ',') }}", "1.234.567,80\u00a0EUR"),
        ("{{ 'about ten'|money('EUR') }}", "about ten"),
        ("{{ deal.DATE_MODIFY|date }}", "05.01.2026 09:37"),
        ("{{ deal.DATE_MODIFY|date('%Y-%m-%d, 100%%') }}", "2026-01-05, 100%"),
        ("{{ '19.11.2026 10:00:00'|date('%d %b') }}{{ ''|date }}", "19 Nov"),
        ("{{ deal.COMMENTS|striptags }}", "Call back & ask"),
        ("{{ deal.PHONE|map(attribute='VALUE')|join(', ') }}", "+491, +492"),
        (
            "{% for p in deal.PHONE %}{{ loop.index }}:{{ p.VALUE }}{% if not loop.last %} {% endif %}{% endfor %}",
            "1:+491 2:+492",
        ),
        ("{% set name = responsible.NAME %}{{ name|upper ~ '!' }}", "ANNA!"),
        ("{{ lead.TITLE if lead else 'no lead' }}", "no lead"),
        (
            "{{ deal.NOTHING }}|{{ deal.NOTHING|default('none') }}|{{ deal.UNKNOWN|default('unknown') }}",
            "|none|unknown",
        ),
        ("{{ deal.LONG|truncate(5) }}{{ deal.TITLE[:2] }}", "xxxxx\u2026Pu"),
        ("{{ data.FIELDS.ID }} {{ data['FIELDS']['ID']|int + 1 }} {{ (7.6)|round }} {{ '5'|float / 2 }}", "7 8 8 2.5"),
        ("{{ 'Deal' + ' ' + 'won' }}", "Deal won"),
        ("  {# a remark #} {{ event }}\n", "ONCRMDEALUPDATE"),
        ("half a character: {{ '\ud83d' }}", "half a character: ?"),
    ],
)
def test_a_template_makes_a_text(source: str, text: str) -> None:
    assert rendered(source) == text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("record.ASSIGNED_BY_ID", "3"),
        ("[record.ASSIGNED_BY_ID, 7, user]", ["3", 7, 5]),
        ("record.OPPORTUNITY|float > 1000 and record.CURRENCY_ID in ['EUR', 'USD']", True),
        ("before is none or before.TITLE != record.TITLE", True),
        ("record.UNKNOWN is defined", False),
        ("record.NOTHING is empty and user is number", True),
    ],
)
def test_an_expression_yields_a_value(source: str, found: object) -> None:
    assert value(source) == found


def test_a_template_tells_which_variables_it_reads() -> None:
    assert templates.template("{% set x = deal.TITLE %}{{ x }}{{ responsible.NAME }}").uses == {"deal", "responsible"}
    assert templates.expression("7").uses == frozenset()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ ''.__class__.__mro__ }}", "there is no __mro__"),
        ("{{ record['__class__'] }}", "there is no __class__"),
        ("{{ record.items }}", "there is no items"),
        ("{{ record.TITLE|attr('__class__') }}", "no filter attr"),
        ("{{ deal.keys() }}", "nothing can be called"),
        ("{{ range(10**9) }}", "nothing can be called"),
        ("{{ lipsum(5) }}", "nothing can be called"),
        ("{{ cycler.__init__ }}", "there is no __init__"),
        ("{{ self }}", "there is no self"),
        ("{% for x in record.MANY %}{{ loop.__init__ }}{% endfor %}", "there is no __init__"),
        ("{% for x in record.MANY %}{{ loop._iterator }}{% endfor %}", "there is no _iterator"),
        ("{{ loop }}", "'loop' is undefined"),
        ("{% include '/etc/passwd' %}", "Include is not available"),
        ("{% import 'os' as os %}", "Import is not available"),
        ("{% extends 'x' %}", "Extends is not available"),
        ("{% macro f() %}{{ f() }}{% endmacro %}", "Macro is not available"),
        ("{% for x in record.MANY recursive %}{{ loop(x) }}{% endfor %}", "not recursive"),
        ("{% filter upper %}x{% endfilter %}", "FilterBlock is not available"),
        ("{% set x %}x{% endset %}", "AssignBlock is not available"),
        ("{% set record.TITLE = 1 %}", "one variable"),
        ("{{ record|default(*[1]) }}", "* and **"),
        ("{{ record is sameas(none) }}", "no test sameas"),
    ],
)
def test_a_template_reaches_nothing_but_its_variables(source: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rendered(source)
    assert why in refused.value.detail


@pytest.mark.parametrize(
    "source",
    [
        "{{ '{0.__class__}'.format(record) }}",
        "{{ '{:>99999999999}'.format(1) }}",
        "{{ '%s'|format(record) }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ 'x'.format_map(record) }}",
        "{{ 'x'|center(10**9) }}",
        "{{ 'x'|indent(1000000000) }}",
        "{{ deal.DATE_MODIFY|date('%9999999999d') }}",
        "{{ deal.DATE_MODIFY|date('%') }}",
    ],
)
def test_a_template_cannot_play_tricks_with_formats(source: str) -> None:
    with pytest.raises(InvalidRequest):
        rendered(source)


def test_fields_may_be_called_as_newer_methods_do() -> None:
    assert rendered("{{ deal.title }} {{ deal.currencyId }} {{ deal['currencyId'] }}") == "Pumps EUR EUR"
    assert value("deal.assignedById|int") == 3
    assert value("deal.leadId|default('none')") == "none"
    with pytest.raises(InvalidRequest, match="there is no titel"):
        rendered("{{ deal.titel }}")


def test_names_of_pythons_own_are_refused_before_anything_is_rendered() -> None:
    with pytest.raises(InvalidRequest, match="there is no __class__"):
        templates.template("{{ record.__class__ }}")


DOUBLED = "{% set t = deal.LONG %}" + "{% set t = t ~ t %}" * 60 + "{{ t|length }}"
ADDED = "{% set t = deal.LONG %}" + "{% set t = t + t %}" * 60 + "{{ t|length }}"
SQUARED = "{% set n = 999999999 %}" + "{% set n = n * n %}" * 60 + "{{ n }}"
NESTED_LISTS = "{% set a = ['x', 'x'] %}" + "{% set a = [a, a] %}" * 60 + "{{ a|length }}"
IN_LOOPS = "{% for a in [deal.LONG] %}{% for b in [a ~ a] %}{% for c in [b ~ b] %}{% for d in [c ~ c] %}{{ d }}"
IN_LOOPS += "{% endfor %}" * 4


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ deal.MANY * 1000000 }}",
        DOUBLED,
        ADDED,
        SQUARED,
        NESTED_LISTS,
        IN_LOOPS,
        "{{ deal.MANY|join(deal.LONG) }}",
        "{{ deal.LONG|replace('x', deal.LONG) }}",
        "{{ 99999999999999999999999 * 2 }}",
        "{{ deal.MANY }}",
        "{{ record }}",
    ],
)
def test_a_template_cannot_make_something_huge(source: str) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest):
        rendered(source)
    assert time.thread_time() - began < 2


LOOPS = "".join(f"{{% for {name} in deal.MANY %}}" for name in "abcdef") + "{% endfor %}" * 6
SILENT = "{% for a in deal.MANY %}{% for b in deal.MANY %}{% if deal.LONG|striptags|upper|striptags == a %}{% endif %}"
SILENT += "{% endfor %}{% endfor %}"
FILTERED = "{% for a in deal.MANY if deal.MANY|join|striptags|length > 9999 %}{% endfor %}"


LOOKED_UP = "{% for a in deal.MANY %}{% for b in deal.MANY %}{% if deal[deal.MANY]|default(1) %}{% endif %}"
LOOKED_UP += "{% endfor %}{% endfor %}"
COMPARED = (
    "{% for a in deal.MANY %}{% for b in deal.MANY %}{% if '" + "a" * 600 + "b" + "a" * 600 + "' in '" + "a" * 2400
)
COMPARED += "' %}{% endif %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("source", [LOOPS, SILENT, FILTERED * 40, LOOKED_UP, COMPARED])
def test_a_template_cannot_work_for_long(source: str) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest) as refused:
        rendered(source)
    assert "too much work" in refused.value.detail
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{{ " + "not " * 900 + "1 }}",
        "{{ " + "[" * 900 + "]" * 900 + " }}",
        "{{ 1" + "|abs" * 300 + " }}",
        "{{ 1" + " + 1" * 300 + " }}",
        "{{ deal" + ".x" * 300 + " }}",
        "{% if deal %}" * 100 + "x" + "{% endif %}" * 100,
        "{{ 1|d }}" * 440,
        "x" * (sandbox.SOURCE + 1),
    ],
)
def test_a_template_cannot_be_deep_or_long(source: str) -> None:
    with pytest.raises(InvalidRequest):
        templates.template(source)


PIECES = st.sampled_from(
    [
        "deal", "record", "loop", "'x'", "7", "[1, deal.TITLE]", ".TITLE", ".MANY", ".__class__", "['LONG']", "[0]", "[1:]",
        "|upper", "|join(deal.LONG)", "|map(attribute='VALUE')", "|replace('x', deal.LONG)", "|money", "|date('%d')",
        "|default(deal)", "|striptags", "|round(9)", " ~ ", " + ", " * ", " % ", " ** ", " in ", " == ", " if ", " else ",
        "(", ")", "[", "]", "{{ ", " }}", "{% for a in deal.MANY %}", "{% endfor %}", "{% set a = ", " %}", "a", "{% if ",
        "{% endif %}", "{# ", " #}", "\n", " is defined", "not ", "{% macro a() %}", ".format(", "\ud83d", "%999999d",
    ]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_whatever_is_written_it_is_a_text_or_a_refusal(source: str) -> None:
    for template in (source, "{{ " + source + " }}"):
        with contextlib.suppress(InvalidRequest):
            rendered(template)
    with contextlib.suppress(InvalidRequest):
        value(source)


def test_what_is_too_long_for_a_push_is_cut_while_it_is_made() -> None:
    assert rendered("{% for a in deal.MANY %}{{ deal.LONG }}{% endfor %}", 100) == "x" * 100


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ deal.TITEL }}", "there is no TITEL"),
        ("{{ lead.TITLE }}", "there is no TITLE in what is none"),
        ("{{ dael.TITLE }}", "there is no dael"),
        ("{{ deal.TITLE|shout }}", "no filter shout"),
        ("line one\n{{ deal.TITLE", "line 2"),
        ("{% if deal %}", "endif"),
        ("{{ deal.OPPORTUNITY > 5 }}", "|float"),
        ("{{ deal.OPPORTUNITY * 2 }}", "value|float"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ deal.TITLE|date }}", "is no date"),
    ],
)
def test_a_wrong_template_says_what_is_wrong(source: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rendered(source)
    assert why in refused.value.detail


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ record.ID }}", "without braces"),
        ("record.ID user", "something follows"),
        ("", "unexpected"),
        ("record.UNKNOWN", "there is no UNKNOWN"),
        ("lambda: 1", "something follows"),
        ("__import__('os')", "nothing can be called"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(source: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        value(source)
    assert why in refused.value.detail
