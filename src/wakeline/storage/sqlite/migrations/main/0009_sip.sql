-- Who is registered from where at the SIP edge. `facts` is JSON; beside it stands what is looked up by: `gruu` is a 64-bit digest of the
-- public GRUU, `tokens` are the digests of (app, token) that `sip_token` has for this binding, eight bytes each.
CREATE TABLE sip_binding (
    id INTEGER PRIMARY KEY,
    aor TEXT NOT NULL,
    uid TEXT NOT NULL,
    expires INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    wakes INTEGER NOT NULL,
    app INTEGER NOT NULL,
    gruu INTEGER,
    tokens BLOB NOT NULL,
    facts BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX sip_binding_uid ON sip_binding (aor, uid);
CREATE INDEX sip_binding_kept ON sip_binding (kept);
CREATE INDEX sip_binding_expires ON sip_binding (expires) WHERE wakes = 1;
CREATE INDEX sip_binding_app ON sip_binding (app) WHERE app != 0;
CREATE INDEX sip_binding_gruu ON sip_binding (gruu) WHERE gruu IS NOT NULL;

CREATE TABLE sip_token (
    token INTEGER NOT NULL,
    binding INTEGER NOT NULL,
    PRIMARY KEY (token, binding)
) STRICT, WITHOUT ROWID;

-- Chat messages that wait for phones, and for which. Ids are their order, and are never given again.
CREATE TABLE sip_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    aor TEXT NOT NULL,
    key TEXT NOT NULL,
    call_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    request BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX sip_message_same ON sip_message (aor, key);
CREATE INDEX sip_message_expires ON sip_message (expires);

CREATE TABLE sip_message_for (
    message INTEGER NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (message, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX sip_message_for_uid ON sip_message_for (uid);

-- Who may register. `facts` is JSON without the digests; these are in `sealed`.
CREATE TABLE sip_user (
    id INTEGER PRIMARY KEY,
    domain TEXT NOT NULL,
    user TEXT NOT NULL,
    facts BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX sip_user_name ON sip_user (domain, user);
