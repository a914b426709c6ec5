//! Typing and presence, and that no message waits for them.

use super::{browser::Browser, world::*};
use crate::{
    engine::{Command, Input, PageEvent},
    json,
    json::Value,
    tabs::TabMessage,
};

fn typing(on: bool) -> Command {
    Command::Typing { conversation_id: BOOKING.into(), on }
}

fn presence(user: &str) -> Value {
    let metas = json!({"metas": [{"phx_ref": "r1"}]});
    let mut state = json!({});
    state[user] = metas;
    state
}

fn arrives(world: &mut World, user: &str) {
    world.on_side(BOOKING, "presence_diff", json!({"joins": presence(user), "leaves": {}}));
}

fn types(world: &mut World, user: &str, on: bool) {
    let payload = json!({"type": "broadcast", "event": "typing", "payload": {"user_id": user, "on": on}});
    world.on_side(BOOKING, "broadcast", payload);
}

/// What others were told of typing here, in order.
fn told(world: &World) -> Vec<Option<bool>> {
    let broadcasts = world.side_frames.iter().filter(|(_, event, _)| event == "broadcast");
    broadcasts.map(|(_, _, payload)| payload["payload"]["on"].as_bool()).collect()
}

fn tracks(world: &World) -> usize {
    world.side_frames.iter().filter(|(_, event, payload)| event == "presence" && payload["event"] == "track").count()
}

fn client(typing: bool) -> Vec<(String, String, bool)> {
    vec![(CLIENT.into(), "client".into(), typing)]
}

/// An open conversation whose topic is joined.
fn started() -> World {
    let mut world = World::started();
    world.run_for(2_000);
    assert_eq!(world.side_topics.keys().collect::<Vec<_>>(), [BOOKING]);
    world
}

#[test]
fn others_who_come_and_go_are_shown_and_oneself_is_not() {
    let mut world = started();
    assert_eq!(tracks(&world), 1);
    world.on_side(BOOKING, "presence_state", presence(OPERATOR));
    assert_eq!(world.people(), []);
    arrives(&mut world, CLIENT);
    assert_eq!(world.people(), client(false));
    world.on_side(BOOKING, "presence_diff", json!({"joins": {}, "leaves": presence(CLIENT)}));
    assert_eq!(world.people(), []);
}

#[test]
fn who_is_no_member_is_not_shown() {
    let mut world = started();
    arrives(&mut world, "somebody");
    types(&mut world, "somebody else", true);
    assert_eq!(world.people(), []);
}

#[test]
fn what_is_said_on_the_topic_of_a_conversation_is_no_message() {
    let mut world = started();
    world.server.post(BOOKING, CLIENT, "01890000-0000-7000-8000-000000000001", "real");
    let mut row = world.server.rows[BOOKING][0].clone();
    row["content"] = "forged".into();
    world.server.live.clear();
    world.on_side(
        BOOKING,
        "broadcast",
        json!({"type": "broadcast", "event": "message", "payload": {"conversation_id": BOOKING, "row": row}}),
    );
    assert!(world.screen().is_empty());
}

#[test]
fn typing_is_shown_and_ends_with_the_message() {
    let mut world = started();
    arrives(&mut world, CLIENT);
    types(&mut world, CLIENT, true);
    assert_eq!(world.people(), client(true));
    world.receive("01890000-0000-7000-8000-000000000001", "here it is");
    assert_eq!(world.people(), client(false));
}

#[test]
fn typing_that_is_not_repeated_ends_by_itself() {
    let mut world = started();
    arrives(&mut world, CLIENT);
    types(&mut world, CLIENT, true);
    world.run_for(5_000);
    assert_eq!(world.people(), client(true));
    types(&mut world, CLIENT, true);
    world.run_for(5_000);
    assert_eq!(world.people(), client(true));
    world.run_for(1_000);
    assert_eq!(world.people(), client(false));
}

#[test]
fn own_typing_is_told_now_and_then_and_ends_with_the_message() {
    let mut world = started();
    for _ in 0..50 {
        world.command(typing(true));
        world.run_for(100);
    }
    assert_eq!(told(&world), [Some(true), Some(true)]);
    world.send("here it is");
    assert_eq!(told(&world), [Some(true), Some(true), Some(false)]);
    assert_eq!(world.server.rows[BOOKING].len(), 1);
    world.run_for(60_000);
    assert_eq!(told(&world).len(), 3);
}

#[test]
fn own_typing_ends_five_seconds_after_the_last_key_and_when_nobody_looks_any_more() {
    let mut world = started();
    world.command(typing(true));
    world.run_for(5_000);
    assert_eq!(told(&world).last(), Some(&Some(false)));
    world.run_for(1_000);
    world.command(typing(true));
    world.feed(Input::Page(PageEvent::Hidden));
    assert_eq!(told(&world).last(), Some(&Some(false)));
    let count = told(&world).len();
    world.command(typing(true));
    world.run_for(10_000);
    assert_eq!(told(&world).len(), count, "nobody types on a hidden page");
}

#[test]
fn the_topic_is_joined_while_the_conversation_is_open_on_a_visible_page() {
    let mut world = started();
    arrives(&mut world, CLIENT);
    world.feed(Input::Page(PageEvent::Hidden));
    assert!(world.side_topics.is_empty());
    assert_eq!(world.people(), []);
    world.feed(Input::Page(PageEvent::Visible));
    world.run_for(2_000);
    assert_eq!(world.side_topics.len(), 1);
    world.command(Command::Close { conversation_id: BOOKING.into() });
    assert!(world.side_topics.is_empty());
}

#[test]
fn after_a_cut_nobody_is_shown_until_the_topic_is_joined_again() {
    let mut world = started();
    arrives(&mut world, CLIENT);
    types(&mut world, CLIENT, true);
    world.cut();
    assert_eq!(world.people(), []);
    world.run_for(5_000);
    assert_eq!(tracks(&world), 2);
    world.on_side(BOOKING, "presence_state", presence(CLIENT));
    assert_eq!(world.people(), client(false));
}

#[test]
fn a_server_that_lets_nobody_onto_the_topic_is_no_error_and_delays_nothing() {
    let mut world = World::new();
    world.has_sides = false;
    world.start();
    world.run_for(300_000);
    assert_eq!(world.connections(), ["connecting", "connected"]);
    let problem =
        |update: &crate::engine::Update| matches!(update, crate::engine::Update::Problem { error: Some(_), .. });
    assert!(!world.updates.iter().any(problem));
    let mut other = started();
    other.run_for(298_000);
    assert_eq!(world.tokens_given, other.tokens_given, "a missing permission wears no token out");
    world.command(typing(true));
    world.send("goes out");
    world.receive("01890000-0000-7000-8000-000000000001", "comes in");
    assert_eq!(world.screen().len(), 2);
}

// ---- several tabs

#[test]
fn what_a_following_tab_shows_is_joined_by_the_leader_and_told_back() {
    let mut browser = Browser::with_tabs(2);
    browser.run_for(2_000);
    browser.at(0, |tab| tab.feed(Input::Page(PageEvent::Hidden)));
    assert_eq!(browser.leader(), Some(0));
    let leader = |browser: &Browser| browser.tabs[0].world.side_topics.len();
    assert_eq!(leader(&browser), 1, "the other tab shows it");
    browser.at(0, |tab| arrives(tab, CLIENT));
    assert_eq!(browser.tabs[1].world.people(), client(false));
    browser.at(0, |tab| types(tab, CLIENT, true));
    assert_eq!(browser.tabs[1].world.people(), client(true));
    browser.at(1, |tab| tab.command(typing(true)));
    assert_eq!(told(&browser.tabs[0].world), [Some(true)]);
    browser.at(1, |tab| tab.feed(Input::Page(PageEvent::Hidden)));
    assert_eq!(told(&browser.tabs[0].world), [Some(true), Some(false)]);
    assert_eq!(leader(&browser), 0);
}

#[test]
fn a_tab_that_shows_it_later_hears_who_is_there() {
    let mut browser = Browser::with_tabs(2);
    browser.at(1, |tab| tab.command(Command::Close { conversation_id: BOOKING.into() }));
    browser.run_for(2_000);
    browser.at(0, |tab| arrives(tab, CLIENT));
    browser.at(1, |tab| tab.command(Command::Open { conversation_id: BOOKING.into() }));
    assert_eq!(browser.tabs[1].world.people(), client(false));
}

#[test]
fn what_a_tab_that_died_showed_is_left_after_a_while() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| tab.command(Command::Close { conversation_id: BOOKING.into() }));
    browser.run_for(20_000);
    assert_eq!(browser.tabs[0].world.side_topics.len(), 1, "it is told again at every beat");
    browser.crash(1);
    browser.run_for(31_000);
    assert_eq!(browser.tabs[0].world.side_topics.len(), 0);
}

#[test]
fn the_next_leader_joins_the_topic_and_shows_who_is_there() {
    let mut browser = Browser::with_tabs(2);
    browser.run_for(2_000);
    browser.at(0, |tab| arrives(tab, CLIENT));
    assert_eq!(browser.tabs[1].world.people(), client(false));
    browser.close_tab(0);
    assert_eq!(browser.tabs[1].world.people(), []);
    browser.run_for(2_000);
    browser.at(1, |tab| arrives(tab, CLIENT));
    assert_eq!(browser.tabs[1].world.people(), client(false));
}

#[test]
fn a_tab_that_slept_answers_the_beats_that_piled_up_with_one_word() {
    let mut browser = Browser::with_tabs(2);
    assert_eq!(browser.leader(), Some(0));
    browser.sleep(1);
    browser.run_for(25_000);
    let told = |browser: &Browser, nth| browser.said(nth, |said| matches!(said, TabMessage::Screen { .. }));
    let answers = |browser: &Browser| browser.said(0, |said| matches!(said, TabMessage::People { .. }));
    let before = (told(&browser, 1), answers(&browser));
    browser.wake(1);
    assert_eq!((told(&browser, 1), answers(&browser)), (before.0 + 1, before.1 + 1));
}

#[test]
fn who_is_put_out_sees_in_no_tab_who_is_there() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| arrives(tab, CLIENT));
    assert_eq!(browser.tabs[1].world.people(), client(false));
    browser.server.members.get_mut(BOOKING).unwrap().retain(|member| member["user_id"] != OPERATOR);
    browser.run_for(90_000);
    assert_eq!([browser.tabs[0].world.people(), browser.tabs[1].world.people()], [vec![], vec![]]);
}
