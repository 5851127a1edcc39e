"""Rows of the offline queue and of lists become the events that a portal would have posted."""

from __future__ import annotations

import pytest

from wakeline.connectors.bitrix24 import late_events
from wakeline.connectors.bitrix24.kinds import BY_RECORD, Change
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent, subject_of
from wakeline.model.bitrix24.records import Record, RecordKind
from wakeline.wire.bitrix24.event_data import canonical

MADE, CHANGED = "2026-11-22T10:00:00+03:00", "2026-11-22T10:30:00+03:00"
MADE_MS = 1_795_330_800_000
CHANGED_MS = MADE_MS + 1_800_000
NOW = MADE_MS + 86_400_000


def deal(**fields: object) -> Record:
    said = {"ID": "7", "DATE_CREATE": MADE, "DATE_MODIFY": CHANGED, "MODIFY_BY_ID": "4", **fields}
    return Record(kind=RecordKind.DEAL, id=7, fields=said)


def row(**said: object) -> dict[str, object]:
    usual = {"EVENT_NAME": "OnCrmDealUpdate", "EVENT_DATA": {"FIELDS": {"ID": 7}}, "MESSAGE_ID": "m" * 32}
    return {**usual, "TIMESTAMP_X": CHANGED, "EVENT_ADDITIONAL": {"user_id": "4"}, **said}


def rows(result: object) -> list[late_events.Row]:
    return late_events.rows(3, result, portal_now=NOW, now=NOW)


def listed(record: Record, known: dict[bytes, int] | None = None, *, since: int) -> list[ReceivedEvent]:
    return late_events.listed(3, record, known or {}, since=since, now=NOW)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (MADE, MADE_MS),
        ("2026-11-22T07:00:00Z", MADE_MS),
        ("2026-11-22T07:00:00.5+00:00", MADE_MS + 500),
        ("2026-11-22T10:00:00", 0),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
        (1_795_330_800, 0),
    ],
)
def test_a_moment_without_an_offset_is_none(said: object, at: int) -> None:
    assert late_events.moment(said) == at


class TestRows:
    def test_a_row_is_the_event_that_would_have_been_posted(self) -> None:
        (found,) = rows({"process_id": "p1", "events": [row()]})

        posted = canonical({"FIELDS": {"ID": "7"}})
        assert (found.process, found.message) == ("p1", "m" * 32)
        assert found.event.subject == subject_of("ONCRMDEALUPDATE", posted)
        assert (found.event.data, found.event.record, found.event.user) == (posted, 7, 4)
        assert (found.event.at, found.event.received, found.event.origin) == (CHANGED_MS, NOW, Origin.OFFLINE)

    def test_what_is_listed_says_itself_who_has_reserved_it(self) -> None:
        first, second = rows([row(PROCESS_ID="p2"), row(PROCESS_ID=None)])

        assert (first.process, second.process) == ("p2", "")

    def test_an_event_without_data_user_or_moment_is_one_of_now(self) -> None:
        (found,) = rows([row(EVENT_DATA=False, EVENT_ADDITIONAL=False, TIMESTAMP_X="?")])

        assert (found.event.data, found.event.user, found.event.at) == (b"{}", 0, NOW)

    @pytest.mark.parametrize(
        "result", [None, False, "x", {}, {"events": None}, [1, None], [row(MESSAGE_ID=5)], [row(EVENT_NAME="")]]
    )
    def test_what_is_no_row_is_left_out(self, result: object) -> None:
        assert rows(result) == []


class TestListed:
    def test_a_record_that_was_made_in_the_span_is_an_add(self) -> None:
        (made,) = listed(deal(DATE_MODIFY=MADE), since=MADE_MS)

        assert (made.event, made.at, made.user, made.record) == ("ONCRMDEALADD", MADE_MS, 4, 7)

    def test_one_that_was_made_and_has_changed_since_is_both(self) -> None:
        made, changed = listed(deal(), since=MADE_MS)

        assert (made.event, made.at) == ("ONCRMDEALADD", MADE_MS)
        assert (changed.event, changed.at) == ("ONCRMDEALUPDATE", CHANGED_MS)

    def test_one_that_was_made_before_it_is_an_update(self) -> None:
        (changed,) = listed(deal(), since=MADE_MS + 1000)

        assert (changed.event, changed.at) == ("ONCRMDEALUPDATE", CHANGED_MS)

    def test_one_of_whose_making_we_know_is_an_update_if_it_changed_later(self) -> None:
        made, _ = late_events.subjects(deal())
        (changed,) = listed(deal(), {made: MADE_MS}, since=MADE_MS)

        assert changed.event == "ONCRMDEALUPDATE"

    def test_that_it_was_made_is_told_also_if_a_later_change_was(self) -> None:
        _, updated = late_events.subjects(deal())
        (made,) = listed(deal(), {updated: CHANGED_MS}, since=MADE_MS)

        assert (made.event, made.at) == ("ONCRMDEALADD", MADE_MS)

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize(("after", "told"), [(-2000, False), (-1000, True), (0, True), (5000, True)])
    def test_a_change_that_was_told_at_that_moment_or_later_is_told(self, which: int, after: int, told: bool) -> None:
        known = {late_events.subjects(deal())[which]: CHANGED_MS + after}

        assert (listed(deal(), known, since=MADE_MS + 1000) == []) is told

    def test_a_record_that_does_not_say_when_it_changed_is_no_event(self) -> None:
        assert listed(deal(DATE_MODIFY=None), since=0) == []

    @pytest.mark.parametrize("kind", list(RecordKind))
    def test_every_kind_reads_the_fields_that_it_asks_for(self, kind: RecordKind) -> None:
        table = BY_RECORD[kind]
        asked = late_events.fields_needed(table)
        fields: dict[str, object] = dict.fromkeys(asked, "4")
        fields |= {"ID": "7", table.created: MADE, table.changed: CHANGED}
        (changed,) = listed(Record(kind=kind, id=7, fields=fields), since=NOW)

        assert (changed.event, changed.user, changed.record) == (table.event(Change.UPDATE), 4, 7)
