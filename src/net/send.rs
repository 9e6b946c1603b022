//! Sending a callback: one POST, whose answer is a status and how long to wait.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error as ThisError;
use tokio::time::{Instant, timeout_at};

use super::client::Reply;
use super::reach::ReachError;
use super::{Net, Refusal, retry_after};

/// Most bytes of an answer that are read. A polite receiver gets to send its few words; they are thrown away.
const MOST_READ: usize = 64 * 1024;

/// How long an answer's body is read. Whoever sends more, or slowly, has answered all the same.
const DRAIN: Duration = Duration::from_secs(1);

/// What a receiver answered. A redirect is an answer like any other and is never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Why nothing was answered. The text is fit for the job's caller, the source is for logs.
#[derive(Debug, ThisError)]
pub enum SendError {
    /// It may not be reached, and never may.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its name leads to an address that is not public, for now: answers of name servers change.
    #[error("the receiver's host is not a public one")]
    NotPublic,
    /// Its host does not exist, or has no address now.
    #[error("the receiver's host does not exist")]
    NoSuchHost,
    /// It did not answer in time.
    #[error("the receiver did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It could not be reached, or broke off.
    #[error("the receiver could not be reached or broke off")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl Net {
    /// Posts a body and waits for the answer at most `timeout`.
    ///
    /// # Errors
    /// [`SendError`] if there was no answer.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, SendError> {
        let until = Instant::now() + timeout;
        let url = self.judge.read(url)?;
        let headers =
            headers.iter().map(|(name, value)| Ok((HeaderName::try_from(*name)?, HeaderValue::try_from(value)?)));
        let headers = headers.collect::<Result<HeaderMap, hyper::http::Error>>();
        let headers = headers.map_err(|cause| SendError::Failed(cause.into()))?;
        let reply = match timeout_at(until, self.reach(Method::POST, &url, headers, body, timeout)).await {
            Err(_) => return Err(SendError::TimedOut(timeout)),
            Ok(reached) => reached?,
        };
        let answer = Answer { status: reply.status.as_u16(), retry_after: retry_after::read(&reply.headers) };
        // The answer is known; a body that comes slowly or breaks off does not change it.
        let _ = timeout_at(until.min(Instant::now() + DRAIN), drain(reply)).await;
        Ok(answer)
    }
}

impl From<ReachError> for SendError {
    fn from(error: ReachError) -> Self {
        match error {
            // The URL itself has been judged before.
            ReachError::Refused(_) => Self::NotPublic,
            ReachError::NoSuchHost => Self::NoSuchHost,
            ReachError::TimedOut { limit, .. } => Self::TimedOut(limit),
            ReachError::Failed(cause) => Self::Failed(cause),
        }
    }
}

/// Reads some of the body, so that the receiver does not see its connection reset.
async fn drain(mut reply: Reply) {
    let mut read = 0;
    while let Ok(Some(piece)) = reply.piece().await {
        read += piece.len();
        if read > MOST_READ {
            return;
        }
    }
}
