//! `spinelift admin`: the queue of every owner, looked into and mended by hand.

mod act;
mod chosen;
mod look;
mod wire;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chrono::DateTime;
use clap::{Args, Subcommand};
use spinelift::config::{Database, DatabaseKind, Flags};
use spinelift::job::{FailureCode, JobId, JobState};
use spinelift::store::postgres::{PostgresOptions, PostgresStore, Tables};
use spinelift::store::sqlite::SqliteFile;
use spinelift::store::{AdminStore, JobFilter, JobKey, Store as _};
use tokio::runtime::Builder;

use self::act::Outcome;
use super::{EXIT_FAILED, Usage, say, settings};

/// Look into the queue and mend it: jobs of every owner, nodes
///
/// For whoever runs the service: it works on the database that DATABASE_URL names, in the environment or in `.env` in this
/// folder, and asks for no key. A service that runs need not stop. It takes a job that is retried within about a second,
/// and ends a running one that is cancelled within ten.
///
/// Examples:
///
///   spinelift admin queue
///   spinelift admin jobs --state failed --code SOURCE_TIMEOUT
///   spinelift admin show hero-42
///   spinelift admin retry --state failed --code SOURCE_TIMEOUT
///   spinelift admin cancel hero-42 hero-43
///   spinelift admin purge --state completed,cancelled --older-than 2d --dry-run
///   spinelift admin nodes --json
///
/// Exit status: 0 done, 1 the database cannot be used, or a job that was named is not there or not as it must be, 2 wrong
/// arguments or settings.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct AdminArgs {
    #[command(subcommand)]
    what: What,

    /// Print JSON, for machines
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List jobs, newest first
    Jobs {
        #[command(flatten)]
        selection: Selection,

        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,

        /// Go on from the cursor that the page before ended with
        #[arg(long, value_name = "CURSOR")]
        before: Option<i64>,
    },
    /// Show a job with its events, its callbacks and every attempt to deliver them
    ///
    /// URLs are shown without their user info and query, where secrets are.
    Show {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobIdArg,

        /// The job of this owner, if several have one of that id; '' for a job without an owner
        #[arg(long)]
        owner: Option<String>,
    },
    /// Start jobs again that failed or were called off, and those at once that wait for a later attempt
    ///
    /// A job that failed of what will not pass, such as a broken image, fails again. Attempts are counted anew; events go on
    /// where they ended, and callbacks tell of the new run. QUEUE_LIMIT does not hold for what is retried.
    Retry(Chosen),
    /// Call jobs off: waiting ones at once, running ones within ten seconds
    ///
    /// Without --state it means jobs that wait or run.
    Cancel(Chosen),
    /// Delete jobs that have ended, with their events and callbacks
    ///
    /// A job to whose caller a callback is still owed is kept. Results that other jobs share stay; a result that no job
    /// names is deleted with the cache, after RESULT_TTL.
    Purge {
        #[command(flatten)]
        chosen: Chosen,

        /// Only say how many there are
        #[arg(long)]
        dry_run: bool,

        /// Delete also jobs to whose callers a callback is owed: it is never sent then
        #[arg(long)]
        drop_callbacks: bool,
    },
    /// List the processes of the service that were seen within a day
    ///
    /// Each tells of itself every 10 s, and takes its line away when it stops in order. A line that is older is of a process
    /// that was killed or cannot reach the database.
    Nodes,
    /// Show how long the queue is and how old, by owner
    Queue,
}

/// Which jobs are meant.
#[derive(Debug, Clone, Args)]
struct Selection {
    /// Jobs of this owner, the name of API keys; '' for jobs without an owner
    #[arg(long)]
    owner: Option<String>,

    /// Jobs in these states, several with commas: queued, running, completed, failed, cancelled
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = state)]
    state: Vec<JobState>,

    /// Jobs of this batch
    #[arg(long)]
    batch: Option<String>,

    /// Jobs that failed with this code, such as SOURCE_TIMEOUT
    #[arg(long, value_parser = code)]
    code: Option<FailureCode>,

    /// Jobs that ended so long ago, such as 90s, 30m, 12h or 7d; of those that have not ended, that were accepted so long ago
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
}

impl Selection {
    fn filter(&self) -> JobFilter {
        JobFilter {
            owner: self.owner.clone(),
            states: self.state.clone(),
            batch: self.batch.clone(),
            code: self.code,
            older_than: self.older_than,
            ..JobFilter::default()
        }
    }
}

/// Jobs by their ids, or by what they have in common.
#[derive(Debug, Args)]
struct Chosen {
    /// Ids of jobs
    #[arg(
        value_name = "ID",
        required_unless_present_any = ["owner", "state", "batch", "code", "older_than"],
        conflicts_with_all = ["state", "batch", "code", "older_than"]
    )]
    ids: Vec<JobIdArg>,

    #[command(flatten)]
    selection: Selection,
}

/// An id that some version of this program may have accepted.
#[derive(Debug, Clone)]
struct JobIdArg(JobId);

impl std::str::FromStr for JobIdArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        JobId::stored(text).map(Self).map_err(|error| format!("an id {error}"))
    }
}

fn state(text: &str) -> Result<JobState, String> {
    JobState::named(text).ok_or_else(|| "use queued, running, completed, failed or cancelled".into())
}

fn code(text: &str) -> Result<FailureCode, String> {
    let names = FailureCode::ALL.map(FailureCode::as_str).join(", ");
    FailureCode::named(&text.to_ascii_uppercase()).ok_or_else(|| format!("use one of {names}"))
}

fn age(text: &str) -> Result<Duration, String> {
    let seconds = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    let read = || {
        let unit = seconds(text.chars().next_back()?)?;
        text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
    };
    read().ok_or_else(|| "use a whole number and s, m, h or d, such as 90s, 30m, 12h or 7d".into())
}

pub(super) fn run(args: &AdminArgs) -> anyhow::Result<ExitCode> {
    let config = settings::read(&Flags::default())?;
    if let What::Retry(chosen) | What::Cancel(chosen) | What::Purge { chosen, .. } = &args.what {
        act::expect_fitting(&args.what, chosen)?;
    }
    let runtime = Builder::new_current_thread().enable_all().build().context("the system gives no threads")?;
    match runtime.block_on(with_database(&config.database, args)) {
        Ok(all_done) => Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }),
        Err(error) if error.is::<Usage>() || super::is_closed_pipe(&error) => Err(error),
        Err(error) => {
            say(format_args!("{error:#}"));
            Ok(ExitCode::from(EXIT_FAILED))
        }
    }
}

async fn with_database(database: &Database, args: &AdminArgs) -> anyhow::Result<bool> {
    match database.kind() {
        DatabaseKind::File(path) => {
            let file = SqliteFile::open_as_it_is(&path).await?;
            let done = answer(&file, args).await;
            let closed = file.close().await;
            let all_done = done?;
            closed?;
            Ok(all_done)
        }
        DatabaseKind::Server => {
            let options = PostgresOptions::for_a_command(&database.url, Tables::AsTheyAre);
            let store = PostgresStore::open(options).await?;
            let done = answer(&*store, args).await;
            store.close().await;
            done
        }
    }
}

/// Whether all that was named was there, and as it had to be.
async fn answer(store: &dyn AdminStore, args: &AdminArgs) -> anyhow::Result<bool> {
    let json = args.json;
    match &args.what {
        What::Jobs { selection, limit, before } => {
            let filter = JobFilter { before: before.map(JobKey), ..selection.filter() };
            look::jobs(store, &filter, usize::from(*limit), json).await
        }
        What::Show { id, owner } => look::show(store, &id.0, owner.as_deref(), json).await,
        What::Nodes => look::nodes(store, json).await,
        What::Queue => look::queue(store, json).await,
        What::Retry(chosen) => act::on(store, chosen, &act::Retry).await.and_then(|done| tell(&done, json)),
        What::Cancel(chosen) => act::on(store, chosen, &act::Cancel).await.and_then(|done| tell(&done, json)),
        What::Purge { chosen, dry_run, drop_callbacks } => {
            let purge = act::Purge { dry_run: *dry_run, drop_callbacks: *drop_callbacks };
            act::on(store, chosen, &purge).await.and_then(|done| tell(&done, json))
        }
    }
}

/// What was done in numbers, and why not more.
fn tell(done: &Outcome, json: bool) -> anyhow::Result<bool> {
    if json {
        print_json(&wire::outcome(done))?;
    } else {
        print(&done.to_string())?;
        done.refused.iter().for_each(say);
    }
    Ok(done.refused.is_empty())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&format!("{value:#}\n"))
}

/// A time for people: UTC, to the second.
fn moment(at_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time that has passed, for people: the largest unit that fits.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// An owner's name for people: there is none where keys are off.
fn owner_name(owner: &str) -> String {
    if owner.is_empty() { "-".into() } else { owner.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "7", "d", "-1d", "1.5h", "7 d", "7w", "1ä", "99999999999999999999d", "300000000000000d"] {
            assert!(age(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_span_has_the_largest_unit_that_fits() {
        let spans = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
