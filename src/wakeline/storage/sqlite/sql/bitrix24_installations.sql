-- name: installations
-- Read all connected portals, oldest first.
SELECT id, facts, sealed, tokens, reached FROM installation WHERE deleted = 0 ORDER BY id;

-- name: installation
-- Read one.
SELECT facts, sealed, tokens FROM installation WHERE id = ? AND deleted = 0;

-- name: name_taken
-- Read which other one has a name.
SELECT id FROM installation WHERE name = ? AND id != ? AND deleted = 0;

-- name: mirror_taken
-- Read which other one is the mirror.
SELECT id FROM installation WHERE mirror = 1 AND id != ? AND deleted = 0;

-- name: insert_installation!
-- Reserve the row of one: the seals need its id.
INSERT INTO installation (name, app, mirror, facts, sealed, tokens, reached) VALUES (?, ?, ?, x'', x'', x'', 0);

-- name: furnish_installation!
-- Write all of a new one.
UPDATE installation SET facts = ?, sealed = ?, tokens = ?, reached = ? WHERE id = ?;

-- name: update_installation!
-- Change one; a webhook keeps no tokens.
UPDATE installation SET name = ?, app = ?, mirror = ?, facts = ?, sealed = ?, tokens = CASE WHEN ? THEN tokens ELSE x'' END
WHERE id = ? AND deleted = 0;

-- name: set_tokens!
-- Put tokens in the place of those of one.
UPDATE installation SET tokens = ? WHERE id = ?;

-- name: reach!
-- Write how far the past of one is known.
UPDATE installation SET reached = ? WHERE id = ? AND reached < ?;

-- name: mark_installation!
-- Hide one that is being forgotten.
UPDATE installation SET deleted = 1 WHERE id = ? AND deleted = 0;

-- name: marked_installations
-- Read those that are being forgotten.
SELECT id FROM installation WHERE deleted = 1;

-- name: delete_installation!
-- Forget one.
DELETE FROM installation WHERE id = ?;

-- name: sealed_access
-- Read what opens doors, and what the seal is bound to.
SELECT id, facts, sealed FROM installation WHERE length(sealed) > 0;

-- name: reseal_access!
-- Write what opens a door as it is sealed anew.
UPDATE installation SET sealed = ? WHERE id = ?;

-- name: sealed_tokens
-- Read sealed tokens, and what the seal is bound to.
SELECT id, facts, tokens FROM installation WHERE length(tokens) > 0;

-- name: reseal_tokens!
-- Write tokens as they are sealed anew.
UPDATE installation SET tokens = ? WHERE id = ?;

-- name: forget_access!
-- Forget what opens doors: the seals cannot be opened any more.
UPDATE installation SET sealed = x'', tokens = x'';

-- name: rules
-- Read all rules, oldest first.
SELECT id, facts FROM portal_rule ORDER BY id;

-- name: rule_taken
-- Read which other rule has a name.
SELECT id FROM portal_rule WHERE name = ? AND id != ?;

-- name: insert_rule!
-- Keep a rule.
INSERT INTO portal_rule (installation, name, facts) VALUES (?, ?, ?);

-- name: update_rule!
-- Change a rule.
UPDATE portal_rule SET installation = ?, name = ?, facts = ? WHERE id = ?;

-- name: rule
-- Read whether a rule is there.
SELECT id FROM portal_rule WHERE id = ?;

-- name: delete_rule!
-- Forget a rule.
DELETE FROM portal_rule WHERE id = ?;

-- name: delete_rules!
-- Forget the rules of one installation.
DELETE FROM portal_rule WHERE installation = ?;
