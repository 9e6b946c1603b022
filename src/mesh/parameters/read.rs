//! From JSON to parameters: every violation at once, a warning for every unknown name.

use serde::Deserialize;
use serde_json::{Map, Value};
use validator::Validate;

use super::MeshParameters;
use super::lenient::{self, Given};
use super::table::{
    ALPHA_THRESHOLD, BINARY_THRESHOLD, BLUR_KERNEL_SIZE, CONCAVE_FACTOR, DENSITY_SCALING_FACTOR, DETAIL_FACTOR,
    INTERNAL_VERTEX_DENSITY, MIN_CONTOUR_AREA, MIN_TRIANGLE_AREA, PARAMETERS,
};
use crate::mesh::echo::{echo, shorten};
use crate::mesh::error::{Error, Result, Violation};

/// Most unknown names that get a warning of their own.
const MOST_WARNINGS: usize = 10;

/// What was given, before it is known to be in range.
#[derive(Default, Deserialize, Validate)]
#[serde(default)]
struct Candidate {
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = DETAIL_FACTOR.min, max = DETAIL_FACTOR.max))]
    detail_factor: Given,
    #[serde(deserialize_with = "lenient::whole")]
    #[validate(range(min = ALPHA_THRESHOLD.min, max = ALPHA_THRESHOLD.max))]
    alpha_threshold: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = CONCAVE_FACTOR.min, max = CONCAVE_FACTOR.max))]
    concave_factor: Given,
    #[serde(deserialize_with = "lenient::whole")]
    #[validate(range(min = INTERNAL_VERTEX_DENSITY.min, max = INTERNAL_VERTEX_DENSITY.max))]
    internal_vertex_density: Given,
    #[serde(deserialize_with = "lenient::whole")]
    #[validate(range(min = BLUR_KERNEL_SIZE.min, max = BLUR_KERNEL_SIZE.max))]
    blur_kernel_size: Given,
    #[serde(deserialize_with = "lenient::whole")]
    #[validate(range(min = BINARY_THRESHOLD.min, max = BINARY_THRESHOLD.max))]
    binary_threshold: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = MIN_CONTOUR_AREA.min, max = MIN_CONTOUR_AREA.max))]
    min_contour_area: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = DENSITY_SCALING_FACTOR.min, max = DENSITY_SCALING_FACTOR.max))]
    density_scaling_factor: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = MIN_TRIANGLE_AREA.min, max = MIN_TRIANGLE_AREA.max))]
    min_triangle_area: Given,
}

impl Candidate {
    /// Call after validation only: the casts rely on the ranges.
    fn resolve(&self) -> MeshParameters {
        MeshParameters {
            detail_factor: self.detail_factor.or(DETAIL_FACTOR.default),
            alpha_threshold: self.alpha_threshold.or(ALPHA_THRESHOLD.default) as u8,
            concave_factor: self.concave_factor.or(CONCAVE_FACTOR.default),
            internal_vertex_density: self.internal_vertex_density.or(INTERNAL_VERTEX_DENSITY.default) as u32,
            blur_kernel_size: self.blur_kernel_size.or(BLUR_KERNEL_SIZE.default) as u32,
            binary_threshold: self.binary_threshold.or(BINARY_THRESHOLD.default) as u8,
            min_contour_area: self.min_contour_area.or(MIN_CONTOUR_AREA.default),
            density_scaling_factor: self.density_scaling_factor.or(DENSITY_SCALING_FACTOR.default),
            min_triangle_area: self.min_triangle_area.or(MIN_TRIANGLE_AREA.default),
        }
    }

    fn check(&self, given: &Map<String, Value>) -> Result<()> {
        let Err(errors) = self.validate() else { return Ok(()) };
        let fields = errors.field_errors();
        // The validator's map has no order; the table's order makes equal input give equal text.
        let violations = PARAMETERS.iter().filter(|row| fields.contains_key(row.name)).map(|row| Violation {
            name: row.name.to_owned(),
            value: given.get(row.name).map_or(Value::Null, echo),
            expected: row.expected(),
        });
        Err(Error::Parameters(violations.collect()))
    }
}

impl From<&MeshParameters> for Candidate {
    fn from(parameters: &MeshParameters) -> Self {
        Self {
            detail_factor: parameters.detail_factor.into(),
            alpha_threshold: f64::from(parameters.alpha_threshold).into(),
            concave_factor: parameters.concave_factor.into(),
            internal_vertex_density: f64::from(parameters.internal_vertex_density).into(),
            blur_kernel_size: f64::from(parameters.blur_kernel_size).into(),
            binary_threshold: f64::from(parameters.binary_threshold).into(),
            min_contour_area: parameters.min_contour_area.into(),
            density_scaling_factor: parameters.density_scaling_factor.into(),
            min_triangle_area: parameters.min_triangle_area.into(),
        }
    }
}

pub(super) fn from_json(value: &Value) -> Result<(MeshParameters, Vec<String>)> {
    let Value::Object(given) = value else { return Err(not_an_object(value)) };
    let candidate = Candidate::deserialize(value).map_err(|error| Error::Internal(error.to_string()))?;
    candidate.check(given)?;
    Ok((candidate.resolve(), warn_of_unknown(given)))
}

pub(super) fn from_assignments<S: AsRef<str>>(
    base: &Value,
    assignments: &[S],
) -> Result<(MeshParameters, Vec<String>)> {
    let mut given = match base {
        Value::Object(given) => given.clone(),
        Value::Null => Map::new(),
        other => return Err(not_an_object(other)),
    };
    let mut malformed = Vec::new();
    for assignment in assignments.iter().map(AsRef::as_ref) {
        match assignment.split_once('=') {
            Some((name, value)) => drop(given.insert(name.trim().to_owned(), number_or_text(value))),
            None => malformed.push(Violation {
                name: shorten(assignment),
                value: Value::Null,
                expected: "NAME=VALUE, such as detail_factor=0.02".into(),
            }),
        }
    }
    match from_json(&Value::Object(given)) {
        Err(Error::Parameters(violations)) => Err(Error::Parameters([malformed, violations].concat())),
        Ok(_) if !malformed.is_empty() => Err(Error::Parameters(malformed)),
        other => other,
    }
}

pub(super) fn check(parameters: &MeshParameters) -> Result<()> {
    let Ok(Value::Object(given)) = serde_json::to_value(parameters) else {
        return Err(Error::Internal("parameters did not become a JSON object".into()));
    };
    Candidate::from(parameters).check(&given)
}

fn not_an_object(value: &Value) -> Error {
    let expected = "a JSON object such as {\"detail_factor\": 0.02}".into();
    Error::Parameters(vec![Violation { name: "parameters".into(), value: echo(value), expected }])
}

/// A number stays one, so that messages show `300` and not `"300"`.
fn number_or_text(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

fn warn_of_unknown(given: &Map<String, Value>) -> Vec<String> {
    let unknown = || given.keys().filter(|name| PARAMETERS.iter().all(|row| row.name != name.as_str()));
    let mut warnings: Vec<String> = unknown()
        .take(MOST_WARNINGS)
        .map(|name| {
            let name = shorten(name);
            let nearest = nearest_known(&name);
            format!("the unknown parameter {name:?} is ignored; the nearest known one is \"{nearest}\"")
        })
        .collect();
    let rest = unknown().count().saturating_sub(MOST_WARNINGS);
    if rest > 0 {
        warnings.push(format!("{rest} more unknown parameters are ignored"));
    }
    warnings
}

/// Jaro-Winkler favours common beginnings, which is how names are misremembered: `blur`, `detail`, `blurKernel`.
fn nearest_known(name: &str) -> &'static str {
    let name = name.to_lowercase();
    let by_similarity = |a: &&str, b: &&str| strsim::jaro_winkler(a, &name).total_cmp(&strsim::jaro_winkler(b, &name));
    PARAMETERS.iter().map(|row| row.name).max_by(by_similarity).unwrap_or_default()
}
