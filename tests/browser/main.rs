//! The shell in a real browser: `cargo test --target wasm32-unknown-unknown`.
#![cfg(target_family = "wasm")]

mod conformance;
mod http;
mod locks;
mod page;
mod socket;
mod store;
mod support;
mod values;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
