//! Requests, answered by a `fetch` of the test's own, or by nobody.

use std::rc::Rc;

use crate::{
    browser::http::Http,
    rest::{HttpError, HttpRequest, HttpResponse},
};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Heard, Instead, js, pause};

type Answers = Heard<Result<HttpResponse, HttpError>>;

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        url: url.into(),
        headers: vec![("apikey", "key".into()), ("Content-Type", "application/json".into())],
        body: r#"{"a":1}"#.into(),
        timeout_ms: 300,
        keepalive: false,
    }
}

fn fetch(body: &str) -> Instead {
    Instead::of_global(
        "fetch",
        &js(&format!("async (...asked) => {{ const request = new Request(...asked); {body} }}")),
    )
}

async fn answer_of(http: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (sender, receiver) = futures_channel::oneshot::channel();
    Rc::new(Http::default()).send(1, http, |answer| drop(sender.send(answer)));
    receiver.await.unwrap()
}

#[wasm_bindgen_test]
async fn it_posts_the_body_with_its_headers_and_answers_what_came_back() {
    let _fetch = fetch(
        "const { method, url, redirect, headers } = request
        const said = [method, url, redirect, headers.get('apikey'), headers.get('content-type'), await request.text()]
        return new Response(said.join(' '), { status: 429, headers: { 'retry-after': '3' } })",
    );
    let answer = answer_of(request("https://example.test/rpc")).await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after_ms, Some(3_000));
    assert_eq!(answer.body, r#"POST https://example.test/rpc error key application/json {"a":1}"#);
}

#[wasm_bindgen_test]
async fn without_a_body_it_gets_and_the_servers_clock_is_read_where_it_is_shown() {
    let _fetch = fetch(
        "return new Response([request.method, request.body].join(' '), { headers: { date: 'Wed, 21 Oct 2026 07:28:00 GMT' } })",
    );
    let get = || HttpRequest { body: String::new(), ..request("https://example.test/rest/v1/messages?id=eq.1") };
    let answer = answer_of(get()).await.unwrap();
    assert!(answer.body.starts_with("GET"), "{}", answer.body);
    assert_eq!(answer.date_ms, Some(1_792_567_680_000));
    let _fetch = fetch("return new Response('[]')");
    assert_eq!(answer_of(get()).await.unwrap().date_ms, None);
}

#[wasm_bindgen_test]
async fn what_does_not_answer_in_time_is_aborted_and_said_to_be_late() {
    let _fetch = fetch(
        "return new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)))",
    );
    assert_eq!(answer_of(request("https://example.test/")).await, Err(HttpError::Timeout));
}

#[wasm_bindgen_test]
async fn the_time_limit_covers_the_body_too() {
    let _fetch = fetch(
        "return new Response(new ReadableStream({ start(controller) {
            controller.enqueue(new TextEncoder().encode('['))
            request.signal.addEventListener('abort', () => controller.error(request.signal.reason))
        } }))",
    );
    assert_eq!(answer_of(request("https://example.test/")).await, Err(HttpError::Timeout));
}

#[wasm_bindgen_test]
async fn where_nobody_listens_the_network_failed() {
    assert_eq!(answer_of(request("http://127.0.0.1:9/")).await, Err(HttpError::Network));
}

#[wasm_bindgen_test]
async fn a_request_that_no_browser_would_make_is_a_failure_and_not_a_panic() {
    assert_eq!(answer_of(request("https://:not a url")).await, Err(HttpError::Network));
    let mut broken = request("https://example.test/");
    broken.headers[0].1 = "a key\nwith a line break".into();
    assert_eq!(answer_of(broken).await, Err(HttpError::Network));
}

#[wasm_bindgen_test]
async fn an_opaque_answer_is_none() {
    let _fetch = fetch("return Response.error()");
    assert_eq!(answer_of(request("https://example.test/")).await, Err(HttpError::Network));
}

#[wasm_bindgen_test]
async fn an_aborted_request_is_not_answered_and_the_others_are() {
    let _fetch = fetch(
        "if (request.url.endsWith('/1')) await new Promise((_, reject) => {
            request.signal.addEventListener('abort', () => { globalThis.aborted = request.url; reject(request.signal.reason) })
        })
        return new Response('[]')",
    );
    let (http, answers) = (Rc::new(Http::default()), Answers::new());
    http.send(1, request("https://example.test/1"), answers.ear());
    http.send(2, request("https://example.test/2"), answers.ear());
    pause(50).await;
    http.abort(1);
    http.abort(7);
    answers.until(&[Ok(HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: "[]".into() })]).await;
    pause(400).await;
    assert_eq!(js("globalThis.aborted"), JsValue::from("https://example.test/1"));

    http.send(1, request("https://example.test/1"), answers.ear());
    http.abort_all();
    pause(400).await;
    assert_eq!(answers.all().len(), 1);
}

#[wasm_bindgen_test]
async fn a_request_that_outlives_the_page_says_so_and_nothing_aborts_it() {
    let _fetch = Instead::of_global(
        "fetch",
        &js("async (url, init) => {
            const { keepalive, method, redirect, headers, body, signal } = init
            globalThis.__said = [keepalive, method, url, redirect, headers.get('apikey'), body, signal].join(' ')
            throw new TypeError('gone')
        }"),
    );
    let http = Rc::new(Http::default());
    let heard = Answers::new();
    http.send(1, HttpRequest { keepalive: true, ..request("https://example.test/rpc") }, heard.ear());
    http.abort(1);
    http.abort_all();
    pause(10).await;
    let said = js("globalThis.__said").as_string();
    assert_eq!(said.as_deref(), Some(r#"true POST https://example.test/rpc error key {"a":1} "#));
    assert_eq!(heard.all(), [], "nobody hears the answer");
}
