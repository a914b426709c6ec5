use super::*;
use crate::realtime::codec::{Body, DecodeError, Payload, decode_binary, decode_text, encode};

fn binary(topic: &[u8], event: &[u8], meta: &[u8], encoding: u8, payload: &[u8]) -> Vec<u8> {
    let len = |part: &[u8]| u8::try_from(part.len()).expect("a short part");
    let head = [4, len(topic), len(event), len(meta), encoding];
    [&head, topic, event, meta, payload].concat()
}

#[test]
fn a_push_is_written_as_a_version_2_array() {
    let text = encode(None, 3, "phoenix", "heartbeat", json!({}));
    assert_eq!(text, r#"[null,"3","phoenix","heartbeat",{}]"#);
    let text = encode(Some(1), 2, "realtime:\"ü\"", "e", json!({"a": [1]}));
    assert_eq!(text, r#"["1","2","realtime:\"ü\"","e",{"a":[1]}]"#);
}

#[test]
fn a_binary_broadcast_and_its_text_form_mean_the_same() {
    let bytes = binary(b"realtime:t", b"e", br#"{"id":"i"}"#, 1, br#"{"a":1}"#);
    let text =
        r#"[null,null,"realtime:t","broadcast",{"type":"broadcast","event":"e","payload":{"a":1},"meta":{"id":"i"}}]"#;
    assert_eq!(decode_binary(&bytes), decode_text(text));
}

#[test]
fn header_fields_of_255_bytes_are_read() {
    let long = [b'x'; 255];
    let bytes = binary(&long, &long, b"", 0, &[1, 2, 255]);
    let frame = decode_binary(&bytes).expect("a frame");
    assert_eq!(frame.topic.len(), 255);
    let Body::Broadcast { event, payload, .. } = frame.body else {
        panic!("{:?}", frame.body);
    };
    assert_eq!((event.len(), payload), (255, Payload::Bytes(vec![1, 2, 255])));
}

#[test]
fn a_broadcast_with_a_body_of_bytes_is_dropped_without_harm() {
    let mut rig = Rig::ready();
    let epoch = rig.epoch();
    let bytes = binary(b"realtime:room", b"e", b"", 0, &[1, 2]);
    rig.input(Input::Binary { epoch, bytes });
    assert!(rig.events.is_empty() && rig.outputs.is_empty());
}

#[test]
fn broken_frames_are_errors() {
    let big = format!("[null,null,\"t\",\"e\",\"{}\"]", "x".repeat(8 << 20));
    assert_eq!(decode_text(&big), Err(DecodeError::TooLarge));
    assert_eq!(decode_binary(big.as_bytes()), Err(DecodeError::TooLarge));
    assert_eq!(decode_text(&"[".repeat(100_000)), Err(DecodeError::NotJson));
    assert_eq!(decode_text("{}"), Err(DecodeError::Shape));
    assert_eq!(decode_text("[1,2,3,4]"), Err(DecodeError::Shape));
    assert_eq!(decode_text("[1,2,3,4,5]"), Err(DecodeError::Shape));
    assert_eq!(decode_binary(&[]), Err(DecodeError::Truncated));
    assert_eq!(decode_binary(&[4, 1]), Err(DecodeError::Truncated));
    assert_eq!(decode_binary(&[4, 9, 0, 0, 1, b'x']), Err(DecodeError::Truncated));
    assert_eq!(decode_binary(&[1, 0, 0, 0, 0]), Err(DecodeError::Kind));
    assert_eq!(decode_binary(&[4, 1, 0, 0, 1, 255]), Err(DecodeError::NotUtf8));
    assert_eq!(decode_binary(&[4, 0, 0, 0, 1]), Err(DecodeError::NotJson));
}

#[test]
fn payloads_of_an_unexpected_shape_are_read_as_far_as_they_go() {
    let body = |event: &str, payload: Value| {
        let frame = json!([null, null, "t", event, payload]).to_string();
        decode_text(&frame).expect("a frame").body
    };
    let refused = |reason: &str| Body::Reply { ok: false, reason: reason.into() };
    assert_eq!(body("phx_reply", json!(null)), refused(""));
    let bare = json!({"status": "error", "response": "payload_size_exceeded"});
    assert_eq!(body("phx_reply", bare), refused("payload_size_exceeded"));
    assert_eq!(
        body("postgres_changes", json!({"ids": ["x", 1], "data": {"errors": "odd"}})),
        Body::Change { data: json!({"errors": "odd"}), ids: vec![1], errors: vec!["odd".into()] }
    );
    assert_eq!(body("presence_state", json!([])), Body::PresenceState(json!({})));
    assert_eq!(body("of a later server", json!({})), Body::Unknown);
}
