//! Who comes too often: what a key has left of its rate, on every answer, and strangers counted by address.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::json;

use super::codes::Code;
use super::error::{ApiError, whole_seconds};
use super::face::Face;
use crate::key::{Bucket, Left, Rate};
use crate::keyring::{Key, Use};

/// draft-ietf-httpapi-ratelimit-headers: how many requests in which time.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// draft-ietf-httpapi-ratelimit-headers: how many are left.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Failed attempts of one address in [`FAILURES_S`], s: enough for any mistake. It spares us the work
/// and the log lines of who hammers. It is no guard against guessing, as a good key is let in all the while: that it cannot
/// be guessed is.
const FAILURES: u32 = 60;
const FAILURES_S: u32 = 60;

/// Places where the failures of addresses are counted, 8 bytes each.
const PLACES: usize = 16_384;

/// The refusal of a key that comes too often.
pub(super) fn refusal(face: &Face, key: &Key, wait: Duration) -> ApiError {
    face.app.metrics.rejected("rate_limit");
    let (quota, window_s) = key.rate().map_or((0, 0), |rate| (rate.quota(), rate.window_s()));
    let seconds = whole_seconds(wait);
    let message = format!(
        "the API key has used up its {quota} requests in {window_s} s; come back in {seconds} s, or have its operator \
         give it a higher rate"
    );
    ApiError::new(Code::RateLimited, message)
        .with_details(json!({ "requests": quota, "window_s": window_s, "retry_after_s": seconds }))
        .with_retry_after(wait)
}

/// Says on an answer what the key has left. On a refusal, when to come back; else, when all of it is there again.
pub(super) fn tell(response: &mut Response, of: Use, rate: Rate, left: Left) {
    let name = match of {
        Use::Call => "default",
        Use::Link(_) => "links",
    };
    let retry =
        response.headers().get(axum::http::header::RETRY_AFTER).and_then(|text| text.to_str().ok()?.parse().ok());
    let back = retry.filter(|_| response.status() == axum::http::StatusCode::TOO_MANY_REQUESTS);
    let back: u64 = back.unwrap_or_else(|| if left.full_in.is_zero() { 0 } else { whole_seconds(left.full_in) });
    let policy = format!("\"{name}\";q={};w={}", rate.quota(), rate.window_s());
    let now = format!("\"{name}\";r={};t={back}", left.requests);
    for (header, text) in [(POLICY, policy), (LEFT, now)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(header, value);
        }
    }
}

/// The answer to an attempt that failed: why, or that there were too many.
pub(super) fn failed(face: &Face, peer: Option<IpAddr>, error: ApiError) -> ApiError {
    let Some(Err(wait)) = peer.map(|peer| face.failures.count(peer)) else { return error };
    face.app.metrics.rejected("failed_keys");
    let message = format!(
        "over {FAILURES} requests in {FAILURES_S} s came from your address without a good API key; come back in {} s, or \
         send a good one",
        whole_seconds(wait)
    );
    ApiError::new(Code::RateLimited, message).with_retry_after(wait)
}

/// Failed attempts by the address that they came from.
///
/// A fixed number of places, which addresses share as chance has it: strangers can neither make it grow nor push each
/// other out. Chance is another at each start, so that nobody knows with whom. Sharing harms no one, as a good key is let
/// in whatever is counted here.
pub(super) struct Failures {
    began: Instant,
    chance: RandomState,
    rate: Option<Rate>,
    places: Mutex<Box<[Bucket]>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            chance: RandomState::new(),
            rate: Rate::new(FAILURES, FAILURES_S),
            places: Mutex::new(vec![Bucket::default(); PLACES].into_boxed_slice()),
        }
    }
}

impl Failures {
    /// Counts one, or says how long to wait after too many.
    fn count(&self, peer: IpAddr) -> Result<(), Duration> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let place = usize::try_from(self.chance.hash_one(network(peer)) % PLACES as u64).unwrap_or(0);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.rate, places.get_mut(place)) {
            (Some(rate), Some(bucket)) => bucket.take(rate, now, 1),
            _ => Ok(()),
        }
    }
}

/// What one caller has: an IPv4 address, or the 2^64 addresses of an IPv6 network.
fn network(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use axum::http::StatusCode;
    use axum::http::header::RETRY_AFTER;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn strangers_are_counted_by_address_and_network() {
        for (one, same, other) in [
            ("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.8"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            assert_eq!(network(address(one)), network(address(same)));
            assert_ne!(network(address(one)), network(address(other)));
        }
        let failures = Failures::default();
        let allowed = (0..200).filter(|_| failures.count(address("198.51.100.7")).is_ok()).count();
        assert!((60..70).contains(&allowed), "{allowed}");
        assert!(failures.count(address("2001:db8::1")).is_ok());
    }

    #[test]
    fn the_count_takes_no_more_memory_however_many_come() {
        let failures = Failures::default();
        let before = failures.places.lock().unwrap().len();
        for n in 0..100_000_u32 {
            let _ = failures.count(IpAddr::V4(n.into()));
        }
        assert_eq!(failures.places.lock().unwrap().len(), before);
        assert_eq!(size_of::<Bucket>() * before, 128 << 10);
    }

    #[test]
    fn an_answer_says_what_is_left() {
        let rate: Rate = "10/60s".parse().unwrap();
        let left = Left { requests: 7, full_in: Duration::from_millis(17_500) };
        let mut response = Response::default();
        tell(&mut response, Use::Call, rate, left);
        assert_eq!(response.headers()["ratelimit-policy"], "\"default\";q=10;w=60");
        assert_eq!(response.headers()["ratelimit"], "\"default\";r=7;t=18");
        // On a refusal it names the time of Retry-After.
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3"));
        tell(&mut response, Use::Link(0), rate, Left { requests: 0, ..left });
        assert_eq!(response.headers()["ratelimit"], "\"links\";r=0;t=3");
    }
}
