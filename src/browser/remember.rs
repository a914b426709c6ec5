//! Whose outbox this browser profile used last, in localStorage; workers have none, and a browser may forbid it.

use wasm_bindgen::prelude::*;
use web_sys::Storage;

use super::value::global;

pub fn recall(key: &str) -> Option<String> {
    local_storage()?.get_item(key).ok()?
}

pub fn remember(key: &str, user_id: &str) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(key, user_id);
    }
}

fn local_storage() -> Option<Storage> {
    let storage = global("localStorage");
    storage.is_object().then(|| storage.unchecked_into())
}
