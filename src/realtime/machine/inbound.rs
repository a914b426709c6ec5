//! What the server's frames mean to the machine.

use super::super::channel::Phase;
use super::super::codec::{Body, DecodeError, Frame, Payload};
use super::super::error::JoinError;
use super::super::types::Event;
use super::{HEARTBEAT_TOPIC, Link, Realtime, TOPIC_PREFIX};

const REPLICATION_READY: &str = "Replication connection established";
const UNMATCHED_TOPIC: &str = "unmatched topic";

impl Realtime {
    pub(super) fn handle_frame(&mut self, now: u64, frame: Result<Frame, DecodeError>) {
        let Ok(frame) = frame else {
            // It may have been an event, and nobody can say for which channel.
            return self.all_may_have_gaps();
        };
        if frame.topic == HEARTBEAT_TOPIC {
            return self.handle_heartbeat(&frame);
        }
        let Some(topic) = frame.topic.strip_prefix(TOPIC_PREFIX) else {
            return;
        };
        let Some(channel) = self.channels.get(topic) else {
            return;
        };
        let Some(join_ref) = channel.join_ref() else {
            return;
        };
        let joined = channel.joined().is_some();
        let topic = topic.to_owned();
        let reference = number(&frame.reference);
        let of_this_join = match frame.body {
            // Also of any other push on this channel, none of which awaits a reply.
            Body::Reply { .. } => true,
            Body::Close | Body::Error => number(&frame.join_ref.or(frame.reference)) == Some(join_ref),
            _ => frame.join_ref.is_none() || number(&frame.join_ref) == Some(join_ref),
        };
        if !of_this_join {
            return;
        }
        match frame.body {
            Body::Reply { ok, reason } => {
                if !joined && reference == Some(join_ref) {
                    self.handle_join_reply(now, &topic, ok, reason);
                } else if joined && reason == UNMATCHED_TOPIC && reference.is_some_and(|reference| reference > join_ref)
                {
                    self.channel_gone(now, &topic);
                }
            }
            Body::Close | Body::Error => self.channel_gone(now, &topic),
            Body::System { extension, ok, message } => self.handle_system(now, &topic, &extension, ok, message),
            body if joined => self.pass_on(topic, body),
            _ => {}
        }
    }

    fn handle_heartbeat(&mut self, frame: &Frame) {
        if let Link::Open { awaited, .. } = &mut self.link
            && let Some(reference) = number(&frame.reference)
            && awaited.as_ref().is_some_and(|it| it.reference == reference)
        {
            *awaited = None;
            self.forgiven = false;
        }
    }

    fn handle_join_reply(&mut self, now: u64, topic: &str, ok: bool, reason: String) {
        if !ok {
            return self.refuse(now, topic, JoinError::from_reason(&reason), reason);
        }
        let limit = now.saturating_add(self.config.timing.ready_limit);
        if let Some(channel) = self.channels.get_mut(topic)
            && let Phase::Joining { join_ref, .. } = channel.phase
        {
            channel.phase = Phase::Settling { join_ref, limit };
        }
        self.ready_if_settled(now, topic);
    }

    fn handle_system(&mut self, now: u64, topic: &str, extension: &str, ok: bool, message: String) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        let signals = &mut channel.signals;
        let news = match (extension, ok) {
            ("system", false) => return self.handle_closing(now, topic, message),
            ("system", true) if message == REPLICATION_READY => !std::mem::replace(&mut signals.replication, true),
            ("postgres_changes", true) => !std::mem::replace(&mut signals.postgres, true),
            // The server may try again by itself, so the time limit decides.
            ("postgres_changes", false) => {
                signals.trouble = message;
                false
            }
            _ => false,
        };
        if news {
            self.ready_if_settled(now, topic);
        } else if channel.is_ready() {
            self.events.push_back(Event::MaybeGap { topic: topic.to_owned() });
        }
    }

    /// The server closes the channel right behind this.
    fn handle_closing(&mut self, now: u64, topic: &str, message: String) {
        let error = JoinError::from_closing(&message);
        if error == JoinError::RateLimited {
            return self.refuse(now, topic, error, message);
        }
        // Which token it means is not said: a new one may have crossed it on the wire. So the
        // token is only doubted, and the next join's reply decides about it.
        if error.blames_token() {
            self.tokens.doubt();
        }
        self.channel_gone(now, topic);
    }

    fn ready_if_settled(&mut self, now: u64, topic: &str) {
        if let Some(channel) = self.channels.get(topic)
            && let Phase::Settling { join_ref, .. } = channel.phase
            && channel.has_all_signals()
        {
            self.channel_ready(now, topic, join_ref);
        }
    }

    fn pass_on(&mut self, topic: String, body: Body) {
        let event = match body {
            Body::Broadcast { event, payload: Payload::Json(payload), id, replayed } => {
                Event::Broadcast { topic, event, payload, id, replayed }
            }
            Body::Change { data, ids, errors } => Event::Change { topic, change: data, ids, errors },
            Body::PresenceState(state) => Event::PresenceState { topic, state },
            Body::PresenceDiff { joins, leaves } => Event::PresenceDiff { topic, joins, leaves },
            // Bytes are the business of whoever sends them, which is nobody here.
            _ => return,
        };
        self.events.push_back(event);
    }
}

fn number(reference: &Option<String>) -> Option<u64> {
    reference.as_ref()?.parse().ok()
}
