-- Portals of others to which we are connected. What opens their doors is sealed: `sealed` (access, application token) and
-- `tokens`, which change every hour.

-- `deleted`: it is being forgotten.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    app INTEGER NOT NULL,
    mirror INTEGER NOT NULL,
    facts BLOB NOT NULL,
    sealed BLOB NOT NULL,
    tokens BLOB NOT NULL,
    reached INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX installation_name ON installation (name) WHERE deleted = 0;
CREATE UNIQUE INDEX installation_mirror ON installation (mirror) WHERE deleted = 0 AND mirror = 1;

-- `installation` 0: of every one.
CREATE TABLE portal_rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    installation INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    facts BLOB NOT NULL
) STRICT;

-- Events that came from there. `notifications` is a JSON list.
CREATE TABLE received_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    installation INTEGER NOT NULL,
    event TEXT NOT NULL,
    data BLOB NOT NULL,
    at INTEGER NOT NULL,
    received INTEGER NOT NULL,
    identity BLOB NOT NULL,
    subject BLOB NOT NULL,
    record INTEGER NOT NULL,
    user INTEGER NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,
    cause TEXT NOT NULL,
    notifications TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX received_event_same ON received_event (installation, identity);
CREATE INDEX received_event_subject ON received_event (installation, subject, at);
CREATE INDEX received_event_state ON received_event (installation, state, id, due);
CREATE INDEX received_event_named ON received_event (installation, event, state, id);
CREATE INDEX received_event_due ON received_event (installation, due) WHERE state = 'waiting';
CREATE INDEX received_event_age ON received_event (received) WHERE state != 'waiting';

-- What we write there. `params` and `result` are JSON.
CREATE TABLE portal_write (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    installation INTEGER NOT NULL,
    method TEXT NOT NULL,
    params BLOB NOT NULL,
    key TEXT NOT NULL,
    after TEXT NOT NULL,
    repeatable INTEGER NOT NULL,
    at INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state TEXT NOT NULL,
    result BLOB NOT NULL,
    cause TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX portal_write_same ON portal_write (installation, key) WHERE key != '';
CREATE INDEX portal_write_state ON portal_write (installation, state, id, due);
CREATE INDEX portal_write_due ON portal_write (installation, due) WHERE state IN ('waiting', 'sent');

-- A result that something waits for must stay; doubtful ones wait for an operator, who may have them sent once more.
CREATE INDEX portal_write_after ON portal_write (installation, after)
WHERE after != '' AND state IN ('waiting', 'sent', 'doubtful');

CREATE INDEX portal_write_age ON portal_write (at) WHERE state IN ('done', 'refused', 'dropped');
