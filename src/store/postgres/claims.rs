//! Whose turn it is, and calls that may have claimed jobs without anybody hearing of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What one claim leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    /// The owner who had the last turn.
    after: String,
    /// Calls that failed or were given up: what they claimed, if anything, would stay with nobody until its lease ends, and
    /// count as a death.
    unheard: Vec<(i64, Instant)>,
}

/// A call under way. Dropped without [`heard`](Self::heard), it is one that nobody heard of.
#[derive(Debug)]
pub(super) struct Call<'a> {
    claims: &'a Claims,
    pub(super) number: i64,
    was_heard: bool,
}

impl Claims {
    /// The owner who had the last turn.
    pub(super) fn after(&self) -> String {
        self.lock().after.clone()
    }

    /// A call begins. Its number is random, as all nodes' calls stand in one column.
    pub(super) fn begin(&self) -> Call<'_> {
        let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
        let number = i64::from_ne_bytes((high.rotate_left(32) ^ low).to_ne_bytes());
        Call { claims: self, number, was_heard: false }
    }

    /// Calls whose answers were lost, of which something may still come: one that hangs in its commit claims its jobs only
    /// then. After the time of a lease they are somebody else's anyway.
    pub(super) fn unheard(&self, lease: Duration) -> Vec<i64> {
        let mut left = self.lock();
        left.unheard.retain(|(_, since)| since.elapsed() <= lease);
        left.unheard.iter().map(|(call, _)| *call).collect()
    }

    /// No code that may panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    /// Its answer has come; the last of the owners that it served, if any.
    pub(super) fn heard(mut self, last: Option<&str>) {
        self.was_heard = true;
        if let Some(owner) = last {
            owner.clone_into(&mut self.claims.lock().after);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.was_heard {
            self.claims.lock().unheard.push((self.number, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_dropped_is_remembered_for_the_time_of_a_lease() {
        let claims = Claims::default();
        let number = claims.begin().number;
        claims.begin().heard(Some("acme"));
        let lease = Duration::from_secs(30);
        assert_eq!((claims.unheard(lease), claims.after().as_str()), (vec![number], "acme"));
        claims.begin().heard(None);
        assert_eq!(claims.after(), "acme");
        std::thread::sleep(Duration::from_millis(2));
        assert!(claims.unheard(Duration::ZERO).is_empty());
    }

    #[test]
    fn calls_have_numbers_of_their_own() {
        let claims = Claims::default();
        let numbers: std::collections::HashSet<i64> = (0..1000).map(|_| claims.begin().number).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
