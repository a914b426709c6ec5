//! What is delivered, what is read, who says so, and when.

use super::{browser::Browser, world::*};
use crate::{
    engine::{Command, Input, PageEvent, receipts::Receipt},
    json,
    json::Value,
    message::DeliveryStatus,
    rest::HttpResponse,
    tabs::TabMessage,
};

fn id(n: u64) -> String {
    format!("01890000-0000-7000-8000-{n:012x}")
}

/// What the server holds of the operator: delivered and read.
fn marks(server: &super::server::Server) -> (u64, u64) {
    let own = &server.members[BOOKING][0];
    (own["delivered_seq"].as_u64().unwrap_or(0), own["read_seq"].as_u64().unwrap_or(0))
}

fn read(server: &mut super::server::Server, user: &str, seq: u64) {
    server.ack(user, &json!([{"conversation_id": BOOKING, "delivered": seq, "read": seq}]));
}

fn in_two_tabs() -> Browser {
    let mut browser = Browser::with_tabs(2);
    browser.page(0, PageEvent::Hidden);
    browser
}

fn receive(browser: &mut Browser, n: u64) {
    browser.at(0, |tab| tab.receive(&id(n), "hi"));
}

#[test]
fn many_messages_cost_one_receipt() {
    let mut world = World::started();
    for n in 1..=30 {
        world.receive(&id(n), "hi");
    }
    world.run_for(3_000);
    assert_eq!(marks(&world.server), (30, 30));
    assert!(world.server.count("chat_ack") <= 3, "{}", world.server.count("chat_ack"));
}

#[test]
fn what_a_following_tab_shows_is_read() {
    let mut browser = in_two_tabs();
    assert_eq!(browser.leader(), Some(0));
    receive(&mut browser, 1);
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 1));
}

#[test]
fn what_no_visible_tab_shows_is_delivered_and_not_read() {
    let mut browser = in_two_tabs();
    browser.page(1, PageEvent::Hidden);
    receive(&mut browser, 1);
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 0));
    browser.page(1, PageEvent::Visible);
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 1));
}

#[test]
fn a_following_tab_that_shows_something_else_reads_nothing() {
    let mut browser = in_two_tabs();
    browser.command(1, Command::Close { conversation_id: BOOKING.into() });
    receive(&mut browser, 1);
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 0));
}

#[test]
fn what_was_read_in_a_following_tab_is_told_to_the_next_leader_too() {
    let mut browser = in_two_tabs();
    browser.open_tab();
    browser.page(2, PageEvent::Hidden);
    browser.tabs[1].mute = true;
    receive(&mut browser, 1);
    browser.tabs[1].mute = false;
    assert_eq!(marks(&browser.server), (1, 0));
    browser.page(1, PageEvent::Hidden);
    browser.crash(0);
    browser.run_for(5_000);
    assert_eq!(marks(&browser.server), (1, 1));
}

#[test]
fn an_app_that_decides_itself_does_so_in_any_tab() {
    let mut browser = in_two_tabs();
    for tab in &mut browser.tabs {
        tab.world.engine.config.auto_read = false;
    }
    receive(&mut browser, 1);
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 0));
    browser.command(1, Command::MarkRead { conversation_id: BOOKING.into() });
    browser.run_for(3_000);
    assert_eq!(marks(&browser.server), (1, 1));
}

#[test]
fn what_was_read_of_a_conversation_before_it_was_set_back_is_not_read_of_the_copy() {
    let mut world = World::started();
    world.feed(Input::Page(PageEvent::Hidden));
    world.receive(&id(1), "one");
    let said = |incarnation: &str| {
        let incarnation = incarnation.to_owned();
        Input::Heard(TabMessage::Read { conversation_id: BOOKING.into(), incarnation, seq: 1 })
    };
    world.feed(said("of before"));
    world.run_for(3_000);
    assert_eq!(marks(&world.server), (1, 0));
    world.feed(said(&super::server::incarnation(0)));
    world.run_for(3_000);
    assert_eq!(marks(&world.server), (1, 1));
}

#[test]
fn nor_is_what_was_acknowledged_before_it_was_set_back_acknowledged_of_the_copy() {
    let mut world = World::started();
    world.receive(&id(1), "one");
    let mut own = |incarnation: String| {
        let said = [Receipt { conversation_id: BOOKING.into(), incarnation, delivered: 9 }];
        let acks = json!([{"conversation_id": BOOKING, "delivered_seq": 9, "read_seq": 9}]).to_string();
        let response = HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: acks };
        world.engine.ack_answered("jwt", &said, Ok(response));
        world.engine.sync.get(BOOKING).and_then(|held| held.delivered(OPERATOR))
    };
    assert_eq!(own("of before".into()), Some(1));
    assert_eq!(own(super::server::incarnation(0)), Some(9));
}

// ---- a page that goes away

/// A message that came in the pause after the last receipt.
fn with_a_receipt_that_waits() -> World {
    let mut world = World::started();
    world.receive(&id(1), "one");
    world.receive(&id(2), "two");
    assert_eq!(marks(&world.server), (1, 1));
    world
}

fn last_acks(world: &World) -> Vec<Value> {
    let acks = world.keepalives.iter().filter(|http| http.url.ends_with("chat_ack"));
    acks.map(|http| json::parse(&http.body).expect("JSON")["acks"].clone()).collect()
}

#[test]
fn a_page_that_goes_away_leaves_its_receipts_behind() {
    let mut world = with_a_receipt_that_waits();
    world.feed(Input::Page(PageEvent::Leaving));
    assert_eq!(last_acks(&world), [json!([{"conversation_id": BOOKING, "delivered": 2, "read": 2}])]);
}

#[test]
fn a_page_that_has_nothing_to_tell_leaves_nothing_behind() {
    let mut world = with_a_receipt_that_waits();
    world.run_for(2_000);
    world.feed(Input::Page(PageEvent::Leaving));
    assert!(world.keepalives.is_empty());
}

#[test]
fn what_is_left_behind_stays_below_what_browsers_take() {
    let mut world = World::started();
    for n in 1..=100 {
        let conversation = format!("{n:0>190}");
        let role = |user: &str, role: &str| json!({"user_id": user, "role": role, "delivered_seq": 0, "read_seq": 0});
        world.server.members.insert(conversation.clone(), vec![role(OPERATOR, "operator"), role(CLIENT, "client")]);
        world.server.rows.insert(conversation.clone(), Vec::new());
        world.server.post(&conversation, CLIENT, &id(n), "hi");
        world.command(Command::Open { conversation_id: conversation });
    }
    world.feed(Input::Page(PageEvent::Leaving));
    let sizes: Vec<usize> = world.keepalives.iter().map(|http| http.body.len()).collect();
    assert!(!sizes.is_empty() && sizes.iter().sum::<usize>() <= 64 * 1024, "{sizes:?}");
    assert!(last_acks(&world)[0].as_array().is_some_and(|acks| acks.len() > 4));
}

#[test]
fn when_nobody_looks_any_more_receipts_wait_no_longer() {
    let mut world = with_a_receipt_that_waits();
    world.feed(Input::Page(PageEvent::Hidden));
    assert_eq!(marks(&world.server), (2, 2));
}

#[test]
fn what_was_read_without_a_network_is_still_read_after_a_reload() {
    let mut world = World::with(|config| config.auto_read = false);
    world.start();
    world.receive(&id(1), "one");
    world.run_for(2_000);
    world.set_online(false);
    world.command(Command::MarkRead { conversation_id: BOOKING.into() });
    world.feed(Input::Page(PageEvent::Hidden));
    world.restart();
    world.engine.config.auto_read = false;
    world.set_online(true);
    world.run_for(5_000);
    assert_eq!(marks(&world.server), (1, 1));
}

// ---- ticks

fn with_two_clients(of_all: bool) -> World {
    let mut world = World::with(|config| config.ticks_of_all = of_all);
    let members = world.server.members.get_mut(BOOKING).expect("members");
    members.push(json!({"user_id": "client-2", "role": "client", "delivered_seq": 0, "read_seq": 0}));
    world.start();
    world.send("hello");
    world
}

fn tick(world: &World) -> String {
    world.screen().pop().expect("a message").1
}

#[test]
fn ticks_follow_the_first_who_has_it() {
    let mut world = with_two_clients(false);
    read(&mut world.server, CLIENT, 1);
    world.feed(Input::Timer);
    assert_eq!(tick(&world), DeliveryStatus::Read.as_str());
}

#[test]
fn or_everybody_where_the_app_wants_that() {
    let mut world = with_two_clients(true);
    read(&mut world.server, CLIENT, 1);
    world.feed(Input::Timer);
    assert_eq!(tick(&world), DeliveryStatus::Sent.as_str());
    read(&mut world.server, "client-2", 1);
    world.feed(Input::Timer);
    assert_eq!(tick(&world), DeliveryStatus::Read.as_str());
}

#[test]
fn a_sender_who_was_away_sees_the_ticks_when_the_network_is_back() {
    let mut world = World::started();
    world.send("hello");
    world.set_online(false);
    read(&mut world.server, CLIENT, 1);
    world.server.live.clear();
    world.run_for(10_000);
    assert_eq!(tick(&world), DeliveryStatus::Sent.as_str());
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(tick(&world), DeliveryStatus::Read.as_str());
}
