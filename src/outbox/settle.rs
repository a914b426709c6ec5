//! What an answer decides about the rows that its request carried, and about nothing else.

use super::{
    Carried, Change, Flight, Outbox,
    act::{delete_row, give_up},
    lane::blocked,
    pace::SHORTEST_PAUSE_MS,
};
use crate::{
    message::{Envelope, Failure, Kind},
    rest::{Outcome, RowStatus, StoredFacts, read_rows},
};

/// A server may ask for more; but it may also give a date, which a device with a wrong clock reads as years.
const LONGEST_ASKED_MS: u64 = 600_000;

/// What is to be committed before it counts: see [`Outbox::apply`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    pub changes: Vec<Change>,
    /// What the request carried and the server has.
    pub stored: Vec<(Envelope, StoredFacts)>,
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
    /// Judge the request under way. It stays so until [`Outbox::abandon`], when the changes are committed.
    pub fn settle(&mut self, now: u64, outcome: Outcome) -> Settlement {
        let Some(flight) = self.flight.clone() else {
            return Settlement::default();
        };
        if !matches!(outcome, Outcome::RateLimited { .. }) {
            self.pauses = 0;
        }
        let mut settlement = self.judge(now, &flight, outcome);
        settlement.changes = self.with_edits(settlement.changes);
        settlement
    }

    fn judge(&mut self, now: u64, flight: &Flight, outcome: Outcome) -> Settlement {
        match outcome {
            Outcome::Answer(body) => self.settle_rows(now, flight, &read_rows(&body)),
            Outcome::Unknown(failure) => {
                self.fail_lanes(now, flight, &failure);
                Settlement::default()
            }
            Outcome::Retry(failure) => match self.poisoned(flight, &failure) {
                Some(settlement) => settlement,
                None => {
                    self.fail_lanes(now, flight, &failure);
                    Settlement::default()
                }
            },
            Outcome::Unauthorized => Settlement { wants_token: true, token_rejected: true, ..Settlement::default() },
            Outcome::RateLimited { retry_after_ms, .. } => {
                // A date that a device with a fast clock reads as now would be asked again at once, and again.
                let asked = retry_after_ms.filter(|pause| *pause >= SHORTEST_PAUSE_MS);
                let asked = asked.map(|pause| pause.min(LONGEST_ASKED_MS));
                let pause = asked.unwrap_or_else(|| self.pace.pause(now, &mut self.pauses, true));
                self.paused_until = Some(now.saturating_add(pause));
                Settlement::default()
            }
            Outcome::SchemaMissing(failure) => {
                for (conversation, _) in lanes_of(flight) {
                    if let Some(lane) = self.lanes.get_mut(&conversation) {
                        lane.park(now, failure.clone(), Some(&mut self.pace));
                    }
                }
                Settlement { misconfigured: Some(failure), ..Settlement::default() }
            }
            Outcome::Forbidden(failure) => match flight.rows.as_slice() {
                [row] => self.forbid(row, failure),
                _ => self.halve(flight),
            },
            Outcome::Refused(failure) | Outcome::TooLarge(failure) => match flight.rows.as_slice() {
                [row] => self.refuse(row, failure),
                _ => self.halve(flight),
            },
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
        for (conversation_id, rows) in lanes_of(flight) {
            let Some(lane) = self.lanes.get_mut(&conversation_id) else { continue };
            let mut blocked: Option<Failure> = None;
            let (mut moved, mut progressed) = (false, false);
            for Carried { key, replaced, .. } in rows {
                let Some(row) = lane.rows.get(key) else { continue };
                let answer = answers.iter().find(|answer| answer.id == row.envelope.id).map(|answer| &answer.status);
                match answer {
                    // It settles only what the request carried: what stands there now has its own request to come.
                    _ if *replaced => {
                        moved = true;
                        if !matches!(answer, Some(RowStatus::Stored(_))) {
                            break;
                        }
                    }
                    Some(RowStatus::Stored(facts)) => {
                        progressed = true;
                        settlement.changes.extend(is_stored(*key, &row.envelope, facts.kind));
                        settlement.stored.push((row.envelope.clone(), facts.clone()));
                    }
                    Some(RowStatus::Refused(failure)) => {
                        moved = true;
                        settlement.changes.push(is_refused(*key, &row.envelope, failure));
                    }
                    Some(RowStatus::Forbidden(failure)) if lane.forbidden_once => {
                        moved = true;
                        settlement.changes.push(is_refused(*key, &row.envelope, failure));
                    }
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
                }
            }
            if progressed {
                lane.progressed();
                settlement.progressed = true;
            }
            // A lane in which nothing moved must not be asked for again at once.
            let failure = blocked.or_else(|| (!moved && !progressed).then(unanswered));
            if let Some(failure) = failure {
                let probe = self.resume_on_reconnect.then_some(&mut self.pace);
                lane.failed(now, rows, failure, probe);
            }
        }
        self.stored += settlement.stored.len() as u64;
        if settlement.progressed {
            self.pace.stored();
            self.limit = (self.limit * 2).min(self.most);
        }
        settlement
    }

    /// An edit waits together with its message: alone it has nothing to change. And one that a newer edit follows is
    /// given up, for a retry would overwrite the newer.
    fn with_edits(&self, changes: Vec<Change>) -> Vec<Change> {
        let mut all = Vec::with_capacity(changes.len());
        for change in changes {
            let Change::Put { key, envelope, refused: Some(failure) } = &change else {
                all.push(change);
                continue;
            };
            let Some(lane) = self.lanes.get(&envelope.conversation_id) else { continue };
            let target = envelope.target_id.as_deref().unwrap_or_default();
            if envelope.kind == Kind::Edit && lane.edits_of(target).any(|(other, _)| other > *key) {
                all.extend(lane.rows.get(key).and_then(|row| give_up(*key, row)));
                continue;
            }
            let edits = lane.edits_of(envelope.id.as_str()).filter(|(_, row)| row.refused.is_none());
            let waiting = edits.map(|(key, row)| is_refused(key, &row.envelope, &blocked(failure)));
            let waiting: Vec<Change> = waiting.collect();
            all.push(change);
            all.extend(waiting);
        }
        all
    }

    fn forbid(&mut self, row: &Carried, failure: Failure) -> Settlement {
        match self.lanes.get_mut(&row.conversation_id) {
            Some(lane) if !lane.forbidden_once => {
                lane.forbidden_once = true;
                Settlement { wants_token: true, ..Settlement::default() }
            }
            _ => self.refuse(row, failure),
        }
    }

    /// The only row of the request is refused, if it is still what the request carried.
    fn refuse(&self, carried: &Carried, failure: Failure) -> Settlement {
        let row = self.lanes.get(&carried.conversation_id).and_then(|lane| lane.rows.get(&carried.key));
        let row = row.filter(|_| !carried.replaced);
        let changes = row.map(|row| is_refused(carried.key, &row.envelope, &failure)).into_iter().collect();
        Settlement { changes, ..Settlement::default() }
    }

    /// A fault that the database named may be one row's: it is looked for in smaller requests, so that it holds up
    /// nobody else, and believed after many tries that went well for others.
    fn poisoned(&mut self, flight: &Flight, failure: &Failure) -> Option<Settlement> {
        let code = failure.pg_code.as_deref().filter(|code| !is_never_one_rows(code))?;
        failure.http_status.filter(|status| *status >= 500)?;
        let (first, alone) = (flight.rows.first()?, flight.rows.len() == 1);
        if !alone {
            self.halve(flight);
        }
        if flight.conversations().any(|id| id != first.conversation_id) {
            return None;
        }
        let lane = self.lanes.get_mut(&first.conversation_id)?;
        let failure = Failure {
            code: "poison".into(),
            retryable: false,
            message: "unable to store the message; because the server fails at it again and again".into(),
            ..failure.clone()
        };
        lane.met(first.key, code, alone, self.stored).then(|| self.refuse(first, failure))
    }

    /// An error that names no row: the same again in order, in smaller pieces.
    fn halve(&mut self, flight: &Flight) -> Settlement {
        self.limit = (flight.rows.len() / 2).max(1);
        Settlement::default()
    }

    fn fail_lanes(&mut self, now: u64, flight: &Flight, failure: &Failure) {
        for (conversation_id, rows) in lanes_of(flight) {
            if let Some(lane) = self.lanes.get_mut(&conversation_id) {
                let probe = self.resume_on_reconnect.then_some(&mut self.pace);
                lane.failed_with_all(now, rows, failure.clone(), probe);
            }
        }
    }
}

/// The row goes. A tombstone that came too late leaves a delete of what was there before it.
pub(super) fn is_stored(key: u64, row: &Envelope, kind: Kind) -> Vec<Change> {
    let mut changes = vec![Change::Remove { conversation_id: row.conversation_id.clone(), key }];
    if row.is_tombstone() && kind == Kind::Message {
        let envelope = delete_row(&row.conversation_id, &row.id, row.created_at);
        changes.push(Change::Add { envelope, maybe_sent: false });
    }
    changes
}

/// What the server answers where there is nothing to edit or to delete.
const NO_TARGET: &str = "P0002";

/// The row waits for a person, with the reason in its record. Nobody waits for a tombstone, nor for the delete of what is
/// not there.
fn is_refused(key: u64, row: &Envelope, failure: &Failure) -> Change {
    let is_over = row.kind == Kind::Delete && failure.pg_code.as_deref() == Some(NO_TARGET);
    if row.is_tombstone() || is_over {
        return Change::Remove { conversation_id: row.conversation_id.clone(), key };
    }
    Change::Put { key, envelope: row.clone(), refused: Some(failure.clone()) }
}

/// The rows of each lane: a request carries lane after lane.
fn lanes_of(flight: &Flight) -> impl Iterator<Item = (String, &[Carried])> {
    let lanes = flight.rows.chunk_by(|one, next| one.conversation_id == next.conversation_id);
    lanes.filter_map(|rows| Some((rows.first()?.conversation_id.clone(), rows)))
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

/// Connections, conflicts, resources, locks, shutdowns, and what the gateway says itself.
fn is_never_one_rows(code: &str) -> bool {
    matches!(
        code.as_bytes(),
        [b'0', b'8', ..] | [b'4', b'0', ..] | [b'5', b'3' | b'5', ..] | [b'5', b'7', b'P', ..] | [b'P', b'G', ..]
    )
}
