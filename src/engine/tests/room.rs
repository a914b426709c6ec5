//! How much is kept, and what gives way.

use super::world::*;
use crate::{
    engine::Command,
    json,
    store::{StoreError, Table},
};

fn id(n: u64) -> String {
    format!("01890000-0000-7000-8000-{n:012x}")
}

/// Conversations with so many messages each, all of them cached, and a bound.
fn with_conversations(spans: &[(&str, u64)], keep: u64) -> World {
    let mut world = World::with(|config| config.keep_messages = keep);
    world.start();
    let mut next = 0;
    for (conversation, messages) in spans {
        let role = |user: &str, role: &str| json!({"user_id": user, "role": role, "delivered_seq": 0, "read_seq": 0});
        world.server.members.insert((*conversation).into(), vec![role(OPERATOR, "operator"), role(CLIENT, "client")]);
        world.server.rows.insert((*conversation).into(), Vec::new());
        for _ in 0..*messages {
            next += 1;
            world.server.post(conversation, CLIENT, &id(next), "hi");
        }
        world.server.live.clear();
        world.command(Command::Open { conversation_id: (*conversation).into() });
    }
    world
}

/// Rows of each conversation in the cache, and from which `seq` its record says that they are complete.
fn kept(world: &World, conversation: &str) -> (usize, Option<u64>) {
    let rows = world.store.table(Table::Messages).filter(|row| row["conversation_id"] == conversation).count();
    let record = world.store.table(Table::Conversations).find(|record| record["id"] == conversation);
    (rows, record.and_then(|record| record["low"].as_u64()))
}

fn shown(world: &World) -> usize {
    world.screen().len()
}

#[test]
fn whoever_keeps_most_gives_first_and_nobody_gives_the_newest_page() {
    let mut world = with_conversations(&[("short", 80), ("long", 1_800), ("middle", 700)], 1_500);
    world.run_for(1_000);
    assert_eq!(kept(&world, "short"), (80, Some(1)));
    let ((long, low), (middle, middle_low)) = (kept(&world, "long"), kept(&world, "middle"));
    assert_eq!((low, middle_low), (Some(1_801 - long as u64), Some(701 - middle as u64)));
    assert!(80 + long + middle <= 1_500 && 80 + long + middle > 900, "{long} {middle}");
    let mut world = with_conversations(&[("one", 120), ("two", 120), ("three", 30)], 0);
    world.run_for(1_000);
    assert_eq!(
        [kept(&world, "one"), kept(&world, "two"), kept(&world, "three")],
        [(50, Some(71)), (50, Some(71)), (30, Some(1))]
    );
}

#[test]
fn what_is_unsent_and_what_is_on_the_screen_stays() {
    let mut world = World::with(|config| config.keep_messages = 0);
    world.start();
    for n in 1..=90 {
        world.receive(&id(n), "hi");
    }
    world.set_online(false);
    world.send("unsent");
    assert_eq!(kept(&world, BOOKING).1, Some(41));
    assert_eq!((shown(&world), world.outbox()), (91, 1));
    world.restart();
    assert_eq!((shown(&world), world.outbox()), (51, 1));
}

#[test]
fn it_is_given_up_in_small_portions_and_not_while_something_is_sent() {
    let mut world = with_conversations(&[("long", 1_800)], 1_000_000);
    world.holds_sends = true;
    world.send("on its way");
    world.engine.config.keep_messages = 0;
    world.receive(&id(9_000), "hi");
    assert_eq!(kept(&world, "long").0, 1_800);
    world.holds_writes = true;
    world.let_go();
    world.holds_writes = false;
    let mut portions = vec![kept(&world, "long").0];
    while world.writes_wait() {
        world.release_one_write();
        portions.push(kept(&world, "long").0);
    }
    world.run_for(1_000);
    portions.push(kept(&world, "long").0);
    assert!(portions.windows(2).all(|pair| pair[0] - pair[1] <= 500 || pair[1] == 50), "{portions:?}");
    assert_eq!(portions.last(), Some(&50));
}

#[test]
fn a_portion_that_the_database_refused_leaves_the_record_true() {
    let mut world = with_conversations(&[("long", 300)], 1_000_000);
    world.engine.config.keep_messages = 0;
    world.store_fault = Some(StoreError::Failed("aborted".into()));
    world.receive(&id(9_000), "hi");
    world.store_fault = None;
    assert_eq!(kept(&world, "long"), (300, Some(1)));
    world.run_for(70_000);
    assert_eq!(kept(&world, "long"), (50, Some(251)));
}

#[test]
fn a_full_storage_takes_old_pages_first_and_whole_conversations_only_when_there_are_none() {
    let mut world = with_conversations(&[("long", 300), ("short", 20)], 1_000_000);
    for conversation in ["long", "short"] {
        world.command(Command::Close { conversation_id: conversation.into() });
    }
    world.full_until_deleted = true;
    let op = world.send("one");
    assert!(world.is_done(op));
    assert_eq!([kept(&world, "long"), kept(&world, "short")], [(50, Some(251)), (20, Some(1))]);
    world.full_until_deleted = true;
    let op = world.send("two");
    assert!(world.is_done(op));
    assert_eq!([kept(&world, "long"), kept(&world, "short")], [(0, None), (0, None)]);
    world.full_until_deleted = true;
    let op = world.send("three");
    assert_eq!(world.failure_of(op).as_deref(), Some("storage_full"));
}

#[test]
fn what_is_being_deleted_is_not_believed_when_it_is_read_and_leaves_no_hole() {
    let mut world = with_conversations(&[("short", 20)], 1_000_000);
    world.command(Command::Close { conversation_id: "short".into() });
    world.holds_writes = true;
    world.send("one");
    world.release_one_write_as(Err(StoreError::Full));
    // Read before it is gone.
    world.holds_syncs = true;
    world.command(Command::Open { conversation_id: "short".into() });
    world.server.post("short", CLIENT, &id(900), "meanwhile");
    world.server.live.clear();
    world.let_go();
    world.holds_writes = false;
    world.release_writes(Vec::new());
    world.run_for(1_000);
    assert_eq!(kept(&world, "short"), (21, Some(1)));
}
