//! WebSockets, with a class of the test's own in the browser's place.

use std::rc::Rc;

use crate::{
    browser::socket::Sockets,
    realtime::{Input, Output},
};
use wasm_bindgen_test::wasm_bindgen_test;

use super::support::{Heard, Instead, js, pause};

const FAKE: &str = "class extends EventTarget {
    static CONNECTING = 0
    readyState = 0
    constructor(url) {
        super()
        this.url = url
        this.sent = []
        globalThis.sockets = [...(globalThis.sockets ?? []), this]
    }
    open() { this.readyState = 1; this.dispatchEvent(new Event('open')) }
    send(data) { this.sent.push(data) }
    say(data) { this.dispatchEvent(new MessageEvent('message', { data })) }
    close(code) { this.readyState = 2; this.closedWith ??= code }
    end(code) {
        this.readyState = 3
        this.dispatchEvent(new Event('error'))
        this.dispatchEvent(new CloseEvent('close', { code }))
    }
}";

fn sockets() -> (Rc<Sockets>, Heard<String>) {
    js("globalThis.sockets = []");
    let heard = Heard::new();
    let ear = heard.ear();
    (Rc::new(Sockets::new(move |input| ear(format!("{input:?}")))), heard)
}

fn connect(epoch: u32, url: &str) -> Output {
    Output::Connect { epoch, url: url.into() }
}

fn said(expected: &[Input]) -> Vec<String> {
    expected.iter().map(|input| format!("{input:?}")).collect()
}

#[wasm_bindgen_test]
async fn a_socket_opens_speaks_listens_and_tells_how_it_ended_once() {
    let _fake = Instead::of_global("WebSocket", &js(FAKE));
    let (sockets, heard) = sockets();
    sockets.perform(connect(1, "ws://example.test/socket"));
    js("sockets[0].open()");
    heard.until(&said(&[Input::Opened { epoch: 1 }])).await;
    sockets.perform(Output::SendText { epoch: 1, text: "one".into() });
    sockets.perform(Output::SendText { epoch: 1, text: "two".into() });
    assert_eq!(js("sockets[0].url + ' ' + sockets[0].sent"), "ws://example.test/socket one,two");
    js("sockets[0].say('text')");
    js("sockets[0].say(new Uint8Array([1, 2]).buffer)");
    js("sockets[0].end(4000)");
    let expected = said(&[
        Input::Opened { epoch: 1 },
        Input::Text { epoch: 1, text: "text".into() },
        Input::Binary { epoch: 1, bytes: vec![1, 2] },
        Input::Closed { epoch: 1, code: 4000 },
    ]);
    heard.until(&expected).await;
    pause(20).await;
    assert_eq!(heard.all(), expected);
}

#[wasm_bindgen_test]
async fn what_an_older_socket_says_late_carries_its_own_epoch() {
    let _fake = Instead::of_global("WebSocket", &js(FAKE));
    let (sockets, heard) = sockets();
    sockets.perform(connect(1, "ws://example.test/1"));
    js("sockets[0].open()");
    heard.until(&said(&[Input::Opened { epoch: 1 }])).await;
    sockets.perform(Output::Close { epoch: 1 });
    sockets.perform(connect(2, "ws://example.test/2"));
    sockets.perform(Output::SendText { epoch: 1, text: "stale".into() });
    sockets.perform(Output::Close { epoch: 1 });
    js("sockets[1].open()");
    heard.until(&said(&[Input::Opened { epoch: 1 }, Input::Opened { epoch: 2 }])).await;
    js("sockets[0].say('late')");
    pause(20).await;
    assert_eq!(heard.all().last(), said(&[Input::Text { epoch: 1, text: "late".into() }]).first());
    assert_eq!(js("sockets.map(socket => socket.sent.length + ':' + socket.closedWith).join()"), "0:1000,0:undefined");
    sockets.close_all();
    assert_eq!(js("String(sockets[1].closedWith)"), "1000");
}

#[wasm_bindgen_test]
async fn a_socket_that_fails_before_it_opens_is_closed_and_never_opened() {
    let (sockets, heard) = sockets();
    sockets.perform(connect(1, "ws://127.0.0.1:2/"));
    heard.until(&said(&[Input::Closed { epoch: 1, code: 1006 }])).await;
}

#[wasm_bindgen_test]
async fn an_address_that_is_none_is_told_as_closed_and_not_within_the_call() {
    let (sockets, heard) = sockets();
    sockets.perform(connect(1, "mailto:nobody"));
    assert_eq!(heard.all(), [] as [String; 0]);
    heard.until(&said(&[Input::Closed { epoch: 1, code: 1006 }])).await;
}
