-- How many deliveries were accepted, and how many of them a device confirmed: by the hour (since 1970), for phones alike, for
-- some days. Hours come first: they are written, read and forgotten as they pass.
CREATE TABLE silence_count (
    hour INTEGER NOT NULL,
    app INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    platform TEXT NOT NULL,
    os_version TEXT NOT NULL,
    model TEXT NOT NULL,
    sent INTEGER NOT NULL,
    heard INTEGER NOT NULL,
    PRIMARY KEY (hour, app, lane, platform, os_version, model)
) STRICT, WITHOUT ROWID;

-- Phones that were found silent. `facts` is JSON.
CREATE TABLE suspicion (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT;

-- How far was looked: one row.
CREATE TABLE silence_mark (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    done INTEGER NOT NULL,
    notification INTEGER NOT NULL
) STRICT;
