//! One suite for every backend of the store.

use crate::store::{Key, MemoryStore, Operation, Reply, StoreError, StoreResult, Table, Transaction};
use crate::{json, json::Value};
use wasm_bindgen_test::wasm_bindgen_test;

use super::store::Scratch;

trait Backend {
    async fn run(&self, transaction: Transaction) -> StoreResult;
}

struct Memory(std::cell::RefCell<MemoryStore>);

impl Backend for Memory {
    async fn run(&self, transaction: Transaction) -> StoreResult {
        self.0.borrow_mut().run(&transaction)
    }
}

impl Backend for Scratch {
    async fn run(&self, transaction: Transaction) -> StoreResult {
        Scratch::run(self, transaction).await
    }
}

macro_rules! of_every_backend {
    ($($case:ident)*) => {
        mod memory {
            $(#[super::wasm_bindgen_test]
            async fn $case() {
                super::$case(&super::Memory(Default::default())).await;
            })*
        }
        mod indexed_db {
            $(#[super::wasm_bindgen_test]
            async fn $case() {
                let store = super::Scratch::new().await;
                super::$case(&store).await;
                store.delete().await;
            })*
        }
    };
}

of_every_backend! {
    keys_of_the_outbox_count_up_and_are_never_used_again
    a_record_is_read_as_it_was_written
    a_put_replaces_the_record_of_its_key_and_a_delete_removes_it
    one_bad_operation_undoes_the_whole_transaction
    the_generation_counts_up_from_one
    a_transaction_of_another_generation_changes_nothing
    a_range_has_both_its_ends_and_its_records_in_ascending_order
    a_range_is_deleted_with_both_its_ends
    numbers_are_ordered_as_numbers_and_conversations_are_kept_apart
    a_record_of_an_unknown_version_survives_beside_others
    an_empty_transaction_is_done_at_once
}

async fn keys_of_the_outbox_count_up_and_are_never_used_again(store: &impl Backend) {
    let two = strict([add(json!({"id": "a"})), add(json!({"id": "b"}))]);
    assert_eq!(store.run(two).await, Ok(vec![Reply::Key(1), Reply::Key(2)]));
    let delete = Operation::DeleteRange { table: Table::Outbox, from: Key::Number(0), to: Key::Number(u64::MAX) };
    assert_eq!(store.run(strict([delete])).await, Ok(vec![Reply::Done]));
    assert_eq!(store.run(strict([add(json!({"id": "c"}))])).await, Ok(vec![Reply::Key(3)]));
    assert_eq!(records(store, outbox()).await, [json!({"id": "c", "key": 3})]);
}

async fn a_record_is_read_as_it_was_written(store: &impl Backend) {
    let record = json!({
        "id": "conversation \u{1F469}\u{200D}\u{1F680} \u{202E}\u{FFFD}\u{FFFF}\u{10FFFF} \u{7F}\n\t\"'\\",
        "": "",
        "null": null,
        "yes": true,
        "no": false,
        "numbers": [0, -1, 1.5, 9_007_199_254_740_991_u64, -9_007_199_254_740_991_i64, 1e-7],
        "nested": {"list": [[], {}, [{"deep": ["x"]}]]},
        "content": "\u{E4}\u{1F600}".repeat(20_000),
    });
    let key = Key::Text(record["id"].as_str().unwrap().into());
    store.run(strict([put(Table::Conversations, record.clone())])).await.unwrap();
    let get = Operation::Get { table: Table::Conversations, key };
    assert_eq!(store.run(relaxed([get])).await, Ok(vec![Reply::Value(Some(record))]));
}

async fn a_put_replaces_the_record_of_its_key_and_a_delete_removes_it(store: &impl Backend) {
    let key = Key::Text("b1".into());
    let get = || Operation::Get { table: Table::Conversations, key: key.clone() };
    assert_eq!(store.run(relaxed([get()])).await, Ok(vec![Reply::Value(None)]));
    let put = |cursor: u64| put(Table::Conversations, json!({"id": "b1", "cursor": cursor}));
    let answers = store.run(relaxed([put(1), put(2), get()])).await.unwrap();
    assert_eq!(answers[2], Reply::Value(Some(json!({"id": "b1", "cursor": 2}))));
    let delete = Operation::Delete { table: Table::Conversations, key: key.clone() };
    let answers = store.run(relaxed([delete.clone(), get(), delete])).await;
    assert_eq!(answers, Ok(vec![Reply::Done, Reply::Value(None), Reply::Done]));
}

async fn one_bad_operation_undoes_the_whole_transaction(store: &impl Backend) {
    let fine = || add(json!({"id": "a"}));
    let without_key = put(Table::Messages, json!({"conversation_id": "b1", "seq": "one"}));
    let result = store.run(strict([fine(), without_key, fine()])).await;
    assert!(matches!(result, Err(StoreError::Failed(_))));
    assert_eq!(records(store, outbox()).await, [] as [Value; 0]);
    assert_eq!(records(store, all_of("b1")).await, [] as [Value; 0]);
    assert!(store.run(strict([fine()])).await.is_ok());
}

async fn the_generation_counts_up_from_one(store: &impl Backend) {
    for generation in 1..=3 {
        assert_eq!(store.run(strict([Operation::RaiseGeneration])).await, Ok(vec![Reply::Key(generation)]));
    }
    let answers = store.run(strict([Operation::RaiseGeneration, add(json!({}))]).of_generation(3)).await;
    assert_eq!(answers, Ok(vec![Reply::Key(4), Reply::Key(1)]));
}

async fn a_transaction_of_another_generation_changes_nothing(store: &impl Backend) {
    store.run(strict([Operation::RaiseGeneration, add(json!({"id": "a"}))])).await.unwrap();
    for stale in [0, 2] {
        let writes = strict([add(json!({"id": "b"})), Operation::Delete { table: Table::Outbox, key: Key::Number(1) }]);
        assert_eq!(store.run(writes.of_generation(stale)).await, Err(StoreError::Robbed));
        assert_eq!(store.run(relaxed([outbox()]).of_generation(stale)).await, Err(StoreError::Robbed));
        assert_eq!(store.run(strict([]).of_generation(stale)).await, Err(StoreError::Robbed));
    }
    let answers = store.run(relaxed([outbox()]).of_generation(1)).await;
    assert_eq!(answers, Ok(vec![Reply::List(vec![json!({"id": "a", "key": 1})])]));
}

async fn a_range_has_both_its_ends_and_its_records_in_ascending_order(store: &impl Backend) {
    store.run(relaxed([5, 1, 4, 2, 3].map(|seq| row("b1", seq)))).await.unwrap();
    assert_eq!(seqs(store, "b1", 2, 4).await, [2, 3, 4]);
    assert_eq!(seqs(store, "b1", 4, 9).await, [4, 5]);
    assert_eq!(seqs(store, "b1", 3, 3).await, [3]);
    assert_eq!(seqs(store, "b1", 0, u64::MAX).await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(store, "b1", 4, 2).await, [] as [u64; 0]);
}

async fn a_range_is_deleted_with_both_its_ends(store: &impl Backend) {
    store.run(relaxed([1, 2, 3, 4, 5].map(|seq| row("b1", seq)))).await.unwrap();
    let delete = |from, to| Operation::DeleteRange { table: Table::Messages, from: place(from), to: place(to) };
    assert_eq!(store.run(relaxed([delete(2, 4), delete(5, 1)])).await, Ok(vec![Reply::Done, Reply::Done]));
    assert_eq!(seqs(store, "b1", 0, u64::MAX).await, [1, 5]);
}

async fn numbers_are_ordered_as_numbers_and_conversations_are_kept_apart(store: &impl Backend) {
    store.run(relaxed([10, 9, 100, 1].map(|seq| row("b1", seq)))).await.unwrap();
    store.run(relaxed([row("b", 7), row("b10", 8), row("B1", 9)])).await.unwrap();
    assert_eq!(seqs(store, "b1", 0, u64::MAX).await, [1, 9, 10, 100]);
    let everything =
        Operation::List { table: Table::Messages, from: Key::Place(String::new(), 0), to: Key::Place("c".into(), 0) };
    let found = records(store, everything).await;
    let places: Vec<_> = found.iter().map(|row| row["conversation_id"].as_str().unwrap()).collect();
    assert_eq!(places, ["B1", "b", "b1", "b1", "b1", "b1", "b10"]);
}

async fn a_record_of_an_unknown_version_survives_beside_others(store: &impl Backend) {
    let strange = json!({"id": "later", "v": 99, "layout": {"unheard": ["of"]}});
    store.run(strict([put(Table::Outbox, json!({"key": 7, "v": 99, "x": 1}))])).await.unwrap();
    store.run(strict([put(Table::Conversations, strange.clone())])).await.unwrap();
    store.run(strict([put(Table::Conversations, json!({"id": "now", "v": 1})), row("later", 1)])).await.unwrap();
    let get = Operation::Get { table: Table::Conversations, key: Key::Text("later".into()) };
    assert_eq!(store.run(relaxed([get])).await, Ok(vec![Reply::Value(Some(strange))]));
    assert_eq!(records(store, outbox()).await, [json!({"key": 7, "v": 99, "x": 1})]);
}

async fn an_empty_transaction_is_done_at_once(store: &impl Backend) {
    assert_eq!(store.run(strict([])).await, Ok(vec![]));
}

pub fn strict<const N: usize>(operations: [Operation; N]) -> Transaction {
    Transaction::strict(operations.into())
}

pub fn relaxed<const N: usize>(operations: [Operation; N]) -> Transaction {
    Transaction::relaxed(operations.into())
}

pub fn add(value: Value) -> Operation {
    Operation::Add { value }
}

pub fn outbox() -> Operation {
    Operation::List { table: Table::Outbox, from: Key::Number(0), to: Key::Number(u64::MAX) }
}

fn put(table: Table, value: Value) -> Operation {
    Operation::Put { table, value }
}

fn row(conversation: &str, seq: u64) -> Operation {
    put(Table::Messages, json!({"conversation_id": conversation, "seq": seq}))
}

fn place(seq: u64) -> Key {
    Key::Place("b1".into(), seq)
}

fn all_of(conversation: &str) -> Operation {
    let at = |seq| Key::Place(conversation.into(), seq);
    Operation::List { table: Table::Messages, from: at(0), to: at(u64::MAX) }
}

async fn records(store: &impl Backend, list: Operation) -> Vec<Value> {
    match store.run(relaxed([list])).await.unwrap().remove(0) {
        Reply::List(records) => records,
        other => panic!("not a list: {other:?}"),
    }
}

async fn seqs(store: &impl Backend, conversation: &str, from: u64, to: u64) -> Vec<u64> {
    let at = |seq| Key::Place(conversation.into(), seq);
    let list = Operation::List { table: Table::Messages, from: at(from), to: at(to) };
    records(store, list).await.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}
