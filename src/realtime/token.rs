//! The token at hand, whether it may still be used, and when to ask for another.

use super::types::{Timing, Token};

#[derive(Clone, Default)]
pub(super) struct Tokens {
    held: Option<Held>,
    /// Counts the different tokens, so that a channel knows which one it runs on.
    serial: u32,
    /// `NeedToken` is out; ask again then.
    asked_until: Option<u64>,
    /// The last answer was of no use; do not ask before then.
    pause_until: Option<u64>,
}

#[derive(Clone)]
struct Held {
    jwt: String,
    /// Always before it expires; from then on nothing is joined with it.
    renew_at: Option<u64>,
    /// From before a waking or a refusal: to be confirmed before the next join.
    stale: bool,
    /// The server refused it: of no use, whoever gives it again.
    rejected: bool,
}

impl Held {
    fn renewal_due(&self, now: u64) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

impl Tokens {
    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    pub(super) fn usable(&self, now: u64) -> Option<&str> {
        let held = self.held.as_ref()?;
        (!held.renewal_due(now) && !held.stale && !held.rejected).then_some(held.jwt.as_str())
    }

    /// True when it is another token than before.
    pub(super) fn give(&mut self, now: u64, token: Option<Token>, pause_until: u64, timing: &Timing) -> bool {
        let before = self.held.take();
        self.asked_until = None;
        let mut another = false;
        if let Some(Token { jwt, expires_at }) = token {
            let same = before.filter(|held| held.jwt == jwt);
            another = same.is_none();
            self.serial = self.serial.wrapping_add(u32::from(another));
            self.held = Some(Held {
                jwt,
                renew_at: expires_at.map(|at| renewal(now, at, timing)),
                stale: false,
                rejected: same.is_some_and(|held| held.rejected),
            });
        }
        self.pause_until = match self.usable(now) {
            Some(_) => None,
            None => Some(pause_until),
        };
        another
    }

    pub(super) fn doubt(&mut self) {
        if let Some(held) = &mut self.held {
            held.stale = true;
        }
    }

    /// True when this is news.
    pub(super) fn reject(&mut self, serial: u32) -> bool {
        match &mut self.held {
            Some(held) if serial == self.serial => !std::mem::replace(&mut held.rejected, true),
            _ => false,
        }
    }

    pub(super) fn renewal_due(&self, now: u64) -> bool {
        self.held.as_ref().is_none_or(|held| held.renewal_due(now))
    }

    /// True when `NeedToken` is to go out.
    pub(super) fn ask(&mut self, now: u64, timing: &Timing) -> bool {
        let quiet = self.asked_until.is_none() && self.pause_until.is_none();
        if quiet {
            self.asked_until = Some(now.saturating_add(timing.token_limit));
        }
        quiet
    }

    pub(super) fn paused_until(&self) -> Option<u64> {
        self.pause_until
    }

    pub(super) fn end_pause(&mut self) {
        self.pause_until = None;
    }

    pub(super) fn handle_timeout(&mut self, now: u64) {
        self.asked_until = self.asked_until.filter(|&at| now < at);
        self.pause_until = self.pause_until.filter(|&at| now < at);
    }

    pub(super) fn poll_timeout(&self, renew: bool) -> Option<u64> {
        let renew_at = || self.held.as_ref().filter(|_| renew)?.renew_at;
        self.asked_until.or(self.pause_until).or_else(renew_at)
    }

    pub(super) fn stop_asking(&mut self) {
        self.asked_until = None;
        self.pause_until = None;
    }
}

/// Halves of what is left come to an end: a token that is due at once counts as unusable.
fn renewal(now: u64, expires_at: u64, timing: &Timing) -> u64 {
    let half = now.saturating_add(expires_at.saturating_sub(now) / 2);
    expires_at.saturating_sub(timing.token_margin).max(half)
}
