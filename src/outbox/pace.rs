//! How long to wait where neither the guide's rhythm nor the server says it.

/// A pause is drawn at random between the shortest and this, which doubles from pause to pause, up to the longest.
const PAUSE_MS: u64 = 1_000;
const SHORTEST_PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 60_000;
/// A server that took something within this time is at work, and tired at most: pauses do not grow.
const LATELY_MS: u64 = 20_000;

#[derive(Debug, Clone)]
pub(super) struct Pace {
    rng: fastrand::Rng,
    /// When a request succeeded.
    took_at: Option<u64>,
}

impl Pace {
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), took_at: None }
    }

    pub fn took(&mut self, now: u64) {
        self.took_at = Some(now);
    }

    /// `grown` counts how often the pauses of this reason have doubled.
    pub fn pause(&mut self, now: u64, grown: &mut u32) -> u64 {
        let within = (PAUSE_MS << (*grown).min(6)).min(LONGEST_PAUSE_MS);
        if self.took_at.is_none_or(|at| now.saturating_sub(at) > LATELY_MS) {
            *grown += 1;
        }
        self.rng.u64(SHORTEST_PAUSE_MS..=within)
    }
}
