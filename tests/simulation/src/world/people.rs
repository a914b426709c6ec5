//! Who is there, and what people do.

use surechat::{
    engine::{Command, Input, PageEvent},
    json::object,
    message::MessageId,
};

use super::{Event, Outcome, Profile, World};
use crate::{
    TabId, broken,
    faults::Fault,
    reference::{HOPELESS, Sent},
    screen::Seen,
    tab::Asked,
};

const OPERATOR: &str = "operator-1";
const COLLEAGUE: &str = "operator-2";
const CLIENT: &str = "client-1";
/// In one profile.
const MOST_TABS: usize = 4;
/// Made while the world runs: before that, nobody can write there.
const LATE: &str = "b9";
/// Other people write here, and memberships come and go.
pub(super) const LISTED: [&str; 3] = ["n1", "n2", "n3"];
/// Whoever is to be let in somewhere, and as what.
pub(super) const PEOPLE: [(&str, &str); 3] = [(OPERATOR, "operator"), (COLLEAGUE, "operator"), (CLIENT, "client")];

impl World {
    pub(super) fn populate(&mut self) {
        let count = if self.rng.u32(0..3) == 0 { 2 } else { 1 };
        self.server.page_rows = *self.rng.choice(&[2, 5, 50]).unwrap_or(&50);
        self.server.row_limit = *self.rng.choice(&[5, 20, 200]).unwrap_or(&200).max(&self.server.page_rows);
        self.server.ensure("b1", &[(OPERATOR, "operator"), (CLIENT, "client")]);
        self.server.ensure("b2", &[(OPERATOR, "operator"), (COLLEAGUE, "operator"), (CLIENT, "client")]);
        for conversation in LISTED {
            let members: Vec<_> = PEOPLE.into_iter().filter(|_| self.rng.bool()).collect();
            self.server.ensure(conversation, &members);
        }
        for nth in 0..count {
            let users = if nth == 0 { vec![OPERATOR, COLLEAGUE] } else { vec![CLIENT] };
            let lifetime_ms = match self.strikes(Fault::TokenShort) {
                true => self.rng.u64(20..180) * 1_000,
                false => 3_600_000,
            };
            let locks_exist = self.weather.chance(Fault::NoLocks) == 0;
            self.profiles.push(Profile {
                signed_in: users.first().copied(),
                users,
                token: None,
                old_tokens: Vec::new(),
                lifetime_ms,
                online: true,
                asleep: None,
                mono_shift: self.rng.i64(0..100_000),
                wall_shift: self.rng.i64(-10_000_000..10_000_000),
                locks_exist,
                names_user: self.rng.u32(0..4) == 0,
                resumes: self.rng.u32(0..5) > 0,
                keeps: *self.rng.choice(&[50_000, 50_000, 60]).unwrap_or(&60),
            });
            self.disks.push(Default::default());
            self.locks.push(Default::default());
        }
    }

    pub(super) fn begin(&mut self) -> Outcome {
        let most = if self.rng.u32(0..6) == 0 { 160 } else { 8 };
        for _ in 0..self.rng.u32(0..most) {
            self.somebody_else_writes();
        }
        for profile in 0..self.profiles.len() {
            for _ in 0..self.rng.u32(1..4) {
                self.new_tab(profile)?;
            }
        }
        self.later(10, Event::Act);
        self.later(500, Event::Mishap);
        Ok(())
    }

    pub(super) fn new_tab(&mut self, profile: usize) -> Outcome {
        // Nothing begins on a machine that sleeps.
        if self.profiles[profile].asleep.is_some() || self.mates(profile) >= MOST_TABS {
            return Ok(());
        }
        let tab = self.start_tab(profile)?;
        for conversation in ["b1", "b2", LATE] {
            if self.rng.u32(0..3) > 0 {
                self.open(tab, conversation)?;
            }
        }
        if self.rng.u32(0..4) == 0 {
            let conversation = *self.rng.choice(&LISTED).unwrap_or(&"");
            self.open(tab, conversation)?;
        }
        if self.rng.u32(0..3) == 0 {
            self.show_list(tab, true)?;
        }
        Ok(())
    }

    pub(super) fn show_list(&mut self, tab: TabId, on: bool) -> Outcome {
        self.mark(tab, if on { "shows the list" } else { "hides the list" });
        if let Some(held) = self.tab(tab) {
            held.screen.list = on.then(Default::default);
        }
        self.command(tab, Command::List { on })
    }

    fn mates(&self, profile: usize) -> usize {
        self.tabs.iter().flatten().filter(|tab| tab.profile == profile && !tab.closed).count()
    }

    pub(super) fn open(&mut self, tab: TabId, conversation: &str) -> Outcome {
        if let Some(held) = self.tab(tab) {
            held.screen.open(conversation);
        }
        self.command(tab, Command::Open { conversation_id: conversation.into() })
    }

    fn command(&mut self, tab: TabId, command: Command) -> Outcome {
        self.feed(tab, Input::Command(command))
    }

    pub(super) fn act(&mut self) -> Outcome {
        if self.weather.kind {
            return Ok(());
        }
        let pause = match self.rng.u32(0..10) {
            0 => self.rng.u64(3_000..15_000),
            1..4 => self.rng.u64(500..3_000),
            _ => self.rng.u64(1..500),
        };
        self.later(pause, Event::Act);
        let running = self.running();
        let Some(tab) = self.rng.choice(&running).copied() else {
            let profile = self.rng.usize(0..self.profiles.len());
            return self.new_tab(profile);
        };
        let conversation = *self.rng.choice(&["b1", "b1", "b2", LATE]).unwrap_or(&"b1");
        match self.rng.u32(0..100) {
            0..28 => self.send(tab, conversation),
            28..31 => self.load_older(tab, conversation).map(|_| ()),
            31..33 => {
                let on = self.rng.u32(0..3) > 0;
                self.command(tab, Command::Typing { conversation_id: conversation.into(), on })
            }
            33..36 => {
                self.somebody_else_is_there(conversation);
                Ok(())
            }
            36..38 => {
                let on = self.tab(tab).is_some_and(|tab| tab.screen.list.is_none());
                self.show_list(tab, on)
            }
            38..40 => {
                let conversation = *self.rng.choice(&LISTED).unwrap_or(&"");
                self.open(tab, conversation)
            }
            40..48 => self.change_mind(tab),
            48..58 => {
                self.somebody_else_writes();
                Ok(())
            }
            58..62 => {
                self.somebody_else_reads();
                Ok(())
            }
            62..67 => self.open(tab, conversation),
            67..70 => {
                if let Some(held) = self.tab(tab) {
                    held.screen.close(conversation);
                }
                self.command(tab, Command::Close { conversation_id: conversation.into() })
            }
            70..74 => {
                let op = self.tab(tab).map_or(0, |tab| tab.op());
                self.command(tab, Command::Reload { op, conversation_id: conversation.into() })
            }
            74..80 => self.retry(tab, self.weather.kind.then(|| conversation.into())),
            80..83 => self.command(tab, Command::MarkRead { conversation_id: conversation.into() }),
            83..90 => self.show_or_hide(tab),
            90..94 => {
                let profile = self.tab(tab).map_or(0, |tab| tab.profile);
                self.new_tab(profile)
            }
            94..97 => self.close_tab(tab),
            97 => {
                let op = self.tab(tab).map_or(0, |tab| tab.op());
                self.mark(tab, "is told to shut down");
                if let Some(held) = self.tab(tab) {
                    held.closing = true;
                }
                self.command(tab, Command::Shutdown { op, discard: false })?;
                let (profile, delay) = (self.tab(tab).map_or(0, |tab| tab.profile), self.rng.u64(10..5_000));
                self.later(delay, Event::NewTab { profile });
                Ok(())
            }
            _ => {
                self.server.ensure(LATE, &[(OPERATOR, "operator"), (CLIENT, "client")]);
                Ok(())
            }
        }
    }

    pub(super) fn found_late_conversation(&mut self) {
        self.server.ensure(LATE, &[(OPERATOR, "operator"), (COLLEAGUE, "operator"), (CLIENT, "client")]);
        self.server.ensure("b1", &[(OPERATOR, "operator"), (COLLEAGUE, "operator"), (CLIENT, "client")]);
        self.server.ensure("b2", &[(OPERATOR, "operator"), (COLLEAGUE, "operator"), (CLIENT, "client")]);
    }

    pub(super) fn retry(&mut self, tab: TabId, conversation_id: Option<String>) -> Outcome {
        let op = self.tab(tab).map_or(0, |tab| tab.op());
        self.command(tab, Command::Retry { op, conversation_id })
    }

    fn send(&mut self, id: TabId, conversation: &str) -> Outcome {
        let clock = self.clock(id);
        self.next_id += 1;
        let mut entropy = [0_u8; 10];
        self.rng.fill(&mut entropy[..4]);
        entropy[6..].copy_from_slice(&self.next_id.to_be_bytes());
        let message = MessageId::v7(clock.wall, entropy);
        let hopeless = self.strikes(Fault::Poison);
        let content = match hopeless {
            true => (*self.rng.choice(&HOPELESS).unwrap_or(&"")).to_owned(),
            false => format!("message {}", self.next_id),
        };
        let Some(tab) = self.tab(id) else { return Ok(()) };
        let op = tab.op();
        tab.sends.insert(op, message.as_str().to_owned());
        let sent = Sent {
            profile: tab.profile,
            user: String::new(),
            database: String::new(),
            age: 0,
            conversation: conversation.to_owned(),
            content: content.clone(),
            accepted: false,
            ..Sent::default()
        };
        self.reference.asked(message.as_str(), sent);
        self.mark(id, "sends");
        self.note(|| format!("    {message} {content:?} to {conversation}"));
        self.command(
            id,
            Command::Send {
                op,
                id: message,
                conversation_id: conversation.into(),
                content,
                message_type: "text".into(),
                metadata: object(Vec::new()),
            },
        )
    }

    /// Somebody cancels, edits or gives up one of their last messages, in whatever tab.
    fn change_mind(&mut self, id: TabId) -> Outcome {
        let clock = self.clock(id);
        let Some(tab) = self.tab(id) else { return Ok(()) };
        let (profile, Some(name)) = (tab.profile, tab.database.clone()) else { return Ok(()) };
        let Some(age) = self.disks[profile].database(&name).map(|database| database.deleted) else { return Ok(()) };
        let own = |sent: &Sent| sent.accepted && sent.profile == profile && sent.database == name && sent.age == age;
        let mut own: Vec<String> =
            self.reference.iter().filter(|(_, sent)| own(sent)).map(|(message, _)| message.clone()).collect();
        // Ids count up behind the time.
        own.sort_by(|one, other| one[24..].cmp(&other[24..]));
        let last = own.len().saturating_sub(6);
        let Some(message) = self.rng.choice(&own[last..]).cloned() else { return Ok(()) };
        let Some(target) = MessageId::parse(&message) else { return Ok(()) };
        let Some(sent) = self.reference.get(&message).cloned() else { return Ok(()) };
        let conversation_id = sent.conversation.clone();
        let unsent = self.disks[profile].database(&name).is_some_and(|database| database.has_work_on(&message));
        let stored = self.server.has(&message);
        let op = self.tab(id).map_or(0, |tab| tab.op());
        let what = self.rng.u32(0..8);
        let (command, replacement) = match what {
            0..3 => (Command::Cancel { op, conversation_id, id: target }, None),
            3..6 => {
                self.next_id += 1;
                let mut entropy = [0_u8; 10];
                self.rng.fill(&mut entropy[..4]);
                entropy[6..].copy_from_slice(&self.next_id.to_be_bytes());
                let edit_id = MessageId::v7(clock.wall, entropy);
                let content = format!("edit {}", self.next_id);
                let anew = edit_id.as_str().to_owned();
                let asked = Sent { content: content.clone(), accepted: false, ..Sent::of(&sent) };
                self.reference.asked(&anew, asked);
                (Command::Edit { op, conversation_id, id: target, edit_id, content }, Some(anew))
            }
            _ => (Command::Discard { op, conversation_id, id: target }, None),
        };
        if let Some(sent) = self.reference.get_mut(&message) {
            sent.withdrawing |= what < 3 || (what >= 6 && (unsent || !stored));
            sent.cancelled |= what < 3;
            sent.given_up |= what >= 6;
            sent.discarded_late |= what >= 6 && stored && !unsent;
            sent.edited |= replacement.is_some();
            sent.replacements.extend(replacement.clone());
        }
        if let Some(tab) = self.tab(id) {
            tab.acts.insert(op, Asked { message: message.clone(), replacement, cancels: what < 3 });
        }
        self.mark(id, ["cancels", "edits", "gives up"][(what / 3) as usize]);
        self.note(|| format!("    {message}"));
        self.command(id, command)
    }

    fn act_answered(&mut self, id: TabId, op: u32) -> Outcome {
        let Some(tab) = self.tabs[id].as_deref_mut() else { return Ok(()) };
        let Some(Asked { message, replacement, cancels }) = tab.acts.remove(&op) else { return Ok(()) };
        let done = matches!(tab.screen.answers.get(&op), Some(Ok(_)));
        let profile = tab.profile;
        self.mark(id, if done { "changed it" } else { "could not change it" });
        let Some(sent) = self.reference.get(&message).cloned().filter(|_| done) else { return Ok(()) };
        let database = self.disks[profile].database(&sent.database).filter(|database| database.deleted == sent.age);
        match replacement {
            // What was stored before it was given up stays.
            None => {
                let gone = cancels || !self.server.has(&message);
                if let Some(sent) = self.reference.get_mut(&message) {
                    sent.withdrawn |= gone;
                }
            }
            Some(anew) if database.is_some_and(|database| database.kind_of(&anew) == Some("message")) => {
                if let Some(sent) = self.reference.get_mut(&message) {
                    (sent.withdrawing, sent.withdrawn) = (true, true);
                }
                if let Some(sent) = self.reference.get_mut(&anew) {
                    sent.accepted = true;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The app's promise is kept or broken.
    pub(super) fn call_answered(&mut self, id: TabId, op: u32) -> Outcome {
        self.act_answered(id, op)?;
        self.page_answered(id, op)?;
        let Some(tab) = self.tabs[id].as_deref_mut() else { return Ok(()) };
        let Some(message) = tab.sends.remove(&op) else { return Ok(()) };
        let answer = tab.screen.answers.remove(&op);
        let Some(name) = tab.database.clone() else {
            return match answer {
                Some(Ok(_)) => Err(broken("persisted means that it is on the disk", format!("{message} has no disk"))),
                _ => Ok(()),
            };
        };
        let Some(sent) = self.reference.get_mut(&message) else { return Ok(()) };
        if !matches!(answer, Some(Ok(_))) {
            return Ok(());
        }
        let database = self.disks[sent.profile].database(&name);
        let Some(order) = database.and_then(|database| database.order_of(&message)) else {
            return Err(broken("persisted means that it is on the disk", message));
        };
        sent.user = crate::tab::user_of(&name).unwrap_or_default().to_owned();
        sent.database = name;
        sent.age = order.0;
        sent.accepted = true;
        self.mark(id, "persisted");
        self.reference.check_loss(&message, &self.disks, &self.server)
    }

    pub(super) fn delivery_announced(&mut self, id: TabId, seen: &Seen) -> Outcome {
        let Seen::Delivery { id: message, status, http_status, code, .. } = seen else { return Ok(()) };
        self.mark(id, status.as_str());
        self.hash(message.as_bytes());
        self.note(|| format!("    {message} is {} {code:?}", status.as_str()));
        let is_stored = self.server.has(message) || self.server.taken_away.contains(message);
        if status.as_str() != "failed" && status.as_str() != "sending" && !is_stored {
            return Err(broken("sent means that the server has it", format!("{message} is {}", status.as_str())));
        }
        if status.as_str() == "failed" && *http_status == Some(401) {
            return Err(broken("a 401 never makes a message failed", message.clone()));
        }
        Ok(())
    }

    fn show_or_hide(&mut self, id: TabId) -> Outcome {
        let Some(tab) = self.tab(id) else { return Ok(()) };
        tab.visible = !tab.visible;
        let event = if tab.visible { PageEvent::Visible } else { PageEvent::Hidden };
        self.feed(id, Input::Page(event))
    }

    /// The user closes it: the page hears of it, and a moment later it is gone.
    fn close_tab(&mut self, id: TabId) -> Outcome {
        self.mark(id, "is closed by the user");
        let profile = self.tab(id).map_or(0, |tab| tab.profile);
        self.feed(id, Input::Page(PageEvent::Hidden))?;
        self.feed(id, Input::Page(PageEvent::Leaving))?;
        if self.tabs[id].is_some() {
            self.kill(id)?;
        }
        if self.rng.bool() {
            let delay = self.rng.u64(1..20_000);
            self.later(delay, Event::NewTab { profile });
        }
        Ok(())
    }

    fn somebody_else_writes(&mut self) {
        let conversation = *self.rng.choice(&["b1", "b2", "b1", "b2", "n1", "n2", "n3"]).unwrap_or(&"b1");
        let user = *self.rng.choice(&[CLIENT, COLLEAGUE]).unwrap_or(&CLIENT);
        self.next_id += 1;
        let id = format!("0f000000-0000-4000-8000-{:012x}", self.next_id);
        let content = format!("foreign {}", self.next_id);
        self.server.post(self.now, user, conversation, &id, &content);
        self.spread_live();
    }

    fn somebody_else_reads(&mut self) {
        if self.profiles.len() > 1 {
            return;
        }
        let conversation = *self.rng.choice(&["b1", "b2", "n1"]).unwrap_or(&"b1");
        let last = self.server.conversation(conversation).map_or(0, |held| held.last_seq);
        let delivered = self.rng.u64(0..=last);
        let read = self.rng.u64(0..=delivered);
        self.server.receive(CLIENT, conversation, delivered, read);
        self.spread_live();
    }

    /// Whoever has no browser in this world.
    fn somebody_else_is_there(&mut self, conversation: &str) {
        let user = if self.profiles.len() > 1 { COLLEAGUE } else { CLIENT };
        match self.rng.bool() {
            true => self.somebody_else_looks(conversation, user),
            false => self.somebody_else_types(conversation, user),
        }
    }

    pub(super) fn sign_in(&mut self, profile: usize, user: Option<&'static str>) {
        let held = &mut self.profiles[profile];
        if held.signed_in != user {
            held.signed_in = user;
            held.old_tokens.extend(held.token.take());
        }
        self.note(|| format!("profile {profile}: {user:?} is signed in"));
    }
}
