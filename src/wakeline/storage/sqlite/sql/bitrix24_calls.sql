-- name: same_call
-- Read the latest call with a fingerprint that began since a time.
SELECT id, facts FROM portal_call WHERE fingerprint = ? AND begun >= ? ORDER BY begun DESC, id DESC LIMIT 1;

-- name: call
-- Read a call.
SELECT id, facts FROM portal_call WHERE call_id = ?;

-- name: insert_call!
-- Keep a call.
INSERT INTO portal_call (call_id, fingerprint, begun, facts) VALUES (?, ?, ?, ?);

-- name: update_call!
-- Write how a call ended.
UPDATE portal_call SET facts = ? WHERE id = ?;

-- name: prune_calls!
-- Forget some old calls.
DELETE FROM portal_call WHERE id IN (SELECT id FROM portal_call WHERE begun < ? LIMIT ?);
