//! A follower's eye on the leader: when to ask, when to lose patience, when to want the lead.

use super::{BEAT_MS, message::Leader};
use crate::health::ConnectionStatus;

/// Two beats that did not come.
const QUIET_MS: u64 = 2 * BEAT_MS;
/// The same for a tab that nobody looks at and that has nothing to send: browsers let a hidden leader work only once a
/// minute.
const IDLE_QUIET_MS: u64 = 120_000;
/// A question that is not answered for this long shows.
const SILENCE_MS: u64 = 1_000;
/// After this long without an answer the lead is taken by force.
const PATIENCE_MS: u64 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    Ping,
    Steal,
}

#[derive(Debug, Clone)]
pub struct Watch {
    leader: Option<Leader>,
    heard_at: u64,
    asked_at: Option<u64>,
    visible_since: Option<u64>,
    /// So that not all followers lose their patience in the same moment.
    jitter: u64,
}

impl Watch {
    pub fn new(jitter: u64) -> Self {
        Self { leader: None, heard_at: 0, asked_at: None, visible_since: None, jitter }
    }

    pub fn set_visible(&mut self, now: u64, visible: bool) {
        let since = self.visible_since.unwrap_or(now);
        self.visible_since = visible.then_some(since);
    }

    /// Whoever led before: from now on somebody else may.
    pub fn forget(&mut self, now: u64) {
        self.leader = None;
        self.heard_at = now;
        self.asked_at = None;
    }

    /// The leader was asked for a word.
    pub fn asked(&mut self, now: u64) {
        self.asked_at = Some(now);
    }

    /// The leader spoke. Answers whether it has to be told again what this tab wants: it is a new one, or was silent.
    pub fn heard(&mut self, now: u64, leader: Leader) -> bool {
        let known = self.leader.is_some_and(|known| known.generation == leader.generation);
        let news = !known || self.is_silent(now);
        self.forget(now);
        self.leader = Some(leader);
        news
    }

    /// `concerned`: somebody looks at this tab, or something waits to be sent.
    pub fn duty(&self, now: u64, concerned: bool) -> Option<Duty> {
        let (at, duty) = self.next(concerned);
        (at <= now).then_some(duty)
    }

    pub fn deadline(&self, now: u64, concerned: bool) -> u64 {
        match self.asked_at {
            Some(at) if now < at + SILENCE_MS => at + SILENCE_MS,
            _ => self.next(concerned).0,
        }
    }

    fn next(&self, concerned: bool) -> (u64, Duty) {
        let quiet = if concerned { QUIET_MS } else { IDLE_QUIET_MS };
        match self.asked_at {
            Some(at) => (at + PATIENCE_MS + self.jitter, Duty::Steal),
            None => (self.heard_at + quiet, Duty::Ping),
        }
    }

    /// A leader was heard, and is not known to be gone.
    pub fn has_leader(&self, now: u64) -> bool {
        self.leader.is_some() && !self.is_silent(now)
    }

    /// Whether this is the word of the leader, and not of one that was robbed.
    pub fn follows(&self, generation: u64) -> bool {
        self.leader.is_some_and(|leader| leader.generation == generation)
    }

    /// As the leader has it.
    pub fn status(&self, now: u64) -> Option<ConnectionStatus> {
        let leader = self.leader?;
        Some(if self.is_silent(now) { ConnectionStatus::Reconnecting } else { leader.status })
    }

    pub fn polls(&self) -> bool {
        self.leader.is_some_and(|leader| leader.polling)
    }

    /// Somebody looks at this tab and not at the leader, and not only in passing: it works better here.
    pub fn wants_lead(&self, now: u64) -> bool {
        let settled = self.visible_since.is_some_and(|since| since + BEAT_MS <= now);
        settled && self.leader.is_some_and(|leader| !leader.visible)
    }

    fn is_silent(&self, now: u64) -> bool {
        self.asked_at.is_some_and(|at| at + SILENCE_MS <= now)
    }
}
