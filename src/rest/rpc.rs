//! The functions of the schema: `chat_send`, `chat_sync`, `chat_list`, `chat_ack`.

use super::HttpRequest;
use crate::{
    json::{Object, Value, fields, items, list, number, owned, print, text},
    message::{Envelope, Failure, Kind, Member, MessageId, StoredMessage},
};

/// Where the Data API is and whose token goes with the request.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub url: &'a str,
    pub api_key: &'a str,
    pub token: &'a str,
    pub user_id: &'a str,
    /// What the app calls this user's role, if it says so.
    pub role: &'a str,
    pub timeout_ms: u32,
}

pub fn send<'a>(target: Target<'_>, batch: impl Iterator<Item = &'a Envelope>) -> HttpRequest {
    call(target, "chat_send", fields! { "batch": list(batch.map(|envelope| envelope.fields().into())) })
}

/// A cursor is `None` at first contact.
pub fn sync<'a>(target: Target<'_>, cursors: impl Iterator<Item = Cursor<'a>>) -> HttpRequest {
    call(target, "chat_sync", fields! { "cursors": from_cursors(cursors) })
}

/// `since`: what the last answer said, `None` at first contact; `held`: how many conversations are known.
pub fn list_changes<'a>(
    target: Target<'_>,
    since: Option<u64>,
    held: usize,
    cursors: impl Iterator<Item = Cursor<'a>>,
) -> HttpRequest {
    let arguments = fields! { "since": since, "held": held, "cursors": from_cursors(cursors) };
    call(target, "chat_list", arguments)
}

/// Of a conversation: the `seq` up to which it is known, and its incarnation.
pub type Cursor<'a> = (&'a str, Option<(u64, &'a str)>);

fn from_cursors<'a>(cursors: impl Iterator<Item = Cursor<'a>>) -> Value {
    let mut object_of_cursors = Object::default();
    for (id, cursor) in cursors {
        let (seq, incarnation) = cursor.unzip();
        object_of_cursors.push(id.to_owned(), fields! { "seq": seq, "incarnation": incarnation }.into());
    }
    object_of_cursors.into()
}

/// The page of history that ends below `before`.
pub fn older(target: Target<'_>, id: &str, before: u64, incarnation: &str) -> HttpRequest {
    let mut cursors = Object::default();
    cursors.push(id.to_owned(), fields! { "before": before, "incarnation": incarnation }.into());
    call(target, "chat_sync", fields! { "cursors": cursors })
}

/// `acks`: conversation, seq up to which everything is stored here, seq up to which it was shown.
pub fn ack<'a>(target: Target<'_>, acks: impl Iterator<Item = (&'a str, u64, u64)>) -> HttpRequest {
    let acks = acks
        .map(|(id, delivered, read)| fields! { "conversation_id": id, "delivered": delivered, "read": read }.into());
    call(target, "chat_ack", fields! { "acks": list(acks) })
}

fn call(target: Target<'_>, function: &str, mut arguments: Object) -> HttpRequest {
    arguments.set("expected_user", target.user_id);
    HttpRequest {
        url: [target.url, "/rest/v1/rpc/", function].concat(),
        headers: vec![
            ("apikey", target.api_key.to_owned()),
            ("Authorization", ["Bearer ", target.token].concat()),
            ("Content-Type", "application/json".to_owned()),
        ],
        body: print(&arguments.into()),
        timeout_ms: target.timeout_ms,
        keepalive: false,
    }
}

/// What became of one row of a `send`.
#[derive(Debug, Clone, PartialEq)]
pub enum RowStatus {
    /// It is on the server, by this request or by an earlier one.
    Stored(StoredFacts),
    /// An earlier row of its conversation was not stored, so this one was not looked at.
    Skipped,
    Forbidden(Failure),
    /// The conversation is not there, or not yet.
    NoConversation(Failure),
    Refused(Failure),
}

/// What the server holds under the row's id.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFacts {
    pub seq: u64,
    pub created_at: String,
    pub sender_role: String,
    pub kind: Kind,
    pub content: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RowAnswer {
    pub id: MessageId,
    pub status: RowStatus,
}

/// The rows of a `send`'s answer that can be understood; the others stay unsettled.
pub fn read_rows(body: &Value) -> Vec<RowAnswer> {
    body.as_array().unwrap_or_default().iter().filter_map(read_row).collect()
}

fn read_row(row: &Value) -> Option<RowAnswer> {
    let id = MessageId::parse(text(row, "id")?)?;
    let refused = |code: &str, retryable: bool, pg_code: Option<&str>, message: &str| Failure {
        code: code.into(),
        retryable,
        http_status: None,
        pg_code: pg_code.map(str::to_owned),
        message: message.into(),
    };
    let status = match text(row, "status")? {
        "stored" | "duplicate" => RowStatus::Stored(StoredFacts {
            seq: number(row, "seq").filter(|seq| *seq > 0)?,
            created_at: owned(row, "created_at")?,
            sender_role: text(row, "sender_role").unwrap_or_default().to_owned(),
            kind: Kind::parse(text(row, "kind")?)?,
            content: owned(row, "content")?,
        }),
        "skipped" => RowStatus::Skipped,
        "forbidden" => RowStatus::Forbidden(refused(
            "forbidden",
            false,
            None,
            "unable to store the message; because this user is not a member of the conversation",
        )),
        "no_conversation" => RowStatus::NoConversation(refused(
            "no_conversation",
            true,
            None,
            "unable to store the message yet; because the conversation does not exist",
        )),
        "id_conflict" => RowStatus::Refused(refused(
            "id_conflict",
            false,
            None,
            "unable to store the message; because its id belongs to another message",
        )),
        status => RowStatus::Refused(refused(
            "rejected",
            false,
            status.strip_prefix("rejected:"),
            "unable to store the message; because the database refused it",
        )),
    };
    Some(RowAnswer { id, status })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStatus {
    Ok,
    Forbidden,
    NoConversation,
}

/// What the server said of one conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncAnswer {
    pub conversation_id: String,
    pub status: SyncStatus,
    pub incarnation: String,
    pub last_seq: u64,
    /// The answer is complete up to here: what is absent below is gone.
    pub through_seq: u64,
    /// The answer is complete from here.
    pub first_seq: u64,
    pub rows: Vec<StoredMessage>,
    pub members: Vec<Member>,
    /// Where the list was asked for.
    pub overview: Option<Overview>,
}

/// What a list shows of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    pub unread: u64,
    pub last_message: Option<StoredMessage>,
}

/// What changed in the conversations of the user.
#[derive(Debug, Clone, PartialEq)]
pub struct ListAnswer {
    /// What the next request asks from.
    pub since: u64,
    /// All of them are answered.
    pub full: bool,
    /// How many there are, and the sum of their `last_seq`.
    pub total: u64,
    pub sum: u64,
    /// The names of all, where we seemed to know another number.
    pub ids: Option<Vec<String>>,
    pub conversations: Vec<SyncAnswer>,
    /// There are some that could not be read.
    pub partial: bool,
}

pub fn read_sync(body: &Value) -> Vec<SyncAnswer> {
    body.as_array().unwrap_or_default().iter().filter_map(read_sync_row).collect()
}

fn read_sync_row(row: &Value) -> Option<SyncAnswer> {
    let status = match text(row, "status")? {
        "ok" => SyncStatus::Ok,
        "forbidden" => SyncStatus::Forbidden,
        "no_conversation" => SyncStatus::NoConversation,
        _ => return None,
    };
    let ok = status == SyncStatus::Ok;
    let place = |field: &str| number(row, field).or((!ok).then_some(0));
    let rows = items(row, "rows");
    let read: Vec<StoredMessage> = rows.iter().filter_map(StoredMessage::from_row).collect();
    // A row that cannot be read must not count as gone: the whole answer is not believed.
    if read.len() != rows.len() {
        return None;
    }
    Some(SyncAnswer {
        conversation_id: owned(row, "conversation_id")?,
        status,
        incarnation: text(row, "incarnation").or((!ok).then_some(""))?.to_owned(),
        last_seq: place("last_seq")?,
        through_seq: place("through_seq")?,
        first_seq: place("first_seq")?,
        rows: read,
        members: items(row, "members").iter().filter_map(Member::from_value).collect(),
        overview: number(row, "unread")
            .filter(|_| ok)
            .map(|unread| Overview { unread, last_message: row.get("last_message").and_then(StoredMessage::from_row) }),
    })
}

/// `None` for what is not such an answer.
pub fn read_list(body: &Value) -> Option<ListAnswer> {
    let rows = items(body, "conversations");
    let conversations: Vec<SyncAnswer> = rows.iter().filter_map(read_sync_row).collect();
    let name = |id: &Value| id.as_str().map(str::to_owned);
    Some(ListAnswer {
        since: number(body, "since")?,
        full: body.get("full")?.as_bool()?,
        total: number(body, "total")?,
        sum: number(body, "sum")?,
        ids: body.get("ids").and_then(Value::as_array).map(|ids| ids.iter().filter_map(name).collect()),
        partial: conversations.len() < rows.len(),
        conversations,
    })
}

/// Conversation, delivered and read, as the server holds them after an `ack`.
pub fn read_acks(body: &Value) -> Vec<(String, u64, u64)> {
    let read = |row: &Value| {
        let id = owned(row, "conversation_id")?;
        Some((id, number(row, "delivered_seq")?, number(row, "read_seq")?))
    };
    body.as_array().unwrap_or_default().iter().filter_map(read).collect()
}
