-- name: insert_event!
-- Keep an event.
INSERT INTO event (at, type, app, data) VALUES (?, ?, ?, ?);

-- name: read
-- Read events behind a number; each filter is a JSON list, or null for no filter.
SELECT seq, at, type, app, data FROM event
WHERE seq > :after
    AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types)))
    AND (:apps IS NULL OR app IN (SELECT value FROM json_each(:apps)))
ORDER BY seq LIMIT :limit;

-- name: last
-- The newest number ever given.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0);

-- name: forget_last!
-- Forget which number was the newest.
DELETE FROM sqlite_sequence WHERE name = 'event';

-- name: set_last!
-- Say which number is to be the newest.
INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?);

-- name: oldest
-- Read the oldest numbers with their times.
SELECT seq, at FROM event ORDER BY seq LIMIT ?;

-- name: delete_until!
-- Forget events up to a number.
DELETE FROM event WHERE seq <= ?;
