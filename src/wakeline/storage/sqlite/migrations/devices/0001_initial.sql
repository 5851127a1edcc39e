-- The registry, apart from queue and ledger: their commits would cost its readers their page cache.
-- Row ids are never used twice (AUTOINCREMENT): a queued push must not meet another token under an old id.

CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    connected_until INTEGER NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    badge INTEGER NOT NULL DEFAULT 0,
    locale TEXT NOT NULL,
    users BLOB NOT NULL,
    tags BLOB NOT NULL,
    facts BLOB NOT NULL,
    UNIQUE (app, device_id)
) STRICT;

CREATE INDEX device_of_app ON device (app);

CREATE TABLE device_user (
    app INTEGER NOT NULL,
    user TEXT NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (app, user, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_tag (
    app INTEGER NOT NULL,
    tag TEXT NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (app, tag, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE target (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    app INTEGER NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    environment TEXT NOT NULL,
    topic TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    evidence BLOB,
    confirmed INTEGER NOT NULL,
    UNIQUE (app, kind, value)
) STRICT;

-- Covers what `candidates_*` and `walk` choose among.
CREATE INDEX target_of_device ON target (device, state, kind, environment, topic);
CREATE INDEX target_fallen ON target (app, state, device) WHERE state <> 'active';

CREATE TABLE target_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    target INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    evidence BLOB
) STRICT;

CREATE INDEX history_of_device ON target_history (device);
CREATE INDEX history_age ON target_history (at);

-- How many devices (but for those behind raw tokens), and targets by state, an app has: counting ten million rows takes a second, reading this none.
CREATE TABLE tally (
    app INTEGER NOT NULL,
    what TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (app, what)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER device_added AFTER INSERT ON device WHEN NEW.device_id NOT GLOB 'raw-*' BEGIN
    INSERT INTO tally (app, what, number) VALUES (NEW.app, 'device', 1)
    ON CONFLICT (app, what) DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER device_removed AFTER DELETE ON device WHEN OLD.device_id NOT GLOB 'raw-*' BEGIN
    UPDATE tally SET number = number - 1 WHERE app = OLD.app AND what = 'device';
END;

CREATE TRIGGER target_added AFTER INSERT ON target BEGIN
    INSERT INTO tally (app, what, number) VALUES (NEW.app, NEW.state, 1)
    ON CONFLICT (app, what) DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER target_removed AFTER DELETE ON target BEGIN
    UPDATE tally SET number = number - 1 WHERE app = OLD.app AND what = OLD.state;
END;

CREATE TRIGGER target_changed AFTER UPDATE OF state ON target WHEN NEW.state <> OLD.state BEGIN
    UPDATE tally SET number = number - 1 WHERE app = OLD.app AND what = OLD.state;
    INSERT INTO tally (app, what, number) VALUES (NEW.app, NEW.state, 1)
    ON CONFLICT (app, what) DO UPDATE SET number = number + 1;
END;
