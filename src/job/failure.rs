//! Why a job ended without a result.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mesh;

/// Every code that a failed job can carry: stable, on the wire, in one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "`meaning` says it, for the documents too")]
pub enum FailureCode {
    ImageLoadFailed,
    ImageTooLarge,
    ImageFormatUnsupported,
    MeshTooLarge,
    SourceNotFound,
    SourceUnavailable,
    SourceTimeout,
    SourceTooLarge,
    UrlNotAllowed,
    ContourExtractionFailed,
    TriangulationFailed,
    JobTimeout,
    WorkerCrashed,
    Cancelled,
    Internal,
}

impl FailureCode {
    /// Every code, in the order of the documents.
    pub const ALL: [Self; 15] = [
        Self::ImageLoadFailed,
        Self::ImageTooLarge,
        Self::ImageFormatUnsupported,
        Self::MeshTooLarge,
        Self::SourceNotFound,
        Self::SourceUnavailable,
        Self::SourceTimeout,
        Self::SourceTooLarge,
        Self::UrlNotAllowed,
        Self::ContourExtractionFailed,
        Self::TriangulationFailed,
        Self::JobTimeout,
        Self::WorkerCrashed,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageLoadFailed => "IMAGE_LOAD_FAILED",
            Self::ImageTooLarge => "IMAGE_TOO_LARGE",
            Self::ImageFormatUnsupported => "IMAGE_FORMAT_UNSUPPORTED",
            Self::MeshTooLarge => "MESH_TOO_LARGE",
            Self::SourceNotFound => "SOURCE_NOT_FOUND",
            Self::SourceUnavailable => "SOURCE_UNAVAILABLE",
            Self::SourceTimeout => "SOURCE_TIMEOUT",
            Self::SourceTooLarge => "SOURCE_TOO_LARGE",
            Self::UrlNotAllowed => "URL_NOT_ALLOWED",
            Self::ContourExtractionFailed => "CONTOUR_EXTRACTION_FAILED",
            Self::TriangulationFailed => "TRIANGULATION_FAILED",
            Self::JobTimeout => "JOB_TIMEOUT",
            Self::WorkerCrashed => "WORKER_CRASHED",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// What it means and what to do, for the documents.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::ImageLoadFailed => "the image is broken or cut short; export it again",
            Self::ImageTooLarge => "the image is wider, taller or larger than the limit; scale it down",
            Self::ImageFormatUnsupported => "the bytes are not an image that is read; use PNG, WebP, JPEG, GIF or BMP",
            Self::MeshTooLarge => "the parameters ask for too many triangles; the details name a density that fits",
            Self::SourceNotFound => "nothing is at the image's URL; check it",
            Self::SourceUnavailable => "the image's server failed or could not be reached; try again later",
            Self::SourceTimeout => "the image's server was too slow; try again later",
            Self::SourceTooLarge => "the file at the image's URL is larger than the limit",
            Self::UrlNotAllowed => "the URL is not one that the service may fetch or call",
            Self::ContourExtractionFailed => "nothing, or nothing large enough, is inside; lower the thresholds",
            Self::TriangulationFailed => "the outline has no area; change the parameters",
            Self::JobTimeout => "the job took longer than allowed; use a smaller image or density",
            Self::WorkerCrashed => "the worker died of this job three times; please report it with the image",
            Self::Cancelled => "the job was called off",
            Self::Internal => "our own mistake; please report it with the image",
        }
    }

    /// Whether the same job may well succeed later, so that its caller may submit it anew under the same id.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::SourceUnavailable | Self::SourceTimeout | Self::WorkerCrashed | Self::Internal => true,
            Self::ImageLoadFailed
            | Self::ImageTooLarge
            | Self::ImageFormatUnsupported
            | Self::MeshTooLarge
            | Self::SourceNotFound
            | Self::SourceTooLarge
            | Self::UrlNotAllowed
            | Self::ContourExtractionFailed
            | Self::TriangulationFailed
            | Self::JobTimeout
            | Self::Cancelled => false,
        }
    }
}

/// Why a job failed, fit to be shown to its caller: no address, path, SQL or secret is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// For machines.
    pub code: FailureCode,
    /// For people: what was wrong and what to do.
    pub message: String,
    /// The numbers; a JSON object.
    #[serde(default)]
    pub details: Value,
}

impl Failure {
    /// A failure with a message and no numbers.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Value::Object(serde_json::Map::new()) }
    }
}

impl From<&mesh::Error> for Failure {
    fn from(error: &mesh::Error) -> Self {
        // Parameters are checked when a job is submitted; a stored one can only be out of range after an upgrade.
        let code = FailureCode::named(error.code()).unwrap_or(FailureCode::Internal);
        Self { code, message: error.to_string(), details: error.details() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_its_name_and_is_spelt_the_same_in_json() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::named(code.as_str()), Some(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn the_engines_errors_have_codes_of_their_own() {
        let error = mesh::Error::Triangulation { vertices: 3, reason: "flat".into() };
        assert_eq!(Failure::from(&error).code, FailureCode::TriangulationFailed);
    }
}
