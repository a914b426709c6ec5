//! The delay between failures: full jitter under a rising ceiling.

use super::types::Timing;

#[derive(Clone, Debug, Default)]
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

    /// Health has ended. If it had lasted, what failed before it is forgotten, and this is true.
    pub(super) fn interrupted(&mut self, now: u64, timing: &Timing) -> bool {
        let lasted = self.healthy_since.take().is_some_and(|since| now.saturating_sub(since) >= timing.healthy_after);
        if lasted {
            self.failures = 0;
        }
        lasted
    }

    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn delay(&self, rng: &mut fastrand::Rng, timing: &Timing) -> u64 {
        let step = self.failures.saturating_sub(1) as usize;
        let ceiling = timing.backoff.get(step).or(timing.backoff.last());
        rng.u64(0..=ceiling.copied().unwrap_or_default())
    }

    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }
}
