use crate::json;

use super::world::*;
use crate::{
    engine::{Command, Input, PageEvent, Update},
    store::{Operation, StoreError, Transaction},
};

fn id(n: u8) -> String {
    format!("01890000-0000-7000-8000-0000000000{n:02x}")
}

fn contents(world: &World) -> Vec<String> {
    world.screen().into_iter().map(|(content, _)| content).collect()
}

#[test]
fn a_live_message_is_shown_stored_and_acknowledged() {
    let mut world = World::started();
    world.receive(&id(1), "hi");
    assert_eq!(contents(&world), ["hi"]);
    world.run_for(2_000);
    assert_eq!(world.server.members[BOOKING][0]["delivered_seq"], 1);
    assert_eq!(world.server.members[BOOKING][0]["read_seq"], 1);
}

#[test]
fn on_a_hidden_page_a_message_is_delivered_and_not_read() {
    let mut world = World::started();
    world.feed(Input::Page(PageEvent::Hidden));
    world.receive(&id(1), "hi");
    world.run_for(2_000);
    assert_eq!(world.server.members[BOOKING][0]["delivered_seq"], 1);
    assert_eq!(world.server.members[BOOKING][0]["read_seq"], 0);
    world.feed(Input::Page(PageEvent::Visible));
    world.run_for(2_000);
    assert_eq!(world.server.members[BOOKING][0]["read_seq"], 1);
}

#[test]
fn what_was_missed_while_the_socket_was_down_is_fetched_when_it_is_back() {
    let mut world = World::started();
    world.set_online(false);
    for n in 1..=3 {
        world.server.post(BOOKING, CLIENT, &id(n), &format!("missed {n}"));
    }
    world.run_for(10_000);
    assert_eq!(contents(&world).len(), 0);
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(contents(&world), ["missed 1", "missed 2", "missed 3"]);
    assert_eq!(world.connections(), ["connecting", "connected", "disconnected", "reconnecting", "connected"]);
}

#[test]
fn a_hole_is_asked_for_at_once() {
    let mut world = World::started();
    world.live = false;
    world.receive(&id(1), "one");
    world.live = true;
    world.receive(&id(2), "two");
    assert_eq!(contents(&world), ["one", "two"]);
}

#[test]
fn an_event_without_its_row_is_fetched() {
    let mut world = World::started();
    world.live = false;
    world.receive(&id(1), "a long one");
    world.broadcast("message", &json!({"conversation_id": BOOKING, "seq": 1, "id": id(1)}));
    assert_eq!(contents(&world), ["a long one"]);
}

#[test]
fn a_message_that_came_live_before_requests_see_it_never_leaves_the_screen() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.server.unseen = 1;
    world.receive(&id(2), "two");
    world.command(Command::Reload { op: 70, conversation_id: BOOKING.into() });
    assert_eq!(contents(&world), ["one", "two"]);
    world.server.unseen = 0;
    world.run_for(1_000);
    assert_eq!(contents(&world), ["one", "two"]);
    let reset = |update: &Update| matches!(update, Update::Messages { patch, .. } if patch.reset);
    assert_eq!(world.updates.iter().filter(|update| reset(update)).count(), 1, "at first only");
}

#[test]
fn an_event_without_its_row_that_came_before_requests_see_the_row_is_fetched_soon() {
    let mut world = World::started();
    world.live = false;
    world.server.unseen = 1;
    world.receive(&id(1), "a long one");
    world.broadcast("message", &json!({"conversation_id": BOOKING, "seq": 1, "id": id(1)}));
    assert_eq!(contents(&world).len(), 0);
    world.server.unseen = 0;
    world.run_for(1_000);
    assert_eq!(contents(&world), ["a long one"]);
}

#[test]
fn a_loss_without_any_signal_is_found_within_the_reconcile_period() {
    let mut world = World::started();
    world.live = false;
    world.server.post(BOOKING, CLIENT, &id(1), "lost in silence");
    world.run_for(60_000);
    assert_eq!(contents(&world), ["lost in silence"]);
}

#[test]
fn a_doubled_event_is_shown_once() {
    let mut world = World::started();
    world.server.post(BOOKING, CLIENT, &id(1), "once");
    let row = world.server.rows[BOOKING][0].clone();
    world.feed(Input::Timer);
    world.broadcast("message", &json!({"row": row, "conversation_id": BOOKING}));
    assert_eq!(contents(&world), ["once"]);
}

#[test]
fn history_is_shown_from_the_cache_without_a_network() {
    let mut world = World::started();
    world.server.post(BOOKING, CLIENT, &id(1), "hi");
    world.send("hello");
    world.online = false;
    world.restart();
    assert_eq!(contents(&world), ["hi", "hello"]);
    assert!(world.updates.iter().any(|update| matches!(update, Update::Loaded { .. })));
}

#[test]
fn a_cut_socket_is_opened_again_and_nothing_is_missed() {
    let mut world = World::started();
    world.live = false;
    world.cut();
    world.server.post(BOOKING, CLIENT, &id(1), "meanwhile");
    world.live = true;
    world.run_for(5_000);
    assert_eq!(contents(&world), ["meanwhile"]);
    assert_eq!(world.connections().last(), Some(&"connected"));
}

#[test]
fn a_strangers_conversation_is_refused_and_said() {
    let mut world = World::started();
    world.server.rows.insert("b9".into(), Vec::new());
    world.server.members.insert("b9".into(), Vec::new());
    world.command(Command::Open { conversation_id: "b9".into() });
    let refused = |update: &Update| matches!(update, Update::Problem { conversation_id: Some(id), error: Some(error) } if id == "b9" && error.code == "forbidden");
    assert!(world.updates.iter().any(refused));
    world.command(Command::Reload { op: 77, conversation_id: "b9".into() });
    assert_eq!(world.failure_of(77).as_deref(), Some("forbidden"));
}

#[test]
fn loading_messages_is_answered_when_they_are_there_and_fails_when_the_server_is_out_of_reach() {
    let mut world = World::started();
    world.server.post(BOOKING, CLIENT, &id(1), "hi");
    world.command(Command::Reload { op: 70, conversation_id: BOOKING.into() });
    assert!(world.is_done(70));
    world.set_online(false);
    world.command(Command::Reload { op: 71, conversation_id: BOOKING.into() });
    world.run_for(20_000);
    assert!(world.failure_of(71).is_some());
}

#[test]
fn a_page_that_was_never_cached_says_why_it_is_empty_and_fills_when_the_server_is_back() {
    let mut world = World::new();
    world.server.post(BOOKING, CLIENT, &id(1), "hi");
    world.online = false;
    world.start();
    world.run_for(1_000);
    let said = |world: &World, code: Option<&str>| {
        world.updates.iter().any(|update| {
            matches!(update, Update::Problem { conversation_id: Some(_), error } if error.as_ref().map(|error| error.code.as_str()) == code)
        })
    };
    assert!(said(&world, Some("network")));
    assert!(world.updates.iter().any(|update| matches!(update, Update::Loaded { .. })));
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(contents(&world), ["hi"]);
    assert!(said(&world, None), "the problem has passed");
}

#[test]
fn a_live_channel_that_was_refused_for_its_token_comes_back_with_the_next_one() {
    let mut world = World::new();
    world.refused_joins = 2;
    world.start();
    world.run_for(60_000);
    assert_eq!(world.connections().last(), Some(&"connected"));
}

#[test]
fn without_a_live_channel_messages_come_by_polling() {
    let mut world = World::new();
    world.refused_joins = u32::MAX;
    world.start();
    world.receive(&id(1), "hi");
    world.run_for(10_000);
    assert_eq!(contents(&world), ["hi"]);
    assert_ne!(world.connections().last(), Some(&"connected"));
}

#[test]
fn a_tab_that_follows_loads_what_the_leader_keeps_and_waits_for_nobody() {
    let mut leader = World::started();
    leader.receive(&id(1), "hi");
    let mut follower = World::new();
    follower.store = leader.store.clone();
    follower.lock_is_free = false;
    follower.start();
    let status = crate::health::ConnectionStatus::Connected;
    let leader = crate::tabs::Leader { status, visible: true, polling: false, generation: 1 };
    follower.feed(Input::Heard(crate::tabs::TabMessage::Status(leader)));
    follower.command(Command::Reload { op: 70, conversation_id: BOOKING.into() });
    assert!(follower.is_done(70));
    assert_eq!(contents(&follower), ["hi"]);
}

#[test]
fn a_full_storage_is_a_problem_until_something_can_be_kept_again() {
    let mut world = World::started();
    world.store_fault = Some(StoreError::Full);
    world.receive(&id(1), "one");
    let problem = |world: &World| {
        let last = world.updates.iter().rev().find_map(|update| match update {
            Update::Problem { conversation_id: None, error } => Some(error.as_ref().map(|error| error.code.clone())),
            _ => None,
        });
        last.flatten()
    };
    assert_eq!(problem(&world).as_deref(), Some("storage_full"));
    world.store_fault = None;
    world.receive(&id(2), "two");
    world.run_for(6_000);
    assert_eq!(problem(&world), None);
}

#[test]
fn rows_that_the_database_refused_leave_no_hole_in_the_cache_and_are_not_acknowledged() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.store_fault = Some(StoreError::Failed("aborted".into()));
    world.receive(&id(2), "two");
    world.store_fault = None;
    world.receive(&id(3), "three");
    assert_eq!(contents(&world), ["one", "two", "three"]);
    world.run_for(2_000);
    assert_eq!(world.server.members[BOOKING][0]["delivered_seq"], 1);
    world.run_for(10_000);
    assert_eq!(world.server.members[BOOKING][0]["delivered_seq"], 3);
    world.restart();
    world.online = false;
    assert_eq!(contents(&world), ["one", "two", "three"]);
}

#[test]
fn a_lead_that_comes_back_believes_the_database_and_not_what_it_remembers() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.server.post(BOOKING, CLIENT, &id(2), "two");
    // Another tab leads meanwhile: what this one writes is refused.
    world.store.run(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])).unwrap();
    world.feed(Input::Timer);
    world.run_for(61_000);
    world.restart();
    assert_eq!(contents(&world), ["one", "two"]);
}

#[test]
fn what_joins_the_view_after_a_long_absence_shows_no_hole() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.live = false;
    world.feed(Input::Page(PageEvent::Frozen));
    let mut other = World::new();
    std::mem::swap(&mut other.store, &mut world.store);
    std::mem::swap(&mut other.server, &mut world.server);
    other.start();
    for n in 2..=80 {
        other.receive(&id(n), "more");
    }
    std::mem::swap(&mut other.store, &mut world.store);
    std::mem::swap(&mut other.server, &mut world.server);
    world.live = true;
    world.feed(Input::Page(PageEvent::Resumed));
    world.run_for(1_000);
    assert_eq!(contents(&world).len(), 80);
}

#[test]
fn an_edit_whose_event_was_cut_short_comes_in_whatever_order() {
    let mut world = World::started();
    let edit = |n: u8, content: &str| {
        json!({"id": id(n), "conversation_id": BOOKING, "kind": "edit", "target_id": id(1),
        "content": content, "message_type": "text", "metadata": {}})
    };
    world.receive(&id(1), "first");
    world.receive(&id(2), "second");
    world.live = false;
    world.server.write(CLIENT, &json!([edit(3, "first, better")]));
    world.feed(Input::Timer);
    let cut = |seq: u64, of: u8| json!({"conversation_id": BOOKING, "seq": seq, "id": id(of)});
    world.broadcast("message", &cut(3, 3));
    assert_eq!(contents(&world), ["first, better", "second"]);
    // The whole row of a later one comes first, then what was cut short below it, then something from long ago.
    world.server.write(CLIENT, &json!([edit(4, "first, best")]));
    world.server.post(BOOKING, CLIENT, &id(5), "third");
    world.feed(Input::Timer);
    let row = world.server.rows[BOOKING][4].clone();
    world.broadcast("message", &json!({"conversation_id": BOOKING, "seq": 5, "id": id(5), "row": row}));
    world.broadcast("message", &cut(4, 4));
    world.broadcast("message", &cut(1, 1));
    assert_eq!(contents(&world), ["first, best", "second", "third"]);
}

#[test]
fn an_event_of_which_nothing_is_left_makes_everything_asked_for() {
    let mut world = World::started();
    world.live = false;
    world.receive(&id(1), "one");
    world.broadcast("message", &json!({"id": id(1)}));
    assert_eq!(contents(&world), ["one"]);
}

#[test]
fn a_receipt_that_was_cut_short_is_asked_for() {
    let mut world = World::started();
    world.send("hello");
    world.live = false;
    world.server.ack(CLIENT, &json!([{"conversation_id": BOOKING, "delivered": 1, "read": 1}]));
    world.feed(Input::Timer);
    world.broadcast("receipt", &json!({"conversation_id": BOOKING}));
    assert_eq!(world.screen()[0].1, "read");
}

#[test]
fn loading_messages_brings_what_was_committed_before_also_while_a_request_is_under_way() {
    let mut world = World::started();
    world.live = false;
    world.holds_syncs = true;
    world.command(Command::Reload { op: 70, conversation_id: BOOKING.into() });
    let (_, http) = world.syncs.front().expect("a request").clone();
    let old = world.server.answer(world.now.mono, &http);
    world.server.post(BOOKING, CLIENT, &id(1), "committed before the second call");
    world.command(Command::Reload { op: 71, conversation_id: BOOKING.into() });
    world.answer_sync(old);
    assert_eq!((world.is_done(70), world.is_done(71)), (true, false));
    world.let_go();
    assert!(world.is_done(71));
    assert_eq!(contents(&world).len(), 1);
}
