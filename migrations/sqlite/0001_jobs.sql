-- Jobs, their events, their callbacks and the cache of results.
--
-- Times are milliseconds since 1970-01-01 UTC by this database's clock. Hashes are lower-case hexadecimal SHA-256. Every
-- index costs each submission a write, so each says which query needs it; those of a state are partial, so that a job
-- leaves them when it is done.

CREATE TABLE jobs (
    -- AUTOINCREMENT: a key is never given to another job, so a stale token or cursor cannot mean a new one.
    key              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner            TEXT    NOT NULL, -- the API key's name; empty where keys are off
    id               TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    request          TEXT    NOT NULL CHECK (json_valid(request)),
    request_hash     TEXT    NOT NULL,
    source_hash      TEXT,             -- the image's blob: uploaded with the request, or kept once it was fetched
    batch            TEXT,
    callback_url     TEXT,
    request_id       TEXT    NOT NULL, -- of the request that submitted it; log lines and callbacks repeat it
    state            TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    attempt          INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    deaths           INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0),
    fence            INTEGER NOT NULL DEFAULT 0, -- grows with every claim, and never falls
    worker           TEXT,
    lease_until_ms   INTEGER,
    run_after_ms     INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    sequence         INTEGER NOT NULL,           -- of the newest event
    progress         INTEGER NOT NULL CHECK (progress BETWEEN 0 AND 100),
    message          TEXT    NOT NULL,
    result_hash      TEXT,
    result_bytes     INTEGER,
    error            TEXT,
    created_at_ms    INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL,
    finished_at_ms   INTEGER,
    UNIQUE (owner, id),
    CHECK ((state = 'running') = (lease_until_ms IS NOT NULL)),
    CHECK ((state = 'completed') = (result_hash IS NOT NULL)),
    CHECK ((state IN ('failed', 'cancelled')) = (error IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL))
) STRICT;

-- Claims take the longest accepted job that may run; with the time in it, those that must wait are passed over unread.
CREATE INDEX jobs_queued ON jobs (key, run_after_ms) WHERE state = 'queued';
-- The reaper looks for leases that have ended.
CREATE INDEX jobs_leased ON jobs (lease_until_ms) WHERE state = 'running';
-- An owner's list, newest first, from a cursor on.
CREATE INDEX jobs_listed ON jobs (owner, key);
-- The same list by state.
CREATE INDEX jobs_by_state ON jobs (owner, state, key);
-- A batch's counts and its list.
CREATE INDEX jobs_batched ON jobs (owner, batch, key) WHERE batch IS NOT NULL;
-- Retention differs by state and looks at when the job ended.
CREATE INDEX jobs_finished ON jobs (state, finished_at_ms) WHERE finished_at_ms IS NOT NULL;
-- The sweeper asks which blobs are still needed.
CREATE INDEX jobs_sources ON jobs (source_hash) WHERE source_hash IS NOT NULL;
CREATE INDEX jobs_results ON jobs (result_hash) WHERE result_hash IS NOT NULL;

CREATE TABLE events (
    job      INTEGER NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    progress INTEGER NOT NULL CHECK (progress BETWEEN 0 AND 100),
    message  TEXT    NOT NULL,
    error    TEXT,
    PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    owner        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    job          INTEGER NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    request_hash TEXT    NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

-- A deleted job takes its keys along; without this, each deletion would read the whole table.
CREATE INDEX idempotency_of_job ON idempotency (job);

-- The outbox: callbacks that are owed, written in the transaction of the event that they tell of.
CREATE TABLE deliveries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    job            INTEGER NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    sequence       INTEGER NOT NULL, -- of the event; its content is read from there
    is_final       INTEGER NOT NULL CHECK (is_final IN (0, 1)),
    url            TEXT    NOT NULL,
    host           TEXT    NOT NULL, -- the receiver: host and port of the URL; those that have no turn are passed over
    state          TEXT    NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'given_up', 'superseded')),
    attempts       INTEGER NOT NULL DEFAULT 0,
    due_at_ms      INTEGER NOT NULL,
    fence          INTEGER NOT NULL DEFAULT 0,
    worker         TEXT,
    lease_until_ms INTEGER,
    CHECK ((state = 'sending') = (lease_until_ms IS NOT NULL))
) STRICT;

-- A job's callbacks: which is in flight, which are passed over, which go with the job.
CREATE INDEX deliveries_of_job ON deliveries (job, sequence);
-- At most one progress callback of a job waits. This is what the newest replaces.
CREATE UNIQUE INDEX deliveries_progress ON deliveries (job) WHERE state = 'waiting' AND is_final = 0;
-- What is due: final callbacks first, the longest due first. With receiver and job in it, those of receivers that have no
-- turn are passed over unread.
CREATE INDEX deliveries_due ON deliveries (is_final DESC, due_at_ms, id, host, job) WHERE state = 'waiting';
-- Callbacks whose sender may have died.
CREATE INDEX deliveries_leased ON deliveries (lease_until_ms) WHERE state = 'sending';

-- Every attempt to deliver, for whoever asks why a callback did not come.
CREATE TABLE delivery_attempts (
    id       INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL, -- a waiting progress callback may come to tell of a newer event
    at_ms    INTEGER NOT NULL,
    status   INTEGER,
    error    TEXT,
    took_ms  INTEGER NOT NULL
) STRICT;

-- A callback's attempts, also when it is deleted.
CREATE INDEX attempts_of_delivery ON delivery_attempts (delivery);

-- Results by what they were made from, shared by equal requests.
CREATE TABLE results (
    cache_key    TEXT    PRIMARY KEY,
    result_hash  TEXT    NOT NULL,
    result_bytes INTEGER NOT NULL,
    source_hash  TEXT    NOT NULL,
    used_at_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Retention drops what nobody has asked for.
CREATE INDEX results_used ON results (used_at_ms);
-- The sweeper asks which blobs are still needed.
CREATE INDEX results_hashes ON results (result_hash);
CREATE INDEX results_sources ON results (source_hash);

-- One row that readiness checks write to.
CREATE TABLE writable (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO writable VALUES (1, 0);
