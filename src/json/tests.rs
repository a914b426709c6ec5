use super::*;
use crate::json;

#[test]
fn values_survive_the_way_through_text() {
    let value = json!({"a": [1, -2, 0.5, null, true, "é\n\"\u{1f600}"], "b": {"c": {}}});
    assert_eq!(parse(&print(&value)), Some(value));
    assert_eq!(print(&json!({"seq": 3})), r#"{"seq":3}"#);
}

#[test]
fn what_is_no_json_is_no_value() {
    for text in ["", "{", "<html>", "{\"a\":}", "nul"] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(parse_bytes(&[0xff, 0xfe]), None);
}

#[test]
fn objects_are_equal_whatever_the_order_of_their_fields() {
    let one = object(vec![("a", 1.into()), ("b", 2.into())]);
    let other = object(vec![("b", 2.into()), ("a", 1.into())]);
    assert_eq!(one, other);
    assert_ne!(one, object(vec![("a", 1.into())]));
    assert_ne!(one, object(vec![("a", 1.into()), ("b", 3.into())]));
}

#[test]
fn only_whole_numbers_that_can_be_counted_are_numbers_of_something() {
    let read = |value: Value| number(&object(vec![("n", value)]), "n");
    assert_eq!(read(7.into()), Some(7));
    for odd in [Value::Number(-1.0), Value::Number(0.5), Value::Number(1e300), Value::Number(f64::NAN), "7".into()] {
        assert_eq!(read(odd.clone()), None, "{odd:?}");
    }
}
