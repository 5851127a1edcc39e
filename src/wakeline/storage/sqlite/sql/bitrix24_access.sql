-- name: user
-- Read a user.
SELECT facts FROM portal_user WHERE id = ?;

-- name: user_by_login
-- Read the user of a login.
SELECT facts FROM portal_user WHERE login = ? AND login != '';

-- name: users
-- Read all users.
SELECT facts FROM portal_user ORDER BY id;

-- name: login_taken
-- Read which other user has a login.
SELECT id FROM portal_user WHERE login = ? AND login != '' AND id != ?;

-- name: put_user!
-- Make or change a user.
INSERT INTO portal_user (id, login, facts) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET login = excluded.login, facts = excluded.facts;

-- name: applications
-- Read all applications, oldest first.
SELECT facts, sealed FROM portal_application WHERE deleted = 0 ORDER BY id;

-- name: client_id_taken
-- Read which other application has a client id.
SELECT id FROM portal_application WHERE client_id = ? AND id != ?;

-- name: insert_application!
-- Reserve the row of an application: the seal needs its id.
INSERT INTO portal_application (client_id, app, facts, sealed) VALUES (?, 0, x'', x'');

-- name: update_application!
-- Write an application.
UPDATE portal_application SET client_id = ?, app = ?, facts = ?, sealed = ? WHERE id = ? AND deleted = 0;

-- name: mark_application!
-- Hide an application that is being forgotten.
UPDATE portal_application SET deleted = 1 WHERE id = ? AND deleted = 0;

-- name: marked_applications
-- Read the applications that are being forgotten.
SELECT id FROM portal_application WHERE deleted = 1;

-- name: delete_application!
-- Forget an application.
DELETE FROM portal_application WHERE id = ?;

-- name: sealed_tokens
-- Read what is sealed of the applications, and what the seal is bound to.
SELECT id, facts, sealed FROM portal_application WHERE length(sealed) > 0;

-- name: reseal_token!
-- Write an application's token as it is sealed anew.
UPDATE portal_application SET sealed = ? WHERE id = ?;

-- name: forget_tokens!
-- Forget the tokens of applications: their seals cannot be opened any more.
UPDATE portal_application SET sealed = x'';

-- name: webhooks
-- Read all incoming webhooks, oldest first.
SELECT id, facts FROM portal_webhook ORDER BY id;

-- name: webhook_of_digest
-- Read which incoming webhook has a digest.
SELECT id FROM portal_webhook WHERE digest = ?;

-- name: insert_webhook!
-- Keep an incoming webhook.
INSERT INTO portal_webhook (digest, facts) VALUES (?, ?);

-- name: delete_webhook!
-- Forget an incoming webhook.
DELETE FROM portal_webhook WHERE id = ?;

-- name: put_code!
-- Keep an authorization code.
INSERT OR REPLACE INTO portal_code (digest, application, expires, facts) VALUES (?, ?, ?, ?);

-- name: code
-- Read an authorization code.
SELECT facts FROM portal_code WHERE digest = ?;

-- name: delete_code!
-- Forget an authorization code.
DELETE FROM portal_code WHERE digest = ?;

-- name: delete_codes!
-- Forget an application's codes.
DELETE FROM portal_code WHERE application = ?;

-- name: prune_codes!
-- Forget codes that have expired.
DELETE FROM portal_code WHERE expires <= ?;

-- name: insert_grant!
-- Keep a grant.
INSERT INTO portal_grant (application, access, refresh, former, over, facts) VALUES (?, ?, ?, ?, ?, ?);

-- name: update_grant!
-- Put a new pair of tokens in the place of one whose refresh token is still this one.
UPDATE portal_grant SET access = ?, refresh = ?, former = ?, over = ?, facts = ? WHERE id = ? AND refresh = ?;

-- name: grant_by_access
-- Read the grant of an access token.
SELECT id, facts FROM portal_grant WHERE access = ?;

-- name: grant_by_refresh
-- Read the grant of a refresh token.
SELECT id, facts FROM portal_grant WHERE refresh = ?;

-- name: grant_by_former
-- Read the grant whose refresh token this was before.
SELECT id, facts FROM portal_grant WHERE former = ? AND former != x'';

-- name: delete_grant!
-- Forget a grant.
DELETE FROM portal_grant WHERE id = ?;

-- name: delete_left!
-- Forget what is left of a grant's former pairs: seldom, so it is looked for among all grants of its application.
DELETE FROM portal_grant WHERE application = (SELECT application FROM portal_grant WHERE id = ?1)
AND json_extract(CAST(facts AS TEXT), '$.of') = ?1;

-- name: delete_grants!
-- Forget some of an application's grants.
DELETE FROM portal_grant WHERE id IN (SELECT id FROM portal_grant WHERE application = ? LIMIT ?);

-- name: prune_grants!
-- Forget some grants of which neither token is of use any more.
DELETE FROM portal_grant WHERE id IN (SELECT id FROM portal_grant WHERE over <= ? LIMIT ?);

-- name: touch_webhook!
-- Write when an incoming webhook was last used.
UPDATE portal_webhook SET facts = ? WHERE id = ?;

-- name: change_facts!
-- Change what is known of a user, but for the login.
UPDATE portal_user SET facts = ? WHERE id = ?;
