//! `retry`, `cancel` and `purge`: a few rows at a time, so that a service at work is never held up for long.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use spinelift::job::JobState;
use spinelift::store::{AdminStore, CHANGED_AT_ONCE, Cancel as Cancelled, Job, JobFilter, JobKey, Retry as Retried};
use tokio::time::sleep;

use super::chosen::{self, Refused};
use super::{Chosen, Usage, What};

/// Shortest rest between two transactions. A service that waits for the file looks again every few milliseconds.
const REST: Duration = Duration::from_millis(25);

/// What was done, in numbers.
#[derive(Debug)]
pub(super) struct Outcome {
    /// A number's name for machines, the number, and what follows it in a sentence.
    pub(super) counts: Vec<(&'static str, u64, &'static str)>,
    /// Jobs that were named and are not as they must be.
    pub(super) refused: Vec<Refused>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worth_saying = |(place, (_, count, _)): &(usize, &(_, u64, _))| *place == 0 || *count > 0;
        let mut counts = self.counts.iter().enumerate().filter(worth_saying);
        counts.try_for_each(|(_, (_, count, what))| writeln!(f, "{count} {what}"))
    }
}

/// Something that is done to jobs. What becomes of one is a place among what is counted, or why nothing was done.
#[async_trait]
pub(super) trait Act: Sync {
    /// What is counted; the last is what was left alone of those that were not named one by one.
    fn counts(&self) -> Vec<(&'static str, &'static str)>;

    /// The jobs that are meant where they are not named.
    fn narrow(&self, filter: JobFilter) -> JobFilter {
        filter
    }

    /// Does it to some of those that are meant.
    async fn to(&self, store: &dyn AdminStore, jobs: &[Job], filter: &JobFilter) -> anyhow::Result<Vec<Became>>;

    /// Does it to one that was named.
    async fn to_named(&self, store: &dyn AdminStore, job: &Job) -> anyhow::Result<Became> {
        let became = self.to(store, std::slice::from_ref(job), &JobFilter::default()).await?.pop();
        Ok(became.unwrap_or_else(|| gone(job)))
    }

    /// What else there is to count.
    async fn besides(&self, _store: &dyn AdminStore, _filter: &JobFilter) -> anyhow::Result<u64> {
        Ok(0)
    }
}

/// What became of a job.
pub(super) type Became = Result<usize, Refused>;

/// Does it to all that are meant.
pub(super) async fn on(store: &dyn AdminStore, chosen: &Chosen, act: &dyn Act) -> anyhow::Result<Outcome> {
    if chosen.ids.is_empty() {
        on_selected(store, &act.narrow(chosen.selection.filter()), act).await
    } else {
        on_named(store, chosen, act).await
    }
}

fn tally(act: &dyn Act) -> Outcome {
    let counts = act.counts().into_iter().map(|(name, what)| (name, 0, what)).collect();
    Outcome { counts, refused: Vec::new() }
}

async fn on_named(store: &dyn AdminStore, chosen: &Chosen, act: &dyn Act) -> anyhow::Result<Outcome> {
    let mut done = tally(act);
    // Those that were left alone are named one by one.
    done.counts.pop();
    for id in &chosen.ids {
        let became = match chosen::find(store, &id.0, chosen.selection.owner.as_deref()).await? {
            Ok(job) => act.to_named(store, &job).await?,
            Err(refused) => Err(refused),
        };
        match became {
            Ok(index) => done.counts[index].1 += 1,
            Err(refused) => done.refused.push(refused),
        }
    }
    Ok(done)
}

async fn on_selected(store: &dyn AdminStore, filter: &JobFilter, act: &dyn Act) -> anyhow::Result<Outcome> {
    let mut done = tally(act);
    let left_alone = done.counts.len() - 1;
    done.counts[left_alone].1 = act.besides(store, filter).await?;
    let mut filter = filter.clone();
    loop {
        let found = store.find_jobs(&filter, CHANGED_AT_ONCE).await?;
        let Some(last) = found.last() else { return Ok(done) };
        let began = Instant::now();
        for one in act.to(store, &found.jobs, &filter).await? {
            done.counts[one.unwrap_or(left_alone)].1 += 1;
        }
        done.counts[left_alone].1 += found.unreadable.len() as u64;
        filter.before = Some(last);
        // As long as it took, so that half of the time is the service's.
        sleep(began.elapsed().max(REST)).await;
    }
}

fn keys(jobs: &[Job]) -> Vec<JobKey> {
    jobs.iter().map(|job| job.key).collect()
}

/// It went away between the look and the act.
fn gone(job: &Job) -> Became {
    Err(Refused::of(job, "it has just been deleted"))
}

/// Starts jobs again.
pub(super) struct Retry;

#[async_trait]
impl Act for Retry {
    fn counts(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("restarted", "started anew"),
            ("hurried", "that waited for a later attempt may start at once"),
            ("left_alone", "left alone"),
        ]
    }

    async fn to(&self, store: &dyn AdminStore, jobs: &[Job], _: &JobFilter) -> anyhow::Result<Vec<Became>> {
        let answers = store.retry_jobs(&keys(jobs)).await?;
        let became = |(job, answer): (&Job, Option<Retried>)| match answer {
            Some(Retried::Restarted(_)) => Ok(0),
            Some(Retried::Hurried(_)) => Ok(1),
            Some(Retried::LeftAlone(now)) => Err(Refused::of(
                job,
                match now.state {
                    JobState::Running => "it is running; cancel it first, if it must begin again",
                    JobState::Completed => "it has its result; who wants another submits a job under another id",
                    _ => "it waits for a worker already; `spinelift admin nodes` shows which there are",
                },
            )),
            None => gone(job),
        };
        Ok(jobs.iter().zip(answers).map(became).collect())
    }
}

/// Calls jobs off.
pub(super) struct Cancel;

#[async_trait]
impl Act for Cancel {
    fn counts(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("cancelled", "cancelled"),
            ("requested", "running, whose workers hear of it within ten seconds"),
            ("left_alone", "left alone"),
        ]
    }

    fn narrow(&self, mut filter: JobFilter) -> JobFilter {
        if filter.states.is_empty() {
            filter.states = vec![JobState::Queued, JobState::Running];
        }
        filter
    }

    async fn to(&self, store: &dyn AdminStore, jobs: &[Job], _: &JobFilter) -> anyhow::Result<Vec<Became>> {
        let answers = store.cancel_jobs(&keys(jobs)).await?;
        let became = |(job, answer): (&Job, Option<Cancelled>)| match answer {
            Some(Cancelled::Done(_)) => Ok(0),
            Some(Cancelled::Requested(_)) => Ok(1),
            Some(Cancelled::AlreadyFinal(now)) => {
                Err(Refused::of(job, format!("it has ended and is {}; there is nothing to cancel", now.state)))
            }
            None => gone(job),
        };
        Ok(jobs.iter().zip(answers).map(became).collect())
    }
}

/// Deletes jobs.
pub(super) struct Purge {
    pub(super) dry_run: bool,
    pub(super) drop_callbacks: bool,
}

#[async_trait]
impl Act for Purge {
    fn counts(&self) -> Vec<(&'static str, &'static str)> {
        let done = if self.dry_run { ("to_delete", "would be deleted") } else { ("deleted", "deleted") };
        vec![done, ("kept", "kept: a callback is owed to their callers, or they cannot be read")]
    }

    fn narrow(&self, filter: JobFilter) -> JobFilter {
        JobFilter { callbacks_owed: (!self.drop_callbacks).then_some(false), ..filter }
    }

    async fn to(&self, store: &dyn AdminStore, jobs: &[Job], filter: &JobFilter) -> anyhow::Result<Vec<Became>> {
        let done = if self.dry_run { jobs.len() as u64 } else { store.purge_jobs(&keys(jobs), filter).await? };
        // Which of them have changed meanwhile nobody asks.
        let became = (0..jobs.len() as u64).map(|place| Ok(usize::from(place >= done)));
        Ok(became.collect())
    }

    async fn to_named(&self, store: &dyn AdminStore, job: &Job) -> anyhow::Result<Became> {
        if !job.state.is_final() {
            return Ok(Err(Refused::of(job, format!("it is {}; cancel it first", job.state))));
        }
        let owed = JobFilter { callbacks_owed: Some(true), ..up_to(job) };
        if !self.drop_callbacks && store.find_jobs(&owed, 1).await?.last() == Some(job.key) {
            let reason = "a callback is still owed to its caller; wait for that, or give it up with --drop-callbacks";
            return Ok(Err(Refused::of(job, reason)));
        }
        if !self.dry_run && store.purge_jobs(&[job.key], &self.narrow(up_to(job))).await? == 0 {
            return Ok(Err(Refused::of(job, "it has changed at this moment; look at it again")));
        }
        Ok(Ok(0))
    }

    async fn besides(&self, store: &dyn AdminStore, filter: &JobFilter) -> anyhow::Result<u64> {
        if self.drop_callbacks {
            return Ok(0);
        }
        Ok(store.count_jobs(&JobFilter { callbacks_owed: Some(true), ..filter.clone() }).await?)
    }
}

/// Of all jobs that are as this one the newest is this one.
fn up_to(job: &Job) -> JobFilter {
    JobFilter {
        owner: Some(job.owner.clone()),
        states: vec![job.state],
        before: Some(JobKey(job.key.0 + 1)),
        ..JobFilter::default()
    }
}

/// Refuses selections that could not mean what was asked.
pub(super) fn expect_fitting(what: &What, chosen: &Chosen) -> Result<(), Usage> {
    use JobState::{Cancelled, Completed, Failed, Queued, Running};
    if !chosen.ids.is_empty() {
        return Ok(());
    }
    let (name, fitting): (_, &[JobState]) = match what {
        What::Retry(_) => ("retry", &[Failed, Cancelled, Queued]),
        What::Purge { .. } => ("purge", &[Completed, Failed, Cancelled]),
        _ => ("cancel", &[Queued, Running]),
    };
    let names = || fitting.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    let states = &chosen.selection.state;
    if let Some(state) = states.iter().find(|state| !fitting.contains(state)) {
        return Err(Usage(format!("{name} takes no --state {state}; use {}", names())));
    }
    if name != "cancel" && states.is_empty() {
        return Err(Usage(format!("say which jobs to {name} with --state, one or more of {}", names())));
    }
    if name == "purge" && chosen.selection.older_than.is_none() {
        return Err(Usage("say how old the jobs to purge must be with --older-than, such as 7d; 0s for all".into()));
    }
    Ok(())
}
