-- name: endpoints
-- Read all endpoints, oldest first.
SELECT id, facts, health FROM webhook_endpoint WHERE deleted = 0 ORDER BY id;

-- name: insert_endpoint!
-- Reserve the row of one: the seal needs its id.
INSERT INTO webhook_endpoint (facts, sealed, health) VALUES (x'', x'', ?);

-- name: furnish_endpoint!
-- Write the rest of a new one.
UPDATE webhook_endpoint SET facts = ?, sealed = ? WHERE id = ?;

-- name: update_endpoint!
-- Change one.
UPDATE webhook_endpoint SET facts = ? WHERE id = ? AND deleted = 0;

-- name: sealed
-- Read the sealed secrets of one.
SELECT sealed FROM webhook_endpoint WHERE id = ? AND deleted = 0;

-- name: set_health!
-- Write how the telling goes.
UPDATE webhook_endpoint SET health = ? WHERE id = ? AND deleted = 0;

-- name: mark_endpoint!
-- Hide one whose log is being forgotten; its secrets go at once.
UPDATE webhook_endpoint SET deleted = 1, sealed = x'' WHERE id = ? AND deleted = 0;

-- name: marked_endpoints
-- Read those whose log is being forgotten.
SELECT id FROM webhook_endpoint WHERE deleted = 1;

-- name: delete_endpoint!
-- Forget one.
DELETE FROM webhook_endpoint WHERE id = ?;

-- name: put_message!
-- Write what became of a message.
INSERT OR REPLACE INTO webhook_message (
    endpoint, seq, state, type, app, lane, tries, status, detail, duration, at, first, due
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: waiting_messages
-- Read the messages of an endpoint that wait, the earliest due first.
SELECT endpoint, seq, state, type, app, lane, tries, status, detail, duration, at, first, due FROM webhook_message
WHERE endpoint = ? AND state = 0 ORDER BY due, seq LIMIT ?;

-- name: count_waiting
-- Count the messages that wait, by endpoint: by this index, which holds nothing else.
SELECT endpoint, count(*) FROM webhook_message INDEXED BY webhook_message_due WHERE state = 0 GROUP BY endpoint;

-- name: message
-- Read a message.
SELECT endpoint, seq, state, type, app, lane, tries, status, detail, duration, at, first, due FROM webhook_message
WHERE endpoint = ? AND seq = ?;

-- name: messages
-- Read messages of an endpoint, newest first.
SELECT endpoint, seq, state, type, app, lane, tries, status, detail, duration, at, first, due FROM webhook_message
WHERE endpoint = ? AND seq < ? ORDER BY seq DESC LIMIT ?;

-- name: messages_in_state
-- Read messages of an endpoint in a state, newest first: by this index, or all in other states would be looked at.
SELECT endpoint, seq, state, type, app, lane, tries, status, detail, duration, at, first, due
FROM webhook_message INDEXED BY webhook_message_state
WHERE endpoint = ? AND state = ? AND seq < ? ORDER BY seq DESC LIMIT ?;

-- name: old_messages
-- Read which messages wait no more and changed last before a time, but for what was given up by endpoints (a JSON list of
-- [endpoint, since when]) that may go on from there.
SELECT endpoint, seq FROM webhook_message WHERE state != 0 AND at < ? AND NOT (state = 2 AND EXISTS (
    SELECT 1 FROM json_each(?) AS off
    WHERE json_extract(off.value, '$[0]') = endpoint AND json_extract(off.value, '$[1]') <= at
)) ORDER BY at LIMIT ?;

-- name: count_on
-- Count the next messages of an endpoint above a number, up to so many, and say where they end.
SELECT count(*), max(seq) FROM (SELECT seq FROM webhook_message WHERE endpoint = ? AND seq > ? ORDER BY seq LIMIT ?);

-- name: oldest_messages
-- Read the first messages of an endpoint that wait no more; tests are none.
SELECT endpoint, seq FROM webhook_message WHERE endpoint = ? AND seq > 0 AND state != 0 ORDER BY seq LIMIT ?;

-- name: messages_of
-- Read some messages of an endpoint.
SELECT endpoint, seq FROM webhook_message WHERE endpoint = ? ORDER BY seq LIMIT ?;

-- name: delete_message!
-- Forget a message.
DELETE FROM webhook_message WHERE endpoint = ? AND seq = ?;

-- name: delete_old_message!
-- Forget a message that waits no more and changed last before a time: it may be replayed since it was read.
DELETE FROM webhook_message WHERE endpoint = ? AND seq = ? AND state != 0 AND at < ?;

-- name: sealed_secrets
-- Read sealed secrets, and what the seal is bound to.
SELECT id, facts, sealed FROM webhook_endpoint WHERE length(sealed) > 0;

-- name: reseal_secrets!
-- Write secrets as they are sealed anew.
UPDATE webhook_endpoint SET sealed = ? WHERE id = ?;

-- name: forget_secrets!
-- Forget the secrets: the seals cannot be opened any more.
UPDATE webhook_endpoint SET sealed = x'';
