//! A panic poisons the whole instance: every client of it learns that it crashed.

use std::{cell::RefCell, panic};

use js_sys::{Array, Function, Reflect};
use serde_json::json;
use wasm_bindgen::prelude::*;

use super::value::to_js;

thread_local! {
    static HOSTS: RefCell<Vec<JsValue>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = queueMicrotask)]
    pub fn queue_microtask(task: &JsValue);
}

pub fn watch(host: &JsValue) {
    HOSTS.with_borrow_mut(|hosts| hosts.push(host.clone()));
    panic::set_hook(Box::new(|info| {
        // The place alone: a panic's words may quote what people wrote.
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        report(&place.unwrap_or_default());
    }));
}

pub fn unwatch(host: &JsValue) {
    let _ = HOSTS.try_with(|hosts| hosts.borrow_mut().retain(|watched| watched != host));
}

/// Told by JavaScript alone: nothing of this instance may run any more.
pub fn report(place: &str) {
    HOSTS.with(|hosts| {
        let hosts = hosts.try_borrow().map(|hosts| hosts.clone()).unwrap_or_default();
        for host in hosts {
            let updates = Array::of1(&to_js(&json!({"type": "crashed", "message": place})));
            if let Ok(on_updates) = Reflect::get(&host, &"onUpdates".into()) {
                let on_updates: Function = on_updates.unchecked_into();
                queue_microtask(&on_updates.bind1(&host, &updates));
            }
        }
    });
}
