-- Owners take turns: a flood of one owner does not keep the jobs of another waiting.

-- Claims hop from owner to owner, and within an owner take the longest accepted job that may run; with the time in it,
-- those that must wait are passed over unread. The queue is counted here too.
CREATE INDEX jobs_turns ON jobs (owner, key, run_after_ms) WHERE state = 'queued';
-- Claims went through this one by age alone.
DROP INDEX jobs_queued;
