//! Reading back: pages of history, from the cache and from the server.

use surechat::{
    engine::{Command, Input},
    json::number,
};

use super::{Outcome, World};
use crate::{TabId, broken, tab::Page};

/// A page is there, or refused, by then.
const PAGE_MS: u64 = 20_000;
const LOOK_MS: u64 = 250;
/// Before a page that was refused is asked for again.
const MOMENT_MS: u64 = 3_000;
/// More pages than any conversation of a world has.
const MOST_PAGES: usize = 300;

impl World {
    /// The next page below what a tab shows, if it shows the conversation.
    pub(super) fn load_older(&mut self, id: TabId, conversation: &str) -> Result<Option<u32>, crate::Broken> {
        let incarnation = self.server.conversation(conversation).map(|held| held.incarnation.clone());
        let covered = self.covered(id, conversation);
        let Some(tab) = self.tab(id) else { return Ok(None) };
        let op = tab.op();
        let Some(view) = tab.screen.view(conversation) else { return Ok(None) };
        // An own message may stand alone beyond what was caught up to: no page is asked for below that.
        let lowest = view.stored().next().filter(|(below, _)| **below <= covered);
        if let (Some((below, _)), Some(incarnation)) = (lowest, incarnation) {
            let page = Page { conversation: conversation.to_owned(), incarnation, below: *below };
            tab.pages.insert(op, page);
        }
        self.mark(id, "reads back");
        let conversation_id = conversation.to_owned();
        self.feed(id, Input::Command(Command::LoadOlder { op, conversation_id }))?;
        Ok(Some(op))
    }

    /// Up to here the tab's database has the conversation.
    fn covered(&self, id: TabId, conversation: &str) -> u64 {
        let Some(tab) = self.tabs.get(id).and_then(Option::as_deref) else { return 0 };
        let database = tab.database.as_ref().and_then(|name| self.disks[tab.profile].database(name));
        let record = database.and_then(|database| database.conversation(conversation));
        record.and_then(|record| number(record, "cursor")).unwrap_or(0)
    }

    /// Between the page and what was shown before nothing is missing.
    pub(super) fn page_answered(&mut self, id: TabId, op: u32) -> Outcome {
        let Some(tab) = self.tabs[id].as_deref_mut() else { return Ok(()) };
        let Some(page) = tab.pages.remove(&op) else { return Ok(()) };
        let (Some(Ok(_)), Some(view)) = (tab.screen.answers.get(&op), tab.screen.view(&page.conversation)) else {
            return Ok(());
        };
        let held = self.server.conversation(&page.conversation);
        let Some(held) = held.filter(|held| held.incarnation == page.incarnation) else { return Ok(()) };
        let Some((first, _)) = view.stored().next().filter(|_| view.rows.contains_key(&page.below)) else {
            return Ok(());
        };
        let of_page = held.rows.iter().filter(|row| row.kind == "message" && (*first..page.below).contains(&row.seq));
        let is_shown = |seq: u64, id: &str| view.rows.get(&seq).is_some_and(|message| message["id"] == id);
        match of_page.into_iter().find(|row| !is_shown(row.seq, &row.id)) {
            Some(row) => {
                let detail = format!("tab {id} {} #{} between {first} and {}", page.conversation, row.seq, page.below);
                Err(broken("a page of history joins what is shown", detail))
            }
            None => Ok(()),
        }
    }

    /// Every conversation on every screen, to its beginning.
    pub(super) fn read_back(&mut self) -> Outcome {
        for id in self.running() {
            let Some(tab) = self.tabs[id].as_deref() else { continue };
            if tab.user() == self.profiles[tab.profile].signed_in {
                let views: Vec<String> = tab.screen.views().map(|(conversation, _)| conversation.clone()).collect();
                for conversation in views {
                    self.read_back_to_the_beginning(id, &conversation)?;
                }
            }
        }
        Ok(())
    }

    fn read_back_to_the_beginning(&mut self, id: TabId, conversation: &str) -> Outcome {
        let rule = "history can be read to its beginning";
        let mut refused = 0;
        for _ in 0..MOST_PAGES {
            let view = self.tab(id).and_then(|tab| tab.screen.view(conversation));
            if view.is_none_or(|view| view.has_older != Some(true)) {
                return Ok(());
            }
            // Of what was withdrawn nothing is shown, and nothing can be read.
            let user = self.tabs[id].as_deref().and_then(|tab| tab.user()).unwrap_or_default();
            if self.server.conversation(conversation).is_none_or(|held| held.member(user).is_none()) {
                return Ok(());
            }
            let Some(op) = self.load_older(id, conversation)? else { return Ok(()) };
            let until = self.now + PAGE_MS;
            let answer = |world: &mut Self| world.tab(id).and_then(|tab| tab.screen.answers.get(&op).cloned());
            while self.now < until && answer(self).is_none() {
                self.run_until(self.now + LOOK_MS)?;
            }
            match answer(self) {
                Some(Ok(_)) => {}
                // Somebody may have waited for this page since before the world was kind.
                Some(Err(_)) if refused < 2 => {
                    refused += 1;
                    // And who was let in again a moment ago has to hear of it first.
                    self.run_until(self.now + MOMENT_MS)?;
                }
                Some(Err(problem)) => return Err(broken(rule, format!("tab {id} {conversation}: {}", problem.code))),
                None => return Err(broken(rule, format!("tab {id} {conversation}: no answer"))),
            }
        }
        Err(broken(rule, format!("tab {id} {conversation}: never")))
    }
}
