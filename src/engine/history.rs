//! History: the view grows downwards, a page at a time; from the cache as far as that goes, then from the server.
//!
//! The leader asks the server, for itself and for other tabs, and tells the answer to all of them: whoever waits for
//! that very page takes it. What joins the covered interval is kept; the rest is only shown.

use super::{
    Effect, Engine, OperationId, Phase, Problem, Request, Shown,
    reading::{PAGE, RELOAD_TIMEOUT_MS, cached_rows, keep},
    room::PORTION,
    table::UNREADABLE,
};
use crate::{
    json::{Value, fields},
    message::StoredMessage,
    rest::{self, HttpError, HttpResponse, Outcome, SyncAnswer, SyncStatus},
    store::{Key, Operation, Reply, StoreResult, Table, Transaction},
    sync::Conversation,
    tabs::TabMessage,
};

const OFFLINE: &str =
    "unable to load older messages; because they are not kept on this device and the server could not be reached";
const REFUSED: &str = "unable to load older messages; because the server refused it";
const CLOSED: &str = "unable to load older messages; because the conversation was closed";
const UNAVAILABLE: &str = "unable to load older messages; because the server's migration is older than this client";
const LATE: &str = "unable to load older messages; because the server did not answer in time";

/// What a view asks for by itself comes in a pause that doubles: after pages in which there was nothing to show, and
/// after pages that did not come.
const FIRST_REST_MS: u64 = 250;
const LONGEST_REST_MS: u64 = 2_000;
const LONGEST_REST_AFTER_FAILURE_MS: u64 = 60_000;
/// Through so many rows of the cache the view looks for something to show without a pause.
const READ_AT_ONCE: u64 = 40 * PAGE;

#[derive(Clone, Debug, Default)]
pub(super) struct History {
    calls: Vec<Call>,
    /// What the leader is to ask the server for: conversation, and below which `seq`.
    asks: Vec<(String, u64)>,
    /// Edits and deletes of what is cached and not on this screen, and below which `seq` to look for it.
    amendments: Vec<(StoredMessage, u64)>,
}

/// One page of one conversation, and everybody who waits for it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    conversation_id: String,
    ops: Vec<OperationId>,
    until: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Until the first page is there.
    Waiting,
    /// The cache is being read.
    Reading,
    /// The server is being asked for what lies below.
    Asking { before: u64 },
}

impl Engine {
    pub(super) fn load_older(&mut self, op: OperationId, conversation_id: String) {
        if self.closing.is_some() || self.phase == Phase::Closed {
            return self.fail(op, "client_closed", "unable to load older messages; because the client was closed");
        }
        if !self.shown.contains_key(&conversation_id) {
            return self.fail(op, "invalid_conversation", CLOSED);
        }
        self.call_for_page(conversation_id).ops.push(op);
    }

    /// The next page below what the view shows, whoever waits for it.
    pub(super) fn call_for_page(&mut self, conversation_id: String) -> &mut Call {
        let calls = &mut self.history.calls;
        let place = calls.iter().position(|call| call.conversation_id == conversation_id).unwrap_or_else(|| {
            let until = self.now.mono + RELOAD_TIMEOUT_MS;
            calls.push(Call { conversation_id, ops: Vec::new(), until, step: Step::Waiting });
            calls.len() - 1
        });
        &mut calls[place]
    }

    /// What waited for the first page goes on; and, as the leader, to the server.
    pub(super) fn pump_history(&mut self) {
        for conversation_id in self.shown_ids() {
            if self.looks_down_at(&conversation_id).is_some_and(|at| at <= self.now.mono) {
                self.call_for_page(conversation_id);
            }
        }
        let waiting = self.history.calls.iter().filter(|call| call.step == Step::Waiting);
        let ids: Vec<String> = waiting.map(|call| call.conversation_id.clone()).collect();
        for conversation_id in ids {
            self.begin_page(&conversation_id);
        }
        self.ask_for_pages();
    }

    fn begin_page(&mut self, conversation_id: &str) {
        let Some(shown) = self.shown.get(conversation_id) else { return };
        match shown.low {
            0 if shown.loaded && !self.health.is_online() => {
                self.fail_page(conversation_id, "offline_history", OFFLINE)
            }
            0 => {
                if let Some(Problem { code, message, .. }) = self.problem_of(Some(conversation_id)).cloned() {
                    self.fail_page(conversation_id, &code, &message);
                }
            }
            1 => self.page_done(conversation_id),
            low if self.durable && !self.reads_table() => {
                self.set_step(conversation_id, Step::Reading);
                let id = conversation_id.to_owned();
                let place = |seq| Key::Place(id.clone(), seq);
                let page = Operation::List {
                    table: Table::Messages,
                    from: place(low.saturating_sub(PAGE)),
                    to: place(low - 1),
                };
                let get = Operation::Get { table: Table::Conversations, key: Key::Text(id.clone()) };
                self.store(Request::OlderRows { conversation_id: id }, Transaction::relaxed(vec![get, page]));
            }
            low => self.ask_below(conversation_id, low),
        }
    }

    pub(super) fn older_read(&mut self, conversation_id: &str, result: StoreResult) {
        if self.step_of(conversation_id) != Some(Step::Reading) {
            return;
        }
        let leading = self.role.generation().is_some();
        let Some(shown) = self.shown.get(conversation_id) else { return };
        let low = shown.low;
        // All of it was forgotten meanwhile.
        if low == 0 {
            return self.set_step(conversation_id, Step::Waiting);
        }
        let found = match result.as_deref() {
            Ok([Reply::Value(Some(record)), Reply::List(records)]) => {
                let held = Conversation::from_record(record).filter(|held| held.incarnation == shown.incarnation);
                held.map(|held| (low.saturating_sub(PAGE).max(held.low), records))
            }
            Ok(_) => None,
            Err(error) => {
                self.storage_fails(error);
                None
            }
        };
        let Some((from, records)) = found.filter(|(from, _)| *from < low) else {
            return self.ask_below(conversation_id, low);
        };
        let mut operations = Vec::new();
        if let Some(Shown { timeline, low, .. }) = self.shown.get_mut(conversation_id) {
            for row in cached_rows(records).filter(|row| row.seq >= from) {
                operations.extend(timeline.fill(row).map(keep));
            }
            *low = from;
        }
        let looked_through =
            |shown: &&mut Shown| shown.shows_nothing_yet() && shown.through.saturating_sub(from) > READ_AT_ONCE;
        if let Some(shown) = self.shown.get_mut(conversation_id).filter(looked_through) {
            shown.rests_until = self.now.mono + LONGEST_REST_MS;
        }
        if leading && !operations.is_empty() {
            self.save(conversation_id, operations);
        }
        self.storage_works();
        self.page_done(conversation_id);
    }

    fn ask_below(&mut self, conversation_id: &str, before: u64) {
        if !self.health.is_online() {
            return self.fail_page(conversation_id, "offline_history", OFFLINE);
        }
        self.set_step(conversation_id, Step::Asking { before });
        if self.role.generation().is_some() {
            self.hear_ask(conversation_id.to_owned(), before);
        } else {
            self.tell(TabMessage::AskOlder { conversation_id: conversation_id.to_owned(), before });
        }
    }

    /// Another leader: it is asked for what was asked of the one before.
    pub(super) fn ask_for_history_again(&mut self) {
        let asked = |call: &Call| match call.step {
            Step::Asking { before } => Some((call.conversation_id.clone(), before)),
            _ => None,
        };
        let again: Vec<(String, u64)> = self.history.calls.iter().filter_map(asked).collect();
        for (conversation_id, before) in again {
            self.ask_below(&conversation_id, before);
        }
    }

    // ---- as the leader

    pub(super) fn hear_ask(&mut self, conversation_id: String, before: u64) {
        let ask = (conversation_id, before);
        let under_way = |request: &Request| matches!(request, Request::Older { conversation_id, before, .. } if *conversation_id == ask.0 && *before == ask.1);
        if !self.history.asks.contains(&ask) && !self.requests.values().any(under_way) {
            self.history.asks.push(ask);
        }
    }

    pub(super) fn asks_for_history(&self) -> bool {
        !self.history.asks.is_empty()
    }

    pub(super) fn forget_asks(&mut self) {
        self.history.asks.clear();
        self.history.amendments.clear();
    }

    fn ask_for_pages(&mut self) {
        if self.history.asks.is_empty() || self.role.generation().is_none() || !self.cursors_read {
            return;
        }
        let Some(token) = self.session.token(self.now.mono, &self.user_id) else { return };
        let jwt = token.jwt.clone();
        for (conversation_id, before) in std::mem::take(&mut self.history.asks) {
            let incarnation = self.sync.track(&conversation_id).incarnation.clone();
            let target = self.config.target(&jwt, &self.user_id);
            let http = match &self.config.source.table {
                Some(table) => table.window(target, &conversation_id, &rest::Start::Before(before)),
                None => rest::older(target, &conversation_id, before, &incarnation),
            };
            let request = self.expect(Request::Older { conversation_id, before, jwt: jwt.clone() });
            self.effects.push_back(Effect::Http { request, http });
        }
    }

    pub(super) fn older_answered(
        &mut self,
        conversation_id: String,
        before: u64,
        jwt: &str,
        result: Result<HttpResponse, HttpError>,
    ) {
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        let (answer, error) = match outcome {
            Outcome::Answer(body) => match &self.config.source.table {
                None => (body, None),
                Some(table) => match table.read_page(&body, &conversation_id, &self.user_id, before) {
                    Some(answer) => (answer, None),
                    None => (Value::Null, Some(("unreadable_row".to_owned(), UNREADABLE.to_owned()))),
                },
            },
            Outcome::Unauthorized => return self.hear_ask(conversation_id, before),
            Outcome::Unknown(failure) if failure.code != "server" => {
                (Value::Null, Some(("offline_history".to_owned(), OFFLINE.to_owned())))
            }
            Outcome::SchemaMissing(failure)
            | Outcome::Unknown(failure)
            | Outcome::Forbidden(failure)
            | Outcome::Refused(failure)
            | Outcome::TooLarge(failure)
            | Outcome::RateLimited { failure, .. }
            | Outcome::Retry(failure) => (Value::Null, Some((failure.code, REFUSED.to_owned()))),
        };
        let id = conversation_id.clone();
        self.tell(TabMessage::Older { conversation_id: id, before, answer: answer.clone(), error: error.clone() });
        self.hear_older(&conversation_id, before, &answer, error);
    }

    // ---- as anybody

    pub(super) fn hear_older(
        &mut self,
        conversation_id: &str,
        before: u64,
        answer: &Value,
        error: Option<(String, String)>,
    ) {
        let waits = self.step_of(conversation_id) == Some(Step::Asking { before });
        let error = match (error, rest::read_sync(answer).pop()) {
            (Some(error), _) => Some(error),
            (None, Some(page)) if page.status == SyncStatus::Ok => {
                let taken = self.take_page(conversation_id, before, page, waits);
                (!taken).then(|| ("history_unavailable".to_owned(), UNAVAILABLE.to_owned()))
            }
            (None, Some(_)) => Some(("forbidden".to_owned(), REFUSED.to_owned())),
            (None, None) => Some(("server".to_owned(), REFUSED.to_owned())),
        };
        match error {
            _ if !waits => {}
            None => {
                self.rest(conversation_id, LONGEST_REST_MS);
                self.page_done(conversation_id);
            }
            Some((code, message)) => self.fail_page(conversation_id, &code, &message),
        }
        self.loaded(conversation_id);
    }

    /// Into the view of who waits and, as the leader, into the cache. Answers whether it is the page that was asked for,
    /// or will be forgotten with all the rest.
    fn take_page(&mut self, conversation_id: &str, before: u64, page: SyncAnswer, waits: bool) -> bool {
        let leading = self.role.generation().is_some();
        let Some(held) = self.sync.get_mut(conversation_id) else { return true };
        let fits = page.through_seq + 1 == before && (1..before).contains(&page.first_seq);
        // Another conversation under this id, or an older copy: catching up tells what there is now.
        if held.incarnation != page.incarnation || page.last_seq + 1 < before {
            held.due = true;
            return true;
        }
        if !fits {
            return false;
        }
        let joins = leading && held.extend_down(page.first_seq, before);
        let mut operations: Vec<Operation> = if joins { page.rows.iter().map(keep).collect() } else { Vec::new() };
        let takes = |shown: &&mut Shown| waits && shown.low == before && shown.incarnation == page.incarnation;
        if let Some(shown) = self.shown.get_mut(conversation_id).filter(takes) {
            for row in page.rows {
                operations.extend(shown.timeline.put(row).map(keep).filter(|_| joins));
            }
            shown.low = page.first_seq;
        }
        if joins {
            self.save(conversation_id, operations);
        }
        true
    }

    // ---- amendments

    /// Nobody shows here what it aims at: whoever opens the conversation will see it amended, and until then the text
    /// that was taken back must not stay on the disk.
    pub(super) fn amend_later(&mut self, amendment: StoredMessage) {
        if self.role.generation().is_some() && self.durable {
            let below = amendment.seq;
            self.history.amendments.push((amendment, below));
        }
    }

    /// It was set back: what changed the rows of before does not change these.
    pub(super) fn forget_amendments(&mut self, id: &str) {
        let is_of =
            |request: &Request| matches!(request, Request::Target { amendment, .. } if amendment.conversation_id == id);
        self.requests.retain(|_, request| !is_of(request));
        self.history.amendments.retain(|(amendment, _)| amendment.conversation_id != id);
    }

    /// In an idle moment, a portion of the cache.
    pub(super) fn amend_cache(&mut self) {
        let under_way = |request: &Request| matches!(request, Request::Target { .. });
        if !self.is_idle() || self.requests.values().any(under_way) {
            return;
        }
        if self.history.amendments.is_empty() {
            return;
        }
        // In their order: the last one holds.
        let (amendment, below) = self.history.amendments.remove(0);
        let held = self.sync.get(&amendment.conversation_id).filter(|held| held.low < below);
        let Some(from) = held.map(|held| held.low.max(below.saturating_sub(PORTION))) else { return };
        let place = |seq| Key::Place(amendment.conversation_id.clone(), seq);
        let list = Operation::List { table: Table::Messages, from: place(from), to: place(below - 1) };
        self.store(Request::Target { amendment, from }, Transaction::relaxed(vec![list]));
    }

    pub(super) fn target_read(&mut self, amendment: StoredMessage, from: u64, result: StoreResult) {
        let Ok([Reply::List(records)]) = result.as_deref() else { return };
        match cached_rows(records).find(|row| amendment.aims_at(&row.id)) {
            Some(mut target) => {
                if target.amend(&amendment) {
                    self.save(&amendment.conversation_id, vec![keep(&target)]);
                }
            }
            None => self.history.amendments.insert(0, (amendment, from)),
        }
    }

    // ---- calls

    fn step_of(&self, conversation_id: &str) -> Option<Step> {
        self.history.calls.iter().find(|call| call.conversation_id == conversation_id).map(|call| call.step)
    }

    fn set_step(&mut self, conversation_id: &str, step: Step) {
        for call in &mut self.history.calls {
            if call.conversation_id == conversation_id {
                call.step = step;
            }
        }
    }

    fn take_call(&mut self, conversation_id: &str) -> Vec<OperationId> {
        let place = self.history.calls.iter().position(|call| call.conversation_id == conversation_id);
        place.map(|place| self.history.calls.swap_remove(place).ops).unwrap_or_default()
    }

    fn page_done(&mut self, conversation_id: &str) {
        let has_older = self.shown.get(conversation_id).is_some_and(|shown| shown.low != 1);
        // The page comes before the word that it is there.
        self.publish_view(conversation_id);
        let ops = self.take_call(conversation_id);
        self.loaded(conversation_id);
        for op in ops {
            self.done(op, fields! { "has_older": has_older }.into());
        }
    }

    fn fail_page(&mut self, conversation_id: &str, code: &str, message: &str) {
        let ops = self.take_call(conversation_id);
        self.rest(conversation_id, LONGEST_REST_AFTER_FAILURE_MS);
        if let Some(shown) = self.shown.get_mut(conversation_id).filter(|shown| shown.low > 0) {
            if code == "history_unavailable" {
                shown.rests_until = self.now.mono + LONGEST_REST_AFTER_FAILURE_MS;
            }
            self.first_page_there(conversation_id);
        }
        for op in ops {
            self.fail(op, code, message);
        }
    }

    pub(super) fn give_up_history(&mut self, conversation_id: &str) {
        self.fail_page(conversation_id, "client_closed", CLOSED);
    }

    pub(super) fn refuse_history(&mut self) {
        while let Some(call) = self.history.calls.first() {
            let conversation_id = call.conversation_id.clone();
            self.give_up_history(&conversation_id);
        }
    }

    fn rest(&mut self, conversation_id: &str, longest: u64) {
        if let Some(shown) = self.shown.get_mut(conversation_id) {
            let pause = FIRST_REST_MS << shown.vain.min(16);
            shown.rests_until = self.now.mono + pause.min(longest);
            shown.vain += 1;
        }
    }

    /// What was in vain may not be any more.
    pub(super) fn rest_no_longer(&mut self) {
        for (_, shown) in &mut self.shown {
            shown.rests_until = 0;
            shown.vain = 0;
        }
    }

    /// When the view asks for older rows by itself, because it has no message to show.
    fn looks_down_at(&self, conversation_id: &str) -> Option<u64> {
        let shown = self.shown.get(conversation_id).filter(|shown| shown.shows_nothing_yet())?;
        let busy = self.step_of(conversation_id).is_some() || self.is_reading(conversation_id);
        (!busy).then_some(shown.rests_until)
    }

    pub(super) fn history_deadline(&self) -> Option<u64> {
        let called = self.history.calls.iter().map(|call| call.until);
        let pumps = self.phase == Phase::Running && self.closing.is_none() && !self.config.drain_only;
        called.chain(self.shown.keys().filter(|_| pumps).filter_map(|id| self.looks_down_at(id))).min()
    }

    pub(super) fn time_out_history(&mut self) {
        let now = self.now.mono;
        while let Some(late) = self.history.calls.iter().find(|call| call.until <= now) {
            let conversation_id = late.conversation_id.clone();
            self.fail_page(&conversation_id, "timeout", LATE);
        }
    }
}
