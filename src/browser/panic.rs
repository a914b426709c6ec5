//! A panic poisons the whole instance: every client of it learns that it crashed. In what is released a panic is a
//! trap without words; the driver notices that its work was left undone.

use std::cell::RefCell;

use crate::json::fields;
use js_sys::{Array, Function, Reflect};
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
}

pub fn unwatch(host: &JsValue) {
    let _ = HOSTS.try_with(|hosts| hosts.borrow_mut().retain(|watched| watched != host));
}

/// To every host, once; by JavaScript alone, since nothing of this instance may run any more.
pub fn report(place: &str) {
    let hosts = HOSTS.with(|hosts| hosts.try_borrow_mut().map(|mut hosts| std::mem::take(&mut *hosts)));
    for host in hosts.unwrap_or_default() {
        let updates = Array::of1(&to_js(&fields! { "type": "crashed", "message": place }.into()));
        if let Ok(on_updates) = Reflect::get(&host, &"onUpdates".into()) {
            let on_updates: Function = on_updates.unchecked_into();
            queue_microtask(&on_updates.bind1(&host, &updates));
        }
    }
}
