//! Accepting: what somebody wrote is on the disk before anything else happens to it.
//!
//! Keys are the order of sending, so one transaction is under way at a time: what is written in the meantime shares the
//! next one. Where several rows were aborted together they are tried again one by one, before any of their sends rejects
//! and before a later one starts. A full storage is emptied of cached history first.

use std::collections::VecDeque;

use super::{Command, Engine, OperationId, Phase, Request, delivery::record};
use crate::{
    json::fields,
    message::{self, DeliveryStatus, Envelope, Kind},
    outbox::{Phase as RowPhase, RowState},
    store::{Operation, Reply, StoreError, StoreResult, Transaction},
    tabs::TabMessage,
    timeline::{self, Pending},
};

/// Unsent rows that are kept for one user.
const MAX_UNSENT: usize = 10_000;
/// Rows of one transaction.
const MAX_ROWS: usize = 100;

#[derive(Clone, Debug, Default)]
pub(super) struct Accepting {
    waiting: VecDeque<(OperationId, Envelope)>,
    /// Rows at the front that are in the transaction under way.
    under_way: usize,
    /// Rows at the front that are written one by one.
    singly: usize,
    /// How often history made room for the row at the front.
    made_room: u32,
}

impl Accepting {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Engine {
    pub(super) fn send(&mut self, command: Command) {
        let Command::Send { op, id, conversation_id, content, message_type, metadata } = &command else { return };
        let op = *op;
        if self.closing.is_some() || self.phase == Phase::Closed {
            return self.fail(op, "client_closed", "unable to send; because the client was closed");
        }
        if let Err(rejection) = message::check(conversation_id, content, message_type, metadata) {
            return self.fail(op, rejection.code, &rejection.sentence("unable to send"));
        }
        if self.phase != Phase::Running {
            let known_to_be_signed_out =
                matches!(self.phase, Phase::Identifying { until: u64::MAX }) || self.session.missing().is_some();
            if known_to_be_signed_out {
                return self.fail(op, "needs_auth", "unable to send; because nobody is signed in");
            }
            return self.waiting.push(command);
        }
        if self.outbox.total() + self.accepting.waiting.len() >= MAX_UNSENT {
            return self.fail(op, "outbox_full", "unable to send; because 10000 messages wait to be sent already");
        }
        let envelope = Envelope {
            id: id.clone(),
            conversation_id: conversation_id.clone(),
            kind: Kind::Message,
            target_id: None,
            content: content.clone(),
            message_type: message_type.clone(),
            metadata: metadata.clone(),
            created_at: self.now.wall,
        };
        self.set_typing(&envelope.conversation_id, false);
        self.accepting.waiting.push_back((op, envelope));
        self.accept();
    }

    fn accept(&mut self) {
        let Accepting { waiting, under_way, singly, .. } = &mut self.accepting;
        if *under_way > 0 || waiting.is_empty() {
            return;
        }
        if !self.durable {
            let waiting = std::mem::take(waiting);
            let error = self.storage_error.clone();
            return waiting.into_iter().for_each(|(op, _)| self.reject(op, &error));
        }
        *under_way = if *singly > 0 { 1 } else { waiting.len().min(MAX_ROWS) };
        let rows = waiting.iter().take(*under_way);
        let operations = rows.map(|(_, envelope)| Operation::Add { value: record(envelope, None) }).collect();
        self.store(Request::Persist, Transaction::strict(operations));
    }

    pub(super) fn persisted(&mut self, result: StoreResult) {
        let rows = std::mem::take(&mut self.accepting.under_way);
        match result {
            Ok(replies) => {
                self.accepted(replies);
                self.next_row(rows);
                self.storage_works();
                self.clear_problem("storage_lost");
                if self.role.generation().is_none() {
                    self.tell(TabMessage::Enqueued);
                } else {
                    self.tell_changed = true;
                }
            }
            Err(_) if rows > 1 => self.accepting.singly = rows,
            Err(StoreError::Full) if self.accepting.made_room < 2 && self.make_room() => self.accepting.made_room += 1,
            Err(error) => {
                if let Some((op, _)) = self.accepting.waiting.pop_front() {
                    self.reject(op, &error);
                }
                self.next_row(1);
            }
        }
        self.accept();
    }

    fn accepted(&mut self, replies: Vec<Reply>) {
        let mut answers = Vec::new();
        for reply in replies {
            let (Reply::Key(key), Some((op, envelope))) = (reply, self.accepting.waiting.pop_front()) else { continue };
            self.outbox.add(key, envelope.clone());
            let row = Pending { key, envelope, state: queued(), next_attempt_wall: None };
            let role = self.own_role(&row.envelope.conversation_id);
            answers.push((op, timeline::show_pending(&row, &self.user_id, &role)));
        }
        self.publish_outbox();
        for (op, message) in answers {
            self.done(op, fields! { "message": message }.into());
        }
    }

    fn next_row(&mut self, rows: usize) {
        self.accepting.singly = self.accepting.singly.saturating_sub(rows);
        self.accepting.made_room = 0;
    }

    fn reject(&mut self, op: OperationId, error: &StoreError) {
        let (code, message) = match error {
            StoreError::Unavailable(_) => {
                ("storage_unavailable", "unable to send; because this browser gives no durable storage")
            }
            StoreError::Outdated => {
                ("storage_outdated", "unable to send; because another tab uses a newer layout: reload the page")
            }
            StoreError::Full => ("storage_full", "unable to send; because this browser's storage is full"),
            StoreError::Robbed | StoreError::Leased { .. } | StoreError::Failed(_) => {
                ("storage_failed", "unable to send; because the database did not take the message")
            }
        };
        self.fail(op, code, message);
    }
}

fn queued() -> RowState {
    RowState {
        status: DeliveryStatus::Sending,
        phase: RowPhase::Queued,
        retry_count: 0,
        next_attempt_at: None,
        blocked_by: None,
        failure: None,
    }
}
