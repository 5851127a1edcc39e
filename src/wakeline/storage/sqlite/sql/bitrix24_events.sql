-- name: handlers
-- Read all handlers, oldest first.
SELECT id, application, event, handler, user, offline, connector, pause FROM portal_handler ORDER BY id;

-- name: handler_exists
-- Read which handler is the same.
SELECT id FROM portal_handler
WHERE application = ? AND event = ? AND handler = ? AND user = ? AND offline = ? AND connector = ?;

-- name: insert_handler!
-- Keep a handler.
INSERT INTO portal_handler (application, event, handler, user, offline, connector, pause) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: delete_handler!
-- Forget a handler.
DELETE FROM portal_handler WHERE id = ?;

-- name: delete_handlers!
-- Forget an application's handlers.
DELETE FROM portal_handler WHERE application = ?;

-- name: queue_event!
-- Queue an offline event, or give the one that waits already the new time.
INSERT INTO portal_offline_event (application, connector, event, message, data, additional, at, process, failed)
VALUES (?, ?, ?, ?, ?, ?, ?, '', ?)
ON CONFLICT (application, connector, message) WHERE process = ''
DO UPDATE SET at = excluded.at, failed = excluded.failed;

-- name: free_events
-- Read some events behind a place that nobody has reserved, oldest first.
SELECT id, application, connector, event, message, data, additional, at, process, failed FROM portal_offline_event
WHERE application = ? AND connector = ? AND failed = ? AND process = '' AND (at, id) > (?, ?) ORDER BY at, id LIMIT ?;

-- name: queued_events
-- Read some events behind a place, oldest first.
SELECT id, application, connector, event, message, data, additional, at, process, failed FROM portal_offline_event
WHERE application = ? AND connector = ? AND (at, id) > (?, ?) ORDER BY at, id LIMIT ?;

-- name: events
-- Read events.
SELECT id, application, connector, event, message, data, additional, at, process, failed FROM portal_offline_event
WHERE id IN (SELECT value FROM json_each(?));

-- name: reserve_events
-- Reserve those of some events that are still free.
UPDATE portal_offline_event SET process = ?
WHERE id IN (SELECT value FROM json_each(?)) AND process = '' AND failed = ?
RETURNING id, application, connector, event, message, data, additional, at, process, failed;

-- name: reserved_events
-- Read what a process has reserved, oldest first.
SELECT id, application, connector, event, message, data, additional, at, process, failed FROM portal_offline_event
WHERE application = ? AND process = ? AND process != '' ORDER BY at, id;

-- name: clear_events!
-- Forget all that a process has reserved.
DELETE FROM portal_offline_event WHERE application = ? AND process = ? AND process != '';

-- name: clear_some_events!
-- Forget what of these messages and ids a process has reserved.
DELETE FROM portal_offline_event
WHERE application = ? AND process = ? AND process != ''
    AND (message IN (SELECT value FROM json_each(?)) OR id IN (SELECT value FROM json_each(?)));

-- name: failed_events
-- Read which of these messages a process has reserved.
SELECT id FROM portal_offline_event
WHERE application = ? AND process = ? AND process != '' AND message IN (SELECT value FROM json_each(?)) ORDER BY at, id;

-- name: fail_event!
-- Give an event back as failed, unless the same waits anew.
UPDATE OR IGNORE portal_offline_event SET process = '', failed = 1 WHERE id = ?;

-- name: delete_event!
-- Forget an event.
DELETE FROM portal_offline_event WHERE id = ?;

-- name: prune_events!
-- Forget some old events.
DELETE FROM portal_offline_event WHERE id IN (SELECT id FROM portal_offline_event WHERE at < ? LIMIT ?);

-- name: delete_events!
-- Forget some of an application's events.
DELETE FROM portal_offline_event WHERE id IN (SELECT id FROM portal_offline_event WHERE application = ? LIMIT ?);
