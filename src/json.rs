//! JSON objects, made and read by hand.
//!
//! `json!` and derived readers unfold into code at every place that uses them; here it stands once.

use serde_json::{Map, Value};

pub fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut map = Map::new();
    for (name, value) in fields {
        map.insert(name.to_owned(), value);
    }
    Value::Object(map)
}

pub fn list(values: impl Iterator<Item = Value>) -> Value {
    Value::Array(values.collect())
}

/// `None` for what is not JSON.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// `None` for what is not JSON in UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> Option<Value> {
    parse(std::str::from_utf8(bytes).ok()?)
}

/// A text field of an object; `None` when absent, null or not text.
pub fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

pub fn owned(value: &Value, field: &str) -> Option<String> {
    text(value, field).map(str::to_owned)
}

/// A whole number that is not negative; `None` when absent or anything else.
pub fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field)?.as_u64()
}

pub fn empty_object() -> Value {
    Value::Object(Map::new())
}
