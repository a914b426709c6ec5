//! The socket's life, the deadlines, and the step that brings what is nearer to what is desired.

mod channels;
mod inbound;
mod presence;
mod socket;

use std::collections::VecDeque;

use litemap::LiteMap;

use super::backoff::Backoff;
use super::channel::{Channel, Phase};
use super::codec;
use super::token::Tokens;
use super::types::{ChannelConfig, Config, Event, Input, Output, Reason, SocketState};
use crate::{json::fields, text::url_encoded};

const TOPIC_PREFIX: &str = "realtime:";
const HEARTBEAT_TOPIC: &str = "phoenix";

/// The Realtime client. See the module's text for the loop that drives it.
///
/// `set_desired`, `start`, `stop`, `handle` and `handle_timeout` change it; after any of them,
/// empty `poll_output` and `poll_event` and read `poll_timeout`.
#[derive(Clone)]
pub struct Realtime {
    config: Config,
    rng: fastrand::Rng,
    running: bool,
    offline: bool,
    channels: LiteMap<String, Channel>,
    link: Link,
    epoch: u32,
    last_ref: u64,
    backoff: Backoff,
    /// A rate limit: no connection and no join before then.
    hold_until: u64,
    /// A sleep was forgiven since the last heartbeat's reply; there is no second time.
    forgiven: bool,
    tokens: Tokens,
    /// When presence was called for lately.
    tracks: Vec<u64>,
    outputs: VecDeque<Output>,
    events: VecDeque<Event>,
    said: SocketState,
}

#[derive(Clone)]
enum Link {
    Idle,
    Down { retry_at: u64 },
    AwaitingToken,
    Connecting { limit: u64 },
    Open { next_beat: u64, awaited: Option<Beat> },
}

/// A heartbeat without its reply.
#[derive(Clone)]
struct Beat {
    reference: u64,
    limit: u64,
}

impl Realtime {
    pub fn new(config: Config, rng_seed: u64) -> Self {
        Realtime {
            config,
            rng: fastrand::Rng::with_seed(rng_seed),
            running: false,
            offline: false,
            channels: LiteMap::new(),
            link: Link::Idle,
            epoch: 0,
            last_ref: 0,
            backoff: Backoff::default(),
            hold_until: 0,
            forgiven: false,
            tokens: Tokens::default(),
            tracks: Vec::new(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            said: SocketState::Idle,
        }
    }

    /// Exactly these channels, by topic without `realtime:`. Those that stay as they are go on
    /// undisturbed; those with another config are left and joined anew.
    pub fn set_desired(&mut self, now: u64, desired: impl IntoIterator<Item = (String, ChannelConfig)>) {
        let desired: Vec<(String, ChannelConfig)> = desired.into_iter().collect();
        let wanted = |topic: &String| desired.iter().find(|(of, _)| of == topic).map(|(_, config)| config);
        let undesired =
            |(topic, channel): (&String, &Channel)| (wanted(topic) != Some(&channel.config)).then(|| topic.clone());
        let gone: Vec<String> = self.channels.iter().filter_map(undesired).collect();
        for topic in gone {
            self.leave(&topic);
            if let Some(channel) = self.channels.remove(&topic)
                && channel.is_ready()
                && wanted(&topic).is_some()
            {
                self.events.push_back(Event::ChannelLost { topic });
            }
        }
        for (topic, config) in desired {
            self.channels.entry(topic).or_insert_with(|| Channel::new(config));
        }
        self.advance(now);
    }

    /// Also forgives every refusal.
    pub fn start(&mut self, now: u64) {
        self.running = true;
        self.tokens.end_pause();
        for (_, channel) in &mut self.channels {
            if channel.is_refused() {
                channel.phase = Phase::Due;
                channel.refusals = 0;
            }
        }
        self.advance(now);
    }

    /// Leaves nothing open and no deadline. What is desired stays desired.
    pub fn stop(&mut self, now: u64) {
        self.running = false;
        self.drop_channels(now);
        self.backoff.reset();
        for (_, channel) in &mut self.channels {
            *channel = Channel::new(std::mem::take(&mut channel.config));
        }
        self.tokens.stop_asking();
        self.advance(now);
        self.outputs.retain(|output| !matches!(output, Output::NeedToken));
    }

    pub fn handle(&mut self, now: u64, input: Input) {
        match input {
            Input::Opened { epoch } => self.opened(now, epoch),
            Input::Text { epoch, text } if self.is_open(epoch) => {
                self.handle_frame(now, codec::decode_text(&text));
            }
            Input::Binary { epoch, bytes } if self.is_open(epoch) => {
                self.handle_frame(now, codec::decode_binary(&bytes));
            }
            Input::Text { .. } | Input::Binary { .. } => {}
            Input::Closed { epoch, .. } => {
                if epoch == self.epoch && self.has_socket() {
                    self.socket_lost(now);
                }
            }
            Input::Token(token) => self.token_given(now, token),
            Input::Offline => {
                self.offline = true;
                if self.has_socket() {
                    self.discard_socket(now);
                } else if let Link::Down { .. } | Link::AwaitingToken = self.link {
                    self.reconnect_later(now);
                }
            }
            Input::Online => {
                self.offline = false;
                self.backoff.reset();
                self.woke(now);
            }
            Input::Woke => self.woke(now),
        }
        self.advance(now);
    }

    pub fn handle_timeout(&mut self, now: u64) {
        if !self.running {
            return;
        }
        self.forgive_sleep(now);
        let too_late = |limit: u64| limit <= now;
        let joins_late = self.channels.values().any(|channel| {
            !channel.config.side && matches!(channel.phase, Phase::Joining { limit, .. } if too_late(limit))
        });
        match &self.link {
            Link::Connecting { limit } if too_late(*limit) => self.discard_socket(now),
            Link::Open { awaited, .. } if joins_late || awaited.as_ref().is_some_and(|beat| too_late(beat.limit)) => {
                self.discard_socket(now);
            }
            Link::Open { next_beat, .. } if too_late(*next_beat) => {
                self.beat(now, self.config.timing.heartbeat_limit);
            }
            _ => {}
        }
        self.give_up_waiting(now);
        self.tokens.handle_timeout(now);
        self.advance(now);
    }

    pub fn poll_timeout(&self) -> Option<(u64, Reason)> {
        if !self.running {
            return None;
        }
        let mut first: Option<(u64, Reason)> = None;
        let mut add = |at: u64, reason: Reason| {
            if first.is_none_or(|(before, _)| at < before) {
                first = Some((at, reason));
            }
        };
        match &self.link {
            Link::Idle => return None,
            Link::Down { retry_at } => add(*retry_at, Reason::Reconnect),
            Link::AwaitingToken => {}
            Link::Connecting { limit } => add(*limit, Reason::ConnectLimit),
            Link::Open { next_beat, awaited, .. } => {
                add(*next_beat, Reason::Heartbeat);
                if let Some(beat) = awaited {
                    add(beat.limit, Reason::HeartbeatLimit);
                }
                for channel in self.channels.values() {
                    match channel.phase {
                        Phase::Later { at } => add(at, Reason::Join),
                        Phase::Joining { limit, .. } => add(limit, Reason::JoinLimit),
                        Phase::Settling { limit, .. } => add(limit, Reason::ReadyLimit),
                        Phase::Due | Phase::Ready { .. } | Phase::Refused { .. } => {}
                    }
                }
                if let Some(at) = self.next_track() {
                    add(at, Reason::Presence);
                }
            }
        }
        if let Some(at) = self.tokens.poll_timeout(self.any_joined()) {
            add(at, Reason::Token);
        }
        first
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn state(&self) -> SocketState {
        match self.link {
            Link::Idle => SocketState::Idle,
            Link::Down { retry_at } => SocketState::Backoff { until: retry_at, failures: self.backoff.failures() },
            Link::AwaitingToken => SocketState::AwaitingToken,
            Link::Connecting { .. } => SocketState::Connecting,
            Link::Open { .. } => SocketState::Open,
        }
    }

    pub fn is_ready(&self, topic: &str) -> bool {
        self.channels.get(topic).is_some_and(Channel::is_ready)
    }

    /// Every public change ends here: connect, join, push or ask for what is due now.
    fn advance(&mut self, now: u64) {
        if !self.running || self.channels.values().all(|it| it.config.side || it.is_refused()) {
            self.close_socket();
            self.drop_channels(now);
            self.link = Link::Idle;
        } else {
            self.connect_if_due(now);
            self.join_what_is_due(now);
            self.push_token(now);
            self.track(now);
            if self.lacks_token(now) && self.tokens.ask(now, &self.config.timing) {
                self.outputs.push_back(Output::NeedToken);
            }
        }
        let state = self.state();
        if self.said != state {
            self.said = state;
            self.events.push_back(Event::State(state));
        }
    }

    fn connect_if_due(&mut self, now: u64) {
        if let Link::Idle = self.link {
            self.link = Link::Down { retry_at: self.hold_until.max(now) };
        }
        match self.link {
            Link::Down { retry_at } if retry_at <= now => {}
            Link::AwaitingToken => {}
            _ => return,
        }
        if self.tokens.usable(now).is_none() {
            self.link = Link::AwaitingToken;
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.forgiven = false;
        self.link = Link::Connecting { limit: now.saturating_add(self.config.timing.connect_limit) };
        self.outputs.push_back(Output::Connect {
            epoch: self.epoch,
            url: [self.config.endpoint.as_str(), "?apikey=", &url_encoded(&self.config.api_key), "&vsn=2.0.0"].concat(),
        });
    }

    fn join_what_is_due(&mut self, now: u64) {
        if !matches!(self.link, Link::Open { .. }) {
            return;
        }
        let hold_until = self.hold_until;
        let mains_ready = self.mains_ready();
        let mut joins = Vec::new();
        for (topic, channel) in &mut self.channels {
            if matches!(channel.phase, Phase::Later { at } if at <= now) {
                channel.phase = Phase::Due;
            }
            if channel.phase != Phase::Due || (channel.config.side && !mains_ready) {
                continue;
            }
            if now < hold_until {
                channel.phase = Phase::Later { at: hold_until };
                continue;
            }
            let Some(jwt) = self.tokens.usable(now) else {
                continue;
            };
            self.last_ref += 1;
            channel.phase =
                Phase::Joining { join_ref: self.last_ref, limit: now.saturating_add(self.config.timing.join_limit) };
            channel.signals = Default::default();
            channel.tracked = false;
            channel.token = self.tokens.serial();
            joins.push((topic.clone(), self.last_ref, channel.join_payload(jwt)));
        }
        for (topic, join_ref, payload) in joins {
            self.send(&topic, Some(join_ref), join_ref, "phx_join", payload);
        }
    }

    fn push_token(&mut self, now: u64) {
        let Some(jwt) = self.tokens.usable(now).map(str::to_owned) else {
            return;
        };
        let serial = self.tokens.serial();
        let mut pushes = Vec::new();
        for (topic, channel) in &mut self.channels {
            if let Some(join_ref) = channel.joined()
                && channel.token != serial
            {
                channel.token = serial;
                pushes.push((topic.clone(), join_ref));
            }
        }
        for (topic, join_ref) in pushes {
            let reference = self.next_ref();
            let payload = fields! { "access_token": jwt.as_str() }.into();
            self.send(&topic, Some(join_ref), reference, "access_token", payload);
        }
    }

    fn lacks_token(&self, now: u64) -> bool {
        match self.link {
            Link::AwaitingToken => true,
            Link::Open { .. } => {
                let mains_ready = self.mains_ready();
                self.channels.values().any(|it| it.phase == Phase::Due && (mains_ready || !it.config.side))
                    || (self.any_joined() && self.tokens.renewal_due(now))
            }
            _ => false,
        }
    }
}

/// From `least` to `least + extra` from now.
fn spread(now: u64, least: u64, extra: u64, rng: &mut fastrand::Rng) -> u64 {
    now.saturating_add(least).saturating_add(rng.u64(0..=extra))
}
