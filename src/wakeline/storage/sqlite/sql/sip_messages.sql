-- name: message_of_key
-- Read the message of an address with a key.
SELECT id, aor, key, call_id, at, expires, request,
    (SELECT json_group_array(uid) FROM sip_message_for WHERE message = id)
FROM sip_message WHERE aor = ? AND key = ?;

-- name: insert_message!
-- Keep a message.
INSERT INTO sip_message (aor, key, call_id, at, expires, request) VALUES (?, ?, ?, ?, ?, ?);

-- name: insert_phone!
-- Have a message wait for a phone.
INSERT INTO sip_message_for (message, uid) VALUES (?, ?);

-- name: any_message
-- Look whether anything waits for a phone of an address.
SELECT 1 FROM sip_message_for JOIN sip_message ON id = message WHERE uid = ? AND aor = ? AND expires > ? LIMIT 1;

-- name: waiting_messages
-- Read what waits for a phone of an address.
SELECT id, aor, key, call_id, at, expires, request,
    (SELECT json_group_array(each.uid) FROM sip_message_for AS each WHERE each.message = id)
FROM sip_message_for AS mine JOIN sip_message ON id = mine.message
WHERE mine.uid = ? AND aor = ? AND expires > ? ORDER BY mine.message LIMIT ?;

-- name: move_messages!
-- Have what waits for one phone of an address wait for another.
UPDATE OR IGNORE sip_message_for SET uid = ? WHERE uid = ? AND message IN (SELECT id FROM sip_message WHERE aor = ?);

-- name: leave_messages!
-- Have nothing of an address wait for a phone.
DELETE FROM sip_message_for WHERE uid = ? AND message IN (SELECT id FROM sip_message WHERE aor = ?);

-- name: take_message!
-- Have a message wait for a phone no more.
DELETE FROM sip_message_for WHERE message = ? AND uid = ?;

-- name: forget_taken!
-- Forget a message that waits for nobody.
DELETE FROM sip_message WHERE id = ? AND NOT EXISTS (SELECT 1 FROM sip_message_for WHERE message = id);

-- name: count_messages
-- Count what waits for an address.
SELECT count(*) FROM sip_message WHERE aor = ?;

-- name: old_messages
-- Find some messages that have expired.
SELECT id FROM sip_message WHERE expires <= ? LIMIT ?;

-- name: forget_phones!
-- Have a message wait for no phone.
DELETE FROM sip_message_for WHERE message = ?;

-- name: forget_message!
-- Forget a message.
DELETE FROM sip_message WHERE id = ?;
