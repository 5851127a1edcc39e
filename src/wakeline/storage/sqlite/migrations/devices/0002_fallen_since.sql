-- Restoring what fell in a time range reads that range and nothing else.
CREATE INDEX target_fallen_since ON target (app, since) WHERE state <> 'active';
