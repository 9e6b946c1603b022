//! Who may be called now: a few callbacks at a time to each receiver, so that one that hangs holds up none but itself.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::store::Delivery;

/// Callbacks that are sent to one receiver at a time: enough to keep a connection's latency hidden, few enough for a
/// receiver of one thread.
const EACH_IN_FLIGHT: usize = 4;

/// Callbacks held here that wait for their receiver's turn: a second or so of a receiver that keeps up.
const EACH_WAITING: usize = 64;

/// Attempts in a row that brought no answer, after which a receiver counts as down: one is sent at a time to see whether
/// it is back, and the others are put off.
const DOWN_AFTER: u32 = 5;

/// How long callbacks to a receiver that is down are put off.
const DOWN_FOR: Duration = Duration::from_secs(30);

/// How long callbacks are put off that a receiver has no turn for yet.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// Every receiver for whom something is held here, and those that are down.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    hosts: HashMap<String, Receiver>,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Receiver {
    in_flight: usize,
    waiting: VecDeque<(Instant, Delivery)>,
    unanswered: u32,
}

impl Receiver {
    fn is_down(&self) -> bool {
        self.unanswered >= DOWN_AFTER
    }

    fn may_be_called(&self) -> bool {
        self.in_flight < if self.is_down() { 1 } else { EACH_IN_FLIGHT }
    }
}

/// Callbacks to be given back to the store unsent, and for how long.
#[derive(Debug, Default)]
pub(super) struct PutOff(pub(super) Vec<(Delivery, Duration)>);

impl Receivers {
    /// How many are held here and not sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a callback in, or puts it off.
    pub(super) fn take(&mut self, host: String, claimed_at: Instant, delivery: Delivery, put_off: &mut PutOff) {
        let receiver = self.hosts.entry(host).or_default();
        if receiver.is_down() && !(receiver.may_be_called() && receiver.waiting.is_empty()) {
            put_off.0.push((delivery, DOWN_FOR));
        } else if receiver.waiting.len() >= EACH_WAITING {
            put_off.0.push((delivery, BUSY_FOR));
        } else {
            receiver.waiting.push_back((claimed_at, delivery));
            self.waiting += 1;
        }
    }

    /// The callback that has waited longest among those whose receiver may be called.
    pub(super) fn next(&mut self) -> Option<(String, Delivery)> {
        let ready = self.hosts.iter().filter(|(_, receiver)| receiver.may_be_called());
        let oldest = ready.filter_map(|(host, receiver)| Some((receiver.waiting.front()?.0, host)));
        let host = oldest.min()?.1.clone();
        let receiver = self.hosts.get_mut(&host)?;
        let (_, delivery) = receiver.waiting.pop_front()?;
        receiver.in_flight += 1;
        self.waiting -= 1;
        Some((host, delivery))
    }

    /// An attempt ended. Where it makes the receiver count as down, what waits for it is put off.
    pub(super) fn done(&mut self, host: &str, answered: bool, put_off: &mut PutOff) {
        let Some(receiver) = self.hosts.get_mut(host) else { return };
        receiver.in_flight = receiver.in_flight.saturating_sub(1);
        receiver.unanswered = if answered { 0 } else { receiver.unanswered.saturating_add(1) };
        if receiver.is_down() {
            self.waiting -= receiver.waiting.len();
            put_off.0.extend(receiver.waiting.drain(..).map(|(_, delivery)| (delivery, DOWN_FOR)));
        }
        if receiver.in_flight == 0 && receiver.waiting.is_empty() && receiver.unanswered == 0 {
            self.hosts.remove(host);
        }
    }

    /// Gives up what was claimed so long ago that its lease would end while it is sent.
    pub(super) fn claimed_before(&mut self, then: Instant, put_off: &mut PutOff) {
        for receiver in self.hosts.values_mut() {
            while receiver.waiting.front().is_some_and(|(claimed_at, _)| *claimed_at < then) {
                put_off.0.extend(receiver.waiting.pop_front().map(|(_, delivery)| (delivery, Duration::ZERO)));
                self.waiting -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Event, JobId, JobState};
    use crate::store::{DeliveryId, DeliveryToken, JobKey};

    fn delivery(id: i64) -> Delivery {
        let event =
            Event { sequence: 1, at_ms: 0, state: JobState::Completed, progress: 100, message: "".into(), error: None };
        Delivery {
            token: DeliveryToken { id: DeliveryId(id), fence: 1 },
            job: JobKey(id),
            job_id: JobId::parse("a").unwrap(),
            owner: String::new(),
            request_id: String::new(),
            url: String::new(),
            event,
            attempts: 0,
        }
    }

    fn take(receivers: &mut Receivers, host: &str, count: usize) -> PutOff {
        let mut put_off = PutOff::default();
        let now = Instant::now();
        for id in 0..count {
            receivers.take(host.into(), now, delivery(id as i64), &mut put_off);
        }
        put_off
    }

    fn in_flight(receivers: &mut Receivers) -> Vec<String> {
        std::iter::from_fn(|| receivers.next()).map(|(host, _)| host).collect()
    }

    #[test]
    fn a_receiver_gets_four_at_a_time_and_the_others_their_turn() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 20);
        take(&mut receivers, "good", 2);
        let mut hosts = in_flight(&mut receivers);
        hosts.sort();
        assert_eq!(hosts, ["good", "good", "slow", "slow", "slow", "slow"]);
        receivers.done("slow", true, &mut PutOff::default());
        assert_eq!(in_flight(&mut receivers), ["slow"]);
        assert_eq!(receivers.waiting(), 15);
    }

    #[test]
    fn a_long_line_is_put_off_for_a_moment() {
        let mut receivers = Receivers::default();
        let put_off = take(&mut receivers, "slow", EACH_WAITING + 3);
        assert_eq!(put_off.0.iter().map(|(_, wait)| *wait).collect::<Vec<_>>(), [BUSY_FOR; 3]);
    }

    #[test]
    fn a_receiver_that_is_down_gets_one_at_a_time_until_it_answers() {
        let mut receivers = Receivers::default();
        let mut put_off = PutOff::default();
        take(&mut receivers, "down", 10);
        for _ in 0..DOWN_AFTER {
            assert!(receivers.next().is_some());
            receivers.done("down", false, &mut put_off);
        }
        assert_eq!(put_off.0.len(), 5);
        assert_eq!(receivers.waiting(), 0);
        assert_eq!(take(&mut receivers, "down", 3).0.len(), 2);
        assert_eq!(in_flight(&mut receivers), ["down"]);
        assert_eq!(take(&mut receivers, "down", 3).0.len(), 3);
        receivers.done("down", true, &mut put_off);
        assert_eq!(take(&mut receivers, "down", 3).0.len(), 0);
        assert_eq!(in_flight(&mut receivers).len(), 3);
    }

    #[test]
    fn what_waits_too_long_goes_back_at_once() {
        let mut receivers = Receivers::default();
        let mut put_off = PutOff::default();
        take(&mut receivers, "slow", 6);
        assert_eq!(in_flight(&mut receivers).len(), 4);
        receivers.claimed_before(Instant::now() + Duration::from_secs(1), &mut put_off);
        assert_eq!(put_off.0.iter().map(|(_, wait)| *wait).collect::<Vec<_>>(), [Duration::ZERO; 2]);
        assert_eq!(receivers.waiting(), 0);
    }
}
