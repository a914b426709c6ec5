//! What JavaScript sees: one class. Every call returns at once; what comes of it arrives through `onUpdates`.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::{
    convert,
    driver::{Driver, Host},
    entropy, page, remember,
    value::{from_app, from_js},
};
use crate::{
    engine::{Command, Input},
    message::MessageId,
};

#[wasm_bindgen]
pub struct Core {
    driver: Rc<Driver>,
    /// Where it is remembered whose outbox it is.
    user_key: String,
}

#[wasm_bindgen]
impl Core {
    #[wasm_bindgen(constructor)]
    pub fn new(config: &JsValue, host: Host) -> Self {
        let config = convert::config(&from_js(config));
        let user_key = ["surechat:user:", &config.url].concat();
        Self { driver: Driver::new(config, host), user_key }
    }

    pub fn start(&self) {
        self.driver.listen_to_page();
        self.command(Command::Start {
            remembered_user: remember::recall(&self.user_key),
            visible: page::is_visible(),
            online: page::is_online(),
        });
    }

    pub fn send(&self, op: u32, conversation_id: String, content: String, message_type: String, metadata: &JsValue) {
        let id = new_id();
        let metadata = from_app(metadata);
        self.command(Command::Send { op, id, conversation_id, content, message_type, metadata });
    }

    pub fn open(&self, conversation_id: String) {
        self.command(Command::Open { conversation_id });
    }

    pub fn close(&self, conversation_id: String) {
        self.command(Command::Close { conversation_id });
    }

    pub fn reload(&self, op: u32, conversation_id: String) {
        self.command(Command::Reload { op, conversation_id });
    }

    pub fn load_older(&self, op: u32, conversation_id: String) {
        self.command(Command::LoadOlder { op, conversation_id });
    }

    pub fn list(&self, on: bool) {
        self.command(Command::List { on });
    }

    pub fn retry(&self, op: u32, conversation_id: Option<String>) {
        self.command(Command::Retry { op, conversation_id });
    }

    pub fn cancel(&self, op: u32, conversation_id: String, id: &str) {
        self.command(match MessageId::parse(id) {
            Some(id) => Command::Cancel { op, conversation_id, id },
            None => nothing(op, conversation_id),
        });
    }

    pub fn edit(&self, op: u32, conversation_id: String, id: &str, content: String) {
        self.command(match MessageId::parse(id) {
            Some(id) => Command::Edit { op, conversation_id, id, edit_id: new_id(), content },
            None => nothing(op, conversation_id),
        });
    }

    pub fn discard(&self, op: u32, conversation_id: String, id: &str) {
        let id = MessageId::parse(id).unwrap_or_else(new_id);
        self.command(Command::Discard { op, conversation_id, id });
    }

    pub fn mark_read(&self, conversation_id: String) {
        self.command(Command::MarkRead { conversation_id });
    }

    pub fn typing(&self, conversation_id: String, on: bool) {
        self.command(Command::Typing { conversation_id, on });
    }

    pub fn shutdown(&self, op: u32, discard: bool) {
        self.command(Command::Shutdown { op, discard });
    }

    fn command(&self, command: Command) {
        self.driver.feed(Input::Command(command));
    }
}

fn new_id() -> MessageId {
    MessageId::v7(js_sys::Date::now() as u64, entropy::bytes())
}

/// What is no message's id is the id of no message: answered as `not_found`.
fn nothing(op: u32, conversation_id: String) -> Command {
    Command::Discard { op, conversation_id, id: new_id() }
}
