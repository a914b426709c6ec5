//! What a person does to rows of the outbox, as plain data, and what it comes to.
//!
//! Only a row that was never sent is changed or deleted here. For one that may be sent there is a
//! *tombstone* under the same id, so that a late arrival is a duplicate; what is on the server is
//! changed by a row of its own at the end. Every act may come twice.

use super::{Change, Outbox, Row};
use crate::{
    json::{Value, empty_object, fields, owned, text},
    message::{self, Envelope, Kind, MessageId, Rejection},
};

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Queue again what was refused, in one conversation or in all: at the end.
    Retry { conversation_id: Option<String> },
    /// Take a message back, wherever it is.
    Cancel { conversation_id: String, id: MessageId },
    /// `edit_id` names the row that this adds.
    Edit { conversation_id: String, id: MessageId, edit_id: MessageId, content: String },
    /// Give up what is unsent.
    Discard { conversation_id: String, id: MessageId },
}

impl Act {
    pub fn check(&self) -> Result<(), Rejection> {
        match self {
            Act::Retry { .. } => Ok(()),
            Act::Cancel { conversation_id, .. } | Act::Discard { conversation_id, .. } => {
                message::check_conversation(conversation_id)
            }
            Act::Edit { conversation_id, content, .. } => {
                message::check(conversation_id, content, "text", &empty_object())
            }
        }
    }

    /// What cannot be done where it is refused.
    pub fn unable(&self) -> &'static str {
        match self {
            Act::Retry { .. } => "unable to retry",
            Act::Cancel { .. } => "unable to delete",
            Act::Edit { .. } => "unable to edit",
            Act::Discard { .. } => "unable to discard",
        }
    }

    pub fn to_value(&self) -> Value {
        let name = match self {
            Act::Retry { .. } => "retry",
            Act::Cancel { .. } => "cancel",
            Act::Edit { .. } => "edit",
            Act::Discard { .. } => "discard",
        };
        let mut fields = fields! { "act": name };
        match self {
            Act::Retry { conversation_id } => fields.set("conversation_id", conversation_id.as_deref()),
            Act::Cancel { conversation_id, id }
            | Act::Discard { conversation_id, id }
            | Act::Edit { conversation_id, id, .. } => {
                fields.set("conversation_id", conversation_id.as_str());
                fields.set("id", id.as_str());
            }
        }
        if let Act::Edit { edit_id, content, .. } = self {
            fields.set("edit_id", edit_id.as_str());
            fields.set("content", content.as_str());
        }
        fields.into()
    }

    /// Another version of the package may speak here: what is not understood is `None`.
    pub fn from_value(value: &Value) -> Option<Self> {
        let parse = |field: &str| text(value, field).and_then(MessageId::parse);
        let (act, conversation_id) = (text(value, "act")?, owned(value, "conversation_id"));
        if act == "retry" {
            return Some(Act::Retry { conversation_id });
        }
        let (conversation_id, id) = (conversation_id?, parse("id")?);
        match act {
            "cancel" => Some(Act::Cancel { conversation_id, id }),
            "edit" => {
                let (edit_id, content) = (parse("edit_id")?, owned(value, "content")?);
                Some(Act::Edit { conversation_id, id, edit_id, content })
            }
            "discard" => Some(Act::Discard { conversation_id, id }),
            _ => None,
        }
    }
}

impl Outbox {
    /// What an act changes. Nothing counts before it is committed and handed to [`Outbox::apply`].
    pub fn plan(&self, act: &Act, now_wall: u64) -> Result<Vec<Change>, Rejection> {
        let changes = self.plan_freely(act, now_wall)?;
        if !self.plain {
            return Ok(changes);
        }
        let may_have_arrived = match act {
            Act::Cancel { conversation_id, id } => {
                self.rows_about(conversation_id, id).iter().any(|(_, row)| row.refused.is_none())
            }
            _ => false,
        };
        plainly(may_have_arrived, changes)
    }

    fn plan_freely(&self, act: &Act, now_wall: u64) -> Result<Vec<Change>, Rejection> {
        match act {
            Act::Retry { conversation_id } => Ok(self.requeue(conversation_id.as_deref(), now_wall)),
            Act::Cancel { conversation_id, id } => Ok(self.cancel(conversation_id, id, now_wall)),
            Act::Edit { conversation_id, id, edit_id, content } => {
                let edit = Envelope {
                    id: edit_id.clone(),
                    conversation_id: conversation_id.clone(),
                    kind: Kind::Edit,
                    target_id: Some(id.as_str().to_owned()),
                    content: content.clone(),
                    message_type: "text".into(),
                    metadata: empty_object(),
                    created_at: now_wall,
                };
                self.edit(id, edit)
            }
            Act::Discard { conversation_id, id } => self.discard(conversation_id, id),
        }
    }

    /// What was refused because its id is another's gets one of its own. The edits of a message go behind it.
    fn requeue(&self, conversation_id: Option<&str>, now_wall: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut add = |key: u64, envelope: Envelope, maybe_sent: bool| {
            changes.push(Change::Remove { conversation_id: envelope.conversation_id.clone(), key });
            changes.push(Change::Add { envelope, maybe_sent });
        };
        for (_, lane) in self.lanes.iter().filter(|(id, _)| conversation_id.is_none_or(|wanted| wanted == *id)) {
            let refused = || lane.rows.iter().filter(|(_, row)| row.refused.is_some());
            for (key, row) in refused() {
                let target = row.envelope.target_id.as_deref();
                if row.envelope.kind == Kind::Edit && refused().any(|(_, row)| Some(row.envelope.id.as_str()) == target)
                {
                    continue;
                }
                let mut envelope = row.envelope.clone();
                let taken = row.refused.as_ref().is_some_and(|failure| failure.code == "id_conflict");
                if taken && envelope.kind == Kind::Message {
                    let mut entropy = [0; 10];
                    fastrand::Rng::with_seed(self.seed ^ key).fill(&mut entropy);
                    envelope.id = MessageId::v7(now_wall, entropy);
                }
                let target_id = Some(envelope.id.as_str().to_owned());
                add(*key, envelope, true);
                for (key, edit) in lane.edits_of(row.envelope.id.as_str()) {
                    add(key, Envelope { target_id: target_id.clone(), ..edit.envelope.clone() }, edit.maybe_sent);
                }
            }
        }
        changes
    }

    fn cancel(&self, conversation_id: &str, id: &MessageId, now_wall: u64) -> Vec<Change> {
        let deletes = id.of_delete();
        let (mut held, mut changes) = (false, Vec::new());
        for (key, row) in self.rows_about(conversation_id, id) {
            held |= row.envelope.id == *id || row.envelope.id == deletes;
            if row.envelope.id == *id || row.envelope.kind == Kind::Edit {
                changes.extend(give_up(key, row));
            }
        }
        if !held && !self.taken_back.contains(id) {
            changes.push(Change::Add { envelope: delete_row(conversation_id, id, now_wall), maybe_sent: false });
        }
        changes
    }

    fn edit(&self, id: &MessageId, edit: Envelope) -> Result<Vec<Change>, Rejection> {
        let about = self.rows_about(&edit.conversation_id, id);
        let own = about.iter().find(|(_, row)| row.envelope.id == *id && row.envelope.kind == Kind::Message);
        if !self.rows_about(&edit.conversation_id, &edit.id).is_empty() {
            return Ok(Vec::new());
        }
        match own {
            Some((_, row)) if row.refused.is_some() => {
                let anew = Envelope {
                    kind: Kind::Message,
                    target_id: None,
                    message_type: row.envelope.message_type.clone(),
                    metadata: row.envelope.metadata.clone(),
                    ..edit
                };
                let given_up = about.iter().filter_map(|(key, row)| give_up(*key, row));
                Ok(given_up.chain([Change::Add { envelope: anew, maybe_sent: false }]).collect())
            }
            Some((key, row)) if !row.maybe_sent => {
                let envelope = Envelope { content: edit.content, ..row.envelope.clone() };
                Ok(vec![Change::Put { key: *key, envelope, refused: None }])
            }
            Some((_, row)) if about.len() == 1 && row.envelope.content == edit.content => Ok(Vec::new()),
            _ if about.iter().any(|(_, row)| row.envelope.kind == Kind::Delete) => {
                Err(Rejection { code: "not_found", because: "the message was taken back" })
            }
            _ => {
                let older = about.iter().filter(|(_, row)| row.envelope.kind == Kind::Edit && row.refused.is_some());
                let given_up = older.filter_map(|(key, row)| give_up(*key, row));
                Ok(given_up.chain([Change::Add { envelope: edit, maybe_sent: false }]).collect())
            }
        }
    }

    fn discard(&self, conversation_id: &str, id: &MessageId) -> Result<Vec<Change>, Rejection> {
        let (mut held, mut changes) = (false, Vec::new());
        for (key, row) in self.rows_about(conversation_id, id) {
            held = true;
            changes.extend(give_up(key, row));
        }
        if held { Ok(changes) } else { Err(Rejection { code: "not_found", because: "nothing unsent has this id" }) }
    }

    /// The rows that have this id, or change what has it.
    fn rows_about(&self, conversation_id: &str, id: &MessageId) -> Vec<(u64, &Row)> {
        let rows = self.lanes.get(conversation_id).into_iter().flat_map(|lane| &lane.rows);
        let is_about = |row: &Row| row.envelope.id == *id || row.envelope.target_id.as_deref() == Some(id.as_str());
        rows.map(|(key, row)| (*key, row)).filter(|(_, row)| is_about(row)).collect()
    }
}

/// Where nothing but messages can be sent, a row is given up by forgetting it, and what may have arrived stays as it is.
fn plainly(may_have_arrived: bool, changes: Vec<Change>) -> Result<Vec<Change>, Rejection> {
    const UNSUPPORTED: Rejection =
        Rejection { code: "unsupported", because: "this way in takes new messages, and it may have arrived" };
    let plain = |change: Change| match change {
        Change::Put { envelope, .. } if envelope.is_tombstone() && may_have_arrived => Err(UNSUPPORTED),
        Change::Put { key, envelope, .. } if envelope.is_tombstone() => {
            Ok(Change::Remove { conversation_id: envelope.conversation_id, key })
        }
        Change::Add { envelope, .. } if envelope.kind != Kind::Message => Err(UNSUPPORTED),
        change => Ok(change),
    };
    changes.into_iter().map(plain).collect()
}

/// The row that deletes a stored message. Deleting twice is the same row.
pub(super) fn delete_row(conversation_id: &str, target: &MessageId, now_wall: u64) -> Envelope {
    Envelope {
        id: target.of_delete(),
        conversation_id: conversation_id.to_owned(),
        kind: Kind::Delete,
        target_id: Some(target.as_str().to_owned()),
        content: String::new(),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: now_wall,
    }
}

/// A row that nobody wants to be sent any more. A delete that was not refused is left to its fate: it may be what came of
/// giving up its message before, and a tombstone in its place would stand in the way of every later delete of that.
pub(super) fn give_up(key: u64, row: &Row) -> Option<Change> {
    let envelope = &row.envelope;
    let is_delete = envelope.kind == Kind::Delete;
    if envelope.is_tombstone() || (is_delete && row.refused.is_none()) {
        None
    } else if !row.maybe_sent || is_delete {
        Some(Change::Remove { conversation_id: envelope.conversation_id.clone(), key })
    } else {
        Some(Change::Put { key, envelope: envelope.tombstone(), refused: None })
    }
}
