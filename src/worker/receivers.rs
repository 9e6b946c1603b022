//! Who may be called now: a few callbacks at a time to each receiver, so that one that hangs holds up none but itself.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::slots::{SendId, Slots};
use crate::store::Delivery;

/// Callbacks that are sent to one receiver at a time: enough to keep a connection's latency hidden, few enough for a
/// receiver of one thread. As many in line for it, and no more are asked for.
const EACH_IN_FLIGHT: usize = 4;

/// Attempts in a row that brought no answer, after which a receiver counts as down: one is sent at a time to see whether
/// it is back, and the others fail unsent.
const DOWN_AFTER: u32 = 5;

/// Callbacks that are sent at a time to all receivers together whose last attempt brought no answer, and as many in line
/// for them: a quarter of the slow slots, so that many that are known to hang leave room for those that are new.
const SILENT_IN_FLIGHT: usize = 256;

/// How long a receiver is remembered for whom there is nothing to send.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Most receivers that are remembered; beyond them one is forgotten as soon as there is nothing to send.
const MOST_REMEMBERED: usize = 10_000;

/// What is known of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has answered the last attempt.
    Proven,
    /// No attempt has ended yet.
    New,
    /// The last attempt brought no answer.
    Silent,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Proven, Self::New, Self::Silent];
}

/// Every receiver for whom something is held here, and those that are remembered.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    hosts: HashMap<String, Receiver>,
    /// Those that may be called, of each standing, by the turn of what waits longest for them.
    ready: [BTreeMap<u64, String>; 3],
    slots: Slots,
    waiting: usize,
    silent_in_flight: usize,
    silent_waiting: usize,
    turns: u64,
}

#[derive(Debug, Default)]
struct Receiver {
    in_flight: usize,
    waiting: VecDeque<Waiting>,
    has_answered: bool,
    unanswered: u32,
    ended_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    turn: u64,
    claimed_at: Instant,
    delivery: Delivery,
}

impl Receiver {
    fn standing(&self) -> Standing {
        match (self.unanswered, self.has_answered) {
            (0, true) => Standing::Proven,
            (0, false) => Standing::New,
            _ => Standing::Silent,
        }
    }

    fn is_down(&self) -> bool {
        self.unanswered >= DOWN_AFTER
    }

    fn may_be_called(&self) -> bool {
        self.in_flight < if self.is_down() { 1 } else { EACH_IN_FLIGHT }
    }

    /// The turn of what waits longest, if it may be sent.
    fn turn(&self) -> Option<u64> {
        self.waiting.front().filter(|_| self.may_be_called()).map(|waiting| waiting.turn)
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
    /// None yet, with as many sends at a time as fit the number of files that may be open.
    pub(super) fn within(open_files: Option<usize>) -> Self {
        Self { slots: Slots::within(open_files), ..Self::default() }
    }

    /// How many are held here and not sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Those for whom nothing is to be asked for now.
    pub(super) fn without_turn(&self) -> Vec<String> {
        let silent_are_many = self.silent_waiting >= SILENT_IN_FLIGHT;
        let passed_over = |receiver: &Receiver| {
            receiver.has_no_turn() || (silent_are_many && receiver.standing() == Standing::Silent)
        };
        let hosts = self.hosts.iter().filter(|(_, receiver)| passed_over(receiver));
        hosts.map(|(host, _)| host.clone()).collect()
    }

    /// Takes a callback in, unless its receiver is down.
    pub(super) fn take(&mut self, claimed_at: Instant, delivery: Delivery, unsent: &mut Unsent) {
        self.turns += 1;
        let turn = self.turns;
        self.change(&delivery.host.clone(), |receiver| {
            if receiver.is_down() && receiver.has_no_turn() {
                unsent.failed.push(delivery);
            } else {
                receiver.waiting.push_back(Waiting { turn, claimed_at, delivery });
            }
        });
    }

    /// The callback that has waited longest among those whose receiver may be called.
    pub(super) fn next(&mut self, now: Instant) -> Option<(SendId, Delivery)> {
        self.slots.age(now);
        let may = |standing: &Standing| match standing {
            Standing::Proven => self.slots.has_room(true),
            Standing::New => self.slots.has_room(false),
            Standing::Silent => self.slots.has_room(false) && self.silent_in_flight < SILENT_IN_FLIGHT,
        };
        let first = Standing::ALL.into_iter().filter(may).filter_map(|standing| {
            let (turn, host) = self.ready[standing as usize].first_key_value()?;
            Some((*turn, standing, host.clone()))
        });
        let (_, standing, host) = first.min_by_key(|(turn, ..)| *turn)?;
        let waiting = self.change(&host, |receiver| {
            receiver.in_flight += 1;
            receiver.waiting.pop_front()
        });
        Some((self.slots.begin(now, standing == Standing::Proven), waiting?.delivery))
    }

    /// When there will be room for what could be sent but for want of it.
    pub(super) fn room_at(&self) -> Option<Instant> {
        let is_any_ready = self.ready.iter().any(|ready| !ready.is_empty());
        self.slots.frees_at().filter(|_| is_any_ready)
    }

    /// An attempt ended. Where it makes the receiver count as down, what waits for it fails.
    pub(super) fn done(&mut self, id: SendId, host: &str, answered: bool, unsent: &mut Unsent) {
        self.slots.end(id);
        self.change(host, |receiver| {
            receiver.in_flight = receiver.in_flight.saturating_sub(1);
            receiver.has_answered = answered;
            receiver.unanswered = if answered { 0 } else { receiver.unanswered.saturating_add(1) };
            receiver.ended_at = Some(Instant::now());
            if receiver.is_down() {
                unsent.failed.extend(receiver.waiting.drain(..).map(|waiting| waiting.delivery));
            }
        });
        if self.hosts.len() > MOST_REMEMBERED && self.hosts.get(host).is_some_and(Receiver::is_idle) {
            self.hosts.remove(host);
        }
    }

    /// Gives up what was claimed so long ago that its lease would end while it is sent.
    pub(super) fn claimed_before(&mut self, then: Instant, unsent: &mut Unsent) {
        let is_late = |receiver: &Receiver| receiver.waiting.front().is_some_and(|first| first.claimed_at < then);
        let late: Vec<String> =
            self.hosts.iter().filter(|(_, receiver)| is_late(receiver)).map(|(host, _)| host.clone()).collect();
        for host in late {
            self.change(&host, |receiver| {
                while is_late(receiver) {
                    unsent.put_off.extend(receiver.waiting.pop_front().map(|waiting| waiting.delivery));
                }
            });
        }
    }

    /// Forgets those that have had nothing to be sent for a long time.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        let fresh = |at: Instant| now.saturating_duration_since(at) < REMEMBERED;
        self.hosts.retain(|_, receiver| !receiver.is_idle() || receiver.ended_at.is_some_and(fresh));
    }

    /// Changes a receiver, and counts it anew.
    fn change<T>(&mut self, host: &str, change: impl FnOnce(&mut Receiver) -> T) -> T {
        let mut receiver = self.hosts.remove(host).unwrap_or_default();
        self.waiting -= receiver.waiting.len();
        if receiver.standing() == Standing::Silent {
            self.silent_in_flight -= receiver.in_flight;
            self.silent_waiting -= receiver.waiting.len();
        }
        if let Some(turn) = receiver.turn() {
            self.ready[receiver.standing() as usize].remove(&turn);
        }
        let changed = change(&mut receiver);
        self.waiting += receiver.waiting.len();
        if receiver.standing() == Standing::Silent {
            self.silent_in_flight += receiver.in_flight;
            self.silent_waiting += receiver.waiting.len();
        }
        if let Some(turn) = receiver.turn() {
            self.ready[receiver.standing() as usize].insert(turn, host.to_owned());
        }
        self.hosts.insert(host.to_owned(), receiver);
        changed
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

    /// Whom everything that may be sent now goes to.
    fn in_flight(receivers: &mut Receivers) -> Vec<String> {
        begun(receivers, Instant::now()).into_iter().map(|(_, host)| host).collect()
    }

    fn begun(receivers: &mut Receivers, now: Instant) -> Vec<(SendId, String)> {
        std::iter::from_fn(|| receivers.next(now)).map(|(id, delivery)| (id, delivery.host)).collect()
    }

    /// One attempt, begun and ended.
    fn tried(receivers: &mut Receivers, host: &str, answered: bool, unsent: &mut Unsent) {
        let (id, delivery) = receivers.next(Instant::now()).unwrap();
        assert_eq!(delivery.host, host);
        receivers.done(id, host, answered, unsent);
    }

    #[test]
    fn a_receiver_gets_four_at_a_time_and_the_others_their_turn() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 20);
        take(&mut receivers, "good", 2);
        let begun = begun(&mut receivers, Instant::now());
        let mut hosts: Vec<&str> = begun.iter().map(|(_, host)| host.as_str()).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, ["good", "good", "slow", "slow", "slow", "slow"]);
        receivers.done(begun[0].0, "slow", true, &mut Unsent::default());
        assert_eq!(in_flight(&mut receivers), ["slow"]);
        assert_eq!(receivers.waiting(), 15);
    }

    #[test]
    fn nothing_is_asked_for_while_there_is_a_line() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 2 * EACH_IN_FLIGHT);
        take(&mut receivers, "good", 2);
        let begun = begun(&mut receivers, Instant::now());
        assert_eq!(receivers.without_turn(), ["slow"]);
        receivers.done(begun[0].0, "slow", true, &mut Unsent::default());
        in_flight(&mut receivers);
        assert!(receivers.without_turn().is_empty());
    }

    #[test]
    fn a_receiver_that_is_down_gets_one_at_a_time_until_it_answers() {
        let mut receivers = Receivers::default();
        let mut unsent = Unsent::default();
        take(&mut receivers, "down", 10);
        for _ in 0..DOWN_AFTER {
            tried(&mut receivers, "down", false, &mut unsent);
        }
        assert_eq!((unsent.failed.len(), unsent.put_off.len()), (5, 0));
        assert_eq!(receivers.waiting(), 0);
        assert!(receivers.without_turn().is_empty(), "one is to be sent, to see whether it is back");
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 2);
        let (id, _) = receivers.next(Instant::now()).unwrap();
        assert!(in_flight(&mut receivers).is_empty());
        assert_eq!(receivers.without_turn(), ["down"]);
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 3);
        receivers.done(id, "down", true, &mut unsent);
        assert_eq!(take(&mut receivers, "down", 3).failed.len(), 0);
        assert_eq!(in_flight(&mut receivers).len(), 3);
    }

    #[test]
    fn a_thousand_that_hang_hold_up_a_new_one_by_less_than_half_a_second() {
        let (mut receivers, began) = (Receivers::default(), Instant::now());
        for number in 0..1000 {
            take(&mut receivers, &format!("hanging-{number}"), 1);
        }
        take(&mut receivers, "good", 1);
        let (mut now, mut sent) = (began, Vec::new());
        while !sent.contains(&"good".to_owned()) {
            sent.extend(begun(&mut receivers, now).into_iter().map(|(_, host)| host));
            now = receivers.room_at().unwrap_or(now);
        }
        assert_eq!(sent.len(), 1001);
        assert!(now - began < Duration::from_millis(500), "{:?}", now - began);
    }

    #[test]
    fn many_that_are_known_to_hang_leave_room_for_those_that_are_new() {
        let (mut receivers, mut now) = (Receivers::default(), Instant::now());
        for number in 0..1000 {
            let host = format!("hanging-{number}");
            take(&mut receivers, &host, 1);
            tried(&mut receivers, &host, false, &mut Unsent::default());
        }
        for number in 0..1000 {
            take(&mut receivers, &format!("hanging-{number}"), 1);
        }
        assert_eq!(receivers.without_turn().len(), 1000, "there are enough of them in line");
        take(&mut receivers, "new", 3);
        let mut sent = Vec::new();
        for _ in 0..100 {
            sent.extend(begun(&mut receivers, now).into_iter().map(|(_, host)| host));
            now += Duration::from_millis(20);
        }
        assert_eq!(sent.iter().filter(|host| host.starts_with("hanging")).count(), SILENT_IN_FLIGHT);
        assert_eq!(sent.iter().filter(|host| *host == "new").count(), 3);
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
        for (host, answers) in [("silent", false), ("well", true)] {
            take(&mut receivers, host, 1);
            tried(&mut receivers, host, answers, &mut Unsent::default());
        }
        receivers.forget_idle(Instant::now());
        assert_eq!(receivers.hosts.len(), 2);
        receivers.forget_idle(Instant::now() + REMEMBERED);
        assert!(receivers.hosts.is_empty());
    }
}
