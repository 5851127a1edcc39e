-- name: insert_job!
-- Put a job.
INSERT INTO job (id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients,
    members)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: claim_same
-- Read the jobs of a route and lane that are due at the very time the claim cursor has reached, from its id on.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE route = ? AND lane = ? AND due = ? AND id > ? ORDER BY id;

-- name: claim_later
-- Read the jobs of a route and lane that are due after the time the claim cursor has reached, earliest first.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE route = ? AND lane = ? AND due > ? AND due <= ? ORDER BY due, id;

-- name: due_same
-- Read the jobs of a route and lane that are due at the very time the claim cursor has reached, from its id on.
SELECT due, id FROM job WHERE route = ? AND lane = ? AND due = ? AND id > ? ORDER BY id;

-- name: due_later
-- Read when the jobs of a route and lane are due after the time the claim cursor has reached, earliest first.
SELECT due, id FROM job WHERE route = ? AND lane = ? AND due > ? ORDER BY due, id;

-- name: expired
-- Read jobs whose time has ended, the longest ended first.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE expires <= ? ORDER BY expires, id;

-- name: job
-- Read one job.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE id = ?;

-- name: jobs_of
-- Read the jobs of a notification.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE notification = ? ORDER BY id;

-- name: jobs_of_chunk
-- Read the sending jobs of a notification that belong to one chunk (0: to none).
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE notification = ? AND chunk = ? AND fanout = 0;

-- name: waiting_of
-- Read what the state of a notification's waiting deliveries is derived from, without their recipients.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key,
    length(recipients) / 8
FROM job WHERE notification = ? AND fanout = 0;

-- name: parcel_of
-- Read the job that a notification was put into together with others, if it still waits.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE id = (SELECT parcel FROM notification WHERE key = ? AND done IS NULL) AND notification = 0;

-- name: parcels_of_app
-- Read some parcels of an app.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE app = ? AND notification = 0 LIMIT ?;

-- name: limited
-- Read jobs that a limit holds back and that a newer push with the same key supersedes.
SELECT id, notification, app, route, lane, due, expires, fanout, chunk, attempt, cursor, code, collapse_key, recipients, members
FROM job WHERE app = ? AND collapse_key = ? AND code = 914;

-- name: delete_job!
-- End a job.
DELETE FROM job WHERE id = ?;

-- name: shrink_job!
-- Keep what remains of a job.
UPDATE job SET recipients = ?, members = ? WHERE id = ?;

-- name: advance_job!
-- Move the cursor of a walk.
UPDATE job SET cursor = ? WHERE id = ?;

-- name: depth
-- Count what waits, once at start.
SELECT route, lane, count(*), coalesce(sum(length(recipients)), 0) / 8 FROM job GROUP BY route, lane;

-- name: last_job
-- The newest id.
SELECT coalesce(max(id), 0) FROM job;

-- name: last_chunk
-- The newest id.
SELECT coalesce(max(id), 0) FROM chunk;

-- name: stopping
-- Cancelled notifications of which something was in flight at the last stop.
SELECT key FROM notification WHERE cancelled = 1 AND done IS NULL;
