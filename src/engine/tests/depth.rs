//! Newest rows among which there is no message: the view looks further down by itself, and without haste.

use super::{browser::Browser, world::*};
use crate::{
    engine::{Command, Update},
    json,
};

fn id(n: u64) -> String {
    format!("01890000-0000-7000-8000-{n:012x}")
}

/// Some messages, and so many edits of the last one.
fn edited(server: &mut super::server::Server, messages: u64, edits: u64) {
    for n in 1..=messages {
        server.post(BOOKING, CLIENT, &id(n), &n.to_string());
    }
    for n in 1..=edits {
        let row = json!({"id": id(1_000 + n), "conversation_id": BOOKING, "kind": "edit", "target_id": id(messages), "content": format!("edit {n}"), "message_type": "text", "metadata": {}});
        server.write(CLIENT, &json!([row]));
    }
    server.live.clear();
    server.page = Some(50);
}

fn with_edits(messages: u64, edits: u64) -> World {
    let mut world = World::new();
    edited(&mut world.server, messages, edits);
    world
}

fn contents(world: &World) -> Vec<String> {
    world.screen().into_iter().map(|(content, _)| content).collect()
}

/// How many updates with messages there were before the view counted as loaded.
fn shown_when_loaded(world: &World) -> Option<usize> {
    let loaded = world.updates.iter().position(|update| matches!(update, Update::Loaded { .. }))?;
    let shows = |update: &&Update| matches!(update, Update::Messages { patch, .. } if !patch.upserts.is_empty());
    Some(world.updates[..loaded].iter().filter(shows).count())
}

fn requests(world: &World) -> usize {
    world.server.count("chat_sync")
}

fn failure(world: &mut World, op: u32) -> Option<String> {
    world.command(Command::LoadOlder { op, conversation_id: BOOKING.into() });
    world.failure_of(op)
}

#[test]
fn a_first_page_of_edits_is_not_an_empty_conversation() {
    let mut world = with_edits(3, 60);
    world.start();
    assert_eq!(contents(&world), ["1", "2", "edit 60"]);
    assert_eq!(shown_when_loaded(&world), Some(1), "it loads until there is something to show");
    let asked = requests(&world);
    world.online = false;
    world.restart();
    world.set_online(false);
    assert_eq!(contents(&world), ["1", "2", "edit 60"], "from the cache alone");
    assert_eq!(shown_when_loaded(&world), Some(1));
    assert_eq!(requests(&world), asked);
}

#[test]
fn many_pages_of_edits_are_gone_through_one_at_a_time() {
    let mut world = with_edits(3, 260);
    world.holds_syncs = true;
    world.start();
    let mut pages = 0;
    while shown_when_loaded(&world).is_none() {
        assert!(world.syncs.len() <= 1, "one page at a time");
        let answer = world.syncs.front().map(|(_, request)| request.clone());
        match answer {
            Some(request) => {
                let answer = world.server.answer(0, &request);
                world.answer_sync(answer);
                pages += 1;
            }
            None => world.run_for(250),
        }
        assert!(pages < 20);
    }
    assert_eq!(contents(&world), ["1", "2", "edit 260"]);
    assert_eq!(shown_when_loaded(&world), Some(1));
    assert_eq!(pages, 6);
}

#[test]
fn a_tab_that_follows_looks_further_down_too() {
    let mut browser = Browser::with_tabs(0);
    edited(&mut browser.server, 3, 60);
    browser.open_tab();
    browser.open_tab();
    browser.run_for(5_000);
    for tab in &browser.tabs {
        assert_eq!(contents(&tab.world), ["1", "2", "edit 60"]);
        assert_eq!(shown_when_loaded(&tab.world), Some(1));
    }
}

#[test]
fn a_server_that_does_not_know_the_question_is_asked_once_in_a_long_while() {
    let mut world = with_edits(3, 60);
    world.server.lacks_history = true;
    world.start();
    assert_eq!(shown_when_loaded(&world), Some(0), "it does not load for ever");
    let asked = requests(&world);
    world.live = false;
    world.run_for(55_000);
    assert!(requests(&world) <= asked + 60, "catching up without a live channel, and nothing else");
    let history = |world: &World| world.server.older;
    let before = history(&world);
    world.run_for(600_000);
    assert!((1..=10).contains(&(history(&world) - before)), "{}", history(&world) - before);
    assert_eq!(failure(&mut world, 70).as_deref(), Some("history_unavailable"), "who asks is told");
    world.server.lacks_history = false;
    world.run_for(61_000);
    assert_eq!(contents(&world), ["1", "2", "edit 60"]);
}

#[test]
fn what_comes_live_does_not_make_a_server_be_asked_again() {
    let mut world = with_edits(3, 60);
    world.server.lacks_history = true;
    world.start();
    let before = world.server.older;
    for n in 0..30 {
        let row = json!({"id": id(5_000 + n), "conversation_id": BOOKING, "kind": "edit", "target_id": id(3), "content": "again", "message_type": "text", "metadata": {}});
        world.server.write(CLIENT, &json!([row]));
        world.run_for(1_000);
    }
    assert_eq!(world.server.older, before);
    assert_eq!(contents(&world), Vec::<String>::new());
}

#[test]
fn without_a_network_it_waits_for_one() {
    let mut world = with_edits(3, 60);
    world.holds_syncs = true;
    world.start();
    let request = world.syncs.front().expect("catching up").1.clone();
    let first = world.server.answer(0, &request);
    world.answer_sync(first);
    world.set_online(false);
    while !world.syncs.is_empty() {
        world.answer_sync(Err(crate::rest::HttpError::Network));
    }
    assert_eq!(shown_when_loaded(&world), Some(0), "there is nothing to wait for");
    let older = world.server.older;
    world.run_for(300_000);
    assert_eq!(world.server.older, older);
    world.holds_syncs = false;
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(contents(&world), ["1", "2", "edit 60"]);
}

#[test]
fn a_conversation_without_any_message_is_loaded_and_asks_for_nothing() {
    let mut world = World::new();
    world.start();
    assert_eq!(contents(&world), Vec::<String>::new());
    assert_eq!(shown_when_loaded(&world), Some(0));
    assert_eq!(world.server.older, 0);
}
