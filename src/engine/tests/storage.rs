use super::world::*;
use crate::{
    engine::{Command, Input, Update},
    json::Value,
    store::{MemoryStore, Operation, StoreError, Table, Transaction},
};

fn problem(world: &World) -> Option<String> {
    let last = world.updates.iter().rev().find_map(|update| match update {
        Update::Problem { conversation_id: None, error } => Some(error.as_ref().map(|error| error.code.clone())),
        _ => None,
    });
    last.flatten()
}

fn failed() -> StoreError {
    StoreError::Failed("aborted".into())
}

/// Close, and what was answered: the number unsent, or the code.
fn close(world: &mut World, discard: bool) -> Result<u64, String> {
    world.command(Command::Shutdown { op: 900, discard });
    let answer = world.updates.iter().find_map(|update| match update {
        Update::Done { op: 900, result } => Some(Ok(result["unsent"].as_u64().expect("a number"))),
        Update::Failed { op: 900, error } => Some(Err(error.code.clone())),
        _ => None,
    });
    answer.expect("an answer")
}

#[test]
fn where_the_database_does_not_open_sends_reject_until_it_does() {
    let mut world = World::new();
    world.has_database = false;
    world.start();
    let op = world.send("one");
    assert_eq!(world.failure_of(op).as_deref(), Some("storage_unavailable"));
    assert_eq!(problem(&world).as_deref(), Some("storage_unavailable"));
    world.has_database = true;
    world.run_for(6_000);
    assert_eq!(problem(&world), None);
    let op = world.send("two");
    assert!(world.is_done(op));
    assert_eq!(world.server.contents(BOOKING), ["two"]);
}

#[test]
fn what_was_kept_goes_out_when_the_database_opens_late() {
    let mut world = World::started();
    world.set_online(false);
    world.send("one");
    world.online = true;
    let store = std::mem::take(&mut world.store);
    let server = std::mem::take(&mut world.server);
    let mut world = World::new();
    (world.store, world.server) = (store, server);
    world.has_database = false;
    world.start();
    assert!(world.server.contents(BOOKING).is_empty());
    world.has_database = true;
    world.run_for(6_000);
    assert_eq!(world.server.contents(BOOKING), ["one"]);
}

#[test]
fn a_tab_with_an_older_layout_leads_no_more_and_says_why_it_takes_nothing() {
    let mut world = World::started();
    world.feed(Input::StoreLost { outdated: true });
    let op = world.send("one");
    assert_eq!(world.failure_of(op).as_deref(), Some("storage_outdated"));
    assert_eq!(problem(&world).as_deref(), Some("storage_outdated"));
    let requests = world.server.requests.len();
    world.run_for(120_000);
    assert_eq!(world.server.requests.len(), requests);
}

#[test]
fn a_queue_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let mut world = World::started();
    world.set_online(false);
    world.send("one");
    world.reads_fail = true;
    assert_eq!(close(&mut world, false), Err("storage_failed".into()));
    assert_eq!(world.outbox(), 1);

    world.restart();
    assert_eq!(close(&mut world, false), Ok(1));
}

#[test]
fn a_queue_that_could_not_be_read_at_first_is_read_later() {
    let mut world = World::started();
    world.set_online(false);
    world.send("one");
    world.online = true;
    let (store, server) = (std::mem::take(&mut world.store), std::mem::take(&mut world.server));
    let mut world = World::new();
    (world.store, world.server, world.reads_fail) = (store, server, true);
    world.start();
    world.run_for(1_000);
    assert_eq!(problem(&world).as_deref(), Some("storage_failed"));
    world.reads_fail = false;
    world.run_for(6_000);
    assert_eq!(problem(&world), None);
    assert_eq!(world.server.contents(BOOKING), ["one"]);
    assert_eq!(world.screen().len(), 1);
}

#[test]
fn a_discard_deletes_what_is_unsent_and_what_a_later_version_wrote_survives() {
    let mut world = World::started();
    world.set_online(false);
    world.send("one");
    let later = crate::json!({"v": 99, "of": "a later version"});
    world.store.run(&Transaction::strict(vec![Operation::Add { value: later }])).unwrap();
    assert_eq!(close(&mut world, true), Ok(0));
    let left: Vec<&Value> = world.store.table(Table::Outbox).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["v"], 99);
}

#[test]
fn a_deleted_database_is_said_aloud_and_the_work_goes_on_with_a_new_one() {
    let mut world = World::started();
    world.receive("01890000-0000-7000-8000-000000000001", "one");
    world.store = MemoryStore::default();
    world.feed(Input::StoreLost { outdated: false });
    world.run_for(1_000);
    assert_eq!(problem(&world).as_deref(), Some("storage_lost"));
    world.send("two");
    assert_eq!(problem(&world), None, "it passes with the next message that is kept");
    world.run_for(1_000);
    assert_eq!(world.server.contents(BOOKING), ["one", "two"]);
    world.restart();
    world.online = false;
    let shown: Vec<String> = world.screen().into_iter().map(|(content, _)| content).collect();
    assert_eq!(shown, ["one", "two"]);
}

#[test]
fn a_refused_write_of_several_is_tried_one_by_one_before_a_later_one_starts() {
    let mut world = World::started();
    world.set_online(false);
    world.holds_writes = true;
    let ops: Vec<u32> = ["one", "two", "three"].into_iter().map(|text| world.send(text)).collect();
    // "one" is under way alone, "two" and "three" share the next transaction, which is refused; then a later one comes.
    world.release_writes(vec![Ok(()), Err(failed()), Ok(()), Err(failed())]);
    let late = world.send("four");
    world.release_writes(vec![]);
    assert!(world.is_done(ops[0]) && world.is_done(ops[1]) && world.is_done(late));
    assert_eq!(world.failure_of(ops[2]).as_deref(), Some("storage_failed"));
    world.holds_writes = false;
    world.set_online(true);
    world.run_for(1_000);
    assert_eq!(world.server.contents(BOOKING), ["one", "two", "four"]);
}

#[test]
fn a_full_storage_gives_up_history_that_nobody_looks_at() {
    let mut world = World::started();
    world.receive("01890000-0000-7000-8000-000000000001", "one");
    world.command(Command::Close { conversation_id: BOOKING.into() });
    world.set_online(false);
    world.full_until_deleted = true;
    let op = world.send("two");
    assert!(world.is_done(op));
    assert_eq!(world.store.table(Table::Messages).count(), 0);
    assert_eq!(problem(&world), None);
}

#[test]
fn a_full_storage_with_nothing_to_give_up_rejects_the_send() {
    let mut world = World::started();
    world.store_fault = Some(StoreError::Full);
    let op = world.send("one");
    assert_eq!(world.failure_of(op).as_deref(), Some("storage_full"));
    world.store_fault = None;
    let op = world.send("two");
    assert!(world.is_done(op));
}

#[test]
fn a_following_tab_that_could_not_read_the_queue_reads_it_later() {
    let mut leader = World::started();
    leader.set_online(false);
    leader.send("one");
    let mut world = World::nth(1);
    (world.store, world.reads_fail) = (leader.store, true);
    world.command(Command::Start { remembered_user: None, visible: true, online: true });
    world.run_for(1_000);
    assert_eq!(problem(&world).as_deref(), Some("storage_failed"));
    world.reads_fail = false;
    world.run_for(6_000);
    assert_eq!((world.pending(), problem(&world)), (1, None));
}
