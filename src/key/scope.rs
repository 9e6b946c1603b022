//! What a key may do.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Have meshes made, and call jobs off.
    Submit,
    /// See jobs and results.
    Read,
    /// See how the service is used.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Submit, Self::Read, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a scope; there are submit, read and admin")]
pub struct InvalidScope(String);

/// Some scopes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them: what keys of the settings have.
    pub const ALL: Self = Self(0b111);

    /// What a key has unless asked otherwise: its own jobs, and nothing of the service itself.
    pub const USUAL: Self = Self(0b011);

    /// Whether the scope is among them.
    #[must_use]
    pub fn contain(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// As they were kept. A word that this version does not know gives no right.
    #[must_use]
    pub fn kept(text: &str) -> Self {
        text.split(',').filter_map(|word| word.parse().ok()).collect()
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contain(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| InvalidScope(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Scope::as_str).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for bits in 0..8 {
            assert_eq!(Scopes::kept(&Scopes(bits).to_string()), Scopes(bits));
        }
        assert_eq!(
            (Scopes::ALL.to_string(), Scopes::USUAL.to_string()),
            ("submit,read,admin".into(), "submit,read".into())
        );
        assert!(Scopes::USUAL.contain(Scope::Read) && !Scopes::USUAL.contain(Scope::Admin));
    }

    #[test]
    fn an_unknown_word_gives_no_right() {
        assert_eq!(Scopes::kept("read,everything,ADMIN, submit"), Scopes::from_iter([Scope::Read]));
        assert_eq!(Scopes::kept(""), Scopes(0));
        assert!("Admin".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
    }
}
