//! Sending a callback: one POST, whose answer is a status and how long to wait.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{Net, Refusal, retry_after};

/// Most bytes of an answer that are read. A polite receiver gets to send its few words; they are thrown away.
const MOST_READ: usize = 64 * 1024;

/// What a receiver answered. A redirect is an answer like any other and is never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Why nothing was answered. The text is fit for the job's caller, the source is for logs.
#[derive(Debug, Error)]
pub enum SendError {
    /// It may not be reached.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It did not answer in time.
    #[error("the receiver did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It could not be reached, or broke off.
    #[error("the receiver could not be reached or broke off")]
    Failed(#[source] reqwest::Error),
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
        let request = headers.iter().fold(self.client.post(url), |request, (name, value)| request.header(*name, value));
        let response = match timeout_at(until, request.body(body).send()).await {
            Err(_) => return Err(SendError::TimedOut(timeout)),
            Ok(Err(error)) if error.is_timeout() => return Err(SendError::TimedOut(self.limits.connect)),
            Ok(Err(error)) => return Err(SendError::Failed(error.without_url())),
            Ok(Ok(response)) => response,
        };
        let answer = Answer { status: response.status().as_u16(), retry_after: retry_after::read(response.headers()) };
        // The answer is known; a body that comes slowly or breaks off does not change it.
        let _ = timeout_at(until, drain(response)).await;
        Ok(answer)
    }
}

/// Reads some of the body, so that the receiver does not see its connection reset.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(piece)) = response.chunk().await {
        read += piece.len();
        if read > MOST_READ {
            return;
        }
    }
}
