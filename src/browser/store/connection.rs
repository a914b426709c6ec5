//! Opening the database and noticing that it was closed under us.

use std::rc::Rc;

use gloo_timers::callback::Timeout;
use idb::{
    Database, DatabaseEvent, Error, Event, Factory, KeyPath, ObjectStoreParams, Request, event::VersionChangeEvent,
    request::OpenDatabaseRequest,
};
use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbTransaction};

use super::{Lost, transaction::error_name};
use crate::store::{Durability, StoreError, Table, Transaction};

/// Of the layout. Records carry their own version; this one is not meant to rise.
const LAYOUT: u32 = 1;
/// A tab that sleeps with an older layout open blocks us without any event.
const OPEN_LIMIT_MS: u32 = 3_000;

pub struct Connection {
    raw: IdbDatabase,
    /// Owns the event handlers.
    _handlers: Database,
}

#[wasm_bindgen]
extern "C" {
    type DurableDatabase;

    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(this: &DurableDatabase, tables: &Array, mode: &str, options: &Object) -> Result<IdbTransaction, JsValue>;
}

impl Connection {
    pub async fn open(name: &str, on_lost: impl Fn(Lost) + 'static) -> Result<Self, StoreError> {
        let factory = Factory::new().map_err(|_| unavailable("there is no IndexedDB"))?;
        let mut request = factory.open(name, Some(LAYOUT)).map_err(|_| unavailable("IndexedDB may not be used"))?;
        request.on_upgrade_needed(migrate);
        let mut limit = None;
        let settled = Promise::new(&mut |resolve, _| limit = Some(resolve_when_settled(&mut request, &resolve)));
        let _ = JsFuture::from(settled).await;
        drop(limit);

        match request.result() {
            Ok(database) if !database.is_undefined() => Ok(Self::new(database.unchecked_into(), on_lost)),
            Ok(_) => Err(refusal(&request)),
            Err(_) => {
                close_when_it_opens(request);
                Err(unavailable("the database did not open in time"))
            }
        }
    }

    fn new(raw: IdbDatabase, on_lost: impl Fn(Lost) + 'static) -> Self {
        let on_lost = Rc::new(on_lost);
        let mut handlers = Database::from(raw.clone());
        let on_close = Rc::clone(&on_lost);
        handlers.on_close(move |_| on_close(Lost::Connection));
        handlers.on_version_change(move |_| on_lost(Lost::Outdated));
        Self { raw, _handlers: handlers }
    }

    pub fn begin(&self, tables: &[&'static str], transaction: &Transaction) -> Result<IdbTransaction, StoreError> {
        let tables: Array = tables.iter().map(|table| JsValue::from_str(table)).collect();
        let mode = if transaction.is_read_only() { "readonly" } else { "readwrite" };
        let durability = match transaction.durability {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        };
        let options = Object::new();
        let _ = Reflect::set(&options, &"durability".into(), &durability.into());
        let database: &DurableDatabase = self.raw.unchecked_ref();
        database.begin(&tables, mode, &options).map_err(|error| StoreError::Failed(error_name(&error)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.raw.close();
    }
}

fn migrate(event: VersionChangeEvent) {
    if create_tables(&event).is_err()
        && let Some(transaction) = event.target().ok().and_then(|request| request.transaction())
    {
        let _ = transaction.abort();
    }
}

fn create_tables(event: &VersionChangeEvent) -> Result<(), Error> {
    let database = event.database()?;
    if event.old_version()? < 1 {
        for table in Table::ALL {
            let mut params = ObjectStoreParams::new();
            params.auto_increment(table == Table::Outbox);
            params.key_path(Some(key_path(table)));
            database.create_object_store(table.name(), params)?;
        }
    }
    Ok(())
}

fn key_path(table: Table) -> KeyPath {
    match table {
        Table::Outbox => KeyPath::new_single("key"),
        Table::Messages => KeyPath::new_array(["conversation_id", "seq"]),
        Table::Conversations => KeyPath::new_single("id"),
        Table::Meta => KeyPath::new_single("name"),
    }
}

fn resolve_when_settled(request: &mut OpenDatabaseRequest, resolve: &Function) -> Timeout {
    let once = || {
        let resolve = resolve.clone();
        move || drop(resolve.call0(&JsValue::UNDEFINED))
    };
    let (succeeded, failed) = (once(), once());
    request.on_success(move |_| succeeded());
    request.on_error(move |_| failed());
    Timeout::new(OPEN_LIMIT_MS, once())
}

/// A connection that nobody knows of would block every tab that wants another layout.
fn close_when_it_opens(mut request: OpenDatabaseRequest) {
    request.on_success(|event| {
        if let Ok(database) = event.target().and_then(|request| request.database()) {
            database.close();
        }
    });
    request.forget_callbacks();
}

fn refusal(request: &OpenDatabaseRequest) -> StoreError {
    let error = request.error().ok().flatten().map(JsValue::from).unwrap_or_default();
    match error_name(&error).as_str() {
        "VersionError" => StoreError::Outdated,
        name => unavailable(name),
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.into())
}
