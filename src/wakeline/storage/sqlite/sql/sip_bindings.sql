-- name: bindings
-- Read the bindings of an address.
SELECT facts FROM sip_binding WHERE aor = ?;

-- name: place
-- Find a binding, and what is known of it in the indexes.
SELECT id, wakes, app, gruu, tokens FROM sip_binding WHERE aor = ? AND uid = ?;

-- name: insert_binding!
-- Keep a binding.
INSERT INTO sip_binding (aor, uid, expires, kept, wakes, app, gruu, tokens, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: refresh_binding!
-- Write what every refresh changes: an index of what is not named here is not touched.
UPDATE sip_binding SET expires = ?, kept = ?, facts = ? WHERE id = ?;

-- name: change_binding!
-- Write all of a binding.
UPDATE sip_binding SET expires = ?, kept = ?, facts = ?, wakes = ?, app = ?, gruu = ?, tokens = ? WHERE id = ?;

-- name: delete_binding!
-- Forget a binding.
DELETE FROM sip_binding WHERE id = ?;

-- name: insert_token!
-- Make a binding found by a token.
INSERT INTO sip_token (token, binding) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: delete_token!
-- Have a binding found by a token no more.
DELETE FROM sip_token WHERE token = ? AND binding = ?;

-- name: bindings_of_gruu
-- Read the bindings with a public GRUU, and some with another of its digest.
SELECT aor, facts FROM sip_binding WHERE gruu = ?;

-- name: bindings_of_token
-- Read the bindings with a token, and some with another of its digest.
SELECT aor, facts FROM sip_token JOIN sip_binding ON id = binding WHERE token = ?;

-- name: addresses
-- Read addresses that have bindings.
SELECT DISTINCT aor FROM sip_binding INDEXED BY sip_binding_uid WHERE aor > ? AND kept > ? ORDER BY aor LIMIT ?;

-- name: expiring_bindings
-- Read bindings with push parameters whose registration ends soon.
SELECT aor, facts FROM sip_binding INDEXED BY sip_binding_expires
WHERE wakes = 1 AND expires >= ? AND expires < ? AND kept > ? ORDER BY expires, aor, uid LIMIT ?;

-- name: old_bindings
-- Find some bindings that are kept no longer.
SELECT id, tokens FROM sip_binding WHERE kept <= ? LIMIT ?;

-- name: bindings_of_app
-- Find some bindings whose pushes go through an app.
SELECT id, tokens, facts FROM sip_binding WHERE app = ? AND app != 0 LIMIT ?;
