//! What is in people's browsers: the current code writes exactly these records, and reads them.

use super::{own::by_table, server::Fault, world::*};
use crate::{
    engine::{Command, Effect, Input, PageEvent, Update},
    json,
    json::Value,
    message::MessageId,
    store::{Operation, Table, Transaction},
};

macro_rules! golden {
    ($name:literal) => {
        json::parse(include_str!(concat!("../../../tests/golden/", $name, ".json"))).expect($name)
    };
}

fn only(world: &World, table: Table) -> Value {
    let mut records = world.store.table(table);
    let record = records.next().cloned().unwrap_or_default();
    assert_eq!(records.next(), None, "one record is meant");
    record
}

/// A database that an earlier page has left behind.
fn left_behind(records: &[(Table, Value)]) -> World {
    leave(World::new(), records)
}

fn leave(mut world: World, records: &[(Table, Value)]) -> World {
    let puts = records.iter().map(|(table, value)| Operation::Put { table: *table, value: value.clone() });
    world.store.run(&Transaction::strict(puts.collect())).expect("they have keys");
    world
}

#[test]
fn a_message_in_the_outbox_is_written_so() {
    let mut world = World::started();
    world.set_online(false);
    world.send_to(BOOKING, "Is Tuesday fine?", json!({"attachments": [{"name": "map.png", "bytes": 1_024}]}));
    assert_eq!(only(&world, Table::Outbox), golden!("outbox-message"));
}

#[test]
fn a_refused_message_is_written_so() {
    let mut world = World::started();
    world.send("refuse me");
    assert_eq!(only(&world, Table::Outbox), golden!("outbox-refused"));
}

#[test]
fn an_edit_and_a_delete_of_a_stored_message_are_written_so() {
    let mut world = World::started();
    world.send("Is Tuesday fine?");
    assert_eq!(world.outbox(), 0, "it is stored");
    world.set_online(false);
    let (id, edit_id) = (MessageId::v7(world.now.wall, [1; 10]), MessageId::v7(world.now.wall, [2; 10]));
    let (conversation_id, content) = (BOOKING.to_owned(), "Is Wednesday fine?".to_owned());
    let edit = Command::Edit { op: 400, conversation_id: BOOKING.into(), id: id.clone(), edit_id, content };
    world.command(edit);
    assert_eq!(only(&world, Table::Outbox), golden!("outbox-edit"));
    world.command(Command::Cancel { op: 401, conversation_id, id });
    assert_eq!(world.store.table(Table::Outbox).last(), Some(&golden!("outbox-delete")));
}

#[test]
fn what_keeps_the_place_of_a_cancelled_message_is_written_so() {
    let mut world = World::started();
    world.live = false;
    world.server.faults = [Fault::LoseAnswer].into();
    world.send("Is Tuesday fine?");
    world.set_online(false);
    let id = MessageId::v7(world.now.wall, [1; 10]);
    world.command(Command::Cancel { op: 400, conversation_id: BOOKING.into(), id });
    assert_eq!(only(&world, Table::Outbox), golden!("outbox-tombstone"));
}

#[test]
fn the_outbox_of_an_earlier_page_is_read_and_sent_in_its_order() {
    let rows = [golden!("outbox-message"), golden!("outbox-edit"), golden!("outbox-delete")];
    let mut world = left_behind(&rows.clone().map(|row| (Table::Outbox, row)));
    world.start();
    let sent: Vec<&Value> = world.server.taken.iter().collect();
    assert_eq!(sent.len(), 3);
    for (sent, row) in sent.iter().zip(&rows) {
        for field in ["id", "conversation_id", "kind", "target_id", "content", "message_type", "metadata"] {
            assert_eq!(sent[field], row[field], "{field}");
        }
    }
    assert_eq!(world.outbox(), 0);
}

#[test]
fn a_refusal_of_an_earlier_page_is_read_and_waits_for_a_person() {
    let mut world = left_behind(&[(Table::Outbox, golden!("outbox-refused"))]);
    world.start();
    world.run_for(60_000);
    assert_eq!(world.server.count("chat_send"), 0);
    let failure = world.updates.iter().find_map(|update| match update {
        Update::Delivery { failure, .. } => failure.as_ref().map(|failure| failure.to_value()),
        _ => None,
    });
    assert_eq!(failure, Some(golden!("outbox-refused")["refused"].clone()));
}

#[test]
fn the_cache_is_written_so() {
    let mut world = World::started();
    world.send("Is Tuesday fine?");
    world.run_for(1_000);
    assert_eq!(only(&world, Table::Messages), golden!("message"));
    assert_eq!(only(&world, Table::Conversations), golden!("conversation"));
    assert_eq!(only(&world, Table::Meta), golden!("generation"));
}

#[test]
fn the_cache_of_an_earlier_page_is_shown_before_the_server_says_anything() {
    let mut world = left_behind(&[
        (Table::Messages, golden!("message")),
        (Table::Conversations, golden!("conversation")),
        (Table::Meta, golden!("generation")),
    ]);
    world.online = false;
    let before = world.store.generation();
    world.start();
    assert_eq!(world.screen(), [("Is Tuesday fine?".to_owned(), "sent".to_owned())]);
    assert_eq!(world.store.generation(), before + 1, "it goes on counting");
}

#[test]
fn what_the_list_knows_is_written_so_and_shown_before_the_server_says_anything() {
    let mut world = World::started();
    world.command(Command::List { on: true });
    world.feed(Input::Page(PageEvent::Hidden));
    world.receive("0190aaaa-0000-7000-8000-000000000001", "Is Tuesday fine?");
    assert_eq!(only(&world, Table::Conversations), golden!("conversation-listed"));
    let list = world.store.table(Table::Meta).find(|record| record["name"] == "list");
    assert_eq!(list, Some(&golden!("list")));

    let mut world =
        left_behind(&[(Table::Conversations, golden!("conversation-listed")), (Table::Meta, golden!("list"))]);
    world.online = false;
    world.command(Command::Start { remembered_user: None, visible: true, online: false });
    world.command(Command::List { on: true });
    let shown = world.updates.iter().find_map(|update| match update {
        Update::Conversations { patch } if patch.loaded => patch.upserts.first(),
        _ => None,
    });
    let line = shown.expect("a line");
    assert_eq!((&line["unread"], &line["last_message"]["content"]), (&json!(1), &json!("Is Tuesday fine?")));
}

#[test]
fn who_used_this_browser_last_is_remembered_so_and_believed_when_nobody_can_say() {
    let golden = golden!("remembered-user");
    let remembered = |world: &World, answer: Result<Option<String>, String>| {
        let mut engine = world.engine.clone();
        let remembered_user = answer.is_err().then(|| golden["value"].as_str().expect("a name").to_owned());
        engine.handle(world.now, Input::Command(Command::Start { remembered_user, visible: true, online: true }));
        let Some(Effect::FetchToken { request }) = engine.poll_effect() else { panic!("it asks") };
        engine.handle(world.now, Input::Token { request, result: answer });
        std::iter::from_fn(|| engine.poll_effect()).find_map(|effect| match effect {
            Effect::RememberUser { key, user_id } => Some(json!({"key": key, "value": user_id})),
            _ => None,
        })
    };
    let world = World::new();
    assert_eq!(remembered(&world, Ok(Some(jwt(OPERATOR, 1)))), Some(golden.clone()));
    assert_eq!(remembered(&world, Err("offline".into())), Some(golden.clone()));
}

#[test]
fn what_a_newer_version_wrote_is_skipped_and_survives() {
    let newer = golden!("newer");
    let of = |table: Table| json::items(&newer, table.name()).iter().map(move |record| (table, record.clone()));
    let mut records: Vec<(Table, Value)> = Table::ALL.into_iter().flat_map(of).collect();
    let mut refused = golden!("outbox-refused");
    refused["key"] = 4.into();
    records.push((Table::Outbox, refused));
    let mut world = left_behind(&records);
    let survives = |world: &World| {
        for (table, record) in records.iter().filter(|(_, record)| record["v"] != 1) {
            assert!(world.store.table(*table).any(|held| held == record), "{record}");
        }
    };
    world.start();
    survives(&world);
    world.server.faults = [Fault::Refuse, Fault::LoseAnswer, Fault::Status(400, "23514")].into();
    for text in ["one", "refuse me", "three"] {
        world.send(text);
        survives(&world);
    }
    world.run_for(120_000);
    survives(&world);
    world.command(Command::Retry { op: 500, conversation_id: None });
    world.run_for(10_000);
    survives(&world);
    let readable = world.store.table(Table::Outbox).filter(|record| record["v"] == 1).count();
    assert!(readable > 0, "there is something to discard");
    world.command(Command::Shutdown { op: 501, discard: true });
    survives(&world);
    assert_eq!(world.outbox(), json::items(&newer, "outbox").len());
}

#[test]
fn the_cache_of_the_apps_own_table_is_written_so_and_shown_before_the_server_says_anything() {
    let mut world = World::with(by_table);
    world.start();
    world.send("Is Tuesday fine?");
    world.run_for(60_000);
    assert_eq!(only(&world, Table::Messages), golden!("message-own-table"));
    assert_eq!(only(&world, Table::Conversations), golden!("conversation-own-table"));

    let records =
        [(Table::Messages, golden!("message-own-table")), (Table::Conversations, golden!("conversation-own-table"))];
    let mut world = leave(World::with(by_table), &records);
    world.online = false;
    world.start();
    assert_eq!(world.screen(), [("Is Tuesday fine?".to_owned(), "sent".to_owned())]);
}
