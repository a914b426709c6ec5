//! One transaction: every request at once, then its end.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use idb::KeyRange;
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, IdbObjectStore, IdbRequest, IdbTransaction};

use crate::{
    browser::value::{field, from_js, to_js},
    json::{Value, number},
    store::{
        GENERATION, Key, LEASE, Lease, Operation, Reply, StoreError, StoreResult, Table, Transaction,
        generation_record, key_of,
    },
};

/// What a request will have brought when the transaction is complete.
enum Pending {
    Nothing,
    EmptyRange,
    Key(IdbRequest),
    Value(IdbRequest),
    List(IdbRequest),
    Generation { raised: Rc<Cell<u64>>, _handler: Handler },
    Lease { _handler: Handler },
}

type Handler = Closure<dyn FnMut()>;

#[wasm_bindgen]
extern "C" {
    /// An `IdbTransaction`; web-sys calls its `commit` deprecated, which no browser does.
    type Committable;

    #[wasm_bindgen(method, catch)]
    fn commit(this: &Committable) -> Result<(), JsValue>;
}

pub fn tables(transaction: &Transaction) -> Vec<&'static str> {
    let mut tables: Vec<Table> = transaction.operations.iter().map(table_of).collect();
    if transaction.generation.is_some() {
        tables.push(Table::Meta);
    }
    tables.sort_unstable();
    tables.dedup();
    tables.into_iter().map(Table::name).collect()
}

/// A transaction whose course may depend on what it reads.
pub struct Course {
    begun: IdbTransaction,
    /// What was read and not yet acted upon.
    open: Cell<u32>,
    /// Why it was aborted from within.
    refusal: RefCell<Option<StoreError>>,
}

impl Course {
    pub fn new(begun: IdbTransaction) -> Rc<Self> {
        Rc::new(Self { begun, open: Cell::new(0), refusal: RefCell::default() })
    }

    /// Undone, unless nothing more is asked for.
    pub fn let_go(&self) {
        if self.open.get() > 0 {
            self.refuse(StoreError::Robbed);
        }
    }

    fn refuse(&self, error: StoreError) {
        self.refusal.replace(Some(error));
        self.abort();
    }

    fn put(&self, table: &IdbObjectStore, record: &Value) {
        match table.put(&to_js(record)) {
            Ok(_) => self.commit_unless_open(),
            Err(_) => self.abort(),
        }
    }

    fn abort(&self) {
        let _ = self.begun.abort();
    }

    /// Nothing more is asked for: from here on it ends without this page, which may be frozen or stuck, and whose open
    /// transaction would block every other tab's. Where that cannot be said, it ends by itself when all is answered.
    fn commit_unless_open(&self) {
        if self.open.get() == 0 {
            let _ = self.begun.unchecked_ref::<Committable>().commit();
        }
    }
}

pub async fn perform(course: &Rc<Course>, transaction: &Transaction) -> StoreResult {
    let ended = Promise::new(&mut |resolve, _| {
        course.begun.set_oncomplete(Some(&resolve));
        course.begun.set_onabort(Some(&resolve));
    });
    let guard = transaction.generation.map(|expected| refuse_unless(course, expected)).transpose();
    let pending = guard.and_then(|guard| {
        let pending: Result<Vec<_>, _> = transaction.operations.iter().map(|asked| issue(course, asked)).collect();
        pending.map(|pending| (guard, pending))
    });
    match pending {
        Ok(_) => course.commit_unless_open(),
        Err(_) => course.abort(),
    }
    let event = JsFuture::from(ended).await;

    if let Some(refusal) = course.refusal.take() {
        return Err(refusal);
    }
    let (_guard, pending) = pending?;
    let committed = event.is_ok_and(|event| event.unchecked_into::<Event>().type_() == "complete");
    if !committed {
        return Err(abort_reason(&course.begun));
    }
    pending.into_iter().map(reply).collect()
}

fn table_of(operation: &Operation) -> Table {
    match operation {
        Operation::Add { .. } => Table::Outbox,
        Operation::Put { table, .. }
        | Operation::Delete { table, .. }
        | Operation::DeleteRange { table, .. }
        | Operation::Get { table, .. }
        | Operation::List { table, .. } => *table,
        Operation::RaiseGeneration { .. } | Operation::TakeLease { .. } => Table::Meta,
    }
}

/// Reads the generation first of all, so that what was issued behind it is undone when it is another.
fn refuse_unless(course: &Rc<Course>, expected: u64) -> Result<Handler, StoreError> {
    on_meta(course, GENERATION, move |course, record, _| {
        if generation_in(&record) == expected {
            course.commit_unless_open();
        } else {
            course.refuse(StoreError::Robbed);
        }
    })
}

fn issue(course: &Rc<Course>, operation: &Operation) -> Result<Pending, StoreError> {
    let table = object_store(&course.begun, table_of(operation))?;
    Ok(match operation {
        Operation::Add { value } => Pending::Key(table.add(&to_js(value)).map_err(failed)?),
        Operation::Put { table: of, value } => {
            key_of(*of, value).ok_or_else(|| StoreError::Failed("a record without a key".into()))?;
            table.put(&to_js(value)).map_err(failed)?;
            Pending::Nothing
        }
        Operation::Delete { key, .. } => {
            table.delete(&key_to_js(key)).map_err(failed)?;
            Pending::Nothing
        }
        Operation::DeleteRange { from, to, .. } => {
            if let Some(range) = range(from, to)? {
                table.delete(&range).map_err(failed)?;
            }
            Pending::Nothing
        }
        Operation::Get { key, .. } => Pending::Value(table.get(&key_to_js(key)).map_err(failed)?),
        Operation::List { from, to, .. } => match range(from, to)? {
            Some(range) => Pending::List(table.get_all_with_key(&range).map_err(failed)?),
            None => Pending::EmptyRange,
        },
        Operation::RaiseGeneration { first } => raise_generation(course, *first)?,
        Operation::TakeLease { owner, now } => take_lease(course, *owner, *now)?,
    })
}

fn raise_generation(course: &Rc<Course>, first: u64) -> Result<Pending, StoreError> {
    let raised = Rc::new(Cell::new(0));
    let answer = Rc::clone(&raised);
    let handler = on_meta(course, GENERATION, move |course, record, meta| {
        let held = generation_in(&record);
        answer.set(if held == 0 { first } else { held + 1 });
        course.put(meta, &generation_record(answer.get()));
    })?;
    Ok(Pending::Generation { raised, _handler: handler })
}

fn take_lease(course: &Rc<Course>, owner: u64, now: u64) -> Result<Pending, StoreError> {
    let handler = on_meta(course, LEASE, move |course, record, meta| {
        match Lease::from_record(&record).and_then(|held| held.keeps_out(owner, now)) {
            Some(until) => course.refuse(StoreError::Leased { until }),
            None => course.put(meta, &Lease::new(owner, now).to_record()),
        }
    })?;
    Ok(Pending::Lease { _handler: handler })
}

/// Reads a record of the tabs, `null` where there is none, and goes on from there.
fn on_meta(
    course: &Rc<Course>,
    name: &str,
    then: impl FnOnce(&Course, Value, &IdbObjectStore) + 'static,
) -> Result<Handler, StoreError> {
    let meta = object_store(&course.begun, Table::Meta)?;
    let request = meta.get(&name.into()).map_err(failed)?;
    course.open.set(course.open.get() + 1);
    let (course, answered) = (Rc::clone(course), request.clone());
    let handler: Handler = Closure::once(move || {
        course.open.set(course.open.get() - 1);
        let record = answered.result().map(|record| from_js(&record)).unwrap_or_default();
        then(&course, record, &meta);
    });
    request.set_onsuccess(Some(handler.as_ref().unchecked_ref()));
    Ok(handler)
}

fn generation_in(record: &Value) -> u64 {
    number(record, "value").unwrap_or(0)
}

fn reply(pending: Pending) -> Result<Reply, StoreError> {
    Ok(match pending {
        Pending::Nothing | Pending::Lease { .. } => Reply::Done,
        Pending::EmptyRange => Reply::List(Vec::new()),
        Pending::Key(request) => Reply::Key(request.result().map_err(failed)?.as_f64().unwrap_or_default() as u64),
        Pending::Value(request) => {
            let record = request.result().map_err(failed)?;
            Reply::Value((!record.is_undefined()).then(|| from_js(&record)))
        }
        Pending::List(request) => {
            let records: Array = request.result().map_err(failed)?.unchecked_into();
            Reply::List(records.iter().map(|record| from_js(&record)).collect())
        }
        Pending::Generation { raised, .. } => Reply::Key(raised.get()),
    })
}

fn abort_reason(begun: &IdbTransaction) -> StoreError {
    let error = begun.error().map(JsValue::from).unwrap_or_default();
    failed(error)
}

fn failed(error: JsValue) -> StoreError {
    match error_name(&error).as_str() {
        "QuotaExceededError" => StoreError::Full,
        name => StoreError::Failed(name.into()),
    }
}

/// Of a DOMException. Its message is left out: it may quote a record.
pub fn error_name(error: &JsValue) -> String {
    field(error, "name").as_string().unwrap_or_else(|| "AbortError".into())
}

fn object_store(begun: &IdbTransaction, table: Table) -> Result<IdbObjectStore, StoreError> {
    begun.object_store(table.name()).map_err(failed)
}

/// `None` where it is empty, for which IndexedDB knows no range.
fn range(from: &Key, to: &Key) -> Result<Option<JsValue>, StoreError> {
    if from > to {
        return Ok(None);
    }
    let range = KeyRange::bound(&key_to_js(from), &key_to_js(to), None, None);
    range.map(|range| Some(range.into())).map_err(|_| StoreError::Failed("DataError".into()))
}

fn key_to_js(key: &Key) -> JsValue {
    match key {
        Key::Number(number) => JsValue::from_f64(*number as f64),
        Key::Text(text) => text.into(),
        Key::Place(text, number) => Array::of2(&text.into(), &JsValue::from_f64(*number as f64)).into(),
    }
}
