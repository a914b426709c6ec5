//! Whose outbox this browser profile used last, in localStorage; workers have none, and a browser may forbid it.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::Storage;

pub fn recall(key: &str) -> Option<String> {
    local_storage()?.get_item(key).ok()?
}

pub fn remember(key: &str, user_id: &str) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(key, user_id);
    }
}

fn local_storage() -> Option<Storage> {
    let storage = Reflect::get(&js_sys::global(), &"localStorage".into()).ok()?;
    storage.is_object().then(|| storage.unchecked_into())
}
