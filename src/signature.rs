//! Standard Webhooks 1.0.0: signatures that prove who sent a message and when, made and verified.
//!
//! What is signed is `id.timestamp.body`; a signature is `v1,` and the base64 of its HMAC-SHA256. Every active secret
//! signs, so that a receiver can change to a new one while both are good.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";

/// Bytes of a secret that the specification allows: shorter can be guessed, longer gains nothing.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How far a message's time may lie from ours, s: room for clocks that differ, none for a message replayed later.
pub const TOLERANCE_S: i64 = 300;

/// A key that both ends know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    /// Without its bytes, so that no log line ever holds them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a text is no secret. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// It does not begin as one.
    #[error("a secret must begin with whsec_")]
    Prefix,
    /// What follows is not base64.
    #[error("a secret must be whsec_ and base64")]
    Base64,
    /// Too short to be safe, or too long.
    #[error("a secret must be 24 to 64 bytes, in base64 after whsec_; this one has {0}")]
    Length(usize),
}

/// Why a message is not taken as genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The time is no number.
    #[error("webhook-timestamp must be whole seconds since 1970")]
    Timestamp,
    /// The message is older than the tolerance.
    #[error("webhook-timestamp is {0} s in the past; at most 300 s are accepted")]
    TooOld(i64),
    /// The message comes from the future.
    #[error("webhook-timestamp is {0} s in the future; at most 300 s are accepted")]
    TooNew(i64),
    /// There is nothing to verify.
    #[error("webhook-signature holds no signature of version v1")]
    NoSignature,
    /// There are signatures, and none is by a secret of ours.
    #[error("no signature in webhook-signature matches the message")]
    NoMatch,
}

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`InvalidSecret`] says what a secret must be.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret::Base64)?;
        if SECRET_BYTES.contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSecret::Length(key.len())) }
    }

    /// The signing state after `id.timestamp.body`; `None` never, as HMAC takes keys of any length.
    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(mac)
    }
}

/// The `webhook-signature` of a message: one signature a secret, with spaces between.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let macs = secrets.iter().filter_map(|secret| secret.mac(id, timestamp, body));
    let signatures = macs.map(|mac| format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    signatures.collect::<Vec<_>>().join(" ")
}

/// Whether one of the secrets signed exactly this message, not long ago. `timestamp` and `signatures` are the headers'
/// text, `now` is seconds since 1970.
///
/// # Errors
/// [`VerifyError`] says what is wrong.
pub fn verify(
    secrets: &[Secret],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: i64,
) -> Result<(), VerifyError> {
    let sent: i64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let age = now.checked_sub(sent).ok_or(VerifyError::Timestamp)?;
    if age > TOLERANCE_S {
        return Err(VerifyError::TooOld(age));
    }
    if age < -TOLERANCE_S {
        return Err(VerifyError::TooNew(age.saturating_neg()));
    }
    // Other versions may stand beside ours; the specification says to pass over them.
    let mut ours = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).peekable();
    if ours.peek().is_none() {
        return Err(VerifyError::NoSignature);
    }
    let genuine = |encoded: &str| {
        let tag = STANDARD.decode(encoded).unwrap_or_default();
        // `verify_slice` takes the same time wherever the first difference is.
        let by = |secret: &Secret| secret.mac(id, sent, body).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        secrets.iter().any(by)
    };
    if ours.any(genuine) { Ok(()) } else { Err(VerifyError::NoMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const SENT: i64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn secret() -> Secret {
        Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()
    }

    fn other() -> Secret {
        Secret::parse(&format!("whsec_{}", STANDARD.encode([7; 32]))).unwrap()
    }

    fn check(signatures: &str, now: i64) -> Result<(), VerifyError> {
        verify(&[other(), secret()], ID, &SENT.to_string(), signatures, BODY, now)
    }

    #[test]
    fn a_signature_is_the_specifications() {
        assert_eq!(sign(&[secret()], ID, SENT, BODY), SIGNATURE);
        assert_eq!(check(SIGNATURE, SENT), Ok(()));
    }

    #[test]
    fn every_secret_signs_and_any_verifies() {
        let both = sign(&[other(), secret()], ID, SENT, BODY);
        assert_eq!(both.split(' ').count(), 2);
        assert_eq!(both.split(' ').nth(1), Some(SIGNATURE));
        for known in [secret(), other()] {
            assert_eq!(verify(&[known], ID, &SENT.to_string(), &both, BODY, SENT), Ok(()));
        }
    }

    #[test]
    fn a_message_is_good_for_five_minutes_either_way() {
        assert_eq!(check(SIGNATURE, SENT + 300), Ok(()));
        assert_eq!(check(SIGNATURE, SENT - 300), Ok(()));
        assert_eq!(check(SIGNATURE, SENT + 301), Err(VerifyError::TooOld(301)));
        assert_eq!(check(SIGNATURE, SENT - 301), Err(VerifyError::TooNew(301)));
    }

    #[test]
    fn anything_changed_is_seen() {
        let sent = SENT.to_string();
        let secrets = [secret()];
        assert_eq!(verify(&secrets, "msg_2", &sent, SIGNATURE, BODY, SENT), Err(VerifyError::NoMatch));
        assert_eq!(verify(&secrets, ID, &sent, SIGNATURE, b"{}", SENT), Err(VerifyError::NoMatch));
        let later = (SENT + 1).to_string();
        assert_eq!(verify(&secrets, ID, &later, SIGNATURE, BODY, SENT), Err(VerifyError::NoMatch));
        assert_eq!(verify(&[other()], ID, &sent, SIGNATURE, BODY, SENT), Err(VerifyError::NoMatch));
        assert_eq!(verify(&[], ID, &sent, SIGNATURE, BODY, SENT), Err(VerifyError::NoMatch));
    }

    #[test]
    fn what_is_no_signature_is_told_apart() {
        assert_eq!(check("", SENT), Err(VerifyError::NoSignature));
        assert_eq!(check("v1a,AAAA v2,AAAA", SENT), Err(VerifyError::NoSignature));
        assert_eq!(check("v1,", SENT), Err(VerifyError::NoMatch));
        assert_eq!(check("v1,not base64", SENT), Err(VerifyError::NoMatch));
        assert_eq!(check(&SIGNATURE[..40], SENT), Err(VerifyError::NoMatch));
        assert_eq!(check(&format!("v2,x {SIGNATURE}"), SENT), Ok(()));
        for nonsense in ["", "soon", "1e9", "1649367553.0"] {
            assert_eq!(verify(&[secret()], ID, nonsense, SIGNATURE, BODY, SENT), Err(VerifyError::Timestamp));
        }
        let least = i64::MIN.to_string();
        assert_eq!(verify(&[secret()], ID, &least, SIGNATURE, BODY, SENT), Err(VerifyError::Timestamp));
    }

    #[test]
    fn a_secret_is_refused_with_the_reason_and_never_shown() {
        assert_eq!(Secret::parse("C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), Err(InvalidSecret::Prefix));
        assert_eq!(Secret::parse("whsec_*"), Err(InvalidSecret::Base64));
        assert_eq!(Secret::parse("whsec_AAAA"), Err(InvalidSecret::Length(3)));
        assert_eq!(format!("{:?}", secret()), "Secret");
    }
}
