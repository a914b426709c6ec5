//! The list of all conversations of a user: what is unread in each, and what was said last.
//!
//! The server answers what changed since an earlier answer, named by one number, so that nobody sends hundreds of cursors
//! to learn that nothing happened. What every answer says of the whole (how many conversations, the sum of their
//! `last_seq`) is compared with what is held: a difference asks for everything anew. Between answers, rows and receipts
//! that come live are counted in here; what they do not tell exactly makes the list due.

use super::{Asked, Conversation, Sync, Synced};
use crate::{
    json::{Object, Value, fields, list, number},
    message::{Kind, StoredMessage},
    rest::{ListAnswer, Overview, SyncStatus},
    store::{RECORD_VERSION, is_known},
};

/// Characters of a last message that are kept.
const PREVIEW: usize = 300;
/// What is in the cache is shown for this long before it is asked for without a live channel.
const PATIENCE_MS: u64 = 2_000;
/// Conversations that are asked for with a cursor of their own, in one request.
pub(super) const CURSORS: usize = 100;

/// What the list shows of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Rows up to here are counted in.
    pub through: u64,
    /// Messages of others beyond what this user has read.
    pub unread: u64,
    /// Its text is cut.
    pub last_message: Option<StoredMessage>,
    /// The server's `last_seq` when it last spoke of the conversation.
    pub(super) told: u64,
    /// What was read when `unread` was counted.
    read: u64,
    /// How many of those are read is not known until the server knows what was.
    guessed: bool,
}

impl Summary {
    pub(super) fn to_value(&self) -> Value {
        fields! {
            "through": self.through,
            "told": self.told,
            "read": self.read,
            "unread": self.unread,
            "last_message": self.last_message.as_ref().map(StoredMessage::to_row),
        }
        .into()
    }

    pub(super) fn from_value(value: &Value) -> Option<Self> {
        Some(Self {
            through: number(value, "through")?,
            told: number(value, "told")?,
            read: number(value, "read")?,
            unread: number(value, "unread")?,
            last_message: value.get("last_message").and_then(StoredMessage::from_row),
            guessed: false,
        })
    }

    /// The next row. Answers whether it is known what becomes of `unread`.
    fn count(&mut self, row: &StoredMessage, user_id: &str) -> bool {
        if row.seq <= self.through {
            return true;
        }
        // One before it may be here and not counted: the list did not know it yet.
        let follows = row.seq == self.through + 1;
        self.guessed |= !follows;
        self.through = row.seq;
        let of_others = row.sender_id.as_deref() != Some(user_id);
        if row.kind == Kind::Message {
            self.unread += u64::from(of_others && row.deleted_at.is_none() && row.seq > self.read);
            self.last_message = Some(preview(row));
            return follows;
        }
        let last = self.last_message.as_mut().filter(|last| row.target_id.as_deref() == Some(last.id.as_str()));
        match (row.kind, last) {
            (Kind::Edit, Some(last)) => {
                last.content = preview(row).content;
                last.edited_at = Some(row.created_at.clone());
            }
            (Kind::Delete, Some(last)) => {
                let counted = of_others && last.deleted_at.is_none() && last.seq > self.read;
                self.unread = self.unread.saturating_sub(counted.into());
                last.content.clear();
                last.deleted_at = Some(row.created_at.clone());
            }
            // It may have been unread, or not.
            (Kind::Delete, None) => return follows && (!of_others || self.unread == 0),
            _ => {}
        }
        follows
    }

    /// Read up to here. Answers whether it is known what becomes of `unread`.
    fn note_read(&mut self, read: u64) -> bool {
        let newest = self.last_message.as_ref().map_or(self.through, |last| last.seq);
        let before = std::mem::replace(&mut self.read, read);
        if read >= newest {
            self.unread = 0;
        }
        self.unread == 0 || read == before
    }
}

/// The last message as it is kept: the conversation itself has all of it.
fn preview(row: &StoredMessage) -> StoredMessage {
    let mut row = row.clone();
    if let Some((end, _)) = row.content.char_indices().nth(PREVIEW) {
        row.content.truncate(end);
    }
    row
}

impl Conversation {
    /// Up to here this user has read it, here or elsewhere.
    pub fn read_mark(&self, user_id: &str) -> u64 {
        self.read.max(self.server_read(user_id))
    }

    fn server_read(&self, user_id: &str) -> u64 {
        self.members.iter().find(|member| member.user_id == user_id).map_or(0, |own| own.read_seq)
    }

    /// What the server says of it; it counted from `server_read`.
    fn sum_up(&mut self, last_seq: u64, server_read: u64, overview: Overview, user_id: &str) {
        let read = self.read_mark(user_id);
        if overview.unread > 0 {
            self.others_seq = self.others_seq.max(last_seq);
        }
        if let Some(held) = &mut self.summary {
            held.told = last_seq;
            // Rows that it did not know yet are counted already; it will name them again.
            if held.through > last_seq {
                return;
            }
            // What was read since is known better here.
            if held.through == last_seq && read > server_read && held.read >= read {
                held.last_message = overview.last_message;
                return;
            }
        }
        let Overview { unread, last_message } = overview;
        let mut summary =
            Summary { through: last_seq, told: last_seq, read: server_read, unread, last_message, guessed: false };
        summary.guessed = !summary.note_read(read);
        self.summary = Some(summary);
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// Requests ask for what changed, instead of with a cursor for each conversation.
    pub wanted: bool,
    since: Option<u64>,
    pub due: bool,
    pub asked: bool,
    loaded: bool,
    changed: Vec<String>,
    gone: Vec<String>,
}

/// The record of the database that says from where to ask.
pub const LIST: &str = "list";

impl Sync {
    /// From now on everything that is asked for is asked for by the list.
    pub fn want_list(&mut self) {
        self.list.wanted = true;
        self.list.due = true;
        for (_, conversation) in &mut self.conversations {
            conversation.due = conversation.wants_asking();
        }
    }

    /// The live channel is on its way: what was missed is asked for once, when it is there, unless that takes too long.
    pub fn await_channel(&mut self, now: u64) {
        if self.list.since.is_some() && !self.live {
            self.not_before = self.not_before.max(now + PATIENCE_MS);
        }
    }

    pub fn has_list(&self) -> bool {
        self.list.loaded
    }

    pub fn list_is_due(&self) -> bool {
        self.list.due || self.list.asked
    }

    /// What the cache knows.
    pub fn restore_list(&mut self, record: &Value) {
        let since = if is_known(record) { number(record, "since") } else { None };
        if since.is_some() {
            self.want_list();
            self.list.since = since;
            self.list.loaded = true;
        }
    }

    pub fn list_record(&self) -> Option<Value> {
        let since = self.list.since?;
        Some(fields! { "v": RECORD_VERSION, "name": LIST, "since": since }.into())
    }

    pub(super) fn forget_list(&mut self) {
        self.list = List { wanted: self.list.wanted, due: self.list.wanted, ..List::default() };
    }

    /// Requests ask for what changed since then; so many conversations are held.
    pub fn list_request(&self) -> Option<(Option<u64>, usize)> {
        self.list.wanted.then(|| (self.list.since, self.held()))
    }

    /// The request under way does.
    pub fn list_is_asked(&self) -> bool {
        self.list.asked
    }

    /// Whoever asks from this answer on, and knows nothing but the database, misses nothing.
    pub fn list_may_be_saved(&self) -> bool {
        self.iter().all(|held| held.may_be_saved() || (!held.is_known() && held.summary.is_none()))
    }

    fn held(&self) -> usize {
        self.iter().filter(|held| held.summary.is_some()).count()
    }

    /// The answer to the request under way.
    pub fn list_answered(&mut self, now: u64, answer: ListAnswer, user_id: &str) -> Vec<(String, Synced)> {
        let ListAnswer { since, full, total, sum, ids, conversations, partial } = answer;
        let named = ids.is_some();
        let ids = if full {
            Some(conversations.iter().filter(|it| it.overview.is_some()).map(|it| it.conversation_id.clone()).collect())
        } else {
            ids
        };
        let mut synced = self.answered(now, conversations, user_id);
        self.list.asked = false;
        if partial {
            self.list.due = true;
            self.back_off(now);
            return synced;
        }
        self.list.since = Some(since);
        self.list.loaded = true;
        for id in self.others_than(ids) {
            synced.push((id, Synced::Refused(SyncStatus::Forbidden)));
        }
        let refusals = synced.iter().filter(|(_, synced)| matches!(synced, Synced::Refused(_)));
        let refused: Vec<&String> = refusals.map(|(id, _)| id).collect();
        let (mut held, mut told) = (0, 0);
        for summary in self.iter().filter(|it| !refused.contains(&&it.id)).filter_map(|it| it.summary.as_ref()) {
            held += 1;
            told += summary.told;
        }
        if !full && (held != total || told != sum) {
            // Too many or too few: the next answer says which. What it did not bring then, or otherwise, was missed.
            if named || held == total {
                self.list.since = None;
            }
            self.list.due = true;
            self.not_before = now + super::LAG_PAUSE_MS;
        }
        synced
    }

    /// The conversations that are held and not among these.
    fn others_than(&self, ids: Option<Vec<String>>) -> Vec<String> {
        let Some(mut ids) = ids else { return Vec::new() };
        ids.sort_unstable();
        let is_other = |held: &&Conversation| held.is_granted() && ids.binary_search(&held.id).is_err();
        self.iter().filter(is_other).map(|held| held.id.clone()).collect()
    }

    /// The server spoke of a conversation.
    pub(super) fn sum_up(&mut self, id: &str, last_seq: u64, server_read: u64, overview: Overview, user_id: &str) {
        if let Some(conversation) = self.conversations.get_mut(id) {
            conversation.sum_up(last_seq, server_read, overview, user_id);
            self.touch(id);
        }
    }

    /// Rows that were taken in, in order.
    pub fn count_rows(&mut self, id: &str, rows: &[StoredMessage], user_id: &str) {
        let Some(summary) = self.conversations.get_mut(id).and_then(|held| held.summary.as_mut()) else { return };
        for row in rows {
            self.list.due |= !summary.count(row, user_id);
        }
        if !rows.is_empty() {
            self.touch(id);
        }
    }

    /// What was read counts as unread no more. Answers the conversations of which that is true now.
    pub fn count_read(&mut self, user_id: &str) -> Vec<String> {
        let mut read = Vec::new();
        for (id, conversation) in &mut self.conversations {
            let mark = conversation.read_mark(user_id);
            let here = mark > conversation.server_read(user_id);
            let Some(summary) = conversation.summary.as_mut().filter(|it| mark > it.read) else { continue };
            if summary.unread > 0 {
                read.push(id.clone());
            }
            let known = summary.note_read(mark);
            summary.guessed |= !known && here;
            self.list.due |= !known && !here;
        }
        read.iter().for_each(|id| self.touch(id));
        read
    }

    /// What the server holds as our own watermarks.
    pub fn acknowledged(&mut self, id: &str, user_id: &str, delivered: u64, read: u64) {
        let Some(conversation) = self.conversations.get_mut(id) else { return };
        conversation.acknowledged(user_id, delivered, read);
        let told = read >= conversation.read;
        if let Some(summary) = conversation.summary.as_mut().filter(|_| told) {
            self.list.due |= std::mem::take(&mut summary.guessed);
        }
    }

    /// What the list shows of it may be another.
    pub fn touch(&mut self, id: &str) {
        if self.list.wanted {
            self.list.changed.push(id.to_owned());
        }
    }

    /// It is not this user's any more. Answers whether it was.
    pub fn withdraw(&mut self, id: &str) -> bool {
        // One that was never there may come yet, and is asked for from time to time.
        let was_held = self.get(id).is_some_and(Conversation::is_granted);
        if was_held {
            self.conversations.remove(id);
            self.list.gone.push(id.to_owned());
        }
        was_held
    }

    /// Once more.
    pub fn say_gone(&mut self, id: String) {
        self.list.gone.push(id);
    }

    /// What changed since the last call: conversations, and those that are gone.
    pub fn take_changes(&mut self) -> (Vec<String>, Vec<String>) {
        let mut changed = std::mem::take(&mut self.list.changed);
        changed.sort_unstable();
        changed.dedup();
        (changed, std::mem::take(&mut self.list.gone))
    }

    /// Before a request: what every conversation is compared with when its answer comes unasked.
    pub(super) fn note_held(&mut self) {
        for (_, conversation) in &mut self.conversations {
            conversation.note_held();
        }
    }

    /// An answer that the list brought.
    pub(super) fn listed(&mut self, id: &str) -> Asked {
        let conversation = self.conversations.entry(id.to_owned()).or_insert_with(|| Conversation::new(id));
        conversation.held_then()
    }
}

/// What changes in a list, for whoever shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPatch {
    /// Forget everything first.
    pub reset: bool,
    /// All conversations are known.
    pub loaded: bool,
    /// As JavaScript shows them.
    pub upserts: Vec<Value>,
    pub removes: Vec<String>,
}

impl ListPatch {
    pub fn fields(self) -> Object {
        fields! {
            "reset": self.reset,
            "loaded": self.loaded,
            "upserts": self.upserts,
            "removes": list(self.removes.into_iter().map(Value::from)),
        }
    }

    pub fn from_value(value: &Value) -> Option<Self> {
        let upserts = value.get("upserts")?.as_array()?;
        let mut removes = Vec::new();
        for id in value.get("removes")?.as_array()? {
            removes.push(id.as_str()?.to_owned());
        }
        Some(Self {
            reset: value.get("reset")?.as_bool()?,
            loaded: value.get("loaded")?.as_bool()?,
            upserts: upserts.iter().all(|line| line.as_object().is_some()).then(|| upserts.to_vec())?,
            removes,
        })
    }
}
