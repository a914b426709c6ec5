//! Receipts: what is stored here counts as delivered, what stands on a visible screen as read.
//!
//! The leader tells the server, for all tabs, all conversations in one request. A tab that follows tells the leader what
//! it has shown.

use super::{Effect, Engine, Request, delivery::KEEPALIVE_BYTES};
use crate::{
    rest::{self, HttpError, HttpRequest, HttpResponse, Outcome},
    tabs::TabMessage,
};

/// Receipts are gathered for this long.
const PAUSE_MS: u64 = 1_000;
/// What a page that goes away has under way is 64 KiB for all requests together: this is beside [`KEEPALIVE_BYTES`].
const LAST_BYTES: usize = 64 * 1024 - KEEPALIVE_BYTES;
/// Conversations of the first attempt to stay below that.
const LAST_RECEIPTS: usize = 40;

/// What the server is told of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub conversation_id: String,
    pub incarnation: String,
    pub delivered: u64,
}

impl Engine {
    pub(super) fn mark_read(&mut self, conversation_id: &str) {
        if let Some(conversation) = self.sync.get_mut(conversation_id) {
            conversation.read = conversation.read.max(conversation.cursor);
            if let Some(shown) = self.shown.get_mut(conversation_id) {
                shown.read = conversation.read;
            }
        }
        self.tell_read();
    }

    /// What stands on a visible screen counts as read, if the app wants that.
    pub(super) fn mark_shown(&mut self) {
        if !self.visible || !self.config.auto_read {
            return;
        }
        for (conversation_id, shown) in &mut self.shown {
            if let Some(conversation) = self.sync.get_mut(conversation_id) {
                conversation.read = conversation.read.max(conversation.cursor);
                shown.read = conversation.read;
            }
        }
        self.tell_read();
    }

    /// To the leader, what was read here.
    fn tell_read(&mut self) {
        if self.role.generation().is_some() {
            return;
        }
        for (conversation_id, shown) in &mut self.shown {
            if shown.read > shown.said_read {
                shown.said_read = shown.read;
                let incarnation = self.sync.get(conversation_id).map(|held| held.incarnation.clone());
                self.effects.push_back(Effect::Tell(TabMessage::Read {
                    conversation_id: conversation_id.clone(),
                    incarnation: incarnation.unwrap_or_default(),
                    seq: shown.read,
                }));
            }
        }
    }

    /// Another leader: it does not know what was read here.
    pub(super) fn tell_read_again(&mut self) {
        for (_, shown) in &mut self.shown {
            shown.said_read = 0;
        }
        self.tell_read();
    }

    /// As the leader: another tab has shown it; maybe of a database that was set back since.
    pub(super) fn hear_read(&mut self, conversation_id: &str, incarnation: &str, seq: u64) {
        let conversation = self.sync.track(conversation_id);
        if !conversation.is_known() || conversation.incarnation == incarnation {
            conversation.read = conversation.read.max(seq);
        }
    }

    pub(super) fn receipt_waits(&self) -> bool {
        !self.acking && self.sync.iter().any(|conversation| conversation.receipt_due(&self.user_id).is_some())
    }

    pub(super) fn acknowledge(&mut self) {
        let now = self.now.mono;
        if self.role.generation().is_none() || now < self.ack_not_before || !self.receipt_waits() {
            return;
        }
        let Some((jwt, http)) = self.receipts(usize::MAX) else { return };
        self.acking = true;
        self.ack_not_before = now + PAUSE_MS;
        let due = self.sync.iter().filter_map(|held| {
            let (delivered, _) = held.receipt_due(&self.user_id)?;
            Some(Receipt { conversation_id: held.id.clone(), incarnation: held.incarnation.clone(), delivered })
        });
        let said = due.collect();
        let request = self.expect(Request::Ack { jwt, said });
        self.effects.push_back(Effect::Http { request, http });
    }

    /// Those of so many conversations.
    fn receipts(&self, conversations: usize) -> Option<(String, HttpRequest)> {
        let token = self.session.token(self.now.mono, &self.user_id)?;
        let due = self.sync.iter().filter_map(|conversation| {
            let (delivered, read) = conversation.receipt_due(&self.user_id)?;
            Some((conversation.id.as_str(), delivered, read))
        });
        let target = self.config.target(&token.jwt, &self.user_id);
        Some((token.jwt.clone(), rest::ack(target, due.take(conversations))))
    }

    /// Nobody looks any more, and perhaps never again: what was read is told at once, and kept.
    pub(super) fn hurry_receipts(&mut self) {
        if self.ack_failures == 0 {
            self.ack_not_before = self.now.mono;
        }
        let due = self.sync.iter().filter(|conversation| conversation.receipt_due(&self.user_id).is_some());
        let due: Vec<String> = due.map(|conversation| conversation.id.clone()).collect();
        for conversation_id in due {
            self.save(&conversation_id, Vec::new());
        }
    }

    /// A page that goes away leaves its receipts behind; nobody hears the answer.
    pub(super) fn last_receipts(&mut self) {
        let waits = self.sync.iter().any(|conversation| conversation.receipt_due(&self.user_id).is_some());
        let mut conversations = LAST_RECEIPTS;
        while waits && conversations > 0 && self.role.generation().is_some() {
            let Some((_, mut http)) = self.receipts(conversations) else { return };
            if http.body.len() <= LAST_BYTES {
                http.keepalive = true;
                self.last_request += 1;
                return self.effects.push_back(Effect::Http { request: self.last_request, http });
            }
            conversations /= 2;
        }
    }

    pub(super) fn ack_answered(&mut self, jwt: &str, said: &[Receipt], result: Result<HttpResponse, HttpError>) {
        self.acking = false;
        let outcome = rest::judge(result);
        self.note_token(jwt, &outcome);
        let failures = std::mem::take(&mut self.ack_failures);
        let Outcome::Answer(body) = outcome else { return self.ack_later(failures) };
        self.outbox.probe_soon(self.now.mono);
        for (conversation_id, delivered, read) in rest::read_acks(&body) {
            // Conversations are gone through by their ids.
            let place = said.binary_search_by(|receipt| receipt.conversation_id.cmp(&conversation_id));
            let receipt = place.ok().map(|place| &said[place]);
            let held = self.sync.get(&conversation_id);
            // It may have been set back since it was said.
            if held.zip(receipt).is_some_and(|(held, receipt)| held.incarnation == receipt.incarnation) {
                self.sync.acknowledged(&conversation_id, &self.user_id, delivered, read);
            }
        }
        // Where the server does not take it, it has less than we know of: another database, or a lost membership.
        let mut refused = false;
        for Receipt { conversation_id, delivered, .. } in said {
            let held = self.sync.get_mut(conversation_id);
            if let Some(held) = held.filter(|held| held.delivered(&self.user_id).is_some_and(|own| own < *delivered)) {
                held.ask_again();
                refused = true;
            }
        }
        if refused {
            self.ack_later(failures);
        }
    }

    fn ack_later(&mut self, failures: u32) {
        self.ack_failures = (failures + 1).min(5);
        self.ack_not_before = self.now.mono + (PAUSE_MS << self.ack_failures);
    }
}
