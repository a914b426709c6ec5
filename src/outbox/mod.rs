//! The outbox: what was accepted and is not known to be on the server.
//!
//! Rows stand in lanes, one per conversation, in the order of their keys: the order of sending.
//! *Prefix rule*: a request carries, from the front of a lane, every row that is not known to be
//! stored or refused; nothing overtakes. One request is under way at a time, and it ends only when
//! the database has committed what its answer decided, so that a lane passes a refused row only
//! after the refusal is written.
//!
//! A lane that fails waits 1 s, 2 s, 4 s; then it is *parked*: its rows show as failed, keep their
//! places, and go out when somebody retries, sends again, or things get better. A probe looks for
//! that at random within a second, and when nothing was stored for a while within 2 s, then 4 s, up
//! to a minute. What waits because the server could not be used also goes along with the next
//! request of another lane, which burns no attempt. A *refused* row waits for a person; the lane
//! goes on.
//!
//! A row is *maybe sent* from the moment a request that carries it is built; only a row that came
//! after this tab's first full read as the leader is known not to be. No row that may be sent is
//! changed or deleted: see [`Act`].

mod act;
mod lane;
mod mirror;
mod pace;
mod settle;

use litemap::LiteMap;

use crate::message::{DeliveryStatus, Envelope, Failure, Kind, MessageId, StoredMessage};

pub use act::Act;
pub use lane::Row;
use lane::{Gate, Lane};
use mirror::Mirror;
use pace::Pace;
pub use settle::Settlement;

/// Rows of one request.
const MAX_ROWS: usize = 250;
const MAX_TAKEN_BACK: usize = 100;
/// Bytes of one request, near enough.
const MAX_BYTES: usize = 256 * 1024;

/// After a success of another request.
const PROBE_SOON_MS: u64 = 2_000;

/// A row's state for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queued,
    InFlight,
    BackingOff,
    WaitingAuth,
    Parked,
    Refused,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::InFlight => "in_flight",
            Phase::BackingOff => "backing_off",
            Phase::WaitingAuth => "waiting_auth",
            Phase::Parked => "parked",
            Phase::Refused => "refused",
        }
    }
}

/// A row as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowState {
    pub status: DeliveryStatus,
    pub phase: Phase,
    pub retry_count: u32,
    /// On the monotonic clock, in milliseconds.
    pub next_attempt_at: Option<u64>,
    /// The row at the head of the lane, if that is what this one waits for.
    pub blocked_by: Option<MessageId>,
    pub failure: Option<Failure>,
}

/// A change of the outbox's records, to be committed before it counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Remove {
        conversation_id: String,
        key: u64,
    },
    /// Another record under the same key.
    Put {
        key: u64,
        envelope: Envelope,
        refused: Option<Failure>,
    },
    /// At the end of its lane, under a new key.
    Add {
        envelope: Envelope,
        maybe_sent: bool,
    },
}

/// A row of the request under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Carried {
    conversation_id: String,
    key: u64,
    /// Something else stands in its place by now.
    replaced: bool,
}

/// The rows of the request under way, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flight {
    rows: Vec<Carried>,
}

#[derive(Debug, Clone)]
pub struct Outbox {
    lanes: LiteMap<String, Lane>,
    flight: Option<Flight>,
    waiting_auth: bool,
    paused_until: Option<u64>,
    /// How often they have grown.
    pauses: u32,
    /// Rows that the next request may carry; halved when a request is refused as a whole.
    limit: usize,
    /// The most that [`Outbox::limit`] may be.
    most: usize,
    /// It carries messages one by one, and nothing else: no edits, no deletes, no tombstones.
    plain: bool,
    resume_on_reconnect: bool,
    offline: bool,
    /// Rows stored so far: how one lane knows that others send.
    stored: u64,
    /// For ids: with the key of a row, which no two rows share.
    seed: u64,
    pace: Pace,
    /// Every key up to here was read from the database.
    read_through: u64,
    /// What is held was read before another tab led.
    stale: bool,
    /// All rows were read by this tab as the leader: no other tab sends what comes now.
    leads: bool,
    mirror: Mirror,
    touched: Vec<String>,
    /// Messages that were taken back before they were ever sent: a second cancel has nothing to delete.
    taken_back: Vec<MessageId>,
}

impl Outbox {
    pub fn new(resume_on_reconnect: bool, seed: u64) -> Self {
        Self {
            lanes: LiteMap::new(),
            flight: None,
            waiting_auth: false,
            paused_until: None,
            pauses: 0,
            limit: MAX_ROWS,
            most: MAX_ROWS,
            plain: false,
            resume_on_reconnect,
            offline: false,
            stored: 0,
            seed,
            pace: Pace::new(seed),
            read_through: 0,
            stale: false,
            leads: false,
            mirror: Mirror::new(),
            touched: Vec::new(),
            taken_back: Vec::new(),
        }
    }

    /// For a way in that takes messages one by one, and nothing else.
    pub fn plain(mut self, plain: bool) -> Self {
        if plain {
            (self.plain, self.limit, self.most) = (true, 1, 1);
        }
        self
    }

    /// The first key that was not read from the database yet.
    pub fn unread_from(&self) -> u64 {
        self.read_through + 1
    }

    /// A row that was committed just now. A new message wakes a parked lane at its head.
    pub fn add(&mut self, key: u64, envelope: Envelope) {
        let maybe_sent = !self.leads;
        self.insert(key, Row { maybe_sent, ..Row::new(envelope) });
    }

    fn insert(&mut self, key: u64, row: Row) {
        let conversation = row.envelope.conversation_id.clone();
        let lane = self.lanes.entry(conversation.clone()).or_default();
        if lane.rows.contains_key(&key) {
            return;
        }
        lane.rows.insert(key, row);
        if lane.is_parked() {
            lane.restart();
        }
        self.touched.push(conversation);
    }

    /// Rows read from the database, all of those from [`Outbox::unread_from`] on; `leading` says whether this tab leads.
    /// Answers the messages that were held and are not there any more.
    pub fn read(&mut self, rows: Vec<(u64, Envelope, Option<Failure>)>, through: u64, leading: bool) -> Vec<Envelope> {
        let anew = std::mem::take(&mut self.stale);
        let before = if anew { self.forget() } else { LiteMap::new() };
        let maybe_sent = !self.leads;
        for (key, envelope, refused) in rows {
            self.insert(key, Row { refused, maybe_sent, ..Row::new(envelope) });
        }
        self.read_through = self.read_through.max(through);
        if leading && !self.leads {
            self.mirror.clear();
        } else if anew {
            self.forget_gone();
        }
        self.leads = leading;
        let mut gone = Vec::new();
        for (id, lane) in before {
            for (key, Row { envelope, .. }) in lane.rows {
                let now = self.lanes.get(&id).and_then(|lane| lane.rows.get(&key)).map(|row| &row.envelope);
                let stays = now.is_some_and(|now| now.id == envelope.id && now.kind == envelope.kind);
                if !stays && envelope.kind == Kind::Message {
                    gone.push(envelope);
                }
            }
        }
        gone
    }

    /// Another tab may have changed everything: the next [`Outbox::read`] is of all rows, and takes
    /// the place of what is held. Until then nothing that is shown disappears.
    pub fn read_anew(&mut self) {
        self.read_through = 0;
        self.stale = true;
        self.leads = false;
    }

    /// All rows were read since this tab leads: what is held is what the database has.
    pub fn is_read(&self) -> bool {
        self.leads
    }

    /// Another tab may send from now on, and the request under way is given up.
    pub fn step_aside(&mut self) {
        self.leads = false;
        self.lanes.iter_mut().flat_map(|(_, lane)| &mut lane.rows).for_each(|(_, row)| row.maybe_sent = true);
        self.abandon();
    }

    fn forget(&mut self) -> LiteMap<String, Lane> {
        self.touched.extend(self.lanes.keys().cloned());
        self.flight = None;
        self.read_through = 0;
        std::mem::take(&mut self.lanes)
    }

    /// Whether a request could be built now.
    pub fn is_due(&self, now: u64) -> bool {
        self.flight.is_none()
            && self.paused_until.is_none_or(|until| until <= now)
            && self.lanes.values().any(|lane| self.is_lane_due(lane, now))
    }

    /// When [`Outbox::is_due`] may turn true by the clock alone.
    pub fn deadline(&self) -> Option<u64> {
        if self.flight.is_some() {
            return None;
        }
        let lanes = self.lanes.values().filter_map(|lane| self.lane_due_at(lane)).min()?;
        Some(lanes.max(self.paused_until.unwrap_or(0)))
    }

    /// A page that knows it is offline probes nothing.
    fn lane_due_at(&self, lane: &Lane) -> Option<u64> {
        lane.due_at().filter(|_| !(self.offline && lane.is_parked()))
    }

    fn is_lane_due(&self, lane: &Lane, now: u64) -> bool {
        self.lane_due_at(lane).is_some_and(|at| at <= now)
    }

    /// The rows of the next request. It is under way from now on.
    pub fn take_request(&mut self, now: u64) -> Vec<&Envelope> {
        if !self.is_due(now) {
            return Vec::new();
        }
        self.paused_until = None;
        self.waiting_auth = false;
        let flight = Flight { rows: self.carry(Some(now), self.limit, MAX_BYTES) };
        self.touched.extend(flight.conversations());
        self.flight = Some(flight.clone());
        self.will_be_sent(flight.rows)
    }

    /// The front of each lane, as far as it was read from the database and fits: what a page that goes away repeats.
    pub fn front(&mut self, max_bytes: usize) -> Vec<&Envelope> {
        let rows = self.carry(None, self.most, max_bytes);
        self.will_be_sent(rows)
    }

    /// Lane after lane from its front, the oldest head first, as far as they fit: of those that are due and then of
    /// those that go along, or of all.
    fn carry(&self, due: Option<u64>, max_rows: usize, max_bytes: usize) -> Vec<Carried> {
        let is_due = |lane: &Lane| due.is_none_or(|now| self.is_lane_due(lane, now));
        let goes = |lane: &Lane| is_due(lane) || (lane.goes_along() && self.limit == self.most);
        let lanes = self.lanes.values().filter(|lane| goes(lane));
        let mut heads: Vec<(bool, u64)> = lanes.filter_map(|lane| Some((!is_due(lane), lane.head()?))).collect();
        heads.sort_unstable();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for (_, head) in heads {
            let Some((id, lane)) = self.lanes.iter().find(|(_, lane)| lane.head() == Some(head)) else { continue };
            let alone = due.is_some() && lane.stumbles();
            if alone && !rows.is_empty() {
                continue;
            }
            for (key, row) in lane.rows.iter().filter(|(_, row)| row.refused.is_none()) {
                let is_readable = !self.plain || row.envelope.kind == Kind::Message;
                if due.is_none() && (*key > self.read_through || !is_readable) {
                    break;
                }
                bytes += row.envelope.weight();
                let fits = bytes <= max_bytes || (due.is_some() && rows.is_empty());
                if rows.len() == max_rows || !fits {
                    return rows;
                }
                rows.push(Carried { conversation_id: id.clone(), key: *key, replaced: false });
                if alone {
                    return rows;
                }
            }
        }
        rows
    }

    fn will_be_sent(&mut self, rows: Vec<Carried>) -> Vec<&Envelope> {
        for Carried { conversation_id, key, .. } in &rows {
            if let Some(row) = self.lanes.get_mut(conversation_id).and_then(|lane| lane.rows.get_mut(key)) {
                row.maybe_sent = true;
            }
        }
        let envelope = |row: &Carried| Some(&self.lanes.get(&row.conversation_id)?.rows.get(&row.key)?.envelope);
        rows.iter().filter_map(envelope).collect()
    }

    /// The request of [`Outbox::take_request`] is over.
    pub fn abandon(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.touched.extend(flight.conversations());
        }
    }

    /// The first row of the request under way, if it is still what the request carried.
    pub fn under_way(&self) -> Option<&Envelope> {
        let carried = self.flight.as_ref()?.rows.first().filter(|row| !row.replaced)?;
        Some(&self.lanes.get(&carried.conversation_id)?.rows.get(&carried.key)?.envelope)
    }

    pub fn is_in_flight(&self) -> bool {
        self.flight.is_some()
    }

    pub fn set_online(&mut self, online: bool) {
        self.offline = !online;
    }

    /// Rows wait for a token: shown, and no attempt is burned.
    pub fn set_waiting_auth(&mut self, waiting: bool) {
        if self.waiting_auth != waiting {
            self.waiting_auth = waiting;
            self.touched.extend(self.lanes.keys().cloned());
        }
    }

    /// Things got better: what waits is tried at once, if the app wants that. Where it was wrong to hope so, the rhythm
    /// goes on where it was.
    pub fn resume(&mut self) {
        if self.resume_on_reconnect {
            self.reopen(None, Lane::resume);
        }
    }

    /// Another request succeeded: parked lanes are probed soon, if the app wants that. It does not
    /// show until it works, for a lane may be parked for a reason of its own.
    pub fn probe_soon(&mut self, now: u64) {
        for lane in self.lanes.iter_mut().map(|(_, lane)| lane).filter(|_| self.resume_on_reconnect) {
            lane.probe_by(now + PROBE_SOON_MS);
        }
    }

    /// Somebody pressed Retry, in one conversation or for all: what is parked goes at once.
    pub fn retry(&mut self, conversation_id: Option<&str>) {
        self.paused_until = None;
        self.reopen(conversation_id, Lane::restart);
    }

    pub fn holds(&self, conversation_id: &str, id: &MessageId) -> bool {
        let lane = self.lanes.get(conversation_id);
        lane.is_some_and(|lane| lane.rows.values().any(|row| row.envelope.id == *id))
    }

    /// What the row itself says, come back from the server. A pause before it is over for the rows behind it, too.
    pub fn seen(&mut self, message: &StoredMessage) -> Option<Seen> {
        let lane = self.lanes.get_mut(&message.conversation_id)?;
        let (key, row) = lane.rows.iter().find(|(_, row)| row.envelope.id == message.id)?;
        if self.flight.iter().flat_map(|flight| &flight.rows).any(|carried| carried.key == *key) {
            return Some(Seen::UnderWay);
        }
        let as_sent = row.envelope.kind == message.kind;
        let mut changes = settle::is_stored(*key, &row.envelope, message.kind);
        let blocked = |row: &Row| row.refused.as_ref().is_some_and(|failure| failure.code == lane::BLOCKED);
        let edits = lane.edits_of(message.id.as_str()).filter(|(_, row)| blocked(row));
        changes.extend(edits.map(|(key, row)| Change::Put { key, envelope: row.envelope.clone(), refused: None }));
        if !lane.is_parked() {
            lane.progressed();
        }
        Some(Seen::Stored { changes, as_sent })
    }

    /// What was committed; `keys` are those of what it added, in its order.
    pub fn apply(&mut self, changes: Vec<Change>, mut keys: impl Iterator<Item = u64>) {
        for change in changes {
            match change {
                Change::Remove { conversation_id, key } => self.remove(&conversation_id, key),
                Change::Put { key, envelope, refused } => self.replace(key, envelope, refused),
                Change::Add { envelope, maybe_sent } => {
                    if let Some(key) = keys.next() {
                        self.insert(key, Row { maybe_sent, ..Row::new(envelope) });
                    }
                }
            }
        }
    }

    fn replace(&mut self, key: u64, envelope: Envelope, refused: Option<Failure>) {
        let conversation_id = envelope.conversation_id.clone();
        let Some(row) = self.lanes.get_mut(&conversation_id).and_then(|lane| lane.rows.get_mut(&key)) else { return };
        let flying = self.flight.iter_mut().flat_map(|flight| &mut flight.rows);
        if row.envelope != envelope {
            flying.filter(|row| row.key == key).for_each(|row| row.replaced = true);
        }
        (row.envelope, row.refused) = (envelope, refused);
        self.touched.push(conversation_id);
    }

    fn remove(&mut self, conversation_id: &str, key: u64) {
        if let Some(lane) = self.lanes.get_mut(conversation_id) {
            if let Some(row) = lane.rows.remove(&key).filter(|row| !row.maybe_sent) {
                self.taken_back.truncate(MAX_TAKEN_BACK - 1);
                self.taken_back.insert(0, row.envelope.id);
            }
            if lane.rows.is_empty() {
                self.lanes.remove(conversation_id);
            }
            self.touched.push(conversation_id.to_owned());
        }
    }

    /// Of every row, in the order of sending.
    pub fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.lanes.values().flat_map(|lane| lane.rows.keys().copied()).collect();
        keys.sort_unstable();
        keys
    }

    /// All rows, also those that nobody sees.
    pub fn total(&self) -> usize {
        self.lanes.values().map(|lane| lane.rows.len()).sum()
    }

    /// Messages, edits and deletes that are not known to be on the server.
    pub fn len(&self) -> usize {
        self.lanes.values().map(Lane::count).sum()
    }

    /// Rows that go out by themselves when they can.
    pub fn unfinished(&self) -> usize {
        self.lanes.values().flat_map(|lane| lane.rows.values()).filter(|row| row.refused.is_none()).count()
    }

    /// Nothing is under way or about to be: what is left has failed.
    pub fn is_at_rest(&self) -> bool {
        self.flight.is_none() && self.lanes.values().all(|lane| lane.head().is_none() || lane.is_parked())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of [`Outbox::len`] may be on the server.
    pub fn maybe_sent(&self) -> usize {
        self.lanes.values().flat_map(Lane::seen).filter(|row| row.maybe_sent).count()
    }

    /// The keys of the rows that are not.
    pub fn never_sent(&self) -> Vec<u64> {
        let rows = self.lanes.values().flat_map(|lane| &lane.rows);
        rows.filter(|(_, row)| !row.maybe_sent).map(|(key, _)| *key).collect()
    }

    /// They were read anew, and no other tab led in between.
    pub fn are_never_sent(&mut self, keys: &[u64]) {
        let rows = self.lanes.iter_mut().flat_map(|(_, lane)| &mut lane.rows);
        rows.filter(|(key, _)| keys.contains(key)).for_each(|(_, row)| row.maybe_sent = false);
    }

    /// [`Outbox::len`] by conversation.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let counts = self.lanes.iter().map(|(id, lane)| (id.clone(), lane.count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Count this conversation as changed: its rows are wanted anew.
    pub fn touch(&mut self, conversation_id: &str) {
        self.touched.push(conversation_id.to_owned());
    }

    /// The conversations in which something changed since the last call.
    pub fn take_touched(&mut self) -> Vec<String> {
        let mut touched: Vec<String> = Vec::new();
        for conversation in std::mem::take(&mut self.touched) {
            if !touched.contains(&conversation) {
                touched.push(conversation);
            }
        }
        touched
    }

    /// The rows of a conversation with their keys and states, in order.
    pub fn rows(&self, conversation_id: &str) -> Vec<(u64, &Envelope, RowState)> {
        let Some(lane) = self.lanes.get(conversation_id) else {
            return Vec::new();
        };
        let flying = self.flight.iter().flat_map(|flight| &flight.rows).filter(|row| !row.replaced);
        let flying: Vec<u64> = flying.map(|row| row.key).collect();
        let mut rows = lane.states(&flying, self.waiting_auth, self.paused_until);
        // What is refused is in the database; of everything else the leader knows best.
        for (key, _, state) in rows.iter_mut().filter(|(_, _, state)| !self.leads && state.phase != Phase::Refused) {
            if let Some(heard) = self.mirror.get(key) {
                *state = heard.clone();
            }
        }
        rows
    }

    fn reopen(&mut self, conversation_id: Option<&str>, open: fn(&mut Lane)) {
        let mut touched = Vec::new();
        for (id, lane) in self.lanes.iter_mut().filter(|(id, _)| conversation_id.is_none_or(|wanted| wanted == *id)) {
            if !matches!(lane.gate, Gate::Open) {
                open(lane);
                touched.push(id.clone());
            }
        }
        self.touched.extend(touched);
    }
}

/// What a row that came back from the server says of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A request that carries it is under way: its answer comes first.
    UnderWay,
    Stored {
        changes: Vec<Change>,
        /// It is there as it was written, and not only something of its id.
        as_sent: bool,
    },
}

impl Flight {
    fn conversations(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| row.conversation_id.clone())
    }
}

#[cfg(test)]
mod tests;
