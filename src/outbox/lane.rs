//! One conversation's rows, in the order of sending, and the gate in front of them.

use litemap::LiteMap;

use super::{Phase, RowState};
use crate::message::{DeliveryStatus, Envelope, Failure, MessageId};

/// The guide's rhythm: after the first attempt, and after each retry.
const BACKOFF_MS: [u64; 3] = [1_000, 2_000, 4_000];
/// A parked lane is probed after a time in this range.
const PROBE_MS: std::ops::Range<u64> = 15_000..60_000;

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
}

impl Row {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self { envelope, retry_count: 0, refused: None }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub rows: LiteMap<u64, Row>,
    pub gate: Gate,
    /// Failed attempts since the lane was last fine or restarted.
    attempts: u32,
    /// A refusal for lack of rights is believed only after one more try with a fresh token.
    pub forbidden_once: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self { rows: LiteMap::new(), gate: Gate::Open, attempts: 0, forbidden_once: false }
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

    pub fn is_due(&self, now: u64) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    /// Start the rhythm anew, at once.
    pub fn restart(&mut self) {
        self.gate = Gate::Open;
        self.attempts = 0;
        for (_, row) in &mut self.rows {
            row.retry_count = 0;
        }
    }

    /// A row got through.
    pub fn progressed(&mut self) {
        self.gate = Gate::Open;
        self.attempts = 0;
        self.forbidden_once = false;
    }

    /// An attempt failed in a way that may pass: wait, or park.
    pub fn failed(&mut self, now: u64, carried: &[u64], failure: Failure, probe: Option<&mut fastrand::Rng>) {
        let pause = usize::try_from(self.attempts).ok().and_then(|attempt| BACKOFF_MS.get(attempt));
        self.attempts += 1;
        match pause {
            Some(pause) => {
                self.gate = Gate::BackingOff { until: now + pause };
                for (_, row) in self.rows.iter_mut().filter(|(key, _)| carried.contains(key)) {
                    row.retry_count += 1;
                }
            }
            None => self.park(now, failure, probe),
        }
    }

    pub fn park(&mut self, now: u64, failure: Failure, probe: Option<&mut fastrand::Rng>) {
        let probe_at = probe.map(|rng| now + rng.u64(PROBE_MS));
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
        let head = self.head();
        let head_id = head.and_then(|key| self.rows.get(&key)).map(|row| &row.envelope.id);
        let flying_lane = self.rows.keys().any(|key| flying.contains(key));
        self.rows
            .iter()
            .map(|(key, row)| {
                let is_head = head == Some(*key);
                let state = match (&row.refused, &self.gate) {
                    (Some(failure), _) => RowState {
                        status: DeliveryStatus::Failed,
                        phase: Phase::Refused,
                        failure: Some(failure.clone()),
                        ..sending(row, Phase::Refused)
                    },
                    (None, Gate::Parked { failure, .. }) => RowState {
                        status: DeliveryStatus::Failed,
                        blocked_by: if is_head { None } else { head_id.cloned() },
                        failure: Some(if is_head { failure.clone() } else { blocked(failure) }),
                        ..sending(row, Phase::Parked)
                    },
                    (None, _) if flying.contains(key) => sending(row, Phase::InFlight),
                    (None, Gate::BackingOff { until }) => {
                        RowState { next_attempt_at: Some(*until), ..sending(row, Phase::BackingOff) }
                    }
                    (None, Gate::Open) if waiting_auth => sending(row, Phase::WaitingAuth),
                    (None, Gate::Open) => RowState { next_attempt_at: paused_until, ..sending(row, Phase::Queued) },
                };
                let waits_behind: Option<MessageId> =
                    (flying_lane && state.phase == Phase::Queued && !is_head).then(|| head_id.cloned()).flatten();
                (*key, &row.envelope, RowState { blocked_by: state.blocked_by.clone().or(waits_behind), ..state })
            })
            .collect()
    }
}

fn sending(row: &Row, phase: Phase) -> RowState {
    RowState {
        status: DeliveryStatus::Sending,
        phase,
        retry_count: row.retry_count,
        next_attempt_at: None,
        blocked_by: None,
        failure: None,
    }
}

fn blocked(failure: &Failure) -> Failure {
    Failure {
        code: "blocked".into(),
        message: "unable to send yet; because an earlier message of this conversation is not sent".into(),
        ..failure.clone()
    }
}
