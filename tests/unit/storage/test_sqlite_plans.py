"""The hot queries must go by their index: no full scan, no sorting of what an index could have given in order."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from wakeline.storage.sqlite.migrate import KINDS, Kind, migrate
from wakeline.storage.sqlite.statements import load

FILES: dict[str, Kind] = {
    "queue": "main",
    "ledger": "main",
    "events": "main",
    "registers": "main",
    "devices": "devices",
    "bitrix24_access": "main",
    "bitrix24_options": "main",
    "bitrix24_events": "main",
    "bitrix24_records": "main",
    "bitrix24_calls": "main",
    "bitrix24_installations": "main",
    "bitrix24_inbox": "main",
    "bitrix24_outbox": "main",
    "sip_bindings": "main",
    "sip_messages": "main",
    "sip_users": "main",
    "webhooks": "main",
    "receipts": "main",
}

PLANS = {
    ("queue", "claim_same"): ["job USING INDEX job_ready (route=? AND lane=? AND due=? AND rowid>?)"],
    ("queue", "claim_later"): ["job USING INDEX job_ready (route=? AND lane=? AND due>? AND due<?)"],
    ("queue", "due_same"): ["job USING COVERING INDEX job_ready (route=? AND lane=? AND due=? AND rowid>?)"],
    ("queue", "due_later"): ["job USING COVERING INDEX job_ready (route=? AND lane=? AND due>?)"],
    ("queue", "expired"): ["job USING INDEX job_expiring (expires<?)"],
    ("queue", "job"): ["job USING INTEGER PRIMARY KEY (rowid=?)"],
    ("queue", "jobs_of_chunk"): ["job USING INDEX job_of_notification (notification=? AND chunk=?)"],
    ("queue", "waiting_of"): ["job USING INDEX job_of_notification (notification=?)"],
    ("queue", "limited"): ["job USING INDEX job_limited (app=? AND collapse_key=?)"],
    ("queue", "stopping"): ["notification USING INDEX notification_stopping"],
    ("ledger", "idle"): [
        "notification USING INTEGER PRIMARY KEY (rowid=?)",
        "job USING COVERING INDEX job_of_notification (notification=?)",
    ],
    ("ledger", "deliveries"): ["delivery USING PRIMARY KEY (notification=? AND target>?)"],
    ("ledger", "chunks_of"): ["chunk USING INDEX chunk_of_notification (notification=? AND rowid>?)"],
    ("ledger", "recent_of_app"): [
        "n USING COVERING INDEX notification_of_app (app=? AND rowid>?)",
        "notification USING COVERING INDEX notification_of_app (app=?)",
        "d USING PRIMARY KEY (notification=?)",
    ],
    ("ledger", "recent_of_target"): ["delivery USING INDEX delivery_of_target (target=?)"],
    ("ledger", "done_before"): ["notification USING COVERING INDEX notification_done (done>? AND done<?)"],
    ("ledger", "forget_some_deliveries"): [
        "delivery USING COVERING INDEX delivery_of_target (target=? AND notification=?)",
        "delivery USING PRIMARY KEY (notification=?)",
    ],
    ("ledger", "forget_some_chunks"): [
        "chunk USING INTEGER PRIMARY KEY (rowid=?)",
        "chunk USING COVERING INDEX chunk_of_notification (notification=?)",
    ],
    ("events", "read"): ["event USING INTEGER PRIMARY KEY (rowid>?)"],
    ("registers", "idempotency"): ["idempotency USING PRIMARY KEY (scope=? AND key=?)"],
    ("registers", "prune_idempotency"): [
        "idempotency USING PRIMARY KEY (scope=? AND key=?)",
        "idempotency USING COVERING INDEX idempotency_age (at<?)",
    ],
    ("devices", "owner"): ["target USING INDEX target_of_key (key=?)"],
    ("devices", "owner_of_endpoint"): ["target USING INDEX target_of_key (key=?)"],
    ("devices", "names_known"): ["d USING COVERING INDEX sqlite_autoindex_device_1 (app=? AND device_id=?)"],
    ("devices", "candidate_of_token"): [
        "t USING INDEX target_of_key (key=?)",
        "d USING INTEGER PRIMARY KEY (rowid=?)",
    ],
    ("devices", "keys_known"): ["t USING COVERING INDEX target_of_key (key=?)"],
    ("devices", "devices_by_user"): ["u USING PRIMARY KEY (app=? AND user=?)"],
    ("devices", "seen_of_user"): ["u USING PRIMARY KEY (app=? AND user=?)", "d USING INTEGER PRIMARY KEY (rowid=?)"],
    ("devices", "candidates_of_users"): [
        "u USING PRIMARY KEY (app=? AND user=?)",
        "d USING INTEGER PRIMARY KEY (rowid=?)",
        "t USING INDEX target_of_device (device=? AND state=?)",
    ],
    ("devices", "candidates_of_devices"): [
        "d USING INDEX sqlite_autoindex_device_1 (app=? AND device_id=?)",
        "t USING INDEX target_of_device (device=? AND state=?)",
    ],
    ("devices", "walk"): [
        "device USING INDEX device_of_app (app=? AND rowid>?)",
        "target USING COVERING INDEX target_of_device (device=? AND state=?)",
        "t USING INDEX target_of_device (device=? AND state=?)",
    ],
    ("devices", "sweep"): [
        "device USING INDEX device_of_app (app=? AND rowid>?)",
        "t USING INDEX target_of_device (device=? AND state=?) LEFT-JOIN",
    ],
    ("devices", "sweep_locales"): [
        "device USING INDEX device_of_app (app=? AND rowid>?)",
        "t USING INDEX target_of_device (device=? AND state=?) LEFT-JOIN",
    ],
    ("devices", "walk_tag"): [
        "device_tag USING PRIMARY KEY (app=? AND tag=? AND device>?)",
        "target USING COVERING INDEX target_of_device (device=? AND state=?)",
    ],
    ("devices", "recipients"): [
        "t USING INTEGER PRIMARY KEY (rowid=?)",
        "d USING INTEGER PRIMARY KEY (rowid=?)",
    ],
    ("devices", "recipients_between"): [
        "t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        "d USING INTEGER PRIMARY KEY (rowid=?)",
    ],
    ("devices", "devices_of_user"): ["device_user USING PRIMARY KEY (app=? AND user=? AND device>?)"],
    ("devices", "devices_fallen"): ["target USING COVERING INDEX target_fallen (app=? AND state=? AND device>?)"],
    ("devices", "history"): ["target_history USING INDEX history_of_device (device=?)"],
    ("bitrix24_options", "options"): ["portal_options USING PRIMARY KEY (application=? AND user=?)"],
    ("bitrix24_access", "code"): ["portal_code USING PRIMARY KEY (digest=?)"],
    ("bitrix24_access", "grant_by_access"): ["portal_grant USING INDEX sqlite_autoindex_portal_grant_1 (access=?)"],
    ("bitrix24_access", "grant_by_refresh"): ["portal_grant USING INDEX sqlite_autoindex_portal_grant_2 (refresh=?)"],
    ("bitrix24_access", "grant_by_former"): ["portal_grant USING INDEX portal_grant_former (former=?)"],
    ("bitrix24_access", "prune_grants"): [
        "portal_grant USING INTEGER PRIMARY KEY (rowid=?)",
        "portal_grant USING COVERING INDEX portal_grant_over (over<?)",
    ],
    ("bitrix24_access", "user_by_login"): ["portal_user USING INDEX portal_user_login (login=?)"],
    ("bitrix24_events", "free_events"): [
        "portal_offline_event USING INDEX portal_offline_event_free (application=? AND connector=? AND failed=? AND at>?)"
    ],
    ("bitrix24_events", "queued_events"): [
        "portal_offline_event USING INDEX portal_offline_event_queue (application=? AND connector=? AND at>?)"
    ],
    ("bitrix24_events", "reserved_events"): [
        "portal_offline_event USING INDEX portal_offline_event_reserved (application=? AND process=?)"
    ],
    ("bitrix24_events", "prune_events"): [
        "portal_offline_event USING INTEGER PRIMARY KEY (rowid=?)",
        "portal_offline_event USING COVERING INDEX portal_offline_event_age (at<?)",
    ],
    ("bitrix24_records", "rising"): [
        "portal_record USING INDEX sqlite_autoindex_portal_record_1 (kind=? AND id>? AND id<?)"
    ],
    ("bitrix24_records", "page_falling"): [
        "portal_record USING COVERING INDEX sqlite_autoindex_portal_record_1 (kind=? AND id>? AND id<?)"
    ],
    ("bitrix24_records", "count"): [
        "portal_record USING COVERING INDEX sqlite_autoindex_portal_record_1 (kind=? AND id>? AND id<?)"
    ],
    ("bitrix24_records", "records"): ["portal_record USING INDEX sqlite_autoindex_portal_record_1 (kind=? AND id=?)"],
    ("bitrix24_calls", "same_call"): ["portal_call USING INDEX portal_call_same (fingerprint=? AND begun>?)"],
    ("bitrix24_calls", "prune_calls"): [
        "portal_call USING INTEGER PRIMARY KEY (rowid=?)",
        "portal_call USING COVERING INDEX portal_call_age (begun<?)",
    ],
    ("bitrix24_inbox", "waiting_events"): [
        "received_event USING INDEX received_event_state (installation=? AND state=?)"
    ],
    ("bitrix24_inbox", "first_due"): ["received_event USING INDEX received_event_due (installation=?)"],
    ("bitrix24_inbox", "latest_event"): [
        "received_event USING COVERING INDEX received_event_subject (installation=? AND subject=?)"
    ],
    ("bitrix24_inbox", "events_in_state"): [
        "received_event USING INDEX received_event_state (installation=? AND state=? AND id<?)"
    ],
    ("bitrix24_inbox", "named_events_in_state"): [
        "received_event USING INDEX received_event_named (installation=? AND event=? AND state=? AND id<?)"
    ],
    ("bitrix24_inbox", "event_of_identity"): [
        "received_event USING INDEX received_event_same (installation=? AND identity=?)"
    ],
    ("bitrix24_inbox", "prune_events"): [
        "received_event USING INTEGER PRIMARY KEY (rowid=?)",
        "received_event USING INDEX received_event_age (received<?)",
    ],
    ("bitrix24_outbox", "due_writes"): ["portal_write USING INDEX portal_write_state (installation=? AND state=?)"],
    ("bitrix24_outbox", "first_due"): ["portal_write USING INDEX portal_write_due (installation=?)"],
    ("bitrix24_outbox", "write_of_key"): ["portal_write USING INDEX portal_write_same (installation=? AND key=?)"],
    ("bitrix24_outbox", "writes_in_state"): [
        "portal_write USING INDEX portal_write_state (installation=? AND state=? AND id<?)"
    ],
    ("bitrix24_outbox", "prune_writes"): [
        "portal_write USING INTEGER PRIMARY KEY (rowid=?)",
        "w USING INDEX portal_write_age (at<?)",
        "later USING INDEX portal_write_after (installation=? AND after=?)",
    ],
    ("sip_bindings", "bindings"): ["sip_binding USING INDEX sip_binding_uid (aor=?)"],
    ("sip_bindings", "place"): ["sip_binding USING INDEX sip_binding_uid (aor=? AND uid=?)"],
    ("sip_bindings", "refresh_binding"): ["sip_binding USING INTEGER PRIMARY KEY (rowid=?)"],
    ("sip_bindings", "bindings_of_gruu"): ["sip_binding USING INDEX sip_binding_gruu (gruu=?)"],
    ("sip_bindings", "bindings_of_token"): [
        "sip_token USING PRIMARY KEY (token=?)",
        "sip_binding USING INTEGER PRIMARY KEY (rowid=?)",
    ],
    ("sip_bindings", "addresses"): ["sip_binding USING INDEX sip_binding_uid (aor>?)"],
    ("sip_bindings", "old_bindings"): ["sip_binding USING INDEX sip_binding_kept (kept<?)"],
    ("sip_bindings", "bindings_of_app"): ["sip_binding USING INDEX sip_binding_app (app=?)"],
    ("sip_messages", "message_of_key"): [
        "sip_message USING INDEX sip_message_same (aor=? AND key=?)",
        "sip_message_for USING PRIMARY KEY (message=?)",
    ],
    ("sip_messages", "waiting_messages"): [
        "mine USING COVERING INDEX sip_message_for_uid (uid=?)",
        "sip_message USING INTEGER PRIMARY KEY (rowid=?)",
        "each USING PRIMARY KEY (message=?)",
    ],
    ("sip_messages", "move_messages"): [
        "sip_message_for USING COVERING INDEX sip_message_for_uid (uid=? AND message=?)",
        "sip_message USING COVERING INDEX sip_message_same (aor=?)",
    ],
    ("sip_messages", "count_messages"): ["sip_message USING COVERING INDEX sip_message_same (aor=?)"],
    ("sip_messages", "old_messages"): ["sip_message USING COVERING INDEX sip_message_expires (expires<?)"],
    ("sip_messages", "forget_phones"): ["sip_message_for USING PRIMARY KEY (message=?)"],
    ("webhooks", "waiting_messages"): ["webhook_message USING INDEX webhook_message_due (state=? AND endpoint=?)"],
    ("webhooks", "count_waiting"): ["webhook_message USING COVERING INDEX webhook_message_due (state=?)"],
    ("webhooks", "message"): ["webhook_message USING PRIMARY KEY (endpoint=? AND seq=?)"],
    ("webhooks", "messages"): ["webhook_message USING PRIMARY KEY (endpoint=? AND seq<?)"],
    ("webhooks", "messages_in_state"): [
        "webhook_message USING INDEX webhook_message_state (endpoint=? AND state=? AND seq<?)"
    ],
    ("webhooks", "old_messages"): ["webhook_message USING INDEX webhook_message_over (at<?)"],
    ("webhooks", "messages_of"): ["webhook_message USING PRIMARY KEY (endpoint=?)"],
    ("webhooks", "delete_old_message"): ["webhook_message USING PRIMARY KEY (endpoint=? AND seq=?)"],
    ("receipts", "about"): ["notification USING INTEGER PRIMARY KEY (rowid=?)"],
    ("receipts", "written_of_device"): ["d USING PRIMARY KEY (notification=? AND target=?)"],
    ("receipts", "holding_chunk"): ["chunk USING INDEX chunk_around (notification=? AND low<?)"],
    ("receipts", "tell"): ["delivery USING PRIMARY KEY (notification=? AND target=?)"],
    ("receipts", "singles_to"): ["delivery USING INDEX delivery_of_target (target=? AND notification>?)"],
    ("receipts", "broadcasts_of"): ["notification USING INDEX notification_broad (app=? AND rowid>?)"],
    ("receipts", "forget_early_of"): ["early_receipt USING PRIMARY KEY (notification=?)"],
}

SMALL_SCANS = {"SCAN d"}
"""`d` is the page of devices that a walk has just read."""

FOLDED = {("devices", "sweep"), ("devices", "sweep_locales")}
"""Sort that page by address, in memory, to return it in columns."""


@pytest.fixture(scope="module")
def schemas() -> Iterator[dict[Kind, sqlite3.Connection]]:
    connections = {kind: sqlite3.connect(":memory:", isolation_level=None) for kind in KINDS}
    for kind, connection in connections.items():
        migrate(connection, kind)
    yield connections
    for connection in connections.values():
        connection.close()


def explain(connection: sqlite3.Connection, sql: str) -> list[str]:
    named = dict.fromkeys(re.findall(r":(\w+)", sql))
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    parameters = named or (None,) * max(numbered, default=sql.count("?"))
    with closing(connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)) as cursor:
        return [row[3] for row in cursor]


@pytest.mark.parametrize(("file", "name"), PLANS, ids=["-".join(key) for key in PLANS])
def test_hot_query_goes_by_its_index(schemas: dict[Kind, sqlite3.Connection], file: str, name: str) -> None:
    steps = explain(schemas[FILES[file]], load(file)[name])

    used = [step.removeprefix("SEARCH ").removeprefix("SCAN ") for step in steps if " USING " in step]
    tables = [step for step in used if "TEMP B-TREE" not in step]
    assert tables == PLANS[file, name]
    assert [step for step in steps if "TEMP B-TREE" in step] == (
        ["USE TEMP B-TREE FOR GROUP BY"] if (file, name) in FOLDED else []
    )
    scanned = [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
    assert not [step for step in scanned if step not in SMALL_SCANS and " USING " not in step]


@pytest.mark.parametrize("file", FILES)
def test_every_statement_fits_the_schema(schemas: dict[Kind, sqlite3.Connection], file: str) -> None:
    statements = load(file)

    assert len(statements) > 2
    for sql in statements.values():
        explain(schemas[FILES[file]], sql)
