//! What happens to tabs, machines, sessions and the server without anybody's asking.

use surechat::engine::{Input, PageEvent};

use super::{
    Event, Outcome, World,
    people::{LISTED, PEOPLE},
};
use crate::{TabId, faults::Fault};

impl World {
    pub(super) fn mishap(&mut self) -> Outcome {
        if self.weather.kind {
            return Ok(());
        }
        let pause = self.rng.u64(100..3_000);
        self.later(pause, Event::Mishap);
        let running = self.running();
        if let Some(tab) = self.rng.choice(&running).copied() {
            self.mishap_of_tab(tab)?;
        }
        let profile = self.rng.usize(0..self.profiles.len());
        self.mishap_of_profile(profile)?;
        self.mishap_of_server();
        Ok(())
    }

    fn mishap_of_tab(&mut self, id: TabId) -> Outcome {
        if self.strikes(Fault::CrashAnytime) {
            let profile = self.tab(id).map_or(0, |tab| tab.profile);
            let delay = self.rng.u64(1..10_000);
            self.later(delay, Event::NewTab { profile });
            return self.kill(id);
        }
        if self.strikes(Fault::Stuck) {
            self.mark(id, "is stuck");
            let duration = self.rng.u64(50..25_000);
            self.still(id, duration, None);
        } else if self.strikes(Fault::Freeze) {
            self.mark(id, "freezes");
            self.feed(id, Input::Page(PageEvent::Frozen))?;
            self.still_or_evicted(id, PageEvent::Resumed)?;
        } else if self.strikes(Fault::FreezeSilently) {
            self.mark(id, "freezes silently");
            let duration = self.rng.u64(1_000..60_000);
            self.still(id, duration, None);
        } else if self.strikes(Fault::Bfcache) {
            self.mark(id, "goes into the cache");
            self.feed(id, Input::Page(PageEvent::Leaving))?;
            self.cut(id);
            if let Some(tab) = self.tab(id) {
                tab.cached = true;
            }
            self.still_or_evicted(id, PageEvent::Shown { persisted: true })?;
        }
        if self.weather.begins(&mut self.rng, Fault::SocketCut) {
            self.cut(id);
        }
        if self.weather.begins(&mut self.rng, Fault::HalfOpen) {
            self.go_half_open(id);
        }
        if self.weather.begins(&mut self.rng, Fault::ReadyAgain) {
            self.lose_subscription(id);
        }
        if self.strikes(Fault::Robbed) {
            self.rob(id);
        }
        Ok(())
    }

    /// It wakes up, or the browser throws it away.
    fn still_or_evicted(&mut self, id: TabId, event: PageEvent) -> Outcome {
        let delay = self.rng.u64(200..60_000);
        if self.strikes(Fault::Evicted) {
            let profile = self.tab(id).map_or(0, |tab| tab.profile);
            self.later(delay, Event::NewTab { profile });
            return self.kill(id);
        }
        self.still(id, delay, Some(event));
        Ok(())
    }

    /// Somebody takes the lock by force and lets it go again.
    fn rob(&mut self, id: TabId) {
        let Some(tab) = self.tab(id) else { return };
        let (profile, Some(name)) = (tab.profile, tab.channel.clone()) else { return };
        if self.locks[profile].holder(&name) != Some(id) {
            return;
        }
        let stranger = usize::MAX;
        let (_, news) = self.locks[profile].steal(&name, stranger);
        let of_tabs: Vec<_> = news
            .into_iter()
            .filter(|news| !matches!(news, crate::locks::LockNews::Granted(tab, _) if *tab == stranger))
            .collect();
        self.spread_lock_news(of_tabs);
        let news = self.locks[profile].release(stranger);
        self.spread_lock_news(news);
    }

    fn mishap_of_profile(&mut self, profile: usize) -> Outcome {
        if self.strikes(Fault::Offline) {
            self.set_online(profile, false)?;
            let delay = self.rng.u64(100..30_000);
            self.later(delay, Event::Online { profile });
        }
        if self.strikes(Fault::WallJump) {
            self.profiles[profile].wall_shift += self.rng.i64(-7_200_000..7_200_000);
        }
        if self.strikes(Fault::Sleep) {
            self.fall_asleep(profile);
        }
        if self.strikes(Fault::Switch) {
            let users = self.profiles[profile].users.clone();
            let delay = self.rng.u64(1_000..60_000);
            if let (Some(other), Some(first)) = (self.rng.choice(&users).copied(), users.first().copied()) {
                self.sign_in(profile, Some(other));
                self.later(delay, Event::SignIn { profile, user: first });
                if self.rng.bool() {
                    self.later(1, Event::NewTab { profile });
                }
            }
        }
        if self.strikes(Fault::SignedOut) {
            let delay = self.rng.u64(1_000..60_000);
            if let Some(first) = self.profiles[profile].users.first().copied() {
                self.sign_in(profile, None);
                self.later(delay, Event::SignIn { profile, user: first });
            }
        }
        if self.strikes(Fault::Revoked)
            && let Some(jwt) = self.profiles[profile].token.clone()
        {
            self.server.auth.revoke(&jwt);
        }
        if self.strikes(Fault::DatabaseDeleted) {
            self.delete_databases(profile);
        }
        Ok(())
    }

    pub(super) fn set_online(&mut self, profile: usize, online: bool) -> Outcome {
        if self.profiles[profile].online == online {
            return Ok(());
        }
        self.profiles[profile].online = online;
        self.note(|| format!("profile {profile} is {}", if online { "online" } else { "offline" }));
        let event = if online { PageEvent::Online } else { PageEvent::Offline };
        for id in self.alive() {
            if self.tab(id).is_some_and(|tab| tab.profile == profile) {
                if !online {
                    self.go_half_open(id);
                }
                self.feed(id, Input::Page(event))?;
            }
        }
        Ok(())
    }

    fn fall_asleep(&mut self, profile: usize) {
        if self.profiles[profile].asleep.is_some() {
            return;
        }
        let nap = self.rng.u64(2_000..120_000);
        self.note(|| format!("profile {profile} sleeps for {nap} ms"));
        // Not every browser's monotonic clock goes on meanwhile.
        let clock_stands = self.rng.bool();
        self.profiles[profile].asleep = Some((self.now, clock_stands));
        for id in self.alive() {
            if self.tab(id).is_some_and(|tab| tab.profile == profile) {
                let event = self.rng.bool().then_some(PageEvent::Visible);
                self.still(id, nap, event);
                if nap > 30_000 {
                    self.go_half_open(id);
                }
            }
        }
        self.later(nap, Event::Wake { profile });
    }

    pub(super) fn wake(&mut self, profile: usize) -> Outcome {
        let Some((since, clock_stands)) = self.profiles[profile].asleep.take() else { return Ok(()) };
        if clock_stands {
            self.profiles[profile].mono_shift -= i64::try_from(self.now - since).unwrap_or(0);
        }
        Ok(())
    }

    /// The user clears the site's data: connections close, and nothing is left.
    fn delete_databases(&mut self, profile: usize) {
        let names: Vec<String> = self.disks[profile].databases().map(|(name, _)| name.clone()).collect();
        let outdated = self.rng.bool();
        for name in names {
            self.disks[profile].delete(&name);
            self.note(|| format!("the database {name} is deleted"));
            for id in self.alive() {
                if self.tab(id).is_some_and(|tab| tab.profile == profile && tab.database.as_ref() == Some(&name)) {
                    self.later(0, Event::Feed { tab: id, input: Box::new(Input::StoreLost { outdated }) });
                }
            }
        }
    }

    fn mishap_of_server(&mut self) {
        if self.now >= self.silent_until && self.weather.begins(&mut self.rng, Fault::ReplicationLost) {
            self.silent_until = self.now + self.rng.u64(500..60_000);
        }
        let names: Vec<String> = self.server.conversations().map(|(id, _)| id.clone()).collect();
        let Some(conversation) = self.rng.choice(&names).cloned() else { return };
        if self.rng.u32(0..10) == 0
            && let Some(copy) = self.server.conversation(&conversation)
        {
            self.copies.push((conversation.clone(), copy.clone()));
        }
        if self.strikes(Fault::Restore)
            && let Some((id, copy)) = self.rng.choice(&self.copies).cloned()
        {
            self.note(|| format!("{id} is set back to {}", copy.last_seq));
            self.restored.insert(id.clone());
            self.server.restore(&id, copy, true);
        }
        if self.strikes(Fault::Retention) {
            self.delete_some_row(&conversation);
        }
        self.mishap_of_memberships();
        if self.strikes(Fault::Expelled) {
            let member =
                self.server.conversation(&conversation).and_then(|held| self.rng.choice(&held.members).cloned());
            if let Some((user, role)) =
                PEOPLE.into_iter().find(|(user, _)| member.as_ref().is_some_and(|it| it.user == *user))
            {
                self.server.remove_member(&conversation, user);
                self.spread_live();
                let delay = self.rng.u64(500..20_000);
                self.later(delay, Event::Readmit { conversation, user, role });
            }
        }
    }

    /// Of the conversations that are only listed and read: nobody in this world sends there.
    fn mishap_of_memberships(&mut self) {
        let conversation = *self.rng.choice(&LISTED).unwrap_or(&"");
        let (user, role) = *self.rng.choice(&PEOPLE).unwrap_or(&PEOPLE[0]);
        let held = self.server.conversation(conversation);
        let is_member = held.is_some_and(|held| held.member(user).is_some());
        if !is_member && self.strikes(Fault::Invited) {
            self.note(|| format!("{user} is let into {conversation}"));
            self.server.ensure(conversation, &[(user, role)]);
            self.spread_live();
        } else if is_member && self.strikes(Fault::Withdrawn) {
            self.note(|| format!("{user} is put out of {conversation}"));
            self.server.remove_member(conversation, user);
            self.spread_live();
        }
    }

    /// Only what nobody can send again: its id would be free.
    fn delete_some_row(&mut self, conversation: &str) {
        let Some(held) = self.server.conversation(conversation) else { return };
        let foreign: Vec<u64> = held.rows.iter().filter(|row| row.id.starts_with("0f")).map(|row| row.seq).collect();
        if let Some(seq) = self.rng.choice(&foreign).copied() {
            self.server.delete_row(conversation, seq);
        }
    }
}
