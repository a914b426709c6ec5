//! Leader and followers: any tab enqueues, one drains the outbox and holds the socket.
//!
//! The leader holds a lock that the others wait for. Taking it raises the *generation* in the
//! database, which every write of the leader checks: a tab that was robbed of the lock writes
//! nothing more. What tabs tell each other only makes things sooner; the truth is in the database.

use crate::{
    health::ConnectionStatus,
    json::{Value, object, owned, text},
};

/// The leader looks for new rows this often, whatever it was told.
pub const BEAT_MS: u64 = 5_000;

/// How far this tab is on its way to the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does not want the lock.
    Aside,
    /// The database did not let it raise the generation: it waits before it tries again.
    Refused,
    /// It waits for the lock.
    Following,
    /// It has the lock and raises the generation.
    Taking,
    Leading {
        generation: u64,
    },
}

impl Role {
    pub fn generation(self) -> Option<u64> {
        match self {
            Role::Leading { generation } => Some(generation),
            _ => None,
        }
    }
}

/// What tabs of one user tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TabMessage {
    /// A tab is here and wants to know how things are.
    Hello,
    /// Rows were added to the outbox.
    Enqueued,
    /// The leader committed something: read anew.
    Changed,
    /// The leader's connection.
    Status(ConnectionStatus),
    /// A tab shows this conversation: keep it in sync.
    Open { conversation_id: String },
    /// Try again what failed, in one conversation or in all.
    Retry { conversation_id: Option<String> },
}

impl TabMessage {
    pub fn to_value(&self) -> Value {
        let (name, field) = match self {
            TabMessage::Hello => ("hello", None),
            TabMessage::Enqueued => ("enqueued", None),
            TabMessage::Changed => ("changed", None),
            TabMessage::Status(status) => ("status", Some(("status", status.as_str().into()))),
            TabMessage::Open { conversation_id } => {
                ("open", Some(("conversation_id", conversation_id.as_str().into())))
            }
            TabMessage::Retry { conversation_id } => {
                ("retry", Some(("conversation_id", conversation_id.as_deref().into())))
            }
        };
        object([Some(("t", name.into())), field].into_iter().flatten().collect())
    }

    /// Another version of the package may speak here: what is not understood is `None`.
    pub fn from_value(value: &Value) -> Option<Self> {
        let conversation_id = || owned(value, "conversation_id");
        match text(value, "t")? {
            "hello" => Some(TabMessage::Hello),
            "enqueued" => Some(TabMessage::Enqueued),
            "changed" => Some(TabMessage::Changed),
            "status" => Some(TabMessage::Status(ConnectionStatus::parse(text(value, "status")?)?)),
            "open" => Some(TabMessage::Open { conversation_id: conversation_id()? }),
            "retry" => Some(TabMessage::Retry { conversation_id: conversation_id() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn what_one_tab_says_another_understands() {
        let id = || "b1".to_owned();
        for message in [
            TabMessage::Hello,
            TabMessage::Enqueued,
            TabMessage::Changed,
            TabMessage::Status(ConnectionStatus::Reconnecting),
            TabMessage::Open { conversation_id: id() },
            TabMessage::Retry { conversation_id: Some(id()) },
            TabMessage::Retry { conversation_id: None },
        ] {
            assert_eq!(TabMessage::from_value(&message.to_value()), Some(message));
        }
        assert_eq!(TabMessage::from_value(&json!({"t": "of a later version"})), None);
        assert_eq!(TabMessage::from_value(&json!("noise")), None);
    }
}
