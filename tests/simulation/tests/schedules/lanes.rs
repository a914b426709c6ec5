//! 15 and 21: a bad one among good ones.

use simulation::server::Rules;
use surechat::{
    engine::Input,
    json::{number, text},
    store::StoreError,
};

use super::stage::*;

#[test]
fn schedule_15_one_row_fails_the_whole_request_and_is_not_named() {
    let mut stage = Stage::with_tabs(1);
    stage.rules = Rules { poison: Some("a NUL"), ..Rules::default() };
    stage.set_online(0, false);
    for content in ["m0", "a NUL", "m1", "m2"] {
        stage.send(0, content);
    }
    stage.set_online(0, true);
    stage.run_for(30_000);
    assert_eq!(stage.live(), ["m0", "m1", "m2"]);
    assert_eq!(stage.outbox(), ["a NUL"], "only a request of one row is refused");
    assert_eq!(stage.shown(0).last(), Some(&("a NUL", "failed")));
}

#[test]
fn schedule_21_a_transaction_of_several_rows_aborts_for_one_while_a_later_one_waits() {
    let mut stage = Stage::with_tabs(1);
    stage.set_online(0, false);
    stage.tabs[0].holds_writes = true;
    for content in ["m0", "m1", "m2", "m3"] {
        stage.send(0, content);
    }
    assert_eq!(stage.tabs[0].held.len(), 1, "the first is under way, the others wait for it");
    let aborted = || StoreError::Failed("AbortError".into());
    // Alone it is well; then the three together, then the first of them alone.
    let (request, transaction) = stage.tabs[0].held.pop_front().unwrap();
    let result = stage.run_transaction(0, &transaction);
    stage.feed(0, Input::Stored { request, result });
    assert_eq!(stage.tabs[0].held[0].1.operations.len(), 3);
    stage.release(0, [aborted(), aborted()].into());
    stage.send(0, "m4");
    let rows: Vec<(u64, &str)> = stage
        .database()
        .outbox()
        .filter_map(|record| Some((number(record, "key")?, text(record, "content")?)))
        .collect();
    let keys: Vec<u64> = rows.iter().map(|(key, _)| *key).collect();
    let contents: Vec<&str> = rows.iter().map(|(_, content)| *content).collect();
    assert!(keys.is_sorted());
    assert_eq!(contents, ["m0", "m2", "m3", "m4"], "the one that the database refused was not accepted");
    assert_eq!(stage.failure_of(0, 2), Some("storage_failed"));
    stage.set_online(0, true);
    stage.run_for(10_000);
    assert_eq!(stage.live(), ["m0", "m2", "m3", "m4"]);
}
