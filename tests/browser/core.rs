//! The class that JavaScript sees, with the real database, and a network and a host of the test's own.

use std::rc::Rc;

use crate::{json, json::Value};
use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Instead, fresh, js, pause};
use crate::browser::{
    exports::Core,
    panic,
    value::{from_js, to_js},
};

/// Of an app whose own network fails as well.
const HOST: &str = "{
    heard: [],
    async accessToken() { throw new TypeError('no network') },
    onUpdates(updates) { this.heard.push(...updates) },
}";
const OFFLINE: &str = "async () => { throw new TypeError('no network') }";

/// A client and what it heard.
struct Client {
    core: Core,
    host: JsValue,
}

impl Client {
    fn of(user_id: &str, host: &str) -> Self {
        let host = js(host);
        let config = json!({"url": "https://project.example.test/", "api_key": "key", "user_id": user_id});
        Self { core: Core::new(&to_js(&config), host.clone().unchecked_into()), host }
    }

    fn started(user_id: &str) -> Self {
        let client = Self::of(user_id, HOST);
        client.core.start();
        client
    }

    fn send(&self, op: u32, content: &str) {
        self.core.send(op, "b1".into(), content.into(), "text".into(), &js("{}"));
    }

    fn heard(&self) -> Vec<Value> {
        let heard: Array = Reflect::get(&self.host, &"heard".into()).unwrap().unchecked_into();
        heard.iter().map(|update| from_js(&update)).collect()
    }

    fn all(&self, kind: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|update| update["type"] == kind).collect()
    }

    /// What the call came to, its error or its result.
    async fn answer(&self, op: u32) -> Value {
        let update = self.until(|update| update["op"] == u64::from(op)).await;
        update.get("error").or(update.get("result")).cloned().unwrap()
    }

    /// For up to three seconds.
    async fn until(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            if let Some(update) = self.heard().into_iter().rfind(&is_it) {
                return update;
            }
            pause(10).await;
        }
        panic!("not heard, but {:?}", self.heard());
    }

    /// Waits until this is the last that was heard of its kind.
    async fn settles(&self, expected: Value) {
        for _ in 0..300 {
            let of_its_kind = |update: &Value| update["type"] == expected["type"];
            if self.heard().into_iter().rfind(of_its_kind).as_ref() == Some(&expected) {
                return;
            }
            pause(10).await;
        }
        panic!("not {expected:?}, but {:?}", self.heard());
    }

    async fn shut_down(self, discard: bool) -> Value {
        self.core.shutdown(99, discard);
        self.answer(99).await["unsent"].clone()
    }
}

async fn microtask() {
    JsFuture::from(Promise::resolve(&JsValue::UNDEFINED)).await.unwrap();
}

#[wasm_bindgen_test]
async fn updates_come_in_a_microtask_and_never_inside_a_call() {
    let client = Client::started(&fresh("user"));
    client.send(1, "  ");
    assert_eq!(client.heard(), [] as [Value; 0]);
    microtask().await;
    let heard = client.all("failed");
    assert_eq!(heard[0]["op"], 1);
    assert_eq!(heard[0]["error"]["code"], "empty_message");
    client.shut_down(true).await;
}

#[wasm_bindgen_test]
async fn a_message_is_persisted_without_a_network_and_shown_by_the_next_client() {
    let _fetch = Instead::of_global("fetch", &js(OFFLINE));
    let user = fresh("user");
    let client = Client::started(&user);
    client.send(1, "hello ä😀");
    let message = client.answer(1).await["message"].clone();
    assert_eq!(message["content"], "hello ä😀");
    assert_eq!(message["delivery_status"], "sending");
    client.settles(json!({"type": "pending", "total": 1, "conversations": {"b1": 1}})).await;
    assert_eq!(client.all("storage"), [json!({"type": "storage", "durable": true})]);
    assert_eq!(client.shut_down(false).await, 1);

    let next = Client::started(&user);
    next.core.open("b1".into());
    let shown = next.until(|update| update["upserts"][0]["message"]["id"] == message["id"]).await;
    assert_eq!((shown["type"].as_str(), shown["conversation_id"].as_str()), (Some("messages"), Some("b1")));
    assert!(shown["upserts"][0]["order"].as_u64().unwrap() > 1_000_000);
    assert_eq!(next.shut_down(true).await, 0);
}

#[wasm_bindgen_test]
async fn without_indexed_db_nothing_is_promised() {
    let _none = Instead::of_global("indexedDB", &JsValue::UNDEFINED);
    let client = Client::started(&fresh("user"));
    client.send(1, "hello");
    assert_eq!(client.answer(1).await["code"], "storage_unavailable");
    assert_eq!(client.all("storage"), [json!({"type": "storage", "durable": false})]);
    client.shut_down(true).await;
}

#[wasm_bindgen_test]
async fn metadata_that_is_not_json_is_refused_and_no_exception() {
    let client = Client::started(&fresh("user"));
    let cycle = "(() => { const cycle = {}; cycle.self = cycle; return cycle })()";
    for (op, metadata) in [(1, "undefined"), (2, "{ f() {} }"), (3, cycle), (4, "'text'"), (5, "null")] {
        client.core.send(op, "b1".into(), "hello".into(), "text".into(), &js(metadata));
        assert_eq!(client.answer(op).await["code"], "invalid_metadata", "{metadata}");
    }
    client.shut_down(true).await;
}

#[wasm_bindgen_test]
async fn the_token_of_the_app_goes_with_the_request_and_the_answer_settles_the_message() {
    js("globalThis.requests = []");
    let _fetch = Instead::of_global(
        "fetch",
        &js("async (...asked) => {
        const request = new Request(...asked)
        const body = JSON.parse(await request.text())
        requests.push({ url: request.url, authorization: request.headers.get('authorization'), body })
        if (!request.url.endsWith('chat_send')) return new Response('[]')
        return new Response(JSON.stringify(body.batch.map((row, index) => ({
            ...row, status: 'stored', seq: index + 1, created_at: '2026-01-01T00:00:00Z', sender_role: 'client',
        }))))
    }"),
    );
    let _socket = Instead::of_global("WebSocket", &js("class { constructor() { throw new Error('none') } }"));
    let user = fresh("user");
    let payload = format!("btoa(JSON.stringify({{ sub: '{user}', iat: 1, exp: 4000000000 }}))");
    let token = js(&format!("'e30.' + {payload}.replace(/=/g, '') + '.sig'")).as_string().unwrap();
    let client = Client::of(
        &user,
        &format!("{{ heard: [], accessToken: () => '{token}', onUpdates(updates) {{ this.heard.push(...updates) }} }}"),
    );
    client.core.start();
    client.send(1, "hello");
    let sent = client.until(|update| update["type"] == "delivery" && update["status"] == "sent").await;
    assert_eq!(sent["id"], client.answer(1).await["message"]["id"]);
    let requests = from_js(&js("requests.filter(one => one.url.endsWith('chat_send'))"));
    assert_eq!(requests[0]["url"], "https://project.example.test/rest/v1/rpc/chat_send");
    assert_eq!(requests[0]["authorization"], *format!("Bearer {token}"));
    assert_eq!(requests[0]["body"]["expected_user"], *user);
    assert_eq!(client.shut_down(false).await, 0);
}

#[wasm_bindgen_test]
async fn an_access_token_that_throws_rejects_or_answers_nonsense_breaks_nothing() {
    for access_token in [
        "() => { throw new Error('secret') }",
        "() => Promise.reject(new Error('secret'))",
        "() => 42",
        "() => undefined",
        "undefined",
    ] {
        let client = Client::of(
            &fresh("user"),
            &format!(
                "{{ heard: [], accessToken: {access_token}, onUpdates(updates) {{ this.heard.push(...updates) }} }}"
            ),
        );
        client.core.start();
        client.send(1, "hello");
        assert_eq!(client.answer(1).await["message"]["content"], "hello", "{access_token}");
        assert_eq!(client.shut_down(true).await, 0);
    }
}

#[wasm_bindgen_test]
async fn an_app_may_call_from_within_its_callbacks() {
    let client = Client::of(
        &fresh("user"),
        "{
        heard: [],
        accessToken() { this.send?.(1); this.send = undefined; return null },
        onUpdates(updates) { this.heard.push(...updates); this.answer?.(2); this.answer = undefined },
    }",
    );
    let client = Rc::new(client);
    for name in ["send", "answer"] {
        let caller = Rc::downgrade(&client);
        let call = Closure::<dyn Fn(u32)>::new(move |op| caller.upgrade().unwrap().send(op, "from within"));
        Reflect::set(&client.host, &name.into(), &call.into_js_value()).unwrap();
    }
    client.core.start();
    assert_eq!(client.answer(1).await["message"]["content"], "from within");
    assert_eq!(client.answer(2).await["message"]["content"], "from within");
    Rc::into_inner(client).unwrap().shut_down(true).await;
}

#[wasm_bindgen_test]
async fn a_listener_that_throws_is_reported_and_goes_on_listening() {
    js("globalThis.reported = new Promise(resolve => addEventListener('unhandledrejection', event => {
        event.preventDefault()
        resolve(event.reason.message)
    }, { once: true }))");
    let client = Client::of(
        &fresh("user"),
        "{ heard: [], accessToken: () => null, onUpdates(updates) {
        this.heard.push(...updates)
        throw new Error('a bug of the app')
    } }",
    );
    client.core.start();
    client.send(1, "");
    client.send(2, "hello");
    assert_eq!(client.answer(2).await["message"]["content"], "hello");
    let reported = JsFuture::from(js("reported").unchecked_into::<Promise>()).await;
    assert_eq!(reported, Ok("a bug of the app".into()));
    client.shut_down(true).await;
}

#[wasm_bindgen_test]
async fn a_client_that_is_freed_at_work_is_silent_from_then_on() {
    let noise = js("(() => { const noise = []; for (const name of ['error', 'unhandledrejection']) {
        addEventListener(name, event => noise.push(String(event.reason ?? event.message)))
    } return noise })()");
    let client = Client::started(&fresh("user"));
    client.core.open("b1".into());
    client.send(1, "hello");
    drop(client.core);
    pause(300).await;
    js("window.dispatchEvent(new Event('offline'))");
    js("window.dispatchEvent(new Event('online'))");
    assert_eq!(Array::from(&noise).length(), 0, "{noise:?}");
    let heard: Array = Reflect::get(&client.host, &"heard".into()).unwrap().unchecked_into();
    assert_eq!(heard.length(), 0);
}

#[wasm_bindgen_test]
async fn a_crash_is_told_to_every_client_once() {
    let (one, two) = (Client::of("u1", HOST), Client::of("u2", HOST));
    panic::report("src/engine/mod.rs:1");
    panic::report("again");
    assert_eq!(one.heard(), [] as [Value; 0]);
    microtask().await;
    for client in [one, two] {
        assert_eq!(client.heard(), [json!({"type": "crashed", "message": "src/engine/mod.rs:1"})]);
    }
}

#[wasm_bindgen_test]
async fn two_tabs_of_one_user_see_one_outbox() {
    let _fetch = Instead::of_global("fetch", &js(OFFLINE));
    let user = fresh("user");
    let (one, two) = (Client::started(&user), Client::started(&user));
    two.core.open("b1".into());
    one.send(1, "hello");
    let id = one.answer(1).await["message"]["id"].clone();
    two.until(|update| update["upserts"][0]["message"]["id"] == id && update["type"] == "messages").await;
    assert_eq!(two.shut_down(false).await, 1);
    assert_eq!(one.shut_down(true).await, 0);
}
