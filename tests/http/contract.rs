//! Answers held against the OpenAPI document that the service itself serves.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::wire::{Answer, Ask};

/// Whether a key was refused for what it may not do.
fn is_scope(answer: &Answer) -> bool {
    answer.status == 403 && answer.text().contains("--scope")
}

/// The document, and what to check with it.
pub(crate) struct Contract {
    document: Value,
}

impl Contract {
    pub(crate) fn new(document: Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        Self { document }
    }

    /// Every code that the document knows.
    pub(crate) fn codes(&self) -> Vec<String> {
        let names = self.document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Whether the document describes this answer to this question.
    #[track_caller]
    pub(crate) fn check(&self, ask: &Ask, answer: &Answer) {
        assert!(answer.header("x-request-id").is_some(), "{ask:?} {answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{ask:?}");
        if matches!(answer.status, 429 | 503) {
            let after: Option<u64> = answer.header("retry-after").map(|after| after.parse().unwrap());
            assert!(after.is_some_and(|after| after >= 1), "{answer:?}");
        }
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{ask:?}");
        assert!(answer.header("cross-origin-resource-policy").is_some(), "{ask:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401 || is_scope(answer), "{answer:?}");
        let media_type = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        let response = match self.operation(ask) {
            Some(operation) => operation["responses"].get(answer.status.to_string()),
            // What is no operation is an error, or one of the pages.
            None if answer.status >= 400 => {
                Some(&self.document["paths"]["/api/v1/mesh/jobs"]["get"]["responses"]["422"])
            }
            None => return,
        };
        let shown = || format!("{} {}: {} {}", ask.method, ask.path, answer.status, answer.text());
        let response = response.unwrap_or_else(|| panic!("an answer that is not in the document: {}", shown()));
        let Some(content) = response.get("content") else {
            assert!(answer.body.is_empty(), "a body that is not in the document: {}", shown());
            return;
        };
        if ask.method == "HEAD" {
            return;
        }
        let content = content.get(media_type);
        let content = content.unwrap_or_else(|| panic!("{media_type:?} is not in the document: {}", shown()));
        if media_type.ends_with("json") {
            let errors: Vec<String> =
                self.validator(&content["schema"]).iter_errors(&answer.json()).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?} in {}", shown());
        }
    }

    /// The operation that a path without its query belongs to.
    fn operation(&self, ask: &Ask) -> Option<&Value> {
        let path: Vec<&str> = ask.path.split('?').next().unwrap().split('/').collect();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            let mut pairs = template.iter().zip(&path);
            template.len() == path.len() && pairs.all(|(part, given)| part.starts_with('{') || part == given)
        };
        let paths = self.document["paths"].as_object().unwrap();
        let mut found: Vec<(&String, &Value)> = paths.iter().filter(|(template, _)| fits(template)).collect();
        // A word is nearer than a placeholder.
        found.sort_by_key(|(template, _)| template.matches('{').count());
        let method = if ask.method == "HEAD" { "get" } else { &ask.method.to_lowercase() };
        found.first().and_then(|(_, item)| item.get(method))
    }

    /// A schema with what it refers to.
    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        jsonschema::validator_for(&whole).unwrap()
    }

    /// Checks a value against one of the named schemas.
    #[track_caller]
    pub(crate) fn check_value(&self, name: &str, value: &Value) {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        let errors: Vec<String> = self.validator(&schema).iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {value}");
    }
}
