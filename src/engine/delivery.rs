//! A message's way out: accepted, persisted, sent, settled.

use super::{Effect, Engine, Request, Update, acts::keys, reading::cached_rows};
use crate::{
    json::{Value, number},
    message::{DeliveryStatus, Envelope, Failure, Kind, MessageId, StoredMessage},
    outbox::{Change, Seen, Settlement},
    rest::{self, Doubt, HttpError, HttpResponse, StoredFacts},
    store::{Key, MAX_NUMBER, Operation, RECORD_VERSION, Reply, StoreError, StoreResult, Table, Transaction, is_known},
    tabs::TabMessage,
};

/// What browsers let a page that goes away have under way is 64 KiB.
pub(super) const KEEPALIVE_BYTES: usize = 60 * 1024;

/// What was said last of a message of which nothing more is to be said.
pub(super) const TAKEN_BACK: (DeliveryStatus, bool) = (DeliveryStatus::Read, true);

impl Engine {
    // ---- what is in the database

    /// All rows, for a tab that starts, follows, or was asleep.
    pub(super) fn read_outbox(&mut self) {
        self.outbox_again = self.requests.values().any(|purpose| matches!(purpose, Request::ReadOutbox));
        if self.durable && !self.outbox_again {
            self.store(Request::ReadOutbox, Transaction::relaxed(vec![list_from(0)]));
        }
    }

    pub(super) fn outbox_read(&mut self, result: StoreResult) {
        let again = std::mem::take(&mut self.outbox_again);
        if self.role.generation().is_some() {
            return;
        }
        if again {
            return self.read_outbox();
        }
        match result.as_deref() {
            Ok([Reply::List(records)]) => {
                self.outbox.read_anew();
                self.take_rows(records);
                self.storage_works();
            }
            Ok(_) => {}
            Err(error) => self.read_failed(error),
        }
    }

    pub(super) fn take_rows(&mut self, records: &[Value]) {
        let through = records.iter().filter_map(|record| number(record, "key")).max().unwrap_or(0);
        let leading = self.role.generation().is_some();
        let gone = self.outbox.read(records.iter().filter_map(read_record).collect(), through, leading);
        self.look_for(gone);
    }

    /// Messages that are not in the outbox any more. A tab that was asleep or stuck did not hear why: those that were sent
    /// are in the cache.
    fn look_for(&mut self, mut gone: Vec<Envelope>) {
        if self.role.generation().is_none() && self.closing.is_none() {
            for Envelope { conversation_id, .. } in &gone {
                if self.shown.contains_key(conversation_id) && !self.is_reading(conversation_id) {
                    self.load(conversation_id.clone());
                }
            }
        }
        gone.retain(|row| self.said_delivery.contains_key(&row.id) && !self.is_said_sent(&row.id));
        for gone in gone.chunk_by(|one, next| one.conversation_id == next.conversation_id) {
            let Some(Envelope { conversation_id: id, .. }) = gone.first() else { continue };
            let from = self.shown.get(id).map_or(0, |shown| shown.low);
            let place = |seq| Key::Place(id.clone(), seq);
            let list = Operation::List { table: Table::Messages, from: place(from), to: place(MAX_NUMBER) };
            self.store(Request::Fates { gone: gone.to_vec() }, Transaction::relaxed(vec![list]));
        }
    }

    pub(super) fn fates_read(&mut self, gone: Vec<Envelope>, result: StoreResult) {
        let Ok([Reply::List(records)]) = result.as_deref() else { return };
        cached_rows(records).filter(|row| row.kind == Kind::Message).for_each(|row| self.hear_sent(&row));
        for Envelope { conversation_id, id, .. } in gone {
            if !self.is_said_sent(&id) {
                self.taken_back(conversation_id, id);
            }
        }
    }

    pub(super) fn taken_back(&mut self, conversation_id: String, id: MessageId) {
        if !self.is_said_sent(&id) {
            self.said_delivery.insert(id.clone(), TAKEN_BACK);
        } else if self.said_delivery.get(&id) == Some(&TAKEN_BACK) {
            return;
        }
        self.updates.push_back(Update::TakenBack { conversation_id, id });
    }

    // ---- requests

    /// A request is built from rows that are read from the database right before, in a transaction
    /// that fails if another tab leads by now.
    pub(super) fn drain(&mut self) {
        let Some(generation) = self.role.generation() else { return };
        self.outbox.set_online(self.health.is_online());
        self.use_answer();
        self.use_evidence();
        self.begin_acts();
        if self.now.mono < self.store_not_before || self.writing || self.reading_outbox || !self.durable {
            return;
        }
        let free = !self.outbox.is_in_flight();
        let due = self.outbox.is_due(self.now.mono);
        let without_token = self.session.token(self.now.mono, &self.user_id).is_none();
        if free {
            self.outbox.set_waiting_auth(due && without_token && self.session.missing().is_some());
        }
        if self.acts_unread || (free && (self.unread || (due && !without_token))) {
            self.unread = false;
            self.acts_unread = false;
            self.reading_outbox = true;
            let read = Transaction::relaxed(vec![list_from(self.outbox.unread_from())]).of_generation(generation);
            self.store(Request::ReadNewRows, read);
        }
    }

    /// When the outbox wants to be looked at.
    pub(super) fn attempt_at(&self) -> Option<u64> {
        let free = !self.outbox.is_in_flight();
        let at = if self.acts_unread || (self.unread && free) { Some(0) } else { self.outbox.deadline() };
        at.filter(|_| !self.writing && self.durable).map(|at| at.max(self.store_not_before))
    }

    pub(super) fn new_rows_read(&mut self, result: StoreResult) {
        self.reading_outbox = false;
        if self.role.generation().is_none() {
            return;
        }
        match result.as_deref() {
            Ok([Reply::List(records)]) => self.take_rows(records),
            Ok(_) => {}
            Err(StoreError::Robbed) => return self.robbed(),
            Err(error) => {
                self.storage_fails(error);
                self.unread = true;
                self.acts_unread = !self.acts.is_empty();
                return;
            }
        }
        self.storage_works();
        // What a person wants is done first: it may be about these very rows.
        if !self.acts.is_empty() || self.writing {
            return;
        }
        let Some(token) = self.session.token(self.now.mono, &self.user_id) else { return };
        let jwt = token.jwt.clone();
        let target = self.config.target(&jwt, &self.user_id);
        let rows = self.outbox.take_request(self.now.mono);
        let Some(first) = rows.first() else { return };
        if self.config.source.is_plain() && first.kind != Kind::Message {
            // Queued when another way in was in use.
            return self.answer = Some(rest::unsupported());
        }
        let http = self.config.source.send(target, rows.into_iter());
        self.sent_at_resets = self.sync.resets();
        let request = self.expect(Request::Send { jwt });
        self.effects.push_back(Effect::Http { request, http });
    }

    /// A page that goes away repeats what may not have arrived, in order; nobody hears the answer. While a row is
    /// written, it may go out as it was, and stand on the disk as something that was never sent.
    pub(super) fn keepalive(&mut self) {
        let Some(token) = self.session.token(self.now.mono, &self.user_id) else { return };
        let target = self.config.target(&token.jwt, &self.user_id);
        let mut max_bytes = KEEPALIVE_BYTES;
        while self.role.generation().is_some() && !self.writing {
            let rows = self.outbox.front(max_bytes);
            if rows.is_empty() {
                return;
            }
            let mut http = self.config.source.send(target, rows.into_iter());
            if http.body.len() <= KEEPALIVE_BYTES {
                http.keepalive = true;
                self.last_request += 1;
                return self.effects.push_back(Effect::Http { request: self.last_request, http });
            }
            max_bytes /= 2;
        }
    }

    pub(super) fn send_answered(&mut self, jwt: &str, result: Result<HttpResponse, HttpError>) {
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        let source = &self.config.source;
        let row = self.outbox.under_way().filter(|_| source.is_plain());
        let Some(row) = row else { return self.answer = Some(outcome) };
        match source.sent(row, &self.user_id, outcome) {
            Ok(outcome) => self.answer = Some(outcome),
            Err(doubt) => {
                let http = source.look_up(self.config.target(jwt, &self.user_id), row);
                let request = self.expect(Request::LookUp { jwt: jwt.to_owned(), doubt });
                self.effects.push_back(Effect::Http { request, http });
            }
        }
    }

    pub(super) fn looked_up(&mut self, jwt: &str, doubt: Doubt, result: Result<HttpResponse, HttpError>) {
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        self.answer = Some(match self.outbox.under_way() {
            Some(row) => self.config.source.looked_up(row, &self.user_id, doubt, outcome),
            None => outcome,
        });
    }

    fn use_answer(&mut self) {
        if self.writing {
            return;
        }
        let Some(outcome) = self.answer.take() else { return };
        let settlement = self.outbox.settle(self.now.mono, outcome);
        if settlement.wants_token && !settlement.token_rejected {
            self.session.renew();
        }
        match &settlement.misconfigured {
            Some(failure) => self.problem(None, &failure.code.clone(), &failure.message.clone()),
            None => self.clear_problem("schema_missing"),
        }
        let Some(generation) = self.role.generation().filter(|_| !settlement.changes.is_empty()) else {
            return self.outbox.abandon();
        };
        let mut operations = operations(&settlement.changes);
        let current = self.sent_at_resets == self.sync.resets();
        let as_sent = |(envelope, facts): &&(Envelope, StoredFacts)| facts.kind == envelope.kind;
        for (envelope, facts) in settlement.stored.iter().filter(as_sent).filter(|_| current) {
            let message = stored_message(envelope, facts, &self.user_id);
            operations.push(Operation::Put { table: Table::Messages, value: cached(&message) });
        }
        let transaction = Transaction::strict(operations).of_generation(generation);
        self.write(Request::Settle(settlement), transaction);
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
        let replies = match result {
            Ok(replies) => replies,
            Err(StoreError::Robbed) => return self.robbed(),
            Err(_) => {
                let failure = Failure {
                    code: "storage_failed".into(),
                    retryable: true,
                    http_status: None,
                    pg_code: None,
                    message: "unable to note that the message is sent; because the database did not take it".into(),
                };
                return self.outbox.unsettled(self.now.mono, &failure);
            }
        };
        self.outbox.abandon();
        self.outbox.apply(settlement.changes, keys(replies));
        let current = self.sent_at_resets == self.sync.resets();
        for (envelope, facts) in &settlement.stored {
            let as_sent = facts.kind == envelope.kind;
            let message = stored_message(envelope, facts, &self.user_id);
            if as_sent {
                self.note_sent(&message);
            }
            if as_sent && current {
                self.take_in(message);
            } else {
                // Under this id is something else, of which the answer tells too little; or it is not there any more.
                self.sync.track(&envelope.conversation_id).announce(facts.seq);
            }
        }
        if settlement.progressed {
            self.outbox.probe_soon(self.now.mono);
        }
        self.tell_changed = true;
    }

    /// A row itself came back: that is evidence too.
    pub(super) fn note_evidence(&mut self, message: &StoredMessage) {
        let own = message.sender_id.as_deref() == Some(&self.user_id) && self.role.generation().is_some();
        let known = self.evidence.iter().any(|known| known.id == message.id);
        if own && !known && self.outbox.holds(&message.conversation_id, &message.id) {
            // What its edits wait for comes before the edits themselves.
            let messages = self.evidence.partition_point(|known| known.kind == Kind::Message);
            let place = if message.kind == Kind::Message { messages } else { self.evidence.len() };
            self.evidence.insert(place, message.clone());
        }
    }

    /// Evidence counts as soon as the rows were read under this lead, for another database gives their keys to others;
    /// nothing else is written, and no request that carries the row is under way: then it counts for the rows that the
    /// answer did not settle.
    fn use_evidence(&mut self) {
        let ready = !self.writing && self.outbox.is_read();
        let Some(generation) = self.role.generation().filter(|_| ready) else { return };
        let (mut changes, mut sent) = (Vec::new(), Vec::new());
        for message in std::mem::take(&mut self.evidence) {
            match self.outbox.seen(&message) {
                None => {}
                Some(Seen::UnderWay) => self.evidence.push(message),
                Some(Seen::Stored { changes: more, as_sent }) => {
                    changes.extend(more);
                    if as_sent {
                        sent.push(message);
                    }
                }
            }
        }
        if !changes.is_empty() {
            let transaction = Transaction::strict(operations(&changes)).of_generation(generation);
            self.write(Request::Evidence { changes, sent }, transaction);
        }
    }

    pub(super) fn evidence_written(&mut self, changes: Vec<Change>, sent: &[StoredMessage], result: StoreResult) {
        match result {
            Ok(replies) => {
                self.outbox.apply(changes, keys(replies));
                sent.iter().for_each(|message| self.note_sent(message));
                self.tell_changed = true;
            }
            Err(StoreError::Robbed) => self.robbed(),
            Err(_) => {}
        }
    }

    /// The leader has sent it, perhaps for this tab.
    pub(super) fn hear_sent(&mut self, message: &StoredMessage) {
        if self.said_delivery.contains_key(&message.id) && !self.is_said_sent(&message.id) {
            self.note_sent(message);
        }
    }

    /// An own message is on the server: from here on its ticks are followed.
    fn note_sent(&mut self, message: &StoredMessage) {
        if self.role.generation().is_some() {
            self.tell(TabMessage::Sent { message: Box::new(message.clone()) });
        }
        if message.kind == Kind::Message {
            self.awaiting_ticks.push(message.clone());
            self.announce(&message.conversation_id, &message.id, DeliveryStatus::Sent, 0, None);
            self.announce_ticks(&message.conversation_id);
        }
    }
}

/// What brings the outbox's records to what is planned.
pub(super) fn operations(changes: &[Change]) -> Vec<Operation> {
    let operation = |change: &Change| match change {
        Change::Remove { key, .. } => Operation::Delete { table: Table::Outbox, key: Key::Number(*key) },
        Change::Put { key, envelope, refused } => {
            let mut value = record(envelope, refused.as_ref());
            value["key"] = (*key).into();
            Operation::Put { table: Table::Outbox, value }
        }
        Change::Add { envelope, .. } => Operation::Add { value: record(envelope, None) },
    };
    changes.iter().map(operation).collect()
}

/// An outbox record of this version.
pub(super) fn record(envelope: &Envelope, refused: Option<&Failure>) -> Value {
    let mut fields = envelope.fields();
    fields.set("v", RECORD_VERSION);
    fields.set("created_at", envelope.created_at);
    fields.set("refused", refused.map(Failure::to_value));
    fields.into()
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
