-- name: device
-- Read a device by its name.
SELECT id, app, device_id, generation, connected_until, created, seen, users, tags, facts, held_since FROM device
WHERE app = ? AND device_id = ?;

-- name: device_by_id
-- Read a device by its row id.
SELECT id, app, device_id, generation, connected_until, created, seen, users, tags, facts, held_since FROM device WHERE id = ?;

-- name: targets_of_device
-- Read the targets of a device.
SELECT id, kind, value, environment, topic, state, reason, since, evidence, confirmed FROM target WHERE device = ? ORDER BY id;

-- name: target
-- Read one target and its device's row id.
SELECT id, kind, value, environment, topic, state, reason, since, evidence, confirmed, device FROM target WHERE id = ?;

-- name: owner
-- Read which device and target a token is.
SELECT device, id FROM target WHERE key = ? AND app = ? AND kind = ? AND value = ?;

-- name: owner_of_endpoint
-- Read whose a Web Push subscription is of which the endpoint alone is known: all that begins with it and a space.
SELECT device FROM target WHERE key = ? AND app = ? AND kind = 'webpush' AND value > ? AND value < ? ORDER BY id DESC LIMIT 1;

-- name: owner_of_target
-- Read which device a target belongs to.
SELECT device FROM target WHERE id = ?;

-- name: insert_device!
-- Keep a device.
INSERT INTO device (app, device_id, generation, connected_until, created, seen, held_since, locale, users, tags, facts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: last_ids
-- Read the highest row ids of devices and targets that were ever given.
SELECT
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'device'), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'target'), 0);

-- name: names_known
-- Read which of the device ids in a JSON list are registered.
SELECT d.device_id FROM device AS d WHERE d.app = ? AND d.device_id IN (SELECT value FROM json_each(?));

-- name: keys_known
-- Read which keys of tokens in a JSON list are there.
SELECT t.key FROM target AS t WHERE t.key IN (SELECT value FROM json_each(?));

-- name: devices_by_user
-- Count the devices of the users in a JSON list.
SELECT u.user, count(*) FROM device_user AS u
WHERE u.app = ? AND u.user IN (SELECT value FROM json_each(?)) GROUP BY u.user;

-- name: insert_fresh_device!
-- Keep a device that was nowhere, under a row id that was counted by who writes.
INSERT INTO device (id, app, device_id, created, seen, locale, users, tags, facts, generation, connected_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0);

-- name: insert_fresh_target!
-- Keep a target that was nowhere, under a row id that was counted by who writes.
INSERT INTO target (id, device, app, key, kind, value, environment, topic, since, confirmed, state, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', '');

-- name: update_device!
-- Change a device.
UPDATE device SET generation = ?, connected_until = ?, seen = ?, held_since = ?, locale = ?, users = ?, tags = ?, facts = ?
WHERE id = ?;

-- name: delete_device!
-- Forget a device; its targets and their history go with it.
DELETE FROM device WHERE id = ?;

-- name: insert_user!
-- Bind a user to a device.
INSERT INTO device_user (app, user, device) VALUES (?, ?, ?);

-- name: delete_user!
-- Part a user from a device.
DELETE FROM device_user WHERE app = ? AND user = ? AND device = ?;

-- name: insert_tag!
-- Put a tag on a device.
INSERT INTO device_tag (app, tag, device) VALUES (?, ?, ?);

-- name: delete_tag!
-- Take a tag from a device.
DELETE FROM device_tag WHERE app = ? AND tag = ? AND device = ?;

-- name: insert_target!
-- Keep a target.
INSERT INTO target (device, app, kind, value, environment, topic, state, reason, since, evidence, confirmed, key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_target!
-- Change a target, or move it to another device.
UPDATE target SET device = ?, environment = ?, topic = ?, state = ?, reason = ?, since = ?, evidence = ?, confirmed = ?
WHERE id = ?;

-- name: delete_target!
-- Forget a target.
DELETE FROM target WHERE id = ?;

-- name: insert_history!
-- Remember what became of a target.
INSERT INTO target_history (device, target, kind, state, reason, at, evidence) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: history
-- Read what became of a device's targets, newest first.
SELECT target, kind, state, reason, at, evidence FROM target_history WHERE device = ? ORDER BY id DESC LIMIT ?;

-- name: prune_history!
-- Forget some history older than a time.
DELETE FROM target_history WHERE id IN (SELECT id FROM target_history WHERE at < ? ORDER BY at LIMIT ?);

-- name: devices_of_user
-- Read the devices of a user by row id.
SELECT device FROM device_user WHERE app = ? AND user = ? AND device > ? ORDER BY device LIMIT ?;

-- name: devices_of_app
-- Read the devices of an app by row id.
SELECT id FROM device WHERE app = ? AND id > ? ORDER BY id LIMIT ?;

-- name: devices_fallen
-- Read the devices that have a target in a state other than active, by row id.
SELECT DISTINCT device FROM target WHERE app = ? AND state = ? AND state <> 'active' AND device > ? ORDER BY device LIMIT ?;

-- name: seen_of_user
-- Read when the devices of a user were last seen.
SELECT d.seen, d.id FROM device_user AS u CROSS JOIN device AS d ON d.id = u.device WHERE u.app = ? AND u.user = ?;

-- name: candidates_of_users
-- Read the active targets of the users named by a JSON list.
SELECT d.id, d.device_id, d.generation, d.connected_until, u.user, t.id, t.value, t.state, d.locale, t.kind, t.environment, t.topic
FROM json_each(?) AS wanted
CROSS JOIN device_user AS u ON u.app = ? AND u.user = wanted.value
CROSS JOIN device AS d ON d.id = u.device
CROSS JOIN target AS t ON t.device = d.id AND t.state = 'active';

-- name: candidates_of_devices
-- Read the active targets of the devices named by a JSON list.
SELECT d.id, d.device_id, d.generation, d.connected_until, '', t.id, t.value, t.state, d.locale, t.kind, t.environment, t.topic
FROM json_each(?) AS wanted
CROSS JOIN device AS d ON d.app = ? AND d.device_id = wanted.value
CROSS JOIN target AS t ON t.device = d.id AND t.state = 'active';

-- name: candidate_of_token
-- Read the target with a token as a candidate, whatever its state.
SELECT d.id, d.device_id, d.generation, d.connected_until, '', t.id, t.value, t.state, d.locale, t.kind, t.environment, t.topic
FROM target AS t CROSS JOIN device AS d ON d.id = t.device WHERE t.key = ? AND t.app = ? AND t.kind = ? AND t.value = ?;

-- name: walk
-- Read the active targets of the next devices of an app that have any; those behind raw tokens were registered by nobody.
SELECT d.id, d.device_id, d.generation, d.connected_until, '', t.id, t.value, t.state, d.locale, t.kind, t.environment, t.topic
FROM (
    SELECT id, device_id, generation, connected_until, locale FROM device
    WHERE app = ? AND id > ? AND device_id NOT GLOB 'raw-*'
        AND EXISTS (SELECT 1 FROM target WHERE target.device = device.id AND target.state = 'active')
    ORDER BY id LIMIT ?
) AS d
CROSS JOIN target AS t ON t.device = d.id AND t.state = 'active';

-- name: sweep
-- Read the active targets of the next devices of an app in columns, a row for each address; devices without any are one more.
SELECT max(d.id), t.kind, t.environment, t.topic, group_concat(t.id), group_concat(d.id), group_concat(t.value, char(10)), NULL
FROM (SELECT id, locale FROM device WHERE app = ? AND id > ? AND device_id NOT GLOB 'raw-*' ORDER BY id LIMIT ?) AS d
LEFT JOIN target AS t ON t.device = d.id AND t.state = 'active'
GROUP BY t.kind, t.environment, t.topic;

-- name: sweep_locales
-- Read the same with the languages of the devices.
SELECT max(d.id), t.kind, t.environment, t.topic, group_concat(t.id), group_concat(d.id), group_concat(t.value, char(10)), group_concat(d.locale, char(10))
FROM (SELECT id, locale FROM device WHERE app = ? AND id > ? AND device_id NOT GLOB 'raw-*' ORDER BY id LIMIT ?) AS d
LEFT JOIN target AS t ON t.device = d.id AND t.state = 'active'
GROUP BY t.kind, t.environment, t.topic;

-- name: walk_tag
-- Read the next devices with a tag that have an active target.
SELECT device FROM device_tag
WHERE app = ? AND tag = ? AND device > ?
    AND EXISTS (SELECT 1 FROM target WHERE target.device = device_tag.device AND target.state = 'active')
ORDER BY device LIMIT ?;

-- name: candidates_of_rows
-- Read the active targets of the devices whose row ids a JSON list names, in its order.
SELECT d.id, d.device_id, d.generation, d.connected_until, '', t.id, t.value, t.state, d.locale, t.kind, t.environment, t.topic
FROM json_each(?) AS wanted
CROSS JOIN device AS d ON d.id = wanted.value
CROSS JOIN target AS t ON t.device = d.id AND t.state = 'active';

-- name: recipients
-- Read what sending needs of the targets named by a JSON list, in its order.
SELECT t.id, t.value, d.generation, t.state, d.locale, d.id, t.kind
FROM json_each(?) AS wanted
CROSS JOIN target AS t ON t.id = wanted.value
CROSS JOIN device AS d ON d.id = t.device;

-- name: recipients_between
-- Read what sending needs of a range of targets.
SELECT t.id, t.value, d.generation, t.state, d.locale, d.id, t.kind
FROM target AS t CROSS JOIN device AS d ON d.id = t.device
WHERE t.id BETWEEN ? AND ?;

-- name: whose
-- Read the devices behind the targets named by a JSON list.
SELECT t.id, d.id, d.device_id, t.kind
FROM json_each(?) AS wanted CROSS JOIN target AS t ON t.id = wanted.value CROSS JOIN device AS d ON d.id = t.device;

-- name: whose_once
-- Read the devices that have given up the targets named by a JSON list.
SELECT h.target, d.id, d.device_id, h.kind
FROM json_each(?) AS wanted
CROSS JOIN target_history AS h ON h.target = wanted.value AND h.reason = 'not registered any more'
CROSS JOIN device AS d ON d.id = h.device;

-- name: former_targets
-- Read the last targets that a device gave up for a reason.
SELECT target FROM target_history WHERE device = ? AND reason = ? ORDER BY id DESC LIMIT ?;

-- name: phones
-- Read what the devices behind the targets named by a JSON list say of themselves.
SELECT t.id, d.id, t.kind, d.facts
FROM json_each(?) AS wanted CROSS JOIN target AS t ON t.id = wanted.value CROSS JOIN device AS d ON d.id = t.device;

-- name: owners
-- Read the devices that own the targets named by a JSON list.
SELECT t.id, d.id, d.app, d.device_id, d.generation, d.connected_until, d.created, d.seen, d.users, d.tags, d.facts,
    d.held_since
FROM json_each(?) AS wanted CROSS JOIN target AS t ON t.id = wanted.value CROSS JOIN device AS d ON d.id = t.device;

-- name: targets_of_devices
-- Read the targets of the devices named by a JSON list, each device's in order.
SELECT t.id, t.kind, t.value, t.environment, t.topic, t.state, t.reason, t.since, t.evidence, t.confirmed, t.device
FROM json_each(?) AS wanted CROSS JOIN target AS t ON t.device = wanted.value ORDER BY t.id;

-- name: tally
-- Read how many devices and targets an app has.
SELECT what, number FROM tally WHERE app = ?;

-- name: voip_places
-- Step from each place of VoIP tokens to the next one: a seek each. (One `>` on both columns would walk through all that are equal.)
WITH RECURSIVE place (environment, topic) AS (
    SELECT '', ''
    UNION ALL
    SELECT target.environment, target.topic FROM place JOIN target ON target.id = coalesce(
        (
            SELECT id FROM target
            WHERE app = :app AND kind = 'apns-voip' AND state = 'active'
                AND environment = place.environment AND topic > place.topic
            ORDER BY topic LIMIT 1
        ),
        (
            SELECT id FROM target
            WHERE app = :app AND kind = 'apns-voip' AND state = 'active' AND environment > place.environment
            ORDER BY environment, topic LIMIT 1
        )
    )
    LIMIT :limit + 1
)
SELECT environment, topic FROM place WHERE environment <> '';

-- name: tagged
-- Count the devices with a tag.
SELECT count(*) FROM device_tag WHERE app = ? AND tag = ?;

-- name: fallen
-- Read the next targets of an app that fell in a time range, in order of their fall.
SELECT id, kind, value, environment, topic, state, reason, since, evidence, confirmed, device FROM target
WHERE app = ? AND state <> 'active' AND (since, id) > (?, ?) AND since <= ? ORDER BY since, id LIMIT ?;

-- name: page_of_devices
-- Read how many devices of an app come next, and the last of them.
SELECT count(*), max(id) FROM (SELECT id FROM device WHERE app = ? AND id > ? ORDER BY id LIMIT ?);

-- name: stale
-- Read the active targets of the next devices that were vouched for by nobody since a time.
SELECT t.id, d.id, max(d.seen, d.connected_until, t.since, t.confirmed) AS vouched
FROM (
    SELECT id, device_id, seen, connected_until FROM device WHERE app = ? AND id > ? AND id <= ? ORDER BY id
) AS d
CROSS JOIN target AS t ON t.device = d.id AND t.state = 'active'
WHERE d.seen < ? AND d.device_id NOT GLOB 'raw-*' AND max(d.seen, d.connected_until, t.since, t.confirmed) < ?;

-- name: set_presence!
-- Say until when a device is connected.
UPDATE device SET connected_until = ? WHERE app = ? AND device_id = ?;

-- name: bump_badge
-- Count a badge up for a notification, unless it was the last that was counted, or this is not its first attempt.
UPDATE device SET
    badge = badge + (badge_for <> ? AND NOT ?),
    badge_for = CASE WHEN ? THEN badge_for ELSE ? END
WHERE id = ? RETURNING badge;
