//! What tabs tell each other, over a BroadcastChannel.

use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, Event};

use super::value::{field, from_js, to_js};
use crate::tabs::TabMessage;

pub struct Tabs {
    channel: BroadcastChannel,
    _handler: Closure<dyn Fn(Event)>,
}

impl Tabs {
    /// `None` where there is no BroadcastChannel: announcements only make things sooner.
    pub fn join(name: &str, on_heard: impl Fn(TabMessage) + 'static) -> Option<Self> {
        let channel = BroadcastChannel::new(name).ok()?;
        let handler = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            if let Some(message) = TabMessage::from_value(&from_js(&field(&event, "data"))) {
                on_heard(message);
            }
        });
        channel.set_onmessage(Some(handler.as_ref().unchecked_ref()));
        Some(Self { channel, _handler: handler })
    }

    pub fn tell(&self, message: &TabMessage) {
        let _ = self.channel.post_message(&to_js(&message.to_value()));
    }
}

impl Drop for Tabs {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}
