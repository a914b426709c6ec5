//! libFuzzer's program: `SURECHAT_FUZZ_TARGET` names the target.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use surechat_fuzz::{Target, mutate, target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("SURECHAT_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("no target {name:?}"))
    })
}

fuzz_target!(|data: &[u8]| chosen()(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = fastrand::Rng::with_seed(u64::from(seed));
    // What is JSON mostly stays JSON; what is not, or is meant to break, is bent byte by byte.
    if rng.u8(..8) > 0
        && let Some(bent) = mutate::json(&data[..size], &mut rng)
        && bent.len() <= max_size
    {
        data[..bent.len()].copy_from_slice(&bent);
        return bent.len();
    }
    fuzzer_mutate(data, size, max_size)
});
