//! Fetching an image: redirects by hand, and limits on bytes, time and rate.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, LOCATION};
use reqwest::{Response, StatusCode};
use serde_json::json;
use thiserror::Error as ThisError;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::{Net, Refusal, retry_after};
use crate::crash_point;
use crate::job::{Failure, FailureCode};

/// Most bytes set aside before the first has come: a length is a claim until then.
const MOST_SET_ASIDE: u64 = 1 << 20;

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

    fn too_slow(what: &str, limit: Duration) -> Self {
        let message = format!("the image's server {what} within {} s; try again later", limit.as_secs_f64());
        Self::transient(FailureCode::SourceTimeout, message)
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
    async fn follow(&self, url: &str) -> Result<Response, FetchError> {
        let mut url = self.judge.read(url).map_err(|refusal| FetchError::refused(&refusal))?;
        for _ in 0..=self.limits.redirects {
            let response = self.get(url.clone()).await?;
            match response.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = self.next_hop(&url, &response)?,
                status => return accept(status, &response).map(|()| response),
            }
        }
        let message = format!("the URL redirects more than {} times; use the image's own URL", self.limits.redirects);
        Err(FetchError::unavailable(message))
    }

    /// Where a redirect leads, if that may be reached. The message does not repeat it: the caller did not write it.
    fn next_hop(&self, from: &Url, response: &Response) -> Result<Url, FetchError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| from.join(location).ok());
        let Some(next) = next else {
            return Err(FetchError::unavailable("the URL redirects to nowhere; use the image's own URL"));
        };
        if from.scheme() == "https" && next.scheme() == "http" {
            let message = "the URL redirects from https to http, which is not followed; use the image's own URL";
            return Err(FetchError::permanent(FailureCode::UrlNotAllowed, message));
        }
        self.judge.judge(&next).map_err(|refusal| {
            let message = "the URL redirects to one that this service may not reach; use the image's own URL";
            FetchError::permanent(FailureCode::UrlNotAllowed, message).because(refusal)
        })?;
        Ok(next)
    }

    /// Asks, and waits for the header of the answer.
    async fn get(&self, url: Url) -> Result<Response, FetchError> {
        let request = self.client.get(url).header(ACCEPT_ENCODING, "identity").send();
        let limit = self.limits.connect + self.limits.first_byte;
        match timeout(limit, request).await {
            Err(_) => Err(FetchError::too_slow("did not answer", limit)),
            Ok(Err(error)) if error.is_timeout() => {
                Err(FetchError::too_slow("could not be reached", self.limits.connect).because(error.without_url()))
            }
            Ok(Err(error)) => {
                let message = "the image's server could not be reached or broke off; try again later";
                Err(FetchError::transient(FailureCode::SourceUnavailable, message).because(error.without_url()))
            }
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// The body, while it keeps within the limits.
    async fn read(&self, mut response: Response, max_bytes: u64) -> Result<Bytes, FetchError> {
        let limits = &self.limits;
        let declared = response.content_length().unwrap_or(0);
        if declared > max_bytes {
            return Err(FetchError::too_large(max_bytes));
        }
        let mut body = BytesMut::with_capacity(usize::try_from(declared.min(MOST_SET_ASIDE)).unwrap_or(0));
        let begun = Instant::now();
        loop {
            let piece = match timeout_at(Instant::now() + limits.idle, response.chunk()).await {
                Err(_) => return Err(FetchError::too_slow("sent nothing", limits.idle)),
                Ok(Err(error)) => {
                    let message = "the image's server broke off before the end of the file; try again later";
                    return Err(
                        FetchError::transient(FailureCode::SourceUnavailable, message).because(error.without_url())
                    );
                }
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Ok(Some(piece))) => piece,
            };
            if (body.len() + piece.len()) as u64 > max_bytes {
                return Err(FetchError::too_large(max_bytes));
            }
            body.extend_from_slice(&piece);
            crash_point::reached("during_fetch");
            let took = begun.elapsed();
            let due = took.as_secs_f64() * limits.least_bytes_per_second as f64;
            if took > limits.grace && (body.len() as f64) < due {
                let rate = limits.least_bytes_per_second;
                let message = format!("the image's server sends less than {rate} bytes a second; try again later");
                return Err(FetchError::transient(FailureCode::SourceTimeout, message));
            }
        }
    }
}

/// Whether an answer brings the whole file as it is.
fn accept(status: StatusCode, response: &Response) -> Result<(), FetchError> {
    let number = status.as_u16();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message = format!("nothing is at the URL: its server answers {number}; check it");
            return Err(FetchError::permanent(FailureCode::SourceNotFound, message));
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            return Err(failed_for_now(number, response));
        }
        status if status.is_server_error() => return Err(failed_for_now(number, response)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let message = format!("the image's server answers {number}: the URL needs a right that this service lacks");
            return Err(FetchError::unavailable(message));
        }
        _ => {
            let message = format!("the image's server answers {number} and not 200 with the whole file; check the URL");
            return Err(FetchError::unavailable(message));
        }
    }
    let encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if encodings.map(|value| value.as_bytes()).all(plain) {
        return Ok(());
    }
    let message = "the image's server sends the file with a Content-Encoding although asked not to; serve it as it is";
    Err(FetchError::unavailable(message))
}

/// An answer that may be another one later.
fn failed_for_now(status: u16, response: &Response) -> FetchError {
    let message = format!("the image's server answers {status}; try again later");
    let error = FetchError::transient(FailureCode::SourceUnavailable, message);
    FetchError { retry_after: retry_after::read(response.headers()), ..error }
}
