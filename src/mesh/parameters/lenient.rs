//! Numbers as pydantic 2 takes them in its lax mode. `tests/parameters.rs` holds the table recorded from it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use validator::ValidateRange;

use super::table::{EFFORT, HOLES, ISLANDS, Kind, OUTLINE, PRESET, SYMMETRY};

/// A number that was given, or was not, or is none. It never fails to deserialize, so that one pass over all
/// parameters finds every mistake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) enum Given {
    /// Null, or not there at all.
    #[default]
    Absent,
    /// A finite number.
    Number(f64),
    /// Text that is no number, a fraction for an integer, an array, NaN, ...
    NotANumber,
}

impl Given {
    pub(super) fn or(self, default: f64) -> f64 {
        match self {
            // Adding 0 turns -0 into 0, so that what is echoed has one form.
            Self::Number(number) => number + 0.0,
            Self::Absent | Self::NotANumber => default,
        }
    }
}

impl From<f64> for Given {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::NotANumber }
    }
}

impl ValidateRange<f64> for Given {
    // The provided method would let through what cannot be compared.
    fn validate_range(&self, min: Option<f64>, max: Option<f64>, _: Option<f64>, _: Option<f64>) -> bool {
        match *self {
            Self::Absent => true,
            Self::Number(number) => min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max),
            Self::NotANumber => false,
        }
    }

    fn greater_than(&self, max: f64) -> Option<bool> {
        if let Self::Number(number) = self { Some(*number > max) } else { None }
    }

    fn less_than(&self, min: f64) -> Option<bool> {
        if let Self::Number(number) = self { Some(*number < min) } else { None }
    }
}

/// For `deserialize_with` on an integer.
pub(super) fn whole<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, Kind::Whole))
}

/// For `deserialize_with` on a number.
pub(super) fn real<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, Kind::Real))
}

/// For `deserialize_with` on words, one function for each list of them: a [`Given`] holds the word's place.
pub(super) fn outline<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, OUTLINE.kind))
}

pub(super) fn effort<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, EFFORT.kind))
}

pub(super) fn islands<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, ISLANDS.kind))
}

pub(super) fn holes<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, HOLES.kind))
}

pub(super) fn symmetry<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, SYMMETRY.kind))
}

pub(super) fn preset<'de, D: Deserializer<'de>>(source: D) -> Result<Given, D::Error> {
    Ok(read(&Value::deserialize(source)?, PRESET.kind))
}

fn read(value: &Value, kind: Kind) -> Given {
    if let Kind::Choice(words) = kind {
        let place = value.as_str().and_then(|text| words.iter().position(|word| *word == text.trim()));
        return match place {
            _ if value.is_null() => Given::Absent,
            Some(place) => Given::Number(place as f64),
            None => Given::NotANumber,
        };
    }
    let number = match value {
        Value::Null => return Given::Absent,
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if kind == Kind::Whole => whole_from_text(text),
        Value::String(text) => real_from_text(text),
        Value::Array(_) | Value::Object(_) => None,
    };
    match number {
        Some(number) if kind == Kind::Real || number.fract() == 0.0 => Given::from(number),
        _ => Given::NotANumber,
    }
}

/// Digits with a sign, single underscores between them and a fraction of zeros, as in ` +1_000.00 `; no exponent.
fn whole_from_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match unsigned.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => unsigned,
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return None;
    }
    // Leading zeros may be followed by any number of underscores, later digits by one.
    let significant = if digits.starts_with('0') { digits.trim_start_matches(['0', '_']) } else { digits };
    if digits.ends_with('_') || significant.contains("__") {
        return None;
    }
    let magnitude: f64 = digits.replace('_', "").parse().ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// What Rust calls a number, also with single underscores anywhere but at the ends. "nan" and "inf" are numbers here
/// and refused as out of range.
fn real_from_text(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let stray = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    if stray { None } else { text.replace('_', "").parse().ok() }
}
