//! Any operations in any order, against a model: the same answers, legal stories, one end for each run.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spinelift::job::{FailureCode, JobState};
use spinelift::store::{Beat, Cancel, Held, MOST_DEATHS, Outcome, Retry, Store, Submitted, Token};
use tokio::runtime::Handle;

use super::fixture::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Submit(usize),
    Claim,
    /// With the token of some claim, old or new.
    Progress(usize, u8),
    Beat(usize),
    Finish(usize, End),
    Release(usize),
    Cancel(usize),
    /// By hand.
    Retry(usize),
    Reap,
}

#[derive(Debug, Clone)]
enum End {
    Completed,
    Failed,
    FailedInPassing,
    Cancelled,
    Retry,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        Just(End::Completed),
        Just(End::Failed),
        Just(End::FailedInPassing),
        Just(End::Cancelled),
        Just(End::Retry)
    ];
    // Mostly the newest claims, as old ones only ever answer one thing.
    let claim = prop_oneof![3 => 0..1_usize, 1 => 1..6_usize];
    prop_oneof![
        3 => (0..NAMES.len()).prop_map(Step::Submit),
        4 => Just(Step::Claim),
        3 => (claim.clone(), 0..=100_u8).prop_map(|(claim, progress)| Step::Progress(claim, progress)),
        1 => claim.clone().prop_map(Step::Beat),
        3 => (claim.clone(), end).prop_map(|(claim, end)| Step::Finish(claim, end)),
        1 => claim.prop_map(Step::Release),
        1 => (0..NAMES.len()).prop_map(Step::Cancel),
        2 => (0..NAMES.len()).prop_map(Step::Retry),
        1 => Just(Step::Reap),
    ]
}

/// What a job must be by now.
#[derive(Debug, Clone)]
struct Expected {
    state: JobState,
    progress: u8,
    deaths: u32,
    cancel: bool,
    may_restart: bool,
    /// Of the claim that holds it.
    holder: Option<Token>,
    ends: usize,
}

impl Expected {
    fn queued(ends: usize) -> Self {
        let state = JobState::Queued;
        Self { state, progress: 0, deaths: 0, cancel: false, may_restart: false, holder: None, ends }
    }

    fn end(&mut self, state: JobState, may_restart: bool) {
        (self.state, self.may_restart, self.holder) = (state, may_restart, None);
        self.ends += 1;
    }

    fn back(&mut self) {
        if self.cancel {
            self.end(JobState::Cancelled, true);
        } else {
            (self.state, self.progress, self.holder) = (JobState::Queued, 0, None);
        }
    }

    fn die(&mut self) {
        self.deaths += 1;
        if !self.cancel && self.deaths >= MOST_DEATHS {
            self.end(JobState::Failed, true);
        } else {
            self.back();
        }
    }

    fn finish(&mut self, end: &End) {
        match end {
            End::Completed => {
                self.progress = 100;
                self.end(JobState::Completed, false);
            }
            End::Failed => self.end(JobState::Failed, false),
            End::FailedInPassing => self.end(JobState::Failed, true),
            End::Cancelled => self.end(JobState::Cancelled, true),
            End::Retry => self.back(),
        }
    }
}

#[derive(Default)]
struct Model {
    jobs: BTreeMap<&'static str, Expected>,
    /// Newest first.
    claims: Vec<Token>,
}

impl Model {
    fn claim(&self, index: usize) -> Option<Token> {
        self.claims.get(index).copied()
    }

    fn holding(&mut self, token: Token) -> Option<&mut Expected> {
        self.jobs.values_mut().find(|job| job.holder == Some(token))
    }
}

pub(crate) async fn any_sequence_of_operations_tells_a_legal_story(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    let runtime = Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
        let run = 0_u32;
        let counter = std::cell::Cell::new(run);
        let steps = prop::collection::vec(step(), 1..40);
        runner
            .run(&steps, |steps| {
                counter.set(counter.get() + 1);
                runtime.block_on(play(&*store, counter.get(), &steps));
                Ok(())
            })
            .unwrap();
    });
}

/// Each run has an owner of its own, and leaves nothing that another could claim.
async fn play(store: &dyn Store, run: u32, steps: &[Step]) {
    let owner = format!("run {run}");
    let mut model = Model::default();
    for step in steps {
        apply(store, &owner, &mut model, step).await;
        for (name, expected) in &model.jobs {
            check(store, &owner, name, expected).await;
        }
    }
    while store.prune(spinelift::store::Retention { completed: Duration::ZERO, failed: Duration::ZERO }).await.unwrap()
        > 0
    {}
    for name in NAMES {
        store.cancel(&owner, &id(name)).await.unwrap();
    }
    store.reap().await.unwrap();
    assert_eq!(store.claim("sweeper", 10).await.unwrap(), []);
}

async fn apply(store: &dyn Store, owner: &str, model: &mut Model, step: &Step) {
    match step {
        Step::Submit(name) => submit_one(store, owner, model, NAMES[*name]).await,
        Step::Claim => {
            // Another worker each time: one that holds jobs would leave those alone that some worker has died of.
            let worker = format!("worker-{}", model.claims.len());
            let found = store.claim(&worker, 1).await.unwrap().pop();
            let waiting = model.jobs.values().any(|job| job.state == JobState::Queued);
            assert_eq!(found.is_some(), waiting);
            if let Some(claim) = found {
                let job = model.jobs.get_mut(claim.job.id.as_str()).unwrap();
                assert_eq!(job.state, JobState::Queued);
                (job.state, job.holder) = (JobState::Running, Some(claim.token));
                model.claims.insert(0, claim.token);
            }
        }
        Step::Reap => {
            store.reap().await.unwrap();
            model.jobs.values_mut().filter(|job| job.state == JobState::Running).for_each(Expected::die);
        }
        Step::Cancel(name) => cancel(store, owner, model, NAMES[*name]).await,
        Step::Retry(name) => retry_one(store, owner, model, NAMES[*name]).await,
        Step::Progress(claim, progress) => {
            let Some(token) = model.claim(*claim) else { return };
            let held = store.progress(token, vec![told(*progress)]).await.unwrap();
            assert_eq!(held, expected_hold(model, token));
            if let Some(job) = model.holding(token)
                && *progress < 100
            {
                job.progress = job.progress.max(*progress);
            }
        }
        Step::Beat(claim) => {
            let Some(token) = model.claim(*claim) else { return };
            let expected = match model.holding(token) {
                None => Beat::Lost,
                Some(job) if job.cancel => Beat::CancelRequested,
                Some(_) => Beat::Alive,
            };
            assert_eq!(store.heartbeat(&[token]).await.unwrap(), [expected]);
        }
        Step::Finish(claim, end) => {
            let Some(token) = model.claim(*claim) else { return };
            let held = store.finish(token, vec![], outcome(end)).await.unwrap();
            assert_eq!(held, expected_hold(model, token));
            if let Some(job) = model.holding(token) {
                job.finish(end);
            }
        }
        Step::Release(claim) => {
            let Some(token) = model.claim(*claim) else { return };
            store.release(&[token]).await.unwrap();
            if let Some(job) = model.holding(token) {
                job.back();
            }
        }
    }
}

async fn submit_one(store: &dyn Store, owner: &str, model: &mut Model, name: &'static str) {
    let new = spinelift::store::NewJob { owner: owner.into(), ..new_job(name) };
    let answer = submit(store, new).await;
    match model.jobs.get_mut(name) {
        None => {
            assert!(matches!(answer, Submitted::Created(_)));
            model.jobs.insert(name, Expected::queued(0));
        }
        Some(job) if job.may_restart => {
            assert!(matches!(answer, Submitted::Restarted(_)));
            *job = Expected::queued(job.ends);
        }
        Some(_) => assert!(matches!(answer, Submitted::Existing(_))),
    }
}

async fn cancel(store: &dyn Store, owner: &str, model: &mut Model, name: &str) {
    let answer = store.cancel(owner, &id(name)).await.unwrap();
    let Some(job) = model.jobs.get_mut(name) else {
        assert_eq!(answer, None);
        return;
    };
    match job.state {
        JobState::Queued => {
            assert!(matches!(answer, Some(Cancel::Done(_))));
            job.end(JobState::Cancelled, true);
        }
        JobState::Running => {
            assert!(matches!(answer, Some(Cancel::Requested(_))));
            job.cancel = true;
        }
        _ => assert!(matches!(answer, Some(Cancel::AlreadyFinal(_)))),
    }
}

async fn retry_one(store: &dyn Store, owner: &str, model: &mut Model, name: &str) {
    let Some(job) = model.jobs.get_mut(name) else { return };
    let key = store.job(owner, &id(name)).await.unwrap().unwrap().key;
    let answer = store.retry_jobs(&[key]).await.unwrap().remove(0);
    if matches!(job.state, JobState::Failed | JobState::Cancelled) {
        assert!(matches!(answer, Some(Retry::Restarted(_))));
        *job = Expected::queued(job.ends);
    } else {
        assert!(matches!(answer, Some(Retry::LeftAlone(_))));
    }
}

fn outcome(end: &End) -> Outcome {
    match end {
        End::Completed => completed("any"),
        End::Failed => failed(FailureCode::ImageLoadFailed),
        End::FailedInPassing => failed(FailureCode::SourceTimeout),
        End::Cancelled => Outcome::Cancelled,
        End::Retry => retry(Duration::ZERO),
    }
}

fn expected_hold(model: &mut Model, token: Token) -> Held {
    if model.holding(token).is_some() { Held::Yes } else { Held::Lost }
}

async fn check(store: &dyn Store, owner: &str, name: &str, expected: &Expected) {
    let job = store.job(owner, &id(name)).await.unwrap().unwrap();
    assert_eq!((job.state, job.progress), (expected.state, expected.progress), "{name}");
    let events = legal_story(store, &job).await;
    assert_eq!(events.iter().filter(|event| event.state.is_final()).count(), expected.ends);
}
