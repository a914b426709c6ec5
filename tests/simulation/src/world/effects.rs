//! What the shell does: each effect is begun here, and its completion is an event of its own.

use surechat::{
    engine::{Effect, Input, RequestId},
    json::{number, owned, text},
    store::{Operation, Reply, StoreError, Table, Transaction},
    tabs::TabMessage,
};

use super::{Event, Outcome, World, failed};
use crate::{
    Broken, TabId, broken,
    disk::Removed,
    faults::Fault,
    locks::{Claim, LockNews},
    reference::Sent,
};

impl World {
    pub(super) fn perform(&mut self, id: TabId, effect: Effect) -> Outcome {
        let Some(tab) = self.tab(id) else { return Ok(()) };
        if tab.closed {
            return Err(broken("quiet after close", "an effect after CloseAll".into()));
        }
        let profile = tab.profile;
        if matches!(effect, Effect::AcquireLock { .. } | Effect::StealLock { .. } | Effect::ReleaseLock) {
            tab.claim = None;
            let news = self.locks[profile].release(id);
            self.spread_lock_news(news);
        }
        let locks_exist = self.profiles[profile].locks_exist;
        let Some(tab) = self.tab(id) else { return Ok(()) };
        match effect {
            Effect::OpenStore { name } => {
                let delay = self.latency();
                self.later(delay, Event::Open { tab: id, name });
            }
            Effect::Store { request, transaction } => {
                tab.transactions.push_back((request, transaction));
            }
            Effect::LetTransactionsGo => tab.let_transactions_go(),
            Effect::Http { request, http } => return self.post(id, request, http),
            Effect::AbortHttp { request } => self.abort(id, request),
            Effect::FetchToken { request } => self.give_token(id, request),
            Effect::Socket(output) => return self.socket(id, output),
            Effect::AcquireLock { .. } | Effect::StealLock { .. } if !locks_exist => {
                // The shell says so after a moment, and whoever leads then needs a lease.

                self.weather.count(Fault::NoLocks);
                let claim = self.now << 8 | id as u64;
                self.claim(id, claim);
                self.later(1_000, Event::Lock { tab: id, claim, granted: true });
            }
            Effect::AcquireLock { name, .. } => {
                let (claim, news) = self.locks[profile].request(&name, id);
                self.claim(id, claim);
                self.spread_lock_news(news);
            }
            Effect::StealLock { name } => {
                let (claim, news) = self.locks[profile].steal(&name, id);
                self.claim(id, claim);
                self.spread_lock_news(news);
            }
            Effect::ReleaseLock => {}
            Effect::JoinTabs { name } => tab.channel = Some(name),
            Effect::LeaveTabs => tab.channel = None,
            Effect::Tell(message) => self.tell(id, &message),
            Effect::RememberUser { user_id, .. } => self.disks[profile].remembered = Some(user_id),
            Effect::CloseAll => {
                tab.closed = true;
                tab.transactions.clear();
                tab.timer = None;
                self.mark(id, "is closed");
                self.let_go(id);
            }
        }
        Ok(())
    }

    fn claim(&mut self, id: TabId, claim: Claim) {
        if let Some(tab) = self.tab(id) {
            tab.claim = Some(claim);
        }
    }

    // ---- locks and tabs

    pub(super) fn spread_lock_news(&mut self, news: impl IntoIterator<Item = LockNews>) {
        for news in news {
            let (tab, claim, granted) = match news {
                LockNews::Granted(tab, claim) => (tab, claim, true),
                LockNews::Robbed(tab, claim) => (tab, claim, false),
            };
            let mut delay = self.latency();
            if !granted && self.strikes(Fault::RobbedLate) {
                delay += self.rng.u64(100..30_000);
            }
            self.later(delay, Event::Lock { tab, claim, granted });
        }
    }

    pub(super) fn lock_news(&mut self, id: TabId, claim: Claim, granted: bool) -> Outcome {
        if self.tab(id).is_none_or(|tab| tab.claim != Some(claim)) {
            return Ok(());
        }
        self.mark(id, if granted { "gets the lock" } else { "is robbed" });
        let profile = self.tab(id).map_or(0, |tab| tab.profile);
        let exclusive = self.profiles[profile].locks_exist;
        self.feed(id, if granted { Input::LockGranted { exclusive } } else { Input::LockLost })
    }

    fn tell(&mut self, id: TabId, message: &TabMessage) {
        let Some(tab) = self.tab(id) else { return };
        let (profile, channel) = (tab.profile, tab.channel.clone());
        if channel.is_none() {
            return;
        }
        self.note(|| format!("tab {id} tells {message:?}"));
        let hears = |tab: &crate::tab::Tab| tab.profile == profile && tab.channel == channel && !tab.cached;
        for other in self.alive() {
            if other != id && self.tab(other).is_some_and(|tab| hears(tab)) {
                // What one tab says reaches another in that order.
                let at = self.now + self.rng.u64(1..8);
                let said = self.said.entry((id, other)).or_default();
                *said = at.max(*said);
                let delay = *said - self.now;
                let input = Box::new(Input::Heard(message.clone()));
                self.later(delay, Event::Feed { tab: other, input });
            }
        }
    }

    // ---- the database

    pub(super) fn opened(&mut self, id: TabId, name: String) -> Outcome {
        let Some(tab) = self.tab(id) else { return Ok(()) };
        let profile = tab.profile;
        if self.strikes(Fault::OpenLate) {
            // The shell waits for 3 s.
            let result = Err(StoreError::Unavailable("late".into()));
            self.later(3_000, Event::Feed { tab: id, input: Box::new(Input::StoreOpened { result }) });
            return Ok(());
        }
        let result = match self.strikes(Fault::OpenFails) {
            true => Err(StoreError::Unavailable("broken".into())),
            false => Ok(()),
        };
        let age = self.disks[profile].open(&name).deleted;
        let Some(tab) = self.tab(id) else { return Ok(()) };
        if result.is_ok() {
            tab.database = Some(name);
            tab.database_age = age;
        }
        self.mark(id, "opens its database");
        self.feed(id, Input::StoreOpened { result })
    }

    pub(super) fn begin_transaction(&mut self, id: TabId) {
        let Some(tab) = self.tab(id).filter(|tab| tab.transacting.is_none() && !tab.closed) else { return };
        let Some((request, transaction)) = tab.transactions.pop_front() else { return };
        tab.transacting = Some((request, transaction.reads_first()));
        let mut delay = if self.rng.u32(0..8) == 0 { self.latency() } else { self.rng.u64(0..4) };
        if self.strikes(Fault::StoreSlow) {
            delay += self.rng.u64(100..8_000);
        }
        self.later(delay, Event::Commit { tab: id, request, transaction: Box::new(transaction) });
    }

    pub(super) fn commit(&mut self, id: TabId, request: RequestId, transaction: &Transaction) -> Outcome {
        let dead = self.tabs[id].is_none();
        if dead {
            // Nobody is left to say whether it was in time.
            return Ok(());
        }
        let Some(tab) = self.tab(id) else { return Ok(()) };
        let (profile, database, closed) = (tab.profile, tab.database.clone(), tab.closed);
        let Some(database) = database else {
            let result = Err(StoreError::Unavailable("the database is not open".into()));
            self.later(0, Event::Feed { tab: id, input: Box::new(Input::Stored { request, result }) });
            return Ok(());
        };
        let fault = if tab.let_go.remove(&request) {
            Some(StoreError::Robbed)
        } else if self.strikes(Fault::StoreFails) {
            Some(failed("AbortError"))
        } else if !transaction.is_read_only() && self.strikes(Fault::StoreFull) {
            Some(StoreError::Full)
        } else if self.strikes(Fault::StoreLost) {
            self.later(0, Event::Feed { tab: id, input: Box::new(Input::StoreLost { outdated: false }) });
            Some(failed("the connection to the database is closed"))
        } else {
            None
        };
        if self.prints {
            let words = describe(transaction);
            self.note(|| format!("tab {id} has {words} {fault:?}"));
        }
        let result = match fault {
            Some(fault) => Err(fault),
            None => self.run_transaction(id, profile, &database, transaction)?,
        };
        self.mark(id, if result.is_ok() { "commits" } else { "could not commit" });
        if self.prints
            && let Ok(replies) = &result
        {
            self.note_read(id, transaction, replies);
        }
        if closed {
            return Ok(());
        }
        let delay = self.rng.u64(0..3);
        self.later(delay, Event::Feed { tab: id, input: Box::new(Input::Stored { request, result }) });
        Ok(())
    }

    /// Whoever retries a message whose id belongs to another row sends it under a new one.
    fn follow_new_id(&mut self, transaction: &Transaction, removed: &Removed) {
        let Some(sent) = self.reference.get(&removed.id).cloned() else { return };
        if !self.server.conflicts.contains(&removed.id) {
            return;
        }
        for operation in &transaction.operations {
            if let Operation::Add { value } = operation
                && text(value, "content") == text(&removed.record, "content")
                && text(value, "kind") == Some("message")
                && let Some(id) = owned(value, "id").filter(|id| self.reference.get(id).is_none())
            {
                let anew = Sent { content: sent.content.clone(), accepted: sent.accepted, ..Sent::of(&sent) };
                self.reference.asked(&id, anew);
                if let Some(sent) = self.reference.get_mut(&removed.id) {
                    (sent.withdrawing, sent.withdrawn) = (true, true);
                }
                return;
            }
        }
    }

    fn note_read(&mut self, id: TabId, transaction: &Transaction, replies: &[Reply]) {
        for (operation, reply) in transaction.operations.iter().zip(replies) {
            let (Operation::List { table: Table::Messages, from, .. }, Reply::List(records)) = (operation, reply)
            else {
                continue;
            };
            let seqs: Vec<u64> = records.iter().filter_map(|record| number(record, "seq")).collect();
            self.note(|| format!("tab {id} reads from {from:?}: {seqs:?}"));
        }
    }

    fn run_transaction(
        &mut self,
        id: TabId,
        profile: usize,
        name: &str,
        transaction: &Transaction,
    ) -> Result<surechat::store::StoreResult, Broken> {
        let (result, removed) = self.disks[profile].open(name).run(transaction);
        let raised = transaction.operations.iter().position(|it| matches!(it, Operation::RaiseGeneration { .. }));
        if let Some(Reply::Key(generation)) = raised.and_then(|place| result.as_ref().ok()?.get(place))
            && let Some(tab) = self.tabs[id].as_deref_mut()
        {
            tab.generation = Some(*generation);
        }
        if result.is_ok() {
            if !transaction.is_read_only()
                && let Some(id) = self.disks[profile].open(name).doubled()
            {
                return Err(broken("an outbox holds a message once", id.to_owned()));
            }
            for removed in removed {
                self.follow_new_id(transaction, &removed);
                self.reference.check_loss(&removed.id, &self.disks, &self.server)?;
            }
            for operation in &transaction.operations {
                if let Operation::Put { table: Table::Conversations, value } = operation {
                    self.check_cache(profile, name, text(value, "id").unwrap_or_default())?;
                }
            }
        }
        Ok(result)
    }
}

fn describe(transaction: &Transaction) -> String {
    let words = transaction.operations.iter().map(|operation| match operation {
        Operation::Add { value } => format!("add {}", text(value, "id").unwrap_or_default()),
        Operation::Put { table, value } => {
            let id = text(value, "id").unwrap_or_default();
            format!(
                "put {} {id}{}",
                table.name(),
                value.get("cursor").map(|at| format!(" to {at}")).unwrap_or_default()
            )
        }
        Operation::Delete { table, key } => format!("delete {} {key:?}", table.name()),
        Operation::DeleteRange { table, .. } => format!("delete range of {}", table.name()),
        Operation::Get { table, .. } => format!("get {}", table.name()),
        Operation::List { table, .. } => format!("list {}", table.name()),
        Operation::TakeLease { .. } => "take the lease".to_owned(),
        Operation::RaiseGeneration { .. } => "raise".to_owned(),
    });
    let words: Vec<String> = words.collect();
    format!("[{}] of generation {:?}", words.join(", "), transaction.generation)
}
