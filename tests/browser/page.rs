//! The page's events, the tabs' channel, the timer and the memory of whose outbox it is.

use crate::json;
use crate::{
    browser::{
        clock, entropy,
        page::{self, Page},
        remember,
        tabs::Tabs,
        timer::{Due, Timer},
    },
    engine::{Now, PageEvent},
    tabs::TabMessage,
};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Heard, Instead, fresh, js, pause};

#[wasm_bindgen_test]
fn the_page_tells_what_happens_to_it_until_nobody_listens() {
    let heard = Heard::new();
    let listening = Page::listen(heard.ear());
    for name in ["offline", "online"] {
        js(&format!("window.dispatchEvent(new Event('{name}'))"));
    }
    js("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    js("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    js("window.dispatchEvent(new PageTransitionEvent('pageshow'))");
    js("document.dispatchEvent(new Event('freeze'))");
    js("document.dispatchEvent(new Event('resume'))");
    let expected = [
        PageEvent::Offline,
        PageEvent::Online,
        PageEvent::Leaving,
        PageEvent::Shown { persisted: true },
        PageEvent::Shown { persisted: false },
        PageEvent::Frozen,
        PageEvent::Resumed,
    ];
    assert_eq!(heard.all(), expected);
    drop(listening);
    js("window.dispatchEvent(new Event('offline'))");
    assert_eq!(heard.all().len(), expected.len());
}

#[wasm_bindgen_test]
fn the_page_tells_whether_it_is_seen() {
    let heard = Heard::new();
    let _listening = Page::listen(heard.ear());
    for state in ["hidden", "visible"] {
        let _state = Instead::of(&js("document"), "visibilityState", &state.into());
        assert_eq!(page::is_visible(), state == "visible");
        js("document.dispatchEvent(new Event('visibilitychange'))");
    }
    assert_eq!(heard.all(), [PageEvent::Hidden, PageEvent::Visible]);
    assert!(page::is_online());
    let _offline = Instead::of(&js("navigator"), "onLine", &JsValue::FALSE);
    assert!(!page::is_online());
}

#[wasm_bindgen_test]
fn without_a_document_all_is_visible() {
    let _none = Instead::of_global("navigator", &JsValue::UNDEFINED);
    assert!(page::is_online());
    assert!(page::is_visible());
}

#[wasm_bindgen_test]
async fn tabs_hear_each_other_and_not_themselves() {
    let name = fresh("tabs");
    let (heard_first, heard_second) = (Heard::new(), Heard::new());
    let first = Tabs::join(&name, heard_first.ear()).unwrap();
    let second = Tabs::join(&name, heard_second.ear()).unwrap();
    first.tell(&TabMessage::Enqueued);
    let act = TabMessage::Act { from: 1, op: 2, act: json!({"act": "retry", "conversation_id": "b1"}) };
    first.tell(&act);
    heard_second.until(&[TabMessage::Enqueued, act]).await;
    drop(second);
    first.tell(&TabMessage::Changed);
    pause(50).await;
    assert_eq!(heard_second.all().len(), 2);
    assert_eq!(heard_first.all(), []);
}

#[wasm_bindgen_test]
fn without_a_broadcast_channel_there_is_nobody_to_tell() {
    let _none = Instead::of_global("BroadcastChannel", &JsValue::UNDEFINED);
    assert!(Tabs::join("none", |_| {}).is_none());
}

#[wasm_bindgen_test]
async fn the_timer_comes_for_the_last_time_it_was_armed_for() {
    let heard = Heard::new();
    let timer = Timer::new(heard.ear());
    let now = clock::now();
    timer.arm(now, Some(now.mono + 20));
    timer.arm(now, Some(now.mono + 120));
    pause(60).await;
    assert_eq!(heard.all(), []);
    heard.until(&[Due::OnTime]).await;
    assert!(clock::now().mono + 1 >= now.mono + 120);

    timer.arm(now, Some(now.mono));
    timer.arm(now, None);
    timer.arm(now, Some(u64::MAX));
    pause(60).await;
    assert_eq!(heard.all().len(), 1);

    timer.arm(now, Some(0));
    timer.arm(now, Some(0));
    heard.until(&[Due::OnTime, Due::OnTime]).await;
}

/// A browser that rounds its clock calls a moment early: it is not due then, and is asked for again.
#[wasm_bindgen_test]
async fn a_timer_that_came_early_comes_again() {
    let heard = Heard::new();
    let timer = Timer::new(heard.ear());
    let now = clock::now();
    let ahead = Now { mono: now.mono + 80, ..now };
    let due = Some(ahead.mono + 20);
    timer.arm(ahead, due);
    heard.until(&[Due::OnTime]).await;
    assert!(clock::now().mono < now.mono + 100);
    timer.arm(clock::now(), due);
    heard.until(&[Due::OnTime, Due::OnTime]).await;
    assert!(clock::now().mono + 1 >= now.mono + 100);
}

#[wasm_bindgen_test]
fn it_is_remembered_whose_outbox_it_is_where_the_browser_allows_it() {
    let key = fresh("surechat:user");
    assert_eq!(remember::recall(&key), None);
    remember::remember(&key, "u1");
    assert_eq!(remember::recall(&key).as_deref(), Some("u1"));
    let _none = Instead::of_global("localStorage", &JsValue::UNDEFINED);
    remember::remember(&key, "u2");
    assert_eq!(remember::recall(&key), None);
}

#[wasm_bindgen_test]
fn entropy_differs_from_call_to_call() {
    assert_ne!(entropy::bytes::<16>(), entropy::bytes::<16>());
    assert_ne!(entropy::seed(), entropy::seed());
}
