//! Turns: owners of many jobs do not keep those of few waiting. A job is named after its owner: `ann-1` is ann's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use spinelift::store::{Claim, NewJob, Store, Submitted};

use super::fixture::*;

fn of_owner(name: &str) -> NewJob {
    let (owner, _) = name.split_once('-').unwrap();
    NewJob { owner: owner.into(), ..new_job(name) }
}

async fn accepted(store: &dyn Store, names: &[&str]) {
    let answers = store.submit(names.iter().map(|name| of_owner(name)).collect()).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Submitted::Created(_))), "{answers:?}");
}

async fn many(store: &dyn Store, owner: &str, count: usize) {
    let jobs = (1..=count).map(|n| of_owner(&format!("{owner}-{n}"))).collect();
    assert_eq!(store.submit(jobs).await.unwrap().len(), count);
}

fn names(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.job.id.as_str()).collect()
}

/// Claims, and says whose turns they were.
async fn expect_turns(store: &dyn Store, worker: &str, most: usize, expected: &[&str]) -> Vec<Claim> {
    let claims = store.claim(worker, most).await.unwrap();
    assert_eq!(names(&claims), expected);
    claims
}

async fn finish(store: &dyn Store, claims: &[Claim]) {
    for claim in claims {
        store.finish(claim.token, vec![], completed("any")).await.unwrap();
    }
}

pub(crate) async fn a_flood_does_not_delay_another_owner(backend: &dyn Backend) {
    let store = open(backend).await;
    many(&*store, "flood", 500).await;
    expect_turns(&*store, "one", 3, &["flood-1", "flood-2", "flood-3"]).await;
    // Whether its name is behind the flood's or before it.
    accepted(&*store, &["zoe-1", "ann-1"]).await;
    expect_turns(&*store, "two", 1, &["zoe-1"]).await;
    expect_turns(&*store, "two", 3, &["ann-1", "flood-4", "flood-5"]).await;
}

pub(crate) async fn single_claims_go_round(backend: &dyn Backend) {
    let store = open(backend).await;
    accepted(&*store, &["ann-1", "ann-2", "ann-3", "bob-1", "bob-2", "cat-1", "cat-2", "cat-3"]).await;
    for name in ["ann-1", "bob-1", "cat-1", "ann-2", "bob-2", "cat-2", "ann-3", "cat-3"] {
        expect_turns(&*store, "worker", 1, &[name]).await;
    }
    expect_turns(&*store, "worker", 1, &[]).await;
}

pub(crate) async fn an_owners_jobs_keep_their_order(backend: &dyn Backend) {
    let store = open(backend).await;
    accepted(&*store, &["bob-9", "ann-7", "bob-1", "ann-8", "bob-5", "ann-2"]).await;
    expect_turns(&*store, "worker", 4, &["ann-7", "bob-9", "ann-8", "bob-1"]).await;
    expect_turns(&*store, "worker", 4, &["ann-2", "bob-5"]).await;
}

pub(crate) async fn shares_are_equal_and_what_is_left_is_filled_up(backend: &dyn Backend) {
    let store = open(backend).await;
    for owner in ["ann", "bob", "cat"] {
        many(&*store, owner, 10).await;
    }
    let turns = ["ann-1", "bob-1", "cat-1", "ann-2", "bob-2", "cat-2", "ann-3"];
    expect_turns(&*store, "worker", 7, &turns).await;
    // One of few jobs leaves its share to the others.
    accepted(&*store, &["dan-1"]).await;
    let turns = ["bob-3", "cat-3", "dan-1", "ann-4", "bob-4", "cat-4", "ann-5", "bob-5"];
    expect_turns(&*store, "worker", 8, &turns).await;
    assert_eq!(store.claim("worker", 99).await.unwrap().len(), 31 - 7 - 8);
}

pub(crate) async fn where_owners_are_many_each_has_one_turn(backend: &dyn Backend) {
    let store = open(backend).await;
    for owner in ["ann", "bob", "cat", "dan", "eve"] {
        many(&*store, owner, 3).await;
    }
    expect_turns(&*store, "worker", 3, &["ann-1", "bob-1", "cat-1"]).await;
    expect_turns(&*store, "worker", 3, &["dan-1", "eve-1", "ann-2"]).await;
    expect_turns(&*store, "worker", 1, &["bob-2"]).await;
}

pub(crate) async fn turns_go_on_behind_the_last_whoever_comes(backend: &dyn Backend) {
    let store = open(backend).await;
    accepted(&*store, &["mia-1", "mia-2"]).await;
    expect_turns(&*store, "worker", 1, &["mia-1"]).await;
    accepted(&*store, &["ann-1", "zoe-1", "zoe-2"]).await;
    expect_turns(&*store, "worker", 2, &["zoe-1", "ann-1"]).await;
    // The last served has nothing left, and its place in the order is kept all the same.
    accepted(&*store, &["Zed-1", "abe-1"]).await;
    expect_turns(&*store, "worker", 9, &["mia-2", "zoe-2", "Zed-1", "abe-1"]).await;
}

pub(crate) async fn an_owner_whose_jobs_wait_takes_no_turn(backend: &dyn Backend) {
    let store = open(backend).await;
    accepted(&*store, &["bob-1", "bob-2"]).await;
    for claim in store.claim("worker", 2).await.unwrap() {
        store.finish(claim.token, vec![], retry(Duration::from_secs(3600))).await.unwrap();
    }
    accepted(&*store, &["ann-1", "ann-2", "cat-1", "cat-2"]).await;
    expect_turns(&*store, "worker", 2, &["cat-1", "ann-1"]).await;
    // What may start passes what waits before it.
    accepted(&*store, &["bob-3"]).await;
    expect_turns(&*store, "worker", 9, &["bob-3", "cat-2", "ann-2"]).await;
}

pub(crate) async fn a_suspects_turn_waits_and_is_not_lost(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    accepted(&*store, &["bob-1"]).await;
    expect_turns(&*store, "dies", 1, &["bob-1"]).await;
    assert_eq!(store.reap().await.unwrap().requeued, 1);
    accepted(&*store, &["ann-1", "ann-2", "cat-1"]).await;
    let beside = expect_turns(&*store, "worker", 9, &["cat-1", "ann-1"]).await;
    expect_turns(&*store, "worker", 9, &[]).await;
    finish(&*store, &beside[..1]).await;
    expect_turns(&*store, "worker", 9, &[]).await;
    finish(&*store, &beside[1..]).await;
    let suspect = expect_turns(&*store, "worker", 9, &["bob-1"]).await;
    // Beside it nothing begins here. Elsewhere turns go on behind it.
    expect_turns(&*store, "worker", 9, &[]).await;
    accepted(&*store, &["bob-2", "cat-2"]).await;
    expect_turns(&*store, "other", 9, &["cat-2", "ann-2", "bob-2"]).await;
    finish(&*store, &suspect).await;
}

pub(crate) async fn a_suspect_in_a_later_round_is_next(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    accepted(&*store, &["ann-1", "ann-2"]).await;
    let claims = expect_turns(&*store, "dies", 2, &["ann-1", "ann-2"]).await;
    store.release(&[claims[0].token]).await.unwrap();
    assert_eq!(store.reap().await.unwrap().requeued, 1);
    accepted(&*store, &["bob-1", "bob-2", "bob-3"]).await;
    let before = expect_turns(&*store, "worker", 9, &["bob-1", "ann-1", "bob-2"]).await;
    finish(&*store, &before).await;
    let suspect = expect_turns(&*store, "worker", 9, &["ann-2"]).await;
    finish(&*store, &suspect).await;
    expect_turns(&*store, "worker", 9, &["bob-3"]).await;
}

/// However many are asked for at a time, it is the same round.
pub(crate) async fn turns_are_even_over_many_claims(backend: &dyn Backend) {
    let store = open(backend).await;
    let backlogs = [("ann", 1), ("bob", 40), ("cat", 3), ("dan", 17), ("eve", 90), ("fay", 2)];
    for (owner, count) in backlogs {
        many(&*store, owner, count).await;
    }
    let mut expected = one_round_after_another(&backlogs);
    for most in [1, 2, 7, 1, 5, 64, 3, 4, 6, 13].into_iter().cycle() {
        let claims = store.claim("worker", most).await.unwrap();
        let turns: Vec<String> = expected.drain(..most.min(expected.len())).collect();
        assert_eq!(names(&claims), turns);
        if claims.is_empty() {
            break;
        }
    }
    assert_eq!(store.queue().await.unwrap().queued, 0);
}

fn one_round_after_another(backlogs: &[(&str, usize)]) -> VecDeque<String> {
    let mut left: BTreeMap<&str, usize> = backlogs.iter().copied().collect();
    let mut turns = VecDeque::new();
    for round in 1.. {
        left.retain(|_, count| *count >= round);
        if left.is_empty() {
            break;
        }
        turns.extend(left.keys().map(|owner| format!("{owner}-{round}")));
    }
    turns
}
