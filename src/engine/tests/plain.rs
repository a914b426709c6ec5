//! The other two ways in, through the whole engine.

use super::{
    own::{ENDPOINT, by_table},
    server::Fault,
    world::*,
};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    json::Value,
    message::MessageId,
    rest::Source,
    store::Table,
};

fn table() -> World {
    let mut world = World::with(by_table);
    world.start();
    world
}

fn endpoint() -> World {
    let mut world = World::with(|config| config.source = Source { endpoint: Some(ENDPOINT.into()), table: None });
    world.start();
    world
}

fn id(n: u8) -> String {
    format!("01890000-0000-7000-8000-0000000000{n:02x}")
}

fn own_id(world: &World, n: u8) -> MessageId {
    MessageId::v7(world.now.wall, [n; 10])
}

fn row(content: &str, status: &str) -> (String, String) {
    (content.into(), status.into())
}

fn texts(world: &World) -> Vec<String> {
    world.screen().into_iter().map(|(content, _)| content).collect()
}

/// The code of the last failure that was announced.
fn failure(world: &World) -> Option<String> {
    world.updates.iter().rev().find_map(|update| match update {
        Update::Delivery { failure: Some(failure), .. } => Some(failure.code.clone()),
        _ => None,
    })
}

fn reload(world: &mut World) {
    world.command(Command::Reload { op: 900, conversation_id: BOOKING.into() });
}

fn retry(world: &mut World) {
    world.command(Command::Retry { op: 901, conversation_id: None });
}

// ---- sending

#[test]
fn a_message_is_inserted_once_and_its_way_ends_at_sent() {
    let mut world = table();
    world.send("hello");
    world.run_for(120_000);
    assert_eq!(world.server.own.contents(), ["hello"]);
    assert_eq!(world.screen(), [row("hello", "sent")]);
    assert_eq!(world.announced(), ["sending", "sent"]);
    assert_eq!((world.outbox(), world.server.own.look_ups), (0, 0));
}

#[test]
fn an_answer_lost_after_the_commit_is_looked_up_and_makes_no_double() {
    for (mut world, contents) in [
        (table(), Box::new(|world: &World| world.server.own.contents().len()) as Box<dyn Fn(&World) -> usize>),
        (endpoint(), Box::new(|world: &World| world.server.contents(BOOKING).len())),
    ] {
        world.live = false;
        world.server.own.faults = vec![Fault::LoseAnswer].into();
        world.send("hello");
        world.run_for(1_500);
        assert_eq!(world.screen(), [row("hello", "sent")]);
        assert_eq!((contents(&world), world.outbox(), world.server.own.look_ups), (1, 0, 1));
    }
}

#[test]
fn an_answer_that_is_lost_ten_times_makes_no_double() {
    let mut world = table();
    world.live = false;
    world.server.own.faults = vec![Fault::LoseAnswer; 10].into();
    world.send("one");
    world.send("two");
    world.run_for(600_000);
    assert_eq!(world.server.own.contents(), ["one", "two"]);
    assert_eq!(world.screen(), [row("one", "sent"), row("two", "sent")]);
}

#[test]
fn fifty_messages_keep_their_order_through_every_fault() {
    for mut world in [table(), endpoint()] {
        let faults = [
            Fault::LoseAnswer,
            Fault::Nothing,
            Fault::Status(503, ""),
            Fault::Refuse,
            Fault::Status(401, "PGRST303"),
            Fault::Nothing,
            Fault::Status(429, ""),
            Fault::LoseAnswer,
        ];
        world.server.own.faults = faults.iter().cycle().take(120).cloned().collect();
        let sent: Vec<String> = (0..50).map(|n| format!("message {n}")).collect();
        for text in &sent {
            world.send(text);
        }
        world.run_for(1_800_000);
        assert_eq!(texts(&world), sent);
        let managed = world.server.contents(BOOKING);
        let stored = if managed.is_empty() { world.server.own.contents() } else { managed };
        assert_eq!(stored, sent);
        assert!(world.screen().iter().all(|(_, status)| status != "sending" && status != "failed"));
    }
}

#[test]
fn an_id_that_is_anothers_is_refused_and_retry_gives_the_message_a_new_one() {
    let mut world = table();
    let squatted = own_id(&world, 1);
    let mut theirs = world.server.own.row(squatted.as_str(), "client", "mine was first", 0);
    theirs["booking_id"] = "b2".into();
    world.server.own.rows.push(theirs);
    world.live = false;
    world.send("hello");
    assert_eq!(world.screen().last(), Some(&row("hello", "failed")));
    assert_eq!(failure(&world).as_deref(), Some("id_conflict"));
    world.now.wall += 1;
    retry(&mut world);
    world.run_for(1_000);
    assert_eq!(world.server.own.contents(), ["mine was first", "hello"]);
    assert_eq!(world.screen().last(), Some(&row("hello", "sent")));
    assert_eq!(world.outbox(), 0);
}

#[test]
fn a_refused_row_waits_for_a_person_and_the_lane_goes_on() {
    let mut world = table();
    world.server.own.refuses = Some("bad");
    world.send("bad");
    world.send("good");
    world.run_for(1_000);
    assert_eq!(world.server.own.contents(), ["good"]);
    let first = own_id(&world, 1);
    let refused = world.screen().into_iter().find(|(content, _)| content == "bad");
    assert_eq!(refused, Some(row("bad", "failed")));
    let id = MessageId::v7(1_795_415_400_000, [1; 10]);
    assert_ne!(first, id);
    for command in [
        Command::Discard { op: 77, conversation_id: BOOKING.into(), id: id.clone() },
        Command::Cancel { op: 77, conversation_id: BOOKING.into(), id },
    ] {
        let (engine, store) = (world.engine.clone(), world.store.clone());
        let mut world = World::with(by_table);
        (world.engine, world.store) = (engine, store);
        world.command(command);
        assert!(world.is_done(77));
        assert_eq!(world.outbox(), 0);
    }
}

#[test]
fn unsent_rows_survive_the_page_and_go_out_from_the_next_one() {
    let mut world = table();
    world.set_online(false);
    world.send("one");
    world.send("two");
    world.restart();
    world.set_online(true);
    world.run_for(10_000);
    assert_eq!(world.server.own.contents(), ["one", "two"]);
    assert_eq!(world.screen(), [row("one", "sent"), row("two", "sent")]);
}

#[test]
fn what_may_have_arrived_cannot_be_changed_and_what_was_never_sent_can() {
    let mut world = table();
    world.send("sent");
    let sent = own_id(&world, 1);
    for (op, command) in [
        (70, Command::Cancel { op: 70, conversation_id: BOOKING.into(), id: sent.clone() }),
        (
            71,
            Command::Edit {
                op: 71,
                conversation_id: BOOKING.into(),
                id: sent,
                edit_id: own_id(&world, 99),
                content: "other".into(),
            },
        ),
    ] {
        world.command(command);
        assert_eq!(world.failure_of(op).as_deref(), Some("unsupported"));
    }
    world.holds_sends = true;
    world.send("under way");
    world.send("waiting");
    let waiting = own_id(&world, 3);
    world.command(Command::Cancel { op: 72, conversation_id: BOOKING.into(), id: own_id(&world, 2) });
    assert_eq!(world.failure_of(72).as_deref(), Some("unsupported"));
    world.command(Command::Cancel { op: 73, conversation_id: BOOKING.into(), id: waiting });
    assert!(world.is_done(73));
    world.let_go();
    world.run_for(1_000);
    assert_eq!(world.server.own.contents(), ["sent", "under way"]);
}

#[test]
fn a_row_that_only_the_managed_schema_understands_is_refused_and_never_sent_as_a_message() {
    let mut world = World::started();
    world.send("hello");
    world.set_online(false);
    let id = own_id(&world, 1);
    world.command(Command::Cancel { op: 70, conversation_id: BOOKING.into(), id });
    assert_eq!(world.outbox(), 1);
    by_table(&mut world.engine.config);
    world.restart();
    world.set_online(true);
    world.run_for(1_000);
    assert_eq!(world.server.own.contents(), Vec::<&str>::new());
    assert_eq!(world.outbox(), 1);
}

#[test]
fn a_page_that_leaves_repeats_the_head_of_one_lane_alone() {
    let mut world = table();
    world.holds_sends = true;
    world.send("one");
    world.send("two");
    world.feed(Input::Page(PageEvent::Leaving));
    let contents = |http: &crate::rest::HttpRequest| json::parse(&http.body).expect("JSON")["content"].clone();
    assert_eq!(world.keepalives.iter().map(contents).collect::<Vec<_>>(), [Value::from("one")]);
}

#[test]
fn an_endpoint_that_says_nothing_of_the_row_is_followed_by_a_look_up() {
    let mut world = endpoint();
    world.live = false;
    world.server.endpoint_says = Some((200, json!({})));
    world.send("hello");
    assert_eq!(world.screen(), [row("hello", "sent")]);
    assert_eq!(world.server.own.look_ups, 1);
    // What another page in front of the app answers is no success.
    world.server.endpoint_says = Some((200, json!("<html>")));
    world.send("again");
    world.run_for(100);
    assert_eq!(world.screen().last(), Some(&row("again", "sent")));
    assert_eq!(world.server.contents(BOOKING), ["hello", "again"]);
}

#[test]
fn a_message_by_the_endpoint_is_delivered_and_read_where_the_managed_schema_tells_of_it() {
    let mut world = endpoint();
    world.send("hello");
    world.server.ack(CLIENT, &json!([{"conversation_id": BOOKING, "delivered": 1, "read": 1}]));
    world.feed(Input::Timer);
    assert_eq!(world.screen(), [row("hello", "read")]);
}

// ---- reading

#[test]
fn what_was_missed_while_the_socket_was_down_is_fetched_when_it_is_back() {
    let mut world = table();
    world.server.own.post(&id(1), "before");
    world.run_for(1_000);
    world.set_online(false);
    for n in 2..=4 {
        world.server.own.post(&id(n), &format!("missed {n}"));
    }
    world.server.own.live.clear();
    world.run_for(10_000);
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(texts(&world), ["before", "missed 2", "missed 3", "missed 4"]);
}

#[test]
fn a_live_row_is_shown_without_a_request_and_an_update_changes_it() {
    let mut world = table();
    world.run_for(1_000);
    let windows = world.server.own.windows;
    world.server.own.post(&id(1), "hi");
    world.feed(Input::Timer);
    assert_eq!((texts(&world), world.server.own.windows), (vec!["hi".to_owned()], windows));
    world.server.own.update(&id(1), "hi there");
    world.feed(Input::Timer);
    assert_eq!(texts(&world), ["hi there"]);
}

#[test]
fn a_live_event_without_its_row_is_fetched() {
    let mut world = table();
    world.run_for(1_000);
    world.server.own.post(&id(1), "too large for an event");
    let change = &mut world.server.own.live[0];
    change["record"] = json!({"id": id(1)});
    change["errors"] = json!(["Error 413: Payload Too Large"]);
    world.feed(Input::Timer);
    world.run_for(1_000);
    assert_eq!(texts(&world), ["too large for an event"]);
}

#[test]
fn an_update_of_an_old_row_is_kept_though_it_is_cut_short_or_not_on_this_screen() {
    let mut world = table();
    for n in 1..=3 {
        world.server.own.post(&id(n), "before");
        world.feed(Input::Timer);
        world.run_for(300_000);
    }
    world.server.own.update(&id(1), "cut short");
    let change = &mut world.server.own.live[0];
    change["record"] = json!({"id": id(1), "created_at": change["record"]["created_at"]});
    change["errors"] = json!(["Error 413: Payload Too Large"]);
    world.feed(Input::Timer);
    world.run_for(1_000);
    assert_eq!(texts(&world), ["cut short", "before", "before"]);
    // Another tab shows it.
    world.command(Command::Close { conversation_id: BOOKING.into() });
    world.server.own.update(&id(2), "elsewhere");
    world.feed(Input::Timer);
    world.run_for(1_000);
    let kept: Vec<&Value> = world.store.table(Table::Messages).map(|row| &row["content"]).collect();
    assert_eq!(kept, ["cut short", "elsewhere", "before"]);
    let windows = world.server.own.windows;
    world.run_for(25_000);
    assert_eq!(world.server.own.windows, windows, "and that was all");
}

#[test]
fn a_row_that_is_committed_after_later_ones_takes_its_place_among_them() {
    let mut world = table();
    world.live = false;
    let late = world.server.own.row(&id(9), "client", "late", -20_000);
    world.server.own.post(&id(1), "one");
    world.run_for(70_000);
    assert_eq!(texts(&world), ["one"]);
    world.server.own.rows.push(late);
    reload(&mut world);
    assert_eq!(texts(&world), ["late", "one"]);
    world.restart();
    assert_eq!(texts(&world), ["late", "one"]);
}

#[test]
fn a_row_of_the_future_hides_nothing_that_comes_after_it() {
    for shows_its_clock in [true, false] {
        let mut world = table();
        world.server.own.shows_its_clock = shows_its_clock;
        world.live = false;
        world.server.own.post(&id(1), "one");
        reload(&mut world);
        let future = world.server.own.row(&id(2), "client", "from the future", 864_000_000);
        world.server.own.rows.push(future);
        reload(&mut world);
        for n in 3..6 {
            world.run_for(600_000);
            world.server.own.post(&id(n), &format!("message {n}"));
            reload(&mut world);
        }
        assert_eq!(
            texts(&world),
            ["one", "message 3", "message 4", "message 5", "from the future"],
            "{shows_its_clock}"
        );
    }
}

#[test]
fn any_number_of_missed_rows_is_read_in_order_also_those_of_one_instant() {
    let mut world = table();
    world.server.own.post(&id(0), "first");
    world.run_for(1_000);
    world.set_online(false);
    let mut expected = vec!["first".to_owned()];
    let instant = world.server.own.row(&id(1), "client", "", 0)["created_at"].clone();
    for n in 0..450_u32 {
        let id = format!("01890000-0000-7000-8000-00000001{n:04x}");
        let mut row = world.server.own.row(&id, "client", &format!("missed {n}"), 0);
        if n < 300 {
            row["created_at"] = instant.clone();
        }
        world.server.own.rows.push(row);
        expected.push(format!("missed {n}"));
    }
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(texts(&world), expected);
    world.restart();
    assert_eq!(texts(&world), expected);
}

#[test]
fn rows_of_one_instant_that_come_live_are_all_shown() {
    let mut world = table();
    world.run_for(1_000);
    let first = world.server.own.row(&id(3), "system", "three", 0);
    for (n, content) in [(3, "three"), (1, "one"), (2, "two")] {
        let mut row = first.clone();
        (row["id"], row["content"]) = (id(n).into(), content.into());
        world.server.own.commit(row);
    }
    world.feed(Input::Timer);
    world.run_for(1_000);
    assert_eq!(texts(&world), ["one", "two", "three"]);
}

#[test]
fn the_first_page_is_the_newest_and_older_rows_stay_where_they_are() {
    let mut world = World::with(by_table);
    for n in 0..230_u32 {
        let id = format!("01890000-0000-7000-8000-00000001{n:04x}");
        let row = world.server.own.row(&id, "client", &format!("message {n}"), 0);
        world.server.own.rows.push(row);
    }
    world.start();
    assert_eq!(texts(&world).len(), 199);
    assert_eq!(texts(&world).last().map(String::as_str), Some("message 229"));
    world.server.own.update("01890000-0000-7000-8000-000000010003", "changed, and not here");
    world.feed(Input::Timer);
    assert_eq!(texts(&world).len(), 199);
}

#[test]
fn history_is_read_downwards_also_through_rows_of_one_instant() {
    let mut world = World::with(by_table);
    let instant = world.server.own.row(&id(1), "client", "", 0)["created_at"].clone();
    let mut expected = Vec::new();
    for n in 0..500_u32 {
        let id = format!("01890000-0000-7000-8000-00000001{n:04x}");
        let mut row = world.server.own.row(&id, "client", &format!("message {n}"), 0);
        if (280..320).contains(&n) {
            row["created_at"] = instant.clone();
        }
        world.server.own.rows.push(row);
    }
    world.server.own.rows.sort_by_key(super::own::time_of);
    expected.extend(world.server.own.contents().into_iter().map(str::to_owned));
    world.start();
    for op in 70.. {
        world.command(Command::LoadOlder { op, conversation_id: BOOKING.into() });
        let more = world.updates.iter().find_map(|update| match update {
            Update::Done { op: of, result } if *of == op => result["has_older"].as_bool(),
            _ => None,
        });
        if more == Some(false) {
            break;
        }
        assert!(op < 80);
    }
    assert_eq!(texts(&world), expected);
    world.restart();
    assert_eq!(texts(&world), expected);
}

#[test]
fn a_long_cache_is_cut_where_it_is_read_and_history_goes_on_below() {
    let mut world = table();
    world.run_for(1_000);
    world.set_online(false);
    for n in 0..1_200_u32 {
        let id = format!("01890000-0000-7000-8000-00000001{n:04x}");
        let row = world.server.own.row(&id, "client", &format!("message {n}"), 0);
        world.server.own.rows.push(row);
    }
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(texts(&world).len(), 1_200);
    world.restart();
    assert_eq!(texts(&world).first().map(String::as_str), Some("message 700"));
    assert_eq!(world.store.table(crate::store::Table::Messages).count(), 500);
    for (op, first) in [(70, "message 501"), (71, "message 302")] {
        world.command(Command::LoadOlder { op, conversation_id: BOOKING.into() });
        assert_eq!(texts(&world).first().map(String::as_str), Some(first));
    }
    world.restart();
    assert_eq!(texts(&world).first().map(String::as_str), Some("message 302"));
}

#[test]
fn an_app_that_changes_its_way_in_sees_the_other_ways_rows_and_none_of_the_old() {
    let mut world = World::started();
    world.receive(&id(1), "managed");
    world.run_for(1_000);
    world.server.own.post(&id(2), "of the table");
    by_table(&mut world.engine.config);
    world.restart();
    world.run_for(1_000);
    assert_eq!(texts(&world), ["of the table"]);
    world.engine.config.source = Source::default();
    world.restart();
    world.run_for(1_000);
    assert_eq!(texts(&world), ["managed"]);
}

#[test]
fn a_quiet_conversation_is_looked_at_from_time_to_time() {
    let mut world = table();
    world.live = false;
    world.run_for(1_000);
    world.server.own.post(&id(1), "nobody told");
    world.run_for(61_000);
    assert_eq!(texts(&world), ["nobody told"]);
}

#[test]
fn without_a_socket_the_table_is_polled_and_nobody_is_called_disconnected() {
    let mut world = World::with(by_table);
    world.has_sockets = false;
    world.start();
    world.run_for(20_000);
    for n in 1..=3 {
        world.server.own.post(&id(n), &format!("asked for {n}"));
        world.run_for(10_000);
        assert_eq!(texts(&world).len(), usize::from(n));
    }
    assert_eq!(world.connections(), ["connecting", "reconnecting"]);
    world.has_sockets = true;
    world.run_for(40_000);
    assert_eq!(world.connections().last(), Some(&"connected"));
    world.server.own.post(&id(9), "at once");
    world.feed(Input::Timer);
    assert_eq!(texts(&world).len(), 4);
}

#[test]
fn a_row_that_cannot_be_read_is_said_and_nothing_is_passed_over() {
    let mut world = World::with(by_table);
    let row = world.server.own.row("17", "client", "of an old table", 0);
    world.server.own.rows.push(row);
    world.start();
    let said = world.updates.iter().any(
        |update| matches!(update, Update::Problem { error: Some(problem), .. } if problem.code == "unreadable_row"),
    );
    assert!(said);
}
