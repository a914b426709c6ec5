//! Leadership: one Web Lock, held until it is released, stolen, or the page is gone.
//!
//! Web Locks exist in secure contexts only. Where the lock cannot be had (a development server on plain HTTP, a sandboxed
//! frame), it counts as granted a moment after it was asked for, to every tab alike: a lease in the database decides.
//!
//! A claim is queued, held, and over: given up by this tab, or stolen by another, which the browser tells by rejecting the
//! request. Stealing is a claim of its own: what was queued for before is given up first, or the browser would grant it
//! to this tab once more when the stolen lock is released.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_timers::callback::Timeout;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

use super::value::{field, global};

/// Options of a request.
const IF_FREE: &str = "ifAvailable";
const STEAL: &str = "steal";
/// So that a tab without Web Locks that gives up its lease does not take it again before others have looked.
const TURN_MS: u32 = 1_000;

#[wasm_bindgen]
extern "C" {
    type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(this: &LockManager, name: &str, options: &Object, held: &JsValue) -> Result<Promise, JsValue>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    Granted { exclusive: bool },
    Lost,
}

pub struct Locks {
    claim: RefCell<Option<Rc<Claim>>>,
    on_event: Rc<dyn Fn(LockEvent)>,
}

struct Claim {
    granted: Cell<bool>,
    given_up: Cell<bool>,
    queued: Option<AbortController>,
    /// Settled when the claim is given up: the browser holds the lock until then.
    over: Promise,
    end: Option<Function>,
    on_event: Rc<dyn Fn(LockEvent)>,
}

impl Locks {
    pub fn new(on_event: impl Fn(LockEvent) + 'static) -> Self {
        Self { claim: RefCell::default(), on_event: Rc::new(on_event) }
    }

    /// Gives up what was claimed before. `if_free`: what cannot be had at once is lost.
    pub fn acquire(&self, name: &str, if_free: bool) {
        self.claim(name, if if_free { Some(IF_FREE) } else { None });
    }

    /// From whoever holds it. A stolen lock is handed to the thief before all who wait.
    pub fn steal(&self, name: &str) {
        self.claim(name, Some(STEAL));
    }

    fn claim(&self, name: &str, how: Option<&str>) {
        self.release();
        let claim = Rc::new(Claim::new(Rc::clone(&self.on_event)));
        match claim.request(name, how) {
            Some(request) => spawn_local(Rc::clone(&claim).follow(request)),
            None => claim.grant_later(),
        }
        self.claim.replace(Some(claim));
    }

    pub fn release(&self) {
        if let Some(claim) = self.claim.take() {
            claim.give_up();
        }
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        self.release();
    }
}

impl Claim {
    fn new(on_event: Rc<dyn Fn(LockEvent)>) -> Self {
        // Not `Function::default()`, which evaluates a string: a page's content security policy forbids that.
        let mut end = None;
        let over = Promise::new(&mut |resolve, _| end = Some(resolve));
        let queued = AbortController::new().ok();
        Self { granted: Cell::new(false), given_up: Cell::new(false), queued, over, end, on_event }
    }

    fn request(self: &Rc<Self>, name: &str, how: Option<&str>) -> Option<Promise> {
        let options = Object::new();
        // No request may have both.
        let (option, value) = match how {
            Some(how) => (how, JsValue::TRUE),
            None => ("signal", self.queued.as_ref()?.signal().into()),
        };
        Reflect::set(&options, &option.into(), &value).ok()?;
        let claim = Rc::clone(self);
        let held = Closure::once_into_js(move |lock: JsValue| {
            if lock.is_null() {
                claim.tell(LockEvent::Lost);
                return JsValue::UNDEFINED;
            }
            claim.grant(true);
            claim.over.clone().into()
        });
        lock_manager()?.request(name, &options, &held).ok()
    }

    async fn follow(self: Rc<Self>, request: Promise) {
        match JsFuture::from(request).await {
            Ok(_) => {}
            Err(_) if self.granted.get() => self.tell(LockEvent::Lost),
            Err(_) => self.grant_later(),
        }
    }

    fn grant_later(self: &Rc<Self>) {
        let claim = Rc::clone(self);
        Timeout::new(TURN_MS, move || claim.grant(false)).forget();
    }

    fn grant(&self, exclusive: bool) {
        self.granted.set(true);
        self.tell(LockEvent::Granted { exclusive });
    }

    fn tell(&self, event: LockEvent) {
        if !self.given_up.get() {
            (self.on_event)(event);
        }
    }

    fn give_up(&self) {
        self.given_up.set(true);
        if let Some(queued) = &self.queued {
            queued.abort();
        }
        if let Some(end) = &self.end {
            let _ = end.call0(&JsValue::UNDEFINED);
        }
    }
}

fn lock_manager() -> Option<LockManager> {
    let locks = field(&global("navigator"), "locks");
    locks.is_object().then(|| locks.unchecked_into())
}
