//! How much is kept: the cache is bounded, and gives way to what is unsent.
//!
//! The bound is one number of rows for the whole database. Whoever keeps most gives first, from its oldest end and never
//! of its newest page: so a long conversation cannot push out the short ones, and every conversation opens without a
//! network. What stands on a screen stays there; what is unsent is no part of this.

use super::{Engine, Request, reading::PAGE, storage::all_messages};
use crate::store::{Key, Operation, Table, Transaction};

/// Rows of one transaction, or this part of what is too much: an interval may be long because most of it is gone.
pub(super) const PORTION: u64 = 500;
const FRACTION: u64 = 8;

impl Engine {
    /// The leader has nothing better to do.
    pub(super) fn is_idle(&self) -> bool {
        let busy = self.writing || self.outbox.is_in_flight() || !self.saving.is_empty() || !self.accepting.is_empty();
        !busy && self.cursors_read && self.role.generation().is_some()
    }

    /// In an idle moment, one small transaction.
    pub(super) fn trim(&mut self) {
        // Places in a table count no rows.
        if !self.trim_due || self.reads_table() || !self.is_idle() {
            return;
        }
        self.trim_due = false;
        let kept: u64 = self.sync.iter().map(|held| held.span()).sum();
        let excess = kept.saturating_sub(self.config.keep_messages);
        let largest = self.sync.iter().filter(|held| held.is_settled()).max_by_key(|held| held.span());
        if excess > 0
            && let Some(id) = largest.map(|held| held.id.clone())
        {
            self.shorten(&id, PORTION.max(excess / FRACTION));
        }
    }

    /// For what is unsent: all of the history but the newest pages; when that is gone already, all of what nobody looks
    /// at. Answers whether there was any.
    pub(super) fn make_room(&mut self) -> bool {
        let Some(generation) = self.role.generation() else { return false };
        let free = self.sync.ids().filter(|id| !self.saving.contains_key(*id));
        let free: Vec<String> = free.cloned().collect();
        let mut shortened = false;
        for id in &free {
            shortened |= self.shorten(id, u64::MAX);
        }
        if shortened {
            return true;
        }
        let (mut operations, mut gone) = (Vec::new(), Vec::new());
        for id in free {
            if self.shown.contains_key(&id) {
                continue;
            }
            // What the list shows of it stays.
            if let Some(held) = self.sync.get_mut(&id).filter(|held| held.summary.is_some()) {
                if held.is_settled() && held.shorten(u64::MAX, 0) {
                    shortened = true;
                    self.save(&id, vec![all_messages(&id)]);
                }
                continue;
            }
            operations.push(all_messages(&id));
            self.sync.forget(&id);
            operations.push(Operation::Delete { table: Table::Conversations, key: Key::Text(id.clone()) });
            gone.push(id);
        }
        if operations.is_empty() {
            return shortened;
        }
        self.store(Request::MakeRoom { gone }, Transaction::relaxed(operations).of_generation(generation));
        true
    }

    fn shorten(&mut self, id: &str, rows: u64) -> bool {
        if self.reads_table() {
            return false;
        }
        let Some(held) = self.sync.get_mut(id).filter(|held| held.is_settled()) else { return false };
        if !held.shorten(rows, PAGE) {
            return false;
        }
        let place = |seq| Key::Place(id.to_owned(), seq);
        let oldest = Operation::DeleteRange { table: Table::Messages, from: place(0), to: place(held.low - 1) };
        self.save(id, vec![oldest]);
        true
    }
}
