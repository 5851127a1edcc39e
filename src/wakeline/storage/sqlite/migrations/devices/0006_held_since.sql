-- When a device changed hands last: its inbox shows nothing that was for those before. 0: never.
ALTER TABLE device ADD COLUMN held_since INTEGER NOT NULL DEFAULT 0;
