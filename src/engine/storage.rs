//! The database around the rooms that use it: opened, lost, failing, full.
//!
//! Whatever goes wrong is told as a problem until it has passed, and what could not be read is read again: a queue that
//! cannot be read is never taken for an empty one.

use super::{Effect, Engine, Phase, Request, Update, life::STORE_PAUSE_MS, list::list_operations};
use crate::{
    store::{Key, MAX_NUMBER, Operation, StoreError, Table, Transaction},
    tabs::Role,
};

const FULL: &str = "unable to store more on this device; because this browser's storage is full";
const FAILING: &str = "unable to use this device's storage; because the database does not answer as it should";
const UNAVAILABLE: &str = "unable to keep messages on this device; because this browser gives no durable storage";
const OUTDATED: &str = "unable to store messages; because another tab uses a newer layout: reload the page";

impl Engine {
    pub(super) fn on_store_opened(&mut self, result: Result<(), StoreError>) {
        let first = self.phase == Phase::Opening;
        let wanted = first || (self.phase == Phase::Running && !self.durable && !self.is_outdated());
        if !wanted {
            return;
        }
        self.phase = Phase::Running;
        self.durable = result.is_ok();
        if first || self.durable {
            self.updates.push_back(Update::Storage { durable: self.durable });
        }
        match result {
            Ok(()) => {
                self.store_not_before = 0;
                self.clear_problem("storage_unavailable");
            }
            Err(error) => {
                self.storage_error = error;
                self.store_not_before = self.now.mono + STORE_PAUSE_MS;
                self.problem(None, "storage_unavailable", UNAVAILABLE);
            }
        }
        if first {
            self.join_tabs();
        }
        if self.closing.is_some() {
            return self.finish_closing();
        }
        if first || self.durable {
            self.requeue_for_lead();
            self.read_anew();
            self.load_list();
        }
        for command in std::mem::take(&mut self.waiting) {
            self.send(command);
        }
    }

    pub(super) fn on_store_lost(&mut self, outdated: bool) {
        if outdated {
            self.durable = false;
            self.storage_error = StoreError::Outdated;
            self.updates.push_back(Update::Storage { durable: false });
            self.problem(None, "storage_outdated", OUTDATED);
            self.step_aside();
        } else {
            // It opens anew by itself, and may be another one: nothing that is remembered is believed.
            self.unread = true;
            self.reread = true;
            if self.role.generation().is_some() {
                self.requeue_for_lead();
            }
        }
    }

    /// Another tab uses a newer layout: this one is over until the page is loaded anew.
    pub(super) fn is_outdated(&self) -> bool {
        !self.durable && self.storage_error == StoreError::Outdated
    }

    /// Whether something is to be tried again when the pause after a failure is over.
    pub(super) fn waits_for_storage(&self) -> bool {
        let closed = !self.durable && !self.is_outdated();
        let unread = self.durable && (self.reread || self.cursors_unread());
        let undone = self.role.generation().is_some() && self.is_to_delete();
        self.phase == Phase::Running && (self.role == Role::Refused || closed || unread || undone)
    }

    /// There is no database: perhaps there is one now.
    pub(super) fn reopen_store(&mut self) {
        if self.phase == Phase::Running
            && !self.durable
            && !self.is_outdated()
            && self.store_not_before <= self.now.mono
        {
            self.store_not_before = self.now.mono + STORE_PAUSE_MS;
            let name = self.name();
            self.effects.push_back(Effect::OpenStore { name });
        }
    }

    /// What could not be read, once more.
    pub(super) fn read_again(&mut self) {
        if !self.durable || self.away.is_some() || self.now.mono < self.store_not_before {
            return;
        }
        if std::mem::take(&mut self.reread) {
            self.read_anew();
            if self.role.generation().is_none() {
                self.load_list();
            }
        }
        if self.cursors_unread()
            && let Some(generation) = self.role.generation()
        {
            self.store(Request::Conversations, Transaction::relaxed(list_operations()).of_generation(generation));
        }
    }

    /// At the beginning of a lead, and not asked for yet.
    fn cursors_unread(&self) -> bool {
        let asked = || self.requests.values().any(|request| matches!(request, Request::Conversations));
        self.role.generation().is_some() && !self.cursors_read && !asked()
    }

    pub(super) fn storage_works(&mut self) {
        self.clear_problem("storage_failed");
        self.clear_problem("storage_full");
    }

    /// A transaction was refused, for whatever reason but another leader.
    pub(super) fn storage_fails(&mut self, error: &StoreError) {
        self.store_not_before = self.now.mono + STORE_PAUSE_MS;
        match error {
            StoreError::Robbed | StoreError::Leased { .. } | StoreError::Outdated => {}
            StoreError::Full => self.problem(None, "storage_full", FULL),
            StoreError::Unavailable(_) | StoreError::Failed(_) => self.problem(None, "storage_failed", FAILING),
        }
    }
}

/// Delete what is cached of a conversation.
pub(super) fn all_messages(conversation_id: &str) -> Operation {
    Operation::DeleteRange {
        table: Table::Messages,
        from: Key::Place(conversation_id.to_owned(), 0),
        to: Key::Place(conversation_id.to_owned(), MAX_NUMBER),
    }
}
