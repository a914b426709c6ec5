use crate::json;

use super::*;

#[test]
fn keys_of_the_outbox_count_up_and_are_never_used_again() {
    let mut store = MemoryStore::default();
    let add = Transaction::strict(vec![Operation::Add { value: json!({"id": "a"}) }]);
    assert_eq!(store.run(&add), Ok(vec![Reply::Key(1)]));
    store.run(&Transaction::strict(vec![Operation::Delete { table: Table::Outbox, key: Key::Number(1) }])).unwrap();
    assert_eq!(store.run(&add), Ok(vec![Reply::Key(2)]));
}

#[test]
fn a_transaction_of_an_older_generation_changes_nothing() {
    let mut store = MemoryStore::default();
    assert_eq!(store.run(&Transaction::strict(vec![Operation::RaiseGeneration])), Ok(vec![Reply::Key(1)]));
    let add = Transaction::strict(vec![Operation::Add { value: json!({}) }]);
    assert_eq!(store.run(&add.clone().of_generation(0)), Err(StoreError::Robbed));
    assert_eq!(store.table(Table::Outbox).count(), 0);
    assert!(store.run(&add.of_generation(1)).is_ok());
}

#[test]
fn one_bad_operation_undoes_the_whole_transaction() {
    let mut store = MemoryStore::default();
    let result = store.run(&Transaction::strict(vec![
        Operation::Put { table: Table::Conversations, value: json!({"id": "b1"}) },
        Operation::Put { table: Table::Conversations, value: json!({"no": "key"}) },
    ]));
    assert!(matches!(result, Err(StoreError::Failed(_))));
    assert_eq!(store.table(Table::Conversations).count(), 0);
}

#[test]
fn a_list_answers_the_records_of_its_range_in_ascending_order() {
    let mut store = MemoryStore::default();
    for seq in 1..=5 {
        let value = json!({"conversation_id": "b1", "seq": seq});
        store.run(&Transaction::relaxed(vec![Operation::Put { table: Table::Messages, value }])).unwrap();
    }
    let list = |from, to| Operation::List {
        table: Table::Messages,
        from: Key::Place("b1".into(), from),
        to: Key::Place("b1".into(), to),
    };
    let seqs = |reply: &Reply| match reply {
        Reply::List(values) => values.iter().filter_map(|value| value["seq"].as_u64()).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let replies = store.run(&Transaction::relaxed(vec![list(2, 4), list(4, 9), list(4, 2)])).unwrap();
    assert_eq!(replies.iter().map(seqs).collect::<Vec<_>>(), [vec![2, 3, 4], vec![4, 5], vec![]]);
}
