-- Sweeping: blobs that are about to be deleted, or just were, and whose turn it is to do what one node does for all.

CREATE TABLE doomed (
    hash     TEXT    PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    gone_ms  INTEGER -- when the blob was deleted; who had put it before has lost it
) STRICT, WITHOUT ROWID;

CREATE TABLE duties (
    duty     TEXT    PRIMARY KEY,
    until_ms INTEGER NOT NULL -- nobody else takes it up before
) STRICT, WITHOUT ROWID;
