//! WebSockets, each under its epoch.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Event, WebSocket};

use super::{panic::queue_microtask, value::field};
use crate::realtime::{Input, Output};

/// No close code of the other side was heard.
const ABNORMAL: u16 = 1006;
const GOING_AWAY: u16 = 1000;

pub struct Sockets {
    open: RefCell<Option<(u32, WebSocket)>>,
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
        match WebSocket::new(url) {
            Ok(socket) => {
                listen(owner, epoch, &socket);
                self.open.replace(Some((epoch, socket)));
            }
            Err(_) => queue_microtask(&Closure::once_into_js(move || {
                tell(&owner, Input::Closed { epoch, code: ABNORMAL });
            })),
        }
    }

    fn with(&self, epoch: u32, act: impl FnOnce(&WebSocket)) {
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

/// As long as the browser keeps the socket: one that was closed is heard to its end.
fn listen(owner: Weak<Sockets>, epoch: u32, socket: &WebSocket) {
    let _ = Reflect::set(socket, &"binaryType".into(), &"arraybuffer".into());
    let handler = Closure::<dyn Fn(Event)>::new(move |event: Event| tell(&owner, read(epoch, &event))).into_js_value();
    for name in ["open", "message", "close"] {
        let _ = socket.add_event_listener_with_callback(name, handler.unchecked_ref());
    }
}

fn read(epoch: u32, event: &Event) -> Input {
    match event.type_().as_str() {
        "open" => Input::Opened { epoch },
        "close" => Input::Closed { epoch, code: field(event, "code").as_f64().map_or(ABNORMAL, |code| code as u16) },
        _ => {
            let data = field(event, "data");
            match data.as_string() {
                Some(text) => Input::Text { epoch, text },
                None => Input::Binary { epoch, bytes: Uint8Array::new(&data).to_vec() },
            }
        }
    }
}

fn tell(owner: &Weak<Sockets>, input: Input) {
    if let Some(sockets) = owner.upgrade() {
        (sockets.on_input)(input);
    }
}

fn close(socket: &WebSocket) {
    let _ = socket.close_with_code(GOING_AWAY);
}
