//! A worker without a page, after the last tab: it leads only if nobody else does, sends what is unsent, and is over. It
//! opens no socket, keeps nothing in sync, and makes way for every tab that asks.

use super::{Engine, Phase, Update};
use crate::tabs::Role;

impl Engine {
    /// This tab keeps conversations in sync.
    pub(super) fn syncs(&self) -> bool {
        self.role.generation().is_some() && !self.config.drain_only
    }

    /// Nothing is left that this worker could do: `left` rows may go out another time.
    pub(super) fn drained(&mut self, left: usize) {
        if !std::mem::replace(&mut self.said_drained, true) {
            self.updates.push_back(Update::Drained { left });
        }
    }

    pub(super) fn publish_drained(&mut self) {
        if !self.config.drain_only || self.phase != Phase::Running {
            return;
        }
        let idle = !self.unread && !self.reading_outbox && !self.writing && self.answer.is_none();
        match self.role {
            Role::Following | Role::Taking => {}
            Role::Waiting { .. } => self.drained(0),
            Role::Leading { .. } if self.durable && !(idle && self.outbox.is_at_rest()) => {}
            Role::Leading { .. } | Role::Aside | Role::Refused => self.drained(self.outbox.unfinished()),
        }
    }
}
