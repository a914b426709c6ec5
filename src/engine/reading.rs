//! A message's way in: the cache, catch-up, the live channel.

use super::{
    Engine, OperationId, Phase, Problem, Reload, Request, Shown, Update, delivery::cached, storage::all_messages,
};
use crate::{
    engine::Effect,
    json::{Value, number, text},
    message::{Kind, Member, StoredMessage},
    rest::{self, HttpError, HttpResponse, Outcome, Start, SyncStatus},
    store::{Key, MAX_NUMBER, Operation, Reply, StoreError, StoreResult, Table, Transaction, is_known},
    sync::{Conversation, Merge, Synced},
    tabs::TabMessage,
    timeline::Timeline,
};

/// Messages shown at first.
pub(super) const PAGE: u64 = 50;
const UNREACHABLE: &str = "unable to load the messages; because the server could not be reached";
/// A call that waits for a sync waits this long.
pub(super) const RELOAD_TIMEOUT_MS: u64 = 15_000;

impl Engine {
    // ---- opening

    pub(super) fn open(&mut self, conversation_id: String) {
        if conversation_id.is_empty() || self.shown.contains_key(&conversation_id) {
            return;
        }
        let role = self.own_role(&conversation_id);
        let timeline = Timeline::new(&self.user_id, &role);
        self.shown.insert(conversation_id.clone(), Shown::new(timeline));
        if self.phase == Phase::Running {
            if self.role.generation().is_none() {
                self.tell(TabMessage::Open { conversation_id: conversation_id.clone() });
            }
            // It may be known already that the server refuses it, from another tab that shows it.
            if let Some(problem) = self.problem_of(Some(&conversation_id)).cloned() {
                let error = Some(problem);
                self.updates.push_back(Update::Problem { conversation_id: Some(conversation_id.clone()), error });
                self.loaded(&conversation_id);
            }
            self.load(conversation_id);
        }
    }

    pub(super) fn close(&mut self, conversation_id: &str) {
        self.set_typing(conversation_id, false);
        self.shown.remove(conversation_id);
        self.give_up_history(conversation_id);
    }

    /// From the cache to the screen; and, where this tab leads, on to the server.
    pub(super) fn load(&mut self, conversation_id: String) {
        if let Some(Shown { timeline, .. }) = self.shown.get_mut(&conversation_id) {
            timeline.set_user(&self.user_id);
        }
        self.outbox.touch(&conversation_id);
        if !self.durable {
            // Nothing was kept: the server has to say all of it again.
            self.sync.restore(Conversation::new(&conversation_id));
        } else if self.role.generation().is_some() {
            self.sync.track(&conversation_id);
        }
        if self.is_reading(&conversation_id)
            && let Some(shown) = self.shown.get_mut(&conversation_id)
        {
            shown.again = true;
        } else if self.durable {
            let get = Operation::Get { table: Table::Conversations, key: Key::Text(conversation_id.clone()) };
            self.store(Request::Conversation { conversation_id }, Transaction::relaxed(vec![get]));
        }
    }

    /// Rows for the view are on their way from the cache.
    pub(super) fn is_reading(&self, conversation_id: &str) -> bool {
        self.requests.values().any(|purpose| match purpose {
            Request::Conversation { conversation_id: id } | Request::Rows { conversation_id: id, .. } => {
                id == conversation_id
            }
            _ => false,
        })
    }

    /// What is known of the conversation says from where to read; then both are read at once, so that they fit together.
    pub(super) fn conversation_read(&mut self, conversation_id: String, result: StoreResult) {
        let record = match result.as_deref() {
            Ok([Reply::Value(Some(record))]) => self.known(record),
            Ok(_) => None,
            Err(error) => return self.read_failed(error),
        };
        let (Some(record), Some(shown)) = (record, self.shown.get(&conversation_id)) else {
            // The leader may have given it up for want of space, when it did not know that it is shown here.
            if self.role.generation().is_none() && self.shown.contains_key(&conversation_id) {
                self.tell(TabMessage::Open { conversation_id: conversation_id.clone() });
            }
            return self.load_again(&conversation_id);
        };
        // The newest page, and what joins it to what is on the screen.
        let page = record.cursor.saturating_sub(PAGE - 1);
        let joins = shown.low > 0 && shown.incarnation == record.incarnation;
        let from = if joins { page.min(shown.through + 1) } else { page }.max(record.low);
        let from = if self.reads_table() { record.low } else { from };
        let get = Operation::Get { table: Table::Conversations, key: Key::Text(conversation_id.clone()) };
        let list = Operation::List {
            table: Table::Messages,
            from: Key::Place(conversation_id.clone(), from),
            to: Key::Place(conversation_id.clone(), MAX_NUMBER),
        };
        self.store(Request::Rows { conversation_id, from }, Transaction::relaxed(vec![get, list]));
    }

    pub(super) fn rows_read(&mut self, conversation_id: &str, from: u64, result: StoreResult) {
        match result.as_deref() {
            Ok([Reply::Value(Some(record)), Reply::List(rows)]) => {
                if let Some(record) = self.known(record) {
                    let (from, rows) = self.newest_of_table(from, rows);
                    self.take_cached(conversation_id, from, record, rows);
                }
                self.storage_works();
            }
            Ok(_) => {}
            Err(error) => return self.read_failed(error),
        }
        self.load_again(conversation_id);
    }

    fn take_cached(&mut self, conversation_id: &str, from: u64, record: Conversation, rows: &[Value]) {
        let leading = self.role.generation().is_some();
        let cut = from.max(record.low);
        let held = self.sync.get(conversation_id).filter(|held| held.is_known());
        let (is_held, is_other) = (held.is_some(), held.is_some_and(|held| held.incarnation != record.incarnation));
        let beyond = |shown: &Shown| shown.low > record.cursor + 1;
        let lies_below = !self.reads_table() && self.shown.get(conversation_id).is_some_and(beyond);
        if leading && (is_other || (is_held && lies_below)) {
            return;
        }
        if !leading {
            self.believe(&record);
        }
        let rows: Vec<StoredMessage> = cached_rows(rows).collect();
        self.cover(conversation_id, &record.incarnation, cut, record.cursor, &rows);
        if !leading || !is_held {
            self.sync.restore(record);
        }
        // A tab that slept did not hear that its message was sent.
        rows.iter().filter(|_| !leading).for_each(|row| self.hear_sent(row));
        let Some(Shown { timeline, .. }) = self.shown.get_mut(conversation_id) else { return };
        let mut operations = Vec::new();
        for row in rows {
            // Where another tab leads, the database knows best.
            let amended = if leading { timeline.fill(row) } else { timeline.put(row) };
            operations.extend(amended.map(keep));
        }
        if leading && !operations.is_empty() {
            self.save(conversation_id, operations);
        }
        if leading && self.reads_table() {
            self.shorten_table(conversation_id, cut);
        }
        self.mark_shown();
        self.watermarks_moved(conversation_id);
        self.complete_page(conversation_id);
        self.loaded(conversation_id);
    }

    /// Of a conversation that was never opened only the newest rows may be here: the page is made whole.
    fn complete_page(&mut self, conversation_id: &str) {
        let Some(Shown { low, through, rests_until, .. }) = self.shown.get(conversation_id) else { return };
        let short = *low > 1 && (*through + 1).saturating_sub(*low) < PAGE && *rests_until <= self.now.mono;
        if short && self.health.is_online() && !self.reads_table() {
            self.call_for_page(conversation_id.to_owned());
        }
    }

    fn load_again(&mut self, conversation_id: &str) {
        self.outbox.touch(conversation_id);
        let shown = self.shown.get_mut(conversation_id);
        if shown.is_some_and(|shown| std::mem::take(&mut shown.again)) {
            self.load(conversation_id.to_owned());
        }
    }

    pub(super) fn read_failed(&mut self, error: &StoreError) {
        self.storage_fails(error);
        self.reread = true;
    }

    /// These rows, all from here to there, are on their way into the view. Where they do not join what it shows, that
    /// gives way; and so does what is in doubt and not among them. What lies beyond them only a leader knows better.
    fn cover(&mut self, conversation_id: &str, incarnation: &str, from: u64, through: u64, rows: &[StoredMessage]) {
        let counts_rows = !self.reads_table();
        let known = if self.role.generation().is_some() { through } else { u64::MAX };
        let Some(shown) = self.shown.get_mut(conversation_id) else { return };
        // What was shown beyond them could not be written, and was asked for anew.
        if shown.incarnation != incarnation || (counts_rows && shown.low > through + 1) {
            if !shown.incarnation.is_empty() {
                shown.reset();
            }
            shown.incarnation = incarnation.to_owned();
        }
        if !std::mem::replace(&mut shown.confirmed, true) {
            shown.timeline.drop_between(from, known, rows);
        }
        if shown.low == 0 || from > shown.through + 1 {
            shown.timeline.drop_below(from);
            shown.low = from;
        }
        shown.low = shown.low.min(from);
        shown.through = shown.through.max(through);
    }

    /// The server was set back to a copy: what the view shows beyond it is not there any more.
    fn believe(&mut self, record: &Conversation) {
        if let Some(shown) = self.shown.get_mut(&record.id).filter(|shown| shown.through > record.cursor) {
            shown.reset();
        }
    }

    /// What the database knows of every conversation, at the beginning of a lead.
    pub(super) fn conversations_read(&mut self, result: StoreResult) {
        if self.role.generation().is_none() {
            return;
        }
        match result.as_deref() {
            Ok([Reply::List(records), Reply::Value(list)]) => {
                self.cursors_read = true;
                self.trim_due = true;
                for record in records {
                    if let Some(conversation) = self.known(record) {
                        self.believe(&conversation);
                        self.sync.restore(conversation);
                    }
                }
                if let Some(list) = list.as_ref().filter(|_| !self.reads_table()) {
                    self.sync.restore_list(list);
                    self.sync.await_channel(self.now.mono);
                }
                self.lead_list();
                for conversation_id in self.shown_ids() {
                    self.load(conversation_id);
                }
            }
            Ok(_) => {}
            Err(StoreError::Robbed) => self.robbed(),
            Err(error) => self.storage_fails(error),
        }
    }

    // ---- catch-up

    pub(super) fn reload(&mut self, op: OperationId, conversation_id: String) {
        if self.closing.is_some() {
            return self.fail(op, "client_closed", "unable to load the messages; because the client was closed");
        }
        if conversation_id.is_empty() {
            return self.done(op, Value::Null);
        }
        let again = self.sync.is_asking(&conversation_id);
        if self.role.generation().is_some() {
            self.sync.track(&conversation_id).ask_again();
            self.sync.hurry();
        } else if self.watch.has_leader(self.now.mono) {
            return self.reload_from_cache(op, conversation_id);
        }
        let until = self.now.mono + RELOAD_TIMEOUT_MS;
        self.reloads.push(Reload { op, conversation_id, until, again });
    }

    /// Another tab keeps it in sync; what it keeps is shown.
    pub(super) fn reload_from_cache(&mut self, op: OperationId, conversation_id: String) {
        self.tell(TabMessage::Open { conversation_id: conversation_id.clone() });
        self.load(conversation_id);
        self.done(op, Value::Null);
    }

    pub(super) fn catch_up(&mut self) {
        let now = self.now.mono;
        if self.role.generation().is_none() || !self.cursors_read || !self.sync.is_due(now) {
            return;
        }
        let Some(token) = self.session.token(now, &self.user_id) else { return };
        let jwt = token.jwt.clone();
        if self.reads_table() {
            return self.read_table(jwt);
        }
        let list = self.sync.list_request();
        let cursors = self.sync.take_request(now);
        if cursors.is_empty() && list.is_none() {
            return self.sync.abandon();
        }
        let target = self.config.target(&jwt, &self.user_id);
        let http = match list {
            Some((since, held)) => rest::list_changes(target, since, held, cursors.into_iter()),
            None => rest::sync(target, cursors.into_iter()),
        };
        let request = self.expect(Request::Sync { jwt, window: None });
        self.effects.push_back(Effect::Http { request, http });
    }

    pub(super) fn sync_answered(
        &mut self,
        jwt: &str,
        window: Option<(String, Start)>,
        result: Result<HttpResponse, HttpError>,
    ) {
        let server_ms = result.as_ref().ok().and_then(|response| response.date_ms);
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        let failure = match outcome {
            Outcome::Answer(body) => {
                if self.sync.is_failing() {
                    self.outbox.resume();
                }
                self.outbox.probe_soon(self.now.mono);
                self.clear_problem("schema_missing");
                if let Some((id, start)) = window {
                    return self.window_answered(&id, &start, &body, server_ms);
                }
                if self.sync.list_is_asked() {
                    return match rest::read_list(&body) {
                        Some(answer) => self.list_answered(answer),
                        None => self.sync.failed(self.now.mono),
                    };
                }
                let synced = self.sync.answered(self.now.mono, rest::read_sync(&body), &self.user_id);
                return synced.into_iter().for_each(|(id, synced)| self.synced(id, synced));
            }
            Outcome::Unauthorized => return self.sync.abandon(),
            Outcome::SchemaMissing(failure) => {
                let failure = self.config.source.misfit(failure);
                self.problem(None, &failure.code, &failure.message);
                failure
            }
            Outcome::Unknown(failure)
            | Outcome::Forbidden(failure)
            | Outcome::Refused(failure)
            | Outcome::TooLarge(failure)
            | Outcome::RateLimited { failure, .. }
            | Outcome::Retry(failure) => failure,
        };
        self.sync.failed(self.now.mono);
        self.list_failed(Problem::new(&failure.code, UNREACHABLE));
        let reloads = std::mem::take(&mut self.reloads);
        self.fail_reloads(reloads, &failure.code, UNREACHABLE);
        let mut waiting = self.shown_ids();
        waiting.retain(|id| self.shown.get(id).is_some_and(|shown| !shown.loaded));
        // Other tabs show these, and have nothing to show.
        let elsewhere = |held: &&Conversation| !held.is_known() && !self.shown.contains_key(&held.id);
        waiting.extend(self.sync.iter().filter(elsewhere).map(|held| held.id.clone()));
        for conversation_id in waiting {
            self.problem(Some(conversation_id.clone()), &failure.code, UNREACHABLE);
            self.loaded(&conversation_id);
        }
    }

    pub(super) fn synced(&mut self, conversation_id: String, synced: Synced) {
        match synced {
            Synced::Merged(merge) => {
                self.clear_conversation_problem(&conversation_id);
                self.integrate(&conversation_id, merge, true);
            }
            Synced::Refused(status) => {
                let (code, message) = match status {
                    SyncStatus::NoConversation => {
                        ("no_conversation", "unable to load the messages; because the conversation does not exist")
                    }
                    _ => (
                        "forbidden",
                        "unable to load the messages; because this user is not a member of the conversation",
                    ),
                };
                self.withdraw(&conversation_id);
                self.problem(Some(conversation_id.clone()), code, message);
            }
        }
        self.loaded(&conversation_id);
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for mut reload in std::mem::take(&mut self.reloads) {
            let answered = reload.conversation_id == conversation_id;
            if answered && !reload.again {
                ready.push(reload);
                continue;
            }
            if answered {
                reload.again = false;
                self.sync.track(&conversation_id).due = true;
            }
            waiting.push(reload);
        }
        self.reloads = waiting;
        let refused = self.problem_of(Some(&conversation_id)).cloned();
        match refused {
            Some(problem) => self.fail_reloads(ready, &problem.code, &problem.message),
            None => ready.into_iter().for_each(|reload| self.done(reload.op, Value::Null)),
        }
    }

    pub(super) fn fail_reloads(&mut self, reloads: Vec<Reload>, code: &str, message: &str) {
        for reload in reloads {
            self.fail(reload.op, code, message);
        }
    }

    // ---- live

    pub(super) fn on_live_message(&mut self, payload: &Value) {
        if let (Some(id), Some(incarnation)) = (text(payload, "conversation_id"), text(payload, "incarnation")) {
            let conversation = self.sync.track(id);
            if conversation.incarnation != incarnation {
                conversation.announce(number(payload, "seq").filter(|_| !conversation.is_known()).unwrap_or(0));
                return conversation.ask_again();
            }
        }
        match payload.get("row").and_then(StoredMessage::from_row) {
            Some(message) => self.take_in(message),
            // Cut short, or of a later version: the server has the whole of it.
            None => match (text(payload, "conversation_id"), number(payload, "seq")) {
                (Some(id), Some(seq)) => self.sync.track(id).announce(seq),
                (Some(id), None) => self.sync.track(id).ask_again(),
                (None, _) => self.sync.all_due(),
            },
        }
    }

    pub(super) fn on_live_receipt(&mut self, payload: &Value) {
        let Some(conversation_id) = text(payload, "conversation_id") else { return };
        let Some(conversation) = self.sync.get_mut(conversation_id) else { return };
        let of_another =
            text(payload, "incarnation").is_some_and(|incarnation| conversation.incarnation != incarnation);
        let member = Member::from_value(payload).filter(|_| !of_another);
        let Some(member) = member else { return conversation.ask_again() };
        conversation.take_receipt(member);
        self.watermarks_moved(conversation_id);
        self.save(conversation_id, Vec::new());
    }

    /// A row of the server, from wherever it came.
    pub(super) fn take_in(&mut self, message: StoredMessage) {
        let conversation_id = message.conversation_id.clone();
        // An own row is shown at its place even while rows before it are still on their way; but below what the view
        // covers it would stand alone behind a hole.
        if message.sender_id.as_deref() == Some(&self.user_id)
            && message.kind == Kind::Message
            && let Some(Shown { timeline, low, .. }) = self.shown.get_mut(&conversation_id)
            && *low <= message.seq
        {
            timeline.put(message.clone());
        }
        self.note_evidence(&message);
        let merge = self.sync.take_in(message, &self.user_id);
        self.integrate(&conversation_id, merge, false);
    }

    fn integrate(&mut self, conversation_id: &str, merge: Merge, anyway: bool) {
        let mut operations = Vec::new();
        if merge.first {
            operations.push(all_messages(conversation_id));
        }
        if merge.reset {
            self.forget_amendments(conversation_id);
            self.awaiting_ticks.retain(|message| message.conversation_id != conversation_id);
            if let Some(shown) = self.shown.get_mut(conversation_id) {
                shown.reset();
            }
        }
        let anything = anyway || !merge.rows.is_empty();
        let held = self.sync.get(conversation_id).filter(|held| held.is_known() && merge.from > 0 && anything);
        if let Some((incarnation, cursor)) = held.map(|held| (held.incarnation.clone(), held.cursor)) {
            self.cover(conversation_id, &incarnation, merge.from, cursor, &merge.rows);
            if let Some(Shown { timeline, .. }) = self.shown.get_mut(conversation_id).filter(|_| merge.gone) {
                timeline.drop_between(cursor + 1, u64::MAX, &[]);
            }
        }
        self.sync.count_rows(conversation_id, &merge.rows, &self.user_id);
        for row in merge.rows {
            operations.push(keep(&row));
            self.note_evidence(&row);
            if let Some(sender) = row.sender_id.as_deref().filter(|_| row.kind == Kind::Message) {
                self.wrote(conversation_id, sender);
            }
            let amendment = (row.kind != Kind::Message).then(|| row.clone());
            let shown = self.shown.get_mut(conversation_id);
            let amended = shown.and_then(|shown| shown.timeline.put(row)).map(keep);
            match (amendment, amended) {
                (Some(amendment), None) => self.amend_later(amendment),
                (_, amended) => operations.extend(amended),
            }
        }
        self.mark_shown();
        self.watermarks_moved(conversation_id);
        if anything {
            self.save(conversation_id, operations);
        }
    }

    /// Rows and cursor, in one transaction; one at a time, so that a refused one leaves no hole before a later one.
    pub(super) fn save(&mut self, conversation_id: &str, mut operations: Vec<Operation>) {
        let Some(generation) = self.role.generation().filter(|_| self.durable) else { return };
        if let Some(waiting) = self.saving.get_mut(conversation_id) {
            return waiting.get_or_insert_default().append(&mut operations);
        }
        let Some(conversation) = self.sync.get(conversation_id).filter(|held| held.may_be_saved()) else { return };
        let (low, cursor) = (conversation.low, conversation.cursor);
        operations.push(Operation::Put { table: Table::Conversations, value: conversation.to_record() });
        self.is_kept(conversation_id);
        let conversation_id = conversation_id.to_owned();
        self.saving.insert(conversation_id.clone(), None);
        if let Some(batch) = &mut self.batch {
            return batch.append(&mut operations);
        }
        let transaction = Transaction::relaxed(operations).of_generation(generation);
        self.store(Request::SaveRows { conversation_id, low, cursor }, transaction);
    }

    pub(super) fn rows_saved(&mut self, conversation_id: &str, low: u64, cursor: u64, result: StoreResult) {
        let waiting = self.saving.remove(conversation_id).flatten();
        match result {
            Ok(_) => {
                // What was given back meanwhile is deleted before it is written again.
                let is_deleted_next = self.is_withdrawn(conversation_id);
                if let Some(conversation) = self.sync.get_mut(conversation_id).filter(|_| !is_deleted_next) {
                    conversation.saved(low, cursor);
                }
                self.storage_works();
                self.tell_changed = true;
                self.trim_due = true;
                if let Some(operations) = waiting {
                    self.save(conversation_id, operations);
                }
            }
            Err(StoreError::Robbed) => self.robbed(),
            Err(error) => {
                self.sync.not_saved(self.now.mono, conversation_id);
                self.storage_fails(&error);
            }
        }
    }
}

/// What can be read of what the cache holds.
pub(super) fn cached_rows(records: &[Value]) -> impl Iterator<Item = StoredMessage> {
    records.iter().filter(|record| is_known(record)).filter_map(StoredMessage::from_row)
}

/// Into the cache.
pub(super) fn keep(row: &StoredMessage) -> Operation {
    Operation::Put { table: Table::Messages, value: cached(row) }
}
