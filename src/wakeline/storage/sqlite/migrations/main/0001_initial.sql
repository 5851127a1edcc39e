-- The queue, the ledger, the journal and what the operator keeps: apps, credentials, routes, keys, settings.
-- Times are Unix milliseconds. Hot tables have no foreign keys: rows of a notification go with it (ledger.sql, forget_*).

CREATE TABLE app (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    settings BLOB NOT NULL,
    paused INTEGER NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The slug of an app that is being forgotten is free again.
CREATE UNIQUE INDEX app_slug ON app (slug) WHERE deleted = 0;

CREATE TABLE credential (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES app (id),
    facts BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX credential_of_app ON credential (app);

CREATE TABLE route (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES app (id),
    provider TEXT NOT NULL,
    environment TEXT NOT NULL,
    topic TEXT NOT NULL,
    hold BLOB,
    UNIQUE (app, provider, environment, topic)
) STRICT;

CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    facts BLOB NOT NULL,
    revoked INTEGER,
    last_used INTEGER
) STRICT;

CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `status` is null while the first request is still at work.
CREATE TABLE idempotency (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER,
    body BLOB NOT NULL,
    secret INTEGER NOT NULL,
    resource TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (at);

-- The counters are deliveries in a written state; whatever waits is derived from jobs.
CREATE TABLE notification (
    key INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    due INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL,
    bulk INTEGER NOT NULL,
    only_if_absent INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    walked INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    done INTEGER,
    accepted INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    opened INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    superseded INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0,
    request_id TEXT NOT NULL,
    content BLOB NOT NULL,
    audience BLOB
) STRICT;

CREATE INDEX notification_of_app ON notification (app);
CREATE INDEX notification_done ON notification (done) WHERE done IS NOT NULL;
CREATE INDEX notification_stopping ON notification (key) WHERE cancelled = 1 AND done IS NULL;

-- One notification times at most 500 recipients (8 bytes each) of one route and lane; or, with `fanout`, a walk.
-- Ids are given by the process, which owns the file; leases live in its memory.
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    notification INTEGER NOT NULL,
    app INTEGER NOT NULL,
    route INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    due INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    fanout INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    code INTEGER NOT NULL,
    collapse_key TEXT NOT NULL,
    recipients BLOB NOT NULL
) STRICT;

-- Every index ends with the row id, which orders jobs that are due at the same time.
CREATE INDEX job_ready ON job (route, lane, due);
CREATE INDEX job_expiring ON job (expires);
CREATE INDEX job_of_notification ON job (notification, chunk);
CREATE INDEX job_limited ON job (app, collapse_key) WHERE code = 914;

-- A piece of a bulk notification: recipients and results, 8 bytes each; results are null until the first is settled.
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    notification INTEGER NOT NULL,
    route INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    recipients BLOB NOT NULL,
    results BLOB
) STRICT;

CREATE INDEX chunk_of_notification ON chunk (notification);

-- `attempts` are JSON, one a line.
CREATE TABLE delivery (
    notification INTEGER NOT NULL,
    target INTEGER NOT NULL,
    state INTEGER NOT NULL,
    code INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    outcome_class TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    tries INTEGER NOT NULL,
    at INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    PRIMARY KEY (notification, target)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_of_target ON delivery (target);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    app TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;
