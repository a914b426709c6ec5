//! One suite for every backend of the store: in memory, natively and in WebAssembly, and IndexedDB in a browser.

use std::{cell::RefCell, rc::Rc};

use crate::store::{
    GENERATION, Key, MAX_NUMBER, MemoryStore, Operation, Reply, StoreError, StoreResult, Table, Transaction,
};
use crate::{
    engine::{Command, Config, Effect, Engine, Input, Now},
    json,
    json::Value,
    message::MessageId,
    rest::HttpError,
};

#[cfg(target_family = "wasm")]
use super::store::Scratch;

trait Backend: Sized {
    async fn run(&self, transaction: Transaction) -> StoreResult;

    /// A second connection to the same database, as another tab has it.
    async fn another(&self) -> Self;

    /// What `another` gave is not needed any more.
    fn close(self) {}
}

#[derive(Default)]
struct Memory(Rc<RefCell<MemoryStore>>);

impl Backend for Memory {
    async fn run(&self, transaction: Transaction) -> StoreResult {
        self.0.borrow_mut().run(&transaction)
    }

    async fn another(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

#[cfg(target_family = "wasm")]
impl Backend for Scratch {
    async fn run(&self, transaction: Transaction) -> StoreResult {
        Scratch::run(self, transaction).await
    }

    async fn another(&self) -> Self {
        Scratch::named(self.name.clone()).await
    }

    fn close(self) {
        self.store.close();
    }
}

/// Nothing in memory ever waits.
#[cfg(not(target_family = "wasm"))]
fn ready(case: impl Future<Output = ()>) {
    let waker = std::task::Waker::noop();
    assert!(std::pin::pin!(case).poll(&mut std::task::Context::from_waker(waker)).is_ready());
}

macro_rules! of_every_backend {
    ($($case:ident)*) => {
        #[cfg(not(target_family = "wasm"))]
        mod memory {
            $(#[test]
            fn $case() {
                super::ready(async { super::$case(&super::Memory::default()).await });
            })*
        }
        #[cfg(target_family = "wasm")]
        mod memory {
            use wasm_bindgen_test::wasm_bindgen_test;
            $(#[wasm_bindgen_test]
            async fn $case() {
                super::$case(&super::Memory::default()).await;
            })*
        }
        #[cfg(target_family = "wasm")]
        mod indexed_db {
            use wasm_bindgen_test::wasm_bindgen_test;
            $(#[wasm_bindgen_test]
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
    a_fresh_lease_keeps_everybody_else_out
    a_lease_that_ran_out_or_lasts_too_long_is_anybodys
    a_lease_is_renewed_and_given_up_under_its_generation_only
    a_range_has_both_its_ends_and_its_records_in_ascending_order
    a_range_is_deleted_with_both_its_ends
    numbers_are_ordered_as_numbers_and_conversations_are_kept_apart
    a_record_of_an_unknown_version_survives_beside_others
    an_empty_transaction_is_done_at_once
    a_key_is_later_than_every_key_that_was_committed_before
    a_read_sees_one_state_of_all_tables
    two_tabs_add_to_one_order_and_see_what_the_other_did
    a_lead_that_one_tab_takes_is_over_in_the_other
    a_long_queue_is_read_in_its_order
    the_largest_number_is_a_key_like_any_other
    rows_of_a_newer_version_survive_all_that_an_engine_does
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
        assert_eq!(
            store.run(strict([Operation::RaiseGeneration { first: 1 }])).await,
            Ok(vec![Reply::Key(generation)])
        );
    }
    let answers = store.run(strict([Operation::RaiseGeneration { first: 1 }, add(json!({}))]).of_generation(3)).await;
    assert_eq!(answers, Ok(vec![Reply::Key(4), Reply::Key(1)]));
}

async fn a_transaction_of_another_generation_changes_nothing(store: &impl Backend) {
    store.run(strict([Operation::RaiseGeneration { first: 1 }, add(json!({"id": "a"}))])).await.unwrap();
    for stale in [0, 2] {
        let writes = strict([add(json!({"id": "b"})), Operation::Delete { table: Table::Outbox, key: Key::Number(1) }]);
        assert_eq!(store.run(writes.of_generation(stale)).await, Err(StoreError::Robbed));
        assert_eq!(store.run(relaxed([outbox()]).of_generation(stale)).await, Err(StoreError::Robbed));
        assert_eq!(store.run(strict([]).of_generation(stale)).await, Err(StoreError::Robbed));
    }
    let answers = store.run(relaxed([outbox()]).of_generation(1)).await;
    assert_eq!(answers, Ok(vec![Reply::List(vec![json!({"id": "a", "key": 1})])]));
}

async fn a_fresh_lease_keeps_everybody_else_out(store: &impl Backend) {
    let take = |owner, now| strict([lease(owner, now), Operation::RaiseGeneration { first: 1 }]);
    assert_eq!(store.run(take(1, 100_000)).await, Ok(vec![Reply::Done, Reply::Key(1)]));
    for now in [100_000, 114_999] {
        let with_more = strict([add(json!({"id": "a"})), Operation::RaiseGeneration { first: 1 }, lease(2, now)]);
        assert_eq!(store.run(with_more).await, Err(StoreError::Leased { until: 115_000 }));
    }
    assert_eq!(records(store, outbox()).await, [] as [Value; 0], "all of it is undone");
    assert_eq!(store.run(take(1, 105_000)).await, Ok(vec![Reply::Done, Reply::Key(2)]), "its owner takes it again");
    assert_eq!(store.run(take(2, 119_999)).await, Err(StoreError::Leased { until: 120_000 }));
}

async fn a_lease_that_ran_out_or_lasts_too_long_is_anybodys(store: &impl Backend) {
    store.run(strict([lease(1, 100_000)])).await.unwrap();
    assert_eq!(store.run(strict([lease(2, 115_000)])).await, Ok(vec![Reply::Done]), "it ran out");
    assert_eq!(store.run(strict([lease(1, 115_000)])).await, Err(StoreError::Leased { until: 130_000 }));
    assert_eq!(store.run(strict([lease(1, 114_999)])).await, Ok(vec![Reply::Done]), "the clock was set back");
    store.run(strict([put(Table::Meta, json!({"v": 1, "name": "lease", "owner": "?"}))])).await.unwrap();
    assert_eq!(store.run(strict([lease(3, 1)])).await, Ok(vec![Reply::Done]), "what cannot be read holds nobody up");
}

async fn a_lease_is_renewed_and_given_up_under_its_generation_only(store: &impl Backend) {
    store.run(strict([lease(1, 100_000), Operation::RaiseGeneration { first: 1 }])).await.unwrap();
    assert_eq!(store.run(relaxed([lease(1, 110_000)]).of_generation(1)).await, Ok(vec![Reply::Done]));
    store.run(strict([lease(2, 125_000), Operation::RaiseGeneration { first: 1 }])).await.unwrap();
    let give_up = || relaxed([Operation::Delete { table: Table::Meta, key: Key::Text("lease".into()) }]);
    assert_eq!(store.run(relaxed([lease(1, 140_000)]).of_generation(1)).await, Err(StoreError::Robbed));
    assert_eq!(store.run(give_up().of_generation(1)).await, Err(StoreError::Robbed));
    assert_eq!(store.run(strict([lease(3, 126_000)])).await, Err(StoreError::Leased { until: 140_000 }));
    assert_eq!(store.run(give_up().of_generation(2)).await, Ok(vec![Reply::Done]));
    assert_eq!(store.run(strict([lease(3, 126_000)])).await, Ok(vec![Reply::Done]));
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

async fn a_key_is_later_than_every_key_that_was_committed_before(store: &impl Backend) {
    let fine = || add(json!({"id": "a"}));
    assert_eq!(store.run(strict([fine()])).await, Ok(vec![Reply::Key(1)]));
    let aborted = store.run(strict([fine(), put(Table::Outbox, json!({"no": "key"}))])).await;
    assert!(matches!(aborted, Err(StoreError::Failed(_))));
    // A key that nobody ever saw is free again; one that was put moves the count.
    assert_eq!(store.run(strict([fine()])).await, Ok(vec![Reply::Key(2)]));
    store.run(strict([put(Table::Outbox, json!({"key": 9}))])).await.unwrap();
    assert_eq!(store.run(strict([fine()])).await, Ok(vec![Reply::Key(10)]));
}

async fn a_read_sees_one_state_of_all_tables(store: &impl Backend) {
    let generation = Operation::Get { table: Table::Meta, key: Key::Text(GENERATION.into()) };
    let other = store.another().await;
    for n in 1..=10 {
        let write = other.run(strict([add(json!({})), Operation::RaiseGeneration { first: 1 }]));
        let read = store.run(relaxed([outbox(), generation.clone(), outbox()]));
        let (written, seen) = both(write, read).await;
        assert!(written.is_ok());
        let Ok([Reply::List(before), Reply::Value(generation), Reply::List(after)]) = seen.as_deref() else {
            panic!("{seen:?}");
        };
        let generation = generation.as_ref().and_then(|record| record["value"].as_u64()).unwrap_or(0);
        assert_eq!(before, after);
        assert_eq!(before.len() as u64, generation, "all of a write is seen, or nothing");
        assert!((n - 1..=n).contains(&generation));
    }
    other.close();
}

async fn two_tabs_add_to_one_order_and_see_what_the_other_did(store: &impl Backend) {
    let other = store.another().await;
    for n in 0..10 {
        let one = store.run(strict([add(json!({"of": "one", "n": n}))]));
        let two = other.run(strict([add(json!({"of": "two", "n": n}))]));
        let (one, two) = both(one, two).await;
        assert!(one.is_ok() && two.is_ok());
    }
    let (one, two) = (records(store, outbox()).await, records(&other, outbox()).await);
    assert_eq!(one, two);
    let keys: Vec<u64> = one.iter().map(|row| row["key"].as_u64().unwrap()).collect();
    assert_eq!(keys, (1..=20).collect::<Vec<_>>());
    for of in ["one", "two"] {
        let mine: Vec<u64> = one.iter().filter(|row| row["of"] == of).map(|row| row["n"].as_u64().unwrap()).collect();
        assert_eq!(mine, (0..10).collect::<Vec<_>>(), "each tab's in its own order");
    }
    other.close();
}

async fn a_lead_that_one_tab_takes_is_over_in_the_other(store: &impl Backend) {
    let other = store.another().await;
    assert_eq!(store.run(strict([Operation::RaiseGeneration { first: 1 }])).await, Ok(vec![Reply::Key(1)]));
    assert!(store.run(strict([add(json!({}))]).of_generation(1)).await.is_ok());
    assert_eq!(other.run(strict([Operation::RaiseGeneration { first: 1 }])).await, Ok(vec![Reply::Key(2)]));
    assert_eq!(store.run(strict([add(json!({}))]).of_generation(1)).await, Err(StoreError::Robbed));
    assert!(other.run(strict([add(json!({}))]).of_generation(2)).await.is_ok());
    assert_eq!(records(store, outbox()).await.len(), 2);
    other.close();
}

async fn a_long_queue_is_read_in_its_order(store: &impl Backend) {
    const ROWS: u64 = 10_000;
    let batch = |from: u64| (from..from + 1_000).map(|n| add(json!({"n": n}))).collect();
    for from in (0..ROWS).step_by(1_000) {
        store.run(Transaction::strict(batch(from))).await.unwrap();
    }
    let rows = records(store, outbox()).await;
    assert_eq!(rows.len() as u64, ROWS);
    assert!(rows.iter().zip(0..).all(|(row, n)| row["n"] == n && row["key"] == n + 1));
    let tail = Operation::List { table: Table::Outbox, from: Key::Number(ROWS), to: Key::Number(MAX_NUMBER) };
    assert_eq!(records(store, tail).await.len(), 1);
}

async fn the_largest_number_is_a_key_like_any_other(store: &impl Backend) {
    store.run(relaxed([row("b1", MAX_NUMBER), row("b1", MAX_NUMBER - 1)])).await.unwrap();
    store.run(strict([put(Table::Outbox, json!({"key": MAX_NUMBER}))])).await.unwrap();
    assert_eq!(seqs(store, "b1", 1, MAX_NUMBER).await, [MAX_NUMBER - 1, MAX_NUMBER]);
    let queue = Operation::List { table: Table::Outbox, from: Key::Number(0), to: Key::Number(MAX_NUMBER) };
    assert_eq!(records(store, queue.clone()).await, [json!({"key": MAX_NUMBER})]);
    let delete = Operation::Delete { table: Table::Outbox, key: Key::Number(MAX_NUMBER) };
    store.run(strict([delete])).await.unwrap();
    assert_eq!(records(store, queue).await, [] as [Value; 0]);
}

/// Start, send, fail, retry, and a sign-out that discards: on a queue in which a newer version has rows too.
async fn rows_of_a_newer_version_survive_all_that_an_engine_does(store: &impl Backend) {
    let newer: Value = json::parse(include_str!("../golden/newer.json")).unwrap();
    let newer = newer["outbox"].as_array().unwrap();
    store.run(Transaction::strict(newer.iter().map(|row| put(Table::Outbox, row.clone())).collect())).await.unwrap();
    let config = Config {
        url: "http://localhost:1".into(),
        api_key: "key".into(),
        user_id: Some("u1".into()),
        sender_role: None,
        resume_on_reconnect: true,
        auto_read: true,
        ticks_of_all: false,
        keep_messages: 50_000,
        request_timeout_ms: 1_000,
        source: Default::default(),
        drain_only: false,
    };
    let mut tab = Tab { engine: Engine::new(config, 1), store, now: Now { mono: 1_000, wall: 1_795_415_400_000 } };
    tab.command(Command::Start { remembered_user: None, visible: true, online: true }).await;
    tab.command(Command::Open { conversation_id: "b1".into() }).await;
    for n in 0..3 {
        tab.command(Command::Send {
            op: n,
            id: MessageId::v7(u64::from(n), [1; 10]),
            conversation_id: "b1".into(),
            content: "ours".into(),
            message_type: "text".into(),
            metadata: json::empty_object(),
        })
        .await;
        tab.wait(60_000).await;
        tab.command(Command::Retry { op: 10 + n, conversation_id: None }).await;
    }
    assert_eq!(records(store, outbox()).await.len(), newer.len() + 3);
    tab.command(Command::Shutdown { op: 99, discard: true }).await;
    assert_eq!(records(store, outbox()).await, newer, "ours are discarded, the others are not ours to discard");
}

/// An engine on this backend, without a network.
struct Tab<'a, B> {
    engine: Engine,
    store: &'a B,
    now: Now,
}

impl<B: Backend> Tab<'_, B> {
    async fn command(&mut self, command: Command) {
        self.feed(Input::Command(command)).await;
    }

    async fn wait(&mut self, ms: u64) {
        let end = self.now.mono + ms;
        while let Some((at, _)) = self.engine.next_deadline().filter(|(at, _)| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            self.feed(Input::Timer).await;
        }
        self.now.mono = end;
    }

    async fn feed(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        while let Some(effect) = self.engine.poll_effect() {
            let input = match effect {
                Effect::OpenStore { .. } => Input::StoreOpened { result: Ok(()) },
                Effect::Store { request, transaction } => {
                    Input::Stored { request, result: self.store.run(transaction).await }
                }
                Effect::Http { request, .. } => Input::Http { request, result: Err(HttpError::Network) },
                Effect::FetchToken { request } => Input::Token { request, result: Ok(Some(TOKEN.into())) },
                Effect::AcquireLock { .. } => Input::LockGranted { exclusive: true },
                _ => continue,
            };
            self.engine.handle(self.now, input);
        }
        while self.engine.poll_update().is_some() {}
    }
}

/// `{"sub":"u1","iat":1,"exp":3601}`
const TOKEN: &str = "h.eyJzdWIiOiJ1MSIsImlhdCI6MSwiZXhwIjozNjAxfQ.s";

/// At the same time.
async fn both(
    one: impl Future<Output = StoreResult>,
    other: impl Future<Output = StoreResult>,
) -> (StoreResult, StoreResult) {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|context| {
        if first.is_none()
            && let std::task::Poll::Ready(result) = one.as_mut().poll(context)
        {
            first = Some(result);
        }
        if second.is_none()
            && let std::task::Poll::Ready(result) = other.as_mut().poll(context)
        {
            second = Some(result);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => std::task::Poll::Ready((one, other)),
            (one, other) => {
                (first, second) = (one, other);
                std::task::Poll::Pending
            }
        }
    })
    .await
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

fn lease(owner: u64, now: u64) -> Operation {
    Operation::TakeLease { owner, now }
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
