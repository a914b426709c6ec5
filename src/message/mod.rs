//! The vocabulary: what a message is, on the server and before it gets there.
//!
//! Everything that comes from outside (rows of the Data API, live payloads, records of the
//! database) is read by hand from a [`Value`], field by field, and answers `None` where it is not
//! what it should be. A derived reader would weigh kilobytes of WebAssembly per type.

mod id;
mod time;
mod validate;

use crate::json::{Object, Value, empty_object, fields, number, owned, text};

pub use id::MessageId;
pub use time::{iso8601, micros};
pub use validate::{MAX_CONTENT_BYTES, MAX_METADATA_BYTES, Rejection, check, check_conversation};

/// Role of the rows that nobody's browser sent.
pub const SYSTEM_ROLE: &str = "system";

/// What a row does: say something, or change something said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Message,
    Edit,
    Delete,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Edit => "edit",
            Kind::Delete => "delete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "message" => Some(Kind::Message),
            "edit" => Some(Kind::Edit),
            "delete" => Some(Kind::Delete),
            _ => None,
        }
    }
}

/// A row of the server's `chat_messages`, as the Data API, the live path and the cache spell it.
#[derive(Clone, PartialEq)]
pub struct StoredMessage {
    pub id: MessageId,
    pub conversation_id: String,
    /// Place in the conversation, from 1, without holes.
    pub seq: u64,
    pub kind: Kind,
    pub target_id: Option<String>,
    /// `None` for system messages.
    pub sender_id: Option<String>,
    pub sender_role: String,
    pub content: String,
    pub message_type: String,
    pub metadata: Value,
    /// The server's clock, kept verbatim.
    pub created_at: String,
    pub edited_at: Option<String>,
    pub deleted_at: Option<String>,
}

/// Hides the body: what people write never reaches a log.
impl std::fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredMessage({} #{} in {})", self.id, self.seq, self.conversation_id)
    }
}

impl StoredMessage {
    pub fn from_row(row: &Value) -> Option<Self> {
        Some(Self {
            id: MessageId::parse(text(row, "id")?)?,
            conversation_id: owned(row, "conversation_id")?,
            seq: number(row, "seq").filter(|seq| *seq > 0)?,
            kind: Kind::parse(text(row, "kind")?)?,
            target_id: owned(row, "target_id"),
            sender_id: owned(row, "sender_id"),
            sender_role: text(row, "sender_role").unwrap_or_default().to_owned(),
            content: owned(row, "content")?,
            message_type: text(row, "message_type").unwrap_or("text").to_owned(),
            metadata: row.get("metadata").cloned().unwrap_or_else(empty_object),
            created_at: owned(row, "created_at")?,
            edited_at: owned(row, "edited_at"),
            deleted_at: owned(row, "deleted_at"),
        })
    }

    pub fn to_row(&self) -> Value {
        fields! {
            "id": self.id.as_str(),
            "conversation_id": self.conversation_id.as_str(),
            "seq": self.seq,
            "kind": self.kind.as_str(),
            "target_id": self.target_id.as_deref(),
            "sender_id": self.sender_id.as_deref(),
            "sender_role": self.sender_role.as_str(),
            "content": self.content.as_str(),
            "message_type": self.message_type.as_str(),
            "metadata": self.metadata.clone(),
            "created_at": self.created_at.as_str(),
            "edited_at": self.edited_at.as_deref(),
            "deleted_at": self.deleted_at.as_deref(),
        }
        .into()
    }

    /// It is an edit or a delete of this message.
    pub fn aims_at(&self, id: &MessageId) -> bool {
        self.target_id.as_deref() == Some(id.as_str())
    }

    /// As an edit or a delete wants it. Answers whether that changed anything.
    pub fn amend(&mut self, amendment: &StoredMessage) -> bool {
        let at = Some(&amendment.created_at);
        if amendment.kind == Kind::Delete {
            let news = self.deleted_at.as_ref() != at;
            self.deleted_at = at.cloned();
            self.content.clear();
            self.metadata = empty_object();
            return news;
        }
        // The server empties the edits of a message that was deleted later; several of one request have one time.
        let differs = self.edited_at.as_ref() != at || self.content != amendment.content;
        let news = differs && self.deleted_at.is_none() && !amendment.content.is_empty();
        if news {
            self.edited_at = at.cloned();
            self.content = amendment.content.clone();
        }
        news
    }
}

/// What a person wrote, on its way: the content of an outbox row and of one row of a `send`.
#[derive(Clone, PartialEq)]
pub struct Envelope {
    /// Made once; the server's primary key and our idempotency key.
    pub id: MessageId,
    pub conversation_id: String,
    pub kind: Kind,
    pub target_id: Option<String>,
    pub content: String,
    pub message_type: String,
    pub metadata: Value,
    /// Wall clock of this device in milliseconds, shown until the server's time is known.
    pub created_at: u64,
}

/// Hides the body: what people write never reaches a log.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Envelope({} in {})", self.id, self.conversation_id)
    }
}

impl Envelope {
    pub fn fields(&self) -> Object {
        fields! {
            "id": self.id.as_str(),
            "conversation_id": self.conversation_id.as_str(),
            "kind": self.kind.as_str(),
            "target_id": self.target_id.as_deref(),
            "content": self.content.as_str(),
            "message_type": self.message_type.as_str(),
            "metadata": self.metadata.clone(),
        }
    }

    pub fn from_record(record: &Value) -> Option<Self> {
        Some(Self {
            id: MessageId::parse(text(record, "id")?)?,
            conversation_id: owned(record, "conversation_id")?,
            kind: Kind::parse(text(record, "kind")?)?,
            target_id: owned(record, "target_id"),
            content: owned(record, "content")?,
            message_type: owned(record, "message_type")?,
            metadata: record.get("metadata")?.clone(),
            created_at: number(record, "created_at")?,
        })
    }

    /// What takes the row's place when it is taken back: whatever arrives later under its id is a duplicate.
    pub fn tombstone(&self) -> Self {
        Self {
            kind: Kind::Delete,
            target_id: Some(self.id.as_str().to_owned()),
            content: String::new(),
            metadata: empty_object(),
            ..self.clone()
        }
    }

    pub fn is_tombstone(&self) -> bool {
        self.kind == Kind::Delete && self.target_id.as_deref() == Some(self.id.as_str())
    }

    /// Bytes this row takes in a request, near enough to fill requests by.
    pub fn weight(&self) -> usize {
        self.content.len() + json_weight(&self.metadata) + 256
    }
}

/// A member of a conversation and how far the messages got on that side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user_id: String,
    pub role: String,
    pub delivered_seq: u64,
    pub read_seq: u64,
}

impl Member {
    pub fn from_value(value: &Value) -> Option<Self> {
        let delivered_seq = number(value, "delivered_seq")?;
        let read_seq = number(value, "read_seq")?;
        Some(Self {
            user_id: owned(value, "user_id")?,
            role: text(value, "role").unwrap_or_default().to_owned(),
            delivered_seq: delivered_seq.max(read_seq),
            read_seq,
        })
    }

    pub fn to_value(&self) -> Value {
        fields! {
            "user_id": self.user_id.as_str(),
            "role": self.role.as_str(),
            "delivered_seq": self.delivered_seq,
            "read_seq": self.read_seq,
        }
        .into()
    }
}

/// What people see of a message's way, in the guide's words. The order is the way: ticks only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryStatus {
    Failed,
    Sending,
    Sent,
    Delivered,
    Read,
}

impl DeliveryStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryStatus::Failed => "failed",
            DeliveryStatus::Sending => "sending",
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
        }
    }
}

/// Why a message waits as *failed*, for a program to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable; listed in docs/errors.md.
    pub code: String,
    /// `true`: it goes out by itself when things get better. `false`: it waits for a person.
    pub retryable: bool,
    pub http_status: Option<u16>,
    pub pg_code: Option<String>,
    pub message: String,
}

impl Failure {
    pub fn to_value(&self) -> Value {
        fields! {
            "code": self.code.as_str(),
            "retryable": self.retryable,
            "http_status": self.http_status,
            "pg_code": self.pg_code.as_deref(),
            "message": self.message.as_str(),
        }
        .into()
    }

    pub fn from_value(value: &Value) -> Option<Self> {
        Some(Self {
            code: owned(value, "code")?,
            retryable: value.get("retryable")?.as_bool()?,
            http_status: value.get("http_status").and_then(Value::as_u64).and_then(|s| u16::try_from(s).ok()),
            pg_code: owned(value, "pg_code"),
            message: text(value, "message").unwrap_or_default().to_owned(),
        })
    }
}

fn json_weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 20,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| json_weight(item) + 1).sum::<usize>() + 2,
        Value::Object(object) => {
            object.fields().iter().map(|(key, field)| key.len() + json_weight(field) + 4).sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests;
