//! JSON values across the border, the one type that crosses it, and the browser's own `JSON`.

use js_sys::{Array, JSON, JsString, Object, Reflect};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_wasm_bindgen::{Serializer as ToJs, preserve};
use wasm_bindgen::{JsCast, JsError, JsValue};

use crate::json::{self, Value};

/// Plain objects, arrays, numbers and `null`.
pub fn to_js(value: &Value) -> JsValue {
    value.serialize(&ToJs::json_compatible()).unwrap_or(JsValue::NULL)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Object(object) if object.get("__proto__").is_some() => preserve::serialize(&own(object), serializer),
            Value::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.fields().len()))?;
                for (name, value) in object.fields() {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// To assign to a field of this name is to change what the object inherits: `JSON` makes it a field like any other.
fn own(object: &json::Object) -> Object {
    let fields = object.fields().iter().map(|(name, value)| Array::of2(&name.into(), &to_js(value)));
    Object::from_entries(&fields.collect::<Array>()).unwrap_or_else(|_| Object::new())
}

/// Deeper than anybody means it, and safe on a small stack.
const MAX_DEPTH: u32 = 128;

/// What is to become of what lies too deep.
#[derive(Clone, Copy, PartialEq)]
enum TooDeep {
    /// It spoils the whole: an app hears that its metadata cannot be sent.
    Refused,
    /// It is `null`: one odd row of somebody else must not spoil an answer.
    Cut,
}

/// What is not JSON is `null`.
pub fn from_js(value: &JsValue) -> Value {
    read(value, MAX_DEPTH, TooDeep::Cut).unwrap_or_default()
}

fn read(value: &JsValue, depth: u32, too_deep: TooDeep) -> Option<Value> {
    if depth == 0 {
        return (too_deep == TooDeep::Cut).then_some(Value::Null);
    }
    if let Some(text) = value.as_string() {
        return Some(Value::String(text));
    }
    if let Some(number) = value.as_f64() {
        return Some(if number.is_finite() { Value::Number(number) } else { Value::Null });
    }
    if let Some(value) = value.as_bool() {
        return Some(Value::Bool(value));
    }
    let inner = |value: &JsValue| read(value, depth - 1, too_deep);
    if let Some(items) = value.dyn_ref::<Array>() {
        return items.iter().map(|item| inner(&item)).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    let Some(object) = value.dyn_ref::<Object>().filter(|_| !value.is_function()) else {
        return Some(Value::Null);
    };
    let mut fields = json::Object::default();
    for field in Object::entries(object).iter() {
        let field: Array = field.unchecked_into();
        fields.push(field.get(0).as_string().unwrap_or_default(), inner(&field.get(1))?);
    }
    Some(fields.into())
}

/// What `JSON.stringify` makes of an app's own object, except that what it would drop in silence (functions, symbols)
/// spoils the whole, as cycles, BigInts and too great a depth do: then, and for `undefined` itself, it is `null`.
pub fn from_app(value: &JsValue) -> Value {
    let mut keep = |_key: JsString, value: JsValue| {
        if value.is_function() || value.is_symbol() { Err(JsError::new("not JSON")) } else { Ok(Some(value)) }
    };
    let json = JSON::stringify_with_replacer_func(value, &mut keep, None);
    let plain = json.ok().and_then(|text| JSON::parse(&text.as_string()?).ok());
    plain.and_then(|plain| read(&plain, MAX_DEPTH, TooDeep::Refused)).unwrap_or_default()
}

pub fn parse(text: &str) -> Option<Value> {
    read(&JSON::parse(text).ok()?, MAX_DEPTH, TooDeep::Cut)
}

pub fn print(value: &Value) -> String {
    JSON::stringify(&to_js(value)).ok().and_then(|text| text.as_string()).unwrap_or_default()
}

/// `undefined` where there is none, or where it may not be read.
pub fn field(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &name.into()).unwrap_or_default()
}

pub fn global(name: &str) -> JsValue {
    field(&js_sys::global(), name)
}
