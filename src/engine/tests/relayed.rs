//! What a person does in a tab that follows: the leader does it, and says so.

use super::{
    browser::Browser,
    lead::{TAKEN_BY, cancel, ids_of, retry},
    server::Fault,
    world::*,
};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    json::Value,
    message::MessageId,
    store::Table,
    tabs::TabMessage,
};

/// The leader cannot reach the server: one message has failed.
fn with_a_failed_message() -> (Browser, MessageId) {
    let mut browser = Browser::with_tabs(2);
    browser.server.always = Some(Fault::Refuse);
    browser.at(1, |tab| tab.send("once more"));
    browser.run_for(10_000);
    let id = ids_of(&browser).remove(0);
    (browser, id)
}

#[test]
fn a_followers_act_is_done_when_the_leader_has_committed_it() {
    let (mut browser, _) = with_a_failed_message();
    browser.server.always = None;
    browser.command(1, retry(7));
    assert!(browser.tabs[1].world.is_done(7));
    assert_eq!(browser.contents(), ["once more"]);
    browser.command(1, Command::Discard { op: 8, conversation_id: BOOKING.into(), id: MessageId::v7(1, [9; 10]) });
    assert_eq!(browser.tabs[1].world.failure_of(8).as_deref(), Some("not_found"), "or refused it");
}

#[test]
fn an_act_that_waits_for_the_leaders_database_is_not_done_yet() {
    let (mut browser, id) = with_a_failed_message();
    browser.tabs[0].world.holds_writes = true;
    browser.command(1, cancel(7, &id));
    assert!(!browser.tabs[1].world.is_done(7));
    browser.at(0, |tab| tab.release_writes(Vec::new()));
    assert!(browser.tabs[1].world.is_done(7));
}

#[test]
fn an_act_is_told_again_when_the_leader_dies_before_its_commit() {
    let mut browser = Browser::with_tabs(3);
    browser.server.always = Some(Fault::Refuse);
    browser.at(2, |tab| tab.send("taken back"));
    let id = ids_of(&browser).remove(0);
    browser.tabs[0].world.holds_writes = true;
    browser.command(2, cancel(7, &id));
    browser.server.always = None;
    browser.crash(0);
    assert_eq!(browser.leader(), Some(1));
    assert!(browser.tabs[2].world.is_done(7));
    browser.run_for(30_000);
    assert!(!browser.contents().contains(&"taken back"));
}

#[test]
fn an_act_whose_answer_died_with_the_leader_is_answered_by_the_next() {
    let mut browser = Browser::with_tabs(3);
    browser.server.always = Some(Fault::Refuse);
    browser.at(2, |tab| tab.send("taken back"));
    let id = ids_of(&browser).remove(0);
    browser.tabs[0].mute = true;
    browser.command(2, cancel(7, &id));
    assert!(!browser.tabs[2].world.is_done(7), "nobody heard the answer");
    browser.server.always = None;
    browser.crash(0);
    assert!(browser.tabs[2].world.is_done(7));
    browser.run_for(30_000);
    assert!(browser.server.rows[BOOKING].iter().all(|row| row["kind"] == "delete"));
    assert_eq!(browser.store.table(Table::Outbox).count(), 0);
}

#[test]
fn acts_of_a_tab_that_takes_the_lead_are_done_by_itself() {
    let (mut browser, id) = with_a_failed_message();
    browser.sleep(0);
    browser.command(1, cancel(7, &id));
    assert!(!browser.tabs[1].world.is_done(7));
    browser.server.always = None;
    browser.run_for(TAKEN_BY);
    assert!(browser.tabs[1].world.is_done(7));
    assert!(!browser.contents().contains(&"once more"));
}

#[test]
fn a_leader_that_comes_back_to_its_senses_is_told_again_what_was_asked_of_it() {
    let (mut browser, id) = with_a_failed_message();
    browser.tabs[1].mute = true;
    browser.command(1, cancel(7, &id));
    browser.tabs[1].mute = false;
    browser.sleep(0);
    browser.page(1, PageEvent::Visible);
    browser.run_for(1_500);
    browser.wake(0);
    assert!(browser.tabs[1].world.is_done(7), "it was silent: who knows what it heard");
}

#[test]
fn the_same_act_told_twice_in_a_row_is_done_once() {
    let (mut browser, id) = with_a_failed_message();
    browser.tabs[0].world.holds_writes = true;
    browser.command(1, cancel(6, &id));
    browser.command(1, retry(7));
    let told = browser.tabs[1].world.said.iter().rfind(|said| matches!(said, TabMessage::Act { .. })).unwrap().clone();
    browser.at(0, |tab| tab.feed(Input::Heard(told)));
    browser.at(0, |tab| tab.release_writes(Vec::new()));
    browser.tabs[0].world.holds_writes = false;
    browser.run_for(1_000);
    assert_eq!(browser.said(0, |said| matches!(said, TabMessage::Acted { op: 7, .. })), 1);
}

#[test]
fn what_was_not_done_when_the_client_closes_is_rejected() {
    let (mut browser, id) = with_a_failed_message();
    browser.sleep(0);
    browser.command(1, cancel(7, &id));
    browser.command(1, Command::Shutdown { op: 8, discard: false });
    assert_eq!(browser.tabs[1].world.failure_of(7).as_deref(), Some("client_closed"));
}

#[test]
fn an_act_that_the_leader_does_not_know_is_refused_and_not_left_waiting() {
    let mut browser = Browser::with_tabs(2);
    let act = TabMessage::Act { from: 5, op: 9, act: json!({"act": "of a later version"}) };
    browser.at(0, |tab| tab.feed(Input::Heard(act)));
    let refused = |said: &TabMessage| matches!(said, TabMessage::Acted { from: 5, op: 9, error: Some((code, _)) } if code == "tab_outdated");
    assert_eq!(browser.said(0, refused), 1);
}

#[test]
fn answers_to_the_acts_of_other_tabs_are_not_ours() {
    let (mut browser, id) = with_a_failed_message();
    browser.sleep(0);
    browser.command(1, cancel(7, &id));
    for (from, op) in [(browser.tabs[1].world.engine.tab + 1, 7), (browser.tabs[1].world.engine.tab, 8)] {
        browser.at(1, |tab| tab.feed(Input::Heard(TabMessage::Acted { from, op, error: None })));
    }
    assert!(!browser.tabs[1].world.is_done(7) && !browser.tabs[1].world.is_done(8));
}

#[test]
fn a_discard_that_a_dead_leader_has_done_is_done() {
    for count in [2, 3] {
        let mut browser = Browser::with_tabs(count);
        browser.server.always = Some(Fault::Refuse);
        let last = usize::from(count) - 1;
        browser.at(last, |tab| tab.send("given up"));
        let id = ids_of(&browser).remove(0);
        browser.run_for(1_000);
        browser.tabs[0].mute = true;
        let discard = |op: u32, id: MessageId| Command::Discard { op, conversation_id: BOOKING.into(), id };
        browser.command(last, discard(7, id.clone()));
        assert!(!browser.tabs[last].world.is_done(7), "nobody heard the answer");
        let tombstones: Vec<Value> = browser.store.table(Table::Outbox).map(|row| row["key"].clone()).collect();
        assert_eq!(tombstones.len(), 1);
        // The tombstone gets out, and nothing is left.
        browser.server.always = None;
        browser.command(0, retry(8));
        assert_eq!(browser.store.table(Table::Outbox).count(), 0);
        browser.crash(0);
        assert!(browser.tabs[last].world.is_done(7), "{:?}", browser.tabs[last].world.failure_of(7));
        browser.command(last, discard(9, id));
        assert_eq!(browser.tabs[last].world.failure_of(9).as_deref(), Some("not_found"));
    }
}

#[test]
fn that_a_message_was_taken_back_in_one_tab_is_told_in_all() {
    for discards in [true, false] {
        let (mut browser, id) = with_a_failed_message();
        browser.open_tab();
        let conversation_id = BOOKING.to_owned();
        browser.command(
            2,
            match discards {
                true => Command::Discard { op: 7, conversation_id, id: id.clone() },
                false => cancel(7, &id),
            },
        );
        for tab in &browser.tabs {
            let told = |update: &&Update| matches!(update, Update::TakenBack { id: of, .. } if *of == id);
            assert_eq!(tab.world.updates.iter().filter(told).count(), 1);
        }
    }
}
