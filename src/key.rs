//! API keys as values: what a name, a secret, a scope and a rate are.

mod links;
mod rate;
mod scope;

use std::fmt;
use std::hint::black_box;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

pub use links::Links;
pub use rate::{Bucket, InvalidRate, Left, Limit, Rate};
pub use scope::{InvalidScope, Scope, Scopes};

/// Longest name, characters.
pub const LONGEST_NAME: usize = 64;

/// Random bytes of a secret that we make.
pub const SECRET_BYTES: usize = 32;

/// What our secrets begin with, so that people and scanners know one that lies about.
const PREFIX: &str = "spl_";

/// Whether the text can name a key: 1 to 64 of `A-Z a-z 0-9 _ -`. Names stand in links, log lines and headers, so nothing
/// else may be in one.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fits)
}

/// A secret of these bytes, which must be random: `spl_` and 43 characters of base64 as it stands in URLs.
#[must_use]
pub fn secret_of(random: &[u8; SECRET_BYTES]) -> String {
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random))
}

/// SHA-256 of a secret: what is kept in its place.
///
/// A plain digest is enough, and salt and slowness would be for nothing: they make guessing dear, and 256 random bits are
/// beyond any guessing. Secrets of the settings are people's own, and are not kept at all.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// As it was kept; `None` if these are not 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// To be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    /// Takes as long for every digest: how far two agree is not told by the time.
    fn eq(&self, other: &Self) -> bool {
        black_box(self.0.iter().zip(other.0).fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    /// Without its bytes: links are signed with what they give.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_stand_anywhere() {
        for good in ["a", "rails-2", "A_b", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a b", "a\r\nb", "a:b", "a,b", "ä", "a\0", "a/b", "a&b", "../a", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_known_by_its_beginning_and_can_stand_in_a_header() {
        let secret = secret_of(&[0xff; SECRET_BYTES]);
        assert_eq!(secret, format!("spl_{}8", "_".repeat(42)));
        assert_ne!(secret, secret_of(&[0xfe; SECRET_BYTES]));
        assert!(secret.bytes().all(|c| c.is_ascii_graphic()));
    }

    #[test]
    fn digests_are_equal_in_all_their_bytes_or_not() {
        assert_eq!(Digest::of("a"), Digest::of("a"));
        let bytes = *Digest::of("a").as_bytes();
        for at in 0..32 {
            let mut other = bytes;
            other[at] ^= 0x80;
            assert_ne!(Digest::from_bytes(&other).unwrap(), Digest::of("a"), "{at}");
        }
        assert!(Digest::from_bytes(&bytes[1..]).is_none());
    }

    /// FIPS 180-4, one block.
    #[test]
    fn a_digest_is_sha_256_and_is_not_shown() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let written: String = Digest::of("abc").as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, abc);
        assert_eq!(format!("{:?} {:#?}", Digest::of("abc"), Digest::of("abc")), "Digest(..) Digest(..)");
    }
}
