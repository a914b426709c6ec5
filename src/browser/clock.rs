//! The two clocks, in milliseconds.

use wasm_bindgen::prelude::*;

use crate::engine::Now;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

pub fn now() -> Now {
    Now { mono: performance_now() as u64, wall: js_sys::Date::now() as u64 }
}
