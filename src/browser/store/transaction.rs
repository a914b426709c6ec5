//! One transaction: every request at once, then its end.

use std::{cell::Cell, rc::Rc};

use idb::KeyRange;
use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, IdbObjectStore, IdbRequest, IdbTransaction};

use crate::{
    browser::value::{from_js, to_js},
    json::number,
    store::{
        GENERATION, Key, Operation, Reply, StoreError, StoreResult, Table, Transaction, generation_record, key_of,
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

pub async fn perform(begun: IdbTransaction, transaction: &Transaction) -> StoreResult {
    let ended = Promise::new(&mut |resolve, _| {
        begun.set_oncomplete(Some(&resolve));
        begun.set_onabort(Some(&resolve));
    });
    let robbed = Rc::new(Cell::new(false));
    let guard = transaction.generation.map(|expected| abort_unless(&begun, expected, &robbed)).transpose();
    let pending = guard.and_then(|guard| {
        let pending: Result<Vec<_>, _> = transaction.operations.iter().map(|asked| issue(&begun, asked)).collect();
        pending.map(|pending| (guard, pending))
    });
    match pending {
        Err(_) => {
            let _ = begun.abort();
        }
        Ok(_) if !goes_on(transaction) => commit(&begun),
        Ok(_) => {}
    }
    let event = JsFuture::from(ended).await;

    if robbed.get() {
        return Err(StoreError::Robbed);
    }
    let (_guard, pending) = pending?;
    let committed = event.is_ok_and(|event| event.unchecked_into::<Event>().type_() == "complete");
    if !committed {
        return Err(abort_reason(&begun));
    }
    pending.into_iter().map(reply).collect()
}

/// Is there more to do when the generation is known?
fn goes_on(transaction: &Transaction) -> bool {
    let raises = |operation: &Operation| matches!(operation, Operation::RaiseGeneration);
    transaction.generation.is_some() || transaction.operations.iter().any(raises)
}

/// Nothing more is asked for: from here on it ends without this page, which may be frozen or stuck, and whose open
/// transaction would block every other tab's. Where that cannot be said, it ends by itself when all is answered.
fn commit(begun: &IdbTransaction) {
    let _ = begun.unchecked_ref::<Committable>().commit();
}

fn table_of(operation: &Operation) -> Table {
    match operation {
        Operation::Add { .. } => Table::Outbox,
        Operation::Put { table, .. }
        | Operation::Delete { table, .. }
        | Operation::DeleteRange { table, .. }
        | Operation::Get { table, .. }
        | Operation::List { table, .. } => *table,
        Operation::RaiseGeneration => Table::Meta,
    }
}

/// Reads the generation first of all, so that what was issued behind it is undone when it is another.
fn abort_unless(begun: &IdbTransaction, expected: u64, robbed: &Rc<Cell<bool>>) -> Result<Handler, StoreError> {
    let (begun, robbed) = (begun.clone(), Rc::clone(robbed));
    on_generation(&begun.clone(), move |generation, _| {
        if generation != expected {
            robbed.set(true);
            let _ = begun.abort();
        } else {
            commit(&begun);
        }
    })
}

fn issue(begun: &IdbTransaction, operation: &Operation) -> Result<Pending, StoreError> {
    let table = object_store(begun, table_of(operation))?;
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
        Operation::RaiseGeneration => raise_generation(begun)?,
    })
}

fn raise_generation(begun: &IdbTransaction) -> Result<Pending, StoreError> {
    let raised = Rc::new(Cell::new(0));
    let (begun, answer) = (begun.clone(), Rc::clone(&raised));
    let handler = on_generation(&begun.clone(), move |generation, meta| {
        answer.set(generation + 1);
        let record = generation_record(generation + 1);
        match meta.put(&to_js(&record)) {
            Ok(_) => commit(&begun),
            Err(_) => {
                let _ = begun.abort();
            }
        }
    })?;
    Ok(Pending::Generation { raised, _handler: handler })
}

fn on_generation(
    begun: &IdbTransaction,
    then: impl FnOnce(u64, &IdbObjectStore) + 'static,
) -> Result<Handler, StoreError> {
    let meta = object_store(begun, Table::Meta)?;
    let request = meta.get(&GENERATION.into()).map_err(failed)?;
    let answered = request.clone();
    let handler: Handler = Closure::once(move || then(generation_in(&answered), &meta));
    request.set_onsuccess(Some(handler.as_ref().unchecked_ref()));
    Ok(handler)
}

fn generation_in(request: &IdbRequest) -> u64 {
    let record = request.result().map(|record| from_js(&record)).unwrap_or_default();
    number(&record, "value").unwrap_or(0)
}

fn reply(pending: Pending) -> Result<Reply, StoreError> {
    Ok(match pending {
        Pending::Nothing => Reply::Done,
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
    Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string()).unwrap_or_else(|| "AbortError".into())
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
