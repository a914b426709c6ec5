//! The channels: got, lost, refused.

use crate::json::Value;

use super::super::channel::{Channel, Phase};
use super::super::error::{JoinError, Retry};
use super::super::types::{Config, Event, Token};
use super::{Realtime, spread};

impl Realtime {
    pub(super) fn token_given(&mut self, now: u64, token: Option<Token>) {
        let timing = &self.config.timing;
        let pause_until = spread(now, timing.token_limit, timing.token_limit / 2, &mut self.rng);
        let another = self.tokens.give(now, token, pause_until, timing);
        let retry_at = self.tokens.paused_until();
        for (topic, channel) in &mut self.channels {
            if !channel.blames_token() {
                continue;
            }
            match channel.phase {
                Phase::Refused { until_token: true } | Phase::Later { .. } if another => {
                    channel.phase = Phase::Due;
                }
                // The refreshed token is no better than the refused one: now it is worth saying.
                Phase::Due if retry_at.is_some() => {
                    if let Some((error, message)) = channel.refusal.clone() {
                        self.events.push_back(Event::ChannelRefused { topic: topic.clone(), error, message, retry_at });
                    }
                }
                _ => {}
            }
        }
    }

    /// A channel that is late; unless it is late with the reply to its join, which only side channels survive.
    pub(super) fn give_up_waiting(&mut self, now: u64) {
        let late = |(topic, channel): (&String, &Channel)| {
            let (Phase::Joining { limit, .. } | Phase::Settling { limit, .. }) = channel.phase else { return None };
            (limit <= now).then(|| topic.clone())
        };
        let late: Vec<String> = self.channels.iter().filter_map(late).collect();
        for topic in late {
            self.leave(&topic);
            let message = match self.channels.get_mut(&topic) {
                Some(channel) => std::mem::take(&mut channel.signals.trouble),
                None => continue,
            };
            self.refuse(now, &topic, JoinError::NotReady, message);
        }
    }

    pub(super) fn leave(&mut self, topic: &str) {
        if let Some(join_ref) = self.channels.get(topic).and_then(Channel::join_ref) {
            let reference = self.next_ref();
            let payload = Value::Object(Default::default());
            self.send(topic, Some(join_ref), reference, "phx_leave", payload);
        }
    }

    /// A channel that is not there any more, without the server saying why.
    pub(super) fn channel_gone(&mut self, now: u64, topic: &str) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        let was_ready = channel.is_ready();
        let at = backed_off(now, channel, &mut self.rng, &self.config);
        channel.phase = Phase::Later { at };
        if was_ready {
            let topic = topic.to_owned();
            self.events.push_back(Event::ChannelLost { topic });
        }
    }

    pub(super) fn refuse(&mut self, now: u64, topic: &str, error: JoinError, message: String) {
        let timing = &self.config.timing;
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        if channel.is_ready() {
            let topic = topic.to_owned();
            self.events.push_back(Event::ChannelLost { topic });
        }
        let backoff_at = backed_off(now, channel, &mut self.rng, &self.config);
        let first = channel.refusals == 0;
        let used = channel.token;
        // Others use the same token and are none the worse for it.
        let quiet = channel.config.side && error == JoinError::Unauthorized;
        channel.refusals += u32::from(error.blames_token());
        channel.refusal = Some((error, message.clone()));

        channel.phase = match error.retry() {
            Retry::FreshToken | Retry::FreshTokenThenSlow if first && !quiet => Phase::Due,
            Retry::FreshToken => Phase::Refused { until_token: true },
            Retry::FreshTokenThenSlow => {
                Phase::Later { at: spread(now, timing.slow_delay, timing.slow_delay / 2, &mut self.rng) }
            }
            Retry::Backoff => Phase::Later { at: backoff_at },
            Retry::Rare => Phase::Later { at: spread(now, timing.rare_delay, timing.rare_delay, &mut self.rng) },
            Retry::LongBackoff if channel.config.side => {
                Phase::Later { at: spread(now, timing.long_delay, timing.long_delay, &mut self.rng) }
            }
            Retry::LongBackoff => {
                let until = spread(now, timing.long_delay, timing.long_delay, &mut self.rng);
                self.hold_until = self.hold_until.max(until);
                Phase::Later { at: self.hold_until }
            }
            Retry::Never => Phase::Refused { until_token: false },
        };
        if channel.phase != Phase::Due {
            self.events.push_back(Event::ChannelRefused {
                topic: topic.to_owned(),
                error,
                message,
                retry_at: match channel.phase {
                    Phase::Later { at } => Some(at),
                    _ => None,
                },
            });
        }
        match error {
            JoinError::TokenExpired | JoinError::TokenInvalid if self.tokens.reject(used) => {
                self.events.push_back(Event::TokenRejected);
            }
            JoinError::Unauthorized if first && !quiet && used == self.tokens.serial() => self.tokens.doubt(),
            _ => {}
        }
    }

    pub(super) fn channel_ready(&mut self, now: u64, topic: &str, join_ref: u64) {
        if let Some(channel) = self.channels.get_mut(topic) {
            channel.phase = Phase::Ready { join_ref };
            channel.refusal = None;
            channel.backoff.healthy(now);
            if !channel.config.side {
                self.backoff.healthy(now);
            }
            let topic = topic.to_owned();
            self.events.push_back(Event::ChannelReady { topic });
        }
        if self.mains_ready() {
            self.spread_sides(now);
        }
    }

    pub(super) fn mains_ready(&self) -> bool {
        self.channels.values().all(|channel| channel.config.side || channel.is_ready())
    }

    /// Everybody is back at once after the server was away: what is not urgent comes a little later, each at its time.
    fn spread_sides(&mut self, now: u64) {
        for (_, channel) in &mut self.channels {
            if channel.config.side && channel.phase == Phase::Due {
                channel.phase = Phase::Later { at: spread(now, 0, self.config.timing.side_jitter, &mut self.rng) };
            }
        }
    }

    pub(super) fn all_may_have_gaps(&mut self) {
        for (topic, channel) in &self.channels {
            if channel.is_ready() {
                let topic = topic.clone();
                self.events.push_back(Event::MaybeGap { topic });
            }
        }
    }

    pub(super) fn drop_channels(&mut self, now: u64) {
        for (topic, channel) in &mut self.channels {
            if channel.join_ref().is_none() {
                continue;
            }
            if channel.is_ready() {
                let topic = topic.clone();
                self.events.push_back(Event::ChannelLost { topic });
            }
            if channel.backoff.interrupted(now, &self.config.timing) {
                channel.refusals = 0;
            }
            channel.phase = Phase::Due;
        }
    }

    pub(super) fn any_joined(&self) -> bool {
        self.channels.values().any(|it| it.joined().is_some())
    }
}

/// When a channel that has just failed is due again.
fn backed_off(now: u64, channel: &mut Channel, rng: &mut fastrand::Rng, config: &Config) -> u64 {
    if channel.backoff.interrupted(now, &config.timing) {
        channel.refusals = 0;
    }
    channel.backoff.failed();
    now.saturating_add(channel.backoff.delay(rng, &config.timing))
}
