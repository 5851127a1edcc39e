-- For which notification a badge was last counted: the same one is not counted again when a crash comes between count and send.
ALTER TABLE device ADD COLUMN badge_for INTEGER NOT NULL DEFAULT 0;
