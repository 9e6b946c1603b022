//! Parameters that are words: what each of them means.

use serde::Serialize;

/// How the outline is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutlineMode {
    /// As the reference does: the largest contour's simplified line, through pixel indices.
    #[default]
    Trace,
    /// On pixel edges and outwards only: no pixel of a kept island is left out.
    Cover,
}

impl OutlineMode {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::Cover,
            _ => Self::Trace,
        }
    }
}

/// How long an outline is sought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Effort {
    /// Milliseconds.
    #[default]
    Fast,
    /// Some tenths of a second, for a tighter outline.
    Best,
}

impl Effort {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::Best,
            _ => Self::Fast,
        }
    }
}

/// Which islands are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Islands {
    /// The one of most pixels.
    #[default]
    Largest,
    /// Every one of `min_contour_area`, each with a hull of its own.
    All,
    /// Every one, joined to a single hull by thin bridges.
    Bridge,
}

impl Islands {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::All,
            2 => Self::Bridge,
            _ => Self::Largest,
        }
    }
}

/// What becomes of holes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Holes {
    /// They are covered.
    #[default]
    Fill,
    /// Those of `min_contour_area` or more stay open, where the budget of vertices allows.
    Cut,
}

impl Holes {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::Cut,
            _ => Self::Fill,
        }
    }
}

/// Whether the mesh is mirrored about an upright axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Symmetry {
    /// As the image comes.
    #[default]
    None,
    /// Mirrored if the image is mirror-symmetric.
    Auto,
    /// Mirrored always: both halves are covered.
    X,
}

impl Symmetry {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::Auto,
            2 => Self::X,
            _ => Self::None,
        }
    }
}

/// Values for an intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// The defaults.
    #[default]
    None,
    /// Fewest vertices for a plain sprite.
    Sprite,
    /// Least empty area: islands apart, holes open.
    Tight,
    /// An even inside, for weights and bending.
    Deform,
    /// A finer one, for what is bent much.
    DeformLarge,
}

impl Preset {
    /// By its place in the table's list of words.
    pub(super) fn at(place: f64) -> Self {
        match place as usize {
            1 => Self::Sprite,
            2 => Self::Tight,
            3 => Self::Deform,
            4 => Self::DeformLarge,
            _ => Self::None,
        }
    }
}
