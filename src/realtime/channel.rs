//! One desired channel: how far it is, and what its join asks for.

use super::backoff::Backoff;
use super::error::JoinError;
use super::types::{ChannelConfig, PostgresBinding};
use crate::json::{Value, fields, list};

#[derive(Clone)]
pub(super) struct Channel {
    pub(super) config: ChannelConfig,
    pub(super) phase: Phase,
    pub(super) signals: Signals,
    pub(super) backoff: Backoff,
    /// Refusals in a row that were blamed on the token.
    pub(super) refusals: u32,
    pub(super) refusal: Option<(JoinError, String)>,
    /// Others on this channel were told that we are here, or are about to be.
    pub(super) tracked: bool,
    /// The serial of the token that the server knows for this channel.
    pub(super) token: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Joins as soon as there is an open socket and a usable token.
    Due,
    Later {
        at: u64,
    },
    Joining {
        join_ref: u64,
        limit: u64,
    },
    /// Joined, but the server does not yet listen to everything.
    Settling {
        join_ref: u64,
        limit: u64,
    },
    Ready {
        join_ref: u64,
    },
    Refused {
        until_token: bool,
    },
}

/// What the server has reported since the join, beside its reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    pub(super) replication: bool,
    pub(super) postgres: bool,
    /// What it says about a subscription that it could not make.
    pub(super) trouble: String,
}

impl Channel {
    pub(super) fn new(config: ChannelConfig) -> Self {
        Channel {
            config,
            phase: Phase::Due,
            signals: Signals::default(),
            backoff: Backoff::default(),
            refusals: 0,
            refusal: None,
            tracked: false,
            token: 0,
        }
    }

    /// Of the join in force.
    pub(super) fn join_ref(&self) -> Option<u64> {
        match self.phase {
            Phase::Joining { join_ref, .. } | Phase::Settling { join_ref, .. } | Phase::Ready { join_ref } => {
                Some(join_ref)
            }
            Phase::Due | Phase::Later { .. } | Phase::Refused { .. } => None,
        }
    }

    pub(super) fn joined(&self) -> Option<u64> {
        self.join_ref().filter(|_| !matches!(self.phase, Phase::Joining { .. }))
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused { .. })
    }

    pub(super) fn wants_tracking(&self) -> bool {
        self.is_ready() && self.config.presence_key.is_some() && !self.tracked
    }

    pub(super) fn has_all_signals(&self) -> bool {
        (self.signals.replication || !self.config.replication_ready)
            && (self.signals.postgres || self.config.postgres_changes.is_empty())
    }

    pub(super) fn blames_token(&self) -> bool {
        matches!(&self.refusal, Some((error, _)) if error.blames_token())
    }

    pub(super) fn join_payload(&self, jwt: &str) -> Value {
        let config = &self.config;
        let mut broadcast = fields! { "ack": config.broadcast_ack, "self": config.broadcast_self };
        if config.replication_ready {
            broadcast.set("replication_ready", true);
        }
        let presence = fields! {
            "enabled": config.presence_key.is_some(),
            "key": config.presence_key.as_deref().unwrap_or_default(),
        };
        let config = fields! {
            "private": config.private,
            "broadcast": broadcast,
            "presence": presence,
            "postgres_changes": list(config.postgres_changes.iter().map(binding)),
        };
        fields! { "config": config, "access_token": jwt }.into()
    }
}

fn binding(binding: &PostgresBinding) -> Value {
    let mut fields = fields! {
        "event": binding.event.as_str(),
        "schema": binding.schema.as_str(),
        "table": binding.table.as_str(),
    };
    if let Some(filter) = &binding.filter {
        fields.set("filter", filter.as_str());
    }
    fields.into()
}
