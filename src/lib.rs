//! Chat for web apps on Supabase in which no message is lost, doubled or shown in the wrong order.
//!
//! [`engine`] decides everything and wires the other rooms; all of them are plain Rust, without a
//! browser, a clock or randomness. `browser` does what the engine asks for, and nothing else.

pub mod engine;
pub mod health;
pub mod json;
pub mod message;
pub mod outbox;
pub mod people;
pub mod realtime;
pub mod rest;
pub mod session;
pub mod store;
pub mod sync;
pub mod tabs;
pub mod text;
pub mod timeline;

#[cfg(target_family = "wasm")]
mod browser;
