from __future__ import annotations

import pytest

from wakeline.connectors.bitrix24 import answers, kinds
from wakeline.connectors.bitrix24.kinds import BY_RECORD, Change
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.records import RecordKind

NOW = 1_760_000_000_000
DEAL, LEAD, TASK = BY_RECORD[RecordKind.DEAL], BY_RECORD[RecordKind.LEAD], BY_RECORD[RecordKind.TASK]


@pytest.mark.parametrize(
    ("event", "data", "kind", "number", "change"),
    [
        ("ONCRMDEALADD", {"FIELDS": {"ID": "7405"}}, RecordKind.DEAL, 7405, Change.ADD),
        ("ONCRMLEADUPDATE", {"FIELDS": {"ID": "3"}}, RecordKind.LEAD, 3, Change.UPDATE),
        ("ONCRMACTIVITYADD", {"FIELDS": {"ID": 12}}, RecordKind.ACTIVITY, 12, Change.ADD),
        ("ONTASKADD", {"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": {"ID": "9"}}, RecordKind.TASK, 9, Change.ADD),
        (
            "ONTASKUPDATE",
            {"FIELDS_BEFORE": {"ID": "9"}, "FIELDS_AFTER": {"ID": "9"}},
            RecordKind.TASK,
            9,
            Change.UPDATE,
        ),
        (
            "ONTASKDELETE",
            {"FIELDS_BEFORE": {"ID": "9"}, "FIELDS_AFTER": "undefined"},
            RecordKind.TASK,
            9,
            Change.DELETE,
        ),
        (
            "ONTASKCOMMENTADD",
            {"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": {"ID": "55", "TASK_ID": "9"}},
            RecordKind.TASK,
            9,
            Change.REMARK,
        ),
    ],
)
def test_an_event_tells_which_record_it_is_about(
    event: str, data: dict[str, object], kind: RecordKind, number: int, change: Change
) -> None:
    found = kinds.subject(event, data)
    assert found is not None
    assert (found.kind.record, found.number, found.change) == (kind, number, change)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("ONEXTERNALCALLSTART", {"FIELDS": {"ID": "7"}}),
        ("ONCRMDEALADD", {}),
        ("ONCRMDEALADD", {"FIELDS": "7"}),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "-7"}}),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "\u0667"}}),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "9" * 40}}),
        ("ONCRMDEALADD", {"FIELDS": {"ID": ["7"]}}),
    ],
)
def test_an_event_without_a_proper_id_is_about_no_record(event: str, data: dict[str, object]) -> None:
    assert kinds.subject(event, data) is None


def test_each_kind_has_an_event_for_each_change() -> None:
    for kind in kinds.KINDS:
        for change in (Change.ADD, Change.UPDATE, Change.DELETE):
            assert kinds.told(kind.event(change)) == (kind, change)


def test_a_task_is_kept_by_its_older_names() -> None:
    answer = {"task": {"id": "9", "title": "Offer", "responsibleId": "7", "changedDate": "2026-01-01T00:00:00+00:00"}}
    found = answers.record(TASK, answer, NOW)
    assert found is not None
    assert (found.id, found.changed) == (9, NOW)
    assert found.fields == {
        "ID": "9",
        "TITLE": "Offer",
        "RESPONSIBLE_ID": "7",
        "CHANGED_DATE": "2026-01-01T00:00:00+00:00",
    }


def test_the_newer_answer_of_the_crm_is_kept_like_the_older_one() -> None:
    answer = {
        "item": {
            "id": 5,
            "title": "Pumps",
            "stageId": "NEW",
            "opportunity": 1250.5,
            "assignedById": 7,
            "createdTime": "2026-01-01T00:00:00+00:00",
            "ufCrm_1700000000": "blue",
            "isManualOpportunity": "N",
            "hasPhone": True,
            "fm": [{"id": 3, "typeId": "PHONE", "valueType": "WORK", "value": "+49301"}],
        }
    }
    found = answers.record_of_item(LEAD, answer, NOW)
    assert found is not None
    assert found.fields == {
        "ID": "5",
        "TITLE": "Pumps",
        "STATUS_ID": "NEW",
        "OPPORTUNITY": "1250.50",
        "ASSIGNED_BY_ID": "7",
        "DATE_CREATE": "2026-01-01T00:00:00+00:00",
        "UF_CRM_1700000000": "blue",
        "IS_MANUAL_OPPORTUNITY": "N",
        "HAS_PHONE": "Y",
        "PHONE": [{"ID": "3", "TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": "+49301"}],
    }


def test_only_the_crm_has_another_way_to_a_record() -> None:
    assert DEAL.get_item(7) == ("crm.item.get", {"entityTypeId": 2, "id": 7})
    assert TASK.get_item(7) is None


@pytest.mark.parametrize("answer", [[], None, "x", {"result": 1}, {"task": []}, {"task": {"title": "no id"}}])
def test_an_answer_without_a_record_yields_none(answer: object) -> None:
    assert answers.record(TASK, answer, NOW) is None


def test_a_field_that_is_nested_without_end_is_cut() -> None:
    row: dict[str, object] = {"ID": "7"}
    inner = row
    for _ in range(900):
        inner["UF"] = inner = {}
    found = answers.record(DEAL, row, NOW)
    assert found is not None
    assert repr(found.fields).count("UF") == answers.DEEPEST + 1


def test_a_page_yields_its_records_and_leaves_out_what_is_none() -> None:
    deals = answers.records(DEAL, [{"ID": "1", "TITLE": "a"}, "x", {"TITLE": "no id"}, {"ID": "2"}], NOW)
    assert [one.id for one in deals] == [1, 2]
    assert [one.id for one in answers.records(TASK, {"tasks": [{"id": "4"}]}, NOW)] == [4]
    assert answers.records(TASK, [], NOW) == []


@pytest.mark.parametrize(
    ("code", "text", "missing"),
    [
        ("", "Not found", True),
        ("NOT_FOUND", "Element not found", True),
        ("0", "wrong task id", True),
        ("", "Access denied.", False),
        ("insufficient_scope", "not found", False),
        ("ERROR_METHOD_NOT_FOUND", "Method not found!", False),
    ],
)
def test_a_refusal_tells_whether_the_record_is_gone(code: str, text: str, missing: bool) -> None:
    assert answers.is_missing(code, text) is missing


def test_a_user_of_a_portal_keeps_how_they_log_in_here() -> None:
    known = PortalUser(id=7, login="anna", password="hash", admin=True, name="Old", created=5)
    [fields] = answers.users([{"ID": "7", "ACTIVE": True, "NAME": "Anna", "UF_PHONE_INNER": 107}, {"NAME": "nobody"}])
    user = answers.portal_user(fields, known, NOW)
    assert (user.login, user.password, user.admin, user.created) == ("anna", "hash", True, 5)
    assert (user.name, user.inner_phone, user.active) == ("Anna", "107", True)
    [gone] = answers.users([{"ID": "8", "ACTIVE": False}])
    assert not answers.portal_user(gone, None, NOW).active
