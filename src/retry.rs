//! When to try again: backoff of jobs and callbacks, as data, with jitter that is a function of what is retried.
//!
//! Equal arguments give equal delays, so a test can tell a schedule and a restart does not change one.

use core::time::Duration;

/// How often a job is begun before a passing failure becomes final. 2, 4, 8 and 16 s lie between: enough for a server
/// that restarts, and the caller knows within minutes, five slow fetches included.
pub const JOB_TRIES: u32 = 5;

/// How often a job is begun while what the service itself stands on, its storage or database, cannot be used: with waits
/// of up to a minute for over an hour and a half. The job can do nothing for it, and its caller was promised an end.
pub const OUTAGE_TRIES: u32 = 100;

/// Longest wait between two attempts of a job during an outage, s: as long as it may then go on for longer than need be.
const LONGEST_OUTAGE_BACKOFF_S: u64 = 60;

/// Longest wait between two attempts of a job, s; out of reach with five tries, binding if somebody raises them.
const LONGEST_JOB_BACKOFF_S: u64 = 600;

/// Longest wait that a source may ask for by Retry-After, s: a job is not parked for longer than this by a stranger.
const LONGEST_ASKED_BY_SOURCE_S: u64 = 3600;

/// Waits before the attempts to deliver a final event, s, from Standard Webhooks: now, then over three days.
const FINAL_CALLBACK_S: [u64; 10] = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Waits before the attempts to deliver a progress event, s. More would tell of what is long past.
const PROGRESS_CALLBACK_S: [u64; 2] = [0, 1];

/// Longest wait that a receiver may ask for by Retry-After, s: the longest step of its schedule.
const LONGEST_ASKED_BY_RECEIVER_S: u64 = 86_400;

/// Widest deviation from a schedule, thousandths: what failed together is spread out, and nobody waits much longer.
const JITTER_THOUSANDTHS: u64 = 200;

/// How long a job waits after its `attempt`-th attempt (1 for the first) failed for a passing reason; `None` if that was
/// the last. `asked` is the source's Retry-After, which makes the wait longer but never shorter.
#[must_use]
pub fn job_backoff(job: &str, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
    if attempt >= JOB_TRIES {
        return None;
    }
    let doublings = attempt.saturating_sub(1).min(16);
    let base = (2_u64 << doublings).min(LONGEST_JOB_BACKOFF_S);
    Some(obeying(asked, LONGEST_ASKED_BY_SOURCE_S, jittered(base, job, attempt)))
}

/// The same where not the job failed but what the service stands on.
#[must_use]
pub fn outage_backoff(job: &str, attempt: u32) -> Option<Duration> {
    let doublings = attempt.saturating_sub(1).min(16);
    let base = (2_u64 << doublings).min(LONGEST_OUTAGE_BACKOFF_S);
    (attempt < OUTAGE_TRIES).then(|| jittered(base, job, attempt))
}

/// How long a callback waits after `attempts` attempts to deliver it; `None` if that was the last. `asked` is the
/// receiver's Retry-After.
#[must_use]
pub fn callback_backoff(message: &str, is_final: bool, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
    let schedule = if is_final { &FINAL_CALLBACK_S[..] } else { &PROGRESS_CALLBACK_S[..] };
    let base = *schedule.get(usize::try_from(attempts).ok()?)?;
    Some(obeying(asked, LONGEST_ASKED_BY_RECEIVER_S, jittered(base, message, attempts)))
}

/// The longer of our wait and the one asked for, within bounds.
fn obeying(asked: Option<Duration>, longest_s: u64, ours: Duration) -> Duration {
    let asked = asked.unwrap_or_default().min(Duration::from_secs(longest_s));
    ours.max(asked)
}

/// The wait, off by up to 20 % either way.
fn jittered(base_s: u64, name: &str, attempt: u32) -> Duration {
    let span = 2 * JITTER_THOUSANDTHS + 1;
    let thousandths = 1000 - JITTER_THOUSANDTHS + digest(name, attempt) % span;
    Duration::from_millis(base_s * thousandths)
}

/// FNV-1a with the finish of SplitMix64, since FNV alone leaves the low bits of similar names alike.
fn digest(name: &str, attempt: u32) -> u64 {
    let bytes = name.bytes().chain(attempt.to_le_bytes());
    let folded = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (folded ^ (folded >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(delay: Duration, base_s: f64) -> bool {
        (base_s * 0.8..=base_s * 1.2).contains(&delay.as_secs_f64())
    }

    #[test]
    fn a_job_waits_twice_as_long_each_time_and_is_tried_five_times() {
        for (attempt, base_s) in [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0)] {
            let delay = job_backoff("job", attempt, None).unwrap();
            assert!(within(delay, base_s), "{attempt}: {delay:?}");
        }
        assert_eq!(job_backoff("job", 5, None), None);
        assert_eq!(job_backoff("job", u32::MAX, Some(Duration::from_secs(1))), None);
    }

    #[test]
    fn a_final_event_is_tried_ten_times_over_days() {
        let waits: Vec<f64> = (1..)
            .map_while(|attempts| callback_backoff("msg", true, attempts, None))
            .map(|d| d.as_secs_f64())
            .collect();
        assert_eq!(waits.len(), 9);
        assert!(waits.iter().zip(&FINAL_CALLBACK_S[1..]).all(|(wait, base)| (wait / *base as f64 - 1.0).abs() <= 0.2));
        assert_eq!(callback_backoff("msg", true, 0, None), Some(Duration::ZERO));
    }

    #[test]
    fn progress_is_tried_twice() {
        assert!(callback_backoff("msg", false, 1, None).is_some());
        assert_eq!(callback_backoff("msg", false, 2, None), None);
    }

    #[test]
    fn delays_spread_but_are_the_same_when_asked_again() {
        let delays: Vec<_> = (0..1000).map(|n| job_backoff(&format!("job-{n}"), 4, None).unwrap()).collect();
        let again: Vec<_> = (0..1000).map(|n| job_backoff(&format!("job-{n}"), 4, None).unwrap()).collect();
        assert_eq!(delays, again);
        assert!(delays.iter().all(|delay| within(*delay, 16.0)));
        let mean = delays.iter().map(Duration::as_secs_f64).sum::<f64>() / 1000.0;
        assert!((mean - 16.0).abs() < 0.2, "{mean}");
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(least.as_secs_f64() < 13.0 && most.as_secs_f64() > 19.0, "{least:?} {most:?}");
    }

    #[test]
    fn retry_after_is_obeyed_within_bounds() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(job_backoff("job", 1, asked(60)), asked(60));
        assert_eq!(job_backoff("job", 1, asked(u64::MAX)), asked(3600));
        assert!(within(job_backoff("job", 1, asked(0)).unwrap(), 2.0));
        assert_eq!(callback_backoff("msg", true, 1, asked(600)), asked(600));
        assert_eq!(callback_backoff("msg", true, 1, asked(u64::MAX)), asked(86_400));
    }
}
