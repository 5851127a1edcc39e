-- Who is told of events, and how far each was told. `sealed` are the secrets that sign; `health` is JSON, with the last
-- event of the journal that was dealt with; `deleted`: its log is being forgotten. Ids are never given again.
CREATE TABLE webhook_endpoint (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    facts BLOB NOT NULL,
    sealed BLOB NOT NULL,
    health BLOB NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The delivery log: what became of an event at an endpoint. State 0: waiting, 1: taken, 2: given up.
CREATE TABLE webhook_message (
    endpoint INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    type TEXT NOT NULL,
    app TEXT NOT NULL,
    lane TEXT NOT NULL,
    tries INTEGER NOT NULL,
    status INTEGER NOT NULL,
    detail TEXT NOT NULL,
    duration INTEGER NOT NULL,
    at INTEGER NOT NULL,
    first INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (endpoint, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_message_state ON webhook_message (endpoint, state);
CREATE INDEX webhook_message_due ON webhook_message (state, endpoint, due) WHERE state = 0;
CREATE INDEX webhook_message_over ON webhook_message (at) WHERE state != 0;
