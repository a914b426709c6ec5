//! The loop: whatever happens goes into the engine, whatever it asks for is done, what it says is passed on.
//!
//! The engine is borrowed only while it works, never while JavaScript runs. What happens in the meantime (an app that
//! sends a message while it is asked for its token) waits in the inbox. Updates are handed over in a microtask of their
//! own, so that no callback of the app ever runs inside one of its calls.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
};

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::{
    clock, convert, entropy,
    http::Http,
    locks::{LockEvent, Locks},
    page::Page,
    panic, remember,
    socket::Sockets,
    store::{Lost, Store},
    tabs::Tabs,
    timer::{Due, Timer},
    value::{field, to_js},
};
use crate::{
    engine::{Config, Effect, Engine, Input, PageEvent, RequestId, Update},
    store::{StoreError, Transaction},
};

#[wasm_bindgen]
extern "C" {
    /// What the app brings.
    pub type Host;

    #[wasm_bindgen(method, catch, js_name = accessToken)]
    fn access_token(this: &Host) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch, js_name = onUpdates)]
    fn on_updates(this: &Host, updates: &Array) -> Result<(), JsValue>;
}

pub struct Driver {
    this: Weak<Driver>,
    host: Host,
    engine: RefCell<Engine>,
    inbox: RefCell<VecDeque<Input>>,
    working: Cell<bool>,
    updates: RefCell<Vec<Update>>,
    delivery_due: Cell<bool>,
    timer: Timer,
    http: Rc<Http>,
    sockets: Rc<Sockets>,
    locks: Locks,
    store: RefCell<Option<Rc<Store>>>,
    /// Counts the databases asked for: one that opens late is not wanted any more.
    store_epoch: Cell<u32>,
    tabs: RefCell<Option<Tabs>>,
    page: RefCell<Option<Page>>,
}

impl Driver {
    pub fn new(config: Config, host: Host) -> Rc<Self> {
        panic::watch(&host);
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            host,
            engine: RefCell::new(Engine::new(config, entropy::seed())),
            inbox: RefCell::default(),
            working: Cell::new(false),
            updates: RefCell::default(),
            delivery_due: Cell::new(false),
            timer: Timer::new(Self::ear(this, on_due)),
            http: Rc::default(),
            sockets: Rc::new(Sockets::new(Self::ear(this, Input::Socket))),
            locks: Locks::new(Self::ear(this, on_lock)),
            store: RefCell::default(),
            store_epoch: Cell::new(0),
            tabs: RefCell::default(),
            page: RefCell::default(),
        })
    }

    pub fn listen_to_page(&self) {
        self.page.replace(Some(Page::listen(Self::ear(&self.this, Input::Page))));
    }

    pub fn feed(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
        if self.working.replace(true) {
            return;
        }
        self.deliver_soon();
        while let Some(input) = self.next_input() {
            self.engine.borrow_mut().handle(clock::now(), input);
            while let Some(effect) = self.next_effect() {
                self.perform(effect);
            }
            while let Some(update) = self.next_update() {
                self.updates.borrow_mut().push(update);
            }
        }
        let deadline = self.engine.borrow().next_deadline();
        self.timer.arm(clock::now(), deadline.map(|(due, _reason)| due));
        self.working.set(false);
    }

    fn next_input(&self) -> Option<Input> {
        self.inbox.borrow_mut().pop_front()
    }

    fn next_effect(&self) -> Option<Effect> {
        self.engine.borrow_mut().poll_effect()
    }

    fn next_update(&self) -> Option<Update> {
        self.engine.borrow_mut().poll_update()
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::OpenStore { name } => self.open_store(name),
            Effect::Store { request, transaction } => self.run(request, transaction),
            Effect::LetTransactionsGo => {
                if let Some(store) = &*self.store.borrow() {
                    store.let_go();
                }
            }
            Effect::Http { request, http } => {
                let done = Self::ear(&self.this, move |result| Input::Http { request, result });
                self.http.send(request, http, done);
            }
            Effect::AbortHttp { request } => self.http.abort(request),
            Effect::FetchToken { request } => self.fetch_token(request),
            Effect::Socket(output) => self.sockets.perform(output),
            Effect::AcquireLock { name, if_free } => self.locks.acquire(&name, if_free),
            Effect::StealLock { name } => self.locks.steal(&name),
            Effect::ReleaseLock => self.locks.release(),
            Effect::JoinTabs { name } => {
                if self.tabs.borrow().is_none() {
                    self.tabs.replace(Tabs::join(&name, Self::ear(&self.this, Input::Heard)));
                }
            }
            Effect::LeaveTabs => drop(self.tabs.take()),
            Effect::Tell(message) => {
                if let Some(tabs) = &*self.tabs.borrow() {
                    tabs.tell(&message);
                }
            }
            Effect::RememberUser { key, user_id } => remember::remember(&key, &user_id),
            Effect::CloseAll => self.close_all(),
        }
    }

    fn open_store(&self, name: String) {
        let epoch = self.close_store();
        let this = self.this.clone();
        spawn_local(async move {
            let opened = Store::open(&name, Self::ear(&this, on_lost)).await;
            let Some(driver) = this.upgrade().filter(|driver| driver.store_epoch.get() == epoch) else {
                return opened.map(|store| store.close()).unwrap_or_default();
            };
            let result = opened.map(|store| drop(driver.store.replace(Some(store))));
            driver.feed(Input::StoreOpened { result });
        });
    }

    fn close_store(&self) -> u32 {
        if let Some(store) = self.store.take() {
            store.close();
        }
        self.store_epoch.set(self.store_epoch.get() + 1);
        self.store_epoch.get()
    }

    fn run(&self, request: RequestId, transaction: Transaction) {
        let done = Self::ear(&self.this, move |result| Input::Stored { request, result });
        match &*self.store.borrow() {
            Some(store) => store.run(transaction, done),
            None => done(Err(StoreError::Unavailable("the database is not open".into()))),
        }
    }

    fn fetch_token(&self, request: RequestId) {
        let asked = self.host.access_token();
        let this = self.this.clone();
        spawn_local(async move {
            let answer = match asked {
                Ok(promise) => JsFuture::from(Promise::resolve(&promise)).await,
                Err(thrown) => Err(thrown),
            };
            if let Some(driver) = this.upgrade() {
                driver.feed(Input::Token { request, result: read_token(answer) });
            }
        });
    }

    fn close_all(&self) {
        self.http.abort_all();
        self.sockets.close_all();
        self.locks.release();
        self.close_store();
        self.tabs.take();
        self.page.take();
    }

    fn deliver_soon(&self) {
        if !self.delivery_due.replace(true) {
            let this = self.this.clone();
            panic::queue_microtask(&Closure::once_into_js(move || {
                if let Some(driver) = this.upgrade() {
                    driver.deliver();
                }
            }));
        }
    }

    fn deliver(&self) {
        self.delivery_due.set(false);
        // Microtasks run when nothing else does: whoever is still at work has come to grief.
        if self.working.get() {
            return panic::report("trapped");
        }
        let updates = self.updates.take();
        if updates.is_empty() {
            return;
        }
        let updates: Array = updates.into_iter().map(|update| to_js(&convert::update(update))).collect();
        if let Err(thrown) = self.host.on_updates(&updates) {
            // The app's own mistake, reported as one, but not unwinding through this module.
            let _ = Promise::reject(&thrown);
        }
    }

    fn ear<T>(this: &Weak<Self>, heard: impl Fn(T) -> Input + 'static) -> impl Fn(T) + 'static {
        let this = this.clone();
        move |event| {
            if let Some(driver) = this.upgrade() {
                driver.feed(heard(event));
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        panic::unwatch(&self.host);
        self.close_all();
    }
}

fn on_due(due: Due) -> Input {
    match due {
        Due::OnTime => Input::Timer,
        Due::AfterJump => Input::Page(PageEvent::Resumed),
    }
}

fn on_lock(event: LockEvent) -> Input {
    match event {
        LockEvent::Granted { exclusive } => Input::LockGranted { exclusive },
        LockEvent::Lost => Input::LockLost,
    }
}

fn on_lost(lost: Lost) -> Input {
    Input::StoreLost { outdated: lost == Lost::Outdated }
}

/// Of an error only its name: its message may quote a secret.
fn read_token(answer: Result<JsValue, JsValue>) -> Result<Option<String>, String> {
    match answer {
        Ok(token) if token.is_null() || token.is_undefined() => Ok(None),
        Ok(token) => token.as_string().map(Some).ok_or_else(|| "it is not text".into()),
        Err(thrown) => Err(field(&thrown, "name").as_string().unwrap_or_else(|| "it was rejected".into())),
    }
}
