//! The Rust of docs/callbacks.md, word by word.

use spinelift::signature::{Secret, verify};

/// Secrets are read once, by `Secret::parse`; `now` is seconds since 1970.
pub fn is_genuine<'a>(
    secrets: &[Secret],
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: i64,
) -> bool {
    let fields = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    let [Some(id), Some(sent_at), Some(signatures)] = fields else { return false };
    verify(secrets, id, sent_at, signatures, body, now).is_ok()
}
