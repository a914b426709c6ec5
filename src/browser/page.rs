//! What happens to the page, from its window and its document. A worker has neither and is always visible.

use wasm_bindgen::prelude::*;
use web_sys::{Event, EventTarget};

use super::value::{field, global};
use crate::engine::PageEvent;

const OF_WINDOW: [&str; 4] = ["online", "offline", "pageshow", "pagehide"];
const OF_DOCUMENT: [&str; 3] = ["visibilitychange", "freeze", "resume"];

pub struct Page {
    listening: Vec<(EventTarget, &'static str)>,
    handler: Closure<dyn Fn(Event)>,
}

impl Page {
    pub fn listen(on_event: impl Fn(PageEvent) + 'static) -> Self {
        let handler = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            if let Some(event) = read(&event) {
                on_event(event);
            }
        });
        let mut page = Self { listening: Vec::new(), handler };
        page.add(js_sys::global().into(), &OF_WINDOW);
        page.add(global("document"), &OF_DOCUMENT);
        page
    }

    fn add(&mut self, target: JsValue, names: &[&'static str]) {
        if !target.is_object() {
            return;
        }
        let target: EventTarget = target.unchecked_into();
        for name in names {
            let _ = target.add_event_listener_with_callback(name, self.handler.as_ref().unchecked_ref());
            self.listening.push((target.clone(), name));
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for (target, name) in &self.listening {
            let _ = target.remove_event_listener_with_callback(name, self.handler.as_ref().unchecked_ref());
        }
    }
}

pub fn is_visible() -> bool {
    field(&global("document"), "visibilityState").as_string().as_deref() != Some("hidden")
}

pub fn is_online() -> bool {
    field(&global("navigator"), "onLine").as_bool() != Some(false)
}

fn read(event: &Event) -> Option<PageEvent> {
    Some(match event.type_().as_str() {
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "visibilitychange" if is_visible() => PageEvent::Visible,
        "visibilitychange" => PageEvent::Hidden,
        "pageshow" => PageEvent::Shown { persisted: field(event, "persisted").is_truthy() },
        "pagehide" => PageEvent::Leaving,
        "freeze" => PageEvent::Frozen,
        "resume" => PageEvent::Resumed,
        _ => return None,
    })
}
