//! How many callbacks are sent at a time: few that have just begun, many that wait for an answer.
//!
//! A receiver that is well answers within milliseconds, one that hangs takes its whole timeout. Were both counted alike,
//! as many that hang as there are slots would stop all others for that long. So a send that is not answered at once
//! leaves the few quick slots for one of the many slow ones, which cost a connection each and no more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sends that have just begun: what keeps two cores busy with signatures and handshakes.
const QUICK: usize = 64;

/// Of these, kept for receivers that have answered lately: what strangers do never stops those that are known to be well.
const KEPT_FOR_PROVEN: usize = 16;

/// Sends that wait for an answer, at most: a connection each, and a few KiB.
const SLOW: usize = 1024;

/// Open files with which there are as many slots as there can be.
pub const FILES_FOR_CALLBACKS: usize = SLOW * PART_OF_FILES;

/// Of the files that the process may have open, the part that such sends may take: a limit of 1024, as a shell has it,
/// must leave enough for callers' connections.
const PART_OF_FILES: usize = 4;

/// How long a send counts as having just begun: 48 new receivers in 20 ms are 2,400 a second, so a thousand that hang
/// hold up those behind them by less than half a second.
const PATIENCE: Duration = Duration::from_millis(20);

/// Names a send that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendId(u64);

/// The sends that are under way.
#[derive(Debug)]
pub(super) struct Slots {
    /// In the order in which they began.
    quick: VecDeque<Quick>,
    slow: usize,
    most_slow: usize,
    next: u64,
}

impl Default for Slots {
    fn default() -> Self {
        Self::within(None)
    }
}

#[derive(Debug)]
struct Quick {
    id: SendId,
    began: Instant,
    is_proven: bool,
}

impl Slots {
    /// As many as fit the number of files that may be open, if it is known.
    pub(super) fn within(open_files: Option<usize>) -> Self {
        let most_slow = open_files.map_or(SLOW, |files| SLOW.min(files / PART_OF_FILES));
        Self { quick: VecDeque::new(), slow: 0, most_slow, next: 0 }
    }

    /// Whether another may begin, to a receiver that has answered lately or to one that has not.
    pub(super) fn has_room(&self, is_proven: bool) -> bool {
        let unproven = self.quick.iter().filter(|quick| !quick.is_proven).count();
        self.quick.len() < QUICK && (is_proven || unproven < QUICK - KEPT_FOR_PROVEN)
    }

    /// Another begins.
    pub(super) fn begin(&mut self, now: Instant, is_proven: bool) -> SendId {
        let id = SendId(self.next);
        self.next += 1;
        self.quick.push_back(Quick { id, began: now, is_proven });
        id
    }

    /// One has ended.
    pub(super) fn end(&mut self, id: SendId) {
        match self.quick.iter().position(|quick| quick.id == id) {
            Some(at) => drop(self.quick.remove(at)),
            None => self.slow = self.slow.saturating_sub(1),
        }
    }

    /// Moves those that are not answered at once to the slow slots, while there are any.
    pub(super) fn age(&mut self, now: Instant) {
        while self.frees_at().is_some_and(|at| at <= now) {
            self.quick.pop_front();
            self.slow += 1;
        }
    }

    /// When the next one can be moved.
    pub(super) fn frees_at(&self) -> Option<Instant> {
        self.quick.front().filter(|_| self.slow < self.most_slow).map(|quick| quick.began + PATIENCE)
    }
}

/// How many files this process may have open, where the system says so in a file.
pub(super) fn most_open_files() -> Option<usize> {
    read_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit, the first number of its line; one that is not a number is no limit.
fn read_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins as many as there is room for.
    fn fill(slots: &mut Slots, now: Instant, is_proven: bool) -> Vec<SendId> {
        let mut ids = Vec::new();
        while slots.has_room(is_proven) {
            ids.push(slots.begin(now, is_proven));
        }
        ids
    }

    #[test]
    fn a_send_that_hangs_makes_room_for_another() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        assert_eq!(fill(&mut slots, now, false).len(), QUICK - KEPT_FOR_PROVEN);
        assert_eq!(slots.frees_at(), Some(now + PATIENCE));
        slots.age(now + PATIENCE / 2);
        assert!(!slots.has_room(false));
        slots.age(now + PATIENCE);
        assert_eq!(slots.slow, QUICK - KEPT_FOR_PROVEN);
        assert_eq!(fill(&mut slots, now + PATIENCE, false).len(), QUICK - KEPT_FOR_PROVEN);
    }

    #[test]
    fn when_all_hang_those_that_answered_lately_still_have_their_slots() {
        let (mut slots, mut now) = (Slots::default(), Instant::now());
        while slots.slow < SLOW {
            fill(&mut slots, now, false);
            now += PATIENCE;
            slots.age(now);
        }
        fill(&mut slots, now, false);
        slots.age(now + PATIENCE);
        assert!(!slots.has_room(false));
        assert_eq!((slots.slow, slots.frees_at()), (SLOW, None));
        let proven = fill(&mut slots, now, true);
        assert!(proven.len() >= KEPT_FOR_PROVEN);
        slots.end(proven[0]);
        assert!(slots.has_room(true));
    }

    #[test]
    fn an_end_frees_the_slot_that_the_send_is_in() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        let (slow, quick) = (slots.begin(now, true), slots.begin(now + PATIENCE, true));
        slots.age(now + PATIENCE);
        assert_eq!((slots.slow, slots.quick.len()), (1, 1));
        slots.end(slow);
        assert_eq!((slots.slow, slots.quick.len()), (0, 1));
        slots.end(quick);
        assert_eq!((slots.slow, slots.quick.len()), (0, 0));
    }

    #[test]
    fn a_process_that_may_open_few_files_keeps_most_of_them() {
        let limits = "Limit          Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(read_limit(limits), Some(1024));
        assert_eq!(read_limit(&limits.replace("1024", "unlimited")), None);
        assert_eq!(read_limit(""), None);
        assert_eq!(Slots::within(Some(1024)).most_slow, 256);
        assert_eq!(Slots::within(Some(65_536)).most_slow, SLOW);
        assert_eq!(Slots::within(None).most_slow, SLOW);
    }
}
