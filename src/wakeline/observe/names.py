"""Names that dashboards, alerts and log searches depend on: metrics and the log lines of the process itself.

Add, never rename: docs/reference/metrics.md is drawn from here and compared by a test.
"""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """Every Prometheus metric. None has a label with a token, device, user or notification."""

    BUILD = "wakeline_build_info"
    ACCEPTED = "wakeline_accepted_total"
    DELIVERIES = "wakeline_deliveries_total"
    RETRIES = "wakeline_retries_total"
    RECEIPTS = "wakeline_receipts_total"
    PORTAL_EVENTS = "wakeline_bitrix24_events_total"
    WEBHOOK_MESSAGES = "wakeline_webhook_messages_total"
    SEND_SECONDS = "wakeline_send_seconds"
    RECEIPT_SECONDS = "wakeline_receipt_seconds"
    STAGE_SECONDS = "wakeline_stage_seconds"
    QUEUE_DEPTH = "wakeline_queue_depth"
    QUEUE_OLDEST = "wakeline_queue_oldest_seconds"
    QUEUE_AGE = "wakeline_queue_age_seconds"
    PORTAL_OLDEST = "wakeline_bitrix24_portal_oldest_seconds"
    WEBHOOK_LAG = "wakeline_webhook_lag_seconds"
    WEBHOOK_WAITING = "wakeline_webhook_waiting"
    WEBHOOK_ENDPOINTS = "wakeline_webhook_endpoints"
    H2_STREAMS = "wakeline_h2_streams"
    H2_CONNECTIONS = "wakeline_h2_connections"
    ROUTES_HELD = "wakeline_routes_held"
    DELIVERIES_HELD = "wakeline_deliveries_held"
    TARGETS = "wakeline_targets"
    TARGETS_STALE = "wakeline_targets_stale"
    SILENCES = "wakeline_silences"
    CREDENTIAL_EXPIRY = "wakeline_credential_expiry_timestamp_seconds"
    STORE_WRITABLE = "wakeline_store_writable"
    STORE_COMMIT_SECONDS = "wakeline_store_commit_seconds"
    STORE_WAL_BYTES = "wakeline_store_wal_bytes"
    DISK_FREE_BYTES = "wakeline_disk_free_bytes"
    SIP_TRANSACTIONS = "wakeline_sip_transactions"
    SIP_CONNECTIONS = "wakeline_sip_connections"
    SIP_DROPPED = "wakeline_sip_datagrams_dropped"


class LogEvent(StrEnum):
    """Log lines of the process: `event` of each JSON line."""

    STARTING = "service.starting"
    READY = "service.ready"
    DRAINING = "service.draining"
    DRAINED = "service.drained"
    STOPPED = "service.stopped"
    STOPPED_AT_ONCE = "service.stopped_at_once"
    RELOADED = "settings.reloaded"
    RELOAD_REFUSED = "settings.refused"
    RESTART_NEEDED = "settings.need_restart"
    DOOR_FAILED = "service.door_failed"
    ADMIN_REFUSED = "admin.refused"
    REQUEST = "http.request"
    LIBRARY = "library.message"
    CREDENTIAL_FILES_WATCHED = "credential_files.watched"
    CREDENTIAL_FILES_ABSENT = "credential_files.absent"
    CREDENTIAL_FILES_WAIT = "credential_files.wait"
    CREDENTIAL_FILE_KEPT = "credential_file.kept"
    CREDENTIAL_FILE_REFUSED = "credential_file.refused"
    CREDENTIAL_FILE_SKIPPED = "credential_file.skipped"
    CREDENTIAL_FILE_GONE = "credential_file.gone"
    KEY_ROTATED = "secrets.rotated"
    UVLOOP_ABSENT = "service.uvloop_absent"
