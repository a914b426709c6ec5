//! WebSockets, each under its epoch.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::{Rc, Weak},
};

use futures_util::{Sink, StreamExt};
use gloo_net::websocket::{Message, State, WebSocketError, futures::WebSocket};
use wasm_bindgen_futures::spawn_local;

use crate::realtime::{Input, Output};

/// No close code of the other side was heard.
const ABNORMAL: u16 = 1006;
const GOING_AWAY: u16 = 1000;

pub struct Sockets {
    open: RefCell<Option<(u32, web_sys::WebSocket)>>,
    on_input: Box<dyn Fn(Input)>,
}

impl Sockets {
    pub fn new(on_input: impl Fn(Input) + 'static) -> Self {
        Self { open: RefCell::default(), on_input: Box::new(on_input) }
    }

    pub fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::Connect { epoch, url } => self.connect(epoch, &url),
            Output::SendText { epoch, text } => self.with(epoch, |socket| drop(socket.send_with_str(&text))),
            Output::Close { epoch } => self.with(epoch, close),
            // The engine answers this one itself.
            Output::NeedToken => {}
        }
    }

    pub fn close_all(&self) {
        if let Some((_, socket)) = self.open.take() {
            close(&socket);
        }
    }

    fn connect(self: &Rc<Self>, epoch: u32, url: &str) {
        self.close_all();
        let owner = Rc::downgrade(self);
        let socket = web_sys::WebSocket::new(url).ok().and_then(|raw| {
            let events = WebSocket::try_from(raw.clone()).ok()?;
            self.open.replace(Some((epoch, raw)));
            Some(events)
        });
        spawn_local(async move {
            match socket {
                Some(socket) => listen(&owner, epoch, socket).await,
                None => tell(&owner, Input::Closed { epoch, code: ABNORMAL }),
            }
        });
    }

    fn with(&self, epoch: u32, act: impl FnOnce(&web_sys::WebSocket)) {
        if let Some((open, socket)) = &*self.open.borrow()
            && *open == epoch
        {
            act(socket);
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.close_all();
    }
}

async fn listen(owner: &Weak<Sockets>, epoch: u32, mut socket: WebSocket) {
    let _ = poll_fn(|context| Pin::new(&mut socket).poll_ready(context)).await;
    if matches!(socket.state(), State::Open) {
        tell(owner, Input::Opened { epoch });
    }
    while let Some(event) = socket.next().await {
        match event {
            Ok(Message::Text(text)) => tell(owner, Input::Text { epoch, text }),
            Ok(Message::Bytes(bytes)) => tell(owner, Input::Binary { epoch, bytes }),
            Err(WebSocketError::ConnectionClose(close)) => tell(owner, Input::Closed { epoch, code: close.code }),
            // The end is told by the close event that follows.
            Err(_) => {}
        }
    }
}

fn tell(owner: &Weak<Sockets>, input: Input) {
    if let Some(sockets) = owner.upgrade() {
        (sockets.on_input)(input);
    }
}

fn close(socket: &web_sys::WebSocket) {
    let _ = socket.close_with_code(GOING_AWAY);
}
