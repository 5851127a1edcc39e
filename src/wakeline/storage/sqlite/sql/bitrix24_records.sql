-- name: put_record!
-- Make or change a record.
INSERT INTO portal_record (kind, id, changed, fields) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET changed = excluded.changed, fields = excluded.fields;

-- name: record
-- Read a record.
SELECT id, changed, fields FROM portal_record WHERE kind = ? AND id = ?;

-- name: records
-- Read records.
SELECT id, changed, fields FROM portal_record WHERE kind = ? AND id IN (SELECT value FROM json_each(?));

-- name: rising
-- Read some records of a span by id.
SELECT id, fields FROM portal_record WHERE kind = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?;

-- name: falling
-- Read some records of a span by id, the last first.
SELECT id, fields FROM portal_record WHERE kind = ? AND id > ? AND id <= ? ORDER BY id DESC LIMIT ?;

-- name: page_rising
-- Read the ids of a page of a span.
SELECT id FROM portal_record WHERE kind = ? AND id > ? AND id <= ? ORDER BY id LIMIT ? OFFSET ?;

-- name: page_falling
-- Read the ids of a page of a span, the last first.
SELECT id FROM portal_record WHERE kind = ? AND id > ? AND id <= ? ORDER BY id DESC LIMIT ? OFFSET ?;

-- name: count
-- Count the records of a span.
SELECT count(*) FROM portal_record WHERE kind = ? AND id > ? AND id <= ?;

-- name: delete_records!
-- Forget records.
DELETE FROM portal_record WHERE kind = ? AND id IN (SELECT value FROM json_each(?));

-- name: put_phone!
-- Keep a telephone number of a record.
INSERT INTO portal_phone (kind, phone, id) VALUES (?, ?, ?);

-- name: delete_phones!
-- Forget the telephone numbers of records.
DELETE FROM portal_phone WHERE kind = ? AND id IN (SELECT value FROM json_each(?));

-- name: phone_owner
-- Find the first record that has a telephone number.
SELECT id FROM portal_phone WHERE kind = ? AND phone = ? ORDER BY id LIMIT 1;
