-- API keys that are added and revoked while the service runs.
--
-- A secret is 256 random bits, and its SHA-256 is all that is kept of it. A name stands in several rows while its secret
-- is being changed: jobs belong to the name. Revoked keys stay, so that it can be seen which there were, and so that a
-- service whose keys are all revoked is closed, not open.

CREATE TABLE api_keys (
    -- AUTOINCREMENT: a revoked key's number is never another's.
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL,
    digest          BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    scopes          TEXT    NOT NULL, -- words with commas; one that is not known gives no right
    rate_requests   INTEGER CHECK (rate_requests BETWEEN 0 AND 1000000), -- null: the settings' rate; 0: no limit
    rate_window_s   INTEGER CHECK (rate_window_s BETWEEN 1 AND 86400),
    created_at_ms   INTEGER NOT NULL,
    last_used_at_ms INTEGER,          -- to the hour
    revoked_at_ms   INTEGER,
    -- Names stand in links, log lines and headers. To SQLite's text functions a name ends at a NUL; its bytes do not.
    CHECK (name NOT GLOB '*[^A-Za-z0-9_-]*' AND length(CAST(name AS BLOB)) = length(name)),
    CHECK (length(name) BETWEEN 1 AND 64),
    CHECK ((rate_window_s IS NOT NULL) = (rate_requests IS NOT NULL AND rate_requests > 0))
) STRICT;
