-- name: users
-- Read all users.
SELECT facts, sealed FROM sip_user;

-- name: put_user!
-- Keep a user, in place of the one with this name.
INSERT INTO sip_user (domain, user, facts, sealed) VALUES (?, ?, ?, ?)
ON CONFLICT (domain, user) DO UPDATE SET facts = excluded.facts, sealed = excluded.sealed;

-- name: delete_user!
-- Forget a user.
DELETE FROM sip_user WHERE domain = ? AND user = ?;

-- name: sealed_users
-- Read every sealed pair of digests.
SELECT id, facts, sealed FROM sip_user;

-- name: reseal_user!
-- Write a pair of digests that was sealed anew.
UPDATE sip_user SET sealed = ? WHERE id = ?;

-- name: forget_users!
-- Forget all users: without their digests nobody can be one of them.
DELETE FROM sip_user;
