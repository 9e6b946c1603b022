//! From JSON to parameters: every violation at once, a warning for every unknown name.

use serde::Deserialize;
use serde_json::{Map, Value};
use validator::Validate;

use super::MeshParameters;
use super::choices::{Effort, Holes, Islands, OutlineMode, Preset, Symmetry};
use super::lenient::{self, Given};
use super::preset;
use super::table::{
    ALPHA_THRESHOLD, BINARY_THRESHOLD, BLUR_KERNEL_SIZE, CONCAVE_FACTOR, DENSITY_SCALING_FACTOR, DETAIL_FACTOR, EFFORT,
    HOLES, INTERNAL_VERTEX_DENSITY, ISLANDS, MAX_TRIANGLE_AREA, MAX_VERTICES, MIN_ANGLE, MIN_CONTOUR_AREA,
    MIN_EDGE_LENGTH, MIN_TRIANGLE_AREA, OUTLINE, PADDING, PARAMETERS, PRESET, Parameter, RIM, SYMMETRY,
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
    #[serde(deserialize_with = "lenient::outline")]
    #[validate(range(min = 0.0))]
    outline: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = PADDING.min, max = PADDING.max))]
    padding: Given,
    #[serde(deserialize_with = "lenient::whole")]
    #[validate(range(min = MAX_VERTICES.min, max = MAX_VERTICES.max))]
    max_vertices: Given,
    #[serde(deserialize_with = "lenient::effort")]
    #[validate(range(min = 0.0))]
    effort: Given,
    #[serde(deserialize_with = "lenient::islands")]
    #[validate(range(min = 0.0))]
    islands: Given,
    #[serde(deserialize_with = "lenient::holes")]
    #[validate(range(min = 0.0))]
    holes: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = MIN_ANGLE.min, max = MIN_ANGLE.max))]
    min_angle: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = MIN_EDGE_LENGTH.min, max = MIN_EDGE_LENGTH.max))]
    min_edge_length: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = MAX_TRIANGLE_AREA.min, max = MAX_TRIANGLE_AREA.max))]
    max_triangle_area: Given,
    #[serde(deserialize_with = "lenient::real")]
    #[validate(range(min = RIM.min, max = RIM.max))]
    rim: Given,
    #[serde(deserialize_with = "lenient::symmetry")]
    #[validate(range(min = 0.0))]
    symmetry: Given,
    #[serde(deserialize_with = "lenient::preset")]
    #[validate(range(min = 0.0))]
    preset: Given,
}

impl Candidate {
    /// Call after validation only: the casts rely on the ranges.
    fn resolve(&self) -> MeshParameters {
        let preset = self.preset();
        let pick = |given: Given, row: &Parameter| given.or(preset::value(preset, row).unwrap_or(row.default));
        MeshParameters {
            detail_factor: pick(self.detail_factor, &DETAIL_FACTOR),
            alpha_threshold: pick(self.alpha_threshold, &ALPHA_THRESHOLD) as u8,
            concave_factor: pick(self.concave_factor, &CONCAVE_FACTOR),
            internal_vertex_density: pick(self.internal_vertex_density, &INTERNAL_VERTEX_DENSITY) as u32,
            blur_kernel_size: pick(self.blur_kernel_size, &BLUR_KERNEL_SIZE) as u32,
            binary_threshold: pick(self.binary_threshold, &BINARY_THRESHOLD) as u8,
            min_contour_area: pick(self.min_contour_area, &MIN_CONTOUR_AREA),
            density_scaling_factor: pick(self.density_scaling_factor, &DENSITY_SCALING_FACTOR),
            min_triangle_area: pick(self.min_triangle_area, &MIN_TRIANGLE_AREA),
            outline: OutlineMode::at(pick(self.outline, &OUTLINE)),
            padding: pick(self.padding, &PADDING),
            max_vertices: pick(self.max_vertices, &MAX_VERTICES) as u32,
            effort: Effort::at(pick(self.effort, &EFFORT)),
            islands: Islands::at(pick(self.islands, &ISLANDS)),
            holes: Holes::at(pick(self.holes, &HOLES)),
            min_angle: pick(self.min_angle, &MIN_ANGLE),
            min_edge_length: pick(self.min_edge_length, &MIN_EDGE_LENGTH),
            max_triangle_area: pick(self.max_triangle_area, &MAX_TRIANGLE_AREA),
            rim: pick(self.rim, &RIM),
            symmetry: Symmetry::at(pick(self.symmetry, &SYMMETRY)),
        }
    }

    fn check(&self, given: &Map<String, Value>) -> Result<()> {
        let Err(errors) = self.validate() else { return Ok(()) };
        let fields = errors.field_errors();
        // The validator's map has no order; the table's order makes equal input give equal text.
        let violations = PARAMETERS.iter().filter(|row| fields.contains_key(row.name)).map(|row| Violation {
            name: row.name.to_owned(),
            value: given.get(row.name).map_or(Value::Null, echo),
            expected: if row.name == MIN_CONTOUR_AREA.name { expected_area(row) } else { row.expected() },
        });
        let violations: Vec<Violation> =
            violations.filter(|v| v.name != MIN_CONTOUR_AREA.name || !self.keeps_all_specks()).collect();
        if violations.is_empty() { Ok(()) } else { Err(Error::Parameters(violations)) }
    }
}

impl Candidate {
    /// The preset in force: all of them cover, and nothing of theirs is meant for an outline that is traced.
    fn preset(&self) -> Preset {
        let is_traced = matches!(self.outline, Given::Number(way) if OutlineMode::at(way) == OutlineMode::Trace);
        if is_traced { Preset::None } else { Preset::at(self.preset.or(0.0)) }
    }

    /// With `outline = cover` an island may be as small as a pixel: 0 drops none.
    fn keeps_all_specks(&self) -> bool {
        let outline = self.outline.or(preset::value(self.preset(), &OUTLINE).unwrap_or(OUTLINE.default));
        matches!(self.min_contour_area, Given::Number(area) if (0.0..=MIN_CONTOUR_AREA.max).contains(&area))
            && OutlineMode::at(outline) == OutlineMode::Cover
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
            outline: place(parameters.outline as usize),
            padding: parameters.padding.into(),
            max_vertices: f64::from(parameters.max_vertices).into(),
            effort: place(parameters.effort as usize),
            islands: place(parameters.islands as usize),
            holes: place(parameters.holes as usize),
            min_angle: parameters.min_angle.into(),
            min_edge_length: parameters.min_edge_length.into(),
            max_triangle_area: parameters.max_triangle_area.into(),
            rim: parameters.rim.into(),
            symmetry: place(parameters.symmetry as usize),
            preset: Given::Absent,
        }
    }
}

/// From 0 where the outline covers.
fn expected_area(row: &Parameter) -> String {
    format!("{}, or from 0 with outline cover", row.expected())
}

/// A word as it is given: its place in the table.
fn place(word: usize) -> Given {
    Given::Number(word as f64)
}

pub(super) fn from_json(value: &Value) -> Result<(MeshParameters, Vec<String>)> {
    let Value::Object(given) = value else { return Err(not_an_object(value)) };
    let candidate = Candidate::deserialize(value).map_err(|error| Error::Internal(error.to_string()))?;
    candidate.check(given)?;
    let parameters = candidate.resolve();
    let mut warnings = warn_of_unknown(given);
    warnings.extend(warn_of_idle(given, &parameters));
    Ok((parameters, warnings))
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
                name: "an assignment".into(),
                value: Value::String(shorten(assignment)),
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

/// Parameters that act with one way to the outline alone, and which.
const OF_COVER: [Parameter; 10] =
    [PADDING, MAX_VERTICES, EFFORT, ISLANDS, HOLES, MIN_ANGLE, MIN_EDGE_LENGTH, MAX_TRIANGLE_AREA, RIM, SYMMETRY];
const OF_TRACE: [Parameter; 2] = [BLUR_KERNEL_SIZE, BINARY_THRESHOLD];

/// Parameters of covering outlines that act without a budget of vertices alone, and with inner vertices alone.
const WITHOUT_BUDGET: [Parameter; 2] = [DETAIL_FACTOR, CONCAVE_FACTOR];
const OF_DENSITY: [Parameter; 2] = [DENSITY_SCALING_FACTOR, MIN_TRIANGLE_AREA];

/// What is given and changes nothing is more often a mistake than meant.
fn warn_of_idle(given: &Map<String, Value>, p: &MeshParameters) -> Vec<String> {
    let (idle, other): (&[Parameter], _) = match p.outline {
        OutlineMode::Trace => (&OF_COVER, "cover"),
        OutlineMode::Cover => (&OF_TRACE, "trace"),
    };
    let is_given = |row: &&Parameter| given.get(row.name).is_some_and(|value| !value.is_null());
    let undone = p.outline == OutlineMode::Trace
        && given.get(PRESET.name).and_then(Value::as_str).is_some_and(|preset| preset.trim() != "none");
    let undone = undone.then(|| "the preset acts with outline cover alone".to_owned());
    // The predecessor's parameters are often sent as they are by default.
    let is_set = |row: &&Parameter| is_given(row) && given.get(row.name).and_then(Value::as_f64) != Some(row.default);
    let covers = p.outline == OutlineMode::Cover;
    let of_tolerance = WITHOUT_BUDGET.iter().filter(|row| covers && p.max_vertices > 0 && is_set(row));
    let of_density = OF_DENSITY.iter().filter(|row| covers && p.internal_vertex_density == 0 && is_set(row));
    undone
        .into_iter()
        .chain(idle.iter().filter(is_given).map(|row| format!("{} acts with outline {other} alone", row.name)))
        .chain(of_tolerance.map(|row| format!("{} acts only where max_vertices is 0", row.name)))
        .chain(of_density.map(|row| format!("{} acts only where internal_vertex_density is at least 1", row.name)))
        .collect()
}

/// Jaro-Winkler favours common beginnings, which is how names are misremembered: `blur`, `detail`, `blurKernel`.
fn nearest_known(name: &str) -> &'static str {
    let name = name.to_lowercase();
    let by_similarity = |a: &&str, b: &&str| strsim::jaro_winkler(a, &name).total_cmp(&strsim::jaro_winkler(b, &name));
    PARAMETERS.iter().map(|row| row.name).max_by(by_similarity).unwrap_or_default()
}
