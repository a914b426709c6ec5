//! 20: a new tab, and a frozen old one in its way.

use surechat::{
    engine::Input,
    json::{Value, object},
    store::{Operation, StoreError, Table, Transaction},
};

use super::stage::*;

#[test]
fn schedule_20_a_frozen_tab_of_another_version_holds_up_no_new_one() {
    let mut stage = Stage::with_tabs(1);
    stage.set_online(0, false);
    stage.send(0, "m0");
    // The old tab is of a later version: it has left a record that nobody else can read.
    let record = object(vec![("v", 99.into()), ("key", 1_000.into()), ("id", "of another layout".into())]);
    let name = stage.disk.databases().next().unwrap().0.clone();
    let put = Transaction::strict(vec![Operation::Put { table: Table::Outbox, value: record.clone() }]);
    stage.disk.open(&name).run(&put).0.unwrap();
    stage.sleep(0);

    let tab = stage.seat_tab();
    stage.tabs[tab].holds_open = true;
    stage.start_tab(tab);
    stage.send(tab, "too early");
    // No event ever comes; the page waits for 3 s and then says so.
    stage.run_for(3_000);
    stage.feed(tab, Input::StoreOpened { result: Err(StoreError::Unavailable("blocked".into())) });
    assert_eq!(stage.failure_of(tab, 1), Some("storage_unavailable"), "never a silent success");
    assert!(stage.tabs[tab].screen.lacks_storage);

    stage.tabs[tab].holds_open = false;
    stage.run_for(30_000);
    assert!(!stage.tabs[tab].screen.lacks_storage, "it is tried again by itself");
    stage.send(tab, "m1");
    stage.run_for(10_000);
    assert_eq!(stage.live(), ["m0", "m1"], "a version of a record is no version of the database");
    let left: Vec<&Value> = stage.database().outbox().collect();
    assert_eq!(left, [&record], "what is not understood is skipped, and survives");
}
