//! What was accepted, and what was said of it.

use std::collections::BTreeSet;

use surechat::{
    json::{Value, number, text},
    message::{Envelope, Kind, MessageId, StoredMessage},
    outbox::Act,
};

/// A row of the outbox that somebody waits for.
struct Row {
    id: String,
    target: Option<String>,
    content: String,
}

#[derive(Default)]
pub struct Ledger {
    accepted: Vec<Row>,
    /// What the server is said to hold, in words that can be read.
    stored: BTreeSet<String>,
    contents: BTreeSet<String>,
    /// What a person cancelled, discarded or edited: from then on it may go.
    given_up: BTreeSet<String>,
    /// Somebody pressed Retry: what was refused because its id is another's gets one of its own.
    retried: bool,
}

impl Ledger {
    /// `target`: the message that it edits.
    pub fn accepted(&mut self, id: String, target: Option<String>, content: String) {
        self.accepted.push(Row { id, target, content });
    }

    /// Of a record that was there before. A delete is nothing that somebody waits for.
    pub fn found(&mut self, envelope: Envelope) {
        if envelope.kind != Kind::Delete {
            let target = envelope.target_id.filter(|_| envelope.kind == Kind::Edit);
            self.accepted(envelope.id.as_str().to_owned(), target, envelope.content);
        }
    }

    pub fn gave_up(&mut self, id: &MessageId) {
        self.given_up.insert(id.as_str().to_owned());
    }

    pub fn retried(&mut self) {
        self.retried = true;
    }

    /// An act of a person in another tab.
    pub fn acted(&mut self, act: &Value) {
        match Act::from_value(act) {
            Some(Act::Cancel { id, .. } | Act::Edit { id, .. } | Act::Discard { id, .. }) => self.gave_up(&id),
            Some(Act::Retry { .. }) => self.retried(),
            None => {}
        }
    }

    /// Every row in it that says, in words that can be read, that `user` has it stored.
    pub fn heard(&mut self, said: &Value, user: &str) {
        let own = StoredMessage::from_row(said).filter(|row| row.sender_id.as_deref() == Some(user));
        for id in own.map(|row| row.id).into_iter().chain(settled(said)) {
            self.stored.insert(id.as_str().to_owned());
            self.contents.extend(text(said, "content").map(str::to_owned));
        }
        let fields = said.as_object().map(|object| object.fields()).unwrap_or_default();
        for inner in said.as_array().into_iter().flatten().chain(fields.iter().map(|(_, field)| field)) {
            self.heard(inner, user);
        }
    }

    /// What is gone from an outbox of these rows and should not be.
    pub fn lost<'a>(&'a self, held: &'a [Envelope]) -> impl Iterator<Item = &'a str> {
        let is_held = |row: &Row| held.iter().any(|envelope| envelope.id.as_str() == row.id);
        let missing = self.accepted.iter().filter(move |row| !self.stored.contains(&row.id) && !is_held(row));
        missing.filter(|row| !self.may_be_gone(row, held)).map(|row| row.id.as_str())
    }

    fn may_be_gone(&self, row: &Row, held: &[Envelope]) -> bool {
        let gave_up = |id: &str| self.given_up.contains(id);
        let is_renamed = || {
            let held = held.iter().any(|envelope| envelope.content == row.content);
            self.retried && (held || self.contents.contains(&row.content))
        };
        // An edit goes with its message, and when a newer one follows it.
        let is_over = |target: &String| {
            let later = self.accepted.iter().skip_while(|other| other.id != row.id).skip(1);
            gave_up(target)
                || later.filter(|later| later.id != row.id).any(|later| later.target.as_ref() == Some(target))
        };
        gave_up(&row.id) || row.target.as_ref().is_some_and(is_over) || is_renamed()
    }
}

fn settled(answer: &Value) -> Option<MessageId> {
    let stored = matches!(text(answer, "status")?, "stored" | "duplicate");
    let has_facts = number(answer, "seq")? > 0
        && text(answer, "created_at").is_some()
        && text(answer, "content").is_some()
        && Kind::parse(text(answer, "kind")?).is_some();
    MessageId::parse(text(answer, "id")?).filter(|_| stored && has_facts)
}

#[cfg(test)]
mod tests {
    use surechat::json::{object, parse};

    use super::*;

    const USER: &str = "u1";

    fn row(n: u8, kind: Kind, target: Option<u8>) -> Envelope {
        Envelope {
            id: id(n),
            conversation_id: "b1".into(),
            kind,
            target_id: target.map(|n| id(n).as_str().to_owned()),
            content: format!("content {n}"),
            message_type: "text".into(),
            metadata: surechat::json::empty_object(),
            created_at: 0,
        }
    }

    fn id(n: u8) -> MessageId {
        MessageId::v7(0, [n; 10])
    }

    /// Messages 1 and 2, an edit 3 of message 1, and a delete 4.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for envelope in held() {
            ledger.found(envelope);
        }
        ledger
    }

    fn held() -> Vec<Envelope> {
        let delete = row(4, Kind::Delete, Some(2));
        vec![row(1, Kind::Message, None), row(2, Kind::Message, None), row(3, Kind::Edit, Some(1)), delete]
    }

    fn lost(ledger: &Ledger, held: &[Envelope]) -> Vec<String> {
        ledger.lost(held).map(str::to_owned).collect()
    }

    fn ids(numbers: &[u8]) -> Vec<String> {
        numbers.iter().map(|n| id(*n).as_str().to_owned()).collect()
    }

    #[test]
    fn what_is_gone_without_a_word_is_lost() {
        assert_eq!(lost(&ledger(), &held()), ids(&[]));
        assert_eq!(lost(&ledger(), &held()[1..]), ids(&[1]));
        assert_eq!(lost(&ledger(), &[]), ids(&[1, 2, 3]), "nobody waits for a delete");
    }

    #[test]
    fn what_is_said_to_be_stored_may_go() {
        let mut ledger = ledger();
        let said = |id: &str, status: &str| {
            format!(r#"[{{"id":"{id}","status":"{status}","seq":1,"created_at":"t","content":"c","kind":"message"}}]"#)
        };
        for (n, status) in [(1, "stored"), (2, "rejected:23514"), (3, "duplicate")] {
            ledger.heard(&parse(&said(id(n).as_str(), status)).expect("JSON"), USER);
        }
        assert_eq!(lost(&ledger, &[]), ids(&[2]));
    }

    #[test]
    fn what_a_person_gave_up_may_go_with_its_edits() {
        let mut ledger = ledger();
        let act = vec![("act", "cancel".into()), ("conversation_id", "b1".into()), ("id", id(1).as_str().into())];
        ledger.acted(&object(act));
        assert_eq!(lost(&ledger, &[]), ids(&[2]));
    }

    #[test]
    fn an_edit_may_go_when_another_one_follows() {
        let mut ledger = ledger();
        ledger.found(row(5, Kind::Edit, Some(1)));
        assert_eq!(lost(&ledger, &[]), ids(&[1, 2, 5]), "but not the last one");
    }

    #[test]
    fn after_a_retry_the_same_may_stand_under_another_id() {
        let mut ledger = ledger();
        let renamed = Envelope { id: id(9), ..row(2, Kind::Message, None) };
        assert_eq!(lost(&ledger, std::slice::from_ref(&renamed)), ids(&[1, 2, 3]));
        ledger.retried();
        assert_eq!(lost(&ledger, &[renamed]), ids(&[1, 3]));
    }
}
