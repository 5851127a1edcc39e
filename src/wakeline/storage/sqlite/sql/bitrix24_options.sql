-- name: options
-- Read what an application keeps for a user.
SELECT options FROM portal_options WHERE application = ? AND user = ?;

-- name: put_options!
-- Put a map in the place of the one that is there.
INSERT OR REPLACE INTO portal_options (application, user, options) VALUES (?, ?, ?);

-- name: delete_options!
-- Forget some of what an application keeps.
DELETE FROM portal_options WHERE (application, user) IN
(SELECT application, user FROM portal_options WHERE application = ? LIMIT ?);
