-- name: insert_event!
-- Keep an event unless it is there already.
INSERT INTO received_event (
    installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause, notifications
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (installation, identity) DO NOTHING;

-- name: waiting_events
-- Read waiting events of an installation that are due, oldest first: by this index, or all that are due would be sorted.
SELECT id, installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause,
    notifications
FROM received_event INDEXED BY received_event_state
WHERE installation = ? AND state = 'waiting' AND due <= ? ORDER BY id LIMIT ?;

-- name: first_due
-- Read when the first waiting event of an installation is due.
SELECT due FROM received_event WHERE installation = ? AND state = 'waiting' ORDER BY due LIMIT 1;

-- name: hasten_events!
-- Have waiting events of an installation due now that would be later.
UPDATE received_event SET due = ? WHERE installation = ? AND state = 'waiting' AND due > ?;

-- name: settle_event!
-- Write what became of a waiting event.
UPDATE received_event SET state = ?, due = ?, cause = ?, notifications = ?, attempts = attempts + 1
WHERE id = ? AND state = 'waiting';

-- name: latest_event
-- Read when the last event about a subject was raised.
SELECT max(at) FROM received_event WHERE installation = ? AND subject = ?;

-- name: event
-- Read an event.
SELECT id, installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause,
    notifications
FROM received_event WHERE id = ?;

-- name: event_of_identity
-- Read the event of an installation with an identity.
SELECT id, installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause,
    notifications
FROM received_event WHERE installation = ? AND identity = ?;

-- name: events_in_state
-- Read events of an installation, newest first.
SELECT id, installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause,
    notifications
FROM received_event WHERE installation = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: named_events_in_state
-- Read events of an installation with one name, newest first.
SELECT id, installation, event, data, at, received, identity, subject, record, user, origin, state, attempts, due, cause,
    notifications
FROM received_event WHERE installation = ? AND event = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: prune_events!
-- Forget some old events that wait for nothing.
DELETE FROM received_event
WHERE id IN (SELECT id FROM received_event WHERE received < ? AND state != 'waiting' LIMIT ?);

-- name: delete_events!
-- Forget some events of an installation.
DELETE FROM received_event WHERE id IN (SELECT id FROM received_event WHERE installation = ? LIMIT ?);
