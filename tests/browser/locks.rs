//! Web Locks: one holder, handed on, stolen, given up; and none.

use crate::browser::locks::{
    LockEvent::{self, Lost},
    Locks,
};
use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Heard, Instead, call, fresh, js, pause};

const GRANTED: LockEvent = LockEvent::Granted { exclusive: true };

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
    first.acquire(&name, false);
    heard_first.until(&[GRANTED]).await;
    second.acquire(&name, false);
    pause(100).await;
    assert_eq!(heard_second.all(), []);
    first.release();
    heard_second.until(&[GRANTED]).await;
    assert_eq!(heard_first.all(), [GRANTED], "a release is no loss");
    drop(second);
    pause(50).await;
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn who_wants_it_only_if_it_is_free_gets_it_at_once_or_hears_that_it_is_lost() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second)) = (tab(), tab());
    first.acquire(&name, true);
    heard_first.until(&[GRANTED]).await;
    second.acquire(&name, true);
    heard_second.until(&[Lost]).await;
    first.release();
    pause(100).await;
    assert_eq!(heard_second.all(), [Lost], "it does not wait");
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn who_gives_up_while_waiting_leaves_the_queue_in_silence() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second)) = (tab(), tab());
    first.acquire(&name, false);
    heard_first.until(&[GRANTED]).await;
    second.acquire(&name, false);
    second.release();
    first.release();
    pause(100).await;
    assert_eq!(heard_second.all(), []);
    assert!(is_free(&name).await);

    second.acquire(&name, false);
    heard_second.until(&[GRANTED]).await;
}

#[wasm_bindgen_test]
async fn a_release_before_the_grant_is_heard_lets_go_of_the_lock() {
    let name = fresh("lock");
    let (tab, heard) = tab();
    tab.acquire(&name, false);
    tab.release();
    pause(100).await;
    assert_eq!(heard.all(), []);
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn a_stolen_lock_is_told_and_can_be_waited_for_again() {
    let name = fresh("lock");
    let (tab, heard) = tab();
    tab.acquire(&name, false);
    heard.until(&[GRANTED]).await;
    let steal = js(
        "name => { navigator.locks.request(name, { steal: true }, () => new Promise(end => { globalThis.giveBack = end })) }",
    );
    call(&steal, &name.as_str().into());
    heard.until(&[GRANTED, Lost]).await;
    tab.acquire(&name, false);
    pause(50).await;
    js("giveBack()");
    heard.until(&[GRANTED, Lost, GRANTED]).await;
}

#[wasm_bindgen_test]
async fn who_steals_gets_the_lock_at_once_before_all_who_wait_and_hands_it_on_to_them() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second), (thief, heard_thief)) = (tab(), tab(), tab());
    first.acquire(&name, false);
    heard_first.until(&[GRANTED]).await;
    second.acquire(&name, false);
    thief.acquire(&name, false);
    thief.steal(&name);
    heard_thief.until(&[GRANTED]).await;
    heard_first.until(&[GRANTED, Lost]).await;
    assert_eq!(heard_second.all(), []);
    thief.release();
    heard_second.until(&[GRANTED]).await;
    second.release();
    pause(100).await;
    assert_eq!(heard_thief.all(), [GRANTED], "what it was queued for before was given up");
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn a_robbed_tab_waits_in_the_queue_again_and_two_thieves_do_not_hang() {
    let name = fresh("lock");
    let ((first, heard_first), (second, heard_second)) = (tab(), tab());
    first.steal(&name);
    heard_first.until(&[GRANTED]).await;
    second.steal(&name);
    heard_first.until(&[GRANTED, Lost]).await;
    heard_second.until(&[GRANTED]).await;
    first.acquire(&name, false);
    pause(50).await;
    assert_eq!(heard_first.all(), [GRANTED, Lost]);
    second.release();
    heard_first.until(&[GRANTED, Lost, GRANTED]).await;
}

#[wasm_bindgen_test]
async fn a_stolen_lock_that_is_given_up_before_it_is_heard_of_is_free() {
    let name = fresh("lock");
    let ((first, heard_first), (thief, heard_thief)) = (tab(), tab());
    first.acquire(&name, false);
    heard_first.until(&[GRANTED]).await;
    thief.steal(&name);
    thief.release();
    heard_first.until(&[GRANTED, Lost]).await;
    pause(50).await;
    assert_eq!(heard_thief.all(), []);
    assert!(is_free(&name).await);
}

#[wasm_bindgen_test]
async fn without_web_locks_everybody_is_told_a_moment_later_that_it_is_not_theirs_alone() {
    const NOT_ALONE: LockEvent = LockEvent::Granted { exclusive: false };
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap();
    let _none = Instead::of(&navigator, "locks", &JsValue::UNDEFINED);
    let (tab, heard) = tab();
    tab.acquire("none", false);
    assert_eq!(heard.all(), []);
    heard.until(&[NOT_ALONE]).await;
    tab.acquire("none", false);
    tab.release();
    pause(1_200).await;
    assert_eq!(heard.all(), [NOT_ALONE]);
}
