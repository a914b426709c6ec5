//! Cursors and catch-up: how a client comes to hold every message that was committed.
//!
//! `seq` counts the rows of a conversation without holes. A row that follows the cursor moves it;
//! a row beyond a hole waits and makes the conversation due for a `chat_sync`, whose answer
//! decides: what it lacks below its `through_seq` is gone. Another incarnation, or answers that go on
//! ending below the cursor that was asked from, mean another database: the cache is dropped.

mod conversation;
mod list;
mod window;

use litemap::LiteMap;

use conversation::Asked;
#[cfg(test)]
use conversation::LAG_LIMIT_MS;
pub use conversation::{Conversation, Merge};
use list::{CURSORS, List};
pub use list::{LIST, ListPatch, Summary};

use crate::rest::{SyncAnswer, SyncStatus};

/// Pauses after failed requests; each is drawn between its half and its whole.
const BACKOFF_MS: [u64; 5] = [1_000, 2_000, 5_000, 10_000, 30_000];
/// Before an answer is asked for again that did not know yet what was told live.
const LAG_PAUSE_MS: u64 = 250;
/// First pages of one request: the server answers them whole or not at all.
const FIRST_PAGES: usize = 4;
/// Before rows that the database refused are asked for again: twice this, then longer from time to time.
const UNSAVED_PAUSE_MS: u64 = 2_500;
/// Losses that give no signal are found after this long while the live channel is ready.
pub const RECONCILE_LIVE_MS: std::ops::Range<u64> = 30_000..60_000;
/// The same while there is no live channel.
const RECONCILE_POLL_MS: std::ops::Range<u64> = 5_000..10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    CatchingUp,
    Live,
    /// There is no live channel: new messages come when they are asked for, every few seconds.
    Polling,
    Stale,
}

impl SyncState {
    pub fn as_str(self) -> &'static str {
        match self {
            SyncState::CatchingUp => "catching_up",
            SyncState::Live => "live",
            SyncState::Polling => "polling",
            SyncState::Stale => "stale",
        }
    }
}

/// What one answered conversation brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Synced {
    Merged(Merge),
    /// It is not this user's, or not there.
    Refused(SyncStatus),
}

/// Whether requests reach the server for want of a live channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polls {
    Never,
    Asked,
    Answered,
}

#[derive(Debug, Clone)]
pub struct Sync {
    conversations: LiteMap<String, Conversation>,
    /// Cached, and nobody looks at them: where conversations are read one by one, these are not.
    dormant: LiteMap<String, Conversation>,
    /// What the request under way asks for.
    flight: Option<Vec<(String, Asked)>>,
    failures: usize,
    not_before: u64,
    live: bool,
    polls: Polls,
    /// The last request since the live channel came or went was answered.
    reached: bool,
    reconcile_at: u64,
    resets: u32,
    /// Conversations are read one by one, in windows by time, of what has this name.
    windows_of: Option<String>,
    list: List,
    rng: fastrand::Rng,
}

impl Sync {
    pub fn new(seed: u64) -> Self {
        Self {
            conversations: LiteMap::new(),
            dormant: LiteMap::new(),
            flight: None,
            failures: 0,
            not_before: 0,
            live: false,
            polls: Polls::Never,
            reached: false,
            reconcile_at: u64::MAX,
            resets: 0,
            windows_of: None,
            list: List::default(),
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn get(&self, id: &str) -> Option<&Conversation> {
        self.conversations.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Conversation> {
        self.conversations.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// The conversation of this id; one that is new here is due.
    pub fn track(&mut self, id: &str) -> &mut Conversation {
        let dormant = self.dormant.remove(id);
        self.conversations.entry(id.to_owned()).or_insert_with(|| dormant.unwrap_or_else(|| Conversation::new(id)))
    }

    /// What the cache holds of a conversation. What was heard of it in the meantime is kept.
    pub fn restore(&mut self, conversation: Conversation) {
        let id = conversation.id.clone();
        if self.windows_of.is_some() && conversation.is_known() && !self.conversations.contains_key(&id) {
            self.dormant.insert(id, conversation);
            return;
        }
        if let Some(held) = self.conversations.insert(id.clone(), conversation)
            && let Some(conversation) = self.conversations.get_mut(&id)
        {
            conversation.hear_of(held);
        }
    }

    /// Of everything that is cached.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.conversations.keys().chain(self.dormant.keys())
    }

    pub fn forget(&mut self, id: &str) {
        self.dormant.remove(id);
        self.conversations.remove(id);
    }

    /// What is remembered is not believed any more.
    pub fn forget_all(&mut self) {
        self.conversations.clear();
        self.dormant.clear();
        self.flight = None;
        self.forget_list();
    }

    /// The database refused to keep what came: it is asked for again, and that soon.
    pub fn not_saved(&mut self, now: u64, id: &str) {
        if let Some(conversation) = self.conversations.get_mut(id) {
            let refusals = conversation.not_saved();
            let pause = UNSAVED_PAUSE_MS << refusals.min(4);
            self.reconcile_at = self.reconcile_at.min(now + pause);
        }
    }

    /// Ask for everything again, as soon as may be.
    pub fn all_due(&mut self) {
        self.ask_for_all();
        self.not_before = 0;
        self.failures = 0;
    }

    /// Who takes part in what is another now, here or elsewhere. Many changes in a row are one question.
    pub fn members_changed(&mut self, now: u64) {
        if !self.is_anything_due() {
            self.after_a_moment(now);
        }
        self.ask_for_all();
    }

    fn ask_for_all(&mut self) {
        for (_, conversation) in &mut self.conversations {
            if !self.list.wanted || conversation.wants_asking() {
                conversation.ask_again();
            }
        }
        self.list.due = self.list.wanted;
    }

    /// How often a conversation turned out to be another one than was held.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// The last request brought nothing.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Somebody waits: do not wait out a pause.
    pub fn hurry(&mut self) {
        self.not_before = 0;
    }

    /// What is due is asked for when other sessions of the database see what was told live.
    pub fn after_a_moment(&mut self, now: u64) {
        self.not_before = self.not_before.max(now + LAG_PAUSE_MS);
    }

    pub fn set_live(&mut self, now: u64, live: bool) {
        if self.live != live || self.reconcile_at == u64::MAX {
            self.live = live;
            self.polls = Polls::Never;
            self.reached = false;
            self.schedule(now);
        }
    }

    /// The conversations to ask for now, with the cursor and incarnation of those that have one.
    /// Their request is under way from now on.
    pub fn take_request(&mut self, now: u64) -> Vec<(&str, Option<(u64, &str)>)> {
        if now >= self.reconcile_at {
            self.all_due();
            self.schedule(now);
            if !self.live && self.polls == Polls::Never {
                self.polls = Polls::Asked;
            }
        }
        if !self.is_due(now) {
            return Vec::new();
        }
        if self.list.wanted {
            self.note_held();
            self.list.due = false;
            self.list.asked = true;
        }
        let (mut first_pages, mut cursors) = (0, 0);
        let flight: Vec<(String, Asked)> = self
            .conversations
            .iter_mut()
            .map(|(_, conversation)| conversation)
            .filter(|conversation| {
                let counted = if conversation.is_known() { &mut cursors } else { &mut first_pages };
                *counted += usize::from(conversation.due);
                let limit = if self.list.wanted { CURSORS } else { usize::MAX };
                conversation.due && if conversation.is_known() { cursors <= limit } else { first_pages <= FIRST_PAGES }
            })
            .take(if self.windows_of.is_some() { 1 } else { usize::MAX })
            .map(|conversation| (conversation.id.clone(), conversation.ask()))
            .collect();
        let asked: Vec<_> = flight
            .iter()
            .filter_map(|(id, _)| self.conversations.get(id))
            .map(|it| (it.id.as_str(), it.is_known().then_some((it.cursor, it.incarnation.as_str()))))
            .collect();
        self.flight = Some(flight);
        asked
    }

    pub fn is_due(&self, now: u64) -> bool {
        self.flight.is_none() && now >= self.not_before && (now >= self.reconcile_at || self.is_anything_due())
    }

    fn is_anything_due(&self) -> bool {
        self.list.due || self.conversations.values().any(|conversation| conversation.due)
    }

    pub fn deadline(&self) -> Option<u64> {
        if self.flight.is_some() || (self.conversations.is_empty() && !self.list.wanted) {
            return None;
        }
        let at = if self.is_anything_due() { self.not_before } else { self.not_before.max(self.reconcile_at) };
        (at != u64::MAX).then_some(at)
    }

    fn was_answered(&mut self, now: u64) {
        self.reached = true;
        if self.polls == Polls::Asked {
            self.polls = Polls::Answered;
        }
        self.failures = 0;
        self.not_before = 0;
        let planned = self.reconcile_at;
        self.schedule(now);
        // What the database refused is asked for sooner.
        if self.iter().any(|held| held.is_known() && !held.may_be_saved()) {
            self.reconcile_at = self.reconcile_at.min(planned);
        }
    }

    /// The server's answer to the request under way.
    pub fn answered(&mut self, now: u64, answers: Vec<SyncAnswer>, user_id: &str) -> Vec<(String, Synced)> {
        let Some(mut asked) = self.flight.take() else {
            return Vec::new();
        };
        self.was_answered(now);
        let mut synced = Vec::new();
        for mut answer in answers {
            let place = asked.iter().position(|(id, _)| *id == answer.conversation_id);
            let (id, asked) = match place {
                Some(place) => asked.swap_remove(place),
                None if self.list.asked => (answer.conversation_id.clone(), self.listed(&answer.conversation_id)),
                None => continue,
            };
            let overview = answer.overview.take();
            let own = answer.members.iter().find(|member| member.user_id == user_id);
            let (last_seq, server_read) = (answer.last_seq, own.map_or(0, |own| own.read_seq));
            let Some(conversation) = self.conversations.get_mut(&id) else { continue };
            match answer.status {
                SyncStatus::Ok => {
                    let answer_id = id.clone();
                    let merge = conversation.merge(now, asked, answer, user_id);
                    self.resets += u32::from(merge.reset);
                    synced.push((id, Synced::Merged(merge)));
                    if conversation.is_behind() {
                        self.not_before = now + LAG_PAUSE_MS;
                    }
                    if let Some(overview) = overview {
                        self.sum_up(&answer_id, last_seq, server_read, overview, user_id);
                    }
                }
                refused => synced.push((id, Synced::Refused(refused))),
            }
        }
        // What was asked for and not answered is asked for again, but not at once.
        if !asked.is_empty() {
            for (id, _) in &asked {
                if let Some(conversation) = self.conversations.get_mut(id) {
                    conversation.due = true;
                }
            }
            self.back_off(now);
        }
        synced
    }

    /// The request under way brought nothing: again, later.
    pub fn failed(&mut self, now: u64) {
        self.list_unanswered();
        self.polls = Polls::Never;
        self.reached = false;
        for (id, _) in &self.flight.take().unwrap_or_default() {
            if let Some(conversation) = self.conversations.get_mut(id) {
                conversation.due = true;
            }
        }
        self.back_off(now);
    }

    /// The request under way was not sent after all.
    pub fn abandon(&mut self) {
        self.list_unanswered();
        for (id, _) in &self.flight.take().unwrap_or_default() {
            if let Some(conversation) = self.conversations.get_mut(id) {
                conversation.due = true;
            }
        }
    }

    fn list_unanswered(&mut self) {
        self.list.due |= std::mem::take(&mut self.list.asked);
    }

    /// There is no live channel, and the server answers what is asked in its place.
    pub fn is_polling(&self) -> bool {
        self.polls == Polls::Answered
    }

    pub fn has_reached(&self) -> bool {
        self.reached
    }

    /// Without a live channel: ask now, to know whether the server can be reached at all.
    pub fn poll_soon(&mut self, now: u64) {
        if !self.live && self.polls == Polls::Never {
            self.reconcile_at = now;
        }
    }

    pub fn is_asking(&self, id: &str) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.iter().any(|(asked, _)| asked == id))
    }

    pub fn state(&self, id: &str, reachable: bool) -> SyncState {
        let conversation = self.conversations.get(id);
        let due = conversation.is_none_or(|conversation| conversation.due || !conversation.is_known());
        if !reachable {
            SyncState::Stale
        } else if self.is_polling() && conversation.is_some_and(Conversation::is_known) {
            SyncState::Polling
        } else if due || self.is_asking(id) || self.list_is_due() || !self.live {
            SyncState::CatchingUp
        } else {
            SyncState::Live
        }
    }

    fn back_off(&mut self, now: u64) {
        let pause = BACKOFF_MS.get(self.failures).or(BACKOFF_MS.last()).copied().unwrap_or_default();
        self.failures += 1;
        self.not_before = now + self.rng.u64(pause / 2..=pause);
    }

    fn schedule(&mut self, now: u64) {
        let range = if self.live { RECONCILE_LIVE_MS } else { RECONCILE_POLL_MS };
        self.reconcile_at = now + self.rng.u64(range);
    }
}

#[cfg(test)]
mod tests;
