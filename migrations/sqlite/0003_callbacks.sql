-- Progress callbacks: a receiver that keeps up hears of every stage, so several of a job may wait.
--
-- Rows that were written before may have attempts under an earlier sequence, of the events that they told of then.

DROP INDEX deliveries_progress;
