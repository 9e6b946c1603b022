//! A trigger that writes down who claimed, lost and ended each job, so that the test need not believe the service.

use std::fmt;

use sqlx::Executor;

use super::nodes::Fleet;

/// What a claim or heartbeat is good for, ms: the protocol's, written down a second time.
const LEASE_MS: i64 = 30_000;

const TRIGGER: &str = "
CREATE TABLE audit (
    at_ms BIGINT, job BIGINT, what TEXT, fence BIGINT, worker TEXT, deaths BIGINT, lease_until_ms BIGINT
);
CREATE FUNCTION audit() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    now_ms BIGINT := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
BEGIN
    IF NEW.fence > OLD.fence THEN
        INSERT INTO audit VALUES (now_ms, NEW.key, 'claimed', NEW.fence, NEW.worker, NEW.deaths, NULL);
    END IF;
    IF NEW.deaths > OLD.deaths THEN
        INSERT INTO audit VALUES (now_ms, NEW.key, 'died', OLD.fence, OLD.worker, NEW.deaths, OLD.lease_until_ms);
    ELSIF OLD.state = 'running' AND NEW.state = 'queued' THEN
        INSERT INTO audit VALUES (now_ms, NEW.key, 'given back', OLD.fence, OLD.worker, NEW.deaths, NULL);
    END IF;
    IF NEW.state IN ('completed', 'failed', 'cancelled') AND OLD.state <> NEW.state THEN
        INSERT INTO audit VALUES (now_ms, NEW.key, 'ended', OLD.fence, OLD.worker, NEW.deaths, NULL);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION audit();
";

/// Begins to write down. The tables must be there.
pub(crate) async fn begin(fleet: &Fleet) {
    fleet.connect().await.execute(TRIGGER).await.unwrap();
}

/// That each job ended once, and by the hand of its last claim, which nobody had taken it from.
pub(crate) async fn expect_no_stale_end(fleet: &Fleet) {
    let is_kept = "SELECT count(*) FROM pg_class WHERE relname = 'audit' AND relkind = 'r'";
    if fleet.count(is_kept).await == 0 {
        return;
    }
    let twice =
        "SELECT count(*) FROM (SELECT job FROM audit WHERE what = 'ended' GROUP BY job HAVING count(*) > 1) AS jobs";
    assert_eq!(fleet.count(twice).await, 0, "jobs ended twice");
    // Who ends a job as poisoned is who takes it back.
    let stale = "SELECT count(*) FROM audit AS e WHERE what = 'ended' AND EXISTS (SELECT 1 FROM audit AS other \
                 WHERE other.job = e.job AND (other.what = 'claimed' AND other.fence > e.fence \
                 OR other.what IN ('died', 'given back') AND other.fence = e.fence AND e.worker IS NOT NULL \
                 AND other.at_ms < e.at_ms))";
    assert_eq!(fleet.count(stale).await, 0, "jobs were ended by a worker that had lost them");
}

/// How jobs of dead workers were taken over. The times are from the dead worker's last heartbeat on, ms.
pub(crate) struct Takeovers {
    /// Attempts that died with their worker.
    pub(crate) deaths: i64,
    /// The longest until the job was in the queue again.
    pub(crate) slowest_back: i64,
    /// The longest until another had claimed it, if it had never died before.
    slowest_first: i64,
    /// Likewise if it had, and waits longer.
    slowest_later: i64,
    /// How many took longer than the 36 s that are promised.
    over_36_s: i64,
    /// Deaths of jobs that had died before and were not alone in their worker's hands.
    pub(crate) deaths_in_company: i64,
}

impl fmt::Display for Takeovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deaths, slowest_back, slowest_first, slowest_later, over_36_s, .. } = self;
        write!(
            f,
            "{deaths} attempts died with their worker; back in the queue within {slowest_back} ms of its last heartbeat, \
             claimed by another within {slowest_first} ms, after a second death {slowest_later} ms; {over_36_s} took over \
             36 s"
        )
    }
}

pub(crate) async fn takeovers(fleet: &Fleet) -> Takeovers {
    let sql = "WITH taken AS (SELECT died.deaths, died.at_ms - died.lease_until_ms + $1 AS back, \
               claimed.at_ms - died.lease_until_ms + $1 AS claimed FROM audit AS died LEFT JOIN audit AS claimed \
               ON claimed.job = died.job AND claimed.what = 'claimed' AND claimed.fence = died.fence + 1 \
               WHERE died.what = 'died') \
               SELECT count(*), coalesce(max(back), 0), coalesce(max(claimed) FILTER (WHERE deaths = 1), 0), \
               coalesce(max(claimed) FILTER (WHERE deaths > 1), 0), count(*) FILTER (WHERE claimed > 36000) FROM taken";
    let row: (i64, i64, i64, i64, i64) =
        sqlx::query_as(sql).bind(LEASE_MS).fetch_one(&mut fleet.connect().await).await.unwrap();
    let (deaths, slowest_back, slowest_first, slowest_later, over_36_s) = row;
    // Worker names are new with every start.
    let in_company = "SELECT count(*) FROM audit AS one WHERE what = 'died' AND deaths > 1 AND EXISTS ( \
                      SELECT 1 FROM audit AS other WHERE other.what = 'died' AND other.worker = one.worker \
                      AND other.job <> one.job)";
    let deaths_in_company = fleet.count(in_company).await;
    Takeovers { deaths, slowest_back, slowest_first, slowest_later, over_36_s, deaths_in_company }
}
