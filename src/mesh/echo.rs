//! What a caller sent, as messages repeat it: long enough to be known again, and never as long as it came.

use serde_json::Value;

/// Longest name or text repeated in a message, in characters. A request may hold megabytes.
const LONGEST_ECHO: usize = 60;

/// A value as it is repeated in a message.
pub(crate) fn echo(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(shorten(text)),
        Value::Array(_) => Value::String("an array".into()),
        Value::Object(_) => Value::String("an object".into()),
        other => other.clone(),
    }
}

/// A text as it is repeated in a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_ECHO).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
