//! `chat_send`: row by row, and a conversation stops at its first row that is neither stored nor duplicate.

use surechat::{
    json::{Value, empty_object, list, object, owned, text},
    rest::HttpResponse,
};

use super::{Row, Rules, Server, error, respond, stamp};
use crate::Time;

/// What becomes of a row instead of being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    Forbidden,
    NoConversation,
    Rejected(&'static str),
    IdConflict,
    /// It is stored, and the answer does not speak of it.
    Unanswered,
}

struct Sent<'a> {
    status: String,
    row: Option<&'a Row>,
}

impl Server {
    pub(super) fn send(&mut self, now: Time, user: &str, batch: &Value, rules: &Rules) -> HttpResponse {
        let Some(batch) = batch.as_array() else { return respond(400, &error("22023")) };
        let carries = |content: Option<&str>| {
            content.is_some_and(|content| batch.iter().any(|item| text(item, "content") == Some(content)))
        };
        if carries(rules.poison) {
            return respond(400, &error("22P05"));
        }
        if carries(rules.stumble) {
            return respond(500, &error("XX000"));
        }
        let mut stopped: Vec<&str> = Vec::new();
        let mut answers = Vec::new();
        for (nth, item) in batch.iter().enumerate() {
            let conversation = text(item, "conversation_id").unwrap_or_default();
            let fault = rules.row.filter(|(of, _)| *of == nth).map(|(_, fault)| fault);
            let status = if stopped.contains(&conversation) {
                "skipped".to_owned()
            } else {
                self.store(now, user, conversation, item, fault)
            };
            let good = matches!(status.as_str(), "stored" | "duplicate");
            if !good && status != "skipped" {
                stopped.push(conversation);
            }
            if fault == Some(RowFault::Unanswered) {
                continue;
            }
            let id = text(item, "id").unwrap_or_default();
            let row = if good { self.row(id) } else { None };
            answers.push(answer(id, conversation, &Sent { status, row }));
        }
        respond(200, &list(answers.into_iter()))
    }

    /// `chat_store`: the status of one row.
    fn store(&mut self, now: Time, user: &str, conversation: &str, item: &Value, fault: Option<RowFault>) -> String {
        let id = text(item, "id").unwrap_or_default();
        let known = self.places.get(id).cloned();
        if let Some((of, _)) = &known
            && of == conversation
            && self.row(id).is_some_and(|row| row.sender.as_deref() == Some(user))
        {
            return "duplicate".into();
        }
        let Some(held) = self.conversations.get(conversation) else { return "no_conversation".into() };
        let Some(role) = held.member(user).map(|member| member.role.clone()) else { return "forbidden".into() };
        if fault == Some(RowFault::IdConflict) && text(item, "kind") == Some("message") {
            self.conflicts.insert(id.to_owned());
        }
        if known.is_some() || self.conflicts.contains(id) {
            return "id_conflict".into();
        }
        match fault {
            Some(RowFault::Forbidden) => return "forbidden".into(),
            Some(RowFault::NoConversation) => return "no_conversation".into(),
            Some(RowFault::Rejected(code)) => return format!("rejected:{code}"),
            Some(RowFault::IdConflict | RowFault::Unanswered) | None => {}
        }
        match self.append(now, Some(user), conversation, &role, item) {
            Ok(()) => "stored".into(),
            Err(code) => format!("rejected:{code}"),
        }
    }

    /// `chat_append`: one new row under the next `seq`.
    fn append(
        &mut self,
        now: Time,
        user: Option<&str>,
        conversation: &str,
        role: &str,
        item: &Value,
    ) -> Result<(), &'static str> {
        let changed = self.begin();
        let held = self.conversations.get_mut(conversation).ok_or("23503")?;
        let id = owned(item, "id").ok_or("23502")?;
        let kind = text(item, "kind").unwrap_or("message").to_owned();
        let target_id = owned(item, "target_id");
        let content = if kind == "delete" { String::new() } else { owned(item, "content").ok_or("23502")? };
        if content == REFUSED {
            return Err("23514");
        }
        let tombstone = kind == "delete" && target_id.as_deref() == Some(&id);
        let mut target = None;
        if kind != "message" && !tombstone {
            let is_target = |row: &Row| {
                Some(row.id.as_str()) == target_id.as_deref()
                    && row.sender.as_deref() == user
                    && (row.kind == "message" || row.target_id.as_deref() == Some(&row.id))
            };
            let place = held.rows.iter().position(is_target).ok_or("P0002")?;
            if kind == "edit" && held.rows.get(place).is_some_and(|row| row.deleted) {
                return Err("P0001");
            }
            target = Some(place);
        } else if kind == "message" && target_id.is_some() {
            return Err("23514");
        }
        held.last_seq += 1;
        held.changed = changed;
        let row = Row {
            id: id.clone(),
            seq: held.last_seq,
            kind: kind.clone(),
            target_id: target_id.clone(),
            sender: user.map(str::to_owned),
            role: role.to_owned(),
            content: content.clone(),
            message_type: text(item, "message_type").unwrap_or("text").to_owned(),
            metadata: item.get("metadata").filter(|value| **value != Value::Null).cloned().unwrap_or_else(empty_object),
            created_at: now,
            edited: false,
            deleted: tombstone,
            changed,
        };
        self.places.insert(id.clone(), (conversation.to_owned(), held.last_seq));
        let mut payload =
            object(vec![("conversation_id", conversation.into()), ("seq", row.seq.into()), ("id", id.as_str().into())]);
        payload["incarnation"] = held.incarnation.as_str().into();
        payload["row"] = row.to_value(conversation);
        held.rows.push(row);
        if let Some(target) = target.and_then(|place| held.rows.get_mut(place)) {
            target.changed = changed;
            if kind == "edit" {
                target.content = content;
                target.edited = true;
            } else if !target.deleted {
                target.content.clear();
                target.metadata = empty_object();
                target.deleted = true;
                for row in held.rows.iter_mut().filter(|row| row.kind == "edit" && row.target_id == target_id) {
                    row.content.clear();
                }
            }
        }
        self.tell(conversation, "message", &payload);
        Ok(())
    }

    /// A message of somebody whose browser is not in this world.
    pub fn post(&mut self, now: Time, user: &str, conversation: &str, id: &str, content: &str) {
        let item = object(vec![
            ("id", id.into()),
            ("kind", "message".into()),
            ("content", content.into()),
            ("message_type", "text".into()),
        ]);
        let role = self.conversation(conversation).and_then(|held| held.member(user)).map(|member| member.role.clone());
        if let Some(role) = role {
            let _ = self.append(now, Some(user), conversation, &role, &item);
        }
    }
}

/// Content that a constraint of the app's own refuses, whoever sends it.
pub const REFUSED: &str = "refuse me";

fn answer(id: &str, conversation: &str, sent: &Sent) -> Value {
    let row = sent.row;
    object(vec![
        ("id", id.into()),
        ("conversation_id", conversation.into()),
        ("status", sent.status.as_str().into()),
        ("seq", row.map(|row| row.seq).into()),
        ("created_at", row.map(|row| stamp(row.created_at)).into()),
        ("sender_role", row.map(|row| row.role.as_str()).into()),
        ("kind", row.map(|row| row.kind.as_str()).into()),
        ("content", row.map(|row| row.content.as_str()).into()),
    ])
}
