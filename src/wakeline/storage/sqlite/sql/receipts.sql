-- name: about
-- Read what decides about receipts for a notification.
SELECT app, created, bulk FROM notification WHERE key = ?;

-- name: written_of_device
-- Read the written deliveries of a notification to the targets named by a JSON list.
SELECT d.target, d.state, d.at, d.tries
FROM json_each(?) AS wanted CROSS JOIN delivery AS d ON d.notification = ? AND d.target = wanted.value;

-- name: holding_chunk
-- Read the chunks of a notification around a target, the nearest first.
SELECT id, recipients, results FROM chunk WHERE notification = ? AND low <= ? AND high >= ? ORDER BY low DESC;

-- name: tell!
-- Write what a device said of a delivery.
UPDATE delivery SET state = ?, at = ? WHERE notification = ? AND target = ?;

-- name: keep_early!
-- Keep what a device said of a delivery that is being sent.
INSERT INTO early_receipt (notification, target, app, device, kind, at, certain) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (notification, target) DO UPDATE SET kind = excluded.kind, at = excluded.at, certain = excluded.certain;

-- name: forget_early!
-- Forget what was kept of a delivery.
DELETE FROM early_receipt WHERE notification = ? AND target = ?;

-- name: forget_early_of!
-- Forget what was kept of a notification.
DELETE FROM early_receipt WHERE notification = ?;

-- name: early
-- Read what is kept of deliveries that were being sent.
SELECT notification, target, app, device, kind, at, certain FROM early_receipt;

-- name: singles_to
-- Read which notifications were tried for a target, or ended there.
SELECT notification, state FROM delivery WHERE target = ? AND notification > ? ORDER BY notification LIMIT ?;

-- name: broadcasts_of
-- Read the broadcasts of an app.
SELECT key FROM notification WHERE app = ? AND bulk = 1 AND key > ? ORDER BY key LIMIT ?;

-- name: queued_for
-- Read the jobs of a route, those due first, that may be for a target: its six bytes are somewhere in them.
SELECT notification, recipients, members
FROM (SELECT notification, recipients, members FROM job WHERE route = ? AND fanout = 0 ORDER BY lane, due LIMIT ?)
WHERE instr(recipients, ?) > 0;
