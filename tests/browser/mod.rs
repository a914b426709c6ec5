//! The shell in a real browser: `cargo test --lib --target wasm32-unknown-unknown`, with a driver as runner.

mod conformance;
mod core;
mod corpus;
mod http;
mod locks;
mod page;
mod socket;
mod store;
mod support;
mod values;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
