-- name: insert_write!
-- Keep a write.
INSERT INTO portal_write (
    installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: replace_write!
-- Put a write in the place of one.
UPDATE portal_write SET
    installation = ?, method = ?, params = ?, key = ?, after = ?, repeatable = ?, at = ?, due = ?, attempts = ?, state = ?,
    result = ?, cause = ?
WHERE id = ?;

-- name: settle_write!
-- Write what became of a write, if it is still in a state (null: in any).
UPDATE portal_write SET state = ?, attempts = ?, due = ?, result = ?, cause = ? WHERE id = ? AND state = coalesce(?, state);

-- name: due_writes
-- Read writes of an installation in a state that are due, oldest first: by this index, or all that are due would be sorted.
SELECT id, installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause
FROM portal_write INDEXED BY portal_write_state
WHERE installation = ? AND state = ? AND due <= ? ORDER BY id LIMIT ?;

-- name: first_due
-- Read when the first write of an installation is due that the portal has not answered.
SELECT due FROM portal_write WHERE installation = ? AND state IN ('waiting', 'sent') ORDER BY due LIMIT 1;

-- name: write_of_key
-- Read the write with a key.
SELECT id, installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause FROM portal_write
WHERE installation = ? AND key = ? AND key != '';

-- name: write
-- Read a write.
SELECT id, installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause FROM portal_write
WHERE id = ?;

-- name: writes_in_state
-- Read writes of an installation, newest first.
SELECT id, installation, method, params, key, after, repeatable, at, due, attempts, state, result, cause FROM portal_write
WHERE installation = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: prune_writes!
-- Forget some old writes that wait for nothing, and whose result nothing waits for.
DELETE FROM portal_write WHERE id IN (
    SELECT w.id FROM portal_write AS w
    WHERE w.at < ? AND w.state IN ('done', 'refused', 'dropped') AND NOT EXISTS (
        SELECT 1 FROM portal_write AS later
        WHERE later.installation = w.installation AND later.after = w.key AND later.after != ''
            AND later.state IN ('waiting', 'sent', 'doubtful')
    )
    LIMIT ?
);

-- name: delete_writes!
-- Forget some writes of an installation.
DELETE FROM portal_write WHERE id IN (SELECT id FROM portal_write WHERE installation = ? LIMIT ?);

-- name: doubt_writes!
-- Have an operator look at all that the portal has not answered.
UPDATE portal_write SET state = 'doubtful', cause = ? WHERE state IN ('waiting', 'sent');
