-- Our own Bitrix24 portal. The portal itself is a setting; what is a secret is there as a digest, or sealed.

CREATE TABLE portal_user (
    id INTEGER PRIMARY KEY,
    login TEXT NOT NULL,
    facts BLOB NOT NULL
) STRICT;

-- `login` without case; many users have none.
CREATE UNIQUE INDEX portal_user_login ON portal_user (login) WHERE login != '';

-- `deleted`: it is being forgotten.
CREATE TABLE portal_application (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id TEXT NOT NULL UNIQUE,
    app INTEGER NOT NULL,
    facts BLOB NOT NULL,
    sealed BLOB NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE portal_webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    facts BLOB NOT NULL
) STRICT;

CREATE TABLE portal_code (
    digest BLOB NOT NULL PRIMARY KEY,
    application INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `over`: when neither of its tokens is of use any more.
CREATE TABLE portal_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application INTEGER NOT NULL,
    access BLOB NOT NULL UNIQUE,
    refresh BLOB NOT NULL UNIQUE,
    former BLOB NOT NULL,
    over INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT;

CREATE INDEX portal_grant_of_application ON portal_grant (application);
CREATE INDEX portal_grant_former ON portal_grant (former) WHERE former != x'';
CREATE INDEX portal_grant_over ON portal_grant (over);

CREATE TABLE portal_handler (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application INTEGER NOT NULL,
    event TEXT NOT NULL,
    handler TEXT NOT NULL,
    user INTEGER NOT NULL,
    offline INTEGER NOT NULL,
    connector TEXT NOT NULL,
    pause REAL NOT NULL,
    UNIQUE (application, event, handler, user, offline, connector)
) STRICT;

-- An event without a process waits; those of one message that wait are one row.
CREATE TABLE portal_offline_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application INTEGER NOT NULL,
    connector TEXT NOT NULL,
    event TEXT NOT NULL,
    message TEXT NOT NULL,
    data BLOB NOT NULL,
    additional BLOB NOT NULL,
    at INTEGER NOT NULL,
    process TEXT NOT NULL,
    failed INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX portal_offline_event_same ON portal_offline_event (application, connector, message) WHERE process = '';
CREATE INDEX portal_offline_event_free ON portal_offline_event (application, connector, failed, at) WHERE process = '';
CREATE INDEX portal_offline_event_reserved ON portal_offline_event (application, process, at) WHERE process != '';
CREATE INDEX portal_offline_event_queue ON portal_offline_event (application, connector, at);
CREATE INDEX portal_offline_event_age ON portal_offline_event (at);

-- `fields` are JSON, by Bitrix24's names.
CREATE TABLE portal_record (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    fields BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- Telephone numbers of records, by their digits: a call that comes in waits for the name.
CREATE TABLE portal_phone (
    kind TEXT NOT NULL,
    phone TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (kind, phone, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX portal_phone_record ON portal_phone (kind, id);

CREATE TABLE portal_call (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    begun INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT;

CREATE INDEX portal_call_same ON portal_call (fingerprint, begun);
