//! What comes from outside, in any shape: nothing of it may panic, hang, or lose a message.
//!
//! A target takes bytes. [`TARGETS`] names them; `corpus/<name>` holds inputs worth keeping, each of which is also a
//! test (`cargo test -p surechat-fuzz`). `npm run fuzz` searches for new ones.

mod engine;
mod ledger;
pub mod mutate;
mod replies;
mod socket;
mod tokens;
mod values;
mod world;

pub type Target = fn(&[u8]);

/// Frames of the live channel as bytes; the live channel's machine; records, rows and tab messages; answers of the
/// Data API; a started engine among all of them; tokens.
pub const TARGETS: [(&str, Target); 6] = [
    ("codec", socket::codec),
    ("socket", socket::socket),
    ("values", values::values),
    ("replies", replies::replies),
    ("engine", engine::engine),
    ("tokens", tokens::tokens),
];

pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(of, _)| *of == name).map(|(_, target)| *target)
}

/// The input as JSON; what is none is no scenario.
fn scenario(data: &[u8]) -> Option<surechat::json::Value> {
    surechat::json::parse_bytes(data)
}
