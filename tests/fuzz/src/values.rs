//! Rows, records and tab messages: whatever can be read survives being written again.

use surechat::{
    json::{Value, parse, print},
    message::{Envelope, Failure, Member, StoredMessage},
    store::{Table, is_known, key_of},
    sync::Conversation,
    tabs::TabMessage,
};

pub fn values(data: &[u8]) {
    let Some(value) = super::scenario(data) else { return };
    assert_eq!(parse(&print(&value)).as_ref(), Some(&value));
    for table in Table::ALL {
        let _ = key_of(table, &value);
    }
    survives(&value, StoredMessage::from_row, StoredMessage::to_row);
    survives(&value, Member::from_value, Member::to_value);
    survives(&value, Failure::from_value, Failure::to_value);
    survives(&value, TabMessage::from_value, TabMessage::to_value);
    if let Some(conversation) = survives(&value, Conversation::from_record, Conversation::to_record) {
        assert!(is_known(&value), "a record of another version is nobody's to read");
        assert!(conversation.stored <= conversation.cursor);
    }
    survives(&value, Envelope::from_record, |envelope| {
        let mut fields = envelope.fields();
        fields.set("created_at", envelope.created_at);
        fields.into()
    });
}

fn survives<T: PartialEq>(value: &Value, read: impl Fn(&Value) -> Option<T>, write: impl Fn(&T) -> Value) -> Option<T> {
    let first = read(value)?;
    let again = read(&write(&first));
    assert!(again.as_ref() == Some(&first), "what was written is not what is read: {}", write(&first));
    Some(first)
}
