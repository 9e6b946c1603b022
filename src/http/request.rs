//! From a submission's fields to a checked request: every mistake at once.

use std::fmt::Display;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::codes::Code;
use super::error::ApiError;
use super::face::Face;
use crate::blob::sha256;
use crate::decode::Kind;
use crate::job::{FailureCode, ImageSource, JobId, MeshRequest, public_url};
use crate::mesh::echo::{echo, shorten};
use crate::mesh::error::Violation;
use crate::mesh::{self, MeshParameters};

/// Longest Idempotency-Key, bytes.
const LONGEST_KEY: usize = 255;

/// Most names among the parameters. There are nine; each unknown one is compared with them all for its warning.
const MOST_NAMES: usize = 100;

/// Most unknown fields that are named in a warning.
const MOST_UNKNOWN: usize = 10;

/// The parameters and what was odd about them.
pub(super) type Parameters = (MeshParameters, Vec<String>);

/// Reads fields and remembers what was wrong, so that the caller hears of all of it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    violations: Vec<Violation>,
    /// Violations that are URLs which may not be reached.
    refused_urls: usize,
}

impl Reader {
    /// Remembers a mistake.
    pub(super) fn refuse(&mut self, name: &str, value: &Value, expected: impl Display) {
        let expected = expected.to_string();
        self.violations.push(Violation { name: name.to_owned(), value: echo(value), expected });
    }

    /// A text; null is absent.
    pub(super) fn text(&mut self, fields: &mut Map<String, Value>, name: &str) -> Option<String> {
        match fields.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => {
                self.refuse(name, &other, "a text");
                None
            }
        }
    }

    /// A URL that may be reached.
    pub(super) fn url(&mut self, face: &Face, fields: &mut Map<String, Value>, name: &str) -> Option<String> {
        let text = self.text(fields, name)?;
        if let Err(refusal) = face.app.net.check(&text) {
            self.refuse(name, &Value::String(public_url(&text)), format_args!("a URL that may be reached: {refusal}"));
            self.refused_urls += 1;
            return None;
        }
        if text.contains(char::is_control) {
            self.refuse(name, &Value::String(public_url(&text)), "a URL without control characters");
            return None;
        }
        Some(text)
    }

    /// The caller's id for the job.
    pub(super) fn job_id(&mut self, fields: &mut Map<String, Value>) -> Option<JobId> {
        let text = self.text(fields, "job_id")?;
        match JobId::parse(&text) {
            Ok(id) => Some(id),
            Err(invalid) => {
                let expected = invalid.to_string();
                self.refuse("job_id", &Value::String(text), expected.trim_start_matches("must be "));
                None
            }
        }
    }

    /// The nine parameters; null and absent are the defaults.
    pub(super) fn parameters(&mut self, fields: &mut Map<String, Value>) -> Parameters {
        let given = fields.remove("parameters").filter(|given| !given.is_null()).unwrap_or_else(|| json!({}));
        self.parameters_of(&given)
    }

    /// Parameters from an object.
    pub(super) fn parameters_of(&mut self, given: &Value) -> Parameters {
        if given.as_object().is_some_and(|given| given.len() > MOST_NAMES) {
            self.refuse("parameters", given, format_args!("an object of at most {MOST_NAMES} names"));
            return Parameters::default();
        }
        match MeshParameters::from_json(given) {
            Ok(read) => read,
            Err(mesh::Error::Parameters(violations)) => {
                self.violations.extend(violations);
                Parameters::default()
            }
            Err(other) => {
                self.refuse("parameters", given, other);
                Parameters::default()
            }
        }
    }

    /// The `Idempotency-Key` header.
    pub(super) fn idempotency_key(&mut self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get("idempotency-key")?;
        let text = value.to_str().ok().filter(|text| text.bytes().all(|c| c.is_ascii_graphic()));
        let key = text.filter(|text| (1..=LONGEST_KEY).contains(&text.len()));
        if key.is_none() {
            let value = Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
            self.refuse("Idempotency-Key", &value, format_args!("1 to {LONGEST_KEY} visible ASCII characters"));
        }
        key.map(str::to_owned)
    }

    /// All mistakes, as one error.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let only_urls = self.refused_urls == self.violations.len();
        let error = mesh::Error::Parameters(self.violations);
        let code = if only_urls { Code::Failure(FailureCode::UrlNotAllowed) } else { Code::ValidationFailed };
        Err(ApiError::new(code, error.to_string()).with_details(error.details()))
    }
}

/// Warnings for fields that no route reads. They are ignored, as the specification's reader does.
pub(super) fn warn_of_unknown(fields: &Map<String, Value>, warnings: &mut Vec<String>) {
    let unknown = fields.keys().take(MOST_UNKNOWN);
    warnings.extend(unknown.map(|name| format!("the unknown field {:?} is ignored", shorten(name))));
}

/// An upload that is at least the beginning of an image; the rest shows when it is read.
pub(super) fn expect_image(bytes: &Bytes) -> Result<(), ApiError> {
    if Kind::of(bytes).is_some() {
        return Ok(());
    }
    let found = if bytes.is_empty() { "it is empty" } else { "its first bytes are none that an image begins with" };
    let message = format!("the file is not an image that is read: {found}; use PNG, WebP, JPEG, GIF or BMP");
    Err(ApiError::new(Code::Failure(FailureCode::ImageFormatUnsupported), message))
}

/// The digest of everything that makes two submissions the same.
pub(super) fn digest(request: &MeshRequest, callback_url: Option<&str>) -> String {
    sha256(json!([request.to_json(), callback_url]).to_string().as_bytes())
}

/// What a job is asked to do with this image.
pub(super) fn mesh_request(source: ImageSource, (parameters, warnings): Parameters) -> MeshRequest {
    MeshRequest { source, parameters, warnings }
}
