//! Parameters: read as pydantic reads them, refused all at once, documented from one table.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use spinelift::mesh::parameters::{Holes, Islands, Kind, OutlineMode, PARAMETERS};
use spinelift::mesh::{Error, MeshParameters};

/// JSON text; what pydantic 2.14.3 makes of it in a field `int` from 0 to 255 and in a field `float` from 0 to 100,
/// both optional. `None` is a refusal. Its JSON and its Python mode agree on every row.
#[rustfmt::skip]
const PYDANTIC: &[(&str, Option<f64>, Option<f64>)] = &[
    (r#"20"#, Some(20.0), Some(20.0)),
    (r#"20.0"#, Some(20.0), Some(20.0)),
    (r#"20.5"#, None, Some(20.5)),
    (r#"2e1"#, Some(20.0), Some(20.0)),
    (r#"-0.0"#, Some(0.0), Some(0.0)),
    (r#"-0"#, Some(0.0), Some(0.0)),
    (r#"-1"#, None, None),
    (r#"101"#, Some(101.0), None),
    (r#"256"#, None, None),
    (r#"20.000000000000001"#, Some(20.0), Some(20.0)),
    (r#"99999999999999999999"#, None, None),
    (r#"1e20"#, None, None),
    (r#"true"#, Some(1.0), Some(1.0)),
    (r#"false"#, Some(0.0), Some(0.0)),
    (r#"null"#, ABSENT, ABSENT),
    (r#"[]"#, None, None),
    (r#"[20]"#, None, None),
    (r#"{}"#, None, None),
    (r#""20""#, Some(20.0), Some(20.0)),
    (r#""20.0""#, Some(20.0), Some(20.0)),
    (r#""0020.000""#, Some(20.0), Some(20.0)),
    (r#""020""#, Some(20.0), Some(20.0)),
    (r#""+20""#, Some(20.0), Some(20.0)),
    (r#""+0020""#, Some(20.0), Some(20.0)),
    (r#""20.5""#, None, Some(20.5)),
    (r#""20.""#, None, Some(20.0)),
    (r#"".5""#, None, Some(0.5)),
    (r#""+.5""#, None, Some(0.5)),
    (r#"".0""#, None, Some(0.0)),
    (r#""-0""#, Some(0.0), Some(0.0)),
    (r#""-0.0""#, Some(0.0), Some(0.0)),
    (r#""-1""#, None, None),
    (r#""300""#, None, None),
    (r#""2e1""#, None, Some(20.0)),
    (r#""2E+1""#, None, Some(20.0)),
    (r#""200e-1""#, None, Some(20.0)),
    (r#"" 20 ""#, Some(20.0), Some(20.0)),
    (r#""\t20\n""#, Some(20.0), Some(20.0)),
    (r#""\u00a020""#, Some(20.0), Some(20.0)),
    (r#""\u200920\u2028""#, Some(20.0), Some(20.0)),
    (r#""\u008520""#, Some(20.0), Some(20.0)),
    (r#""\u000b20""#, Some(20.0), Some(20.0)),
    (r#""\u001c20""#, None, None),
    (r#""\u200b20""#, None, None),
    (r#""\ufeff20""#, None, None),
    (r#""1_0""#, Some(10.0), Some(10.0)),
    (r#""1__0""#, None, None),
    (r#""_10""#, None, None),
    (r#""10_""#, None, None),
    (r#""0_1""#, Some(1.0), Some(1.0)),
    (r#""0__1""#, Some(1.0), None),
    (r#""0_""#, None, None),
    (r#""0_0""#, Some(0.0), Some(0.0)),
    (r#""1_0.0""#, Some(10.0), Some(10.0)),
    (r#""1_0.5""#, None, Some(10.5)),
    (r#""20.0_0""#, None, Some(20.0)),
    (r#""2_0.00""#, Some(20.0), Some(20.0)),
    (r#""+_1""#, None, Some(1.0)),
    (r#""1_.0""#, None, Some(1.0)),
    (r#""._5""#, None, Some(0.5)),
    (r#""1e_1""#, None, Some(10.0)),
    (r#""1e1_0""#, None, None),
    (r#""20.00000000000000000000001""#, None, Some(20.0)),
    (r#""99999999999999999999""#, None, None),
    (r#""1e400""#, None, None),
    (r#""""#, None, None),
    (r#"" ""#, None, None),
    (r#""+""#, None, None),
    (r#""-""#, None, None),
    (r#"".""#, None, None),
    (r#""_""#, None, None),
    (r#""abc""#, None, None),
    (r#""true""#, None, None),
    (r#""null""#, None, None),
    (r#""nan""#, None, None),
    (r#""inf""#, None, None),
    (r#""Infinity""#, None, None),
    (r#""+ 20""#, None, None),
    (r#""--20""#, None, None),
    (r#""+-20""#, None, None),
    (r#""2 0""#, None, None),
    (r#""20. 0""#, None, None),
    (r#""20f""#, None, None),
    (r#""20px""#, None, None),
    (r#""20,5""#, None, None),
    (r#""0x10""#, None, None),
    (r#""0b1""#, None, None),
    (r#""5e""#, None, None),
    (r#""e5""#, None, None),
    (r#""\u0662\u0660""#, None, None),
    (r#""1\u00000""#, None, None),
];

/// Null leaves the default; both fields' stand-ins are given it through this value.
const ABSENT: Option<f64> = Some(-1.0);

fn read_one(name: &str, value: Value) -> Option<MeshParameters> {
    let mut given = Map::new();
    given.insert(name.into(), value);
    MeshParameters::from_json(&Value::Object(given)).ok().map(|(parameters, _)| parameters)
}

#[test]
fn values_are_read_as_pydantic_reads_them() {
    let default = MeshParameters::default();
    let or_default = |expected: Option<f64>, default: f64| if expected == ABSENT { Some(default) } else { expected };
    for (text, whole, real) in PYDANTIC {
        let value: Value = serde_json::from_str(text).unwrap();
        let got = read_one("alpha_threshold", value.clone()).map(|p| f64::from(p.alpha_threshold));
        assert_eq!(got, or_default(*whole, f64::from(default.alpha_threshold)), "{text} as an integer");
        let got = read_one("concave_factor", value).map(|p| p.concave_factor);
        assert_eq!(got, or_default(*real, default.concave_factor), "{text} as a number");
    }
}

#[test]
fn nothing_given_is_the_default() {
    let (parameters, warnings) = MeshParameters::from_json(&json!({})).unwrap();
    assert_eq!(parameters, MeshParameters::default());
    assert!(warnings.is_empty());
}

#[test]
fn defaults_are_the_specifications() {
    let echoed = serde_json::to_value(MeshParameters::default()).unwrap();
    let specified = json!({
        "detail_factor": 0.01, "alpha_threshold": 10, "concave_factor": 0.0, "internal_vertex_density": 0,
        "blur_kernel_size": 1, "binary_threshold": 128, "min_contour_area": 10.0, "density_scaling_factor": 1000.0,
        "min_triangle_area": 1.0,
    });
    assert_eq!(echoed, specified);
}

#[test]
fn bounds_are_inclusive_and_nothing_beyond_passes() {
    for row in PARAMETERS.iter().filter(|row| !matches!(row.kind, Kind::Choice(_))) {
        let step = if row.kind == Kind::Whole { 1.0 } else { row.max * 1e-9 };
        assert!(read_one(row.name, json!(row.min)).is_some(), "{} at its minimum", row.name);
        assert!(read_one(row.name, json!(row.max)).is_some(), "{} at its maximum", row.name);
        assert!(read_one(row.name, json!(row.default)).is_some(), "{} at its default", row.name);
        assert!(read_one(row.name, json!(row.min - step)).is_none(), "{} under its minimum", row.name);
        assert!(read_one(row.name, json!(row.max + step)).is_none(), "{} over its maximum", row.name);
    }
}

#[test]
fn words_are_those_of_the_table() {
    for row in &PARAMETERS {
        let Kind::Choice(words) = row.kind else { continue };
        for word in words {
            assert!(read_one(row.name, json!(word)).is_some(), "{} {word}", row.name);
            assert!(read_one(row.name, json!(format!(" {word} "))).is_some(), "{} {word}", row.name);
        }
        for wrong in [json!("nonsense"), json!(""), json!(0), json!(true), json!([words[0]])] {
            assert!(read_one(row.name, wrong.clone()).is_none(), "{} {wrong}", row.name);
        }
        let Err(error) = MeshParameters::from_json(&json!({ row.name: "nonsense" })) else { panic!("accepted") };
        assert!(error.to_string().contains(&format!("must be one of {}", words.join(", "))), "{error}");
    }
}

#[test]
fn specks_may_be_kept_where_the_outline_covers() {
    let read = |given: Value| MeshParameters::from_json(&given).map(|(parameters, _)| parameters.min_contour_area);
    assert_eq!(read(json!({ "outline": "cover", "min_contour_area": 0 })).unwrap(), 0.0);
    assert_eq!(read(json!({ "preset": "sprite", "min_contour_area": 0.5 })).unwrap(), 0.5);
    for refused in [
        json!({ "min_contour_area": 0 }),
        json!({ "outline": "cover", "min_contour_area": -1 }),
        json!({ "preset": "sprite", "outline": "trace", "min_contour_area": 0 }),
    ] {
        assert!(read(refused.clone()).is_err(), "{refused}");
    }
}

#[test]
fn what_is_given_beside_a_preset_wins() {
    let read = |given: Value| MeshParameters::from_json(&given).unwrap().0;
    let sprite = read(json!({ "preset": "sprite" }));
    assert_eq!((sprite.outline, sprite.islands, sprite.max_vertices), (OutlineMode::Cover, Islands::Bridge, 16));
    let larger = read(json!({ "preset": "sprite", "max_vertices": 40, "islands": "all" }));
    assert_eq!((larger.islands, larger.max_vertices), (Islands::All, 40));
    let large = read(json!({ "preset": "deform-large", "max_vertices": 80 }));
    assert_eq!((large.max_vertices, large.density_scaling_factor, large.min_edge_length), (80, 300.0, 4.0));
    let tight = read(json!({ "preset": "tight", "holes": "fill" }));
    assert_eq!((tight.islands, tight.holes, tight.max_vertices), (Islands::All, Holes::Fill, 64));
    assert_eq!(read(json!({ "preset": "none" })), MeshParameters::default());
}

#[test]
fn what_does_not_act_is_told() {
    let warnings = |given: Value| MeshParameters::from_json(&given).unwrap().1;
    assert_eq!(warnings(json!({ "max_vertices": 20, "holes": null })), ["max_vertices acts with outline cover alone"]);
    assert_eq!(
        warnings(json!({ "preset": "sprite", "blur_kernel_size": 5 })),
        ["blur_kernel_size acts with outline trace alone"]
    );
    assert!(warnings(json!({ "outline": "cover", "holes": "cut", "detail_factor": 0.02 })).is_empty());
    assert_eq!(
        warnings(json!({ "preset": "sprite", "detail_factor": 0.02, "density_scaling_factor": 400 })),
        [
            "detail_factor acts only where max_vertices is 0",
            "density_scaling_factor acts only where internal_vertex_density is at least 1",
        ]
    );
    // As a client that sends all of them.
    assert!(warnings(json!({ "preset": "sprite", "detail_factor": 0.01, "concave_factor": 0 })).is_empty());
}

#[test]
fn a_preset_gives_nothing_to_an_outline_that_is_traced() {
    let (parameters, warnings) = MeshParameters::from_json(&json!({ "preset": "deform", "outline": "trace" })).unwrap();
    assert_eq!(parameters, MeshParameters::default());
    assert_eq!(warnings, ["the preset acts with outline cover alone"]);
}

#[test]
fn every_violation_is_reported_in_table_order() {
    let given = json!({
        "min_triangle_area": [], "alpha_threshold": 300, "detail_factor": "much", "blur_kernel_size": 2.5, "concave_factor": 1,
    });
    let Err(Error::Parameters(violations)) = MeshParameters::from_json(&given) else { panic!("accepted") };
    let names: Vec<&str> = violations.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["detail_factor", "alpha_threshold", "blur_kernel_size", "min_triangle_area"]);
    assert_eq!(violations[1].value, json!(300));
    assert_eq!(violations[1].expected, "a whole number from 0 to 255");
    assert_eq!(violations[0].expected, "a number from 0.001 to 0.05");
}

#[test]
fn anything_but_an_object_is_refused() {
    for value in [json!(null), json!([]), json!("x"), json!(1), json!(true)] {
        assert!(matches!(MeshParameters::from_json(&value), Err(Error::Parameters(v)) if v[0].name == "parameters"));
    }
}

#[test]
fn unknown_names_are_warned_about_with_the_nearest_known_one() {
    let nearest = [
        ("detail", "detail_factor"),
        ("detailFactor", "detail_factor"),
        ("DETAIL_FACTOR", "detail_factor"),
        ("blur", "blur_kernel_size"),
        ("blur_kernel", "blur_kernel_size"),
        ("alpha_treshold", "alpha_threshold"),
        ("internal_vertex_densty", "internal_vertex_density"),
        ("min_contour", "min_contour_area"),
        ("concav_factor", "concave_factor"),
    ];
    for (given, known) in nearest {
        let (parameters, warnings) = MeshParameters::from_json(&json!({ given: 5 })).unwrap();
        assert_eq!(parameters, MeshParameters::default(), "{given} is ignored");
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].contains(&format!("{given:?}")) && warnings[0].ends_with(&format!("{known:?}")),
            "{warnings:?}"
        );
    }
}

#[test]
fn messages_stay_short_when_input_is_long() {
    let long = "x".repeat(1 << 20);
    let error =
        MeshParameters::from_json(&json!({ "detail_factor": long, "concave_factor": vec![0; 1 << 16] })).unwrap_err();
    assert!(error.to_string().len() < 400, "{}", error.to_string().len());
    let many: Map<String, Value> = (0..1000).map(|i| (format!("{i}{long:.2000}"), Value::Null)).collect();
    let (_, warnings) = MeshParameters::from_json(&Value::Object(many)).unwrap();
    assert_eq!(warnings.len(), 11);
    assert!(warnings.iter().all(|warning| warning.len() < 200) && warnings[10].starts_with("990 more"));
}

#[test]
fn assignments_win_over_the_object_and_later_ones_over_earlier() {
    let base = json!({ "detail_factor": 0.02, "blur_kernel_size": 99 });
    let sets = ["blur_kernel_size=3", "concave_factor=5", "concave_factor= 6.5"];
    let (parameters, _) = MeshParameters::from_assignments(&base, &sets).unwrap();
    assert_eq!((parameters.detail_factor, parameters.blur_kernel_size, parameters.concave_factor), (0.02, 3, 6.5));
}

#[test]
fn malformed_assignments_are_reported_with_the_rest() {
    let sets = ["detail_factor", "alpha_threshold=300", "binary_threshold=x=y"];
    let Err(Error::Parameters(violations)) = MeshParameters::from_assignments(&Value::Null, &sets) else {
        panic!("accepted")
    };
    assert_eq!(violations.len(), 3);
    let text = Error::Parameters(violations).to_string();
    assert!(text.contains("alpha_threshold is 300, must be a whole number from 0 to 255"), "{text}");
    assert!(text.contains("binary_threshold is \"x=y\""), "{text}");
    assert!(text.contains("NAME=VALUE"), "{text}");
}

#[test]
fn even_blur_kernels_are_used_as_the_next_odd_one() {
    for (given, used) in [(1, 1), (2, 3), (3, 3), (20, 21), (21, 21)] {
        let parameters = read_one("blur_kernel_size", json!(given)).unwrap();
        assert_eq!((parameters.blur_kernel_size, parameters.blur_kernel()), (given, used));
    }
}

#[test]
fn check_finds_what_a_literal_got_wrong() {
    assert!(MeshParameters::default().check().is_ok());
    let wrong =
        MeshParameters { detail_factor: f64::NAN, blur_kernel_size: 0, min_contour_area: -1.0, ..Default::default() };
    let Err(Error::Parameters(violations)) = wrong.check() else { panic!("accepted") };
    assert_eq!(violations.len(), 3);
}

#[test]
fn field_docs_name_the_range_and_default_of_the_table() {
    let source = include_str!("../src/mesh/parameters.rs");
    // A preset is no field: it is what the other fields are when they are not given.
    for row in PARAMETERS.iter().filter(|row| row.name != "preset") {
        let field = source.find(&format!("pub {}:", row.name)).unwrap();
        let doc = &source[..field];
        let doc = &doc[doc.rfind("\n    pub ").or(doc.rfind("pub struct")).unwrap()..];
        let promise = match row.kind {
            Kind::Choice(_) => format!("Default {}.", row.default_value()),
            _ => format!("Range {}, default {}.", row.range(), row.default_value()),
        };
        assert!(doc.contains(&promise), "{} lacks {promise:?}", row.name);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-10..300i32).prop_map(Value::from),
        "[-+ _.0-9eE]{0,12}".prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![proptest::sample::select(PARAMETERS.map(|row| row.name.to_owned()).to_vec()), ".*"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_accepted_in_range_or_refused(value in any_json()) {
        match MeshParameters::from_json(&value) {
            Ok((parameters, _)) => {
                prop_assert!(parameters.check().is_ok());
                let echoed = serde_json::to_value(&parameters).unwrap();
                let (again, warnings) = MeshParameters::from_json(&echoed).unwrap();
                prop_assert_eq!(again, parameters);
                prop_assert!(warnings.iter().all(|warning| warning.contains(" acts ")), "{:?}", warnings);
            }
            Err(Error::Parameters(violations)) => prop_assert!(!violations.is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn any_assignment_is_accepted_in_range_or_refused(sets in proptest::collection::vec(".*", 0..4)) {
        match MeshParameters::from_assignments(&Value::Null, &sets) {
            Ok((parameters, _)) => prop_assert!(parameters.check().is_ok()),
            Err(error) => prop_assert!(matches!(error, Error::Parameters(_))),
        }
    }
}
