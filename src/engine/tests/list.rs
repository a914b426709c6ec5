//! The list of all conversations: asked for by one number, kept live.

use std::collections::BTreeMap;

use super::{server::Server, world::*};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    json::Value,
    store::{Key, Operation, StoreError, Table, Transaction},
};

pub fn booking(n: usize) -> String {
    format!("b{n:03}")
}

pub fn message_id(n: usize) -> String {
    format!("0190aaaa-0000-7000-8000-{n:012x}")
}

pub fn many(server: &mut Server, count: usize) {
    for n in 2..=count {
        let members = server.members[BOOKING].clone();
        server.members.insert(booking(n), members);
        server.rows.insert(booking(n), Vec::new());
    }
}

/// A tab that shows the list and no conversation.
fn with_list(count: usize) -> World {
    let mut world = World::new();
    many(&mut world.server, count);
    begin(&mut world);
    world
}

fn begin(world: &mut World) {
    world.command(Command::Start { remembered_user: None, visible: true, online: world.online });
    world.command(Command::List { on: true });
    world.run_for(2_000);
}

/// The list as an observer has it: unread and the text of the last message, by conversation.
pub fn lines(world: &World) -> BTreeMap<String, (u64, String)> {
    let mut lines = BTreeMap::new();
    for update in &world.updates {
        let Update::Conversations { patch } = update else { continue };
        if patch.reset {
            lines.clear();
        }
        for line in &patch.upserts {
            let text = line["last_message"]["content"].as_str().unwrap_or("-").to_owned();
            lines.insert(line["id"].as_str().unwrap().to_owned(), (line["unread"].as_u64().unwrap(), text));
        }
        patch.removes.iter().for_each(|id| drop(lines.remove(id)));
    }
    lines
}

fn line(world: &World, id: &str) -> (u64, String) {
    lines(world).remove(id).unwrap_or_else(|| (99, "not in the list".into()))
}

pub fn is(unread: u64, text: &str) -> (u64, String) {
    (unread, text.to_owned())
}

pub fn is_loaded(world: &World) -> bool {
    world.updates.iter().any(|update| matches!(update, Update::Conversations { patch } if patch.loaded))
}

fn state(world: &World) -> &'static str {
    let state =
        |update: &Update| if let Update::ListState { state, .. } = update { Some(state.as_str()) } else { None };
    world.updates.iter().filter_map(state).next_back().unwrap_or_default()
}

fn said_by(world: &mut World, user: &str, id: &str, n: usize, text: &str) {
    world.server.post(id, user, &message_id(n), text);
    world.feed(Input::Timer);
}

fn amend(world: &mut World, id: &str, n: usize, kind: &str, target: usize, text: &str) {
    let row = json!({"id": message_id(n), "conversation_id": id, "kind": kind, "target_id": message_id(target),
        "content": text, "message_type": "text", "metadata": {}});
    world.server.send(CLIENT, &json!([row]));
    world.feed(Input::Timer);
}

#[test]
fn the_first_contact_is_one_request_for_summaries_alone() {
    let mut world = World::new();
    many(&mut world.server, 500);
    world.server.post(&booking(7), OPERATOR, &message_id(1), "own");
    world.server.live.clear();
    begin(&mut world);
    assert_eq!(lines(&world).len(), 500);
    assert_eq!((line(&world, &booking(7)), line(&world, &booking(8))), (is(0, "own"), is(0, "-")));
    assert_eq!((world.server.count("chat_list"), world.server.count("chat_sync")), (1, 0));
    assert!(is_loaded(&world));
    assert_eq!(state(&world), "live");
}

#[test]
fn after_a_reconnect_one_request_without_a_cursor_brings_what_is_behind() {
    let mut world = with_list(500);
    world.run_for(5_000);
    world.set_online(false);
    for n in 1..=20 {
        world.server.post(&booking(n + 100), CLIENT, &message_id(n), "while you were away");
    }
    world.run_for(60_000);
    assert_eq!(state(&world), "stale");
    world.server.listed.clear();
    world.server.requests.clear();
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!((world.server.count("chat_list"), world.server.count("chat_sync")), (1, 0));
    assert_eq!(world.server.listed[0]["cursors"], json!({}));
    assert_eq!(lines(&world).values().filter(|line| **line == is(1, "while you were away")).count(), 20);
    let delivered = world.server.members[&booking(101)][0]["delivered_seq"].as_u64();
    assert_eq!(delivered, Some(1), "the rows came with it, and are acknowledged");
    assert_eq!(state(&world), "live");
}

#[test]
fn what_comes_live_is_counted_without_a_request() {
    let mut world = with_list(3);
    let asked = world.server.count("chat_list");
    let id = booking(2);
    said_by(&mut world, CLIENT, &id, 1, "one");
    said_by(&mut world, CLIENT, &id, 2, "two");
    assert_eq!(line(&world, &id), is(2, "two"));
    said_by(&mut world, OPERATOR, &id, 3, "from my telephone");
    assert_eq!(line(&world, &id), is(2, "from my telephone"));
    said_by(&mut world, CLIENT, &id, 4, "three");
    amend(&mut world, &id, 5, "edit", 4, "THREE");
    assert_eq!(line(&world, &id), is(3, "THREE"));
    amend(&mut world, &id, 6, "delete", 4, "");
    assert_eq!(line(&world, &id), is(2, ""));
    assert_eq!((world.server.count("chat_list"), world.server.count("chat_sync")), (asked, 0));
    amend(&mut world, &id, 7, "delete", 1, "");
    assert_eq!(line(&world, &id), is(1, ""), "which one was deleted is not known here, so it is asked for");
    assert_eq!(world.server.count("chat_list"), asked + 1);
}

#[test]
fn a_conversation_that_was_never_opened_keeps_what_comes_live_and_acknowledges_it() {
    let mut world = with_list(3);
    let id = booking(3);
    said_by(&mut world, CLIENT, &id, 1, "one");
    world.run_for(2_000);
    let own = world.server.members[&id][0].clone();
    assert_eq!((own["delivered_seq"].as_u64(), own["read_seq"].as_u64()), (Some(1), Some(0)));
    assert_eq!(world.store.table(Table::Messages).count(), 1);
}

#[test]
fn a_conversation_that_was_never_opened_gets_its_page_when_it_is_and_needs_no_network_then() {
    let mut world = World::new();
    many(&mut world.server, 3);
    let id = booking(2);
    for n in 1..=60 {
        world.server.post(&id, OPERATOR, &message_id(n), "before");
    }
    world.server.members.get_mut(&id).unwrap()[0]["delivered_seq"] = 60.into();
    world.server.live.clear();
    begin(&mut world);
    assert_eq!(world.store.table(Table::Messages).count(), 0);
    said_by(&mut world, CLIENT, &id, 61, "live");
    world.command(Command::Open { conversation_id: id.clone() });
    let rows = |world: &World| {
        let upserts = |update: &Update| match update {
            Update::Messages { conversation_id, patch } if *conversation_id == booking(2) => patch.upserts.len(),
            _ => 0,
        };
        world.updates.iter().map(upserts).sum::<usize>()
    };
    assert!(rows(&world) >= 50, "{}", rows(&world));
    world.run_for(2_000);
    world.command(Command::Close { conversation_id: id.clone() });
    world.updates.clear();
    world.server.requests.clear();
    world.command(Command::Open { conversation_id: id });
    assert!(rows(&world) >= 50);
    assert_eq!(world.server.requests, []);
}

#[test]
fn unread_falls_when_it_is_read_here_or_on_another_device() {
    let mut world = with_list(3);
    let [here, elsewhere] = [booking(2), booking(3)];
    for (n, id) in [&here, &elsewhere, &here].into_iter().enumerate() {
        said_by(&mut world, CLIENT, id, n + 1, "unread");
    }
    assert_eq!((line(&world, &here).0, line(&world, &elsewhere).0), (2, 1));
    world.command(Command::Open { conversation_id: here.clone() });
    assert_eq!(line(&world, &here).0, 0);
    world.server.ack(OPERATOR, &json!([{"conversation_id": elsewhere, "delivered": 1, "read": 1}]));
    world.feed(Input::Timer);
    assert_eq!(line(&world, &elsewhere).0, 0);
    said_by(&mut world, CLIENT, &here, 8, "seen at once");
    assert_eq!(line(&world, &here), is(0, "seen at once"));
    world.feed(Input::Page(PageEvent::Hidden));
    said_by(&mut world, CLIENT, &here, 9, "not seen");
    assert_eq!(line(&world, &here), is(1, "not seen"));
}

#[test]
fn the_list_is_there_at_once_without_a_network() {
    let mut world = with_list(40);
    said_by(&mut world, CLIENT, &booking(2), 1, "hello");
    said_by(&mut world, CLIENT, &booking(2), 2, "again");
    let before = lines(&world);
    let (store, server) = (world.store, world.server);
    let mut world = World::new();
    (world.store, world.server) = (store, server);
    world.online = false;
    begin(&mut world);
    assert!(is_loaded(&world));
    assert_eq!(lines(&world), before);
    assert_eq!(state(&world), "stale");
    world.server.listed.clear();
    world.set_online(true);
    world.run_for(2_000);
    assert!(world.server.listed.iter().all(|asked| asked["since"] != Value::Null && asked["cursors"] == json!({})));
    assert_eq!(lines(&world), before);
}

#[test]
fn membership_that_is_withdrawn_takes_the_line_and_the_cache() {
    let mut world = with_list(3);
    let id = booking(2);
    said_by(&mut world, CLIENT, &id, 1, "secret");
    world.command(Command::Open { conversation_id: id.clone() });
    world.server.members.get_mut(&id).unwrap().remove(0);
    world.run_for(90_000);
    assert_eq!(lines(&world).keys().cloned().collect::<Vec<_>>(), [booking(3), BOOKING.to_owned()]);
    let kept = world.store.table(Table::Conversations).chain(world.store.table(Table::Messages));
    assert!(kept.into_iter().all(|record| !record.to_string().contains(&id)));
    let refused =
        |update: &Update| matches!(update, Update::Problem { error: Some(error), .. } if error.code == "forbidden");
    assert!(world.updates.iter().any(refused));
    let member = json!({"user_id": OPERATOR, "role": "operator", "delivered_seq": 0, "read_seq": 0});
    world.server.members.get_mut(&id).unwrap().insert(0, member);
    world.server.clock += 1;
    let clock = world.server.clock;
    world.server.changed.insert(id.clone(), clock);
    world.run_for(90_000);
    assert_eq!(line(&world, &id), is(0, "secret"), "given back, and it stands on the screen");
}

/// Who takes part in this conversation changes, and everybody there is told.
fn joins_or_leaves(world: &mut World, id: &str, change: impl FnOnce(&mut Vec<Value>)) {
    change(world.server.members.entry(id.to_owned()).or_default());
    world.server.rows.entry(id.to_owned()).or_default();
    world.server.clock += 1;
    let clock = world.server.clock;
    world.server.changed.insert(id.to_owned(), clock);
    world.server.live.push(("members", json!({})));
    world.feed(Input::Timer);
}

fn member(user: &str, role: &str) -> Value {
    json!({"user_id": user, "role": role, "delivered_seq": 0, "read_seq": 0})
}

#[test]
fn who_is_added_or_removed_sees_it_within_a_moment_and_many_at_once_are_one_question() {
    let mut world = with_list(3);
    world.server.listed.clear();
    for n in 4..=30 {
        joins_or_leaves(&mut world, &booking(n), |members| members.push(member(OPERATOR, "operator")));
    }
    world.run_for(1_000);
    assert_eq!((lines(&world).len(), line(&world, &booking(4))), (30, is(0, "-")));
    assert_eq!(world.server.listed.len(), 1);
    joins_or_leaves(&mut world, &booking(4), Vec::clear);
    world.run_for(1_000);
    assert!(!lines(&world).contains_key(&booking(4)));
    assert_eq!((world.server.listed.len(), state(&world)), (2, "live"));
}

#[test]
fn what_is_given_back_before_it_was_deleted_is_stored_only_when_it_is_written_again() {
    let mut world = with_list(2);
    let id = booking(2);
    world.holds_writes = true;
    said_by(&mut world, CLIENT, &id, 1, "kept");
    joins_or_leaves(&mut world, &id, Vec::clear);
    world.run_for(1_000);
    assert!(!lines(&world).contains_key(&id));
    joins_or_leaves(&mut world, &id, |members| {
        members.extend([member(OPERATOR, "operator"), member(CLIENT, "client")]);
    });
    world.run_for(1_000);
    let fate = |result: &Result<(), StoreError>| result.clone();
    world.release_writes([Ok(()), Ok(()), Err(StoreError::Full)].iter().map(fate).collect());
    assert_eq!(line(&world, &id), is(1, "kept"), "it is deleted from the database, and stays in the list");
    world.holds_writes = false;
    world.run_for(90_000);
    let of_id = |record: &&Value| record["conversation_id"] == id.as_str();
    assert_eq!(world.store.table(Table::Messages).filter(of_id).count(), 1);
}

#[test]
fn changes_of_members_that_never_end_hold_up_nothing() {
    let mut world = with_list(3);
    let id = booking(4);
    joins_or_leaves(&mut world, &id, |members| members.push(member(OPERATOR, "operator")));
    for _ in 0..10 {
        world.run_for(100);
        joins_or_leaves(&mut world, &booking(2), |_| {});
    }
    assert_eq!(line(&world, &id), is(0, "-"));
}

#[test]
fn who_has_no_list_open_asks_for_the_conversations_that_are() {
    let mut world = World::started();
    said_by(&mut world, CLIENT, BOOKING, 1, "hello");
    let asked = world.server.count("chat_sync");
    joins_or_leaves(&mut world, BOOKING, |members| members.retain(|held| held["user_id"] != OPERATOR));
    world.run_for(1_000);
    assert_eq!(world.server.count("chat_sync"), asked + 1);
    let refused =
        |update: &Update| matches!(update, Update::Problem { error: Some(error), .. } if error.code == "forbidden");
    assert!(world.updates.iter().any(refused));
    joins_or_leaves(&mut world, BOOKING, |members| members.push(member(OPERATOR, "operator")));
    world.run_for(1_000);
    assert!(matches!(
        world.updates.iter().rfind(|it| matches!(it, Update::Problem { .. })),
        Some(Update::Problem { error: None, .. })
    ));
}

#[test]
fn what_does_not_add_up_is_asked_for_anew() {
    let mut world = with_list(5);
    // A change that no answer will name: as after a restore of the database.
    world.live = false;
    world.server.post(&booking(2), CLIENT, &message_id(1), "missed");
    world.server.changed.remove(&booking(2));
    world.run_for(90_000);
    assert_eq!(line(&world, &booking(2)), is(1, "missed"));
    assert!(world.server.listed.iter().skip(1).any(|asked| asked["since"] == Value::Null));
    let full = world.server.listed.iter().filter(|asked| asked["since"] == Value::Null).count();
    world.run_for(300_000);
    assert_eq!(world.server.listed.iter().filter(|asked| asked["since"] == Value::Null).count(), full);
}

#[test]
fn a_hole_in_a_conversation_is_asked_for_with_its_cursor() {
    let mut world = with_list(3);
    let id = booking(2);
    said_by(&mut world, CLIENT, &id, 1, "one");
    world.live = false;
    said_by(&mut world, CLIENT, &id, 2, "two");
    world.live = true;
    world.server.listed.clear();
    said_by(&mut world, CLIENT, &id, 3, "three");
    assert_eq!(world.server.listed.len(), 1);
    assert_eq!(world.server.listed[0]["cursors"][id.as_str()]["seq"], 1);
    assert_eq!(line(&world, &id), is(3, "three"));
}

#[test]
fn a_new_conversation_stands_in_the_list_with_its_first_message() {
    let mut world = with_list(2);
    many(&mut world.server, 3);
    said_by(&mut world, CLIENT, &booking(3), 1, "a new booking");
    assert_eq!(line(&world, &booking(3)), is(1, "a new booking"));
}

#[test]
fn without_a_database_there_is_a_list_all_the_same() {
    let mut world = World::new();
    world.has_database = false;
    many(&mut world.server, 5);
    begin(&mut world);
    assert_eq!(lines(&world).len(), 5);
    said_by(&mut world, CLIENT, &booking(2), 1, "hello");
    assert_eq!(line(&world, &booking(2)), is(1, "hello"));
}

#[test]
fn a_list_that_cannot_be_loaded_says_why_until_it_can() {
    let mut world = World::new();
    world.online = false;
    begin(&mut world);
    assert!(!is_loaded(&world));
    world.server.always = None;
    world.set_online(true);
    world.run_for(2_000);
    assert!(is_loaded(&world));
    let errors: Vec<bool> = world
        .updates
        .iter()
        .filter_map(|update| if let Update::ListState { error, .. } = update { Some(error.is_some()) } else { None })
        .collect();
    assert!(errors.contains(&true) && errors.last() == Some(&false), "{errors:?}");
}

#[test]
fn without_a_live_channel_the_list_is_polled_for_with_one_number() {
    let mut world = World::new();
    world.has_sockets = false;
    many(&mut world.server, 30);
    begin(&mut world);
    world.run_for(20_000);
    assert_eq!(state(&world), "polling");
    world.server.listed.clear();
    world.server.post(&booking(2), CLIENT, &message_id(1), "asked for");
    world.run_for(12_000);
    assert_eq!(line(&world, &booking(2)), is(1, "asked for"));
    assert!(world.server.listed.iter().all(|asked| asked["cursors"] == json!({}) && asked["since"] != Value::Null));
    world.has_sockets = true;
    world.run_for(31_000);
    assert_eq!(state(&world), "live");
}

#[test]
fn what_was_left_over_is_fetched_also_by_the_next_page() {
    let mut world = World::new();
    many(&mut world.server, 3);
    world.server.post(&booking(2), CLIENT, &message_id(1), "one");
    world.server.live.clear();
    begin(&mut world);
    // A record of a conversation whose rows had no room in the last answer.
    let mut record =
        world.store.table(Table::Conversations).find(|held| held["id"] == booking(2).as_str()).unwrap().clone();
    record["cursor"] = 0.into();
    let put = Operation::Put { table: Table::Conversations, value: record };
    world.store.run(&Transaction::strict(vec![put])).unwrap();
    let (store, server) = (world.store, world.server);
    let mut world = World::new();
    (world.store, world.server) = (store, server);
    world.server.listed.clear();
    begin(&mut world);
    assert_eq!(
        world.server.listed[0]["cursors"],
        json!({"b002": {"seq": 0, "incarnation": world.server.listed[0]["cursors"]["b002"]["incarnation"]}})
    );
    assert_eq!(world.store.table(Table::Messages).count(), 1);
}

#[test]
fn what_is_not_written_yet_is_not_acknowledged_however_many_answers_come() {
    let mut world = with_list(3);
    world.live = false;
    world.holds_writes = true;
    for n in 1..=2 {
        world.server.post(&booking(2), CLIENT, &message_id(n), "missed");
        world.run_for(61_000);
    }
    let delivered = |world: &World| world.server.members[&booking(2)][0]["delivered_seq"].as_u64();
    assert_eq!((line(&world, &booking(2)), delivered(&world)), (is(2, "missed"), Some(0)));
    world.holds_writes = false;
    world.release_writes(Vec::new());
    world.run_for(2_000);
    assert_eq!(delivered(&world), Some(2));
}

#[test]
fn what_was_read_before_anything_was_unread_is_not_counted_again() {
    let mut world = with_list(2);
    let id = booking(2);
    world.command(Command::Open { conversation_id: id.clone() });
    for n in 1..=3 {
        said_by(&mut world, CLIENT, &id, n, "seen at once");
    }
    world.feed(Input::Page(PageEvent::Hidden));
    // The receipt does not get through, and the server counts all of them.
    world.server.members.get_mut(&id).unwrap()[0]["read_seq"] = 0.into();
    said_by(&mut world, CLIENT, &id, 4, "not seen");
    assert_eq!(line(&world, &id).0, 1);
    world.run_for(70_000);
    assert_eq!(line(&world, &id).0, 1);
}

#[test]
fn what_the_database_refused_is_not_passed_over_by_the_next_page() {
    let mut world = with_list(2);
    many(&mut world.server, 3);
    world.holds_writes = true;
    said_by(&mut world, CLIENT, &booking(3), 1, "a new booking");
    world.holds_syncs = true;
    world.command(Command::List { on: true });
    world.holds_writes = false;
    world.release_writes(vec![Err(StoreError::Failed("AbortError".into()))]);
    world.let_go();
    let is_kept = |held: &Value| held["id"] == booking(3).as_str();
    assert!(!world.store.table(Table::Conversations).any(is_kept));
    let since = world.store.table(Table::Meta).find(|record| record["name"] == "list").unwrap()["since"].as_u64();
    assert!(since < Some(world.server.clock), "the next page has to ask from before it");
    world.run_for(10_000);
    assert!(world.store.table(Table::Conversations).any(is_kept));
}

#[test]
fn a_conversation_that_is_missing_here_is_found_without_asking_for_ever() {
    let mut world = with_list(3);
    let delete = Operation::Delete { table: Table::Conversations, key: Key::Text(booking(3)) };
    world.store.run(&Transaction::strict(vec![delete])).unwrap();
    let (store, server) = (world.store, world.server);
    let mut world = World::new();
    (world.store, world.server) = (store, server);
    world.server.listed.clear();
    begin(&mut world);
    assert_eq!(lines(&world).len(), 3);
    world.run_for(25_000);
    assert!(world.server.listed.len() <= 3, "{} requests", world.server.listed.len());
}
