//! What the database says once all is done: read past all of the service's code, whichever database it is.

/// A job as the database has it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) deaths: i64,
    pub(crate) final_events: i64,
    pub(crate) final_deliveries: i64,
    pub(crate) sequences_have_gaps: bool,
}

/// Every job.
pub(crate) const ENTRIES: &str = "SELECT id, state, deaths, \
     (SELECT count(*) FROM events e WHERE e.job = jobs.key AND e.state IN ('completed', 'failed', 'cancelled')) \
         AS final_events, \
     (SELECT count(*) FROM deliveries d WHERE d.job = jobs.key AND d.is_final) AS final_deliveries, \
     (SELECT count(*) <> max(e.sequence) FROM events e WHERE e.job = jobs.key) AS sequences_have_gaps \
     FROM jobs";
