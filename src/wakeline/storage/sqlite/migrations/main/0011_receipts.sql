-- What devices said about deliveries that were being sent at that moment: it counts once their answer is written.
CREATE TABLE early_receipt (
    notification INTEGER NOT NULL,
    target INTEGER NOT NULL,
    app INTEGER NOT NULL,
    device INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (notification, target)
) STRICT, WITHOUT ROWID;

-- A receipt for a broadcast, and the inbox, look for one recipient among thousands of chunks.
CREATE INDEX chunk_around ON chunk (notification, low, high);

CREATE INDEX notification_broad ON notification (app) WHERE bulk = 1;
