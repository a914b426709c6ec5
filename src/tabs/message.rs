//! What tabs of one user tell each other.

use crate::{
    health::ConnectionStatus,
    json::{Object, Value, fields, list, number, owned, text},
    message::{MessageId, StoredMessage},
    outbox::RowState,
    sync::ListPatch,
};

/// How things are with the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    pub status: ConnectionStatus,
    /// Somebody looks at it.
    pub visible: bool,
    /// It has no live channel, and asks every few seconds instead.
    pub polling: bool,
    pub generation: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TabMessage {
    /// Is there a leader? It answers with its status.
    Ping,
    /// The leader speaks.
    Status(Leader),
    /// A visible tab would rather lead itself.
    Yield,
    /// The leader has given up its lease.
    Left,
    /// Rows were added to the outbox.
    Enqueued,
    /// The leader committed something: read anew.
    Changed,
    /// What one of the tabs wrote is on the server.
    Sent { message: Box<StoredMessage> },
    /// Somebody cancelled or discarded a message.
    TakenBack { conversation_id: String, id: MessageId },
    /// A tab follows from now on, and wants to know how the unsent rows are.
    Follow,
    /// How rows of the outbox are, by key, their next attempts on the wall clock. `all`: there are no others.
    Rows { generation: u64, all: bool, rows: Vec<(u64, RowState)> },
    /// A tab shows this conversation: keep it in sync.
    Open { conversation_id: String },
    /// What a tab shows to somebody; told again at every beat of the leader.
    Screen { from: u64, conversations: Vec<String> },
    /// Who is there, and whether they type.
    People { generation: u64, conversation_id: String, people: Vec<(String, bool)> },
    /// Somebody types in a following tab, or not any more.
    Typing { conversation_id: String, on: bool },
    /// A tab has shown it up to here on a visible screen.
    Read { conversation_id: String, incarnation: String, seq: u64 },
    /// A tab wants the page of history that ends below this `seq`.
    AskOlder { conversation_id: String, before: u64 },
    /// The server's answer to that, or why there is none, by code and sentence.
    Older { conversation_id: String, before: u64, answer: Value, error: Option<(String, String)> },
    /// What is wrong with a conversation that a tab shows, by code and sentence; nothing when it has passed.
    Problem { generation: u64, conversation_id: String, error: Option<(String, String)> },
    /// The same of the list.
    ListProblem { generation: u64, error: Option<(String, String)> },
    /// A tab shows the list of all conversations: keep it.
    List,
    /// What changes in it.
    Listed { generation: u64, patch: Box<ListPatch> },
    /// Somebody's act, for the leader to perform; told again until it is answered.
    Act { from: u64, op: u32, act: Value },
    /// It is committed, or refused by code and sentence.
    Acted { from: u64, op: u32, error: Option<(String, String)> },
}

impl TabMessage {
    pub fn to_value(&self) -> Value {
        let (name, mut fields) = match self {
            TabMessage::Ping => ("ping", Object::default()),
            TabMessage::Status(Leader { status, visible, polling, generation }) => (
                "status",
                fields! {
                    "status": status.as_str(),
                    "visible": *visible,
                    "polling": *polling,
                    "generation": *generation,
                },
            ),
            TabMessage::Yield => ("yield", Object::default()),
            TabMessage::Left => ("left", Object::default()),
            TabMessage::Enqueued => ("enqueued", Object::default()),
            TabMessage::Changed => ("changed", Object::default()),
            TabMessage::Sent { message } => ("sent", fields! { "row": message.to_row() }),
            TabMessage::TakenBack { conversation_id, id } => {
                ("taken_back", fields! { "conversation_id": conversation_id.as_str(), "id": id.as_str() })
            }
            TabMessage::Follow => ("follow", Object::default()),
            TabMessage::Rows { generation, all, rows } => {
                let rows = list(rows.iter().map(|(key, state)| state.to_value(*key)));
                ("rows", fields! { "generation": *generation, "all": *all, "rows": rows })
            }
            TabMessage::Open { conversation_id } => ("open", fields! { "conversation_id": conversation_id.as_str() }),
            TabMessage::Screen { from, conversations } => {
                let conversations = list(conversations.iter().map(|id| id.as_str().into()));
                ("screen", fields! { "from": *from, "conversations": conversations })
            }
            TabMessage::People { generation, conversation_id, people } => {
                let person = |(user_id, typing): &(String, bool)| {
                    fields! { "user_id": user_id.as_str(), "typing": *typing }.into()
                };
                let people = list(people.iter().map(person));
                let conversation_id = conversation_id.as_str();
                (
                    "people",
                    fields! {
                        "generation": *generation,
                        "conversation_id": conversation_id,
                        "people": people,
                    },
                )
            }
            TabMessage::Typing { conversation_id, on } => {
                ("typing", fields! { "conversation_id": conversation_id.as_str(), "on": *on })
            }
            TabMessage::Read { conversation_id, incarnation, seq } => (
                "read",
                fields! {
                    "conversation_id": conversation_id.as_str(),
                    "incarnation": incarnation.as_str(),
                    "seq": *seq,
                },
            ),
            TabMessage::AskOlder { conversation_id, before } => {
                ("ask_older", fields! { "conversation_id": conversation_id.as_str(), "before": *before })
            }
            TabMessage::Older { conversation_id, before, answer, error } => (
                "older",
                fields! {
                    "conversation_id": conversation_id.as_str(),
                    "before": *before,
                    "answer": answer.clone(),
                    "error": from_error(error),
                },
            ),
            TabMessage::Problem { generation, conversation_id, error } => {
                let conversation_id = conversation_id.as_str();
                let error = from_error(error);
                ("problem", fields! { "generation": *generation, "conversation_id": conversation_id, "error": error })
            }
            TabMessage::ListProblem { generation, error } => {
                ("list_problem", fields! { "generation": *generation, "error": from_error(error) })
            }
            TabMessage::List => ("list", Object::default()),
            TabMessage::Listed { generation, patch } => {
                let mut fields = ListPatch::clone(patch).fields();
                fields.set("generation", *generation);
                ("listed", fields)
            }
            TabMessage::Act { from, op, act } => ("act", fields! { "from": *from, "op": *op, "act": act.clone() }),
            TabMessage::Acted { from, op, error } => {
                ("acted", fields! { "from": *from, "op": *op, "error": from_error(error) })
            }
        };
        fields.set("t", name);
        fields.into()
    }

    /// Another version of the package may speak here: what is not understood is `None`.
    pub fn from_value(value: &Value) -> Option<Self> {
        let conversation_id = || owned(value, "conversation_id");
        let before = || number(value, "before").filter(|seq| *seq > 0);
        let from = || number(value, "from");
        let generation = || number(value, "generation");
        let op = || u32::try_from(number(value, "op")?).ok();
        Some(match text(value, "t")? {
            "ping" => TabMessage::Ping,
            "status" => TabMessage::Status(Leader {
                status: ConnectionStatus::parse(text(value, "status")?)?,
                visible: value.get("visible")?.as_bool()?,
                polling: value.get("polling")?.as_bool()?,
                generation: generation()?,
            }),
            "yield" => TabMessage::Yield,
            "left" => TabMessage::Left,
            "enqueued" => TabMessage::Enqueued,
            "changed" => TabMessage::Changed,
            "sent" => TabMessage::Sent { message: Box::new(StoredMessage::from_row(value.get("row")?)?) },
            "taken_back" => TabMessage::TakenBack {
                conversation_id: conversation_id()?,
                id: text(value, "id").and_then(MessageId::parse)?,
            },
            "follow" => TabMessage::Follow,
            "rows" => TabMessage::Rows {
                generation: generation()?,
                all: value.get("all")?.as_bool()?,
                rows: value.get("rows")?.as_array()?.iter().filter_map(RowState::from_value).collect(),
            },
            "open" => TabMessage::Open { conversation_id: conversation_id()? },
            "screen" => TabMessage::Screen {
                from: from()?,
                conversations: value
                    .get("conversations")?
                    .as_array()?
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            },
            "people" => {
                let person = |person: &Value| Some((owned(person, "user_id")?, person.get("typing")?.as_bool()?));
                TabMessage::People {
                    generation: generation()?,
                    conversation_id: conversation_id()?,
                    people: value.get("people")?.as_array()?.iter().filter_map(person).collect(),
                }
            }
            "typing" => TabMessage::Typing { conversation_id: conversation_id()?, on: value.get("on")?.as_bool()? },
            "read" => TabMessage::Read {
                conversation_id: conversation_id()?,
                incarnation: owned(value, "incarnation")?,
                seq: number(value, "seq")?,
            },
            "ask_older" => TabMessage::AskOlder { conversation_id: conversation_id()?, before: before()? },
            "older" => TabMessage::Older {
                conversation_id: conversation_id()?,
                before: before()?,
                answer: value.get("answer")?.clone(),
                error: to_error(value)?,
            },
            "problem" => TabMessage::Problem {
                generation: generation()?,
                conversation_id: conversation_id()?,
                error: to_error(value)?,
            },
            "list_problem" => TabMessage::ListProblem { generation: generation()?, error: to_error(value)? },
            "list" => TabMessage::List,
            "listed" => {
                TabMessage::Listed { generation: generation()?, patch: Box::new(ListPatch::from_value(value)?) }
            }
            "act" => TabMessage::Act { from: from()?, op: op()?, act: value.get("act")?.clone() },
            "acted" => TabMessage::Acted { from: from()?, op: op()?, error: to_error(value)? },
            _ => return None,
        })
    }
}

fn from_error(error: &Option<(String, String)>) -> Value {
    let fields = |(code, message): &(String, String)| fields! { "code": code.as_str(), "message": message.as_str() };
    error.as_ref().map(fields).into()
}

/// `Some(None)` where there is none, and `None` where it cannot be read.
fn to_error(value: &Value) -> Option<Option<(String, String)>> {
    match value.get("error") {
        None | Some(Value::Null) => Some(None),
        Some(error) => Some(Some((owned(error, "code")?, owned(error, "message")?))),
    }
}
