-- name: portal_keys
-- Read all licence keys of portals.
SELECT id, facts FROM portal_key ORDER BY id;

-- name: portal_key_of_digest
-- Find a key by its digest.
SELECT id FROM portal_key WHERE digest = ?;

-- name: insert_portal_key!
-- Keep a key.
INSERT INTO portal_key (app, digest, facts) VALUES (?, ?, ?);

-- name: update_portal_key!
-- Write where a key was seen.
UPDATE portal_key SET facts = ? WHERE id = ?;

-- name: delete_portal_key!
-- Forget a key.
DELETE FROM portal_key WHERE id = ?;

-- name: delete_portal_keys!
-- Forget an app's keys.
DELETE FROM portal_key WHERE app = ?;
