//! Who may be called now: a few callbacks at a time to each receiver, so that one that hangs holds up none but itself.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::store::Delivery;

/// Callbacks that are sent to one receiver at a time: enough to keep a connection's latency hidden, few enough for a
/// receiver of one thread. As many in line for it, and no more are asked for.
const EACH_IN_FLIGHT: usize = 4;

/// Attempts in a row that brought no answer, after which a receiver counts as down: one is sent at a time to see whether
/// it is back, and the others fail unsent.
const DOWN_AFTER: u32 = 5;

/// Callbacks that are sent at a time to all receivers together whose last attempt brought no answer: a quarter of all,
/// so that many that hang leave room for those that do not.
const UNANSWERED_IN_FLIGHT: usize = 16;

/// How long a receiver is remembered that did not answer and for whom there is nothing to send.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Every receiver for whom something is held here, and those that did not answer.
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
    ended_at: Option<Instant>,
}

impl Receiver {
    fn is_down(&self) -> bool {
        self.unanswered >= DOWN_AFTER
    }

    fn may_be_called(&self) -> bool {
        self.in_flight < if self.is_down() { 1 } else { EACH_IN_FLIGHT }
    }

    /// Whether another callback would only wait here, or fail unsent.
    fn has_no_turn(&self) -> bool {
        if self.is_down() { self.in_flight + self.waiting.len() > 0 } else { self.waiting.len() >= EACH_IN_FLIGHT }
    }

    fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }
}

/// Callbacks that are not sent now.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// To receivers that are down: each counts as an attempt, or what is owed to them would never end.
    pub(super) failed: Vec<Delivery>,
    /// Whose receiver had no turn for them in time; others have nothing to do with it.
    pub(super) put_off: Vec<Delivery>,
}

impl Receivers {
    /// How many are held here and not sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Those for whom nothing is to be asked for now.
    pub(super) fn without_turn(&self) -> Vec<String> {
        let hosts = self.hosts.iter().filter(|(_, receiver)| receiver.has_no_turn());
        hosts.map(|(host, _)| host.clone()).collect()
    }

    /// Takes a callback in, unless its receiver is down.
    pub(super) fn take(&mut self, claimed_at: Instant, delivery: Delivery, unsent: &mut Unsent) {
        let receiver = self.hosts.entry(delivery.host.clone()).or_default();
        if receiver.is_down() && receiver.has_no_turn() {
            unsent.failed.push(delivery);
        } else {
            receiver.waiting.push_back((claimed_at, delivery));
            self.waiting += 1;
        }
    }

    /// The callback that has waited longest among those whose receiver may be called.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        let of_unanswered = self.hosts.values().filter(|receiver| receiver.unanswered > 0);
        let room = of_unanswered.map(|receiver| receiver.in_flight).sum::<usize>() < UNANSWERED_IN_FLIGHT;
        let may = |receiver: &Receiver| receiver.may_be_called() && (room || receiver.unanswered == 0);
        let ready = self.hosts.iter().filter(|(_, receiver)| may(receiver));
        let oldest = ready.filter_map(|(host, receiver)| Some((receiver.waiting.front()?.0, host)));
        let host = oldest.min()?.1.clone();
        let receiver = self.hosts.get_mut(&host)?;
        let (_, delivery) = receiver.waiting.pop_front()?;
        receiver.in_flight += 1;
        self.waiting -= 1;
        Some(delivery)
    }

    /// An attempt ended. Where it makes the receiver count as down, what waits for it fails.
    pub(super) fn done(&mut self, host: &str, answered: bool, unsent: &mut Unsent) {
        let Some(receiver) = self.hosts.get_mut(host) else { return };
        receiver.in_flight = receiver.in_flight.saturating_sub(1);
        receiver.unanswered = if answered { 0 } else { receiver.unanswered.saturating_add(1) };
        receiver.ended_at = Some(Instant::now());
        if receiver.is_down() {
            self.waiting -= receiver.waiting.len();
            unsent.failed.extend(receiver.waiting.drain(..).map(|(_, delivery)| delivery));
        }
        if receiver.is_idle() && receiver.unanswered == 0 {
            self.hosts.remove(host);
        }
    }

    /// Gives up what was claimed so long ago that its lease would end while it is sent.
    pub(super) fn claimed_before(&mut self, then: Instant, unsent: &mut Unsent) {
        for receiver in self.hosts.values_mut() {
            while receiver.waiting.front().is_some_and(|(claimed_at, _)| *claimed_at < then) {
                unsent.put_off.extend(receiver.waiting.pop_front().map(|(_, delivery)| delivery));
                self.waiting -= 1;
            }
        }
    }

    /// Forgets those that have had nothing to be sent for a long time.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        let fresh = |at: Instant| now.saturating_duration_since(at) < REMEMBERED;
        self.hosts.retain(|_, receiver| !receiver.is_idle() || receiver.ended_at.is_some_and(fresh));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Event, JobId, JobState};
    use crate::store::{DeliveryId, DeliveryToken, JobKey};

    fn delivery(id: i64, host: &str) -> Delivery {
        let event =
            Event { sequence: 1, at_ms: 0, state: JobState::Completed, progress: 100, message: "".into(), error: None };
        Delivery {
            token: DeliveryToken { id: DeliveryId(id), fence: 1 },
            job: JobKey(id),
            job_id: JobId::parse("a").unwrap(),
            owner: String::new(),
            request_id: String::new(),
            url: String::new(),
            host: host.into(),
            event,
            attempts: 0,
        }
    }

    fn take(receivers: &mut Receivers, host: &str, count: usize) -> Unsent {
        let mut unsent = Unsent::default();
        let now = Instant::now();
        for id in 0..count {
            receivers.take(now, delivery(id as i64, host), &mut unsent);
        }
        unsent
    }

    fn in_flight(receivers: &mut Receivers) -> Vec<String> {
        std::iter::from_fn(|| receivers.next()).map(|delivery| delivery.host).collect()
    }

    #[test]
    fn a_receiver_gets_four_at_a_time_and_the_others_their_turn() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 20);
        take(&mut receivers, "good", 2);
        let mut hosts = in_flight(&mut receivers);
        hosts.sort();
        assert_eq!(hosts, ["good", "good", "slow", "slow", "slow", "slow"]);
        receivers.done("slow", true, &mut Unsent::default());
        assert_eq!(in_flight(&mut receivers), ["slow"]);
        assert_eq!(receivers.waiting(), 15);
    }

    #[test]
    fn nothing_is_asked_for_while_there_is_a_line() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 2 * EACH_IN_FLIGHT);
        take(&mut receivers, "good", 2);
        in_flight(&mut receivers);
        assert_eq!(receivers.without_turn(), ["slow"]);
        receivers.done("slow", true, &mut Unsent::default());
        in_flight(&mut receivers);
        assert!(receivers.without_turn().is_empty());
    }

    #[test]
    fn a_receiver_that_is_down_gets_one_at_a_time_until_it_answers() {
        let mut receivers = Receivers::default();
        let mut unsent = Unsent::default();
        take(&mut receivers, "down", 10);
        for _ in 0..DOWN_AFTER {
            assert!(receivers.next().is_some());
            receivers.done("down", false, &mut unsent);
        }
        assert_eq!((unsent.failed.len(), unsent.put_off.len()), (5, 0));
        assert_eq!(receivers.waiting(), 0);
        assert!(receivers.without_turn().is_empty(), "one is to be sent, to see whether it is back");
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 2);
        assert_eq!(in_flight(&mut receivers), ["down"]);
        assert_eq!(receivers.without_turn(), ["down"]);
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 3);
        receivers.done("down", true, &mut unsent);
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 0);
        assert_eq!(in_flight(&mut receivers).len(), 3);
    }

    #[test]
    fn many_that_hang_leave_room_for_those_that_do_not() {
        let mut receivers = Receivers::default();
        for number in 0..100 {
            let host = format!("hanging-{number}");
            take(&mut receivers, &host, 1);
            receivers.next();
            receivers.done(&host, false, &mut Unsent::default());
        }
        for number in 0..100 {
            take(&mut receivers, &format!("hanging-{number}"), 1);
        }
        take(&mut receivers, "good", 3);
        let hosts = in_flight(&mut receivers);
        assert_eq!(hosts.iter().filter(|host| host.starts_with("hanging")).count(), UNANSWERED_IN_FLIGHT);
        assert_eq!(hosts.iter().filter(|host| *host == "good").count(), 3);
    }

    #[test]
    fn what_waits_too_long_goes_back_at_once() {
        let mut receivers = Receivers::default();
        let mut unsent = Unsent::default();
        take(&mut receivers, "slow", 6);
        assert_eq!(in_flight(&mut receivers).len(), 4);
        receivers.claimed_before(Instant::now() + Duration::from_secs(1), &mut unsent);
        assert_eq!((unsent.failed.len(), unsent.put_off.len()), (0, 2));
        assert_eq!(receivers.waiting(), 0);
    }

    #[test]
    fn a_receiver_that_nothing_is_sent_to_is_forgotten() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "silent", 1);
        receivers.next();
        receivers.done("silent", false, &mut Unsent::default());
        receivers.forget_idle(Instant::now());
        assert_eq!(receivers.hosts.len(), 1);
        receivers.forget_idle(Instant::now() + REMEMBERED);
        assert!(receivers.hosts.is_empty());
    }
}
