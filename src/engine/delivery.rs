//! A message's way out: accepted, persisted, sent, settled.

use super::{Effect, Engine, OperationId, Phase, Request};
use crate::{
    json::{Value, number, object},
    message::{DeliveryStatus, Envelope, Failure, Kind, StoredMessage},
    outbox::{Settlement, Verdict},
    rest::{self, HttpError, HttpResponse, StoredFacts},
    store::{Key, MAX_NUMBER, Operation, RECORD_VERSION, Reply, StoreError, StoreResult, Table, Transaction, is_known},
    tabs::TabMessage,
};

impl Engine {
    // ---- what is in the database

    /// All rows, for a tab that starts, follows, or was asleep.
    pub(super) fn read_outbox(&mut self) {
        if self.durable {
            self.store(Request::ReadOutbox, Transaction::relaxed(vec![list_from(0)]));
        }
    }

    pub(super) fn outbox_read(&mut self, result: StoreResult) {
        if self.role.generation().is_some() {
            return;
        }
        match result.as_deref() {
            Ok([Reply::List(records)]) => {
                self.outbox.read_anew();
                self.take_rows(records);
                self.storage_works();
            }
            Ok(_) => {}
            Err(error) => {
                self.storage_fails(error);
                self.unread = true;
            }
        }
    }

    pub(super) fn take_rows(&mut self, records: &[Value]) {
        let through = records.iter().filter_map(|record| number(record, "key")).max().unwrap_or(0);
        self.outbox.read(records.iter().filter_map(read_record).collect(), through);
    }

    // ---- requests

    /// A request is built from rows that are read from the database right before, in a transaction
    /// that fails if another tab leads by now.
    pub(super) fn drain(&mut self) {
        let Some(generation) = self.role.generation() else { return };
        let pauses = self.now.mono < self.store_not_before;
        if pauses || self.reading_outbox || self.outbox.is_in_flight() || !self.durable {
            return;
        }
        let due = self.outbox.is_due(self.now.mono);
        let without_token = self.session.token(self.now.mono, &self.user_id).is_none();
        self.outbox.set_waiting_auth(due && without_token && self.session.missing().is_some());
        if self.unread || (due && !without_token) {
            self.unread = false;
            self.reading_outbox = true;
            let read = Transaction::relaxed(vec![list_from(self.outbox.unread_from())]).of_generation(generation);
            self.store(Request::ReadNewRows, read);
        }
    }

    /// When the next request may be due.
    pub(super) fn attempt_at(&self) -> Option<u64> {
        let at = if self.unread { Some(0) } else { self.outbox.deadline() };
        at.filter(|_| !self.outbox.is_in_flight() && self.durable).map(|at| at.max(self.store_not_before))
    }

    pub(super) fn new_rows_read(&mut self, result: StoreResult) {
        self.reading_outbox = false;
        if self.role.generation().is_none() {
            return;
        }
        match result.as_deref() {
            Ok([Reply::List(records)]) => self.take_rows(records),
            Ok(_) => {}
            Err(StoreError::Robbed) => return self.requeue_for_lead(),
            Err(error) => {
                self.storage_fails(error);
                self.unread = true;
                return;
            }
        }
        self.storage_works();
        let Some(token) = self.session.token(self.now.mono, &self.user_id) else { return };
        let jwt = token.jwt.clone();
        let target = self.config.target(&jwt, &self.user_id);
        let rows = self.outbox.take_request(self.now.mono);
        if rows.is_empty() {
            return;
        }
        let http = rest::send(target, rows.into_iter());
        let request = self.expect(Request::Send { jwt });
        self.effects.push_back(Effect::Http { request, http });
    }

    pub(super) fn send_answered(&mut self, jwt: &str, result: Result<HttpResponse, HttpError>) {
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        let settlement = self.outbox.settle(self.now.mono, outcome);
        if settlement.wants_token && !settlement.token_rejected {
            self.session.renew();
        }
        match &settlement.misconfigured {
            Some(failure) => self.problem(None, &failure.code.clone(), &failure.message.clone()),
            None => self.clear_problem("schema_missing"),
        }
        let Some(generation) = self.role.generation().filter(|_| !settlement.verdicts.is_empty()) else {
            self.outbox.finish(&settlement);
            return self.use_early_evidence();
        };
        let operations = settlement.verdicts.iter().flat_map(|(key, envelope, verdict)| match verdict {
            Verdict::Stored(facts) => vec![
                Operation::Delete { table: Table::Outbox, key: Key::Number(*key) },
                Operation::Put {
                    table: Table::Messages,
                    value: cached(&stored_message(envelope, facts, &self.user_id)),
                },
            ],
            Verdict::Refused(failure) => {
                let mut value = record(envelope, Some(failure));
                value["key"] = (*key).into();
                vec![Operation::Put { table: Table::Outbox, value }]
            }
        });
        let transaction = Transaction::strict(operations.collect()).of_generation(generation);
        self.store(Request::Settle(settlement), transaction);
    }

    /// Whatever decided about a token, the session hears of it.
    pub(super) fn note_token(&mut self, jwt: &str, outcome: &rest::Outcome) {
        match outcome {
            rest::Outcome::Answer(_) => self.session.accepted(),
            rest::Outcome::Unauthorized => self.session.rejected(self.now.mono, jwt),
            _ => {}
        }
    }

    pub(super) fn settled(&mut self, settlement: Settlement, result: StoreResult) {
        match result {
            Err(StoreError::Robbed) => return self.requeue_for_lead(),
            Err(_) => {
                let failure = Failure {
                    code: "storage_failed".into(),
                    retryable: true,
                    http_status: None,
                    pg_code: None,
                    message: "unable to note that the message is sent; because the database did not take it".into(),
                };
                self.outbox.unsettled(self.now.mono, &failure);
                return self.use_early_evidence();
            }
            Ok(_) => {}
        }
        self.outbox.finish(&settlement);
        self.use_early_evidence();
        for (_, envelope, verdict) in &settlement.verdicts {
            if let Verdict::Stored(facts) = verdict {
                let message = stored_message(envelope, facts, &self.user_id);
                self.note_sent(&message);
                self.take_in(message);
            }
        }
        if settlement.progressed {
            self.outbox.probe_soon(self.now.mono);
        }
        self.tell_changed = true;
    }

    /// The row itself came back: that is evidence too, unless the answer of its own request is still to come.
    pub(super) fn note_evidence(&mut self, message: &StoredMessage) {
        let own = message.sender_id.as_deref() == Some(&self.user_id);
        let Some(generation) = self.role.generation().filter(|_| own) else { return };
        match self.outbox.find(&message.conversation_id, &message.id) {
            None => {}
            Some((_, true)) => self.early_evidence.push(message.clone()),
            Some((key, false)) => {
                let delete = Operation::Delete { table: Table::Outbox, key: Key::Number(key) };
                let transaction = Transaction::strict(vec![delete]).of_generation(generation);
                self.store(Request::Evidence { key, message: message.clone() }, transaction);
            }
        }
    }

    /// A request is over: what came back before its answer counts for the rows that the answer did not settle.
    fn use_early_evidence(&mut self) {
        for message in std::mem::take(&mut self.early_evidence) {
            self.note_evidence(&message);
        }
    }

    pub(super) fn evidence_written(&mut self, key: u64, message: &StoredMessage, result: StoreResult) {
        match result {
            Ok(_) => {
                self.outbox.seen(&message.conversation_id, key);
                self.note_sent(message);
                self.tell_changed = true;
            }
            Err(StoreError::Robbed) => self.requeue_for_lead(),
            Err(_) => {}
        }
    }

    // ---- Retry

    pub(super) fn retry(&mut self, op: OperationId, conversation_id: Option<String>) {
        if self.role.generation().is_some() {
            self.retry_rows(conversation_id.as_deref());
        } else if self.phase == Phase::Running {
            self.tell(TabMessage::Retry { conversation_id });
        }
        self.done(op, Value::Null);
    }

    pub(super) fn retry_rows(&mut self, conversation_id: Option<&str>) {
        self.realtime.handle(self.now.mono, crate::realtime::Input::Woke);
        self.session.retry();
        let Some(generation) = self.role.generation() else { return };
        let refused = self.outbox.retry(conversation_id);
        if refused.is_empty() {
            return;
        }
        let operations = refused.iter().flat_map(|(key, envelope)| {
            [
                Operation::Delete { table: Table::Outbox, key: Key::Number(*key) },
                Operation::Add { value: record(envelope, None) },
            ]
        });
        let transaction = Transaction::strict(operations.collect()).of_generation(generation);
        self.store(Request::Rekey { old: refused }, transaction);
    }

    pub(super) fn rekeyed(&mut self, old: Vec<(u64, Envelope)>, result: StoreResult) {
        match result {
            Ok(replies) => {
                let keys =
                    replies.into_iter().filter_map(|reply| if let Reply::Key(key) = reply { Some(key) } else { None });
                for ((old, envelope), new) in old.into_iter().zip(keys) {
                    self.outbox.rekeyed(old, new, envelope);
                }
                self.tell_changed = true;
            }
            Err(StoreError::Robbed) => self.requeue_for_lead(),
            Err(_) => {}
        }
    }

    /// An own message is on the server: from here on its ticks are followed.
    fn note_sent(&mut self, message: &StoredMessage) {
        if message.kind == Kind::Message {
            self.awaiting_ticks.push(message.clone());
            self.announce(&message.conversation_id, &message.id, DeliveryStatus::Sent, 0, None);
            self.announce_ticks(&message.conversation_id);
        }
    }
}

/// An outbox record of this version.
pub(super) fn record(envelope: &Envelope, refused: Option<&Failure>) -> Value {
    let mut fields = envelope.fields();
    fields.push(("v", RECORD_VERSION.into()));
    fields.push(("created_at", envelope.created_at.into()));
    fields.push(("refused", refused.map(Failure::to_value).into()));
    object(fields)
}

/// `None` for a record of another version, which stays where it is.
fn read_record(record: &Value) -> Option<(u64, Envelope, Option<Failure>)> {
    if !is_known(record) {
        return None;
    }
    let refused = record.get("refused").and_then(Failure::from_value);
    Some((number(record, "key")?, Envelope::from_record(record)?, refused))
}

/// A record of the cache.
pub(super) fn cached(message: &StoredMessage) -> Value {
    let mut row = message.to_row();
    row["v"] = RECORD_VERSION.into();
    row
}

fn stored_message(envelope: &Envelope, facts: &StoredFacts, user_id: &str) -> StoredMessage {
    StoredMessage {
        id: envelope.id.clone(),
        conversation_id: envelope.conversation_id.clone(),
        seq: facts.seq,
        kind: facts.kind,
        target_id: envelope.target_id.clone(),
        sender_id: Some(user_id.to_owned()),
        sender_role: facts.sender_role.clone(),
        content: facts.content.clone(),
        message_type: envelope.message_type.clone(),
        metadata: envelope.metadata.clone(),
        created_at: facts.created_at.clone(),
        edited_at: None,
        deleted_at: None,
    }
}

pub(super) fn list_from(key: u64) -> Operation {
    Operation::List { table: Table::Outbox, from: Key::Number(key), to: Key::Number(MAX_NUMBER) }
}
