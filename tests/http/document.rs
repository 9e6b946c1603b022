//! The OpenAPI document in the repository is the one that is served.

use std::path::Path;

use serde_json::Value;

use crate::service::Service;

/// `BLESS=1` writes the document and fails the run.
#[tokio::test]
async fn the_documents_copy_is_what_is_served() {
    let service = Service::start().await;
    let served = service.get("/openapi.json").await.expect(200).json();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let kept: Value = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if served == kept {
        return;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{served:#}\n")).unwrap();
    }
    panic!("docs/openapi.json is not what is served; BLESS=1 writes it");
}

#[tokio::test]
async fn every_operation_is_complete() {
    let service = Service::start().await;
    let document = service.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let mut count = 0;
    for (path, method, operation) in
        paths.iter().flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(m, o)| (path, m, o)))
    {
        count += 1;
        for field in ["operationId", "summary"] {
            assert!(operation[field].is_string(), "{method} {path} has no {field}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(path == "/ready" || responses.contains_key("500"), "{method} {path} has no errors");
        for (name, response) in responses {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {name}");
        }
    }
    assert_eq!(count, 17);
    let references = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in references.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(schemas.contains_key(name), "{name} is not there");
    }
}
