//! The key that makes two submissions one.

/// What a caller calls a submission by, so that a repeat is answered with the same job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// As the store keeps it; unique within an owner.
    pub text: String,
    /// Digest of all that must be the same in a repeat, where that is more than the job's `request_hash` covers.
    pub covers: Option<String>,
}

impl From<&str> for IdempotencyKey {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), covers: None }
    }
}
