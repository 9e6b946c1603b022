//! How many requests a key may make in a time, and how many it has left.
//!
//! A bucket holds a quota of requests and fills evenly, the whole quota in one window. That is the generic cell rate
//! algorithm: all there is to keep is the moment at which the bucket is full again.

use core::time::Duration;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Most requests of a rate.
const MOST: u32 = 1_000_000;

/// Longest window, s: a day.
const LONGEST: u32 = 86_400;

/// So many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    quota: u32,
    window_s: u32,
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not requests and a time, such as 600/60s, 10/1s or 5000/1h; at most 1000000 requests and 24 hours")]
pub struct InvalidRate(String);

impl Rate {
    /// `quota` requests, 1 to 1,000,000, in `window_s` seconds, 1 to 86,400.
    #[must_use]
    pub fn new(quota: u32, window_s: u32) -> Option<Self> {
        ((1..=MOST).contains(&quota) && (1..=LONGEST).contains(&window_s)).then_some(Self { quota, window_s })
    }

    /// Requests.
    #[must_use]
    pub fn quota(self) -> u32 {
        self.quota
    }

    /// In so many seconds.
    #[must_use]
    pub fn window_s(self) -> u32 {
        self.window_s
    }

    /// What one request takes, ns; at least 1,000.
    fn interval(self) -> u64 {
        u64::from(self.window_s) * 1_000_000_000 / u64::from(self.quota)
    }

    /// What a full bucket holds, ns.
    fn whole(self) -> u64 {
        self.interval() * u64::from(self.quota)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.quota, self.window_s)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    /// `600/60s`, `600/1m`, `5000/1h`.
    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let read = || {
            let (quota, window) = text.split_once('/')?;
            let (number, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
            Self::new(digits(quota)?, digits(number)?.checked_mul(seconds)?)
        };
        read().ok_or_else(|| InvalidRate(text.chars().take(40).collect()))
    }
}

/// The limit that a key has of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit {
    /// None: that of the settings holds.
    #[default]
    Usual,
    /// It may make as many requests as it likes.
    Unlimited,
    /// This one.
    Own(Rate),
}

impl Limit {
    /// The rate that holds, if any, where `usual` is that of the settings.
    #[must_use]
    pub fn over(self, usual: Option<Rate>) -> Option<Rate> {
        match self {
            Self::Usual => usual,
            Self::Unlimited => None,
            Self::Own(rate) => Some(rate),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::Unlimited => f.write_str("none"),
            Self::Own(rate) => write!(f, "{rate}"),
        }
    }
}

/// What is left of a rate. Begins full. Times are ns since a moment that its owner has chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at: u64,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Requests that may be made now.
    pub requests: u32,
    /// When it is full, from now.
    pub full_in: Duration,
}

impl Bucket {
    /// Takes so many requests, or says how long to wait until they can be taken; then nothing is taken.
    ///
    /// More than a whole quota is let in by a full bucket, and paid for afterwards: it could never come otherwise.
    ///
    /// # Errors
    /// The wait; above zero.
    pub fn take(&mut self, rate: Rate, now: u64, requests: u32) -> Result<(), Duration> {
        let wait = self.wait(rate, now, requests.min(rate.quota));
        if wait > 0 {
            return Err(Duration::from_nanos(wait));
        }
        self.add(rate, now, requests);
        Ok(())
    }

    /// Takes so many more for a request that was let in as one and turns out to stand for several.
    ///
    /// With its first it may be more than a whole quota, as above: then nothing but that first may be taken.
    ///
    /// # Errors
    /// The wait until the request, come anew, can have its first and these; above zero.
    pub fn take_more(&mut self, rate: Rate, now: u64, requests: u32) -> Result<(), Duration> {
        let wait = self.wait(rate, now, requests.min(rate.quota - 1));
        if wait > 0 {
            return Err(Duration::from_nanos(wait.saturating_add(rate.interval())));
        }
        self.add(rate, now, requests);
        Ok(())
    }

    /// How long until so many can be taken, ns.
    fn wait(self, rate: Rate, now: u64, requests: u32) -> u64 {
        let needed = rate.interval() * u64::from(requests);
        self.full_at.saturating_sub(now).saturating_add(needed).saturating_sub(rate.whole())
    }

    fn add(&mut self, rate: Rate, now: u64, requests: u32) {
        let taken = rate.interval().saturating_mul(u64::from(requests));
        self.full_at = self.full_at.max(now).saturating_add(taken);
    }

    /// What it holds now.
    #[must_use]
    pub fn left(&self, rate: Rate, now: u64) -> Left {
        let missing = self.full_at.saturating_sub(now);
        let requests = rate.whole().saturating_sub(missing) / rate.interval();
        Left { requests: u32::try_from(requests).unwrap_or(u32::MAX), full_in: Duration::from_nanos(missing) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, quota, window_s) in
            [("600/60s", 600, 60), ("1/1s", 1, 1), ("10/2m", 10, 120), ("1000000/24h", MOST, LONGEST)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.quota, rate.window_s), (quota, window_s), "{text}");
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for bad in [
            "",
            "600",
            "600/",
            "600/60",
            "/60s",
            "0/60s",
            "600/0s",
            "-1/60s",
            "+1/60s",
            "1.5/1s",
            "1000001/1s",
            "1/25h",
            "1/s",
            "600/60ä",
            "1/4294967295h",
            "600 /60s",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_quota_may_be_used_at_once_and_comes_back_evenly() {
        let rate: Rate = "10/5s".parse().unwrap();
        let mut bucket = Bucket::default();
        assert_eq!(bucket.left(rate, 0), Left { requests: 10, full_in: Duration::ZERO });
        for _ in 0..10 {
            bucket.take(rate, 0, 1).unwrap();
        }
        assert_eq!(bucket.left(rate, 0), Left { requests: 0, full_in: Duration::from_secs(5) });
        assert_eq!(bucket.take(rate, 0, 1), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(rate, SECOND / 4, 1), Err(Duration::from_millis(250)));
        assert_eq!(bucket.take(rate, SECOND / 2, 1), Ok(()));
        assert_eq!(bucket.left(rate, 3 * SECOND), Left { requests: 5, full_in: Duration::from_millis(2500) });
        // It holds no more than its quota, however long nobody asked.
        assert_eq!(bucket.left(rate, 3600 * SECOND).requests, 10);
    }

    #[test]
    fn many_at_once_count_as_many() {
        let rate: Rate = "10/10s".parse().unwrap();
        let mut bucket = Bucket::default();
        bucket.take(rate, 0, 7).unwrap();
        assert_eq!(bucket.take(rate, 0, 4), Err(Duration::from_secs(1)));
        bucket.take(rate, 0, 3).unwrap();
    }

    #[test]
    fn more_than_a_quota_is_let_in_when_nothing_is_taken_and_paid_for_afterwards() {
        let rate: Rate = "10/10s".parse().unwrap();
        let mut bucket = Bucket::default();
        bucket.take(rate, 0, 1).unwrap();
        assert_eq!(bucket.take(rate, 0, 25), Err(Duration::from_secs(1)));
        bucket.take(rate, SECOND, 25).unwrap();
        assert_eq!(bucket.left(rate, SECOND).requests, 0);
        assert_eq!(bucket.take(rate, SECOND, 1), Err(Duration::from_secs(16)));
        bucket.take(rate, 17 * SECOND, 1).unwrap();
    }

    #[test]
    fn a_request_that_stands_for_more_than_a_quota_is_let_in_beside_its_own_first() {
        for (quota, more) in [("10/10s", 24), ("10/10s", 10), ("10/10s", 9), ("1/1s", 5)] {
            let rate: Rate = quota.parse().unwrap();
            let mut bucket = Bucket::default();
            bucket.take(rate, 0, 1).unwrap();
            bucket.take_more(rate, 0, more).unwrap();
            // All of it is paid for: one more comes in when the surplus has been made up for.
            let wait = u64::from(more + 2 - rate.quota);
            assert_eq!(bucket.take(rate, 0, 1), Err(Duration::from_secs(wait)), "{quota} {more}");
        }
    }

    #[test]
    fn who_waits_as_long_as_was_said_is_let_in_with_all_that_it_stands_for() {
        let rate: Rate = "10/10s".parse().unwrap();
        for (used, more) in [(1, 24), (1, 9), (9, 9), (5, 5), (9, 1)] {
            let mut bucket = Bucket::default();
            bucket.take(rate, 0, used).unwrap();
            bucket.take(rate, 0, 1).unwrap();
            let wait = bucket.take_more(rate, 0, more).unwrap_err();
            let anew = u64::try_from(wait.as_nanos()).unwrap();
            let mut early = bucket;
            early.take(rate, anew - 1, 1).unwrap();
            assert!(early.take_more(rate, anew - 1, more).is_err(), "{used} {more}");
            bucket.take(rate, anew, 1).unwrap();
            assert_eq!(bucket.take_more(rate, anew, more), Ok(()), "{used} {more}");
        }
    }

    proptest! {
        /// Whoever comes when they please: never more than a quota and what has come back since.
        #[test]
        fn no_more_than_the_rate_is_let_in(
            quota in 1_u32..50, window_s in 1_u32..20, asks in prop::collection::vec((0_u64..3 * SECOND, 1_u32..5), 1..200)
        ) {
            let rate = Rate::new(quota, window_s).unwrap();
            let (mut bucket, mut now, mut taken) = (Bucket::default(), 0, 0);
            for (pause, requests) in asks {
                let requests = requests.min(quota);
                now += pause;
                match bucket.take(rate, now, requests) {
                    Ok(()) => taken += u64::from(requests),
                    Err(wait) => {
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0 && wait <= rate.whole());
                        prop_assert!(bucket.clone().take(rate, now + wait - 1, requests).is_err());
                        prop_assert!(bucket.clone().take(rate, now + wait, requests).is_ok());
                    }
                }
                prop_assert!(taken <= u64::from(quota) + now / rate.interval());
            }
        }
    }
}
