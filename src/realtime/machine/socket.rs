//! The one socket: open, alive, woken, lost.

use crate::json::Value;

use super::super::channel::Phase;
use super::super::codec;
use super::super::types::Output;
use super::{Beat, HEARTBEAT_TOPIC, Link, Realtime, TOPIC_PREFIX, spread};

impl Realtime {
    pub(super) fn opened(&mut self, now: u64, epoch: u32) {
        if epoch == self.epoch && matches!(self.link, Link::Connecting { .. }) {
            self.link =
                Link::Open { next_beat: now.saturating_add(self.config.timing.heartbeat_interval), awaited: None };
        }
    }

    pub(super) fn woke(&mut self, now: u64) {
        self.tokens.doubt();
        self.tokens.end_pause();
        let probe_limit = self.config.timing.probe_limit;
        match &mut self.link {
            Link::Down { retry_at } if !self.offline => *retry_at = self.hold_until.max(now),
            Link::Connecting { limit } => *limit = hastened(now, *limit, probe_limit),
            Link::Open { awaited, .. } => {
                match awaited {
                    Some(beat) => beat.limit = hastened(now, beat.limit, probe_limit),
                    None => self.beat(now, probe_limit),
                }
                self.all_may_have_gaps();
            }
            _ => {}
        }
    }

    /// A limit that passed long before this call passed while the page was asleep, and what was
    /// waited for may be queued behind this very call: once, it gets a little more time.
    pub(super) fn forgive_sleep(&mut self, now: u64) {
        let timing = &self.config.timing;
        let slept = |limit: u64| limit.saturating_add(timing.sleep_slack) <= now;
        let until = now.saturating_add(timing.probe_limit);
        let mut limits: Vec<&mut u64> = Vec::new();
        match &mut self.link {
            Link::Connecting { limit } => limits.push(limit),
            Link::Open { awaited, .. } => {
                limits.extend(awaited.as_mut().map(|beat| &mut beat.limit));
            }
            _ => return,
        }
        for (_, channel) in &mut self.channels {
            if let Phase::Joining { limit, .. } | Phase::Settling { limit, .. } = &mut channel.phase {
                limits.push(limit);
            }
        }
        if self.forgiven || !limits.iter().any(|limit| slept(**limit)) {
            return;
        }
        for limit in limits {
            *limit = until.max(*limit);
        }
        self.forgiven = true;
        self.tokens.doubt();
        if let Link::Open { awaited: None, .. } = self.link {
            self.beat(now, self.config.timing.probe_limit);
        }
    }

    /// On a fixed schedule: the server counts only what it hears from us.
    pub(super) fn beat(&mut self, now: u64, limit: u64) {
        let reference = self.next_ref();
        let limit = now.saturating_add(limit);
        let interval = self.config.timing.heartbeat_interval;
        if let Link::Open { next_beat, awaited } = &mut self.link {
            if *next_beat <= now {
                *next_beat = next_beat.saturating_add(interval);
            }
            if *next_beat <= now {
                *next_beat = now.saturating_add(interval);
            }
            let limit = awaited.as_ref().map_or(limit, |it| it.limit.min(limit));
            *awaited = Some(Beat { reference, limit });
        }
        let payload = Value::Object(Default::default());
        self.send_raw(HEARTBEAT_TOPIC, None, reference, "heartbeat", payload);
    }

    pub(super) fn has_socket(&self) -> bool {
        matches!(self.link, Link::Connecting { .. } | Link::Open { .. })
    }

    pub(super) fn is_open(&self, epoch: u32) -> bool {
        epoch == self.epoch && matches!(self.link, Link::Open { .. })
    }

    pub(super) fn discard_socket(&mut self, now: u64) {
        self.close_socket();
        self.socket_lost(now);
    }

    pub(super) fn close_socket(&mut self) {
        if !self.has_socket() {
            return;
        }
        let unseen = |output: &Output| matches!(output, Output::Connect { .. });
        let was_unseen = self.outputs.iter().any(unseen);
        self.forget_sends();
        if !was_unseen {
            self.outputs.push_back(Output::Close { epoch: self.epoch });
        }
    }

    pub(super) fn forget_sends(&mut self) {
        self.outputs.retain(|output| matches!(output, Output::Close { .. } | Output::NeedToken));
    }

    pub(super) fn socket_lost(&mut self, now: u64) {
        self.forget_sends();
        self.drop_channels(now);
        self.backoff.interrupted(now, &self.config.timing);
        self.backoff.failed();
        self.reconnect_later(now);
    }

    pub(super) fn reconnect_later(&mut self, now: u64) {
        let timing = &self.config.timing;
        let retry_at = if self.offline {
            spread(now, timing.long_delay, timing.long_delay, &mut self.rng)
        } else {
            now.saturating_add(self.backoff.delay(&mut self.rng, timing))
        };
        self.link = Link::Down { retry_at: retry_at.max(self.hold_until) };
    }

    pub(super) fn next_ref(&mut self) -> u64 {
        self.last_ref += 1;
        self.last_ref
    }

    pub(super) fn send(&mut self, topic: &str, join_ref: Option<u64>, reference: u64, event: &str, payload: Value) {
        let topic = [TOPIC_PREFIX, topic].concat();
        self.send_raw(&topic, join_ref, reference, event, payload);
    }

    pub(super) fn send_raw(&mut self, topic: &str, join_ref: Option<u64>, reference: u64, event: &str, payload: Value) {
        let text = codec::encode(join_ref, reference, topic, event, payload);
        self.outputs.push_back(Output::SendText { epoch: self.epoch, text });
    }
}

/// No later than the probe's limit, but never in the past.
fn hastened(now: u64, limit: u64, probe_limit: u64) -> u64 {
    let probe = now.saturating_add(probe_limit);
    if limit <= now { probe } else { limit.min(probe) }
}
