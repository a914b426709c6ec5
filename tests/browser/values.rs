//! Values across the border.

use crate::browser::value::{from_app, from_js, to_js};
use crate::{json, json::Value};
use js_sys::{JSON, Object};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::js;

#[wasm_bindgen_test]
fn values_come_back_from_javascript_as_they_went() {
    let value = json!({"text": "ä😀", "number": 4_503_599_627_370_497_u64, "list": [null, true, 1.5, {}, []]});
    assert_eq!(from_js(&to_js(&value)), value);
    assert_eq!(
        JSON::stringify(&to_js(&value)).unwrap(),
        r#"{"list":[null,true,1.5,{},[]],"number":4503599627370497,"text":"ä😀"}"#
    );
}

#[wasm_bindgen_test]
fn an_integer_beyond_javascript_is_rounded_and_loses_nothing_else() {
    let value = json!({"id": "a", "metadata": {"big": 18_446_744_073_709_551_615_u64}});
    assert_eq!(JSON::stringify(&to_js(&value)).unwrap(), r#"{"id":"a","metadata":{"big":18446744073709552000}}"#);
}

#[wasm_bindgen_test]
fn metadata_is_what_json_makes_of_it() {
    let given =
        js("{ text: 'x', date: new Date(0), gone: undefined, list: [1, undefined, null], nested: { deep: true } }");
    let expected = json!({
        "text": "x",
        "date": "1970-01-01T00:00:00.000Z",
        "list": [1, null, null],
        "nested": {"deep": true},
    });
    assert_eq!(from_app(&given), expected);
    assert_eq!(from_app(&js("{}")), json!({}));
}

#[wasm_bindgen_test]
fn a_field_called_proto_is_a_field_like_any_other() {
    let inherited = JsValue::from(Object::get_prototype_of(&Object::new()));
    for text in [
        r#"{"__proto__":{"deep":[{"__proto__":null,"a":1},{"a":{"__proto__":"x"}}]},"b":2}"#,
        r#"{"b":2,"__proto__":[{}]}"#,
        r#"{"__proto__":{"__proto__":7}}"#,
    ] {
        let given = JSON::parse(text).unwrap();
        let value = from_app(&given);
        let back = to_js(&value);
        assert_eq!(JSON::stringify(&back).unwrap(), text);
        assert_eq!(JsValue::from(Object::get_prototype_of(&back)), inherited);
        assert_eq!(json::print(&value), text);
        assert_eq!(json::parse(text), Some(value));
    }
}

#[wasm_bindgen_test]
fn metadata_that_is_not_json_is_null_and_not_an_exception() {
    for given in [
        "undefined",
        "() => 1",
        "Symbol('x')",
        "1n",
        "{ f() {} }",
        "{ list: [Symbol('x')] }",
        "{ big: 1n }",
        "(() => { const cycle = {}; cycle.self = cycle; return cycle })()",
        "{ get trap() { throw new Error('no') } }",
        "{ toJSON() { throw new Error('no') } }",
        "(() => { let deep = {}; for (let i = 0; i < 200; i++) deep = { deep }; return deep })()",
    ] {
        assert_eq!(from_app(&js(given)), Value::Null, "{given}");
    }
    assert_eq!(from_app(&JsValue::NULL), Value::Null);
}
