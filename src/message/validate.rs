//! What a message must be before it is accepted. A refusal here means: nothing was kept.

use crate::json::Value;

use super::json_weight;

/// The server's own limit on `content`, in UTF-8 bytes.
pub const MAX_CONTENT_BYTES: usize = 65_536;
/// Limit on `metadata`, in bytes of JSON, near enough.
pub const MAX_METADATA_BYTES: usize = 16_384;
const MAX_CONVERSATION_ID_CHARS: usize = 200;
const MAX_MESSAGE_TYPE_CHARS: usize = 64;

/// A stable code, and the reason for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    pub code: &'static str,
    pub because: &'static str,
}

impl Rejection {
    /// `unable`: what cannot be done, as in "unable to send".
    pub fn sentence(&self, unable: &str) -> String {
        [unable, "; because ", self.because].concat()
    }
}

const fn rejection(code: &'static str, because: &'static str) -> Rejection {
    Rejection { code, because }
}

pub fn check(conversation_id: &str, content: &str, message_type: &str, metadata: &Value) -> Result<(), Rejection> {
    check_conversation(conversation_id)?;
    if content.trim().is_empty() {
        return Err(rejection("empty_message", "the message is empty"));
    }
    if content.len() > MAX_CONTENT_BYTES {
        return Err(rejection("message_too_large", "the message is longer than 65536 bytes"));
    }
    if has_nul(content) || has_nul(message_type) {
        return Err(rejection("invalid_text", "the text has a NUL character"));
    }
    if message_type.is_empty() || message_type.chars().count() > MAX_MESSAGE_TYPE_CHARS {
        return Err(rejection("invalid_text", "the message type is empty or longer than 64 characters"));
    }
    if metadata.as_object().is_none() || nul_within(metadata) {
        return Err(rejection("invalid_metadata", "the metadata is not a plain JSON object without NUL characters"));
    }
    if json_weight(metadata) > MAX_METADATA_BYTES {
        return Err(rejection("invalid_metadata", "the metadata is larger than 16384 bytes"));
    }
    Ok(())
}

pub fn check_conversation(id: &str) -> Result<(), Rejection> {
    if id.is_empty() || has_nul(id) || id.chars().count() > MAX_CONVERSATION_ID_CHARS {
        return Err(rejection(
            "invalid_conversation",
            "the conversation id is empty or not a text of at most 200 characters",
        ));
    }
    Ok(())
}

fn has_nul(text: &str) -> bool {
    text.bytes().any(|byte| byte == 0)
}

fn nul_within(value: &Value) -> bool {
    match value {
        Value::String(text) => has_nul(text),
        Value::Array(items) => items.iter().any(nul_within),
        Value::Object(object) => object.fields().iter().any(|(key, field)| has_nul(key) || nul_within(field)),
        _ => false,
    }
}
