-- Why routes were stopped because too many of their tokens looked dead, and what became of that.
CREATE TABLE brake (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    facts BLOB NOT NULL
) STRICT;
