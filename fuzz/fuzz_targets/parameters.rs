//! Any JSON as parameters: they are read within their ranges or every violation is named; no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use spinelift::mesh::{Error, MeshParameters};

fn verify(read: Result<(MeshParameters, Vec<String>), Error>) {
    match read {
        Ok((parameters, _)) => {
            parameters.check().expect("what was read is within range");
            let again = serde_json::to_value(&parameters).expect("parameters are JSON");
            let (twice, warnings) = MeshParameters::from_json(&again).expect("what was written can be read");
            assert_eq!(twice, parameters, "reading what was written changes it");
            assert!(warnings.is_empty(), "our own names are known");
        }
        Err(Error::Parameters(violations)) => {
            assert!(!violations.is_empty(), "a refusal names what it refuses");
            assert!(violations.iter().all(|v| !v.expected.is_empty()), "and what it wants");
        }
        Err(error) => panic!("{error}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        verify(MeshParameters::from_json(&value));
        verify(MeshParameters::from_assignments::<&str>(&value, &[]));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let assignments: Vec<&str> = text.lines().collect();
        verify(MeshParameters::from_assignments(&Value::Null, &assignments));
    }
});
