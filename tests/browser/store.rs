//! What IndexedDB alone can do: last, be strict, break, be blocked, be full, be missing.

use std::rc::Rc;

use crate::json;
use crate::{
    browser::store::{Lost, Store},
    store::{Reply, StoreError, StoreResult, Transaction},
};
use futures_util::future::join_all;
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use super::{
    conformance::{add, outbox, relaxed, strict},
    support::{Heard, Instead, call, fresh, js, pause},
};

/// A database of its own for one test.
pub struct Scratch {
    pub name: String,
    pub store: Rc<Store>,
    pub lost: Heard<Lost>,
}

impl Scratch {
    pub async fn new() -> Self {
        Self::named(fresh("scratch")).await
    }

    pub async fn named(name: String) -> Self {
        let lost = Heard::new();
        let store = Store::open(&name, lost.ear()).await.unwrap();
        Self { name, store, lost }
    }

    pub async fn run(&self, transaction: Transaction) -> StoreResult {
        run(&self.store, transaction).await
    }

    pub async fn delete(self) {
        self.store.close();
        delete(&self.name).await;
    }
}

async fn run(store: &Rc<Store>, transaction: Transaction) -> StoreResult {
    let (sender, receiver) = futures_channel::oneshot::channel();
    store.run(transaction, |result| drop(sender.send(result)));
    receiver.await.unwrap()
}

/// Fails when somebody holds the database open.
async fn delete(name: &str) {
    let deletion = js("name => new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase(name)
        request.onsuccess = resolve
        request.onblocked = reject
    })");
    JsFuture::from(call(&deletion, &name.into()).unchecked_into::<Promise>()).await.expect("not blocked");
}

fn an_add() -> Transaction {
    strict([add(json!({"id": "a"}))])
}

#[wasm_bindgen_test]
async fn what_is_committed_is_there_when_the_database_is_opened_again() {
    let scratch = Scratch::new().await;
    scratch.run(an_add()).await.unwrap();
    scratch.store.close();
    let again = Store::open(&scratch.name, |_| {}).await.unwrap();
    let answers = run(&again, relaxed([outbox()])).await;
    assert_eq!(answers, Ok(vec![Reply::List(vec![json!({"id": "a", "key": 1})])]));
    again.close();
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn transactions_are_run_in_the_order_in_which_they_were_asked_for() {
    let scratch = Scratch::new().await;
    let asked = (0..20)
        .map(|index| scratch.run(if index % 2 == 0 { an_add() } else { relaxed([outbox(), add(json!({"id": "b"}))]) }));
    let answers = join_all(asked).await;
    for (index, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        assert_eq!(answer.last(), Some(&Reply::Key(index as u64 + 1)));
        if let [Reply::List(before), _] = answer.as_slice() {
            assert_eq!(before.len(), index);
        }
    }
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn a_page_that_will_stand_still_leaves_nothing_open_that_would_block_another_tab() {
    let scratch = Scratch::new().await;
    let guarded = || relaxed([add(json!({"id": "guarded"}))]).of_generation(0);
    scratch.run(an_add()).await.unwrap();
    let begun = scratch.run(guarded());
    let (waiting, unguarded) = (scratch.run(guarded()), scratch.run(an_add()));
    let asked = join_all([begun, waiting, unguarded]);
    let goodbye = async {
        // The first one is begun, and no answer of the database can have come.
        for _ in 0..3 {
            JsFuture::from(Promise::resolve(&JsValue::NULL)).await.unwrap();
        }
        scratch.store.let_go();
    };
    let (answers, ()) = futures_util::future::join(asked, goodbye).await;
    assert_eq!(answers[..2], [Err(StoreError::Robbed), Err(StoreError::Robbed)]);
    assert!(answers[2].is_ok());
    scratch.run(guarded()).await.unwrap();
    let Ok(rows) = scratch.run(relaxed([outbox()])).await else { panic!("unread") };
    let [Reply::List(rows)] = rows.as_slice() else { panic!("no list") };
    let ids: Vec<_> = rows.iter().map(|row| json::text(row, "id").unwrap_or_default()).collect();
    assert_eq!(ids, ["a", "a", "guarded"]);
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn the_browser_is_asked_for_the_durability_and_the_mode_of_each_transaction() {
    let scratch = Scratch::new().await;
    let asked = js("globalThis.asked = []");
    let prototype = js("IDBDatabase.prototype");
    let spy = js("(original => function (tables, mode, options) {
        asked.push([...tables].join('+') + ' ' + mode + ' ' + options.durability)
        return original.call(this, tables, mode, options)
    })(IDBDatabase.prototype.transaction)");
    let _spy = Instead::of(&prototype, "transaction", &spy);
    scratch.run(an_add()).await.unwrap();
    scratch.run(relaxed([outbox()])).await.unwrap();
    scratch.run(relaxed([add(json!({}))]).of_generation(0)).await.unwrap();
    assert_eq!(
        js_sys::Array::from(&asked).join("; "),
        "outbox readwrite strict; outbox readonly relaxed; outbox+meta readwrite relaxed"
    );
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn a_lost_connection_is_opened_anew_and_nothing_overtakes_what_waited_for_it() {
    let scratch = Scratch::new().await;
    let spy = js("(original => { let broken = true; return function (...all) {
        if (!broken) return original.apply(this, all)
        broken = false
        throw new DOMException('the connection is closing', 'InvalidStateError')
    } })(IDBDatabase.prototype.transaction)");
    let _spy = Instead::of(&js("IDBDatabase.prototype"), "transaction", &spy);
    let answers = join_all([scratch.run(an_add()), scratch.run(an_add())]).await;
    assert_eq!(answers, [Ok(vec![Reply::Key(1)]), Ok(vec![Reply::Key(2)])]);
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn a_close_event_is_told_and_the_next_transaction_opens_the_database_anew() {
    let keep = Instead::of(
        &js("IDBFactory.prototype"),
        "open",
        &js(
            "(original => function (...all) { return globalThis.opening = original.apply(this, all) })(IDBFactory.prototype.open)",
        ),
    );
    let scratch = Scratch::new().await;
    drop(keep);
    js("opening.result.dispatchEvent(new Event('close'))");
    scratch.lost.until(&[Lost::Connection]).await;
    assert_eq!(scratch.run(an_add()).await, Ok(vec![Reply::Key(1)]));
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn another_tab_that_wants_another_layout_is_not_blocked_and_makes_this_one_outdated() {
    let scratch = Scratch::new().await;
    delete(&scratch.name).await;
    assert_eq!(scratch.lost.all(), [Lost::Outdated]);
    assert_eq!(scratch.run(an_add()).await, Err(StoreError::Outdated));
    let found = call(
        &js("name => indexedDB.databases().then(all => all.some(one => one.name === name))"),
        &scratch.name.as_str().into(),
    );
    assert_eq!(JsFuture::from(found.unchecked_into::<Promise>()).await, Ok(JsValue::FALSE));
}

#[wasm_bindgen_test]
async fn a_newer_layout_is_left_alone() {
    let name = fresh("newer");
    let open = js("name => new Promise(resolve => {
        const request = indexedDB.open(name, 2)
        request.onsuccess = () => { request.result.close(); resolve() }
    })");
    JsFuture::from(call(&open, &name.as_str().into()).unchecked_into::<Promise>()).await.unwrap();
    assert_eq!(Store::open(&name, |_| {}).await.err(), Some(StoreError::Outdated));
    delete(&name).await;
}

#[wasm_bindgen_test]
async fn a_tab_that_blocks_the_opening_is_given_up_on_after_three_seconds() {
    let name = fresh("blocked");
    let hold = js("name => new Promise(resolve => {
        const request = indexedDB.open(name, 1)
        request.onsuccess = () => { globalThis.held = request.result; resolve() }
    })");
    JsFuture::from(call(&hold, &name.as_str().into()).unchecked_into::<Promise>()).await.unwrap();
    call(&js("name => { indexedDB.deleteDatabase(name) }"), &name.as_str().into());

    let since = js_sys::Date::now();
    let opened = Store::open(&name, |_| {}).await;
    assert!(matches!(opened.err(), Some(StoreError::Unavailable(_))));
    let waited = js_sys::Date::now() - since;
    assert!((2_900.0..4_500.0).contains(&waited), "{waited} ms");

    // Nothing of the attempt that was given up stays open when it comes through after all.
    js("held.close()");
    pause(300).await;
    delete(&name).await;
}

#[wasm_bindgen_test]
async fn a_full_disk_is_told_apart_and_nothing_was_written() {
    let scratch = Scratch::new().await;
    let aborting = js("(original => function (...all) {
        const request = original.apply(this, all)
        this.transaction.abort()
        return request
    })(IDBObjectStore.prototype.add)");
    let full = js("new DOMException('no space', 'QuotaExceededError')");
    {
        let _abort = Instead::of(&js("IDBObjectStore.prototype"), "add", &aborting);
        assert_eq!(scratch.run(an_add()).await, Err(StoreError::Failed("AbortError".into())));
        let _reason = Instead::of(&js("IDBTransaction.prototype"), "error", &full);
        assert_eq!(scratch.run(an_add()).await, Err(StoreError::Full));
    }
    assert_eq!(scratch.run(relaxed([outbox()])).await, Ok(vec![Reply::List(vec![])]));
    scratch.delete().await;
}

#[wasm_bindgen_test]
async fn without_indexed_db_the_store_is_unavailable() {
    let _none = Instead::of_global("indexedDB", &JsValue::UNDEFINED);
    assert!(matches!(Store::open("none", |_| {}).await.err(), Some(StoreError::Unavailable(_))));
}

#[wasm_bindgen_test]
async fn a_closed_store_begins_and_answers_nothing_more() {
    let scratch = Scratch::new().await;
    let answers = Heard::new();
    let ear = answers.ear();
    scratch.store.run(an_add(), move |result| ear(result.is_ok()));
    scratch.store.close();
    pause(50).await;
    assert_eq!(answers.all(), [] as [bool; 0]);
    let again = Store::open(&scratch.name, |_| {}).await.unwrap();
    assert_eq!(run(&again, relaxed([outbox()])).await, Ok(vec![Reply::List(vec![])]));
    again.close();
    scratch.delete().await;
}
