-- Which database this is. The storage of images and results is marked with it, so that no other database's sweeper takes
-- for unneeded what this one refers to.

CREATE TABLE identity (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    name TEXT   NOT NULL
);
INSERT INTO identity VALUES (1, gen_random_uuid()::text);
