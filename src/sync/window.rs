//! Reading a table that counts nothing: the newest rows first, then windows of it by time, each a little before the end
//! of the one before.
//!
//! A row's time is the start of its transaction, so a row may appear behind others that are later. What can still appear
//! is no older than the longest transaction: every window therefore begins [`OVERLAP_MICROS`] before the newest time that
//! is known to have passed on the server, and rows that are held already are the same rows again.
//!
//! That time is taken from the rows, but a row may be dated in the future. It never goes beyond the server's clock where
//! an answer shows it, and else no faster than monotonic time.

use super::{Conversation, Merge, Sync, Synced};
use crate::{
    message::StoredMessage,
    rest::{Start, Window},
};

/// No transaction of the Data API lasts that long.
const OVERLAP_MICROS: u64 = 90_000_000;
/// Windows begin at whole minutes, so that for a while they have the same URL, which costs one preflight.
const STEP_MICROS: u64 = 60_000_000;

/// How far a conversation was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Progress {
    /// The last row of a window that was full, and what the cursor may not pass until the rows behind it are read.
    behind: Option<(Start, u64)>,
    /// A time that had passed on the server, and when on our monotonic clock.
    anchor: Option<(u64, u64)>,
    /// What has this time, or a later one, is to be read once more.
    back: Option<u64>,
}

impl Sync {
    /// Reads windows, of one conversation at a time, of what has this name.
    pub fn windowed(mut self, incarnation: Option<String>) -> Self {
        self.windows_of = incarnation;
        self
    }

    /// The conversation to ask for now, and where its window begins. Its request is under way from now on.
    pub fn take_window(&mut self, now: u64) -> Option<(&str, Start)> {
        self.take_request(now);
        let (id, _) = self.flight.as_ref()?.first()?;
        let conversation = self.conversations.get(id)?;
        Some((&conversation.id, conversation.window_start(self.windows_of.as_deref()?)))
    }

    /// The server's answer to it, with the server's clock.
    pub fn window_answered(
        &mut self,
        now: u64,
        start: &Start,
        window: Window,
        server_ms: Option<u64>,
    ) -> Option<(String, Synced)> {
        let (id, _) = self.flight.take()?.pop()?;
        self.was_answered(now);
        let incarnation = self.windows_of.as_deref()?;
        let conversation = self.conversations.get_mut(&id)?;
        if (*start == Start::Newest) != (conversation.window_start(incarnation) == Start::Newest) {
            // The cache was read, or dropped, in the meantime: the window does not join what is held now.
            conversation.due = true;
            return None;
        }
        if let Start::At(from) = start {
            conversation.progress.back = conversation.progress.back.filter(|back| back < from);
        }
        let merge = conversation.merge_window(now, incarnation, window, server_ms);
        conversation.due |= conversation.progress.back.is_some();
        self.resets += u32::from(merge.reset);
        Some((id, Synced::Merged(merge)))
    }

    /// A row that was stored, or changed, by what its own answer or a live event says.
    pub fn take_in(&mut self, row: StoredMessage, user_id: &str) -> Merge {
        let windowed = self.windows_of.is_some();
        let conversation = self.track(&row.conversation_id);
        if !windowed {
            return conversation.take_row(row, user_id);
        }
        // The first page will have it; and what is older than all that is held would stand alone behind a hole.
        let joins = conversation.is_known() && row.seq >= conversation.low;
        let rows = if joins { vec![row] } else { Vec::new() };
        Merge { from: conversation.low, rows, ..Merge::default() }
    }
}

impl Conversation {
    /// Something of this time, if that is known, was changed.
    pub fn look_back(&mut self, at: Option<u64>) {
        self.due = true;
        if let Some(at) = at.filter(|at| *at >= self.low) {
            self.progress.back = Some(self.progress.back.map_or(at, |back| back.min(at)));
        }
    }

    fn window_start(&self, incarnation: &str) -> Start {
        match &self.progress.behind {
            _ if self.incarnation != incarnation => Start::Newest,
            Some((behind, _)) => behind.clone(),
            None => {
                let from = self.cursor.saturating_sub(OVERLAP_MICROS).min(self.progress.back.unwrap_or(u64::MAX));
                Start::At(from - from % STEP_MICROS)
            }
        }
    }

    fn merge_window(&mut self, now: u64, incarnation: &str, window: Window, server_ms: Option<u64>) -> Merge {
        let reset = self.is_known() && self.incarnation != incarnation;
        if reset {
            *self = Self::new(&self.id);
            self.due = false;
        }
        let first = !self.is_known();
        let limit = match (self.progress.behind.take(), server_ms, first) {
            // What was read first may have been added to while the rest was read.
            (Some((_, limit)), _, _) => limit,
            (None, Some(ms), _) => ms.saturating_mul(1_000),
            (None, None, true) => u64::MAX,
            (None, None, false) => {
                let (passed, at) = *self.progress.anchor.get_or_insert((self.cursor, now));
                passed.saturating_add(now.saturating_sub(at).saturating_mul(1_000))
            }
        };
        let newest = window.rows.last();
        self.cursor = self.cursor.max(newest.map_or(0, |row| row.seq).min(limit));
        if first {
            self.incarnation = incarnation.to_owned();
            self.low = window.rows.first().filter(|_| window.full).map_or(1, |row| row.seq);
            self.progress.anchor = Some((self.cursor, now));
        } else if let Some(row) = newest.filter(|_| window.full) {
            let last = Start::Behind(row.created_at.clone(), row.id.as_str().to_owned(), row.seq);
            self.progress.behind = Some((last, limit));
            self.due = true;
        }
        let mut rows = window.rows;
        rows.retain(|row| row.seq >= self.low);
        Merge { reset, from: self.low, first, rows, gone: false }
    }
}
