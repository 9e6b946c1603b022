-- The processes of the service, each telling of itself every few seconds. For people to look at.
--
-- Nothing is decided by it: whether a job's worker lives is on the job's row, its lease, and only there. A process that
-- is killed leaves its row behind; whoever writes next drops those that have not been seen for a day.

CREATE TABLE nodes (
    name          TEXT    PRIMARY KEY, -- new with every boot; the worker that jobs name, if it does jobs
    role          TEXT    NOT NULL CHECK (role IN ('all', 'api', 'worker')),
    version       TEXT    NOT NULL,
    host          TEXT    NOT NULL,    -- the machine's name; empty where the system does not tell
    pid           INTEGER NOT NULL CHECK (pid >= 0),
    slots         INTEGER NOT NULL CHECK (slots >= 0), -- jobs that it does at a time
    draining      INTEGER NOT NULL CHECK (draining IN (0, 1)),
    started_at_ms INTEGER NOT NULL,
    seen_at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
