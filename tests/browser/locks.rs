//! Web Locks: one holder, handed on, stolen, given up; and none.

use crate::browser::locks::{
    LockEvent::{self, Granted, Lost},
    Locks,
};
use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Heard, Instead, call, fresh, js, pause};

fn tab() -> (Locks, Heard<LockEvent>) {
    let heard = Heard::new();
    (Locks::new(heard.ear()), heard)
}

async fn is_free(name: &str) -> bool {
    let ask = js("name => navigator.locks.request(name, { ifAvailable: true }, async lock => lock !== null)");
    let answer = JsFuture::from(call(&ask, &name.into()).unchecked_into::<Promise>()).await;
    answer.unwrap() == JsValue::TRUE
}

#[wasm_bindgen_test]
async fn one_tab_holds_the_lock_and_the_next_one_gets_it_when_it_is_released() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second)) = (tab(), tab());
    first.acquire(&name);
    heard_first.until(&[Granted]).await;
    second.acquire(&name);
    pause(100).await;
    assert_eq!(heard_second.all(), []);
    first.release();
    heard_second.until(&[Granted]).await;
    assert_eq!(heard_first.all(), [Granted], "a release is no loss");
    drop(second);
    pause(50).await;
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn who_gives_up_while_waiting_leaves_the_queue_in_silence() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second)) = (tab(), tab());
    first.acquire(&name);
    heard_first.until(&[Granted]).await;
    second.acquire(&name);
    second.release();
    first.release();
    pause(100).await;
    assert_eq!(heard_second.all(), []);
    assert!(is_free(&name).await);

    second.acquire(&name);
    heard_second.until(&[Granted]).await;
}

#[wasm_bindgen_test]
async fn a_release_before_the_grant_is_heard_lets_go_of_the_lock() {
    let name = fresh("lock");
    let (tab, heard) = tab();
    tab.acquire(&name);
    tab.release();
    pause(100).await;
    assert_eq!(heard.all(), []);
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn a_stolen_lock_is_told_and_can_be_waited_for_again() {
    let name = fresh("lock");
    let (tab, heard) = tab();
    tab.acquire(&name);
    heard.until(&[Granted]).await;
    let steal = js(
        "name => { navigator.locks.request(name, { steal: true }, () => new Promise(end => { globalThis.giveBack = end })) }",
    );
    call(&steal, &name.as_str().into());
    heard.until(&[Granted, Lost]).await;
    tab.acquire(&name);
    pause(50).await;
    js("giveBack()");
    heard.until(&[Granted, Lost, Granted]).await;
}

#[wasm_bindgen_test]
async fn without_web_locks_the_lock_is_granted_a_moment_later() {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap();
    let _none = Instead::of(&navigator, "locks", &JsValue::UNDEFINED);
    let (tab, heard) = tab();
    tab.acquire("none");
    assert_eq!(heard.all(), []);
    heard.until(&[Granted]).await;
    tab.acquire("none");
    tab.release();
    pause(1_200).await;
    assert_eq!(heard.all(), [Granted]);
}
