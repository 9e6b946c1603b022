//! Who may be called now: a few callbacks at a time to each receiver, so that one that hangs holds up none but itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::slots::{SendId, Slots};
use crate::store::{Delivery, To};

/// Callbacks that are sent to one receiver at a time: enough to keep a connection's latency hidden, few enough for a
/// receiver of one thread. As many in line for it, and no more are asked for.
const EACH_IN_FLIGHT: usize = 4;

/// Failures in a row after which a receiver counts as down: one is sent at a time to see whether it is back, and the
/// others wait.
const DOWN_AFTER: u32 = 5;

/// How long nothing is asked for to a receiver that is down, once others than the one that is sent have come along: each
/// of them costs two writes, and brings nothing.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Callbacks held here at most that wait for a receiver that has answered lately, and as many for all others: what
/// strangers do never keeps out what is for those that are known to be well.
const WAITING: usize = 512;

/// Callbacks that are sent at a time to all receivers together whose last attempt brought no answer, and as many in line
/// for them: a quarter of the slow slots, so that many that are known to hang leave room for those that are new.
const SILENT_IN_FLIGHT: usize = 256;

/// How long a receiver is remembered for whom there is nothing to send.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Most receivers that are remembered; beyond them the one is forgotten for whom there has been nothing to send for the
/// longest time, those last that have answered.
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

/// What an attempt told of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// That it answers.
    Answer,
    /// Nothing, in the short time that progress is given: it is not quick, and need not be down.
    Late,
    /// Nothing.
    Silence,
    /// Nothing, as it was not called.
    Uncalled,
}

/// Whom callbacks are asked for to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    names: Vec<String>,
    only: bool,
}

impl Wanted {
    pub(super) fn to(&self) -> To<'_> {
        if self.only { To::Only(&self.names) } else { To::AllBut(&self.names) }
    }
}

/// Every receiver for whom something is held here, and those that are remembered.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    hosts: HashMap<String, Receiver>,
    /// Those that may be called, of each standing, by the turn of what waits longest for them.
    ready: [BTreeMap<u64, String>; 3],
    /// Those for whom there is nothing to send, as they are to be forgotten: whether proven, when the last attempt ended.
    idle: BTreeSet<(bool, u64, String)>,
    slots: Slots,
    /// How many wait, by standing.
    waiting: [usize; 3],
    silent_in_flight: usize,
    turns: u64,
}

#[derive(Debug, Default)]
struct Receiver {
    in_flight: usize,
    waiting: VecDeque<Waiting>,
    has_answered: bool,
    is_silent: bool,
    failures: u32,
    left_alone_until: Option<Instant>,
    ended_at: Option<Instant>,
    /// Grows with every end.
    ended: u64,
}

#[derive(Debug)]
struct Waiting {
    turn: u64,
    claimed_at: Instant,
    delivery: Delivery,
}

impl Receiver {
    fn standing(&self) -> Standing {
        match (self.is_silent, self.has_answered) {
            (true, _) => Standing::Silent,
            (false, true) => Standing::Proven,
            (false, false) => Standing::New,
        }
    }

    fn is_down(&self) -> bool {
        self.failures >= DOWN_AFTER
    }

    fn hears(&mut self, heard: Heard) {
        match heard {
            Heard::Answer => (self.has_answered, self.is_silent, self.failures) = (true, false, 0),
            Heard::Late => self.is_silent = true,
            Heard::Silence => (self.is_silent, self.failures) = (true, self.failures.saturating_add(1)),
            Heard::Uncalled => {}
        }
    }

    fn may_be_called(&self) -> bool {
        self.in_flight < if self.is_down() { 1 } else { EACH_IN_FLIGHT }
    }

    /// The turn of what waits longest, if it may be sent.
    fn turn(&self) -> Option<u64> {
        self.waiting.front().filter(|_| self.may_be_called()).map(|waiting| waiting.turn)
    }

    /// Whether another callback would only wait here, or be put off.
    fn has_no_turn(&self) -> bool {
        if self.is_down() { self.in_flight + self.waiting.len() > 0 } else { self.waiting.len() >= EACH_IN_FLIGHT }
    }

    fn is_left_alone(&self, now: Instant) -> bool {
        self.is_down() && self.left_alone_until.is_some_and(|until| now < until)
    }

    fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }

    fn idle(&self, host: &str) -> Option<(bool, u64, String)> {
        self.is_idle().then(|| (self.standing() == Standing::Proven, self.ended, host.to_owned()))
    }
}

/// Callbacks that are not sent now.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// To receivers that are down.
    pub(super) down: Vec<Delivery>,
    /// Whose receiver had no turn for them in time; others have nothing to do with it.
    pub(super) put_off: Vec<Delivery>,
}

impl Receivers {
    /// None yet, with as many sends at a time as fit the number of files that may be open.
    pub(super) fn within(open_files: Option<usize>) -> Self {
        Self { slots: Slots::within(open_files), ..Self::default() }
    }

    /// Whether there is room for more to wait here, at least for those that have answered.
    pub(super) fn have_room(&self) -> bool {
        self.waiting[Standing::Proven as usize] < WAITING
    }

    /// Whether too many wait for receivers that have not answered lately.
    pub(super) fn are_crowded(&self) -> bool {
        self.waiting[Standing::New as usize] + self.waiting[Standing::Silent as usize] >= WAITING
    }

    /// Whom callbacks are to be asked for to now. Where too many wait for others, those that have answered alone: nobody
    /// can say whether a receiver that is not known will.
    pub(super) fn wanted(&self, now: Instant) -> Wanted {
        let (only, silent) = (self.are_crowded(), self.waiting[Standing::Silent as usize]);
        let passed_over = |receiver: &Receiver| {
            let is_silent = receiver.standing() == Standing::Silent;
            receiver.has_no_turn() || receiver.is_left_alone(now) || (is_silent && silent >= SILENT_IN_FLIGHT)
        };
        let named = |receiver: &Receiver| match only {
            true => receiver.standing() == Standing::Proven && !passed_over(receiver),
            false => passed_over(receiver),
        };
        let hosts = self.hosts.iter().filter(|(_, receiver)| named(receiver));
        Wanted { names: hosts.map(|(host, _)| host.clone()).collect(), only }
    }

    /// Takes a callback in, unless its receiver is down and has one.
    pub(super) fn take(&mut self, claimed_at: Instant, delivery: Delivery, unsent: &mut Unsent) {
        self.turns += 1;
        let turn = self.turns;
        self.change(&delivery.host.clone(), |receiver| {
            if receiver.is_down() && receiver.has_no_turn() {
                receiver.left_alone_until = Some(claimed_at + LEFT_ALONE);
                unsent.down.push(delivery);
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

    /// An attempt ended. Where it makes the receiver count as down, what waits for it goes back.
    pub(super) fn done(&mut self, id: SendId, host: &str, heard: Heard, unsent: &mut Unsent) {
        self.slots.end(id);
        self.turns += 1;
        let ended = self.turns;
        self.change(host, |receiver| {
            receiver.in_flight = receiver.in_flight.saturating_sub(1);
            receiver.hears(heard);
            (receiver.ended_at, receiver.ended) = (Some(Instant::now()), ended);
            if receiver.is_down() {
                unsent.down.extend(receiver.waiting.drain(..).map(|waiting| waiting.delivery));
            }
        });
        while self.hosts.len() > MOST_REMEMBERED
            && let Some((.., host)) = self.idle.pop_first()
        {
            self.hosts.remove(&host);
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
        let hosts = &mut self.hosts;
        self.idle.retain(|(.., host)| {
            let stays = hosts.get(host).is_some_and(|receiver| receiver.ended_at.is_some_and(fresh));
            if !stays {
                hosts.remove(host);
            }
            stays
        });
    }

    /// Changes a receiver, and counts it anew.
    fn change<T>(&mut self, host: &str, change: impl FnOnce(&mut Receiver) -> T) -> T {
        let mut receiver = self.hosts.remove(host).unwrap_or_default();
        self.waiting[receiver.standing() as usize] -= receiver.waiting.len();
        if receiver.standing() == Standing::Silent {
            self.silent_in_flight -= receiver.in_flight;
        }
        if let Some(idle) = receiver.idle(host) {
            self.idle.remove(&idle);
        }
        if let Some(turn) = receiver.turn() {
            self.ready[receiver.standing() as usize].remove(&turn);
        }
        let changed = change(&mut receiver);
        self.waiting[receiver.standing() as usize] += receiver.waiting.len();
        if receiver.standing() == Standing::Silent {
            self.silent_in_flight += receiver.in_flight;
        }
        self.idle.extend(receiver.idle(host));
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
    fn tried(receivers: &mut Receivers, host: &str, heard: Heard, unsent: &mut Unsent) {
        let (id, delivery) = receivers.next(Instant::now()).unwrap();
        assert_eq!(delivery.host, host);
        receivers.done(id, host, heard, unsent);
    }

    fn waiting(receivers: &Receivers) -> usize {
        receivers.waiting.iter().sum()
    }

    /// Those that nothing is asked for to.
    fn without_turn(receivers: &Receivers) -> Vec<String> {
        let Wanted { names, only } = receivers.wanted(Instant::now());
        assert!(!only);
        names
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
        receivers.done(begun[0].0, "slow", Heard::Answer, &mut Unsent::default());
        assert_eq!(in_flight(&mut receivers), ["slow"]);
        assert_eq!(waiting(&receivers), 15);
    }

    #[test]
    fn nothing_is_asked_for_while_there_is_a_line() {
        let mut receivers = Receivers::default();
        take(&mut receivers, "slow", 2 * EACH_IN_FLIGHT);
        take(&mut receivers, "good", 2);
        let begun = begun(&mut receivers, Instant::now());
        assert_eq!(without_turn(&receivers), ["slow"]);
        receivers.done(begun[0].0, "slow", Heard::Answer, &mut Unsent::default());
        in_flight(&mut receivers);
        assert!(without_turn(&receivers).is_empty());
    }

    #[test]
    fn a_receiver_that_is_down_gets_one_at_a_time_until_it_answers() {
        let mut receivers = Receivers::default();
        let mut unsent = Unsent::default();
        take(&mut receivers, "down", 10);
        for _ in 0..DOWN_AFTER {
            tried(&mut receivers, "down", Heard::Silence, &mut unsent);
        }
        assert_eq!((unsent.down.len(), unsent.put_off.len()), (5, 0));
        assert_eq!(waiting(&receivers), 0);
        assert!(without_turn(&receivers).is_empty(), "one is to be sent, to see whether it is back");
        assert_eq!(take(&mut receivers, "down", 3).down.len(), 2);
        let (id, _) = receivers.next(Instant::now()).unwrap();
        assert!(in_flight(&mut receivers).is_empty());
        assert_eq!(without_turn(&receivers), ["down"]);
        assert_eq!(take(&mut receivers, "down", 3).down.len(), 3);
        receivers.done(id, "down", Heard::Answer, &mut unsent);
        assert_eq!(take(&mut receivers, "down", 3).down.len(), 0);
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
            tried(&mut receivers, &host, Heard::Silence, &mut Unsent::default());
        }
        for number in 0..SILENT_IN_FLIGHT {
            take(&mut receivers, &format!("hanging-{number}"), 1);
        }
        assert_eq!(without_turn(&receivers).len(), 1000, "there are enough of them in line");
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
        assert_eq!((unsent.down.len(), unsent.put_off.len()), (0, 2));
        assert_eq!(waiting(&receivers), 0);
    }

    #[test]
    fn a_receiver_that_nothing_is_sent_to_is_forgotten() {
        let mut receivers = Receivers::default();
        for (host, heard) in [("silent", Heard::Silence), ("well", Heard::Answer)] {
            take(&mut receivers, host, 1);
            tried(&mut receivers, host, heard, &mut Unsent::default());
        }
        receivers.forget_idle(Instant::now());
        assert_eq!(receivers.hosts.len(), 2);
        receivers.forget_idle(Instant::now() + REMEMBERED);
        assert!(receivers.hosts.is_empty() && receivers.idle.is_empty());
    }

    #[test]
    fn of_too_many_the_longest_idle_is_forgotten_and_last_those_that_answered() {
        let mut receivers = Receivers::default();
        let mut end = |host: &str, heard| {
            take(&mut receivers, host, 1);
            tried(&mut receivers, host, heard, &mut Unsent::default());
            receivers.hosts.len()
        };
        end("early", Heard::Answer);
        for number in 0..MOST_REMEMBERED {
            end(&format!("hanging-{number}"), Heard::Silence);
        }
        assert_eq!(end("late", Heard::Answer), MOST_REMEMBERED);
        for (host, is_known) in [("early", true), ("late", true), ("hanging-1", false), ("hanging-2", true)] {
            assert_eq!(receivers.hosts.contains_key(host), is_known, "{host}");
        }
        assert_eq!(receivers.idle.len(), MOST_REMEMBERED);
    }

    #[test]
    fn strangers_that_fill_the_line_keep_out_nobody_that_has_answered() {
        let mut receivers = Receivers::default();
        for (host, heard) in [("well", Heard::Answer), ("gone", Heard::Silence), ("refused", Heard::Uncalled)] {
            take(&mut receivers, host, 1);
            tried(&mut receivers, host, heard, &mut Unsent::default());
        }
        assert_eq!(receivers.hosts["refused"].standing(), Standing::New, "it has not answered");
        for number in 0..WAITING {
            assert!(!receivers.wanted(Instant::now()).only);
            take(&mut receivers, &format!("new-{number}"), 1);
        }
        let wanted = |receivers: &Receivers| receivers.wanted(Instant::now());
        assert_eq!(wanted(&receivers), Wanted { names: vec!["well".into()], only: true });
        assert!(receivers.have_room());
        take(&mut receivers, "well", EACH_IN_FLIGHT);
        assert_eq!(wanted(&receivers).names, Vec::<String>::new());
    }

    #[test]
    fn progress_that_is_answered_late_makes_nobody_count_as_down() {
        let mut receivers = Receivers::default();
        let mut unsent = Unsent::default();
        take(&mut receivers, "slow", 10);
        for _ in 0..DOWN_AFTER {
            tried(&mut receivers, "slow", Heard::Late, &mut unsent);
        }
        assert_eq!((unsent.down.len(), waiting(&receivers)), (0, 5));
        assert_eq!(receivers.hosts["slow"].standing(), Standing::Silent, "its slots are those of strangers");
    }

    #[test]
    fn a_receiver_that_is_down_is_left_alone_for_a_while_where_others_wait() {
        let mut receivers = Receivers::default();
        for _ in 0..DOWN_AFTER {
            take(&mut receivers, "down", 1);
            tried(&mut receivers, "down", Heard::Silence, &mut Unsent::default());
        }
        // A single one that is due is tried at once.
        assert!(without_turn(&receivers).is_empty());
        assert_eq!(take(&mut receivers, "down", 2).down.len(), 1);
        tried(&mut receivers, "down", Heard::Silence, &mut Unsent::default());
        assert_eq!(without_turn(&receivers), ["down"]);
        assert!(receivers.wanted(Instant::now() + LEFT_ALONE).names.is_empty());
        take(&mut receivers, "down", 1);
        tried(&mut receivers, "down", Heard::Answer, &mut Unsent::default());
        assert!(without_turn(&receivers).is_empty(), "it is back");
    }
}
