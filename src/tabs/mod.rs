//! Leader and followers: which tab drains the outbox and holds the socket.

use serde_json::{Value, json};

/// What tabs of one user tell each other. Announcements only make things sooner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TabMessage {
    /// Rows were added to the outbox.
    Enqueued,
    /// The leader committed something: read anew.
    Changed,
    /// Somebody asked for what failed to be tried again, in one conversation or in all.
    Retry { conversation_id: Option<String> },
}

impl TabMessage {
    pub fn to_value(&self) -> Value {
        match self {
            TabMessage::Enqueued => json!({"t": "enqueued"}),
            TabMessage::Changed => json!({"t": "changed"}),
            TabMessage::Retry { conversation_id } => json!({"t": "retry", "conversation_id": conversation_id}),
        }
    }

    /// Another version of the package may speak here: what is not understood is `None`.
    pub fn from_value(value: &Value) -> Option<Self> {
        match crate::message::text(value, "t")? {
            "enqueued" => Some(TabMessage::Enqueued),
            "changed" => Some(TabMessage::Changed),
            "retry" => Some(TabMessage::Retry {
                conversation_id: crate::message::text(value, "conversation_id").map(str::to_owned),
            }),
            _ => None,
        }
    }
}
