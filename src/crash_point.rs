//! Named points at which a debug build can be told to die, for the tests of what survives that.
//!
//! `SPINELIFT_CRASH_AT=after_claim` kills the process when that point is reached, `after_claim:3` when it is reached for
//! the third time. Release builds hold none of this.

/// Dies here if the environment says so.
#[cfg(debug_assertions)]
pub fn reached(point: &str) {
    armed::POINT.as_ref().filter(|armed| armed.name == point).inspect(|armed| armed.reached());
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn reached(_point: &str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::process::Command;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The point to die at.
    pub(super) static POINT: LazyLock<Option<Point>> =
        LazyLock::new(|| Point::parse(&std::env::var("SPINELIFT_CRASH_AT").ok()?));

    pub(super) struct Point {
        pub(super) name: String,
        left: AtomicU32,
    }

    impl Point {
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (name, count) = match text.split_once(':') {
                Some((name, count)) => (name, count.parse().ok()?),
                None => (text, 1),
            };
            (!name.is_empty() && count > 0).then(|| Self { name: name.to_owned(), left: AtomicU32::new(count) })
        }

        pub(super) fn reached(&self) {
            if self.is_last() {
                die();
            }
        }

        /// Counts down; exactly one call is the last.
        pub(super) fn is_last(&self) -> bool {
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
        }
    }

    /// By SIGKILL, from outside: nothing of this process runs afterwards, no destructor and no handler.
    fn die() -> ! {
        let kill = format!("kill -9 {}", std::process::id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        // Where there is no shell, the nearest thing.
        std::process::abort()
    }

    #[cfg(test)]
    mod tests {
        use super::Point;

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
}
