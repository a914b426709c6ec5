//! The cache and the view where both may have changed between two looks: another tab wrote, the site's data was deleted,
//! the server was set back to a copy.

use crate::json;

use super::world::*;
use crate::{
    engine::{Command, Input, Update},
    health::ConnectionStatus,
    json::Value,
    store::{MemoryStore, Operation, Table, Transaction},
    tabs::{Leader, TabMessage},
};

fn id(n: u64) -> String {
    format!("01890000-0000-7000-8000-0000000000{n:02x}")
}

fn row(seq: u64, content: &str) -> Value {
    json!({"v": 1, "id": id(seq), "conversation_id": BOOKING, "seq": seq, "kind": "message", "sender_id": CLIENT,
        "sender_role": "client", "content": content, "created_at": "2026-11-23T00:00:00Z"})
}

/// A database that covers these rows.
fn cache(incarnation: &str, rows: std::ops::RangeInclusive<u64>, content: &str) -> MemoryStore {
    let put = |table, value| Operation::Put { table, value };
    let conversation = json!({"v": 1, "id": BOOKING, "incarnation": incarnation, "low": *rows.start(), "cursor": *rows.end(),
        "read": 0, "others_seq": *rows.end(), "members": []});
    let rows = rows.map(|seq| put(Table::Messages, row(seq, content)));
    let mut store = MemoryStore::default();
    store.run(&Transaction::relaxed(rows.chain([put(Table::Conversations, conversation)]).collect())).unwrap();
    store
}

fn contents(world: &World) -> Vec<String> {
    world.screen().into_iter().map(|(content, _)| content).collect()
}

/// The conversation, as a leader writes it that keeps the list.
fn listed() -> MemoryStore {
    let mut world = World::started();
    world.command(Command::List { on: true });
    world.receive(&id(1), "one");
    world.run_for(5_000);
    world.store
}

fn lines(world: &World) -> usize {
    let mut patches = world.updates.iter().filter_map(|update| match update {
        Update::Conversations { patch } => Some(patch),
        _ => None,
    });
    patches.next_back().map_or(0, |patch| patch.upserts.len())
}

fn follower(store: MemoryStore) -> World {
    let mut world = World::nth(1);
    world.store = store;
    world.start();
    world
}

#[test]
fn a_database_that_is_another_one_between_two_reads_leaves_no_hole_in_the_view() {
    let mut world = follower(cache("i1", 1..=2, "old"));
    world.holds_reads = true;
    world.feed(Input::Heard(TabMessage::Changed));
    assert!(world.release_read() && world.release_read(), "the outbox, and what is known of the conversation");
    world.store = cache("i1", 5..=6, "new");
    while world.release_read() {}
    world.feed(Input::Heard(TabMessage::Changed));
    while world.release_read() {}
    assert_eq!(contents(&world), ["new", "new"]);
}

#[test]
fn rows_of_a_conversation_that_was_made_anew_take_the_place_of_those_shown() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    assert_eq!(contents(&world), ["old"; 3]);
    world.store = cache("i2", 2..=3, "new");
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["new", "new"]);
}

#[test]
fn what_a_leader_sent_before_anything_was_known_is_not_shown_when_it_is_gone_from_the_database() {
    let mut world = World::new();
    (world.holds_syncs, world.live) = (true, false);
    (1..=3).for_each(|n| world.server.post(BOOKING, CLIENT, &id(n), "old"));
    world.start();
    world.send("own");
    assert_eq!(contents(&world), ["own"], "it is stored as the fourth");
    world.lock_is_free = false;
    world.feed(Input::LockLost);
    world.store = cache("i2", 1..=2, "new");
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["new", "new"]);
}

#[test]
fn what_a_leader_showed_and_could_not_write_stays_in_sight_when_it_is_robbed() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.run_for(5_000);
    world.holds_writes = true;
    world.receive(&id(2), "two");
    (world.lock_is_free, world.holds_writes) = (false, false);
    world.feed(Input::LockLost);
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["one", "two"]);
}

/// Sends before anything is known of the conversation.
fn sent_before_anything_was_known() -> World {
    let mut world = World::new();
    (world.holds_syncs, world.live) = (true, false);
    (1..=3).for_each(|n| world.server.post(BOOKING, CLIENT, &id(n), "old"));
    world.start();
    world.send("own");
    assert_eq!(contents(&world), ["own"]);
    world
}

/// The server answers, and was set back.
fn set_back(world: &mut World) {
    world.server.restore(BOOKING, 2);
    world.live = true;
    world.let_go();
}

#[test]
fn nor_is_it_when_the_server_goes_on_without_it() {
    let mut world = sent_before_anything_was_known();
    set_back(&mut world);
    world.run_for(20_000);
    assert_eq!(contents(&world), ["old", "old"]);
}

#[test]
fn nor_is_it_when_the_tab_leads_again() {
    let mut world = sent_before_anything_was_known();
    world.feed(Input::LockLost);
    set_back(&mut world);
    world.run_for(20_000);
    assert_eq!(contents(&world), ["old", "old"]);
}

#[test]
fn nor_is_it_when_the_tab_is_robbed_before_the_server_is_believed() {
    let mut world = sent_before_anything_was_known();
    set_back(&mut world);
    world.run_for(1_000);
    assert_eq!(contents(&world), ["old", "old", "own"]);
    world.lock_is_free = false;
    world.feed(Input::LockLost);
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["old", "old"]);
}

/// The copy goes on with an edit and a message, where the lost message was the fourth row.
fn goes_on(world: &mut World) {
    let next = |n: u64, kind: &str, target: Value, content: &str| json!({"id": id(n), "conversation_id": BOOKING, "kind": kind, "target_id": target, "content": content, "message_type": "text", "metadata": {}});
    world.server.restore(BOOKING, 2);
    let rows = [next(5, "message", Value::Null, "new"), next(6, "edit", id(1).as_str().into(), "edited")];
    rows.iter().for_each(|row| world.server.write(CLIENT, &json!([row.clone()])));
}

#[test]
fn nor_is_it_where_an_edit_has_its_place_in_the_copy() {
    let mut world = sent_before_anything_was_known();
    goes_on(&mut world);
    world.live = true;
    world.let_go();
    assert_eq!(contents(&world), ["edited", "old", "new"]);
}

#[test]
fn nor_is_it_in_a_tab_that_follows_where_an_edit_has_its_place_in_the_copy() {
    let mut world = sent_before_anything_was_known();
    goes_on(&mut world);
    let mut other = World::new();
    std::mem::swap(&mut other.server, &mut world.server);
    other.start();
    world.lock_is_free = false;
    world.feed(Input::LockLost);
    world.store = other.store;
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["edited", "old", "new"]);
}

#[test]
fn but_it_stays_in_sight_while_the_server_does_not_see_it_yet() {
    let mut world = sent_before_anything_was_known();
    world.feed(Input::LockLost);
    let own = world.server.rows.get_mut(BOOKING).and_then(Vec::pop).expect("a row");
    world.live = true;
    world.let_go();
    world.run_for(1_000);
    assert_eq!(contents(&world), ["old", "old", "old", "own"]);
    world.server.rows.get_mut(BOOKING).expect("a conversation").push(own);
    world.run_for(20_000);
    assert_eq!(contents(&world), ["old", "old", "old", "own"]);
}

#[test]
fn a_tab_that_takes_the_lead_does_not_go_on_with_a_view_of_another_database() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    world.online = false;
    world.store = cache("i2", 2..=3, "new");
    world.feed(Input::LockGranted { exclusive: true });
    assert_eq!(contents(&world), ["new", "new"]);
}

#[test]
fn a_tab_that_takes_the_lead_shows_nothing_of_what_was_withdrawn_and_deleted_before() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    assert_eq!(contents(&world), ["old"; 3]);
    world.store = MemoryStore::default();
    world.server.members.insert(BOOKING.into(), Vec::new());
    world.feed(Input::LockGranted { exclusive: true });
    assert_eq!(contents(&world), [""; 0]);
}

#[test]
fn what_the_leader_gave_up_for_want_of_space_is_asked_for_where_it_is_shown() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    world.store = MemoryStore::default();
    let asked = |world: &World| world.said.iter().filter(|said| matches!(said, TabMessage::Open { .. })).count();
    let before = asked(&world);
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(asked(&world), before + 1);
}

#[test]
fn many_words_of_change_are_one_more_look() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    world.holds_reads = true;
    for _ in 0..50 {
        world.feed(Input::Heard(TabMessage::Changed));
    }
    let mut reads = 0;
    while world.release_read() {
        reads += 1;
    }
    assert_eq!(reads, 6, "twice: outbox, conversation, rows");
}

#[test]
fn a_live_row_of_another_database_is_not_taken_for_one_of_this() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    let syncs = world.server.count("chat_sync");
    let payload = |incarnation: &str| json!({"conversation_id": BOOKING, "seq": 2, "id": id(2), "incarnation": incarnation, "row": row(2, "two")});
    world.broadcast("message", &payload("a copy"));
    assert_eq!(contents(&world), ["one"]);
    assert_eq!(world.server.count("chat_sync"), syncs + 1, "the server says how it is");
    world.broadcast("message", &payload("11111111-1111-4111-8111-111111111111"));
    assert_eq!(contents(&world), ["one", "two"]);
}

#[test]
fn a_live_receipt_of_another_database_is_not_taken_for_one_of_this() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.run_for(2_000);
    let syncs = world.server.count("chat_sync");
    let payload = json!({"conversation_id": BOOKING, "incarnation": "a copy", "user_id": OPERATOR, "role": "operator",
        "delivered_seq": 9, "read_seq": 9});
    world.broadcast("receipt", &payload);
    assert_eq!(world.server.count("chat_sync"), syncs + 1, "the server says how it is");
    let acks = world.server.count("chat_ack");
    world.receive(&id(2), "two");
    world.run_for(2_000);
    assert_eq!(world.server.count("chat_ack"), acks + 1, "it is not known to be delivered");
}

#[test]
fn an_answer_to_a_message_that_was_set_back_meanwhile_leaves_nothing_behind() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.holds_sends = true;
    world.send("lost with the copy");
    let answer = world.reach();
    world.server.restore(BOOKING, 1);
    world.command(Command::Reload { op: 70, conversation_id: BOOKING.into() });
    world.feed(answer);
    world.receive(&id(2), "two");
    world.run_for(60_000);
    assert_eq!(contents(&world), ["one", "two"]);
    world.restart();
    assert_eq!(contents(&world), ["one", "two"]);
}

#[test]
fn a_receipt_that_the_server_does_not_take_is_not_repeated_every_second_and_makes_it_ask() {
    let mut world = World::started();
    for n in 1..=3 {
        world.receive(&id(n), "old");
    }
    world.live = false;
    world.server.restore(BOOKING, 1);
    world.server.members.get_mut(BOOKING).unwrap()[0]["delivered_seq"] = 0.into();
    world.run_for(5_000);
    assert!(world.server.count("chat_ack") <= 3, "{} receipts", world.server.count("chat_ack"));
    assert_eq!(contents(&world), ["old"], "the receipt showed that the server was set back");
}

#[test]
fn a_row_that_came_back_removes_nothing_from_a_database_that_was_not_read_yet() {
    let mut world = World::started();
    world.live = false;
    world.holds_sends = true;
    world.send("of the deleted database");
    world.arrive_unanswered();
    // The site's data was deleted, and another tab has written the first row of the new database.
    let mut other = World::nth(1);
    other.start();
    other.send("the first of the new one");
    world.store = other.store;
    world.holds_sends = false;
    world.holds_reads = true;
    let syncs = world.server.count("chat_sync");
    world.feed(Input::StoreLost { outdated: false });
    while world.server.count("chat_sync") == syncs && world.release_read() {}
    world.run_for(100);
    assert_eq!(world.outbox(), 1, "its key is the same, and that is all");
    world.holds_reads = false;
    while world.release_read() {}
    world.run_for(10_000);
    assert_eq!(world.server.contents(BOOKING), ["of the deleted database", "the first of the new one"]);
}

#[test]
fn a_following_tab_shows_nothing_that_a_server_set_back_to_a_copy_does_not_have() {
    let mut world = follower(cache("i1", 1..=3, "old"));
    world.store = cache("i1", 1..=2, "of the copy");
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(contents(&world), ["of the copy"; 2]);
    world.online = false;
    world.store = cache("i1", 1..=1, "of an older copy");
    world.feed(Input::LockGranted { exclusive: true });
    assert_eq!(contents(&world), ["of an older copy"]);
}

#[test]
fn messages_of_a_conversation_that_was_made_anew_have_no_ticks_of_the_old_one() {
    let mut world = World::started();
    for _ in 0..5 {
        world.send("old");
    }
    world.server.ack(CLIENT, &json!([{"conversation_id": BOOKING, "delivered": 5, "read": 5}]));
    world.feed(Input::Timer);
    world.run_for(1_000);
    assert_eq!(world.screen()[4].1, "read");
    world.server.restore(BOOKING, 0);
    world.server.members.get_mut(BOOKING).unwrap().iter_mut().for_each(|member| {
        member["delivered_seq"] = 0.into();
        member["read_seq"] = 0.into();
    });
    world.run_for(90_000);
    assert_eq!(world.screen().len(), 0);
    world.send("new");
    world.run_for(2_000);
    assert_eq!(world.screen(), [("new".to_owned(), "sent".to_owned())]);
}

#[test]
fn a_list_that_is_written_before_the_leader_hears_who_shows_it_is_read_then() {
    let mut world = follower(MemoryStore::default());
    world.command(Command::List { on: true });
    let leader = Leader { status: ConnectionStatus::Connected, visible: true, polling: false, generation: 1 };
    world.feed(Input::Heard(TabMessage::Status(leader)));
    assert_eq!(lines(&world), 0);
    world.store = listed();
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(lines(&world), 1);
    // From now on it is told what changes.
    world.feed(Input::Heard(TabMessage::ListProblem { generation: 1, error: None }));
    world.store = MemoryStore::default();
    world.feed(Input::Heard(TabMessage::Changed));
    assert_eq!(lines(&world), 1);
}

#[test]
fn a_list_that_is_written_while_it_is_read_is_read_again() {
    let mut world = follower(MemoryStore::default());
    world.holds_reads = true;
    world.command(Command::List { on: true });
    world.feed(Input::Heard(TabMessage::Changed));
    assert!(world.release_read(), "the list, of before");
    world.store = listed();
    while world.release_read() {}
    assert_eq!(lines(&world), 1);
}

#[test]
fn the_leader_answers_whoever_shows_the_list() {
    let mut world = World::started();
    world.feed(Input::Heard(TabMessage::List));
    assert!(world.said.iter().any(|said| matches!(said, TabMessage::ListProblem { error: None, .. })));
}
