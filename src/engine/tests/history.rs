//! Older pages: from the cache, from the server, in a tab that follows, and what an edit aims at down there.

use super::{browser::Browser, server::Server, world::*};
use crate::{
    engine::{Command, Input, Update},
    json,
    json::Value,
    rest::{HttpError, HttpResponse},
    store::{MemoryStore, Operation, StoreError, Table, Transaction},
};

fn id(n: u64) -> String {
    format!("01890000-0000-7000-8000-{n:012x}")
}

fn post(server: &mut Server, range: std::ops::RangeInclusive<u64>) {
    for n in range {
        server.post(BOOKING, CLIENT, &id(n), &n.to_string());
    }
    server.live.clear();
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn contents(world: &World) -> Vec<String> {
    world.screen().into_iter().map(|(content, _)| content).collect()
}

/// So many messages on the server, and a client that has the newest 50.
fn with_history(messages: u64) -> World {
    let mut world = World::new();
    world.server.page = Some(50);
    post(&mut world.server, 1..=messages);
    world.start();
    world
}

fn older(op: u32) -> Command {
    Command::LoadOlder { op, conversation_id: BOOKING.into() }
}

fn load(world: &mut World, op: u32) -> Option<bool> {
    world.command(older(op));
    world.answer_to(op).and_then(|answer| answer["has_older"].as_bool())
}

/// What was said of the history, in order.
fn said(world: &World) -> Vec<Option<bool>> {
    let said = |update: &Update| if let Update::History { has_older, .. } = update { Some(*has_older) } else { None };
    world.updates.iter().filter_map(said).collect()
}

fn low(world: &World) -> Value {
    low_of(&world.store)
}

fn low_of(store: &MemoryStore) -> Value {
    store.table(Table::Conversations).next().expect("a record")["low"].clone()
}

#[test]
fn the_view_grows_downwards_a_page_at_a_time_until_there_is_nothing_more() {
    let mut world = with_history(120);
    assert_eq!(contents(&world), numbers(71..=120));
    assert_eq!(load(&mut world, 70), Some(true));
    assert_eq!(contents(&world), numbers(21..=120));
    assert_eq!(low(&world), 21);
    assert_eq!(load(&mut world, 71), Some(false));
    assert_eq!(contents(&world), numbers(1..=120));
    assert_eq!(low(&world), 1);
    let requests = world.server.requests.len();
    assert_eq!(load(&mut world, 72), Some(false));
    assert_eq!(world.server.requests.len(), requests, "there is nothing to ask for");
    assert_eq!(said(&world), [Some(true), Some(false)]);
}

#[test]
fn a_short_conversation_has_nothing_older_from_the_beginning() {
    let mut world = with_history(50);
    assert_eq!(said(&world), [Some(false)]);
    assert_eq!(load(&mut world, 70), Some(false));
}

#[test]
fn what_is_cached_is_read_without_a_network_and_what_is_not_is_refused() {
    let mut world = with_history(200);
    load(&mut world, 70);
    world.online = false;
    world.restart();
    world.set_online(false);
    assert_eq!(contents(&world), numbers(151..=200));
    assert_eq!(load(&mut world, 71), Some(true));
    assert_eq!(contents(&world), numbers(101..=200));
    assert_eq!(load(&mut world, 72), None);
    assert_eq!(world.failure_of(72).as_deref(), Some("offline_history"));
    assert_eq!(contents(&world), numbers(101..=200));
    world.set_online(true);
    world.run_for(3_000);
    assert_eq!(load(&mut world, 73), Some(true));
    assert_eq!(contents(&world), numbers(51..=200));
}

#[test]
fn a_request_that_is_not_answered_is_refused_as_history_out_of_reach() {
    let mut world = with_history(120);
    world.online = false;
    world.command(older(70));
    assert_eq!(world.failure_of(70).as_deref(), Some("offline_history"));
}

#[test]
fn a_page_costs_its_own_records_however_many_are_cached() {
    let cost = |messages: u64| {
        let mut world = with_history(messages);
        for op in 0..messages / 50 {
            load(&mut world, 1_000 + op as u32);
        }
        world.online = false;
        world.restart();
        world.records_read = 0;
        world.command(Command::Close { conversation_id: BOOKING.into() });
        world.command(Command::Open { conversation_id: BOOKING.into() });
        let opened = world.records_read;
        load(&mut world, 70);
        (opened, world.records_read - opened)
    };
    assert_eq!(cost(100), (52, 51));
    assert_eq!(cost(2_000), (52, 51), "its record twice, and a page");
}

#[test]
fn calls_at_the_same_time_share_one_request_and_one_page() {
    let mut world = with_history(200);
    world.server.requests.clear();
    world.holds_syncs = true;
    for op in 70..73 {
        world.command(older(op));
    }
    world.let_go();
    assert_eq!(world.server.count("chat_sync"), 1);
    assert!((70..73).all(|op| world.is_done(op)));
    assert_eq!(contents(&world), numbers(101..=200));
}

#[test]
fn what_another_page_in_front_of_the_server_answers_is_not_called_out_of_reach() {
    let mut world = with_history(120);
    world.holds_syncs = true;
    world.command(older(70));
    let page = HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: "<html>".into() };
    world.answer_sync(Ok(page));
    assert_eq!(world.failure_of(70).as_deref(), Some("server"));
}

#[test]
fn messages_that_come_meanwhile_stand_where_they_belong() {
    let mut world = with_history(120);
    world.holds_syncs = true;
    world.command(older(70));
    world.holds_syncs = false;
    world.receive(&id(121), "121");
    world.let_go();
    assert_eq!(contents(&world), numbers(21..=121));
    assert_eq!(load(&mut world, 71), Some(false));
    world.online = false;
    world.restart();
    world.set_online(false);
    load(&mut world, 72);
    load(&mut world, 73);
    assert_eq!(contents(&world), numbers(1..=121), "and it is cached so");
}

#[test]
fn a_page_of_a_conversation_that_was_made_anew_is_not_mixed_with_the_old_one() {
    let mut world = with_history(120);
    world.server.restore(BOOKING, 0);
    post(&mut world.server, 500..=503);
    world.command(older(70));
    world.run_for(2_000);
    assert!(world.is_done(70));
    assert_eq!(contents(&world), numbers(500..=503));
    assert_eq!(said(&world).last(), Some(&Some(false)));
    assert_eq!(load(&mut world, 71), Some(false));
}

#[test]
fn a_conversation_that_is_closed_and_opened_again_meanwhile_takes_no_stray_page() {
    let mut world = with_history(120);
    world.holds_syncs = true;
    world.command(older(70));
    world.command(Command::Close { conversation_id: BOOKING.into() });
    assert_eq!(world.failure_of(70).as_deref(), Some("client_closed"));
    world.command(Command::Open { conversation_id: BOOKING.into() });
    world.updates.clear();
    world.let_go();
    world.holds_syncs = false;
    assert_eq!(load(&mut world, 71), Some(true));
    assert_eq!(load(&mut world, 72), Some(false));
    world.restart();
    load(&mut world, 73);
    load(&mut world, 74);
    assert_eq!(contents(&world), numbers(1..=120));
}

#[test]
fn an_expired_token_is_renewed_and_the_page_comes() {
    let mut world = with_history(120);
    world.server.expired = 1;
    assert_eq!(load(&mut world, 70), Some(true));
    assert_eq!(contents(&world), numbers(21..=120));
}

#[test]
fn what_is_not_open_has_no_history_and_a_call_is_answered_in_any_case() {
    let mut world = with_history(120);
    world.command(Command::LoadOlder { op: 70, conversation_id: "b9".into() });
    assert_eq!(world.failure_of(70).as_deref(), Some("invalid_conversation"));
    world.holds_syncs = true;
    world.command(older(71));
    world.run_for(20_000);
    assert_eq!(world.failure_of(71).as_deref(), Some("timeout"));
    world.command(older(72));
    world.command(Command::Shutdown { op: 73, discard: false });
    assert_eq!(world.failure_of(72).as_deref(), Some("client_closed"));
    world.command(older(74));
    assert_eq!(world.failure_of(74).as_deref(), Some("client_closed"));
}

#[test]
fn a_server_that_refuses_and_an_answer_that_cannot_be_read_are_told_by_code() {
    let mut world = with_history(120);
    world.server.members.insert(BOOKING.into(), Vec::new());
    world.command(older(70));
    assert_eq!(world.failure_of(70).as_deref(), Some("forbidden"));
    world.holds_syncs = true;
    world.command(older(71));
    world.answer_sync(Ok(crate::rest::HttpResponse {
        status: 200,
        retry_after_ms: None,
        date_ms: None,
        body: "[{}]".into(),
    }));
    assert_eq!(world.failure_of(71).as_deref(), Some("server"));
    world.command(older(72));
    world.answer_sync(Err(HttpError::Network));
    assert_eq!(world.failure_of(72).as_deref(), Some("offline_history"));
}

#[test]
fn a_server_that_does_not_know_the_question_is_not_asked_for_ever() {
    let mut world = with_history(120);
    world.holds_syncs = true;
    // A migration of before: it takes the question for one without a cursor, or ends somewhere else.
    let newest = world
        .server
        .answer(0, &crate::rest::sync(world.engine.config.target("t", OPERATOR), [(BOOKING, None)].into_iter()));
    world.command(older(70));
    world.answer_sync(newest);
    assert_eq!(world.failure_of(70).as_deref(), Some("history_unavailable"));
    assert_eq!(contents(&world), numbers(71..=120));
}

#[test]
fn without_a_database_history_comes_from_the_server_alone() {
    let mut world = World::new();
    world.has_database = false;
    world.server.page = Some(50);
    post(&mut world.server, 1..=120);
    world.start();
    assert_eq!(load(&mut world, 70), Some(true));
    assert_eq!(load(&mut world, 71), Some(false));
    assert_eq!(contents(&world), numbers(1..=120));
}

#[test]
fn history_that_the_database_refused_is_shown_and_leaves_no_hole_in_the_cache() {
    let mut world = with_history(200);
    world.store_fault = Some(crate::store::StoreError::Failed("aborted".into()));
    assert_eq!(load(&mut world, 70), Some(true));
    world.store_fault = None;
    assert_eq!(contents(&world), numbers(101..=200));
    world.receive(&id(201), "201");
    world.run_for(20_000);
    assert_eq!(low(&world), 151);
    assert_eq!(load(&mut world, 71), Some(true), "below what is shown, not below what is cached");
    assert_eq!(contents(&world), numbers(51..=201));
    world.restart();
    for op in 72..75 {
        load(&mut world, op);
    }
    assert_eq!(contents(&world), numbers(51..=201));
}

// ---- tabs

fn with_tabs() -> Browser {
    let mut browser = Browser::with_tabs(0);
    browser.server.page = Some(50);
    post(&mut browser.server, 1..=200);
    browser.open_tab();
    browser.open_tab();
    browser.run_for(2_000);
    browser
}

#[test]
fn of_what_was_withdrawn_nothing_older_is_known_in_any_tab_until_it_is_given_back() {
    let mut browser = with_tabs();
    let member = browser.server.members.get_mut(BOOKING).unwrap().remove(0);
    browser.command(0, Command::Reload { op: 70, conversation_id: BOOKING.into() });
    for tab in &browser.tabs {
        assert_eq!((contents(&tab.world), said(&tab.world)), (Vec::new(), vec![Some(true), None]));
    }
    browser.server.members.get_mut(BOOKING).unwrap().insert(0, member);
    browser.command(0, Command::Reload { op: 71, conversation_id: BOOKING.into() });
    browser.run_for(2_000);
    for tab in &browser.tabs {
        assert_eq!((contents(&tab.world), said(&tab.world).pop()), (numbers(151..=200), Some(Some(true))));
    }
}

#[test]
fn a_tab_that_follows_asks_through_the_leader_and_then_reads_for_itself() {
    let mut browser = with_tabs();
    assert_eq!(browser.leader(), Some(0));
    browser.command(1, older(70));
    assert_eq!(browser.tabs[1].world.answer_to(70), Some(&json!({"has_older": true})));
    assert_eq!(contents(&browser.tabs[1].world), numbers(101..=200));
    assert_eq!(contents(&browser.tabs[0].world), numbers(151..=200), "the leader shows what it did");
    let asked = browser.server.count("chat_sync");
    browser.command(0, older(71));
    assert_eq!(contents(&browser.tabs[0].world), numbers(101..=200));
    assert_eq!(browser.server.count("chat_sync"), asked, "it is cached by now");
    browser.at(0, |tab| tab.receive(&id(201), "201"));
    assert_eq!(contents(&browser.tabs[1].world), numbers(101..=201), "what is on the screen stays there");
}

#[test]
fn a_follower_whose_leader_dies_gets_its_page_from_the_next_one() {
    let mut browser = with_tabs();
    browser.open_tab();
    browser.tabs[0].world.holds_syncs = true;
    browser.command(1, older(70));
    browser.command(2, older(71));
    browser.crash(0);
    browser.run_for(2_000);
    for (tab, op) in [(1, 70), (2, 71)] {
        assert!(browser.tabs[tab].world.is_done(op));
        assert_eq!(contents(&browser.tabs[tab].world), numbers(101..=200));
    }
}

#[test]
fn a_follower_without_a_network_says_so_at_once() {
    let mut browser = with_tabs();
    for tab in 0..2 {
        browser.at(tab, |world| world.set_online(false));
    }
    browser.command(1, older(70));
    assert_eq!(browser.tabs[1].world.failure_of(70).as_deref(), Some("offline_history"));
}

// ---- edits and deletes

fn amend(world: &mut World, kind: &str, n: u64, target: u64, content: &str) {
    let row = json!({"id": id(n), "conversation_id": BOOKING, "kind": kind, "target_id": id(target), "content": content, "message_type": "text", "metadata": {}});
    world.server.write(CLIENT, &json!([row]));
    world.feed(Input::Timer);
}

#[test]
fn an_edit_of_what_nobody_looks_at_shows_when_somebody_does_also_without_a_network() {
    let mut world = with_history(60);
    load(&mut world, 69);
    world.command(Command::Close { conversation_id: BOOKING.into() });
    amend(&mut world, "edit", 1_000, 20, "edited");
    amend(&mut world, "delete", 1_001, 5, "");
    world.set_online(false);
    world.command(Command::Open { conversation_id: BOOKING.into() });
    assert_eq!(contents(&world)[7], "edited");
    load(&mut world, 70);
    assert_eq!((contents(&world)[4].as_str(), contents(&world)[19].as_str()), ("", "edited"));
    let cached: Vec<Value> = world.store.table(Table::Messages).cloned().collect();
    assert_eq!((cached[4]["content"].as_str(), cached[19]["content"].as_str()), (Some(""), Some("edited")));
}

#[test]
fn what_was_taken_back_leaves_the_disk_though_nobody_looks() {
    let mut world = with_history(1_400);
    for op in 100..127 {
        load(&mut world, op);
    }
    world.command(Command::Close { conversation_id: BOOKING.into() });
    world.holds_writes = true;
    for (kind, n, target, content) in [
        ("edit", 3_000, 700, "first"),
        ("edit", 3_001, 700, "second"),
        ("delete", 3_002, 60, ""),
        ("delete", 3_003, 9_999, ""),
    ] {
        amend(&mut world, kind, n, target, content);
    }
    world.holds_writes = false;
    world.release_writes(Vec::new());
    let content =
        |world: &World, seq: usize| world.store.table(Table::Messages).nth(seq - 1).map(|row| row["content"].clone());
    assert_eq!((content(&world, 700), content(&world, 60)), (Some("second".into()), Some("".into())));
    assert_eq!((content(&world, 701), content(&world, 61)), (Some("701".into()), Some("61".into())));
    world.run_for(60_000);
}

#[test]
fn an_edit_that_was_set_back_changes_nothing_of_the_copy() {
    for reads in [false, true] {
        let mut world = with_history(60);
        load(&mut world, 69);
        world.command(Command::Close { conversation_id: BOOKING.into() });
        let copy = world.server.rows.clone();
        (world.holds_writes, world.holds_reads) = (!reads, reads);
        amend(&mut world, "edit", 1_000, 20, "edited");
        assert!(world.writes_wait());
        world.server.rows = copy;
        world.server.restore(BOOKING, 60);
        world.holds_reads = false;
        world.cut();
        world.run_for(10_000);
        world.holds_writes = false;
        world.release_writes(Vec::new());
        world.run_for(10_000);
        let row = world.store.table(Table::Messages).find(|row| row["seq"] == 20).cloned();
        assert_eq!(row.map(|row| row["content"].clone()), Some("20".into()), "while it was read: {reads}");
    }
}

#[test]
fn an_edit_of_what_is_below_changes_nothing_until_that_comes_and_then_shows_on_it() {
    let mut world = with_history(120);
    world.holds_syncs = true;
    world.command(older(70));
    let page = world.server.answer(0, &world.syncs.front().expect("a request").1.clone());
    amend(&mut world, "edit", 1_000, 40, "edited");
    assert_eq!(contents(&world), numbers(71..=120));
    world.answer_sync(page);
    world.holds_syncs = false;
    assert_eq!(contents(&world)[19], "edited", "the page was read before the edit");
    world.restart();
    load(&mut world, 71);
    assert_eq!(contents(&world).iter().filter(|content| *content == "edited").count(), 1, "and so it is kept");
}

#[test]
fn of_several_edits_the_last_one_holds_in_whatever_order_pages_come() {
    let mut world = with_history(120);
    amend(&mut world, "edit", 1_000, 40, "first");
    amend(&mut world, "edit", 1_001, 40, "second");
    assert_eq!(load(&mut world, 70), Some(true));
    assert_eq!(contents(&world)[19], "second");
    amend(&mut world, "delete", 1_002, 40, "");
    assert_eq!(contents(&world)[19], "");
}

// ---- what is kept

#[test]
fn another_tab_that_gave_history_up_takes_nothing_off_the_screen() {
    let mut browser = with_tabs();
    browser.command(1, older(70));
    browser.tabs[0].world.engine.config.keep_messages = 0;
    browser.at(0, |tab| tab.receive(&id(201), "201"));
    assert_eq!(low_of(&browser.store), 152);
    assert_eq!(contents(&browser.tabs[1].world), numbers(101..=201));
    browser.command(1, older(71));
    assert_eq!(contents(&browser.tabs[1].world), numbers(51..=201), "and the server has what is below");
    assert_eq!(low_of(&browser.store), 152, "which is not kept, for there is a hole before it");
}

#[test]
fn a_conversation_that_is_made_after_somebody_opened_it_is_found_without_a_word() {
    let mut world = World::started();
    world.command(Command::Open { conversation_id: "b9".into() });
    world.run_for(2_000);
    world.live = false;
    let members = world.server.members[BOOKING].clone();
    world.server.members.insert("b9".into(), members);
    world.server.rows.insert("b9".into(), Vec::new());
    world.server.post("b9", CLIENT, &id(1), "here I am");
    world.run_for(61_000);
    let shows = |update: &Update| matches!(update, Update::Messages { conversation_id, patch } if conversation_id == "b9" && !patch.upserts.is_empty());
    assert!(world.updates.iter().any(shows));
}

#[test]
fn a_view_has_no_hole_where_nothing_could_be_written_and_a_server_that_lags_begins_below_it() {
    let mut world = World::new();
    world.server.page = Some(50);
    post(&mut world.server, 1..=120);
    world.holds_syncs = true;
    world.start();
    world.store_fault = Some(StoreError::Full);
    let mut lagging = Server::with_conversation(BOOKING, &[(OPERATOR, "operator"), (CLIENT, "client")]);
    post(&mut lagging, 1..=10);
    for (lags, shown) in [(false, 71..=120), (true, 1..=10), (false, 71..=120)] {
        (0..60).for_each(|_| {
            if world.syncs.is_empty() {
                world.run_for(1_000)
            }
        });
        let question = world.syncs.front().expect("a request").1.clone();
        let server = if lags { &mut lagging } else { &mut world.server };
        let answer = server.answer(0, &question);
        world.answer_sync(answer);
        assert_eq!(contents(&world), numbers(shown));
    }
}

#[test]
fn a_cache_that_says_it_holds_millions_of_rows_and_has_none_is_not_read_through_at_once() {
    let mut world = World::new();
    let record = json!({"v": 1, "id": BOOKING, "incarnation": "i1", "low": 1, "cursor": 9_000_000, "read": 0,
        "others_seq": 0, "members": []});
    world.store.run(&Transaction::strict(vec![Operation::Put { table: Table::Conversations, value: record }])).unwrap();
    (world.online, world.holds_reads) = (false, true);
    world.start();
    let reads = |world: &mut World| (0..1_000).take_while(|_| world.release_read()).count();
    assert!((40..60).contains(&reads(&mut world)));
    world.run_for(1_000);
    assert!(reads(&mut world) <= 5);
    world.run_for(10_000);
    assert!(reads(&mut world) > 0, "it goes on");
}
