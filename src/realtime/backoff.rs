//! The delay between failures: full jitter under a rising ceiling.

use super::types::Timing;

#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    healthy_since: Option<u64>,
}

impl Backoff {
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn healthy(&mut self, now: u64) {
        self.healthy_since.get_or_insert(now);
    }

    /// True when good health had lasted, so that this failure counts as the first one.
    pub(super) fn failed(&mut self, now: u64, timing: &Timing) -> bool {
        let recovered = self
            .healthy_since
            .take()
            .is_some_and(|since| now.saturating_sub(since) >= timing.healthy_after);
        if recovered {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        recovered
    }

    pub(super) fn delay(&self, rng: &mut fastrand::Rng, timing: &Timing) -> u64 {
        let step = (self.failures.max(1) - 1) as usize;
        let ceiling = timing.backoff.get(step).or(timing.backoff.last());
        rng.u64(0..=ceiling.copied().unwrap_or_default())
    }

    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }
}
