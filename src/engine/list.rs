//! The list of all conversations, in every tab that shows it.
//!
//! The leader keeps it with what it keeps of each conversation, and tells the other tabs what changes. They read the rest
//! from the database.

use super::{Engine, Phase, Problem, Request, Update, publish::is_reachable, storage::all_messages};
use crate::{
    health::ConnectionStatus,
    json::{Value, fields},
    rest::ListAnswer,
    store::{Key, Operation, Reply, StoreError, StoreResult, Table, Transaction},
    sync::{Conversation, LIST, ListPatch, SyncState},
    tabs::TabMessage,
    timeline::show_stored,
};

const UNKNOWN: &str = "unable to list the conversations; because the app's own table does not say which there are";

/// What this tab has to do with the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// It shows the list.
    on: bool,
    /// Another tab does.
    elsewhere: bool,
    /// All of it is to be told.
    reset: bool,
    /// What was told while the database was read: it may be newer.
    heard: Option<Vec<ListPatch>>,
    /// What is being read may have changed meanwhile: once more.
    again: bool,
    /// The leader did not answer yet that it knows of this tab: what it commits is read.
    unanswered: bool,
    loaded: bool,
    said: Option<(SyncState, Option<Problem>)>,
    problem: Option<Problem>,
    /// What the other tabs were told of that.
    told: Option<Problem>,
    /// Conversations that are not this user's any more, and may still be in the database.
    withdrawn: Vec<String>,
}

impl Engine {
    pub(super) fn show_list(&mut self, on: bool) {
        self.listing.on = on;
        self.listing.said = None;
        if on && self.phase == Phase::Running {
            self.load_list();
        }
    }

    /// From the cache; and, where this tab leads, on to the server.
    pub(super) fn load_list(&mut self) {
        if !self.listing.on {
            return;
        }
        if self.role.generation().is_some() {
            self.lead_list();
        } else if self.durable {
            self.tell(TabMessage::List);
            self.listing.problem = None;
            self.listing.unanswered = true;
            self.listing.heard = Some(Vec::new());
            self.read_list();
        }
    }

    fn read_list(&mut self) {
        self.listing.again = self.requests.values().any(|purpose| matches!(purpose, Request::List));
        if !self.listing.again {
            self.store(Request::List, Transaction::relaxed(list_operations()));
        }
    }

    /// The leader committed something.
    pub(super) fn list_changed(&mut self) {
        if self.listing.on && self.listing.unanswered {
            self.listing.heard.get_or_insert_default();
            self.read_list();
        }
    }

    /// At the beginning of a lead, and when a tab begins to show the list.
    pub(super) fn lead_list(&mut self) {
        self.listing.heard = None;
        if self.reads_table() {
            self.listing.problem = Some(Problem::new("unsupported", UNKNOWN));
        } else if self.listing.on || self.listing.elsewhere {
            self.listing.reset = true;
            self.sync.want_list();
        }
    }

    pub(super) fn hear_list_wanted(&mut self) {
        let first = !std::mem::replace(&mut self.listing.elsewhere, true);
        // Whoever asks reads the database as well: what is not in it yet is told.
        let is_written = self.saving.is_empty() && !self.sync.iter().any(Conversation::is_unwritten);
        if first || !self.sync.has_list() || !is_written {
            self.lead_list();
        } else if let Some(generation) = self.role.generation() {
            // Where it does not say yet that it holds all of them.
            let patch = Box::new(ListPatch { loaded: true, ..ListPatch::default() });
            self.tell(TabMessage::Listed { generation, patch });
        }
        self.tell_list_problem();
    }

    fn tell_list_problem(&mut self) {
        let Some(generation) = self.role.generation() else { return };
        self.listing.told = self.listing.problem.clone();
        let error = self.listing.problem.as_ref().map(Problem::words);
        self.tell(TabMessage::ListProblem { generation, error });
    }

    /// A tab that follows reads what the leader keeps.
    pub(super) fn list_read(&mut self, result: StoreResult) {
        if std::mem::take(&mut self.listing.again) {
            return self.read_list();
        }
        let Some(heard) = self.listing.heard.take() else { return };
        let (records, list) = match result.as_deref() {
            Ok([Reply::List(records), Reply::Value(list)]) => (records, list),
            Ok(_) => return,
            Err(error) => return self.read_failed(error),
        };
        let held = records.iter().filter_map(Conversation::from_record);
        let upserts = held.filter_map(|held| self.line_of(&held)).collect();
        let loaded = list.is_some() || self.listing.loaded;
        self.say_list(ListPatch { reset: true, loaded, upserts, removes: Vec::new() });
        heard.into_iter().for_each(|patch| self.say_list(patch));
    }

    pub(super) fn hear_list_problem(&mut self, error: Option<(String, String)>) {
        self.listing.unanswered = false;
        self.listing.problem = error.map(|(code, message)| Problem::new(&code, &message));
    }

    pub(super) fn hear_list(&mut self, patch: ListPatch) {
        match &mut self.listing.heard {
            Some(heard) => heard.push(patch),
            None => self.say_list(patch),
        }
    }

    pub(super) fn list_answered(&mut self, answer: ListAnswer) {
        let synced = self.sync.list_answered(self.now.mono, answer, &self.user_id);
        self.listing.problem = None;
        self.listing.reset |= !self.listing.loaded;
        // All of it in one transaction, with what the next request asks from.
        self.batch = Some(Vec::new());
        let before: Vec<String> = self.saving.keys().cloned().collect();
        for (id, synced) in synced {
            self.synced(id, synced);
        }
        let Some(mut operations) = self.batch.take() else { return };
        let Some(generation) = self.role.generation().filter(|_| self.durable) else { return };
        if let Some(record) = self.sync.list_record().filter(|_| before.is_empty() && self.sync.list_may_be_saved()) {
            operations.push(Operation::Put { table: Table::Meta, value: record });
        }
        let place = |id: &String| self.sync.get(id).map(|held| (id.clone(), held.low, held.cursor));
        // What was being written before is not in this transaction.
        let saved = self.saving.keys().filter(|id| !before.contains(id)).filter_map(place).collect();
        self.store(Request::SaveAll { saved }, Transaction::relaxed(operations).of_generation(generation));
    }

    pub(super) fn all_saved(&mut self, saved: Vec<(String, u64, u64)>, result: StoreResult) {
        if result == Err(StoreError::Robbed) {
            saved.iter().for_each(|(id, ..)| drop(self.saving.remove(id)));
            return self.robbed();
        }
        for (conversation_id, low, cursor) in saved {
            self.rows_saved(&conversation_id, low, cursor, result.clone().map(|_| Vec::new()));
        }
    }

    pub(super) fn list_failed(&mut self, problem: Problem) {
        if !self.sync.has_list() {
            self.listing.problem = Some(problem);
        }
    }

    /// It is not this user's any more: nothing of it stays but what is unsent.
    pub(super) fn withdraw(&mut self, conversation_id: &str) {
        let was_held = self.sync.withdraw(conversation_id);
        // It may be made later, or given back, and another tab may show it.
        self.sync.track(conversation_id).due = false;
        // Also what this tab read before it led, when another one had not deleted it yet.
        if let Some(shown) = self.shown.get_mut(conversation_id).filter(|shown| shown.shows_anything()) {
            shown.reset();
        }
        if was_held && self.durable {
            self.listing.withdrawn.push(conversation_id.to_owned());
        }
    }

    /// Until the database has done it.
    pub(super) fn delete_withdrawn(&mut self) {
        let Some(generation) = self.role.generation().filter(|_| self.now.mono >= self.store_not_before) else {
            return;
        };
        if !self.is_to_delete() {
            return;
        }
        let gone = self.listing.withdrawn.clone();
        let delete = |id: &String| Operation::Delete { table: Table::Conversations, key: Key::Text(id.clone()) };
        let operations = gone.iter().flat_map(|id| [all_messages(id), delete(id)]).collect();
        self.store(Request::MakeRoom { gone }, Transaction::relaxed(operations).of_generation(generation));
    }

    pub(super) fn is_to_delete(&self) -> bool {
        let deletes = |request: &Request| matches!(request, Request::MakeRoom { .. });
        !self.listing.withdrawn.is_empty() && !self.requests.values().any(deletes)
    }

    /// What was read of it is not believed.
    pub(super) fn is_withdrawn(&self, id: &str) -> bool {
        self.listing.withdrawn.iter().any(|withdrawn| withdrawn == id)
    }

    /// Another tab may have led in between.
    pub(super) fn forget_withdrawn(&mut self) {
        self.listing.withdrawn.clear();
    }

    /// It is somebody's again, and on its way into the database.
    pub(super) fn is_kept(&mut self, id: &str) {
        self.listing.withdrawn.retain(|withdrawn| withdrawn != id);
    }

    pub(super) fn room_made(&mut self, gone: &[String], result: StoreResult) {
        match result {
            Ok(_) => {
                // Other tabs may have read it after they were told, and before it was deleted.
                let (done, left): (Vec<String>, _) =
                    std::mem::take(&mut self.listing.withdrawn).into_iter().partition(|id| gone.contains(id));
                self.listing.withdrawn = left;
                for id in done {
                    self.tell_problem(&id);
                    self.sync.say_gone(id);
                }
                self.tell_changed = true;
            }
            Err(StoreError::Robbed) => self.robbed(),
            Err(error) => self.storage_fails(&error),
        }
    }

    // ---- what is told

    pub(super) fn publish_list(&mut self) {
        if self.role.generation().is_some() {
            for conversation_id in self.sync.count_read(&self.user_id) {
                self.save(&conversation_id, Vec::new());
            }
            self.publish_changes();
            if self.listing.elsewhere && self.listing.told != self.listing.problem {
                self.tell_list_problem();
            }
        }
        self.publish_list_state();
    }

    fn publish_changes(&mut self) {
        let (mut changed, removes) = self.sync.take_changes();
        let loaded = self.sync.has_list();
        let reset = loaded && std::mem::take(&mut self.listing.reset);
        if reset {
            changed = self.sync.iter().map(|held| held.id.clone()).collect();
        }
        if !self.listing.on && !self.listing.elsewhere || (changed.is_empty() && removes.is_empty() && !reset) {
            return;
        }
        let upserts: Vec<Value> = changed.iter().filter_map(|id| self.line_of(self.sync.get(id)?)).collect();
        let patch = ListPatch { reset, loaded, upserts, removes };
        if let Some(generation) = self.role.generation().filter(|_| self.listing.elsewhere) {
            self.tell(TabMessage::Listed { generation, patch: Box::new(patch.clone()) });
        }
        self.say_list(patch);
    }

    fn say_list(&mut self, patch: ListPatch) {
        self.listing.loaded |= patch.loaded;
        if patch.loaded {
            self.listing.problem = None;
        }
        if self.listing.on {
            self.updates.push_back(Update::Conversations { patch });
        }
    }

    fn publish_list_state(&mut self) {
        if !self.listing.on {
            return;
        }
        let status = self.said_status.unwrap_or(self.health.status());
        let state = if !is_reachable(status) {
            SyncState::Stale
        } else if self.listing.loaded && self.is_polling(status) {
            SyncState::Polling
        } else if status != ConnectionStatus::Connected || !self.listing.loaded || self.sync.list_is_due() {
            SyncState::CatchingUp
        } else {
            SyncState::Live
        };
        let now = (state, self.listing.problem.clone());
        if self.listing.said.as_ref() != Some(&now) {
            self.listing.said = Some(now.clone());
            let (state, error) = now;
            self.updates.push_back(Update::ListState { state, error });
        }
    }

    /// Here or in the tab that leads.
    fn is_polling(&self, status: ConnectionStatus) -> bool {
        if self.role.generation().is_some() {
            self.sync.is_polling()
        } else {
            status == ConnectionStatus::Reconnecting && self.watch.polls()
        }
    }

    /// A line of the list, as JavaScript shows it.
    fn line_of(&self, held: &Conversation) -> Option<Value> {
        let summary = held.summary.as_ref()?;
        let (delivered, read) = held.watermarks(&self.user_id, self.config.ticks_of_all);
        let last = summary.last_message.as_ref();
        Some(
            fields! {
                "id": held.id.as_str(),
                "role": held.role(&self.user_id),
                "last_seq": summary.through,
                "unread": summary.unread,
                "last_message": last.map(|last| show_stored(last, &self.user_id, delivered, read)),
                "last_at": last.map(|last| last.created_at.as_str()),
            }
            .into(),
        )
    }
}

/// Reads all conversations, and from where the list is to be asked for.
pub(super) fn list_operations() -> Vec<Operation> {
    let all = Operation::List {
        table: Table::Conversations,
        from: Key::Text(String::new()),
        to: Key::Text("\u{ffff}".into()),
    };
    vec![all, Operation::Get { table: Table::Meta, key: Key::Text(LIST.into()) }]
}
