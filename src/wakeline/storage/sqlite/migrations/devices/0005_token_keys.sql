-- Tokens are found by a key of 8 bytes (`token_key`) instead of their text (why: token_keys.py). That a token is
-- there once is seen to by the writer, which looks before it writes and is the only one. A UNIQUE constraint can be taken off
-- no table, so the table is made anew.
CREATE TABLE target_with_key (
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
    key INTEGER NOT NULL
) STRICT;

INSERT INTO target_with_key
SELECT id, device, app, kind, value, environment, topic, state, reason, since, evidence, confirmed, token_key(app, kind, value)
FROM target ORDER BY id;

-- Row ids are never used twice, also those of the last targets, which may be gone.
DELETE FROM sqlite_sequence WHERE name = 'target_with_key';
INSERT INTO sqlite_sequence (name, seq) SELECT 'target_with_key', seq FROM sqlite_sequence WHERE name = 'target';

DROP TABLE target;
ALTER TABLE target_with_key RENAME TO target;

CREATE INDEX target_of_key ON target (key);
-- What is chosen among is read with its token, from the row itself: an index that covers the rest would only be larger.
CREATE INDEX target_of_device ON target (device, state);
CREATE INDEX target_fallen ON target (app, state, device) WHERE state <> 'active';
CREATE INDEX target_fallen_since ON target (app, since) WHERE state <> 'active';
CREATE INDEX target_voip ON target (app, environment, topic) WHERE kind = 'apns-voip' AND state = 'active';

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
