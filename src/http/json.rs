//! JSON from strangers: one value, nested no deeper than a limit, no name twice in an object.
//!
//! Two readers that disagree on which of two equal names counts are how one part of a system is told something else than
//! another, so such a text is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::codes::Code;
use super::error::ApiError;

/// Arrays and objects within each other. The API's own bodies need 3; each level costs stack while it is read.
const DEEPEST: usize = 32;

/// Values in a text, those within others included: a batch of the largest size has a tenth. Each takes many times the
/// bytes that it is sent as.
const MOST_VALUES: usize = 100_000;

/// Reads a whole text.
///
/// # Errors
/// `MALFORMED_REQUEST` with what is wrong and where.
pub(super) fn read(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(malformed("it begins with a byte order mark; send UTF-8 without one"));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(malformed(&format!("it is not UTF-8 at byte {}", error.valid_up_to())));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(MOST_VALUES);
    let value =
        Strict { depth: 0, left: &left }.deserialize(&mut reader).map_err(|error| malformed(&error.to_string()))?;
    reader.end().map_err(|error| malformed(&error.to_string()))?;
    Ok(value)
}

fn malformed(what: &str) -> ApiError {
    ApiError::new(Code::MalformedRequest, format!("the text is not the JSON that it should be: {what}"))
}

/// Reads a value that is `depth` levels down.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// Values that may still come.
    left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom(format_args!("more than {DEEPEST} arrays and objects are nested")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(D::Error::custom(format_args!("there are more than {MOST_VALUES} values")));
        };
        self.left.set(left);
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let within = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(within)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let within = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            let value = items.next_value_seed(within)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("an object has the same name twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let error = read(bytes).unwrap_err();
        let message = error.to_json()["message"].as_str().unwrap().to_owned();
        assert_eq!(error.into_response().status(), 400);
        message
    }

    #[test]
    fn plain_json_is_read_as_it_stands() {
        let text = r#" {"a": [1, -2, 2.5, true, null, "\u00e4"], "b": {}} "#;
        assert_eq!(read(text.as_bytes()).unwrap(), json!({ "a": [1, -2, 2.5, true, null, "ä"], "b": {} }));
        let nested = [b"[".repeat(32), b"]".repeat(32)].concat();
        assert!(read(&nested).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(refusal(b"\xef\xbb\xbf{}").contains("byte order mark"));
        assert!(refusal(b"{\"a\": \"\xff\"}").contains("not UTF-8 at byte 7"));
        assert!(refusal(b"{\"a\": 1, \"a\": 2}").contains("same name twice"));
        assert!(refusal(&b"[".repeat(10_000)).contains("nested"));
        assert!(refusal(&[b"[".repeat(33), b"]".repeat(33)].concat()).contains("nested"));
        assert!(refusal(b"{\"a\": 1e999}").contains("out of range"));
        assert!(refusal(format!("[{}0]", "0,".repeat(100_000)).as_bytes()).contains("more than 100000 values"));
        for broken in [&b"{\"a\": NaN}"[..], b"", b"{", b"{} {}", b"{'a': 1}", b"[1,]", b"\"\x01\"", b"Infinity"] {
            assert!(!refusal(broken).is_empty());
        }
    }
}
