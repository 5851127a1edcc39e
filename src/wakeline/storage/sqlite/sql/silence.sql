-- name: done_behind
-- Read the notifications that were done behind a mark and before a time, in that order.
SELECT key, app, lane, done, created, bulk, acknowledged + opened, accepted + acknowledged + opened
FROM notification
WHERE done IS NOT NULL AND done >= :done AND (done > :done OR key > :notification) AND done < :before
ORDER BY done, key LIMIT :limit;

-- name: sent_of
-- Read the deliveries, that a push service accepted, of the notifications named by a JSON list.
SELECT d.notification, d.target, d.state
FROM json_each(?) AS wanted CROSS JOIN delivery AS d ON d.notification = wanted.value
WHERE d.outcome_class = 'accepted';

-- name: chunks_of
-- Read which chunks a broadcast has.
SELECT id FROM chunk WHERE notification = ? ORDER BY id;

-- name: chunk
-- Read a chunk of which something is settled.
SELECT recipients, results FROM chunk WHERE id = ? AND results IS NOT NULL;

-- name: add_count!
-- Add to what was counted.
INSERT INTO silence_count (hour, app, lane, platform, os_version, model, sent, heard) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, app, lane, platform, os_version, model)
DO UPDATE SET sent = sent + excluded.sent, heard = heard + excluded.heard;

-- name: counts
-- Read what was counted in an hour.
SELECT hour, app, lane, platform, os_version, model, sent, heard FROM silence_count WHERE hour = ?;

-- name: forget_counts!
-- Forget what was counted before an hour.
DELETE FROM silence_count WHERE hour < ?;

-- name: forget_counts_of_app!
-- Forget what was counted of an app.
DELETE FROM silence_count WHERE app = ?;

-- name: suspicions
-- Read all suspicions.
SELECT id, facts FROM suspicion;

-- name: insert_suspicion!
-- Keep a suspicion.
INSERT INTO suspicion (app, facts) VALUES (?, ?);

-- name: update_suspicion!
-- Write what became of a suspicion.
UPDATE suspicion SET facts = ? WHERE id = ?;

-- name: forget_suspicion!
-- Forget a suspicion.
DELETE FROM suspicion WHERE id = ?;

-- name: forget_suspicions_of_app!
-- Forget the suspicions of an app.
DELETE FROM suspicion WHERE app = ?;

-- name: mark
-- Read how far was looked.
SELECT done, notification FROM silence_mark;

-- name: set_mark!
-- Write how far was looked.
INSERT INTO silence_mark (id, done, notification) VALUES (1, ?, ?)
ON CONFLICT (id) DO UPDATE SET done = excluded.done, notification = excluded.notification;
