//! What goes in and what comes out, as plain data.

use std::fmt;

use crate::json::Value;

use super::error::JoinError;

#[derive(Clone, Debug)]
pub struct Config {
    /// `wss://<project>.supabase.co/realtime/v1/websocket`
    pub endpoint: String,
    pub api_key: String,
    pub timing: Timing,
}

impl Config {
    pub fn new(endpoint: impl Into<String>, api_key: impl Into<String>) -> Self {
        Config { endpoint: endpoint.into(), api_key: api_key.into(), timing: Timing::default() }
    }
}

/// Time limits and rhythms, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    pub connect_limit: u64,
    /// The server answers a refused join after 5 s only.
    pub join_limit: u64,
    /// From the join's reply to the last of the other ready signals.
    pub ready_limit: u64,
    pub heartbeat_interval: u64,
    pub heartbeat_limit: u64,
    /// For the heartbeat sent on waking, and for whatever was awaited while asleep.
    pub probe_limit: u64,
    /// A timer later than this means that the page was asleep.
    pub sleep_slack: u64,
    /// A token is replaced this long before it expires, or at half its life if that is later.
    pub token_margin: u64,
    /// How long an answer to `NeedToken` may take before it is asked for again; and how long to
    /// wait, plus up to half of it, after an answer that was of no use.
    pub token_limit: u64,
    /// Backoffs start over after this long in good health.
    pub healthy_after: u64,
    /// The ceilings of the jittered delays, one per failure in a row; the last one stays.
    pub backoff: &'static [u64],
    /// Rate limits, and every attempt while the page says that it is offline: this, plus up to as
    /// much again.
    pub long_delay: u64,
    /// What a person has to change first (permissions, tokens): this, plus up to half again.
    pub slow_delay: u64,
    /// Where the whole of Realtime is switched off: this, plus up to as much again.
    pub rare_delay: u64,
    /// When the others are ready, side channels follow within this.
    pub side_jitter: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            connect_limit: 10_000,
            join_limit: 10_000,
            ready_limit: 15_000,
            heartbeat_interval: 25_000,
            heartbeat_limit: 10_000,
            probe_limit: 5_000,
            sleep_slack: 5_000,
            token_margin: 60_000,
            token_limit: 30_000,
            healthy_after: 30_000,
            backoff: &[1_000, 2_000, 5_000, 10_000, 30_000],
            long_delay: 30_000,
            slow_delay: 60_000,
            rare_delay: 300_000,
            side_jitter: 1_500,
        }
    }
}

/// What one channel asks of the server. Its topic is the key of the desired set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    pub private: bool,
    pub broadcast_ack: bool,
    pub broadcast_self: bool,
    /// Ask the server to report when broadcasts from the database flow, and be ready only then.
    pub replication_ready: bool,
    /// It joins after all that are none, and what goes wrong with it stays with it.
    pub side: bool,
    /// Presence is off without a key; an empty key lets the server make one. Whoever has one is tracked, without a
    /// payload, whenever the channel is ready.
    pub presence_key: Option<String>,
    pub postgres_changes: Vec<PostgresBinding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresBinding {
    /// `*`, `INSERT`, `UPDATE` or `DELETE`
    pub event: String,
    pub schema: String,
    pub table: String,
    pub filter: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub jwt: String,
    /// On the monotonic clock; `None` when it cannot be known.
    pub expires_at: Option<u64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {{ expires_at: {:?} }}", self.expires_at)
    }
}

#[derive(Clone, Debug)]
pub enum Input {
    Opened {
        epoch: u32,
    },
    Text {
        epoch: u32,
        text: String,
    },
    Binary {
        epoch: u32,
        bytes: Vec<u8>,
    },
    /// However it ended, and also when it never opened.
    Closed {
        epoch: u32,
        code: u16,
    },
    /// The answer to [`Output::NeedToken`], or a token unasked. `None`: there is none to be had.
    Token(Option<Token>),
    Offline,
    Online,
    /// The page became visible, was resumed, came back from the back-forward cache, or the clock
    /// jumped: nothing is believed until it answered once more.
    Woke,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// Open this URL; report [`Input::Opened`] or [`Input::Closed`] with the epoch.
    Connect {
        epoch: u32,
        url: String,
    },
    SendText {
        epoch: u32,
        text: String,
    },
    /// Close it, and drop whatever it may still say.
    Close {
        epoch: u32,
    },
    /// Answer with [`Input::Token`], now or later.
    NeedToken,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Connect { epoch, .. } => write!(f, "Connect {{ epoch: {epoch} }}"),
            Output::SendText { epoch, text } => {
                write!(f, "SendText {{ epoch: {epoch}, bytes: {} }}", text.len())
            }
            Output::Close { epoch } => write!(f, "Close {{ epoch: {epoch} }}"),
            Output::NeedToken => f.write_str("NeedToken"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// Stopped, or nothing is desired.
    Idle,
    /// A connection is due, but [`Output::NeedToken`] has not been answered with a usable token.
    AwaitingToken,
    Connecting,
    Open,
    Backoff {
        until: u64,
        failures: u32,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    State(SocketState),
    /// Live events flow from now on: catch up on what was missed.
    ChannelReady {
        topic: String,
    },
    /// A ready channel is ready no more; the machine is already getting it back.
    ChannelLost {
        topic: String,
    },
    /// The server refused the channel. `retry_at: None` means not before another token or another
    /// [`ChannelConfig`] comes, or the machine is started again.
    ChannelRefused {
        topic: String,
        error: JoinError,
        message: String,
        retry_at: Option<u64>,
    },
    /// The channel goes on, but live events may have been lost: catch up.
    MaybeGap {
        topic: String,
    },
    Broadcast {
        topic: String,
        event: String,
        payload: Value,
        /// Broadcasts from the database have one.
        id: Option<String>,
        replayed: bool,
    },
    /// A change of a table. With `errors`, parts of the row may be missing.
    Change {
        topic: String,
        change: Value,
        /// Which bindings matched, as numbered by the server.
        ids: Vec<u64>,
        errors: Vec<String>,
    },
    PresenceState {
        topic: String,
        state: Value,
    },
    PresenceDiff {
        topic: String,
        joins: Value,
        leaves: Value,
    },
    /// The server called the token in use expired or invalid, whatever its `expires_at` says. Said
    /// once per token; [`Output::NeedToken`] then wants a different one.
    TokenRejected,
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Reconnect,
    ConnectLimit,
    Join,
    JoinLimit,
    ReadyLimit,
    Heartbeat,
    HeartbeatLimit,
    /// The server takes a few presence calls in a while, and one waits for its turn.
    Presence,
    /// Renew it, or ask for it again.
    Token,
}
