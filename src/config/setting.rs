//! What a row of the table of settings is.

use super::Config;

/// One row of [`SETTINGS`](super::SETTINGS).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// The name in the environment, which may also have the prefix `SPINELIFT_`.
    pub name: &'static str,
    /// The heading that it stands under in documents.
    pub part: &'static str,
    /// The value when absent or empty, as it would be written; empty for none.
    pub default: &'static str,
    /// What the value must be, and where it goes.
    pub takes: Takes,
    /// Whether the value must not be shown, in messages or anywhere.
    pub secret: bool,
    /// What it does, in one sentence without a full stop.
    pub meaning: &'static str,
}

/// What a setting's value must be, and how it gets into a [`Config`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Takes {
    /// A whole number in a range, both ends included.
    Whole {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
        /// What it counts.
        unit: Unit,
        /// Puts it in its place.
        set: fn(&mut Config, u64),
    },
    /// `true` or `false`.
    Flag(fn(&mut Config, bool)),
    /// One of a few words.
    Word {
        /// The words.
        words: &'static [&'static str],
        /// Puts it in its place.
        set: fn(&mut Config, &str),
    },
    /// Text of a form.
    Text {
        /// The form, as in documents.
        form: &'static str,
        /// Checks it and puts it in its place; the error says what is wrong, without the value where it is a secret.
        set: fn(&mut Config, &str) -> Result<(), String>,
    },
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Things.
    None,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Pixels.
    Pixels,
}

impl Unit {
    /// As it stands after a number; empty for things.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Seconds => "s",
            Self::Pixels => "px",
        }
    }
}

impl Setting {
    /// What a value must be, such as `a whole number from 1 to 86400 (s)`.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.takes {
            Takes::Whole { min, max, unit: Unit::None, .. } => format!("a whole number from {min} to {max}"),
            Takes::Whole { min, max, unit, .. } => format!("a whole number from {min} to {max} ({})", unit.as_str()),
            Takes::Flag(_) => "true or false".into(),
            Takes::Word { words, .. } => words.join(" or "),
            Takes::Text { form, .. } => form.into(),
        }
    }
}

pub(super) const fn row(
    part: &'static str,
    name: &'static str,
    default: &'static str,
    takes: Takes,
    meaning: &'static str,
) -> Setting {
    Setting { name, part, default, takes, secret: false, meaning }
}

pub(super) const fn whole(min: u64, max: u64, unit: Unit, set: fn(&mut Config, u64)) -> Takes {
    Takes::Whole { min, max, unit, set }
}

pub(super) const fn seconds(min: u64, max: u64, set: fn(&mut Config, u64)) -> Takes {
    whole(min, max, Unit::Seconds, set)
}

pub(super) const fn text(form: &'static str, set: fn(&mut Config, &str) -> Result<(), String>) -> Takes {
    Takes::Text { form, set }
}

pub(super) const fn secret(setting: Setting) -> Setting {
    Setting { secret: true, ..setting }
}
