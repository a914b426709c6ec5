//! JSON values across the border: the one type that crosses it.

use js_sys::{JSON, JsString};
use serde::Serialize;
use serde_json::Value;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::{JsError, JsValue};

/// Plain objects, arrays, numbers and `null`.
pub fn to_js(value: &Value) -> JsValue {
    // An integer above 2^53, which another client may have put into a message's metadata, is an error to the
    // serializer; JSON rounds it, as it does in every other program of the web.
    value
        .serialize(&Serializer::json_compatible())
        .or_else(|_| JSON::parse(&value.to_string()))
        .unwrap_or(JsValue::NULL)
}

/// What is not JSON is `null`.
pub fn from_js(value: &JsValue) -> Value {
    read(JSON::stringify(value))
}

/// What `JSON.stringify` makes of an app's own object, except that what it would drop in silence (functions, symbols)
/// spoils the whole, as cycles and BigInts do: then, and for `undefined` itself, it is `null`.
pub fn from_app(value: &JsValue) -> Value {
    let mut keep = |_key: JsString, value: JsValue| {
        if value.is_function() || value.is_symbol() { Err(JsError::new("not JSON")) } else { Ok(Some(value)) }
    };
    read(JSON::stringify_with_replacer_func(value, &mut keep, None))
}

/// By way of text: serde-wasm-bindgen's reader brings the formatting of floats along, a tenth of this module.
fn read(json: Result<JsString, JsValue>) -> Value {
    json.ok().and_then(|text| text.as_string()).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}
