//! `kill -9` of nodes, at random moments and at named points.

use std::time::{Duration, Instant};

use super::audit;
use super::caller::{next_random, setting};
use super::load::{Load, fetch_results, has_callback, id};
use super::nodes::{Fleet, logs, metric, post};
use super::server::{POINTS, Server};

/// The longest between two kills, ms. Long forms take longer, as nodes do that live for longer than a moment.
const PAUSE_MS: usize = 120;

/// How long a worker may take to start and come to its point, on a machine that compiles beside it.
const POINT_REACHED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_of_nodes_lose_no_job() {
    let Some(fleet) = Fleet::new().await else { return };
    let (kills, jobs) = (setting("FLEET_KILLS", 25), setting("FLEET_JOBS", 500));
    let pause = setting("FLEET_PAUSE_MS", PAUSE_MS) as u64;
    let seed = setting("FLEET_SEED", std::process::id() as usize | 1) as u64;
    println!("{kills} kills up to {pause} ms apart, {jobs} jobs, seed {seed}");
    let began = Instant::now();
    let mut nodes = [fleet.node("all").await, fleet.node("api").await, fleet.node("worker").await];
    audit::begin(&fleet).await;
    let load = Load::begin(&fleet, &[&nodes[0], &nodes[1]], jobs);
    let (mut random, mut stale, mut done) = (seed, 0, 0);
    while done < kills {
        load.comes_to(done, kills).await;
        tokio::time::sleep(Duration::from_micros(next_random(&mut random) % (1_000 * pause))).await;
        let victims = victims(&mut random);
        for node in victims.iter().map(|at| &nodes[*at]) {
            stale += metric(node, "spinelift_stale_writes_total").await.unwrap_or_default();
        }
        // All at once, if it is several.
        victims.iter().for_each(|at| nodes[*at].kill());
        for at in &victims {
            nodes[*at].again().await;
        }
        done += victims.len();
    }
    load.end().await;
    let killing = began.elapsed();
    let nodes: Vec<&Server> = nodes.iter().collect();
    fleet.settled(&nodes).await;
    let called_back = (0..jobs).map(id).filter(|id| has_callback(id));
    fleet.world.called_back(called_back, || logs(&nodes)).await;
    for node in &nodes {
        stale += metric(node, "spinelift_stale_writes_total").await.unwrap();
    }
    report(&fleet, &nodes, jobs).await;
    println!(
        "{done} kills within {killing:?}, all ended within {:?}; {stale} stale writes, all refused",
        began.elapsed()
    );
}

/// One node mostly, two or all three now and then.
fn victims(random: &mut u64) -> Vec<usize> {
    let first = (next_random(random) % 3) as usize;
    match next_random(random) % 10 {
        0 => vec![0, 1, 2],
        1 | 2 => vec![first, (first + 1) % 3],
        _ => vec![first],
    }
}

/// That all is as it should be, and how it was.
async fn report(fleet: &Fleet, nodes: &[&Server], jobs: usize) {
    let entries = fleet.entries().await;
    assert_eq!(entries.len(), jobs, "an accepted job is gone");
    let mut results = Vec::new();
    for entry in &entries {
        assert_eq!(entry.final_events, 1, "{entry:?}");
        assert_eq!(entry.final_deliveries, i64::from(has_callback(&entry.id)), "{entry:?}");
        assert!(!entry.sequences_have_gaps, "{entry:?}");
        match (entry.state.as_str(), entry.deaths) {
            ("completed", _) => results.push(entry.id.clone()),
            ("failed", 3) => {}
            _ => panic!("{entry:?}"),
        }
    }
    audit::expect_no_stale_end(fleet).await;
    fetch_results(&[nodes[0], nodes[1]], &results).await;
    let accidents = jobs - results.len();
    let takeovers = audit::takeovers(fleet).await;
    println!("0 of {jobs} jobs lost, 0 ended twice, {accidents} given up after three deaths; {takeovers}");
    // Whose worker died is done alone next time, so that no neighbour of a guilty one dies twice. Kills from outside can
    // still meet the same job three times; the rule for poisonous jobs cannot tell that from guilt.
    assert_eq!(takeovers.deaths_in_company, 0, "jobs that had died before died beside others");
    assert!(takeovers.deaths > 0 && takeovers.slowest_back < 60_000, "{takeovers}");
}

/// One worker after the other dies at a point of a job's life; another does what they leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_a_node_at_each_named_point_loses_nothing() {
    if cfg!(not(debug_assertions)) {
        println!("skipped: a release build has no points to be killed at");
        return;
    }
    let Some(fleet) = Fleet::new().await else { return };
    let api = fleet.node("api").await;
    // Links in callbacks are the same whoever sends them.
    let public_url = api.url("");
    audit::begin(&fleet).await;
    let points: Vec<&str> = POINTS.iter().copied().chain(["after_final_callback"]).collect();
    for point in &points {
        let request = fleet.request(point, &fleet.sources.after(300), true);
        assert_eq!(post(&api, &request).await.unwrap().status(), 202);
        let mut victim = fleet.prepared("worker", &[("SPINELIFT_CRASH_AT", point), ("PUBLIC_URL", &public_url)]);
        victim.spawn();
        let ended = victim.ended_within(POINT_REACHED).await;
        assert!(ended.is_some_and(|status| !status.success()), "{point} was not reached:\n{}", victim.log());
    }
    let worker = fleet.node_with("worker", &[("PUBLIC_URL", &public_url)]).await;
    fleet.settled(&[&api, &worker]).await;
    let ids: Vec<String> = points.iter().map(|point| (*point).to_owned()).collect();
    fleet.world.called_back(ids.iter().cloned(), || logs(&[&api, &worker])).await;
    fleet.expect_completed_once(points.len(), |_| true).await;
    fetch_results(&[&api], &ids).await;
    // What was sent and not marked came again under the same id, with the same body.
    let heard: Vec<_> = ids.iter().map(|id| fleet.world.ends_heard(id)).collect();
    assert!(heard.iter().any(|ends| ends.len() > 1), "{heard:?}");
    assert!(heard.iter().all(|ends| ends.iter().all(|end| *end == ends[0])), "{heard:?}");
    println!("{}", audit::takeovers(&fleet).await);
}
