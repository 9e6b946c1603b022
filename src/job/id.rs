//! The name of a job: its caller's, or ours.

use std::fmt;

use thiserror::Error;

/// Longest id, characters.
const LONGEST: usize = 64;

/// Words that stand where an id would in a route, so that no job can hide behind one.
const ROUTE_WORDS: &[&str] = &["generate", "preview", "batch", "jobs"];

/// 1 to 64 of `A-Z a-z 0-9 _ -`, and none of the words that are routes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

/// Why a text is no job id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidJobId {
    /// Empty, too long, or with a character outside the set.
    #[error("must be 1 to 64 of A-Z a-z 0-9 _ -")]
    Form,
    /// A word of ours.
    #[error("must be another word than generate, preview, batch and jobs, which are routes")]
    RouteWord,
}

impl JobId {
    /// Checks a caller's id.
    ///
    /// # Errors
    /// [`InvalidJobId`] says what an id must be.
    pub fn parse(text: &str) -> Result<Self, InvalidJobId> {
        if ROUTE_WORDS.contains(&text) {
            return Err(InvalidJobId::RouteWord);
        }
        Self::stored(text)
    }

    /// Reads an id that was accepted before: a route that came later must not make its job unreadable.
    ///
    /// # Errors
    /// [`InvalidJobId::Form`] if no version of this program accepts it.
    pub fn stored(text: &str) -> Result<Self, InvalidJobId> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(fits) {
            return Err(InvalidJobId::Form);
        }
        Ok(Self(text.to_owned()))
    }

    /// A new id of ours, a UUIDv7, from its 128 bits.
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }

    /// The id's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_their_characters() {
        for good in ["a", "A_b-9", &"x".repeat(64), "0192f0c1-7a3b-7c4d-8e5f-0123456789ab"] {
            assert!(JobId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", &"x".repeat(65), "../../etc/passwd", "%2e%2e", "a\0b", "a b", "ä", "a/b", "a.b"] {
            assert_eq!(JobId::parse(bad), Err(InvalidJobId::Form), "{bad:?}");
        }
    }

    #[test]
    fn routes_are_no_ids() {
        assert_eq!(JobId::parse("jobs"), Err(InvalidJobId::RouteWord));
        assert_eq!(JobId::stored("jobs").unwrap().as_str(), "jobs", "accepted before the route was there");
        assert_eq!(JobId::stored("a/b"), Err(InvalidJobId::Form));
    }
}
