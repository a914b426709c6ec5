use crate::json;

use super::*;

#[test]
fn an_id_is_a_version_7_uuid_that_starts_with_the_clock() {
    let id = MessageId::v7(0x0123_4567_89ab, [0xff; 10]);
    assert_eq!(id.as_str(), "01234567-89ab-7fff-bfff-ffffffffffff");
    assert_eq!(MessageId::parse(id.as_str()), Some(id));
}

#[test]
fn text_that_is_no_uuid_is_no_id() {
    for text in [
        "",
        "01234567-89ab-7fff-bfff-fffffffffff",
        "01234567-89ab-7fff-bfff-ffffffffffzz",
        "é1234567-89ab-7fff-bfff-fffffffffff",
    ] {
        assert_eq!(MessageId::parse(text), None, "{text}");
    }
}

#[test]
fn times_are_spelled_as_javascript_spells_them() {
    assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(iso8601(951_827_696_789), "2000-02-29T12:34:56.789Z");
    assert_eq!(iso8601(1_795_415_400_000), "2026-11-23T06:30:00.000Z");
    assert_eq!(iso8601(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    assert_eq!(iso8601(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
}

#[test]
fn a_row_survives_the_way_through_json() {
    let row = json!({
        "id": "01890000-0000-7000-8000-000000000001", "conversation_id": "b1", "seq": 3, "kind": "message",
        "target_id": null, "sender_id": "u1", "sender_role": "operator", "content": "hello", "message_type": "text",
        "metadata": {"a": [1, 2]}, "created_at": "2026-11-23T06:30:00+00:00", "edited_at": null, "deleted_at": null
    });
    assert_eq!(StoredMessage::from_row(&row).map(|message| message.to_row()), Some(row));
}

#[test]
fn a_row_that_lacks_what_it_needs_is_not_read() {
    for field in ["id", "conversation_id", "seq", "kind", "content", "created_at"] {
        let mut row = json!({
            "id": "01890000-0000-7000-8000-000000000001", "conversation_id": "b1", "seq": 3, "kind": "message",
            "content": "hello", "created_at": "2026-11-23T06:30:00+00:00"
        });
        assert!(StoredMessage::from_row(&row).is_some());
        row[field] = json!({});
        assert_eq!(StoredMessage::from_row(&row), None, "{field}");
    }
}

#[test]
fn bodies_never_reach_debug_output() {
    let envelope = Envelope {
        id: MessageId::v7(0, [0; 10]),
        conversation_id: "b1".into(),
        kind: Kind::Message,
        target_id: None,
        content: "my secret".into(),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: 0,
    };
    assert!(!format!("{envelope:?}").contains("secret"));
}

#[test]
fn bad_input_has_a_code() {
    let code = |conversation: &str, content: &str, metadata: Value| {
        check(conversation, content, "text", &metadata).err().map(|r| r.code)
    };
    assert_eq!(code("b1", "hello", json!({})), None);
    assert_eq!(code("", "hello", json!({})), Some("invalid_conversation"));
    assert_eq!(code("b1", " \n\t", json!({})), Some("empty_message"));
    assert_eq!(code("b1", &"x".repeat(MAX_CONTENT_BYTES), json!({})), None);
    assert_eq!(code("b1", &"x".repeat(MAX_CONTENT_BYTES + 1), json!({})), Some("message_too_large"));
    assert_eq!(code("b1", "a\0b", json!({})), Some("invalid_text"));
    assert_eq!(code("b1", "hello", json!([])), Some("invalid_metadata"));
    assert_eq!(code("b1", "hello", json!({"a": [{"b": "\0"}]})), Some("invalid_metadata"));
    assert_eq!(code("b1", "hello", json!({"a": "x".repeat(MAX_METADATA_BYTES)})), Some("invalid_metadata"));
}

#[test]
fn the_id_of_a_delete_is_derived_and_never_that_of_its_target() {
    let id = MessageId::v7(0x0123_4567_89ab, [0xff; 10]);
    assert_eq!(id.of_delete().as_str(), "01234567-89ab-8fff-bfff-ffffffffffff");
    assert_eq!(id.of_delete(), id.of_delete());
    assert_eq!(id.of_delete().of_delete().as_str(), "01234567-89ab-9fff-bfff-ffffffffffff");
}

#[test]
fn a_tombstone_stands_in_the_place_of_its_message_and_tells_nothing_of_it() {
    let envelope = Envelope {
        id: MessageId::v7(0, [1; 10]),
        conversation_id: "b1".into(),
        kind: Kind::Message,
        target_id: None,
        content: "my secret".into(),
        message_type: "text".into(),
        metadata: json!({"secret": 1}),
        created_at: 5,
    };
    let tombstone = envelope.tombstone();
    assert!(tombstone.is_tombstone() && !envelope.is_tombstone());
    assert_eq!((&tombstone.id, tombstone.target_id.as_deref()), (&envelope.id, Some(envelope.id.as_str())));
    assert_eq!((tombstone.content.as_str(), &tombstone.metadata), ("", &empty_object()));
    let delete = Envelope { target_id: Some("another".into()), ..tombstone.clone() };
    let edit = Envelope { kind: Kind::Edit, ..tombstone };
    assert!(!delete.is_tombstone() && !edit.is_tombstone());
}

#[test]
fn times_are_read_to_the_microsecond_in_every_spelling() {
    let expected = Some(1_795_408_066_023_359);
    for text in [
        "2026-11-23T04:27:46.023359+00:00",
        "2026-11-23 04:27:46.023359+00",
        "2026-11-23T04:27:46.023359Z",
        "2026-11-23T04:27:46.023359",
        "2026-11-23T09:57:46.023359+05:30",
        "2026-11-22T20:27:46.023359-0800",
        "2026-11-23T04:27:46.0233594Z",
    ] {
        assert_eq!(micros(text), expected, "{text}");
    }
    assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(micros("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500_000));
    for text in ["", "infinity", "2026-11-23", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-11-23T04:27:46x"] {
        assert_eq!(micros(text), None, "{text}");
    }
}

#[test]
fn a_written_time_is_read_as_the_same() {
    for ms in [0, 951_782_400_000, 1_709_164_800_123, 1_795_408_066_023, 4_102_444_799_999] {
        assert_eq!(micros(&iso8601(ms)), Some(ms * 1_000), "{ms}");
    }
}
