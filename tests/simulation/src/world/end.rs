//! The world turns kind; then everything must have come right within bounded time.

use surechat::{
    engine::{Command, Input},
    json::{Value, text},
};

use super::{Outcome, PERIOD_MS, World};
use crate::{Broken, TabId, broken, reference::HOPELESS, tab::user_of};

/// As long as every pause together may last.
const PATIENCE_MS: u64 = 150_000;
const LOOK_MS: u64 = 2_000;
const IDLE_MS: u64 = 60_000;
/// What one tab may ask for in an idle minute: reconciling, and little more.
const IDLE_REQUESTS: u32 = 20;

impl World {
    pub(super) fn end(&mut self) -> Outcome {
        self.turn_kind()?;
        let users: Vec<Vec<&'static str>> = self.profiles.iter().map(|profile| profile.users.clone()).collect();
        self.settle()?;
        for nth in 1..users.iter().map(Vec::len).max().unwrap_or(0) {
            if self.another_user_has_work(&users, nth) {
                for (profile, users) in users.iter().enumerate() {
                    if let Some(user) = users.get(nth) {
                        self.sign_in(profile, Some(user));
                    }
                }
                self.settle()?;
            }
        }
        self.reference.check_all_losses(&self.disks, &self.server)?;
        self.reference.check_order(&self.disks, &self.server, &self.spared)?;
        self.reference.check_acts(&self.disks, &self.server, &self.restored, &self.spared)?;
        self.close_everything()
    }

    fn turn_kind(&mut self) -> Outcome {
        self.note(|| "the world turns kind".into());
        self.weather.kind = true;
        self.found_late_conversation();
        for profile in 0..self.profiles.len() {
            self.set_online(profile, true)?;
            self.wake(profile)?;
            self.profiles[profile].lifetime_ms = 3_600_000;
            self.profiles[profile].token = None;
            let first = self.profiles[profile].users.first().copied();
            self.sign_in(profile, first);
        }
        for id in self.alive() {
            if let Some(crate::tab::State::Still(stillness)) = self.tab(id).map(|tab| tab.state) {
                self.thaw(id, stillness)?;
            }
            if self.tab(id).is_some_and(|tab| tab.screen.lacks_storage) {
                self.kill(id)?;
            }
        }
        Ok(())
    }

    fn another_user_has_work(&self, users: &[Vec<&'static str>], nth: usize) -> bool {
        users.iter().zip(&self.disks).any(|(users, disk)| {
            let user = users.get(nth).copied();
            disk.databases().any(|(name, database)| user_of(name) == user && database.outbox().next().is_some())
        })
    }

    /// Long enough for every pause to pass, with somebody who presses Retry in between.
    fn settle(&mut self) -> Outcome {
        self.kind_since = self.now;
        for profile in 0..self.profiles.len() {
            let user = self.profiles[profile].signed_in;
            let serves = |world: &Self, id: &TabId| {
                world.tabs[*id].as_ref().is_some_and(|tab| tab.profile == profile && !tab.closing && tab.user() == user)
            };
            if !self.running().iter().any(|id| serves(self, id)) {
                self.start_tab(profile)?;
            }
        }
        // Who opens something asks the server, and learns of more than that: some worlds are left alone.
        if self.rng.bool() {
            self.run_until(self.now + 3_000)?;
            self.open_everything()?;
        }
        // By itself; and what does not, after somebody pressed Retry: once more for what gets a new id only then.
        let mut settled = self.comes_right_within(PATIENCE_MS / 3)?;
        for nth in 0..2 {
            if settled.is_err() && (nth == 0 || self.waits_for_new_id()) {
                self.running().into_iter().try_for_each(|id| self.retry(id, None))?;
                settled = self.comes_right_within(PATIENCE_MS)?;
            }
        }
        settled?;
        if self.rng.u32(0..3) == 0 {
            self.read_back()?;
            // Receipts of what was read may be on their way.
            self.comes_right_within(PERIOD_MS)??;
        }
        if self.rng.u32(0..4) == 0 {
            self.idle_requests.clear();
            self.idle_pages.clear();
            self.run_until(self.now + IDLE_MS)?;
            self.check_idle()?;
            self.comes_right_within(PERIOD_MS)??;
        }
        Ok(())
    }

    /// Something was refused for its id since somebody pressed Retry: before that it was refused for another reason.
    fn waits_for_new_id(&self) -> bool {
        let taken =
            |record: &Value| record.get("refused").and_then(|refused| text(refused, "code")) == Some("id_conflict");
        self.disks.iter().flat_map(|disk| disk.databases()).any(|(_, database)| database.outbox().any(taken))
    }

    fn open_everything(&mut self) -> Outcome {
        for id in self.running() {
            for conversation in ["b1", "b2", "b9"] {
                self.open(id, conversation)?;
            }
            if self.rng.bool() && self.tab(id).is_some_and(|tab| tab.screen.list.is_none()) {
                self.show_list(id, true)?;
            }
        }
        Ok(())
    }

    /// Runs on until everything is in order, or time is up. A screen has less time than that.
    fn comes_right_within(&mut self, limit: u64) -> Result<Outcome, Broken> {
        let end = self.now + limit;
        loop {
            self.run_until(self.now + LOOK_MS)?;
            let settled = self.is_right()?;
            if settled.is_ok() || self.now >= end {
                return Ok(settled);
            }
        }
    }

    fn is_right(&mut self) -> Result<Outcome, Broken> {
        Ok(match self.look_at_screens()? {
            Some(different) => Err(different),
            None => self.check_settled(),
        })
    }

    fn check_idle(&self) -> Outcome {
        match self.idle_requests.iter().find(|(_, count)| **count > IDLE_REQUESTS) {
            Some((id, count)) => {
                Err(broken("an idle world is quiet", format!("tab {id} sent {count} requests in a minute")))
            }
            None => Ok(()),
        }
    }

    fn check_settled(&self) -> Outcome {
        for (profile, disk) in self.disks.iter().enumerate() {
            let user = self.profiles[profile].signed_in;
            for (name, database) in disk.databases().filter(|(name, _)| user_of(name) == user) {
                for record in database.outbox() {
                    let hopeless = text(record, "content").is_some_and(|content| HOPELESS.contains(&content));
                    let refused = record.get("refused").is_some_and(|refused| refused.as_object().is_some());
                    // An edit of what is gone waits for somebody who gives it up.
                    let target = text(record, "target_id").and_then(|target| self.server.row(target));
                    let vain = text(record, "kind") == Some("edit") && target.is_none_or(|row| row.deleted);
                    if !((hopeless || vain) && refused) {
                        let detail =
                            format!("{:?} is still in {name}: {:?}", text(record, "id"), record.get("refused"));
                        return Err(broken("in a kind world every outbox is emptied", detail));
                    }
                }
                let left = database.outbox().count();
                for (id, tab) in self.tabs.iter().enumerate().filter_map(|(id, tab)| Some((id, tab.as_deref()?))) {
                    if tab.closed || tab.profile != profile || tab.database.as_ref() != Some(name) {
                        continue;
                    }
                    if tab.screen.pending != left {
                        let detail = format!("tab {id} says {} pending, and there are {left}", tab.screen.pending);
                        return Err(broken("the pending count is true", detail));
                    }
                }
            }
        }
        Ok(())
    }

    fn close_everything(&mut self) -> Outcome {
        for id in self.running() {
            let op = self.tab(id).map_or(0, |tab| tab.op());
            self.feed(id, Input::Command(Command::Shutdown { op, discard: false }))?;
        }
        self.run_until(self.now + 30_000)?;
        match self.alive().into_iter().find(|id| self.tabs[*id].as_ref().is_some_and(|tab| !tab.closed)) {
            Some(id) => Err(broken("quiet after close", format!("tab {id} is not closed"))),
            None => Ok(()),
        }
    }
}
