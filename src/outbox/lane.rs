//! One conversation's rows, in the order of sending, and the gate in front of them.

use litemap::LiteMap;

use super::{Carried, Phase, RowState, pace::Pace};
use crate::message::{Envelope, Failure, Kind, MessageId};

/// The guide's rhythm: after the first attempt, and after each retry.
const BACKOFF_MS: [u64; 3] = [1_000, 2_000, 4_000];
/// Faults of one row alone, while other lanes send, after which it is the row.
const POISON_FAULTS: u32 = 8;

/// The code of what is fine itself and waits for something before it.
pub(super) const BLOCKED: &str = "blocked";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    BackingOff {
        until: u64,
    },
    /// `probe_at`: when it is tried once more without anybody's asking.
    Parked {
        failure: Failure,
        probe_at: Option<u64>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub envelope: Envelope,
    /// Attempts that failed and are followed by another, since it was queued or retried.
    pub retry_count: u32,
    /// Why it waits for a person.
    pub refused: Option<Failure>,
    /// A request that carried it, or carries it, was built. A refusal does not end that.
    pub maybe_sent: bool,
}

impl Row {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self { envelope, retry_count: 0, refused: None, maybe_sent: false }
    }
}

/// A fault that the database named, and the row at the head that may be its reason.
#[derive(Debug, Clone)]
struct Fault {
    key: u64,
    code: String,
    count: u32,
    /// [`super::Outbox`]'s count of stored rows at that time.
    stored: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub rows: LiteMap<u64, Row>,
    pub gate: Gate,
    /// Failed attempts since the lane was last fine or restarted.
    attempts: u32,
    /// How often the pauses between its probes have grown.
    probes: u32,
    /// The last attempt failed as a whole request, for no reason of this lane.
    failed_with_all: bool,
    fault: Option<Fault>,
    /// A refusal for lack of rights is believed only after one more try with a fresh token.
    pub forbidden_once: bool,
}

impl Default for Lane {
    fn default() -> Self {
        let rows = LiteMap::new();
        Self {
            rows,
            gate: Gate::Open,
            attempts: 0,
            probes: 0,
            failed_with_all: false,
            fault: None,
            forbidden_once: false,
        }
    }
}

impl Lane {
    /// The key of the first row that wants to be sent.
    pub fn head(&self) -> Option<u64> {
        self.rows.iter().find(|(_, row)| row.refused.is_none()).map(|(key, _)| *key)
    }

    pub fn due_at(&self) -> Option<u64> {
        self.head()?;
        match self.gate {
            Gate::Open => Some(0),
            Gate::BackingOff { until } => Some(until),
            Gate::Parked { probe_at, .. } => probe_at,
        }
    }

    /// It waits because the server could not be used, and may be tried whenever somebody tries it anyway.
    pub fn goes_along(&self) -> bool {
        let waits = match self.gate {
            Gate::Open => false,
            Gate::BackingOff { .. } => true,
            Gate::Parked { probe_at, .. } => probe_at.is_some(),
        };
        waits && self.failed_with_all && !self.stumbles()
    }

    pub fn is_parked(&self) -> bool {
        matches!(self.gate, Gate::Parked { .. })
    }

    /// The rows that count as pending: a tombstone takes something back, and nobody waits for it.
    pub fn seen(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| !row.envelope.is_tombstone())
    }

    /// The edits of a message that wait here, with their keys.
    pub fn edits_of(&self, target: &str) -> impl Iterator<Item = (u64, &Row)> {
        let is_edit =
            move |envelope: &Envelope| envelope.kind == Kind::Edit && envelope.target_id.as_deref() == Some(target);
        self.rows.iter().filter(move |(_, row)| is_edit(&row.envelope)).map(|(key, row)| (*key, row))
    }

    pub fn count(&self) -> usize {
        self.seen().count()
    }

    /// Try at once, and go on with the rhythm.
    pub fn resume(&mut self) {
        self.gate = Gate::Open;
        self.probes = 0;
    }

    /// Start the rhythm anew, at once.
    pub fn restart(&mut self) {
        self.resume();
        self.attempts = 0;
        for (_, row) in &mut self.rows {
            row.retry_count = 0;
        }
    }

    /// A row got through.
    pub fn progressed(&mut self) {
        self.gate = Gate::Open;
        self.attempts = 0;
        self.probes = 0;
        self.fault = None;
        self.forbidden_once = false;
    }

    /// Its head is tried alone, to see whether it is the reason of a fault.
    pub fn stumbles(&self) -> bool {
        self.fault.is_some()
    }

    /// A request of this lane alone met a fault that the database named. Answers whether the row at its head is the
    /// reason: `alone` says that it was the only one, `stored` how many rows of whatever lane were stored so far.
    pub fn met(&mut self, key: u64, code: &str, alone: bool, stored: u64) -> bool {
        match &mut self.fault {
            Some(fault) if fault.key == key && fault.code == code => {
                if stored > fault.stored {
                    fault.count += 1;
                    fault.stored = stored;
                }
            }
            fault => *fault = Some(Fault { key, code: code.to_owned(), count: u32::from(alone), stored }),
        }
        let poisoned = self.fault.as_ref().is_some_and(|fault| fault.count >= POISON_FAULTS);
        if poisoned {
            self.fault = None;
        }
        poisoned
    }

    /// An attempt failed in a way that may pass: wait, or park.
    pub fn failed(&mut self, now: u64, carried: &[Carried], failure: Failure, probe: Option<&mut Pace>) {
        self.failed_with_all = false;
        self.wait(now, carried, failure, probe);
    }

    fn wait(&mut self, now: u64, carried: &[Carried], failure: Failure, probe: Option<&mut Pace>) {
        let pause = usize::try_from(self.attempts).ok().and_then(|attempt| BACKOFF_MS.get(attempt));
        self.attempts += 1;
        match pause {
            Some(pause) => {
                self.gate = Gate::BackingOff { until: now + pause };
                for Carried { key, .. } in carried {
                    if let Some(row) = self.rows.get_mut(key) {
                        row.retry_count += 1;
                    }
                }
            }
            None => self.wait_parked(now, failure, probe),
        }
    }

    /// [`Lane::failed`] as all lanes of the request did. One that only went along waits on as before.
    pub fn failed_with_all(&mut self, now: u64, carried: &[Carried], failure: Failure, probe: Option<&mut Pace>) {
        if self.due_at().is_some_and(|at| at <= now) {
            self.failed_with_all = true;
            self.wait(now, carried, failure, probe);
        }
    }

    /// Something is missing that no pause will bring.
    pub fn park(&mut self, now: u64, failure: Failure, probe: Option<&mut Pace>) {
        self.failed_with_all = false;
        self.wait_parked(now, failure, probe);
    }

    fn wait_parked(&mut self, now: u64, failure: Failure, probe: Option<&mut Pace>) {
        let probe_at = probe.map(|pace| now + pace.pause(now, &mut self.probes, self.failed_with_all));
        self.gate = Gate::Parked { failure, probe_at };
    }

    pub fn probe_by(&mut self, at: u64) {
        if let Gate::Parked { probe_at, .. } = &mut self.gate {
            *probe_at = Some(probe_at.map_or(at, |planned| planned.min(at)));
        }
    }

    pub fn states(
        &self,
        flying: &[u64],
        waiting_auth: bool,
        paused_until: Option<u64>,
    ) -> Vec<(u64, &Envelope, RowState)> {
        // What nobody sees is nothing that a row can be seen to wait for.
        let waits = |row: &Row| row.refused.is_none() && !row.envelope.is_tombstone();
        let first = self.rows.iter().find(|(_, row)| waits(row));
        let head = first.map(|(key, _)| *key);
        let head_id = first.map(|(_, row)| &row.envelope.id);
        let flying_lane = self.rows.keys().any(|key| flying.contains(key));
        self.rows
            .iter()
            .map(|(key, row)| {
                let is_head = head == Some(*key);
                let state = match (&row.refused, &self.gate) {
                    (Some(failure), _) => RowState { failure: Some(failure.clone()), ..state(row, Phase::Refused) },
                    (None, Gate::Parked { failure, .. }) => RowState {
                        blocked_by: if is_head { None } else { head_id.cloned() },
                        failure: Some(if is_head { failure.clone() } else { blocked(failure) }),
                        ..state(row, Phase::Parked)
                    },
                    (None, _) if flying.contains(key) => state(row, Phase::InFlight),
                    (None, Gate::BackingOff { until }) => {
                        RowState { next_attempt_at: Some(*until), ..state(row, Phase::BackingOff) }
                    }
                    (None, Gate::Open) if waiting_auth => state(row, Phase::WaitingAuth),
                    (None, Gate::Open) => RowState { next_attempt_at: paused_until, ..state(row, Phase::Queued) },
                };
                let waits_behind: Option<MessageId> =
                    (flying_lane && state.phase == Phase::Queued && !is_head).then(|| head_id.cloned()).flatten();
                (*key, &row.envelope, RowState { blocked_by: state.blocked_by.clone().or(waits_behind), ..state })
            })
            .collect()
    }
}

fn state(row: &Row, phase: Phase) -> RowState {
    RowState {
        status: phase.status(),
        phase,
        retry_count: row.retry_count,
        next_attempt_at: None,
        blocked_by: None,
        failure: None,
    }
}

pub(super) fn blocked(failure: &Failure) -> Failure {
    Failure {
        code: BLOCKED.into(),
        message: "unable to send yet; because an earlier message of this conversation is not sent".into(),
        ..failure.clone()
    }
}
