//! What is held of one conversation: a covered interval of `seq`, and everybody's watermarks.

use super::{list::Summary, window::Progress};
use crate::{
    json::{Value, fields, list, number, owned},
    message::{Member, StoredMessage},
    rest::SyncAnswer,
    store::{RECORD_VERSION, is_known},
};

/// A commit is told live before other sessions of the database see it, mostly by less than a moment. An answer that
/// stays below what was heard of for this long is believed: the database was set back.
pub(super) const LAG_LIMIT_MS: u64 = 5_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub id: String,
    /// The server's; empty before first contact.
    pub incarnation: String,
    /// Everything from here to [`Conversation::cursor`] is held, or gone from the server.
    pub low: u64,
    /// Up to here it was taken in.
    pub cursor: u64,
    /// Up to here it is committed to the database: what we may acknowledge.
    pub stored: u64,
    /// From here it is committed to the database.
    stored_low: u64,
    /// Up to here it was shown on a visible screen.
    pub read: u64,
    pub members: Vec<Member>,
    /// What the list shows of it, if it is in the list.
    pub summary: Option<Summary>,
    /// The newest row that somebody else sent: nothing else needs a receipt.
    pub others_seq: u64,
    /// It is to be asked for.
    pub due: bool,
    /// What is being answered is not enough: it was asked for before there was a reason to ask.
    again: bool,
    /// The newest row that was heard of.
    announced: u64,
    /// Since when answers end below what was heard of before they were asked for.
    behind_since: Option<u64>,
    /// Rows beyond a hole.
    ahead: Vec<StoredMessage>,
    /// The database did not take what came after [`Conversation::stored`]: nothing more is written until that is there.
    unsaved: bool,
    /// Nor was anything written since.
    unwritten: bool,
    /// Writes refused in a row.
    refusals: u32,
    pub(super) progress: Progress,
    /// What was known when the list was asked for.
    held_then: Asked,
}

/// What was known when a request was built.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Asked {
    pub cursor: u64,
    newest: u64,
    /// Without a cursor, for the newest page.
    page: bool,
    /// The answer starts where the server knows that the list left off, not at our cursor.
    listed: bool,
}

/// What is to be shown and written after rows came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merge {
    /// Everything held before is to be dropped first: it was another database.
    pub reset: bool,
    /// The rows are complete from here.
    pub from: u64,
    /// It is the first page: what is cached beside it is not covered by it.
    pub first: bool,
    /// What was heard of beyond the rows is not there any more.
    pub gone: bool,
    /// In order of `seq`.
    pub rows: Vec<StoredMessage>,
}

impl Conversation {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            incarnation: String::new(),
            low: 1,
            cursor: 0,
            stored: 0,
            stored_low: 1,
            read: 0,
            members: Vec::new(),
            summary: None,
            others_seq: 0,
            due: true,
            again: false,
            announced: 0,
            behind_since: None,
            ahead: Vec::new(),
            unsaved: false,
            unwritten: false,
            refusals: 0,
            progress: Progress::default(),
            held_then: Asked::default(),
        }
    }

    /// The first page was taken in.
    pub fn is_known(&self) -> bool {
        !self.incarnation.is_empty()
    }

    /// The server said that it is this user's: it was taken in, or there was no room for more than its line in the list.
    pub(super) fn is_granted(&self) -> bool {
        self.is_known() || self.summary.is_some()
    }

    /// What was heard of before the cache was read.
    pub(super) fn hear_of(&mut self, held: Conversation) {
        // A follower may have shown it before it was read here.
        if !held.is_known() || held.incarnation == self.incarnation {
            self.read = self.read.max(held.read);
        }
        self.announced = self.announced.max(held.announced);
        let cursor = self.cursor;
        for row in held.ahead.into_iter().filter(|row| row.seq > cursor) {
            self.hold(row);
        }
    }

    /// Written from there up to here.
    pub fn saved(&mut self, low: u64, cursor: u64) {
        self.stored = self.stored.max(cursor.min(self.cursor));
        self.stored_low = low;
        self.refusals = 0;
        self.unwritten = self.unsaved;
    }

    /// A page of history that is complete from `first` and ends below `before`. Answers whether it joins what is held.
    pub fn extend_down(&mut self, first: u64, before: u64) -> bool {
        let joins = self.is_known() && before == self.low && first <= before;
        if joins {
            self.low = first.max(1);
        }
        joins
    }

    /// As many rows are held, or gone from the server.
    pub fn span(&self) -> u64 {
        (self.cursor + 1).saturating_sub(self.low)
    }

    /// Give up what is oldest, up to so many rows, but none of the newest `kept`. Answers whether there was any.
    pub fn shorten(&mut self, rows: u64, kept: u64) -> bool {
        let rows = rows.min(self.span().saturating_sub(kept));
        self.low += rows;
        rows > 0
    }

    /// A write was refused. What it held is asked for again with the next request; until then a later write would
    /// leave a hole in the cache. Answers how many were refused in a row.
    pub(super) fn not_saved(&mut self) -> u32 {
        self.unsaved = true;
        self.unwritten = true;
        self.refusals += 1;
        self.refusals
    }

    pub fn may_be_saved(&self) -> bool {
        self.is_known() && !self.unsaved
    }

    /// What is told of it in the list may stand nowhere else.
    pub fn is_unwritten(&self) -> bool {
        self.unwritten
    }

    /// Only a request that is built from now on counts.
    pub fn ask_again(&mut self) {
        self.due = true;
        self.again = true;
    }

    /// All that was taken in is written.
    pub fn is_settled(&self) -> bool {
        self.may_be_saved() && self.stored == self.cursor
    }

    /// There is a row of this `seq`.
    pub fn announce(&mut self, seq: u64) {
        self.announced = self.announced.max(seq);
        self.due |= self.cursor < seq;
    }

    /// A row that came live, or as the answer to our own sending.
    pub fn take_row(&mut self, row: StoredMessage, user_id: &str) -> Merge {
        if self.is_known() && row.seq <= self.cursor {
            return Merge::default();
        }
        self.announced = self.announced.max(row.seq);
        self.hold(row);
        let from = self.cursor + 1;
        let rows = if self.is_known() { self.take_contiguous() } else { Vec::new() };
        if !self.ahead.is_empty() {
            self.due = true;
        }
        self.note_others(&rows, user_id);
        Merge { from, rows, ..Merge::default() }
    }

    pub(super) fn ask(&mut self) -> Asked {
        self.due = false;
        self.again = false;
        if std::mem::take(&mut self.unsaved) {
            self.cursor = self.stored;
            self.low = self.low.max(self.stored_low);
            self.progress = Progress::default();
            if self.stored == 0 {
                self.incarnation.clear();
            }
        }
        Asked { cursor: self.cursor, newest: self.cursor.max(self.announced), page: !self.is_known(), listed: false }
    }

    pub(super) fn note_held(&mut self) {
        let newest = self.cursor.max(self.announced);
        self.held_then = Asked { cursor: self.cursor, newest, page: false, listed: true };
    }

    pub(super) fn held_then(&self) -> Asked {
        Asked { listed: true, ..self.held_then }
    }

    /// It cannot be left to the list.
    pub(super) fn wants_asking(&self) -> bool {
        let told = self.summary.as_ref().map_or(0, |summary| summary.told);
        !self.is_known() || self.unwritten || self.cursor < self.announced.max(told) || !self.ahead.is_empty()
    }

    /// The last answer did not know yet what we have heard of.
    pub fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    pub(super) fn merge(&mut self, now: u64, asked: Asked, answer: SyncAnswer, user_id: &str) -> Merge {
        let again = std::mem::take(&mut self.again);
        let other_incarnation = self.is_known() && self.incarnation != answer.incarnation;
        let older = answer.last_seq < asked.cursor;
        let mut gone = false;
        if !other_incarnation && answer.last_seq < asked.newest {
            let since = *self.behind_since.get_or_insert(now);
            if now < since + LAG_LIMIT_MS {
                self.due = true;
                if older {
                    return Merge::default();
                }
            } else {
                gone = self.announced <= asked.newest;
                self.announced = answer.last_seq;
                self.ahead.retain(|row| row.seq <= answer.last_seq);
                self.behind_since = None;
            }
        } else {
            self.behind_since = None;
        }
        let reset = other_incarnation || older;
        if reset {
            *self = Self::new(&self.id);
        }
        // The rows do not join what is held: it is to be asked for with our cursor.
        if asked.listed && self.is_known() && answer.first_seq > self.cursor + 1 {
            self.due = true;
            answer.members.into_iter().for_each(|member| self.take_receipt(member));
            return Merge::default();
        }
        // There was no room for the first page; one whose rows are all gone is a page, too.
        if !self.is_known() && !asked.listed && answer.through_seq < answer.last_seq && answer.rows.is_empty() {
            self.due = true;
            return Merge { reset, ..Merge::default() };
        }
        let first = !self.is_known() || answer.first_seq > self.cursor + 1;
        if first && !reset && !asked.page && !asked.listed {
            // What the answer goes on from is not held any more.
            self.due = true;
            return Merge::default();
        }
        if first {
            // Nothing said of which database the line of the list was.
            if !self.is_known() {
                self.members.clear();
                self.summary = self.summary.take().filter(|summary| summary.through <= answer.last_seq);
            }
            self.incarnation = answer.incarnation;
            self.low = answer.first_seq.max(1);
            self.cursor = self.low - 1;
            // What came before may be of a database that was set back since.
            self.ahead.clear();
        }
        self.members.retain(|known| answer.members.iter().any(|member| member.user_id == known.user_id));
        for member in answer.members {
            self.take_receipt(member);
        }
        let known = self.cursor;
        for row in answer.rows.into_iter().filter(|row| row.seq > known) {
            self.hold(row);
        }
        let mut rows = self.take_ahead(answer.through_seq);
        self.cursor = self.cursor.max(answer.through_seq);
        rows.append(&mut self.take_contiguous());
        self.note_others(&rows, user_id);
        let missing = self.cursor < answer.last_seq.max(self.announced) || !self.ahead.is_empty();
        self.due = again || missing || self.is_behind();
        Merge { reset, from: known + 1, first, gone, rows }
    }

    /// Watermarks that came live. They only rise.
    pub fn take_receipt(&mut self, member: Member) {
        match self.members.iter_mut().find(|known| known.user_id == member.user_id) {
            Some(known) => {
                known.role = member.role;
                known.delivered_seq = known.delivered_seq.max(member.delivered_seq);
                known.read_seq = known.read_seq.max(member.read_seq);
            }
            None => self.members.push(member),
        }
    }

    /// What the server holds as our own watermarks.
    pub fn acknowledged(&mut self, user_id: &str, delivered_seq: u64, read_seq: u64) {
        let Some(role) = self.role(user_id).map(str::to_owned) else { return };
        self.take_receipt(Member { user_id: user_id.to_owned(), role, delivered_seq, read_seq });
    }

    /// Up to where somebody of another role has stored and read, or everybody: what the ticks show. Before it is known
    /// which role is our own, nobody's is another.
    pub fn watermarks(&self, user_id: &str, of_all: bool) -> (u64, u64) {
        let Some(role) = self.role(user_id) else { return (0, 0) };
        let mut marks = None;
        for member in &self.members {
            if member.user_id == user_id || member.role == role {
                continue;
            }
            let (delivered, read) = marks.unwrap_or((member.delivered_seq, member.read_seq));
            marks = Some(if of_all {
                (delivered.min(member.delivered_seq), read.min(member.read_seq))
            } else {
                (delivered.max(member.delivered_seq), read.max(member.read_seq))
            });
        }
        marks.unwrap_or_default()
    }

    pub fn role(&self, user_id: &str) -> Option<&str> {
        self.members.iter().find(|member| member.user_id == user_id).map(|member| member.role.as_str())
    }

    /// What the server is known to hold as delivered to this user.
    pub fn delivered(&self, user_id: &str) -> Option<u64> {
        self.members.iter().find(|member| member.user_id == user_id).map(|member| member.delivered_seq)
    }

    /// What the server should learn of us, if it does not know it: delivered and read.
    pub fn receipt_due(&self, user_id: &str) -> Option<(u64, u64)> {
        let own = self.members.iter().find(|member| member.user_id == user_id)?;
        let read = self.read.min(self.stored);
        let news = self.others_seq.min(self.stored) > own.delivered_seq || self.others_seq.min(read) > own.read_seq;
        news.then_some((self.stored, read))
    }

    pub fn to_record(&self) -> Value {
        let mut record = fields! {
            "v": RECORD_VERSION,
            "id": self.id.as_str(),
            "incarnation": self.incarnation.as_str(),
            "low": self.low,
            "cursor": self.cursor,
            "read": self.read,
            "others_seq": self.others_seq,
            "members": list(self.members.iter().map(Member::to_value)),
        };
        if let Some(summary) = &self.summary {
            record.set("summary", summary.to_value());
        }
        record.into()
    }

    /// `None` for a record of another version.
    pub fn from_record(record: &Value) -> Option<Self> {
        if !is_known(record) {
            return None;
        }
        let (low, cursor) = (number(record, "low")?, number(record, "cursor")?);
        let members = record.get("members")?.as_array()?;
        Some(Self {
            incarnation: owned(record, "incarnation")?,
            low,
            cursor,
            stored: cursor,
            stored_low: low,
            read: number(record, "read")?,
            others_seq: number(record, "others_seq")?,
            members: members.iter().filter_map(Member::from_value).collect(),
            summary: record.get("summary").and_then(Summary::from_value),
            ..Self::new(&owned(record, "id")?)
        })
    }

    fn take_contiguous(&mut self) -> Vec<StoredMessage> {
        let mut next = self.cursor;
        for row in &self.ahead {
            if row.seq == next + 1 {
                next = row.seq;
            }
        }
        let mut rows = self.take_ahead(next);
        rows.retain(|row| row.seq > self.cursor);
        self.cursor = next;
        rows
    }

    fn hold(&mut self, row: StoredMessage) {
        let place = self.ahead.partition_point(|held| held.seq < row.seq);
        match self.ahead.get_mut(place).filter(|held| held.seq == row.seq) {
            Some(held) => *held = row,
            None => self.ahead.insert(place, row),
        }
    }

    /// The rows that wait, up to this `seq`.
    fn take_ahead(&mut self, through: u64) -> Vec<StoredMessage> {
        let left = self.ahead.split_off(self.ahead.partition_point(|row| row.seq <= through));
        std::mem::replace(&mut self.ahead, left)
    }

    fn note_others(&mut self, rows: &[StoredMessage], user_id: &str) {
        let others = rows.iter().filter(|row| row.sender_id.as_deref() != Some(user_id)).map(|row| row.seq);
        self.others_seq = self.others_seq.max(others.max().unwrap_or(0));
    }
}
