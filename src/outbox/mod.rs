//! The outbox: what was accepted and is not known to be on the server.
//!
//! Rows stand in lanes, one per conversation, in the order of their keys: the order of sending.
//! *Prefix rule*: a request carries, from the front of a lane, every row that is not known to be
//! stored or refused; nothing overtakes. One request is under way at a time, and it ends only when
//! the database has committed what its answer decided, so that a lane passes a refused row only
//! after the refusal is written.
//!
//! A lane that fails waits 1 s, 2 s, 4 s; then it is *parked*: its rows show as failed, keep their
//! places, and go out when somebody retries, sends again, or things get better. A *refused* row
//! waits for a person; the lane goes on.

mod lane;
mod settle;

use litemap::LiteMap;

use crate::message::{DeliveryStatus, Envelope, Failure, MessageId};

pub use lane::Row;
use lane::{Gate, Lane};
pub use settle::{Settlement, Verdict};

/// Rows of one request.
const MAX_ROWS: usize = 100;
/// Bytes of one request, near enough.
const MAX_BYTES: usize = 256 * 1024;

/// After a success of other lanes.
const PROBE_SOON_MS: u64 = 5_000;

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

/// The rows of the request under way, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flight {
    rows: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
pub struct Outbox {
    lanes: LiteMap<String, Lane>,
    flight: Option<Flight>,
    waiting_auth: bool,
    paused_until: Option<u64>,
    pauses: u32,
    /// Rows that the next request may carry; halved when a request is refused as a whole.
    limit: usize,
    resume_on_reconnect: bool,
    rng: fastrand::Rng,
    /// Every key up to here was read from the database.
    read_through: u64,
    /// What is held was read before another tab led.
    stale: bool,
    touched: Vec<String>,
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
            resume_on_reconnect,
            rng: fastrand::Rng::with_seed(seed),
            read_through: 0,
            stale: false,
            touched: Vec::new(),
        }
    }

    /// The first key that was not read from the database yet.
    pub fn unread_from(&self) -> u64 {
        self.read_through + 1
    }

    /// A row that was committed just now. A new message wakes a parked lane at its head.
    pub fn add(&mut self, key: u64, envelope: Envelope) {
        let conversation = envelope.conversation_id.clone();
        let lane = self.lanes.entry(conversation.clone()).or_default();
        if lane.rows.contains_key(&key) {
            return;
        }
        lane.rows.insert(key, Row::new(envelope));
        if matches!(lane.gate, Gate::Parked { .. }) {
            lane.restart();
        }
        self.touched.push(conversation);
    }

    /// Rows read from the database, all of those from [`Outbox::unread_from`] on.
    pub fn read(&mut self, rows: Vec<(u64, Envelope, Option<Failure>)>, through: u64) {
        if std::mem::take(&mut self.stale) {
            self.forget();
        }
        for (key, envelope, refused) in rows {
            let conversation = envelope.conversation_id.clone();
            let lane = self.lanes.entry(conversation.clone()).or_default();
            lane.rows.entry(key).or_insert_with(|| Row { refused, ..Row::new(envelope) });
            self.touched.push(conversation);
        }
        self.read_through = self.read_through.max(through);
    }

    /// Another tab may have changed everything: the next [`Outbox::read`] is of all rows, and takes
    /// the place of what is held. Until then nothing that is shown disappears.
    pub fn read_anew(&mut self) {
        self.read_through = 0;
        self.stale = true;
    }

    fn forget(&mut self) {
        self.touched.extend(self.lanes.keys().cloned());
        self.lanes.clear();
        self.flight = None;
        self.read_through = 0;
    }

    /// Whether a request could be built now.
    pub fn is_due(&self, now: u64) -> bool {
        self.flight.is_none()
            && self.paused_until.is_none_or(|until| until <= now)
            && self.lanes.values().any(|lane| lane.is_due(now))
    }

    /// When [`Outbox::is_due`] may turn true by the clock alone.
    pub fn deadline(&self) -> Option<u64> {
        if self.flight.is_some() {
            return None;
        }
        let lanes = self.lanes.values().filter_map(Lane::due_at).min()?;
        Some(lanes.max(self.paused_until.unwrap_or(0)))
    }

    /// The rows of the next request. It is under way from now on.
    pub fn take_request(&mut self, now: u64) -> Vec<&Envelope> {
        if !self.is_due(now) {
            return Vec::new();
        }
        self.paused_until = None;
        self.waiting_auth = false;
        let mut heads: Vec<u64> = self.lanes.values().filter(|lane| lane.is_due(now)).filter_map(Lane::head).collect();
        heads.sort_unstable();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        'full: for head in heads {
            let Some((conversation, lane)) = self.lanes.iter().find(|(_, lane)| lane.head() == Some(head)) else {
                continue;
            };
            for (key, row) in lane.rows.iter().filter(|(_, row)| row.refused.is_none()) {
                bytes += row.envelope.weight();
                if rows.len() == self.limit || (bytes > MAX_BYTES && !rows.is_empty()) {
                    break 'full;
                }
                rows.push((conversation.clone(), *key));
            }
        }
        for (conversation, _) in &rows {
            self.touched.push(conversation.clone());
        }
        let flight = self.flight.insert(Flight { rows });
        let lanes = &self.lanes;
        flight
            .rows
            .iter()
            .filter_map(|(conversation, key)| Some(&lanes.get(conversation)?.rows.get(key)?.envelope))
            .collect()
    }

    /// The request of [`Outbox::take_request`] was not sent after all.
    pub fn abandon(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.touched.extend(flight.rows.into_iter().map(|(conversation, _)| conversation));
        }
    }

    pub fn is_in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Rows wait for a token: shown, and no attempt is burned.
    pub fn set_waiting_auth(&mut self, waiting: bool) {
        if self.waiting_auth != waiting {
            self.waiting_auth = waiting;
            self.touched.extend(self.lanes.keys().cloned());
        }
    }

    /// Things got better: parked lanes try again, if the app wants that.
    pub fn resume(&mut self) {
        if self.resume_on_reconnect {
            self.restart(None);
        }
    }

    /// Another request succeeded: parked lanes are probed soon, if the app wants that. It does not
    /// show until it works, for a lane may be parked for a reason of its own.
    pub fn probe_soon(&mut self, now: u64) {
        for lane in self.lanes.iter_mut().map(|(_, lane)| lane).filter(|_| self.resume_on_reconnect) {
            lane.probe_by(now + PROBE_SOON_MS);
        }
    }

    /// Somebody pressed Retry, in one conversation or for all. Answers the refused rows, which take
    /// new keys: they go to the end of their lanes.
    pub fn retry(&mut self, conversation_id: Option<&str>) -> Vec<(u64, Envelope)> {
        self.paused_until = None;
        self.restart(conversation_id);
        self.lanes_of(conversation_id)
            .flat_map(|(_, lane)| &lane.rows)
            .filter(|(_, row)| row.refused.is_some())
            .map(|(key, row)| (*key, row.envelope.clone()))
            .collect()
    }

    /// A refused row was written anew under a later key.
    pub fn rekeyed(&mut self, old: u64, new: u64, envelope: Envelope) {
        if let Some(lane) = self.lanes.get_mut(&envelope.conversation_id) {
            lane.rows.remove(&old);
        }
        self.add(new, envelope);
    }

    /// The key of the row with this id, and whether a request that carries it is under way.
    pub fn find(&self, conversation_id: &str, id: &MessageId) -> Option<(u64, bool)> {
        let lane = self.lanes.get(conversation_id)?;
        let key = lane.rows.iter().find(|(_, row)| row.envelope.id == *id).map(|(key, _)| *key)?;
        let flying = self.flight.iter().flat_map(|flight| &flight.rows).any(|(_, flying)| *flying == key);
        Some((key, flying))
    }

    /// A row was seen on the server and its record is deleted: a pause before it is over for the rows behind it, too.
    pub fn seen(&mut self, conversation_id: &str, key: u64) {
        if let Some(lane) = self.lanes.get_mut(conversation_id)
            && !matches!(lane.gate, Gate::Parked { .. })
        {
            lane.progressed();
        }
        self.remove(conversation_id, key);
    }

    /// The row's record is deleted: the server has it.
    pub fn remove(&mut self, conversation_id: &str, key: u64) {
        if let Some(lane) = self.lanes.get_mut(conversation_id) {
            lane.rows.remove(&key);
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

    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.rows.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Rows by conversation.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let counts = self.lanes.iter().map(|(id, lane)| (id.clone(), lane.rows.len()));
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
        let flying: Vec<u64> = self.flight.iter().flat_map(|flight| &flight.rows).map(|(_, key)| *key).collect();
        lane.states(&flying, self.waiting_auth, self.paused_until)
    }

    fn restart(&mut self, conversation_id: Option<&str>) {
        let mut touched = Vec::new();
        for (id, lane) in self.lanes.iter_mut().filter(|(id, _)| conversation_id.is_none_or(|wanted| wanted == *id)) {
            if !matches!(lane.gate, Gate::Open) {
                lane.restart();
                touched.push(id.clone());
            }
        }
        self.touched.extend(touched);
    }

    fn lanes_of<'a>(&'a self, conversation_id: Option<&'a str>) -> impl Iterator<Item = (&'a String, &'a Lane)> {
        self.lanes.iter().filter(move |(id, _)| conversation_id.is_none_or(|wanted| wanted == *id))
    }
}

#[cfg(test)]
mod tests;
