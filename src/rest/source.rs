//! The three ways in, behind one face.
//!
//! | | who takes a message | who is asked for messages |
//! |---|---|---|
//! | the managed schema | `chat_send` | `chat_sync` |
//! | the app's own table | an insert into it | selects from it |
//! | the app's own endpoint | a POST to it | either of the two |
//!
//! The last two are *plain*: a request carries one row, which is a message and nothing else, and an answer that leaves a
//! doubt is followed by a look-up by id. Whatever is learned is said in the words of `chat_send`'s answer, so that the
//! outbox knows one language.

use super::{HttpRequest, Outcome, OwnTable, Target, rpc};
use crate::{
    json::{Object, Value, fields, list, print},
    message::{Envelope, Failure, StoredMessage},
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The URL of the app's own endpoint.
    pub endpoint: Option<String>,
    /// The app's own table, in place of the managed schema.
    pub table: Option<OwnTable>,
}

/// What the answer to the request of a plain way leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Something of this id is there.
    Whose,
    /// It was taken; as what was not said.
    What,
}

impl Source {
    pub fn is_plain(&self) -> bool {
        self.endpoint.is_some() || self.table.is_some()
    }

    pub fn send<'a>(&self, target: Target<'_>, rows: impl Iterator<Item = &'a Envelope>) -> HttpRequest {
        let mut rows = rows.peekable();
        match (&self.endpoint, &self.table, rows.peek()) {
            (Some(url), _, Some(row)) => post(url, target, row),
            (None, Some(table), Some(row)) => table.insert(target, row),
            _ => rpc::send(target, rows),
        }
    }

    /// The fate of the row that a plain way's request carried, or what is in doubt about it.
    pub fn sent(&self, row: &Envelope, user_id: &str, outcome: Outcome) -> Result<Outcome, Doubt> {
        match outcome {
            Outcome::Answer(body) => self.held(row, user_id, &body).map(|held| stored(&held)).ok_or(Doubt::What),
            Outcome::Refused(failure) if self.is_conflict(&failure) => Err(Doubt::Whose),
            Outcome::SchemaMissing(failure) => Ok(Outcome::SchemaMissing(self.misfit(failure))),
            outcome => Ok(outcome),
        }
    }

    pub fn look_up(&self, target: Target<'_>, row: &Envelope) -> HttpRequest {
        match &self.table {
            Some(table) => table.look_up(target, row),
            None => {
                let of = super::table::equals("conversation_id", &row.conversation_id);
                super::table::get(target, &["chat_messages?id=eq.", row.id.as_str(), "&", &of].concat())
            }
        }
    }

    /// The fate of a row that was looked up.
    pub fn looked_up(&self, row: &Envelope, user_id: &str, doubt: Doubt, outcome: Outcome) -> Outcome {
        let found = match outcome {
            Outcome::Answer(body) => body,
            // Nothing that is wrong with the look-up is wrong with the message.
            Outcome::Forbidden(failure) | Outcome::Refused(failure) | Outcome::TooLarge(failure) => {
                return Outcome::Retry(Failure { retryable: true, ..failure });
            }
            Outcome::SchemaMissing(failure) => return Outcome::SchemaMissing(self.misfit(failure)),
            outcome => return outcome,
        };
        let held = self.held(row, user_id, &found);
        match held.filter(|held| held.sender_id.as_deref() == Some(user_id) && held.content == row.content) {
            Some(held) => stored(&held),
            None if doubt == Doubt::Whose => answer(row.id.as_str(), "id_conflict", Object::default()),
            None => Outcome::Retry(Failure {
                code: "server".into(),
                retryable: true,
                http_status: None,
                pg_code: None,
                message: "unable to find the message; because the server took it and does not show it".into(),
            }),
        }
    }

    pub fn misfit(&self, failure: Failure) -> Failure {
        if self.table.is_none() {
            return failure;
        }
        let message = "unable to use the app's table; because it, or one of its columns, is not there".into();
        Failure { message, ..failure }
    }

    /// The row of this id, in whatever the server answered.
    fn held(&self, row: &Envelope, user_id: &str, body: &Value) -> Option<StoredMessage> {
        let value = body.as_array().map_or(Some(body), <[Value]>::first)?;
        let held = match &self.table {
            Some(table) => table.read(value, &row.conversation_id, user_id),
            None => StoredMessage::from_row(value),
        };
        held.filter(|held| held.id == row.id)
    }

    /// The id is taken: by PostgreSQL's word, or by the endpoint's.
    fn is_conflict(&self, failure: &Failure) -> bool {
        match failure.pg_code.as_deref() {
            Some("23505") => true,
            Some("23503") => false,
            _ => self.endpoint.is_some() && failure.http_status == Some(409),
        }
    }
}

/// The fate of a row that only the managed schema understands.
pub fn unsupported() -> Outcome {
    Outcome::Refused(Failure {
        code: "unsupported".into(),
        retryable: false,
        http_status: None,
        pg_code: None,
        message: "unable to change the message; because this way in takes new messages and nothing else".into(),
    })
}

fn post(url: &str, target: Target<'_>, row: &Envelope) -> HttpRequest {
    let body = fields! {
        "id": row.id.as_str(),
        "conversation_id": row.conversation_id.as_str(),
        "sender_role": target.role,
        "content": row.content.as_str(),
        "message_type": row.message_type.as_str(),
        "metadata": row.metadata.clone(),
        "expected_user": target.user_id,
    }
    .into();
    let mut headers = vec![
        ("Authorization", ["Bearer ", target.token].concat()),
        ("Content-Type", "application/json".to_owned()),
        ("Idempotency-Key", row.id.as_str().to_owned()),
    ];
    // A function of the project stands behind its gateway.
    if url.strip_prefix(target.url).is_some_and(|path| path.starts_with('/')) {
        headers.push(("apikey", target.api_key.to_owned()));
    }
    HttpRequest { url: url.to_owned(), headers, body: print(&body), timeout_ms: target.timeout_ms, keepalive: false }
}

fn stored(held: &StoredMessage) -> Outcome {
    let facts = fields! {
        "seq": held.seq,
        "created_at": held.created_at.as_str(),
        "sender_role": held.sender_role.as_str(),
        "kind": held.kind.as_str(),
        "content": held.content.as_str(),
    };
    answer(held.id.as_str(), "stored", facts)
}

fn answer(id: &str, status: &str, mut fields: Object) -> Outcome {
    fields.set("id", id);
    fields.set("status", status);
    Outcome::Answer(list([fields.into()].into_iter()))
}
