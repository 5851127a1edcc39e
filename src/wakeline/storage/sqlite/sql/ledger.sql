-- name: insert_notification!
-- Keep a notification.
INSERT INTO notification (key, app, lane, due, expires, created, bulk, only_if_absent, recipients, walked, cancelled,
    request_id, content, audience, parcel)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: notification
-- Read one notification.
SELECT key, app, lane, due, expires, created, bulk, only_if_absent, recipients, walked, cancelled, request_id, content, audience
FROM notification WHERE key = ?;

-- name: notifications
-- Read several notifications, named by a JSON list.
SELECT n.key, app, lane, due, expires, created, bulk, only_if_absent, recipients, walked, cancelled, request_id, content, audience
FROM json_each(?) AS wanted CROSS JOIN notification AS n ON n.key = wanted.value;

-- name: newest_broadcasts
-- Read the newest broadcasts of an app.
SELECT key, app, lane, due, expires, created, bulk, only_if_absent, recipients, walked, cancelled, request_id, content, audience
FROM notification WHERE app = ? AND bulk = 1 ORDER BY key DESC LIMIT ?;

-- name: standing
-- Read how a notification stands: what decides whether it may change.
SELECT app, created, walked, cancelled, done FROM notification WHERE key = ?;

-- name: written
-- Read what was counted of a notification.
SELECT accepted, acknowledged, opened, failed, expired, withdrawn, superseded, skipped, unanswered
FROM notification WHERE key = ?;

-- name: count!
-- Count deliveries of a notification in their written states.
UPDATE notification SET accepted = accepted + ?, acknowledged = acknowledged + ?, opened = opened + ?, failed = failed + ?,
    expired = expired + ?, withdrawn = withdrawn + ?, superseded = superseded + ?, skipped = skipped + ?,
    unanswered = unanswered + ?
WHERE key = ?;

-- name: count_and_finish!
-- Count deliveries of a notification whose jobs end, and complete it if everything was walked and nothing waits.
UPDATE notification SET accepted = accepted + ?, acknowledged = acknowledged + ?, opened = opened + ?, failed = failed + ?,
    expired = expired + ?, withdrawn = withdrawn + ?, superseded = superseded + ?, skipped = skipped + ?,
    unanswered = unanswered + ?,
    done = CASE WHEN done IS NULL AND walked = 1
        AND NOT EXISTS (SELECT 1 FROM job WHERE job.notification = notification.key) THEN ? ELSE done END
WHERE key = ?;

-- name: accepted_whole!
-- Complete a notification whose only delivery was accepted.
UPDATE notification SET accepted = accepted + 1, done = ? WHERE key = ? AND done IS NULL;

-- name: finished
-- Read those of the notifications named by a JSON list that are done.
SELECT n.key, app, accepted, acknowledged, opened, failed, expired, withdrawn, superseded, skipped, unanswered
FROM json_each(?) AS wanted CROSS JOIN notification AS n ON n.key = wanted.value
WHERE done IS NOT NULL;

-- name: idle
-- Read a notification if everything of it was walked, nothing waits and nobody has said so yet.
SELECT app, accepted, acknowledged, opened, failed, expired, withdrawn, superseded, skipped, unanswered
FROM notification
WHERE key = ? AND done IS NULL AND walked = 1 AND NOT EXISTS (SELECT 1 FROM job WHERE job.notification = notification.key);

-- name: set_done!
-- Say that nothing of a notification waits.
UPDATE notification SET done = ? WHERE key = ?;

-- name: set_cancelled!
-- Mark a notification as cancelled.
UPDATE notification SET cancelled = 1 WHERE key = ?;

-- name: end_walk!
-- Say that everybody was found.
UPDATE notification SET walked = 1 WHERE key = ?;

-- name: found!
-- Count the deliveries that a step of a walk made.
UPDATE notification SET recipients = recipients + ? WHERE key = ?;

-- name: drop_content!
-- Keep no texts of a notification that is done.
UPDATE notification SET content = ?, audience = NULL WHERE key = ?;

-- name: insert_chunk!
-- Keep a chunk of a bulk notification.
INSERT INTO chunk (id, notification, route, low, high, recipients) VALUES (?, ?, ?, ?, ?, ?);

-- name: chunk
-- Read one chunk.
SELECT id, recipients, results FROM chunk WHERE id = ?;

-- name: chunks_of
-- Read the chunks of a notification from one on.
SELECT id, recipients, results FROM chunk WHERE notification = ? AND id >= ? ORDER BY id;

-- name: chunks_around
-- Read the chunks of a notification that may hold a target.
SELECT id, recipients, results FROM chunk WHERE notification = ? AND low <= ? AND high >= ? ORDER BY id;

-- name: set_results!
-- Write the results of a chunk.
UPDATE chunk SET results = ? WHERE id = ?;

-- name: upsert_delivery!
-- Write a delivery; its attempts are appended, and a provider's id once known stays.
INSERT INTO delivery (notification, target, state, code, status, reason, outcome_class, provider_id, tries, at, attempts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (notification, target) DO UPDATE SET state = excluded.state, code = excluded.code, status = excluded.status,
    reason = excluded.reason, outcome_class = excluded.outcome_class,
    provider_id = CASE excluded.provider_id WHEN '' THEN provider_id ELSE excluded.provider_id END,
    tries = excluded.tries, at = excluded.at, attempts = attempts || excluded.attempts;

-- name: deliveries
-- Read the written deliveries of a notification behind a target.
SELECT notification, target, state, code, status, reason, outcome_class, provider_id, tries, at, attempts
FROM delivery WHERE notification = ? AND target > ? ORDER BY target;

-- name: delivery
-- Read one written delivery.
SELECT notification, target, state, code, status, reason, outcome_class, provider_id, tries, at, attempts
FROM delivery WHERE notification = ? AND target = ?;

-- name: recent_of_app
-- Read the newest written deliveries of an app, among its newest 5000 notifications: a million may wait without a delivery.
SELECT d.notification, d.target, d.state, d.code, d.status, d.reason, d.outcome_class, d.provider_id, d.tries, d.at, d.attempts
FROM notification AS n CROSS JOIN delivery AS d ON d.notification = n.key
WHERE n.app = ?1 AND n.key >= (
    SELECT min(key) FROM (SELECT key FROM notification WHERE app = ?1 ORDER BY key DESC LIMIT 5000)
)
ORDER BY n.key DESC, d.target LIMIT ?2;

-- name: recent_of_target
-- Read the newest written deliveries to a target.
SELECT notification, target, state, code, status, reason, outcome_class, provider_id, tries, at, attempts
FROM delivery WHERE target = ? ORDER BY notification DESC LIMIT ?;

-- name: done_before
-- Read which notifications retention no longer keeps.
SELECT key FROM notification WHERE done IS NOT NULL AND done < ? ORDER BY done LIMIT ?;

-- name: keys_of_app
-- Read some notifications of an app.
SELECT key FROM notification WHERE app = ? LIMIT ?;

-- name: forget_notification!
-- Forget a notification.
DELETE FROM notification WHERE key = ?;

-- name: forget_deliveries!
-- Forget the written deliveries of a notification.
DELETE FROM delivery WHERE notification = ?;

-- name: forget_some_deliveries!
-- Forget some of the written deliveries of a notification.
DELETE FROM delivery
WHERE (notification, target) IN (SELECT notification, target FROM delivery WHERE notification = ? LIMIT ?);

-- name: forget_some_chunks!
-- Forget some of the chunks of a notification.
DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE notification = ? LIMIT ?);

-- name: forget_chunks!
-- Forget the chunks of a notification.
DELETE FROM chunk WHERE notification = ?;

-- name: newest
-- The largest key kept.
SELECT coalesce(max(key), 0) FROM notification;
