-- Sweeping: blobs that are about to be deleted, or just were, and whose turn it is to do what one node does for all.

CREATE TABLE doomed (
    hash     text   PRIMARY KEY,
    since_ms bigint NOT NULL,
    gone_ms  bigint -- when the blob was deleted; who had put it before has lost it
);

CREATE TABLE duties (
    duty     text   PRIMARY KEY,
    until_ms bigint NOT NULL -- nobody else takes it up before
);
