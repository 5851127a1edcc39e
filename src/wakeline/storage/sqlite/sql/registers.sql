-- name: apps
-- Read all apps.
SELECT id, slug, name, settings, paused, created FROM app WHERE deleted = 0;

-- name: insert_app!
-- Keep an app.
INSERT INTO app (slug, name, settings, paused, created) VALUES (?, ?, ?, ?, ?);

-- name: update_app!
-- Change an app.
UPDATE app SET name = ?, settings = ?, paused = ? WHERE id = ?;

-- name: mark_app!
-- Hide an app that is being forgotten.
UPDATE app SET deleted = 1 WHERE id = ?;

-- name: marked_apps
-- Read the apps that are being forgotten.
SELECT id FROM app WHERE deleted = 1;

-- name: delete_app!
-- Forget an app.
DELETE FROM app WHERE id = ?;

-- name: credentials
-- Read all credentials, oldest first.
SELECT facts, former FROM credential ORDER BY id;

-- name: credential
-- Read what is known of a credential, and of what it was before.
SELECT facts, former FROM credential WHERE id = ?;

-- name: insert_credential!
-- Reserve the row of a credential: the seal needs its id.
INSERT INTO credential (app, facts, sealed) VALUES (?, x'', x'');

-- name: update_credential!
-- Write a credential.
UPDATE credential SET facts = ?, sealed = ? WHERE id = ?;

-- name: keep_former!
-- Keep what a credential is, facts and secret, beside what will take its place.
UPDATE credential SET former = facts, former_sealed = sealed WHERE id = ?;

-- name: revert_credential!
-- Put the former secret back with these facts.
UPDATE credential SET facts = ?, sealed = former_sealed, former = NULL, former_sealed = NULL WHERE id = ?;

-- name: forget_former!
-- Forget what a credential was.
UPDATE credential SET former = NULL, former_sealed = NULL WHERE id = ?;

-- name: update_facts!
-- Write what is known of a credential, not the secret.
UPDATE credential SET facts = ? WHERE id = ?;

-- name: sealed
-- Read the sealed half of a credential, and that of what it was before.
SELECT sealed, former_sealed FROM credential WHERE id = ?;

-- name: sealed_values
-- Read what is sealed of the credentials, and what the seal is bound to.
SELECT id, facts, sealed FROM credential WHERE length(sealed) > 0;

-- name: former_sealed_values
-- Read what is sealed of what credentials were before, and what the seal is bound to.
SELECT id, former, former_sealed FROM credential WHERE former_sealed IS NOT NULL;

-- name: reseal!
-- Write a credential's secret as it is sealed anew.
UPDATE credential SET sealed = ? WHERE id = ?;

-- name: reseal_former!
-- Write the secret of what a credential was before as it is sealed anew.
UPDATE credential SET former_sealed = ? WHERE id = ?;

-- name: delete_credential!
-- Forget a credential.
DELETE FROM credential WHERE id = ?;

-- name: delete_all_credentials!
-- Forget every credential: their seals cannot be opened any more.
DELETE FROM credential;

-- name: delete_credentials!
-- Forget an app's credentials.
DELETE FROM credential WHERE app = ?;

-- name: routes
-- Read all routes.
SELECT id, app, provider, environment, topic, hold FROM route ORDER BY id;

-- name: insert_route!
-- Make a route.
INSERT INTO route (app, provider, environment, topic, hold) VALUES (?, ?, ?, ?, ?);

-- name: hold_route!
-- Hold or release a route.
UPDATE route SET hold = ? WHERE id = ?;

-- name: hold_routes!
-- Hold every route.
UPDATE route SET hold = ?;

-- name: delete_routes!
-- Forget an app's routes.
DELETE FROM route WHERE app = ?;

-- name: brakes
-- Read all brake episodes.
SELECT id, facts FROM brake;

-- name: insert_brake!
-- Keep a brake episode.
INSERT INTO brake (app, facts) VALUES (?, ?);

-- name: update_brake!
-- Change a brake episode.
UPDATE brake SET facts = ? WHERE id = ?;

-- name: delete_brake!
-- Forget a brake episode.
DELETE FROM brake WHERE id = ?;

-- name: delete_brakes!
-- Forget an app's brake episodes.
DELETE FROM brake WHERE app = ?;

-- name: api_keys
-- Read all API keys.
SELECT id, digest, facts, revoked, last_used FROM api_key ORDER BY id;

-- name: insert_api_key!
-- Keep an API key.
INSERT INTO api_key (digest, facts, revoked, last_used) VALUES (?, ?, ?, ?);

-- name: revoke_api_key!
-- Make an API key useless.
UPDATE api_key SET revoked = ? WHERE id = ?;

-- name: touch_api_key!
-- Remember when an API key was used.
UPDATE api_key SET last_used = ? WHERE id = ?;

-- name: settings
-- Read all settings.
SELECT name, value FROM setting;

-- name: set_setting!
-- Keep a setting.
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: delete_setting!
-- Forget a setting.
DELETE FROM setting WHERE name = ?;

-- name: idempotency
-- Read the first use of a key.
SELECT fingerprint, status, body, secret, resource FROM idempotency WHERE scope = ? AND key = ?;

-- name: claim_idempotency!
-- Take a key.
INSERT INTO idempotency (scope, key, fingerprint, at, status, body, secret, resource) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: finish_idempotency!
-- Keep the answer of a key's first use.
INSERT INTO idempotency (scope, key, fingerprint, at, status, body, secret, resource) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
    secret = excluded.secret, resource = excluded.resource;

-- name: abandon_idempotency!
-- Forget a key without an answer.
DELETE FROM idempotency WHERE scope = ? AND key = ? AND status IS NULL;

-- name: abandon_all_idempotency!
-- Forget keys whose request died with the process.
DELETE FROM idempotency WHERE status IS NULL;

-- name: prune_idempotency!
-- Forget some keys first used before a time.
DELETE FROM idempotency WHERE (scope, key) IN (SELECT scope, key FROM idempotency WHERE at < ? ORDER BY at LIMIT ?);

-- name: app_of_slug
-- Read which app has a slug.
SELECT id FROM app WHERE slug = ? AND deleted = 0;

-- name: route
-- Read the route of what it is made of.
SELECT id, app, provider, environment, topic, hold FROM route
WHERE app = ? AND provider = ? AND environment = ? AND topic = ?;

-- name: api_key_of_digest
-- Read which API key has a digest.
SELECT id FROM api_key WHERE digest = ?;
