//! `jobs`, `show`, `nodes` and `queue`: tables for people.

use std::fmt::Write as _;
use std::time::Duration;

use spinelift::job::{JobId, public_url, timestamp};
use spinelift::presence::LIVING;
use spinelift::store::{AdminStore, DeliveryRecord, Found, JobDetails, JobFilter, OwnerQueue, SeenNode};

use super::super::table::{harmless, table};
use super::{chosen, moment, owner_name, print, print_json, say, span, wire};

/// Events, and callbacks, that are shown of one job, the newest.
const MOST_SHOWN: usize = 100;

/// Longest message in a list of jobs, characters.
const LONGEST_MESSAGE: usize = 60;

pub(super) async fn jobs(store: &dyn AdminStore, filter: &JobFilter, limit: usize, json: bool) -> anyhow::Result<bool> {
    // One more than shown tells whether there is a next page.
    let mut found = store.find_jobs(filter, limit + 1).await?;
    let is_more = found.jobs.len() + found.unreadable.len() > limit;
    if let (true, Some(last)) = (is_more, found.last()) {
        found.jobs.retain(|job| job.key != last);
        found.unreadable.retain(|key| *key != last);
    }
    let cursor = found.last().filter(|_| is_more);
    if json {
        print_json(&wire::jobs(&found, cursor))?;
        return Ok(true);
    }
    print(&job_table(&found))?;
    if !found.unreadable.is_empty() {
        let keys: Vec<String> = found.unreadable.iter().map(|key| key.0.to_string()).collect();
        say(format_args!("{} jobs cannot be read by this version, in the rows {}", keys.len(), keys.join(", ")));
    }
    if let Some(cursor) = cursor {
        say(format_args!("there are more; go on with --before {}", cursor.0));
    }
    Ok(true)
}

fn job_table(found: &Found) -> String {
    let rows = found.jobs.iter().map(|job| {
        let code = job.error.as_ref().map_or("-", |error| error.code.as_str());
        let message: String = job.message.chars().take(LONGEST_MESSAGE).collect();
        [
            job.id.to_string(),
            owner_name(&job.owner),
            job.state.to_string(),
            job.progress.to_string(),
            job.attempt.to_string(),
            moment(job.created_at_ms),
            moment(job.updated_at_ms),
            code.to_owned(),
            message,
        ]
    });
    table(["JOB", "OWNER", "STATE", "%", "ATTEMPT", "ACCEPTED", "CHANGED", "CODE", "MESSAGE"], rows)
}

pub(super) async fn show(store: &dyn AdminStore, id: &JobId, owner: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let details = match chosen::find(store, id, owner).await? {
        Ok(job) => store.job_details(job.key, MOST_SHOWN).await?,
        Err(refused) => {
            say(refused);
            return Ok(false);
        }
    };
    let Some(details) = details else {
        say(format_args!("job {id}: it has just been deleted"));
        return Ok(false);
    };
    if json {
        print_json(&wire::details(&details))?
    } else {
        print(&details_text(&details))?
    }
    Ok(true)
}

/// Where the image is, without what may be secret.
pub(super) fn image(details: &JobDetails) -> String {
    let source = &details.job.request["source"];
    match (source["url"].as_str(), source["blob"].as_str()) {
        (Some(url), _) => public_url(url),
        (None, Some(hash)) => format!("uploaded, SHA-256 {hash}"),
        (None, None) => "-".into(),
    }
}

fn details_text(details: &JobDetails) -> String {
    let job = &details.job;
    let time = |at_ms: Option<i64>| at_ms.map(timestamp);
    let mut text = String::new();
    for (name, value) in [
        ("job", Some(job.id.to_string())),
        ("owner", Some(owner_name(&job.owner))),
        ("batch", job.batch.clone()),
        ("state", Some(format!("{} at {} %: {}", job.state, job.progress, job.message))),
        ("error", job.error.as_ref().map(|error| format!("{}: {}", error.code.as_str(), error.message))),
        ("cancel", job.cancel_requested.then(|| "asked for".into())),
        ("accepted", Some(timestamp(job.created_at_ms))),
        ("changed", Some(timestamp(job.updated_at_ms))),
        ("ended", time(job.finished_at_ms)),
        ("may start", time(details.run_after_ms)),
        ("attempts", Some(format!("{}, {} workers died of it", job.attempt, details.deaths))),
        ("worker", details.worker.clone()),
        ("leased", time(details.lease_until_ms).map(|until| format!("until {until}"))),
        ("request", Some(job.request_id.clone())),
        ("image", Some(image(details))),
        ("asked for", Some(job.request["parameters"].to_string())),
        ("result", job.result.as_ref().map(|result| format!("{} bytes, SHA-256 {}", result.bytes, result.hash))),
        ("callback", details.callback_url.as_deref().map(public_url)),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<10} {}", harmless(value));
        }
    }
    text += "\n";
    text += &event_table(details);
    if !details.callbacks.is_empty() {
        text += "\n";
        text += &callback_table(&details.callbacks);
    }
    text
}

fn event_table(details: &JobDetails) -> String {
    let rows = details.events.iter().map(|event| {
        [
            event.sequence.to_string(),
            timestamp(event.at_ms),
            event.state.to_string(),
            event.progress.to_string(),
            event.message.clone(),
        ]
    });
    table(["EVENT", "AT", "STATE", "%", "MESSAGE"], rows)
}

/// Callbacks, newest first, each followed by its attempts.
fn callback_table(callbacks: &[DeliveryRecord]) -> String {
    let rows = callbacks.iter().flat_map(|callback| {
        let next = callback.next_attempt_at_ms.map_or("-".into(), timestamp);
        let state = callback.state.as_str().to_owned();
        let head = [callback.sequence.to_string(), state, next, "-".into(), "-".into(), public_url(&callback.url)];
        let attempts = callback.attempts.iter().map(|past| {
            let status = past.attempt.status.map_or("-".into(), |status| status.to_string());
            let took = format!("{} ms", past.attempt.took.as_millis());
            let error = past.attempt.error.clone().unwrap_or_default();
            [String::new(), "attempt".into(), timestamp(past.at_ms), status, took, error]
        });
        [head].into_iter().chain(attempts)
    });
    table(["CALLBACK", "STATE", "AT", "STATUS", "TOOK", "TO"], rows)
}

pub(super) async fn nodes(store: &dyn AdminStore, json: bool) -> anyhow::Result<bool> {
    let nodes = store.nodes().await?;
    if json {
        print_json(&wire::nodes(&nodes))?;
    } else if nodes.is_empty() {
        say("no node was seen within a day: no service runs on this database, or it cannot write to it");
    } else {
        print(&node_table(&nodes))?;
    }
    Ok(true)
}

fn node_table(nodes: &[SeenNode]) -> String {
    let rows = nodes.iter().map(|seen| {
        let node = &seen.node;
        let state = match node.draining {
            _ if seen.unseen_for > LIVING => "gone",
            true => "stopping",
            false => "running",
        };
        [
            node.name.clone(),
            node.role.clone(),
            state.to_owned(),
            format!("{} ago", span(seen.unseen_for)),
            format!("{} of {}", seen.running, node.slots),
            node.version.clone(),
            owner_name(&node.host),
            node.pid.to_string(),
            moment(seen.started_at_ms),
        ]
    });
    table(["NODE", "ROLE", "STATE", "SEEN", "JOBS", "VERSION", "HOST", "PID", "STARTED"], rows)
}

pub(super) async fn queue(store: &dyn AdminStore, json: bool) -> anyhow::Result<bool> {
    let owners = store.owner_queues().await?;
    let total = total(&owners);
    if json {
        print_json(&wire::queue(&owners, &total))?;
    } else {
        print(&queue_table(&owners, &total))?;
    }
    Ok(true)
}

fn total(owners: &[OwnerQueue]) -> OwnerQueue {
    owners.iter().fold(OwnerQueue::default(), |sum, owner| OwnerQueue {
        owner: String::new(),
        queued: sum.queued + owner.queued,
        later: sum.later + owner.later,
        running: sum.running + owner.running,
        oldest: sum.oldest.max(owner.oldest),
        callbacks: sum.callbacks + owner.callbacks,
    })
}

fn queue_table(owners: &[OwnerQueue], total: &OwnerQueue) -> String {
    let row = |name: String, queue: &OwnerQueue| {
        let oldest = if queue.oldest == Duration::ZERO { "-".into() } else { span(queue.oldest) };
        let numbers = [queue.queued, queue.later, queue.running].map(|number| number.to_string());
        let [queued, later, running] = numbers;
        [name, queued, later, oldest, running, queue.callbacks.to_string()]
    };
    let rows = owners.iter().map(|owner| row(owner_name(&owner.owner), owner));
    let rows = rows.chain([row("(all)".into(), total)]);
    table(["OWNER", "QUEUED", "OF THESE LATER", "OLDEST", "RUNNING", "CALLBACKS OWED"], rows)
}
