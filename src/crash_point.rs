//! Named points at which a debug build can be told to die, for the tests of what survives that.
//!
//! `SPINELIFT_CRASH_AT=after_claim` kills the process when that point is reached, `after_claim:3` when it is reached for
//! the third time; `job:ID` kills it whenever that job is begun. Release builds hold none of this.

#[cfg(debug_assertions)]
use std::sync::LazyLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that arms a point.
pub const VARIABLE: &str = "SPINELIFT_CRASH_AT";

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn reached(_point: &str) {}

/// Dies here if the environment says so.
#[cfg(debug_assertions)]
pub fn reached(point: &str) {
    if ARMED.as_ref().is_some_and(|armed| armed.name == point && armed.is_last()) {
        die();
    }
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn job_begun(_id: &str) {}

/// Dies here if the environment names this job.
#[cfg(debug_assertions)]
pub fn job_begun(id: &str) {
    if ARMED.as_ref().is_some_and(|armed| armed.name.strip_prefix(JOB) == Some(id)) {
        die();
    }
}

/// What stands before a job's id, which no number can follow.
#[cfg(debug_assertions)]
const JOB: &str = "job:";

/// The point to die at.
#[cfg(debug_assertions)]
static ARMED: LazyLock<Option<Point>> = LazyLock::new(|| Point::parse(&std::env::var(VARIABLE).ok()?));

#[cfg(debug_assertions)]
struct Point {
    name: String,
    left: AtomicU32,
}

#[cfg(debug_assertions)]
impl Point {
    /// `NAME` or `NAME:COUNT`; anything else is no point.
    fn parse(text: &str) -> Option<Self> {
        let (name, count) = match text.split_once(':') {
            _ if text.starts_with(JOB) => (text, 1),
            Some((name, count)) => (name, count.parse().ok()?),
            None => (text, 1),
        };
        (!name.is_empty() && count > 0).then(|| Self { name: name.to_owned(), left: AtomicU32::new(count) })
    }

    /// Counts down; exactly one call is the last.
    fn is_last(&self) -> bool {
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
    }
}

/// By SIGKILL, from outside: nothing of this process runs afterwards, no destructor and no handler.
#[cfg(debug_assertions)]
fn die() -> ! {
    let kill = format!("kill -9 {}", std::process::id());
    let _ = std::process::Command::new("sh").args(["-c", &kill]).status();
    // Where there is no shell, the nearest thing.
    std::process::abort()
}

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use super::*;

    #[test]
    fn a_point_counts_to_its_number_once() {
        let third = Point::parse("after_claim:3").unwrap();
        assert_eq!([(); 5].map(|()| third.is_last()), [false, false, true, false, false]);
        assert!(Point::parse("after_claim").unwrap().is_last());
        for nonsense in ["", ":", ":3", "a:b", "a:0"] {
            assert!(Point::parse(nonsense).is_none(), "{nonsense}");
        }
    }
}
