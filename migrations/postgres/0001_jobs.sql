-- Jobs, their events, their callbacks, the cache of results, and API keys.
--
-- Times are milliseconds since 1970-01-01 UTC by this database's clock. Hashes are lower-case hexadecimal SHA-256. Every
-- index costs each write of its columns, so each says which query needs it; those of a state are partial, so that a job
-- leaves them when it is done. Tables that change much keep room in their pages and are cleaned early: the dead rows of a
-- queue stand at its head, where every claim begins to read.

CREATE TABLE jobs (
    key              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner            TEXT    NOT NULL, -- the API key's name; empty where keys are off
    id               TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    request          TEXT    NOT NULL, -- JSON
    request_hash     TEXT    NOT NULL,
    source_hash      TEXT,             -- the image's blob: uploaded with the request, or kept once it was fetched
    batch            TEXT,
    callback_url     TEXT,
    request_id       TEXT    NOT NULL, -- of the request that submitted it; log lines and callbacks repeat it
    state            TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    attempt          BIGINT  NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    deaths           BIGINT  NOT NULL DEFAULT 0 CHECK (deaths >= 0),
    fence            BIGINT  NOT NULL DEFAULT 0, -- grows with every claim, and never falls
    worker           TEXT,
    claim            BIGINT,                     -- the call that took it, so that one whose answer was lost is undone
    lease_until_ms   BIGINT,
    run_after_ms     BIGINT  NOT NULL,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    sequence         BIGINT  NOT NULL,           -- of the newest event
    progress         BIGINT  NOT NULL CHECK (progress BETWEEN 0 AND 100),
    message          TEXT    NOT NULL,
    result_hash      TEXT,
    result_bytes     BIGINT,
    error            TEXT,                       -- JSON
    created_at_ms    BIGINT  NOT NULL,
    updated_at_ms    BIGINT  NOT NULL,
    finished_at_ms   BIGINT,
    UNIQUE (owner, id),
    CHECK ((state = 'running') = (lease_until_ms IS NOT NULL)),
    CHECK ((state = 'completed') = (result_hash IS NOT NULL)),
    CHECK ((state IN ('failed', 'cancelled')) = (error IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- Claims go from owner to owner and take each one's longest accepted that may run; with the time in it, those that must
-- wait are passed over unread. Its order is one that no other index has: were the planner to think that most jobs are
-- queued, as they were when it last looked, it would else walk through all that are done to find those that are not.
CREATE INDEX jobs_queued ON jobs (owner COLLATE "C", (key + 0), run_after_ms) WHERE state = 'queued';
-- The reaper and the claims look through what runs; without the lease in it, a heartbeat changes no index.
CREATE INDEX jobs_running ON jobs (owner, key) WHERE state = 'running';
-- An owner's list, newest first, from a cursor on; and with most jobs completed, that of the completed.
CREATE INDEX jobs_listed ON jobs (owner, key);
-- The same list of what went wrong, which is little.
CREATE INDEX jobs_stopped ON jobs (owner, state, key) WHERE state IN ('failed', 'cancelled');
-- A batch's counts and its list.
CREATE INDEX jobs_batched ON jobs (owner, batch, key) WHERE batch IS NOT NULL;
-- Retention differs by state and looks at when the job ended.
CREATE INDEX jobs_finished ON jobs (state, finished_at_ms) WHERE finished_at_ms IS NOT NULL;
-- The sweeper asks which blobs are still needed.
CREATE INDEX jobs_sources ON jobs (source_hash) WHERE source_hash IS NOT NULL;
CREATE INDEX jobs_results ON jobs (result_hash) WHERE result_hash IS NOT NULL;

CREATE TABLE events (
    job      BIGINT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    state    TEXT   NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    progress BIGINT NOT NULL CHECK (progress BETWEEN 0 AND 100),
    message  TEXT   NOT NULL,
    error    TEXT,
    PRIMARY KEY (job, sequence)
);

CREATE TABLE idempotency (
    owner        TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    job          BIGINT NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    request_hash TEXT   NOT NULL,
    PRIMARY KEY (owner, key)
);

-- A deleted job takes its keys along; without this, each deletion would read the whole table.
CREATE INDEX idempotency_of_job ON idempotency (job);

-- The outbox: callbacks that are owed, written in the transaction of the event that they tell of.
CREATE TABLE deliveries (
    id             BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job            BIGINT  NOT NULL REFERENCES jobs (key) ON DELETE CASCADE,
    sequence       BIGINT  NOT NULL, -- of the event; its content is read from there
    is_final       BOOLEAN NOT NULL,
    url            TEXT    NOT NULL,
    host           TEXT    NOT NULL, -- the receiver: owner, host and port; those that have no turn are passed over
    state          TEXT    NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'given_up', 'superseded')),
    attempts       BIGINT  NOT NULL DEFAULT 0,
    due_at_ms      BIGINT  NOT NULL,
    fence          BIGINT  NOT NULL DEFAULT 0,
    worker         TEXT,
    lease_until_ms BIGINT,
    CHECK ((state = 'sending') = (lease_until_ms IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- A job's callbacks: which are passed over, which go with the job. Each event is told of once.
CREATE UNIQUE INDEX deliveries_of_job ON deliveries (job, sequence);
-- Of one job only one callback is in flight, whichever nodes claim at the same time.
CREATE UNIQUE INDEX deliveries_in_flight ON deliveries (job) WHERE state = 'sending';
-- What is due: final callbacks first, the longest due first. With receiver and job in it, those of receivers that have no
-- turn are passed over unread.
CREATE INDEX deliveries_due ON deliveries (is_final DESC, due_at_ms, id, host, job) WHERE state = 'waiting';

-- Every attempt to deliver, for whoever asks why a callback did not come.
CREATE TABLE delivery_attempts (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    status   BIGINT,
    error    TEXT,
    took_ms  BIGINT NOT NULL
);

-- A callback's attempts, also when it is deleted.
CREATE INDEX attempts_of_delivery ON delivery_attempts (delivery, id);

-- Results by what they were made from, shared by equal requests.
CREATE TABLE results (
    cache_key    TEXT   PRIMARY KEY,
    result_hash  TEXT   NOT NULL,
    result_bytes BIGINT NOT NULL,
    source_hash  TEXT   NOT NULL,
    used_at_ms   BIGINT NOT NULL
);

-- Retention drops what nobody has asked for.
CREATE INDEX results_used ON results (used_at_ms);
-- The sweeper asks which blobs are still needed.
CREATE INDEX results_hashes ON results (result_hash);
CREATE INDEX results_sources ON results (source_hash);

-- One row that readiness checks write to.
CREATE TABLE writable (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    at_ms BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO writable VALUES (1, 0);

-- API keys that are added and revoked while the service runs.
--
-- A secret is 256 random bits, and its SHA-256 is all that is kept of it. A name stands in several rows while its secret
-- is being changed: jobs belong to the name. Revoked keys stay, so that it can be seen which there were, and so that a
-- service whose keys are all revoked is closed, not open.
CREATE TABLE api_keys (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            TEXT   NOT NULL CHECK (name ~ '^[A-Za-z0-9_-]{1,64}$'),
    digest          BYTEA  NOT NULL UNIQUE CHECK (length(digest) = 32),
    scopes          TEXT   NOT NULL, -- words with commas; one that is not known gives no right
    rate_requests   BIGINT CHECK (rate_requests BETWEEN 0 AND 1000000), -- null: the settings' rate; 0: no limit
    rate_window_s   BIGINT CHECK (rate_window_s BETWEEN 1 AND 86400),
    created_at_ms   BIGINT NOT NULL,
    last_used_at_ms BIGINT,          -- to the hour
    revoked_at_ms   BIGINT,
    CHECK ((rate_window_s IS NOT NULL) = (rate_requests IS NOT NULL AND rate_requests > 0))
);

-- Nodes of several versions share these tables during an upgrade. A later migration that an older version cannot live
-- with says here which migration a version must know at least; every node asks at its start.
CREATE TABLE compatibility (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    must_know BIGINT NOT NULL
);
INSERT INTO compatibility VALUES (1, 1);
