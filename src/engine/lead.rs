//! The lead: waited for, taken, proven, given up; and what tabs tell each other. `tabs` has the whole picture.

use super::{Effect, Engine, OperationId, Phase, Request, acts::ActFrom};
use crate::{
    health::ConnectionStatus,
    json::Value,
    outbox::Act,
    store::{Key, LEASE, LEASE_MS, Operation, Reply, StoreError, StoreResult, Table, Transaction},
    tabs::{BEAT_MS, Duty, Leader, Role, TabMessage, yields},
};

/// The low bits of a generation count; those above are drawn with each new database.
pub(super) const COUNT_BITS: u32 = 20;

const LOST: &str =
    "unable to go on with what was kept on this device; because the site's data was deleted, with what was unsent";

impl Engine {
    // ---- on the way to it

    pub(super) fn queue_for_lead(&mut self) {
        if self.is_outdated() || self.away.is_some() || self.closing.is_some() || self.said_drained {
            return;
        }
        // Without a database it leads nobody but itself: the lock is for those who can send.
        if !self.durable {
            return self.lead(0);
        }
        self.role = Role::Following;
        let name = self.name();
        let if_free = self.config.drain_only;
        self.effects.push_back(Effect::AcquireLock { name, if_free });
        self.watch.forget(self.now.mono);
        if !if_free {
            self.ask_leader();
        }
    }

    pub(super) fn on_lock_granted(&mut self, exclusive: bool) {
        if self.role == Role::Following {
            self.take_lead(exclusive);
        }
    }

    fn take_lead(&mut self, exclusive: bool) {
        self.role = Role::Taking;
        self.leases = !exclusive;
        let mut operations = self.lease_operations();
        let first = (self.rng.u64(1..1 << (53 - COUNT_BITS)) << COUNT_BITS) + 1;
        operations.push(Operation::RaiseGeneration { first });
        self.store(Request::RaiseGeneration, Transaction::strict(operations));
    }

    pub(super) fn generation_raised(&mut self, result: StoreResult) {
        match result.as_deref() {
            Ok([.., Reply::Key(generation)]) => {
                if self.last_generation != 0 && self.last_generation >> COUNT_BITS != *generation >> COUNT_BITS {
                    self.problem(None, "storage_lost", LOST);
                }
                self.last_generation = *generation;
                self.lead(*generation);
            }
            Err(StoreError::Leased { until }) => {
                self.step_aside();
                let left = until.saturating_sub(self.now.wall).min(LEASE_MS);
                self.role = Role::Waiting { until: self.now.mono + left };
                self.ask_leader();
            }
            result => {
                if let Err(error) = result {
                    self.storage_fails(error);
                }
                self.step_aside();
                self.role = Role::Refused;
            }
        }
    }

    fn lead(&mut self, generation: u64) {
        self.role = Role::Leading { generation };
        self.beat_at = self.now.mono + BEAT_MS;
        self.asked_to_yield = false;
        self.followed = false;
        self.outbox.read_anew();
        self.reading_outbox = false;
        self.unread = true;
        self.acts_unread = true;
        // Another tab may have led in between: what it wrote counts, not what is remembered.
        self.cursors_read = !self.durable;
        self.perform_relays();
        if self.durable {
            self.sync.forget_all();
            self.saving.clear();
        }
        for conversation_id in self.shown.keys().chain(self.reloads.iter().map(|reload| &reload.conversation_id)) {
            self.sync.track(conversation_id);
        }
        for (conversation_id, shown) in &self.shown {
            let conversation = self.sync.track(conversation_id);
            conversation.read = conversation.read.max(shown.read);
            // A server that has less than what is shown is asked until it is sure.
            if let Some(last) = shown.timeline.last().filter(|_| !shown.confirmed) {
                conversation.announce(last);
            }
        }
        self.forget_people();
        self.joined.clear();
        self.forget_withdrawn();
        self.forget_problems();
        self.lead_list();
        if !self.config.drain_only {
            self.desire_channels();
            self.realtime.start(self.now.mono);
        }
        self.sync.set_live(self.now.mono, false);
        self.ask_for_history_again();
        self.tell_status();
    }

    // ---- away from it

    /// Another tab leads by now, or our lock is gone: stop acting, and wait for the next turn.
    pub(super) fn on_lock_lost(&mut self) {
        if self.config.drain_only {
            self.requeue_for_lead();
        } else {
            self.robbed();
        }
    }

    /// Whoever learns it when it leads no more, for whatever reason, has nothing to wait for anew.
    pub(super) fn robbed(&mut self) {
        if matches!(self.role, Role::Taking | Role::Leading { .. }) {
            self.requeue_for_lead();
        }
    }

    pub(super) fn requeue_for_lead(&mut self) {
        if self.config.drain_only && self.role.claims() {
            self.drained(0);
        }
        // Whatever others said since it was robbed was not heard.
        self.reread |= self.role.generation().is_some();
        self.step_aside();
        self.queue_for_lead();
    }

    pub(super) fn step_aside(&mut self) {
        let role = std::mem::replace(&mut self.role, Role::Aside);
        if !role.claims() {
            return;
        }
        if let Some(generation) = role.generation().filter(|_| self.leases) {
            let delete = Operation::Delete { table: Table::Meta, key: Key::Text(LEASE.into()) };
            self.store(Request::GiveUpLease, Transaction::relaxed(vec![delete]).of_generation(generation));
        }
        self.leases = false;
        for (id, shown) in &mut self.shown {
            let held = self.sync.get(id);
            // Whoever leads next may have to take in the rest once more.
            shown.through = shown.through.min(held.map_or(0, |held| held.stored));
            let last = shown.timeline.last().unwrap_or(0);
            shown.confirmed &= held.is_some_and(|held| !held.is_behind() && held.cursor >= last);
        }
        self.effects.push_back(Effect::ReleaseLock);
        self.abort_requests();
        self.realtime.stop(self.now.mono);
        self.realtime_wants_token = false;
        self.health.set_ready(false);
        self.health.set_failures(0);
        self.sync.set_live(self.now.mono, false);
        self.watch.forget(self.now.mono);
    }

    /// An answer to what this tab asked for as the leader, or on the way to it, is not waited for any more.
    fn abort_requests(&mut self) {
        let of_leader = |purpose: &Request| {
            matches!(
                purpose,
                Request::Send { .. }
                    | Request::LookUp { .. }
                    | Request::Sync { .. }
                    | Request::Older { .. }
                    | Request::Ack { .. }
                    | Request::RaiseGeneration
                    | Request::Beat
            )
        };
        let aborted: Vec<u64> =
            self.requests.iter().filter(|(_, purpose)| of_leader(purpose)).map(|(id, _)| *id).collect();
        for request in aborted {
            let of_database = matches!(self.requests.remove(&request), Some(Request::RaiseGeneration | Request::Beat));
            if !of_database {
                self.effects.push_back(Effect::AbortHttp { request });
            }
        }
        self.outbox.step_aside();
        self.evidence.clear();
        self.answer = None;
        self.shelve_acts();
        self.forget_asks();
        self.forget_withdrawn();
        self.sync.abandon();
        self.acking = false;
    }

    // ---- beats

    pub(super) fn beat_deadline(&self) -> Option<u64> {
        let watch = || self.watch.deadline(self.now.mono, self.is_concerned());
        match self.role {
            Role::Leading { .. } => Some(self.beat_at),
            Role::Waiting { until } => Some(until.min(watch())),
            Role::Following => Some(watch()).filter(|_| !self.config.drain_only),
            Role::Aside | Role::Refused | Role::Taking => None,
        }
    }

    pub(super) fn watch_over_the_lead(&mut self) {
        let now = self.now.mono;
        match self.role {
            Role::Leading { .. } if self.beat_at <= now => {
                self.beat_at = now + BEAT_MS;
                self.unread = true;
                self.beat();
            }
            Role::Waiting { until } if until <= now => self.take_lead(false),
            _ => {}
        }
        if !self.role.watches() || self.config.drain_only {
            return;
        }
        match self.watch.duty(now, self.is_concerned()) {
            Some(Duty::Ping) => self.ask_leader(),
            Some(Duty::Steal) => {
                self.watch.forget(now);
                if self.role == Role::Following {
                    let name = self.name();
                    self.effects.push_back(Effect::StealLock { name });
                }
            }
            None => {}
        }
    }

    fn is_concerned(&self) -> bool {
        self.visible || !self.outbox.is_empty() || !self.relays.is_empty()
    }

    pub(super) fn ask_leader(&mut self) {
        self.watch.asked(self.now.mono);
        self.tell(TabMessage::Ping);
    }

    /// The leader proves that it leads, then says so.
    pub(super) fn beat(&mut self) {
        let Some(generation) = self.role.generation() else { return };
        if self.durable && !self.requests.values().any(|purpose| matches!(purpose, Request::Beat)) {
            let transaction = Transaction::relaxed(self.lease_operations()).of_generation(generation);
            self.store(Request::Beat, transaction);
        }
    }

    pub(super) fn beaten(&mut self, result: StoreResult) {
        match result {
            Ok(_) => self.tell_status(),
            Err(StoreError::Robbed | StoreError::Leased { .. }) => self.robbed(),
            Err(_) => {}
        }
    }

    fn lease_operations(&self) -> Vec<Operation> {
        let take = Operation::TakeLease { owner: self.tab, now: self.now.wall };
        if self.leases { vec![take] } else { Vec::new() }
    }

    pub(super) fn lease_given_up(&mut self) {
        self.tell(TabMessage::Left);
    }

    pub(super) fn tell_status(&mut self) {
        if let Some(generation) = self.role.generation().filter(|_| self.durable && !self.config.drain_only) {
            let leader = Leader {
                status: self.health.status(),
                visible: self.visible,
                polling: self.sync.is_polling(),
                generation,
            };
            self.tell(TabMessage::Status(leader));
        }
    }

    /// To a visible tab that asked for the lead, once that interrupts nothing.
    pub(super) fn yield_lead(&mut self) {
        let busy = self.outbox.is_in_flight() || self.writing;
        if self.role.generation().is_some() && yields(self.asked_to_yield, self.visible, busy) {
            self.requeue_for_lead();
        }
    }

    pub(super) fn join_tabs(&mut self) {
        let name = self.name();
        self.effects.push_back(Effect::JoinTabs { name });
    }

    // ---- what other tabs say

    pub(super) fn on_heard(&mut self, message: TabMessage) {
        // A page that is frozen with a transaction open would hold up every other tab.
        if self.phase != Phase::Running || self.away.is_some() {
            return;
        }
        if let TabMessage::Acted { from, op, error } = message {
            if from == self.tab {
                self.relay_answered(op, error);
            }
        } else if self.role.generation().is_some() {
            if self.durable {
                self.hear_as_leader(message);
            }
        } else {
            self.hear_as_follower(message);
        }
    }

    fn hear_as_leader(&mut self, message: TabMessage) {
        match message {
            TabMessage::Ping if self.config.drain_only => self.asked_to_yield = true,
            TabMessage::Ping => self.beat(),
            // Another one that leads: one of the two does not know yet that it was robbed.
            TabMessage::Status(other) if Some(other.generation) != self.role.generation() => self.beat(),
            TabMessage::Yield => self.asked_to_yield = true,
            TabMessage::Enqueued => self.unread = true,
            TabMessage::Act { from, op, act } => self.hear_act(from, op, &act),
            TabMessage::Follow => {
                self.followed = true;
                let rows = self.outbox.all_news();
                self.tell_rows(true, rows);
            }
            TabMessage::Screen { from, conversations } => self.hear_screen(from, conversations),
            TabMessage::Typing { conversation_id, on } => self.say_typing(conversation_id, on),
            TabMessage::Open { conversation_id } => {
                self.sync.track(&conversation_id);
                self.tell_problem(&conversation_id);
            }
            TabMessage::Read { conversation_id, incarnation, seq } => {
                self.hear_read(&conversation_id, &incarnation, seq)
            }
            TabMessage::AskOlder { conversation_id, before } => self.hear_ask(conversation_id, before),
            TabMessage::List => self.hear_list_wanted(),
            _ => {}
        }
    }

    fn hear_as_follower(&mut self, message: TabMessage) {
        match message {
            TabMessage::Status(leader) => self.hear_leader(leader),
            TabMessage::Left => {
                if let Role::Waiting { .. } = self.role {
                    self.take_lead(false);
                }
            }
            TabMessage::Enqueued => self.read_outbox(),
            TabMessage::Changed => {
                self.read_anew();
                self.list_changed();
            }
            TabMessage::Sent { message } => self.hear_sent(&message),
            TabMessage::TakenBack { conversation_id, id } => self.taken_back(conversation_id, id),
            // Of one that was robbed and does not know it: what it remembers is of then.
            TabMessage::Problem { generation, .. }
            | TabMessage::ListProblem { generation, .. }
            | TabMessage::Listed { generation, .. }
            | TabMessage::Rows { generation, .. }
            | TabMessage::People { generation, .. }
                if !self.watch.follows(generation) => {}
            TabMessage::Problem { conversation_id, error, .. } => self.hear_problem(conversation_id, error),
            TabMessage::ListProblem { error, .. } => self.hear_list_problem(error),
            TabMessage::Listed { patch, .. } => self.hear_list(*patch),
            TabMessage::Rows { all, rows, .. } => self.hear_rows(all, rows),
            TabMessage::People { conversation_id, people, .. } => self.hear_people(&conversation_id, people),
            TabMessage::Older { conversation_id, before, answer, error } => {
                self.hear_older(&conversation_id, before, &answer, error);
            }
            _ => {}
        }
    }

    fn hear_act(&mut self, from: u64, op: OperationId, act: &Value) {
        match Act::from_value(act) {
            Some(act) => self.perform_act(ActFrom::Tab { from, op }, act),
            None => {
                let message = "unable to do that; because the tab that leads runs another version: reload it";
                let error = Some(("tab_outdated".into(), message.into()));
                self.tell(TabMessage::Acted { from, op, error });
            }
        }
    }

    fn hear_leader(&mut self, leader: Leader) {
        if leader.status == ConnectionStatus::Connected {
            self.health.note_connected();
        }
        // It has just renewed its lease.
        if let Role::Waiting { until } = &mut self.role {
            *until = self.now.mono + LEASE_MS;
        }
        if self.watch.heard(self.now.mono, leader) {
            self.tell(TabMessage::Follow);
            self.forget_people();
            for conversation_id in self.shown_ids() {
                self.tell(TabMessage::Open { conversation_id });
            }
            self.tell_relays_again();
            self.tell_read_again();
            self.ask_for_history_again();
            self.load_list();
            // What the one before wrote last it may not have told.
            self.read_anew();
            for reload in std::mem::take(&mut self.reloads) {
                self.reload_from_cache(reload.op, reload.conversation_id);
            }
        }
        self.tell_screen_again();
        if self.role.watches() && self.watch.wants_lead(self.now.mono) {
            self.tell(TabMessage::Yield);
        }
    }

    /// What other tabs wrote.
    pub(super) fn read_anew(&mut self) {
        self.read_outbox();
        for conversation_id in self.shown_ids() {
            self.load(conversation_id);
        }
    }
}
