-- Which database this is. The storage of images and results is marked with it, so that no other database's sweeper takes
-- for unneeded what this one refers to.

CREATE TABLE identity (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT    NOT NULL
) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
