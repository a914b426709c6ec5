//! How long to wait where neither the guide's rhythm nor the server says it.

/// A pause is drawn at random between the shortest and this, which doubles from pause to pause, up to the longest.
const PAUSE_MS: u64 = 1_000;
pub(super) const SHORTEST_PAUSE_MS: u64 = 250;
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Pauses do not grow before nothing was stored for this long: trouble that lets something through is soon over.
const PATIENCE_MS: u64 = 20_000;

#[derive(Debug, Clone)]
pub(super) struct Pace {
    rng: fastrand::Rng,
    /// When the first pause began after something was stored.
    since: Option<u64>,
}

impl Pace {
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), since: None }
    }

    pub fn stored(&mut self) {
        self.since = None;
    }

    /// `grown` counts how often the pauses of this reason have doubled. What has a reason of its own is not helped by
    /// the patience with the server.
    pub fn pause(&mut self, now: u64, grown: &mut u32, of_all: bool) -> u64 {
        let within = (PAUSE_MS << (*grown).min(6)).min(LONGEST_PAUSE_MS);
        let since = *self.since.get_or_insert(now);
        if !of_all || now.saturating_sub(since) >= PATIENCE_MS {
            *grown += 1;
        }
        self.rng.u64(SHORTEST_PAUSE_MS..=within)
    }
}
