//! Bad days for the engine.
//!
//! The engine that ships is driven natively through tabs that crash, freeze and are robbed, clocks that jump, networks
//! that lose, delay, double and reorder, browsers that repeat requests by themselves, sessions that change under a tab,
//! disks that fail, and a server with every answer there is. Beside it runs a plain reference: what was accepted, in
//! which order, and what became of it. After every step and at the end the two are held against each other.
//!
//! - [`disk`], [`locks`], [`token`], [`server`], [`tab`] and [`screen`] are the pieces: plain data, `Clone`, and passive.
//!   Whoever drives them decides what happens when; so a search can go through all of it.
//! - [`world`] drives them at random, by a seed: same seed, same world, same trace.

pub mod disk;
pub mod faults;
pub mod locks;
pub mod reference;
pub mod screen;
pub mod search;
pub mod server;
pub mod tab;
pub mod token;
pub mod world;

/// Milliseconds since the world began.
pub type Time = u64;
/// Tabs are counted up and never used again.
pub type TabId = usize;

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: &'static str,
    pub detail: String,
}

pub fn broken(rule: &'static str, detail: String) -> Broken {
    Broken { rule, detail }
}
