//! What an answer decides about the rows that its request carried, and about nothing else.

use super::{Flight, MAX_ROWS, Outbox};
use crate::{
    message::{Envelope, Failure},
    rest::{Outcome, RowStatus, StoredFacts, read_rows},
};

const PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 60_000;
/// A server may ask for more; but it may also give a date, which a device with a wrong clock reads as years.
const LONGEST_ASKED_MS: u64 = 600_000;

/// A row's fate, to be committed before it counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The server has it: its outbox record goes.
    Stored(StoredFacts),
    /// The record stays, with the reason in it.
    Refused(Failure),
}

/// What is to be committed before [`Outbox::finish`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    pub verdicts: Vec<(u64, Envelope, Verdict)>,
    /// Ask for a fresh token before the next attempt.
    pub wants_token: bool,
    /// The token that was sent was refused.
    pub token_rejected: bool,
    /// The server answered, and took something: other lanes may try again.
    pub progressed: bool,
    /// Something for the app's operator: the schema is missing.
    pub misconfigured: Option<Failure>,
}

impl Outbox {
    /// Judge the request under way. Rows with a verdict stay in flight until [`Outbox::finish`].
    pub fn settle(&mut self, now: u64, outcome: Outcome) -> Settlement {
        let Some(flight) = self.flight.clone() else {
            return Settlement::default();
        };
        if !matches!(outcome, Outcome::RateLimited { .. }) {
            self.pauses = 0;
        }
        match outcome {
            Outcome::Answer(body) => self.settle_rows(now, &flight, &read_rows(&body)),
            Outcome::Unknown(failure) | Outcome::Retry(failure) => {
                self.fail_lanes(now, &flight, &failure);
                Settlement::default()
            }
            Outcome::Unauthorized => Settlement { wants_token: true, token_rejected: true, ..Settlement::default() },
            Outcome::RateLimited { retry_after_ms, .. } => {
                let backoff = PAUSE_MS.saturating_mul(1 << self.pauses.min(8)).min(LONGEST_PAUSE_MS);
                let asked = retry_after_ms.map(|pause| pause.min(LONGEST_ASKED_MS));
                let pause = asked.unwrap_or_else(|| PAUSE_MS.max(self.rng.u64(0..=backoff)));
                self.pauses += 1;
                self.paused_until = Some(now + pause);
                Settlement::default()
            }
            Outcome::SchemaMissing(failure) => {
                for (conversation, _) in lanes_of(&flight) {
                    if let Some(lane) = self.lanes.get_mut(&conversation) {
                        lane.park(now, failure.clone(), Some(&mut self.rng));
                    }
                }
                Settlement { misconfigured: Some(failure), ..Settlement::default() }
            }
            Outcome::Forbidden(failure) => match flight.rows.as_slice() {
                [(conversation, key)] => self.forbid(conversation, *key, failure),
                _ => self.halve(&flight),
            },
            Outcome::Refused(failure) | Outcome::TooLarge(failure) => match flight.rows.as_slice() {
                [(conversation, key)] => {
                    Settlement { verdicts: self.refusal(conversation, *key, failure), ..Settlement::default() }
                }
                _ => self.halve(&flight),
            },
        }
    }

    /// The settlement is committed, or had nothing to commit: the next request may be built.
    pub fn finish(&mut self, settlement: &Settlement) {
        self.abandon();
        for (key, envelope, verdict) in &settlement.verdicts {
            match verdict {
                Verdict::Stored(_) => self.remove(&envelope.conversation_id, *key),
                Verdict::Refused(failure) => {
                    let lane = self.lanes.get_mut(&envelope.conversation_id);
                    if let Some(row) = lane.and_then(|lane| lane.rows.get_mut(key)) {
                        row.refused = Some(failure.clone());
                    }
                }
            }
        }
    }

    /// The settlement could not be committed: the same rows again, later, under the same ids.
    pub fn unsettled(&mut self, now: u64, failure: &Failure) {
        if let Some(flight) = self.flight.clone() {
            self.fail_lanes(now, &flight, failure);
        }
        self.abandon();
    }

    fn settle_rows(&mut self, now: u64, flight: &Flight, answers: &[crate::rest::RowAnswer]) -> Settlement {
        let mut settlement = Settlement::default();
        for (conversation, keys) in lanes_of(flight) {
            let Some(lane) = self.lanes.get_mut(&conversation) else { continue };
            let mut blocked: Option<Failure> = None;
            let mut moved = false;
            for key in &keys {
                let Some(row) = lane.rows.get(key) else { continue };
                let answer = answers.iter().find(|answer| answer.id == row.envelope.id).map(|answer| &answer.status);
                let verdict = match answer {
                    Some(RowStatus::Stored(facts)) => Verdict::Stored(facts.clone()),
                    Some(RowStatus::Refused(failure)) => Verdict::Refused(failure.clone()),
                    Some(RowStatus::Forbidden(failure)) if lane.forbidden_once => Verdict::Refused(failure.clone()),
                    Some(RowStatus::Forbidden(_)) => {
                        lane.forbidden_once = true;
                        settlement.wants_token = true;
                        moved = true;
                        break;
                    }
                    Some(RowStatus::NoConversation(failure)) => {
                        blocked = Some(failure.clone());
                        break;
                    }
                    Some(RowStatus::Skipped) => break,
                    None => {
                        blocked = Some(unanswered());
                        break;
                    }
                };
                moved = true;
                settlement.progressed |= matches!(verdict, Verdict::Stored(_));
                settlement.verdicts.push((*key, row.envelope.clone(), verdict));
            }
            if settlement
                .verdicts
                .iter()
                .any(|(_, row, verdict)| row.conversation_id == conversation && matches!(verdict, Verdict::Stored(_)))
            {
                lane.progressed();
            }
            // A lane in which nothing moved must not be asked for again at once.
            let failure = blocked.or_else(|| (!moved).then(unanswered));
            if let Some(failure) = failure {
                let probe = self.resume_on_reconnect.then_some(&mut self.rng);
                lane.failed(now, &keys, failure, probe);
            }
        }
        if settlement.progressed {
            self.limit = (self.limit * 2).min(MAX_ROWS);
        }
        settlement
    }

    fn forbid(&mut self, conversation: &str, key: u64, failure: Failure) -> Settlement {
        match self.lanes.get_mut(conversation) {
            Some(lane) if !lane.forbidden_once => {
                lane.forbidden_once = true;
                Settlement { wants_token: true, ..Settlement::default() }
            }
            _ => Settlement { verdicts: self.refusal(conversation, key, failure), ..Settlement::default() },
        }
    }

    fn refusal(&self, conversation: &str, key: u64, failure: Failure) -> Vec<(u64, Envelope, Verdict)> {
        let row = self.lanes.get(conversation).and_then(|lane| lane.rows.get(&key));
        row.map(|row| (key, row.envelope.clone(), Verdict::Refused(failure))).into_iter().collect()
    }

    /// An error that names no row: the same again in order, in smaller pieces.
    fn halve(&mut self, flight: &Flight) -> Settlement {
        self.limit = (flight.rows.len() / 2).max(1);
        Settlement::default()
    }

    fn fail_lanes(&mut self, now: u64, flight: &Flight, failure: &Failure) {
        for (conversation, keys) in lanes_of(flight) {
            if let Some(lane) = self.lanes.get_mut(&conversation) {
                let probe = self.resume_on_reconnect.then_some(&mut self.rng);
                lane.failed(now, &keys, failure.clone(), probe);
            }
        }
    }
}

/// The keys of each lane: a request carries lane after lane.
fn lanes_of(flight: &Flight) -> Vec<(String, Vec<u64>)> {
    let lanes = flight.rows.chunk_by(|(one, _), (next, _)| one == next);
    lanes.filter_map(|rows| Some((rows.first()?.0.clone(), rows.iter().map(|(_, key)| *key).collect()))).collect()
}

fn unanswered() -> Failure {
    Failure {
        code: "server".into(),
        retryable: true,
        http_status: None,
        pg_code: None,
        message: "unable to store the message; because the server's answer does not speak of it".into(),
    }
}
