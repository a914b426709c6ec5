//! The app's own table of messages: one insert, one look-up, and windows of it in the order of their times.
//!
//! Such a table counts nothing, so a row's `seq` is made of its time: microseconds since 1970, and one more than the row
//! before it where two have the same. Every client comes to the same numbers, and there are no holes in them.

use super::{HttpRequest, Target};
use crate::{
    json::{Object, Value, fields, list, owned, print, text},
    message::{Envelope, Kind, MessageId, StoredMessage, iso8601, micros},
    text::{decimal, push_digits, url_encoded},
};

/// How names of what is cached of a table begin; no other's begin like this.
pub const OF_TABLE: &str = "table:";
/// Rows of one window.
pub const WINDOW_ROWS: usize = 200;

/// Names that need no quoting: whoever makes it checks that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTable {
    pub name: String,
    pub id: String,
    pub conversation_id: String,
    pub sender_role: String,
    pub content: String,
    pub created_at: String,
    /// Those that a table may lack.
    pub sender_id: Option<String>,
    pub message_type: Option<String>,
    pub metadata: Option<String>,
    /// The role that this client writes into its rows. Without a column for the sender, its own rows are those of this
    /// role.
    pub role: String,
}

/// Where a window begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The newest rows, at first contact.
    Newest,
    /// Whatever has this time or a later one, in microseconds since 1970.
    At(u64),
    /// The newest rows that have an earlier time, in microseconds since 1970.
    Before(u64),
    /// Behind the last row of the window before: its time, as the server spelled it, its id, and its place.
    Behind(String, String, u64),
}

/// Rows in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub rows: Vec<StoredMessage>,
    /// There may be more in the direction in which it was read.
    pub full: bool,
}

impl OwnTable {
    /// Names what is cached of it: another table's rows are not this one's.
    pub fn incarnation(&self) -> String {
        let mut name = String::from(OF_TABLE);
        name.push_str(&self.name);
        name
    }

    pub fn insert(&self, target: Target<'_>, row: &Envelope) -> HttpRequest {
        let mut body = Object::default();
        let mut put = |column: Option<&String>, value: Value| {
            if let Some(column) = column {
                body.push(column.clone(), value);
            }
        };
        put(Some(&self.id), row.id.as_str().into());
        put(Some(&self.conversation_id), row.conversation_id.as_str().into());
        put(Some(&self.sender_role), self.role.as_str().into());
        put(Some(&self.content), row.content.as_str().into());
        put(self.sender_id.as_ref(), target.user_id.into());
        put(self.message_type.as_ref(), row.message_type.as_str().into());
        put(self.metadata.as_ref(), row.metadata.clone());
        let mut http = get(target, &[self.name.as_str(), "?select=", &self.columns()].concat());
        http.headers.push(("Content-Type", "application/json".to_owned()));
        http.headers.push(("Prefer", "return=representation".to_owned()));
        http.body = print(&body.into());
        http
    }

    pub fn look_up(&self, target: Target<'_>, row: &Envelope) -> HttpRequest {
        let of = equals(&self.conversation_id, &row.conversation_id);
        get(
            target,
            &[self.name.as_str(), "?select=", &self.columns(), "&", &self.id, "=eq.", row.id.as_str(), "&", &of]
                .concat(),
        )
    }

    pub fn window(&self, target: Target<'_>, conversation_id: &str, start: &Start) -> HttpRequest {
        let (at, id) = (&self.created_at, &self.id);
        let (bound, way) = match start {
            Start::Newest => (String::new(), "desc"),
            Start::Before(time) => {
                // To the microsecond, of which ISO text as JavaScript writes it has the first three digits.
                let mut micros = String::new();
                push_digits(&mut micros, *time, 3);
                let millis = iso8601(time / 1_000);
                (["&", at, "=lt.", millis.trim_end_matches('Z'), &micros, "Z"].concat(), "desc")
            }
            Start::At(from) => (["&", at, "=gte.", &iso8601(from / 1_000)].concat(), "asc"),
            Start::Behind(time, last, _) => {
                let time = &["%22", &url_encoded(time), "%22"].concat();
                (["&or=(", at, ".gt.", time, ",and(", at, ".eq.", time, ",", id, ".gt.", last, "))"].concat(), "asc")
            }
        };
        let (name, columns, of) = (&self.name, self.columns(), equals(&self.conversation_id, conversation_id));
        let limit = decimal(WINDOW_ROWS as u64);
        let order = ["&order=", at, ".", way, ",", id, ".", way, "&limit=", &limit].concat();
        get(target, &[name.as_str(), "?select=", &columns, "&", &of, &bound, &order].concat())
    }

    /// `None` unless every row can be read: one that is left out would be lost without a word.
    pub fn read_window(&self, body: &Value, conversation_id: &str, user_id: &str, start: &Start) -> Option<Window> {
        let found = body.as_array()?;
        let mut rows: Vec<StoredMessage> =
            found.iter().map(|row| self.read(row, conversation_id, user_id)).collect::<Option<_>>()?;
        let full = found.len() >= WINDOW_ROWS;
        if matches!(start, Start::Newest | Start::Before(_)) {
            rows.reverse();
            // Some of the same time may have been cut off: the end is between two times.
            let cut = rows.first().map(|row| row.seq).filter(|cut| rows.last().is_some_and(|row| row.seq != *cut));
            rows.retain(|row| !full || Some(row.seq) != cut);
        }
        let mut least = if let Start::Behind(_, _, place) = start { place + 1 } else { 0 };
        for row in &mut rows {
            row.seq = row.seq.max(least);
            least = row.seq + 1;
        }
        Some(Window { rows, full })
    }

    /// A page of history, in the words of `chat_sync`'s answer.
    pub fn read_page(&self, body: &Value, conversation_id: &str, user_id: &str, before: u64) -> Option<Value> {
        let Window { rows, full } = self.read_window(body, conversation_id, user_id, &Start::Before(before))?;
        let first = rows.first().filter(|_| full).map_or(1, |row| row.seq);
        let page = fields! {
            "conversation_id": conversation_id,
            "status": "ok",
            "incarnation": self.incarnation(),
            "last_seq": before - 1,
            "through_seq": before - 1,
            "first_seq": first,
            "rows": list(rows.iter().map(StoredMessage::to_row)),
        }
        .into();
        Some(list([page].into_iter()))
    }

    pub fn read(&self, row: &Value, conversation_id: &str, user_id: &str) -> Option<StoredMessage> {
        let created_at = owned(row, &self.created_at)?;
        let sender_role = text(row, &self.sender_role).unwrap_or_default();
        let sender_id = match &self.sender_id {
            Some(column) => owned(row, column),
            None => (sender_role == self.role).then(|| user_id.to_owned()),
        };
        let optional = |column: &Option<String>| column.as_ref().and_then(|column| row.get(column));
        let metadata = optional(&self.metadata).filter(|value| value.as_object().is_some());
        Some(StoredMessage {
            id: MessageId::parse(text(row, &self.id)?)?,
            conversation_id: conversation_id.to_owned(),
            seq: self.time(row)?,
            kind: Kind::Message,
            target_id: None,
            sender_id,
            sender_role: sender_role.to_owned(),
            content: text(row, &self.content).unwrap_or_default().to_owned(),
            message_type: optional(&self.message_type).and_then(Value::as_str).unwrap_or("text").to_owned(),
            metadata: metadata.cloned().unwrap_or_else(crate::json::empty_object),
            created_at,
            edited_at: None,
            deleted_at: None,
        })
    }

    /// In microseconds since 1970, of which the first is none: a place begins at 1.
    pub fn time(&self, row: &Value) -> Option<u64> {
        Some(micros(text(row, &self.created_at)?)?.max(1))
    }

    fn columns(&self) -> String {
        let mut columns = String::new();
        let needed = [&self.id, &self.sender_role, &self.content, &self.created_at];
        let optional = [&self.sender_id, &self.message_type, &self.metadata].into_iter().flatten();
        for column in needed.into_iter().chain(optional) {
            if !columns.is_empty() {
                columns.push(',');
            }
            columns.push_str(column);
        }
        columns
    }
}

/// A request to the Data API for what stands behind `/rest/v1/`.
pub(super) fn get(target: Target<'_>, what: &str) -> HttpRequest {
    HttpRequest {
        url: [target.url, "/rest/v1/", what].concat(),
        headers: vec![("apikey", target.api_key.to_owned()), ("Authorization", ["Bearer ", target.token].concat())],
        body: String::new(),
        timeout_ms: target.timeout_ms,
        keepalive: false,
    }
}

/// The filter of a query.
pub(super) fn equals(column: &str, value: &str) -> String {
    [column, "=eq.", &url_encoded(value)].concat()
}
