//! Fetching an image: redirects by hand, and limits on bytes, time and rate.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::json;
use thiserror::Error as ThisError;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::body::{Body, BodyError, Encoding};
use super::client::Reply;
use super::reach::ReachError;
use super::{Net, Refusal, retry_after};
use crate::crash_point;
use crate::job::{Failure, FailureCode};

/// Why an image could not be fetched.
#[derive(Debug, ThisError)]
#[error("{}", failure.message)]
pub struct FetchError {
    /// What its caller is told.
    pub failure: Failure,
    /// Whether the same fetch may well succeed later.
    pub transient: bool,
    /// How long the source asks to be left alone.
    pub retry_after: Option<Duration>,
    /// What happened, for logs: may hold names and addresses.
    #[source]
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl FetchError {
    fn permanent(code: FailureCode, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), transient: false, retry_after: None, cause: None }
    }

    fn transient(code: FailureCode, message: impl Into<String>) -> Self {
        Self { transient: true, ..Self::permanent(code, message) }
    }

    fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    fn refused(refusal: &Refusal) -> Self {
        Self::permanent(FailureCode::UrlNotAllowed, refusal.to_string())
    }

    fn unavailable(message: impl Into<String>) -> Self {
        Self::permanent(FailureCode::SourceUnavailable, message)
    }

    fn too_large(limit: u64) -> Self {
        let message = format!("the file at the URL is larger than {limit} bytes, the limit; use a smaller image");
        let mut error = Self::permanent(FailureCode::SourceTooLarge, message);
        error.failure.details = json!({ "limit_bytes": limit });
        error
    }

    fn bomb() -> Self {
        let message =
            "the file at the URL is sent packed and unpacks to far more than an image does; serve it as it is";
        Self::permanent(FailureCode::SourceTooLarge, message)
    }

    fn too_slow(did_not: &str, limit: Duration) -> Self {
        let message = format!("the image's server {did_not} within {} s; try again later", limit.as_secs_f64());
        Self::transient(FailureCode::SourceTimeout, message)
    }

    fn broke_off(cause: hyper::Error) -> Self {
        let message = "the image's server broke off before the end of the file; try again later";
        Self::transient(FailureCode::SourceUnavailable, message).because(cause)
    }
}

impl From<ReachError> for FetchError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Refused(refusal) => Self::refused(&refusal),
            ReachError::NoSuchHost => {
                Self::permanent(FailureCode::SourceNotFound, "the URL's host does not exist; check it")
            }
            ReachError::TimedOut { did_not, limit } => Self::too_slow(did_not, limit),
            ReachError::Failed(cause) => {
                let message = "the image's server could not be reached or broke off; try again later";
                Self::transient(FailureCode::SourceUnavailable, message).because(cause)
            }
        }
    }
}

impl Net {
    /// The bytes at a URL, at most `max_bytes` of them.
    ///
    /// # Errors
    /// [`FetchError`], which says whether to try again.
    pub async fn fetch(&self, url: &str, max_bytes: u64) -> Result<Bytes, FetchError> {
        let total = self.limits.total;
        let whole = async {
            let response = self.follow(url).await?;
            self.read(response, max_bytes).await
        };
        timeout(total, whole).await.map_err(|_| FetchError::too_slow("did not deliver the file", total))?
    }

    /// The first answer that is no redirect.
    async fn follow(&self, url: &str) -> Result<Reply, FetchError> {
        let mut url = self.judge.read(url).map_err(|refusal| FetchError::refused(&refusal))?;
        for hop in 0..=self.limits.redirects {
            let reply = match self.reach(Method::GET, &url, wishes(), Bytes::new(), self.limits.first_byte).await {
                // The caller did not write this URL.
                Err(ReachError::Refused(refusal)) if hop > 0 => return Err(redirected_inward().because(refusal)),
                reached => reached?,
            };
            match reply.status {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = self.next_hop(&url, &reply.headers)?,
                _ => return accept(&reply).map(|()| reply),
            }
        }
        let message = format!("the URL redirects more than {} times; use the image's own URL", self.limits.redirects);
        Err(FetchError::unavailable(message))
    }

    /// Where a redirect leads, if that may be reached. The message does not repeat it: the caller did not write it.
    fn next_hop(&self, from: &Url, headers: &HeaderMap) -> Result<Url, FetchError> {
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| from.join(location).ok());
        let Some(next) = next else {
            return Err(FetchError::unavailable("the URL redirects to nowhere; use the image's own URL"));
        };
        if from.scheme() == "https" && next.scheme() == "http" {
            let message = "the URL redirects from https to http, which is not followed; use the image's own URL";
            return Err(FetchError::permanent(FailureCode::UrlNotAllowed, message));
        }
        self.judge.judge(&next).map_err(|refusal| redirected_inward().because(refusal))?;
        Ok(next)
    }

    /// The body, while it keeps within the limits.
    async fn read(&self, mut reply: Reply, max_bytes: u64) -> Result<Bytes, FetchError> {
        let limits = &self.limits;
        let Some(encoding) = Encoding::of(&reply.headers) else {
            let message = "the image's server sends the file with a Content-Encoding other than gzip although asked not to; \
                           serve it as it is";
            return Err(FetchError::unavailable(message));
        };
        let declared = reply.length().unwrap_or(0);
        if declared > max_bytes {
            return Err(FetchError::too_large(max_bytes));
        }
        let not_taken = |error| match error {
            BodyError::TooLarge => FetchError::too_large(max_bytes),
            BodyError::Bomb => FetchError::bomb(),
            BodyError::Broken(cause) => {
                let message = "the file is not packed as its server's Content-Encoding says; serve it as it is";
                FetchError::unavailable(message).because(cause)
            }
        };
        let mut body = Body::new(encoding, declared, max_bytes);
        let begun = Instant::now();
        loop {
            let piece = match timeout_at(Instant::now() + limits.idle, reply.piece()).await {
                Err(_) => return Err(FetchError::too_slow("sent nothing", limits.idle)),
                Ok(Err(error)) => return Err(FetchError::broke_off(error)),
                Ok(Ok(None)) => return body.finish().map_err(not_taken),
                Ok(Ok(Some(piece))) => piece,
            };
            body.push(&piece).map_err(not_taken)?;
            crash_point::reached("during_fetch");
            let took = begun.elapsed();
            let due = took.as_secs_f64() * limits.least_bytes_per_second as f64;
            if took > limits.grace && (body.sent() as f64) < due {
                let rate = limits.least_bytes_per_second;
                let message = format!("the image's server sends less than {rate} bytes a second; try again later");
                return Err(FetchError::transient(FailureCode::SourceTimeout, message));
            }
        }
    }
}

/// What is asked for besides the URL: an image, as it is.
fn wishes() -> HeaderMap {
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("image/*, */*;q=0.1")),
        (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ])
}

/// The message does not repeat where the redirect leads: the caller did not write it.
fn redirected_inward() -> FetchError {
    let message = "the URL redirects to one that this service may not reach; use the image's own URL";
    FetchError::permanent(FailureCode::UrlNotAllowed, message)
}

/// Whether an answer brings the whole file.
fn accept(reply: &Reply) -> Result<(), FetchError> {
    let number = reply.status.as_u16();
    match reply.status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message = format!("nothing is at the URL: its server answers {number}; check it");
            Err(FetchError::permanent(FailureCode::SourceNotFound, message))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(failed_for_now(reply))
        }
        status if status.is_server_error() => Err(failed_for_now(reply)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let message = format!("the image's server answers {number}: the URL needs a right that this service lacks");
            Err(FetchError::unavailable(message))
        }
        _ => {
            let message = format!("the image's server answers {number} and not 200 with the whole file; check the URL");
            Err(FetchError::unavailable(message))
        }
    }
}

/// An answer that may be another one later.
fn failed_for_now(reply: &Reply) -> FetchError {
    let message = format!("the image's server answers {}; try again later", reply.status.as_u16());
    let error = FetchError::transient(FailureCode::SourceUnavailable, message);
    FetchError { retry_after: retry_after::read(&reply.headers), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Limits, Policy};

    #[test]
    fn a_redirect_keeps_its_encryption() {
        let net = Net::new(&Policy::default(), Limits::default()).unwrap();
        let hop = |from: &str, location: &'static str| {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            net.next_hop(&Url::parse(from).unwrap(), &headers)
        };
        for (from, location, to) in [
            ("http://a.example/x/y", "https://b.example/", "https://b.example/"),
            ("https://a.example/x/y", "z", "https://a.example/x/z"),
            ("https://a.example/", "//b.example/", "https://b.example/"),
            ("http://a.example/", "http://b.example/", "http://b.example/"),
        ] {
            assert_eq!(hop(from, location).unwrap().as_str(), to);
        }
        for location in ["http://a.example/", "http://b.example/", "HTTP://b.example/"] {
            let error = hop("https://a.example/", location).unwrap_err();
            assert_eq!(error.failure.code, FailureCode::UrlNotAllowed, "{location}");
            assert!(error.failure.message.contains("https to http"), "{error}");
        }
    }
}
