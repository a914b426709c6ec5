//! What a person does to messages on their way: retry, cancel, edit, discard.
//!
//! The leader plans an act on what it has just read, and answers it when the change is committed.
//! Every other tab keeps its acts until a leader has answered, or until it leads itself: acts may
//! come twice. One writer of the outbox is at work at a time, so that no act is planned on a row
//! that an answer is about to delete; a request under way over the network holds up no act.

use super::{
    Effect, Engine, OperationId, Phase, Request,
    delivery::{TAKEN_BACK, operations},
};
use crate::{
    json::empty_object,
    outbox::{Act, Change},
    store::{Reply, StoreError, StoreResult, Transaction},
    tabs::TabMessage,
};

/// An act of this tab that waits for a leader.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    pub op: OperationId,
    pub act: Act,
    /// A leader was told.
    pub told: bool,
    /// A leader that is gone was told, and may have done it.
    pub again: bool,
}

/// Who wants to hear what came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ActFrom {
    Own { op: OperationId, again: bool },
    Tab { from: u64, op: OperationId },
}

impl Engine {
    pub(super) fn act(&mut self, op: OperationId, act: Act) {
        if self.closing.is_some() || self.phase == Phase::Closed {
            return self.fail(op, "client_closed", "unable to do that; because the client was closed");
        }
        if let Err(rejection) = act.check() {
            return self.fail(op, rejection.code, &rejection.sentence(act.unable()));
        }
        if self.phase == Phase::Running && !self.durable && !matches!(act, Act::Retry { .. }) {
            return self.fail(op, "storage_unavailable", "unable to do that; because this browser gives no storage");
        }
        if let Act::Retry { .. } = &act {
            self.session.retry();
        }
        if self.role.generation().is_some() {
            self.perform_act(ActFrom::Own { op, again: false }, act);
        } else {
            self.relays.push(Relay { op, act, told: false, again: false });
            self.tell_relays();
        }
    }

    /// To a leader, if there is one.
    fn tell_relays(&mut self) {
        let there_is_one = self.watch.has_leader(self.now.mono);
        for Relay { op, act, told, .. } in &mut self.relays {
            *told |= there_is_one;
            let act = TabMessage::Act { from: self.tab, op: *op, act: act.to_value() };
            self.effects.push_back(Effect::Tell(act));
        }
    }

    /// Another leader speaks, or one that was silent.
    pub(super) fn tell_relays_again(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.again |= relay.told);
        self.tell_relays();
    }

    pub(super) fn relay_answered(&mut self, op: OperationId, error: Option<(String, String)>) {
        let Some(at) = self.relays.iter().position(|relay| relay.op == op) else { return };
        let Relay { act, again, .. } = self.relays.remove(at);
        match error {
            None => self.done(op, empty_object()),
            Some((code, _)) if again && self.was_done(&act, &code) => self.done(op, empty_object()),
            Some((code, message)) => self.fail(op, &code, &message),
        }
    }

    /// This tab leads now: it waits for nobody.
    pub(super) fn perform_relays(&mut self) {
        for Relay { op, act, told, again } in std::mem::take(&mut self.relays) {
            self.perform_act(ActFrom::Own { op, again: told || again }, act);
        }
    }

    /// As the leader. Rows that other tabs added are read first.
    pub(super) fn perform_act(&mut self, from: ActFrom, act: Act) {
        if let Act::Retry { conversation_id } = &act {
            self.realtime.handle(self.now.mono, crate::realtime::Input::Woke);
            self.session.retry();
            self.outbox.retry(conversation_id.as_deref());
            if !self.durable {
                return self.acted(&from, Ok(()));
            }
        }
        if self.acts.iter().all(|(known, _)| *known != from) {
            self.acts.push_back((from, act));
        }
        self.acts_unread = true;
    }

    /// The next acts, as far as nothing else is written.
    pub(super) fn begin_acts(&mut self) {
        let Some(generation) = self.role.generation() else { return };
        while !self.writing && !self.acts_unread && !self.reading_outbox {
            let Some((from, act)) = self.acts.pop_front() else { return };
            match self.outbox.plan(&act, self.now.wall) {
                Err(rejection)
                    if matches!(from, ActFrom::Own { again: true, .. }) && self.was_done(&act, rejection.code) =>
                {
                    self.acted(&from, Ok(()));
                }
                Err(rejection) => {
                    self.acted(&from, Err((rejection.code, &rejection.sentence(act.unable()))));
                }
                Ok(changes) if changes.is_empty() => self.acted(&from, Ok(())),
                Ok(changes) => {
                    let transaction = Transaction::strict(operations(&changes)).of_generation(generation);
                    self.write(Request::Act { from, act, changes }, transaction);
                }
            }
        }
    }

    /// What was to be given up is not there: the leader that was told before did it, unless the message was sent.
    fn was_done(&self, act: &Act, code: &str) -> bool {
        match act {
            Act::Discard { id, .. } => {
                let taken_back = self.said_delivery.get(id) == Some(&TAKEN_BACK);
                code == "not_found" && (taken_back || !self.is_said_sent(id))
            }
            _ => false,
        }
    }

    pub(super) fn act_written(&mut self, from: ActFrom, act: Act, changes: Vec<Change>, result: StoreResult) {
        match result {
            Ok(replies) => {
                self.outbox.apply(changes, keys(replies));
                if let Act::Cancel { conversation_id, id } | Act::Discard { conversation_id, id } = act {
                    self.tell(TabMessage::TakenBack { conversation_id: conversation_id.clone(), id: id.clone() });
                    self.taken_back(conversation_id, id);
                }
                self.tell_changed = true;
                self.acted(&from, Ok(()));
            }
            Err(StoreError::Robbed) => {
                self.acts.push_front((from, act));
                self.robbed();
                if self.role.generation().is_none() {
                    self.shelve_acts();
                }
            }
            Err(StoreError::Full) => {
                let message = "unable to do that; because this browser's storage is full";
                self.acted(&from, Err(("storage_full", message)));
            }
            Err(_) => {
                let message = "unable to do that; because the database did not take it";
                self.acted(&from, Err(("storage_failed", message)));
            }
        }
    }

    /// This tab leads no more: its own acts wait for the next leader, and other tabs tell theirs again.
    pub(super) fn shelve_acts(&mut self) {
        for (from, act) in std::mem::take(&mut self.acts) {
            if let ActFrom::Own { op, again } = from {
                self.relays.push(Relay { op, act, told: again, again });
            }
        }
    }

    /// The client closes: what was not done is not done.
    pub(super) fn refuse_acts(&mut self) {
        self.shelve_acts();
        for Relay { op, .. } in std::mem::take(&mut self.relays) {
            self.fail(op, "client_closed", "unable to do that; because the client was closed");
        }
    }

    fn acted(&mut self, from: &ActFrom, result: Result<(), (&str, &str)>) {
        match (from, result) {
            (ActFrom::Own { op, .. }, Ok(())) => self.done(*op, empty_object()),
            (ActFrom::Own { op, .. }, Err((code, message))) => self.fail(*op, code, message),
            (ActFrom::Tab { from, op }, result) => {
                let error = result.err().map(|(code, message)| (code.to_owned(), message.to_owned()));
                self.tell(TabMessage::Acted { from: *from, op: *op, error });
            }
        }
    }
}

/// Of the rows that a transaction added.
pub(super) fn keys(replies: Vec<Reply>) -> impl Iterator<Item = u64> {
    replies.into_iter().filter_map(|reply| if let Reply::Key(key) = reply { Some(key) } else { None })
}
