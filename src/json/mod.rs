//! JSON values: the plain data of requests, frames and records.
//!
//! What turns text into values and back is the host's own: the browser's `JSON`, which is there
//! anyway, and serde_json natively. A parser, a printer and the arithmetic of floats for this
//! module alone would weigh as much as the engine.

#[cfg(any(test, not(target_family = "wasm")))]
mod native;
mod value;

#[cfg(not(target_family = "wasm"))]
use native as host;
pub use value::{Object, Value};

#[cfg(target_family = "wasm")]
use crate::browser::value as host;

/// `None` for what is not JSON.
pub fn parse(text: &str) -> Option<Value> {
    host::parse(text)
}

/// `None` for what is not JSON in UTF-8.
pub fn parse_bytes(bytes: &[u8]) -> Option<Value> {
    parse(std::str::from_utf8(bytes).ok()?)
}

/// As text without blanks.
pub fn print(value: &Value) -> String {
    host::print(value)
}

/// `fields! { "name": value }`, whose every field is a call: shorter, once compiled, than a list of all of them.
macro_rules! fields {
    ($($name:literal: $value:expr),+ $(,)?) => {{
        let mut fields = $crate::json::Object::default();
        $(fields.set($name, $value);)+
        fields
    }};
}

pub(crate) use fields;

pub fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut object = Object::default();
    for (name, value) in fields {
        object.push(name.to_owned(), value);
    }
    Value::Object(object)
}

pub fn list(values: impl Iterator<Item = Value>) -> Value {
    Value::Array(values.collect())
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

/// The items of a list; none when absent or anything else.
pub fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).unwrap_or_default()
}

pub fn empty_object() -> Value {
    Value::Object(Object::default())
}

#[cfg(test)]
mod tests;
