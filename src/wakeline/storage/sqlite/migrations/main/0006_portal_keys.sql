-- Licence keys of self-hosted Bitrix24 portals that use this gateway as their push service, each bound to an app.
CREATE TABLE portal_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    facts BLOB NOT NULL
) STRICT;
