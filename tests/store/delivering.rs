//! The outbox: what is told to callers' servers, in which order, and how often.

use std::time::Duration;

use spinelift::job::{FailureCode, JobState};
use spinelift::store::{
    Attempt, DeliveryOutcome, DeliveryState, Held, JobKey, KEEPS_UP, MOST_ATTEMPTS, NewJob, Redelivery, Store, Timing,
    To,
};

use super::fixture::*;

pub(crate) async fn the_first_event_is_delivered(backend: &dyn Backend) {
    let store = open(backend).await;
    let job = created(&*store, with_callback("a")).await;
    let delivery = due(&*store).await;
    assert_eq!((delivery.job, delivery.job_id, delivery.owner.as_str()), (job.key, job.id, "acme"));
    assert_eq!(delivery.url, "https://example.com/a/callback");
    assert_eq!(delivery.event, story(&*store, "a").await[0]);
    assert_eq!(delivery.attempts, 0);
    none_due(&*store).await;
}

pub(crate) async fn no_callback_means_no_delivery(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, new_job("a")).await.token;
    store.finish(token, vec![told(10)], completed("a")).await.unwrap();
    none_due(&*store).await;
    assert_eq!(store.next_delivery(To::ANYBODY).await.unwrap(), None);
}

pub(crate) async fn only_the_newest_progress_waits(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    store.progress(token, vec![told(10), told(20)]).await.unwrap();
    store.progress(token, vec![told(30)]).await.unwrap();
    assert_eq!(store.queue().await.unwrap().deliveries, 1);
    let delivery = due(&*store).await;
    assert_eq!(delivery.event.progress, 30);

    // Behind one in flight, too.
    store.progress(token, vec![told(40)]).await.unwrap();
    store.progress(token, vec![told(50)]).await.unwrap();
    store.delivered(delivery.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    assert_eq!(due(&*store).await.event.progress, 50);
}

pub(crate) async fn the_final_event_passes_over_waiting_progress(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    store.progress(token, vec![told(10)]).await.unwrap();
    store.finish(token, vec![told(90)], completed("a")).await.unwrap();
    let delivery = due(&*store).await;
    assert_eq!((delivery.event.state, delivery.event.progress), (JobState::Completed, 100));
    store.delivered(delivery.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    none_due(&*store).await;
    assert_eq!(store.queue().await.unwrap().deliveries, 0);
}

pub(crate) async fn one_job_has_one_callback_in_flight(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    let first = due(&*store).await;
    store.finish(token, vec![], completed("a")).await.unwrap();
    none_due(&*store).await;
    // Not at once, or whoever waits for it would ask without end.
    assert!(store.next_delivery(To::ANYBODY).await.unwrap().unwrap() > Duration::from_secs(1));
    store.delivered(first.token, attempt(503), DeliveryOutcome::RetryAfter(Duration::ZERO)).await.unwrap();
    assert_eq!(due(&*store).await.event.state, JobState::Completed);
    none_due(&*store).await;
}

pub(crate) async fn final_callbacks_go_first_then_the_longest_due(backend: &dyn Backend) {
    let store = open(backend).await;
    for name in ["a", "b", "c", "d"] {
        created(&*store, with_callback(name)).await;
    }
    for name in ["d", "b"] {
        store.cancel("acme", &id(name)).await.unwrap();
    }
    let mut told = store.claim_deliveries("sender", 3, To::ANYBODY).await.unwrap();
    told.extend(store.claim_deliveries("sender", 3, To::ANYBODY).await.unwrap());
    let order: Vec<&str> = told.iter().map(|delivery| delivery.job_id.as_str()).collect();
    assert_eq!(order, ["d", "b", "a", "c"]);
}

pub(crate) async fn a_dead_senders_callback_is_sent_again(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    created(&*store, with_callback("a")).await;
    let first = due(&*store).await;
    let again = due(&*store).await;
    assert_eq!((again.token.id, again.event), (first.token.id, first.event));
    assert!(again.token.fence > first.token.fence);
}

pub(crate) async fn a_stale_sender_is_lost(backend: &dyn Backend) {
    let store = backend.open(short_leases()).await.unwrap();
    created(&*store, with_callback("a")).await;
    let stale = due(&*store).await.token;
    let fresh = due(&*store).await.token;
    let delivered = DeliveryOutcome::Delivered;
    assert_eq!(store.delivered(stale, attempt(200), delivered).await.unwrap(), Held::Lost);
    assert_eq!(store.delivered(fresh, attempt(200), delivered).await.unwrap(), Held::Yes);
    assert_eq!(store.delivered(fresh, attempt(200), delivered).await.unwrap(), Held::Lost);
    none_due(&*store).await;
}

pub(crate) async fn a_retry_is_due_after_its_time(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, with_callback("a")).await;
    store.cancel("acme", &id("a")).await.unwrap();
    let first = due(&*store).await;
    let refused = Attempt { status: None, error: Some("connection refused".into()), took: Duration::from_millis(3) };
    let later = DeliveryOutcome::RetryAfter(Duration::from_millis(300));
    store.delivered(first.token, refused, later).await.unwrap();
    let wait = store.next_delivery(To::ANYBODY).await.unwrap().unwrap();
    assert!(wait <= Duration::from_millis(300), "{wait:?}");
    until("the retry is due", || async {
        let found = store.claim_deliveries("sender", 10, To::ANYBODY).await.unwrap();
        let Some(again) = found.first() else { return false };
        assert_eq!((&again.event, again.attempts), (&first.event, 1));
        true
    })
    .await;
}

pub(crate) async fn progress_to_be_retried_gives_way_to_the_newer(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    let first = due(&*store).await;
    store.progress(token, vec![told(10)]).await.unwrap();
    let at_once = DeliveryOutcome::RetryAfter(Duration::ZERO);
    store.delivered(first.token, attempt(500), at_once).await.unwrap();
    let second = due(&*store).await;
    assert_eq!((second.event.progress, second.attempts), (10, 0));
    none_due(&*store).await;
    // Nothing newer: the same again, and the next news takes its place.
    store.delivered(second.token, attempt(500), DeliveryOutcome::RetryAfter(Duration::from_secs(60))).await.unwrap();
    none_due(&*store).await;
    store.progress(token, vec![told(20)]).await.unwrap();
    let third = due(&*store).await;
    assert_eq!((third.event.progress, third.attempts), (20, 0));
    assert_eq!(store.queue().await.unwrap().deliveries, 1);
}

pub(crate) async fn a_callback_put_off_is_due_later_and_has_not_been_tried(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, with_callback("a")).await;
    store.cancel("acme", &id("a")).await.unwrap();
    let first = due(&*store).await;
    assert_eq!(store.put_off(first.token, Duration::from_millis(300)).await.unwrap(), Held::Yes);
    assert_eq!(store.put_off(first.token, Duration::ZERO).await.unwrap(), Held::Lost);
    assert!(store.next_delivery(To::ANYBODY).await.unwrap().unwrap() <= Duration::from_millis(300));
    until("it is due again", || async {
        let found = store.claim_deliveries("sender", 10, To::ANYBODY).await.unwrap();
        let Some(again) = found.first() else { return false };
        assert_eq!((&again.event, again.attempts), (&first.event, 0));
        true
    })
    .await;
}

pub(crate) async fn an_ended_delivery_is_not_sent_again(backend: &dyn Backend) {
    let store = open(backend).await;
    for (name, outcome) in [("a", DeliveryOutcome::Delivered), ("b", DeliveryOutcome::GivenUp)] {
        created(&*store, with_callback(name)).await;
        let token = due(&*store).await.token;
        assert_eq!(store.delivered(token, attempt(410), outcome).await.unwrap(), Held::Yes);
        none_due(&*store).await;
        assert_eq!(store.delivered(token, attempt(200), outcome).await.unwrap(), Held::Lost);
    }
    assert_eq!(store.next_delivery(To::ANYBODY).await.unwrap(), None);
}

pub(crate) async fn a_restarted_jobs_progress_is_told_after_its_old_end(backend: &dyn Backend) {
    let store = open(backend).await;
    created(&*store, with_callback("a")).await;
    store.cancel("acme", &id("a")).await.unwrap();
    submit(&*store, with_callback("a")).await;
    for state in [JobState::Cancelled, JobState::Queued] {
        let delivery = due(&*store).await;
        assert_eq!(delivery.event.state, state);
        store.delivered(delivery.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    }
    none_due(&*store).await;
}

pub(crate) async fn the_next_callbacks_time_is_known(backend: &dyn Backend) {
    let lease = Duration::from_secs(20);
    let timing = Timing { lease, ..Timing::default() };
    let store = backend.open(Settings { timing, ..Settings::default() }).await.unwrap();
    assert_eq!(store.next_delivery(To::ANYBODY).await.unwrap(), None);
    created(&*store, with_callback("a")).await;
    assert_eq!(store.next_delivery(To::ANYBODY).await.unwrap(), Some(Duration::ZERO));
    let token = due(&*store).await.token;
    let wait = store.next_delivery(To::ANYBODY).await.unwrap().unwrap();
    assert!(wait > lease / 2 && wait <= lease, "its sender may die: {wait:?}");
    store.delivered(token, attempt(503), DeliveryOutcome::RetryAfter(Duration::from_secs(300))).await.unwrap();
    let wait = store.next_delivery(To::ANYBODY).await.unwrap().unwrap();
    assert!(wait > Duration::from_secs(200) && wait <= Duration::from_secs(300), "{wait:?}");
}

pub(crate) async fn a_receiver_without_a_turn_is_passed_over(backend: &dyn Backend) {
    let store = open(backend).await;
    let elsewhere = NewJob { callback_url: Some("http://other.example:8080/x".into()), ..new_job("b") };
    created(&*store, with_callback("a")).await;
    created(&*store, elsewhere).await;
    let (not_to, nobody) =
        (["acme@example.com:443".to_owned()], ["acme@example.com:443".to_owned(), "acme@other.example:8080".into()]);
    assert_eq!(store.next_delivery(To::Only(&[])).await.unwrap(), None);
    assert_eq!(store.claim_deliveries("sender", 10, To::Only(&[])).await.unwrap(), []);
    assert_eq!(store.next_delivery(To::AllBut(&nobody)).await.unwrap(), None);
    assert_eq!(store.claim_deliveries("sender", 10, To::AllBut(&nobody)).await.unwrap(), []);
    let claimed = store.claim_deliveries("sender", 10, To::AllBut(&not_to)).await.unwrap();
    assert_eq!(claimed.iter().map(|delivery| delivery.host.as_str()).collect::<Vec<_>>(), ["acme@other.example:8080"]);
    store.delivered(claimed[0].token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    assert_eq!(store.next_delivery(To::AllBut(&not_to)).await.unwrap(), None);
    assert_eq!(store.next_delivery(To::Only(&not_to)).await.unwrap(), Some(Duration::ZERO));
    let only = store.claim_deliveries("sender", 10, To::Only(&not_to)).await.unwrap();
    assert_eq!(only.iter().map(|delivery| &delivery.job_id).collect::<Vec<_>>(), [&id("a")]);
}

pub(crate) async fn a_later_end_passes_over_an_earlier_one(backend: &dyn Backend) {
    let store = open(backend).await;
    for (name, in_flight) in [("waits", false), ("in-flight", true)] {
        let token = running(&*store, with_callback(name)).await.token;
        store.finish(token, vec![], failed(FailureCode::SourceTimeout)).await.unwrap();
        let first = due(&*store).await;
        let later = DeliveryOutcome::RetryAfter(Duration::ZERO);
        if !in_flight {
            store.delivered(first.token, attempt(503), later).await.unwrap();
        }
        submit(&*store, with_callback(name)).await;
        let token = claimed(&*store).await.token;
        store.finish(token, vec![], completed(name)).await.unwrap();
        if in_flight {
            store.delivered(first.token, attempt(503), later).await.unwrap();
        }
        let told = due(&*store).await;
        assert_eq!(told.event.state, JobState::Completed, "{name}");
        store.delivered(told.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
        none_due(&*store).await;
    }
}

pub(crate) async fn every_stage_is_told_while_the_receiver_keeps_up(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    heard(&*store, Duration::ZERO).await;
    for stages in [&[10, 20, 30][..], &[40], &[50, 70]] {
        store.progress(token, stages.iter().copied().map(told).collect()).await.unwrap();
        for stage in stages {
            assert_eq!(heard(&*store, KEEPS_UP).await, *stage);
        }
        none_due(&*store).await;
    }
    store.finish(token, vec![told(85), told(95)], completed("a")).await.unwrap();
    for stage in [85, 95, 100] {
        assert_eq!(heard(&*store, Duration::ZERO).await, stage);
    }
    none_due(&*store).await;
}

pub(crate) async fn the_end_does_not_wait_long_for_what_came_before_it(backend: &dyn Backend) {
    let store = open(backend).await;
    // One slow answer, one failure, and an end that has waited.
    let failed = DeliveryOutcome::RetryAfter(Duration::ZERO);
    let cases = [
        (KEEPS_UP * 2, DeliveryOutcome::Delivered, Duration::ZERO),
        (Duration::ZERO, failed, Duration::ZERO),
        (Duration::ZERO, DeliveryOutcome::Delivered, KEEPS_UP + Duration::from_millis(50)),
    ];
    for (number, (took, outcome, pause)) in cases.into_iter().enumerate() {
        let name = format!("job-{number}");
        let token = running(&*store, with_callback(&name)).await.token;
        heard(&*store, Duration::ZERO).await;
        store.finish(token, vec![told(10), told(20), told(30)], completed(&name)).await.unwrap();
        let first = due(&*store).await;
        assert_eq!(first.event.progress, 10);
        tokio::time::sleep(pause).await;
        store.delivered(first.token, Attempt { took, ..attempt(200) }, outcome).await.unwrap();
        assert_eq!(heard(&*store, Duration::ZERO).await, 100, "{name}");
        none_due(&*store).await;
    }
}

pub(crate) async fn an_end_long_due_goes_before_its_progress_which_is_then_dropped(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    heard(&*store, Duration::ZERO).await;
    store.finish(token, vec![told(10), told(20)], completed("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let first = store.claim_deliveries("sender", 1, To::ANYBODY).await.unwrap().remove(0);
    assert_eq!(first.event.progress, 100);
    none_due(&*store).await;
    store.delivered(first.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    none_due(&*store).await;
    assert_eq!(store.queue().await.unwrap().deliveries, 0);
}

pub(crate) async fn an_end_long_due_is_not_claimed_with_its_progress(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    heard(&*store, Duration::ZERO).await;
    store.finish(token, vec![told(10), told(20)], completed("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let claimed = store.claim_deliveries("sender", 64, To::ANYBODY).await.unwrap();
    assert_eq!(claimed.iter().map(|delivery| delivery.event.progress).collect::<Vec<_>>(), [100]);
    // Nor after it, whatever became of it.
    let later = DeliveryOutcome::RetryAfter(Duration::from_secs(300));
    store.delivered(claimed[0].token, attempt(503), later).await.unwrap();
    none_due(&*store).await;
}

pub(crate) async fn after_a_slow_answer_only_the_newest_is_told(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    heard(&*store, Duration::ZERO).await;
    store.progress(token, vec![told(10), told(20), told(30), told(40)]).await.unwrap();
    assert_eq!(heard(&*store, KEEPS_UP + Duration::from_millis(1)).await, 10);
    assert_eq!(heard(&*store, Duration::ZERO).await, 40);
    none_due(&*store).await;
    // So it is after one that failed.
    store.progress(token, vec![told(50), told(60), told(70)]).await.unwrap();
    let failed = due(&*store).await;
    store.delivered(failed.token, attempt(500), DeliveryOutcome::RetryAfter(Duration::ZERO)).await.unwrap();
    assert_eq!(heard(&*store, Duration::ZERO).await, 70);
    none_due(&*store).await;
}

/// Delivers the one callback that is due; its progress.
async fn heard(store: &dyn Store, took: Duration) -> u8 {
    let delivery = due(store).await;
    let attempt = Attempt { took, ..attempt(200) };
    store.delivered(delivery.token, attempt, DeliveryOutcome::Delivered).await.unwrap();
    delivery.event.progress
}

pub(crate) async fn callbacks_are_listed_with_their_attempts(backend: &dyn Backend) {
    let store = open(backend).await;
    let job = created(&*store, with_callback("a")).await;
    created(&*store, with_callback("other")).await;
    let first = store.claim_deliveries("sender", 1, To::ANYBODY).await.unwrap().remove(0);
    store.cancel("acme", &id("a")).await.unwrap();
    assert_eq!(states(&*store, job.key).await, [(2, DeliveryState::Waiting), (1, DeliveryState::Sending)]);
    store.delivered(first.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    let end = store.claim_deliveries("sender", 1, To::ANYBODY).await.unwrap().remove(0);
    let failed = Attempt { status: None, error: Some("refused".into()), took: Duration::from_millis(3) };
    let later = DeliveryOutcome::RetryAfter(Duration::from_secs(300));
    store.delivered(end.token, failed.clone(), later).await.unwrap();

    let listed = store.deliveries(job.key, u64::MAX, 10).await.unwrap();
    let [end, first] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((first.sequence, first.state, first.next_attempt_at_ms), (1, DeliveryState::Delivered, None));
    assert_eq!((end.sequence, end.state), (2, DeliveryState::Waiting));
    assert_eq!(end.url, "https://example.com/a/callback");
    let [past] = &end.attempts[..] else { panic!("{end:?}") };
    assert_eq!(past.attempt, failed);
    let wait_ms = end.next_attempt_at_ms.unwrap() - past.at_ms;
    assert!((300_000..301_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!(store.deliveries(job.key, u64::MAX, 1).await.unwrap(), listed[..1]);
    assert_eq!(store.deliveries(job.key, 2, 10).await.unwrap(), listed[1..]);
    assert_eq!(store.deliveries(job.key, 1, 10).await.unwrap(), []);
}

async fn states(store: &dyn Store, job: JobKey) -> Vec<(u64, DeliveryState)> {
    let listed = store.deliveries(job, u64::MAX, 100).await.unwrap();
    listed.into_iter().map(|record| (record.sequence, record.state)).collect()
}

pub(crate) async fn a_callback_is_sent_again_with_its_schedule_from_the_start(backend: &dyn Backend) {
    let store = open(backend).await;
    let job = created(&*store, with_callback("a")).await;
    store.cancel("acme", &id("a")).await.unwrap();
    let first = due(&*store).await;
    for outcome in
        [DeliveryOutcome::GivenUp, DeliveryOutcome::Delivered, DeliveryOutcome::RetryAfter(Duration::from_secs(3600))]
    {
        let delivery = if outcome == DeliveryOutcome::GivenUp { first.clone() } else { due(&*store).await };
        assert_eq!((&delivery.event, delivery.attempts), (&first.event, 0));
        store.delivered(delivery.token, attempt(500), outcome).await.unwrap();
        none_due(&*store).await;
        assert_eq!(store.redeliver(job.key, 2).await.unwrap(), Redelivery::Due, "{outcome:?}");
    }
    assert_eq!(due(&*store).await.event, first.event);
    assert_eq!(store.deliveries(job.key, u64::MAX, 1).await.unwrap()[0].attempts.len(), 3);
    assert_eq!(store.queue().await.unwrap().deliveries, 1);
}

pub(crate) async fn what_is_in_flight_or_passed_over_is_not_sent_again(backend: &dyn Backend) {
    let store = open(backend).await;
    let token = running(&*store, with_callback("a")).await.token;
    let job = token.job;
    assert_eq!(store.redeliver(job, 2).await.unwrap(), Redelivery::Unknown);
    heard(&*store, Duration::ZERO).await;
    // Nothing newer is known.
    assert_eq!(store.redeliver(job, 1).await.unwrap(), Redelivery::Due);
    let again = due(&*store).await;
    assert_eq!(store.redeliver(job, 1).await.unwrap(), Redelivery::InFlight);
    store.delivered(again.token, attempt(200), DeliveryOutcome::Delivered).await.unwrap();
    store.progress(token, vec![told(10)]).await.unwrap();
    assert_eq!(store.redeliver(job, 1).await.unwrap(), Redelivery::Superseded);
    store.finish(token, vec![], completed("a")).await.unwrap();
    assert_eq!(states(&*store, job).await[1], (2, DeliveryState::Superseded));
    assert_eq!(store.redeliver(job, 2).await.unwrap(), Redelivery::Superseded);
    assert_eq!(heard(&*store, Duration::ZERO).await, 100);
    assert_eq!(store.redeliver(job, 3).await.unwrap(), Redelivery::Due);
    assert_eq!(heard(&*store, Duration::ZERO).await, 100);
    none_due(&*store).await;
}

pub(crate) async fn only_the_newest_attempts_are_kept(backend: &dyn Backend) {
    let store = open(backend).await;
    let job = created(&*store, with_callback("a")).await;
    for number in 0..MOST_ATTEMPTS + 5 {
        let token = due(&*store).await.token;
        let attempt = Attempt { took: Duration::from_millis(number.into()), ..attempt(500) };
        store.delivered(token, attempt, DeliveryOutcome::GivenUp).await.unwrap();
        assert_eq!(store.redeliver(job.key, 1).await.unwrap(), Redelivery::Due);
    }
    let attempts = store.deliveries(job.key, u64::MAX, 1).await.unwrap().remove(0).attempts;
    let took: Vec<u128> = attempts.iter().map(|past| past.attempt.took.as_millis()).collect();
    assert_eq!(took, (5..u128::from(MOST_ATTEMPTS) + 5).collect::<Vec<_>>());
}
