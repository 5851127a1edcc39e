-- Parcels: a job of many notifications with one recipient each. `members` are their keys, 8 bytes each, in the order of the
-- recipients; a notification names the job it was put into, so that its part is found without an index.
ALTER TABLE job ADD COLUMN members BLOB NOT NULL DEFAULT x'';
ALTER TABLE notification ADD COLUMN parcel INTEGER NOT NULL DEFAULT 0;
