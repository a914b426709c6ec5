//! Text and values by serde_json.

use super::{Object, Value};

#[cfg(not(target_family = "wasm"))]
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from)
}

pub fn print(value: &Value) -> String {
    serde_json::Value::from(value).to_string()
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => number.as_f64().map_or(Value::Null, Value::Number),
            Json::String(text) => Value::String(text),
            Json::Array(items) => Value::Array(items.into_iter().map(Value::from).collect()),
            Json::Object(fields) => {
                let mut object = Object::default();
                for (name, value) in fields {
                    object.push(name, value.into());
                }
                Value::Object(object)
            }
        }
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            // Whole numbers are printed as such, as JavaScript prints them.
            Value::Number(number) => value.as_u64().map_or_else(|| Self::from(*number), Self::from),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => items.iter().map(Self::from).collect(),
            Value::Object(object) => {
                object.fields().iter().map(|(name, value)| (name.clone(), Self::from(value))).collect()
            }
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print(self))
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<u64> for Value {
    fn eq(&self, other: &u64) -> bool {
        self.as_u64() == Some(*other)
    }
}

#[cfg(not(target_family = "wasm"))]
impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::Value::from(self).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Value::from)
    }
}

/// `null` for an item that is not there.
impl std::ops::Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.as_array().and_then(|items| items.get(index)).unwrap_or(&Value::Null)
    }
}

/// `json!` of serde_json, as a value of ours.
#[macro_export]
macro_rules! json {
    ($($tokens:tt)+) => { $crate::json::Value::from(serde_json::json!($($tokens)+)) };
}
