//! What the leader said last of each of its rows: what it need not say again, and what tabs that follow it show.

use litemap::LiteMap;

use super::{Outbox, Phase, RowState};
use crate::{
    json::{Value, fields, number, text},
    message::{DeliveryStatus, Failure, MessageId},
};

/// By key.
pub(super) type Mirror = LiteMap<u64, RowState>;

impl Phase {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "queued" => Phase::Queued,
            "in_flight" => Phase::InFlight,
            "backing_off" => Phase::BackingOff,
            "waiting_auth" => Phase::WaitingAuth,
            "parked" => Phase::Parked,
            "refused" => Phase::Refused,
            _ => return None,
        })
    }

    pub fn status(self) -> DeliveryStatus {
        match self {
            Phase::Parked | Phase::Refused => DeliveryStatus::Failed,
            Phase::Queued | Phase::InFlight | Phase::BackingOff | Phase::WaitingAuth => DeliveryStatus::Sending,
        }
    }
}

impl RowState {
    pub fn to_value(&self, key: u64) -> Value {
        fields! {
            "key": key,
            "phase": self.phase.as_str(),
            "retry_count": self.retry_count,
            "next_attempt_at": self.next_attempt_at,
            "blocked_by": self.blocked_by.as_ref().map(MessageId::as_str),
            "failure": self.failure.as_ref().map(Failure::to_value),
        }
        .into()
    }

    /// With its row's key.
    pub fn from_value(value: &Value) -> Option<(u64, Self)> {
        let phase = Phase::parse(text(value, "phase")?)?;
        let state = Self {
            status: phase.status(),
            phase,
            retry_count: u32::try_from(number(value, "retry_count")?).ok()?,
            next_attempt_at: number(value, "next_attempt_at"),
            blocked_by: text(value, "blocked_by").and_then(MessageId::parse),
            failure: value.get("failure").and_then(Failure::from_value),
        };
        Some((number(value, "key")?, state))
    }
}

impl Outbox {
    /// As the leader: how the rows of a conversation are, as far as it was not said before.
    pub fn news(&mut self, conversation_id: &str) -> Vec<(u64, RowState)> {
        let rows = self.rows(conversation_id).into_iter().map(|(key, _, state)| (key, state));
        let news: Vec<(u64, RowState)> = rows.filter(|(key, state)| self.mirror.get(key) != Some(state)).collect();
        for (key, state) in &news {
            self.mirror.insert(*key, state.clone());
        }
        if self.mirror.len() > self.total() {
            self.forget_gone();
        }
        news
    }

    /// As the leader: how everything is, for a tab that knows nothing yet.
    pub fn all_news(&mut self) -> Vec<(u64, RowState)> {
        self.mirror.clear();
        let conversations: Vec<String> = self.lanes.keys().cloned().collect();
        conversations.iter().flat_map(|id| self.news(id)).collect()
    }

    /// As a follower. `all`: there are no others.
    pub fn hear(&mut self, news: Vec<(u64, RowState)>, all: bool) {
        if all {
            self.mirror.clear();
            self.touched.extend(self.lanes.keys().cloned());
        }
        for (key, state) in news {
            let holds = |(_, lane): &(&String, &super::Lane)| lane.rows.contains_key(&key);
            self.touched.extend(self.lanes.iter().find(holds).map(|(id, _)| id.clone()));
            self.mirror.insert(key, state);
        }
    }

    /// What is heard of a row may come before the row itself is read.
    pub(super) fn forget_gone(&mut self) {
        let (keys, read_through) = (self.keys(), self.read_through);
        self.mirror.retain(|key, _| *key > read_through || keys.binary_search(key).is_ok());
    }
}
