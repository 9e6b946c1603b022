//! Progress out, stop in: what a caller can see of a running job, and how it ends one.

use super::error::{Error, Result};

/// The steps of a job in order, as the specification lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Bytes to alpha plane.
    Decode,
    /// Alpha threshold.
    Mask,
    /// Blur and binary threshold.
    Blur,
    /// Outer borders, the largest wins.
    Contour,
    /// Douglas-Peucker.
    Simplify,
    /// Constrained Delaunay, refinement.
    Triangulate,
    /// Texture coordinates.
    Uvs,
    /// Boundary and internal edges.
    Edges,
    /// All done.
    Complete,
}

impl Stage {
    /// Share of the job that is behind when this stage begins, in percent.
    #[must_use]
    pub fn percent(self) -> u8 {
        match self {
            Self::Decode => 10,
            Self::Mask => 20,
            Self::Blur => 30,
            Self::Contour => 40,
            Self::Simplify => 50,
            Self::Triangulate => 70,
            Self::Uvs => 85,
            Self::Edges => 95,
            Self::Complete => 100,
        }
    }

    /// The specification's message.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Decode => "Loading image...",
            Self::Mask => "Creating mask...",
            Self::Blur => "Processing contours...",
            Self::Contour => "Finding main contour...",
            Self::Simplify => "Simplifying contour...",
            Self::Triangulate => "Triangulating mesh...",
            Self::Uvs => "Generating UV coordinates...",
            Self::Edges => "Calculating edges...",
            Self::Complete => "Mesh generation complete",
        }
    }

    /// What is being done, to complete "stopped while ...".
    #[must_use]
    pub fn activity(self) -> &'static str {
        match self {
            Self::Decode => "loading the image",
            Self::Mask => "creating the mask",
            Self::Blur => "processing contours",
            Self::Contour => "finding the main contour",
            Self::Simplify => "simplifying the contour",
            Self::Triangulate => "triangulating the mesh",
            Self::Uvs => "generating UV coordinates",
            Self::Edges => "calculating edges",
            Self::Complete => "finishing",
        }
    }
}

/// Watches a job and may stop it. Every method has a default, so `&()` watches nothing and never stops.
pub trait Observer: Sync {
    /// A stage begins.
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }

    /// Asked often, from several threads: `true` ends the job with [`Error::Stopped`], within milliseconds as a rule and
    /// at the latest when one pass over the image or the outline is done.
    fn should_stop(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// Announces the stage, unless the observer wants to stop.
pub(crate) fn enter(observer: &dyn Observer, stage: Stage) -> Result<()> {
    observer.stage(stage);
    check_stop(observer, stage)
}

/// [`Error::Stopped`] if the observer wants to stop; for the inner loops.
pub(crate) fn check_stop(observer: &dyn Observer, stage: Stage) -> Result<()> {
    if observer.should_stop() { Err(Error::Stopped { stage: stage.activity() }) } else { Ok(()) }
}
