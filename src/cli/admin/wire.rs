//! The JSON of `--json`. docs/operations.md has the names; they stay.

use serde_json::{Value, json};
use spinelift::job::{Event, Failure, public_url, timestamp};
use spinelift::presence::LIVING;
use spinelift::store::{DeliveryRecord, Found, Job, JobDetails, JobKey, OwnerQueue, SeenNode, message_id};

use super::act::Outcome;
use super::look;

pub(super) fn jobs(found: &Found, cursor: Option<JobKey>) -> Value {
    json!({
        "jobs": found.jobs.iter().map(job).collect::<Vec<_>>(),
        "unreadable_rows": found.unreadable.iter().map(|key| key.0).collect::<Vec<_>>(),
        "next_cursor": cursor.map(|key| key.0),
    })
}

fn job(job: &Job) -> Value {
    json!({
        "job_id": job.id.as_str(),
        "owner": job.owner,
        "state": job.state.as_str(),
        "progress": job.progress,
        "message": job.message,
        "error": job.error.as_ref().map(error),
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
        "batch_id": job.batch,
        "request_id": job.request_id,
        "created_at": timestamp(job.created_at_ms),
        "updated_at": timestamp(job.updated_at_ms),
        "finished_at": job.finished_at_ms.map(timestamp),
    })
}

fn error(failure: &Failure) -> Value {
    json!({ "code": failure.code, "message": failure.message, "details": failure.details })
}

pub(super) fn details(details: &JobDetails) -> Value {
    let mut value = job(&details.job);
    value["image"] = look::image(details).into();
    value["parameters"] = details.job.request["parameters"].clone();
    value["result"] = details
        .job
        .result
        .as_ref()
        .map_or(Value::Null, |result| json!({ "sha256": result.hash, "bytes": result.bytes }));
    value["deaths"] = details.deaths.into();
    value["fence"] = details.fence.into();
    value["worker"] = details.worker.clone().into();
    value["lease_until"] = details.lease_until_ms.map(timestamp).into();
    value["run_after"] = details.run_after_ms.map(timestamp).into();
    value["callback_url"] = details.callback_url.as_deref().map(public_url).into();
    value["events"] = details.events.iter().map(event).collect();
    value["callbacks"] = details.callbacks.iter().map(|record| callback(details, record)).collect();
    value
}

fn event(event: &Event) -> Value {
    json!({
        "sequence": event.sequence,
        "at": timestamp(event.at_ms),
        "state": event.state.as_str(),
        "progress": event.progress,
        "message": event.message,
        "error": event.error.as_ref().map(error),
    })
}

/// As the service shows it to the job's caller.
fn callback(details: &JobDetails, record: &DeliveryRecord) -> Value {
    let attempts = record.attempts.iter().map(|past| {
        json!({
            "at": timestamp(past.at_ms),
            "status": past.attempt.status,
            "error": past.attempt.error,
            "took_ms": u64::try_from(past.attempt.took.as_millis()).unwrap_or(u64::MAX),
        })
    });
    json!({
        "id": message_id(&details.job.id, record.sequence),
        "sequence": record.sequence,
        "url": public_url(&record.url),
        "state": record.state.as_str(),
        "next_attempt_at": record.next_attempt_at_ms.map(timestamp),
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

pub(super) fn outcome(done: &Outcome) -> Value {
    let refused = done
        .refused
        .iter()
        .map(|refused| json!({ "job_id": refused.id.as_str(), "owner": refused.owner, "reason": refused.reason }));
    let mut value = json!({ "refused": refused.collect::<Vec<_>>() });
    for (name, count, _) in &done.counts {
        value[*name] = (*count).into();
    }
    value
}

pub(super) fn nodes(nodes: &[SeenNode]) -> Value {
    let node = |seen: &SeenNode| {
        json!({
            "name": seen.node.name,
            "role": seen.node.role,
            "version": seen.node.version,
            "host": seen.node.host,
            "pid": seen.node.pid,
            "slots": seen.node.slots,
            "running": seen.running,
            "draining": seen.node.draining,
            "living": seen.unseen_for <= LIVING,
            "started_at": timestamp(seen.started_at_ms),
            "seen_at": timestamp(seen.seen_at_ms),
            "unseen_seconds": seen.unseen_for.as_secs(),
        })
    };
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>() })
}

pub(super) fn queue(owners: &[OwnerQueue], total: &OwnerQueue) -> Value {
    let numbers = |queue: &OwnerQueue| {
        json!({
            "queued": queue.queued,
            "later": queue.later,
            "running": queue.running,
            "oldest_seconds": queue.oldest.as_secs(),
            "callbacks": queue.callbacks,
        })
    };
    let owner = |queue: &OwnerQueue| {
        let mut value = numbers(queue);
        value["owner"] = queue.owner.clone().into();
        value
    };
    json!({ "owners": owners.iter().map(owner).collect::<Vec<_>>(), "total": numbers(total) })
}
