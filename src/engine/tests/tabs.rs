//! Who leads, who takes over, and what followers see and want.

use super::{browser::Browser, server::Fault, world::*};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    message::MessageId,
    store::{LEASE_MS, Operation, StoreError, Table, Transaction},
    tabs::{BEAT_MS, Role, TabMessage},
};

/// Two beats, three seconds of silence, and a little more.
const TAKEN_BY: u64 = 2 * BEAT_MS + 4_000;

fn ids_of(browser: &Browser) -> Vec<MessageId> {
    let id = |record: &json::Value| MessageId::parse(record["id"].as_str().unwrap());
    browser.store.table(Table::Outbox).filter_map(id).collect()
}

fn cancel(op: u32, id: &MessageId) -> Command {
    Command::Cancel { op, conversation_id: BOOKING.into(), id: id.clone() }
}

fn retry(op: u32) -> Command {
    Command::Retry { op, conversation_id: None }
}

// ---- taking over

#[test]
fn one_tab_leads_and_sends_what_every_tab_enqueues() {
    let mut browser = Browser::with_tabs(3);
    assert_eq!(browser.leader(), Some(0));
    for nth in [1, 2, 0, 1] {
        browser.at(nth, |tab| tab.send("from a tab"));
    }
    assert_eq!(browser.contents().len(), 4);
    assert_eq!(browser.store.table(Table::Outbox).count(), 0);
    browser.run_for(120_000);
    assert_eq!((browser.leader(), browser.leads()), (Some(0), 1), "nobody disturbs a leader that is well");
}

#[test]
fn a_tab_that_is_closed_hands_the_lead_on_at_once_with_what_is_unsent() {
    let mut browser = Browser::with_tabs(2);
    browser.server.always = Some(Fault::Refuse);
    browser.at(0, |tab| tab.send("left behind"));
    browser.server.always = None;
    browser.close_tab(0);
    assert_eq!(browser.leader(), Some(1));
    assert_eq!(browser.contents(), ["left behind"]);
}

#[test]
fn after_a_crash_with_a_request_out_nothing_is_lost_or_doubled() {
    let mut browser = Browser::with_tabs(2);
    browser.tabs[0].world.holds_sends = true;
    browser.at(0, |tab| tab.send("on its way"));
    browser.at(1, |tab| tab.send("behind it"));
    let copy = browser.tabs[0].world.copy();
    let now = browser.now.mono;
    browser.server.answer(now, &copy).unwrap();
    browser.crash(0);
    assert_eq!(browser.leader(), Some(1));
    assert_eq!(browser.contents(), ["on its way", "behind it"]);
    assert_eq!(browser.store.table(Table::Outbox).count(), 0);
}

#[test]
fn a_tab_that_dies_while_it_takes_the_lead_leaves_nobody_stuck() {
    let mut browser = Browser::with_tabs(3);
    browser.tabs[1].world.holds_writes = true;
    browser.crash(0);
    assert_eq!(browser.role(1), Role::Taking);
    browser.store.run(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])).unwrap();
    browser.crash(1);
    assert_eq!((browser.leads(), browser.leader()), (3, Some(2)));
}

#[test]
fn a_page_that_freezes_or_leaves_lets_go_at_once_and_queues_again_when_it_is_back() {
    for (away, back) in [
        (PageEvent::Frozen, PageEvent::Resumed),
        (PageEvent::Leaving, PageEvent::Shown { persisted: true }),
        (PageEvent::Frozen, PageEvent::Visible),
    ] {
        let mut browser = Browser::with_tabs(2);
        browser.page(0, away);
        browser.sleep(0);
        assert_eq!(browser.leader(), Some(1), "{away:?}");
        browser.at(1, |tab| tab.send("meanwhile"));
        browser.wake(0);
        assert_eq!(browser.role(0), Role::Aside, "{away:?}");
        browser.page(0, back);
        assert_eq!((browser.role(0), browser.status(0)), (Role::Following, "connected"), "{back:?}");
        assert_eq!(browser.tabs[0].world.screen(), [("meanwhile".to_owned(), "sent".to_owned())], "it reads anew");
        browser.run_for(30_000);
        assert_eq!((browser.leader(), browser.leads()), (Some(1), 2));
    }
}

#[test]
fn a_token_that_comes_after_the_freeze_does_not_make_a_sleeper_wait_for_the_lock() {
    let mut browser = Browser::with_tabs(2);
    browser.page(1, PageEvent::Frozen);
    browser.at(1, |tab| {
        tab.engine.session.renew();
        tab.feed(Input::Timer);
    });
    assert_eq!(browser.role(1), Role::Aside);
    browser.crash(0);
    assert_eq!(browser.leader(), None);
}

#[test]
fn a_page_that_said_it_would_freeze_and_works_on_comes_back_by_itself() {
    for event in [PageEvent::Frozen, PageEvent::Leaving] {
        let mut browser = Browser::with_tabs(1);
        browser.page(0, event);
        browser.run_for(4_999);
        assert_eq!(browser.leader(), None);
        browser.run_for(1);
        assert_eq!(browser.leader(), Some(0));
    }
}

#[test]
fn a_leader_that_is_stuck_is_robbed_within_bounded_time() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| tab.send("before"));
    browser.sleep(0);
    browser.at(1, |tab| tab.send("while it sleeps"));
    browser.run_for(TAKEN_BY);
    assert!(browser.role(1).generation().is_some());
    assert_eq!(browser.contents(), ["before", "while it sleeps"]);
    browser.wake(0);
    assert_eq!((browser.leader(), browser.role(0)), (Some(1), Role::Following));
    browser.at(0, |tab| tab.send("after"));
    assert_eq!(browser.contents(), ["before", "while it sleeps", "after"]);
}

#[test]
fn a_new_tab_does_not_wait_for_two_beats_of_a_leader_that_is_stuck() {
    let mut browser = Browser::with_tabs(1);
    browser.sleep(0);
    let new = browser.open_tab();
    browser.at(new, |tab| tab.send("at last"));
    browser.run_for(4_000);
    assert_eq!(browser.contents(), ["at last"]);
}

#[test]
fn a_tab_that_comes_into_sight_asks_at_once_and_a_healthy_leader_stays() {
    let mut browser = Browser::with_tabs(2);
    browser.page(1, PageEvent::Hidden);
    browser.run_for(12_345);
    let pings = browser.said(1, |message| *message == TabMessage::Ping);
    browser.page(1, PageEvent::Visible);
    assert_eq!(browser.said(1, |message| *message == TabMessage::Ping), pings + 1);
    browser.run_for(60_000);
    assert_eq!(browser.leads(), 1);
    browser.sleep(0);
    browser.page(1, PageEvent::Visible);
    browser.run_for(4_000);
    assert!(browser.role(1).generation().is_some());
}

#[test]
fn a_hidden_tab_with_nothing_to_send_is_patient_and_one_with_something_is_not() {
    for (sends, by) in [(true, TAKEN_BY), (false, 124_000)] {
        let mut browser = Browser::with_tabs(2);
        browser.page(1, PageEvent::Hidden);
        browser.sleep(0);
        if sends {
            browser.at(1, |tab| tab.send("unsent"));
        } else {
            browser.run_for(TAKEN_BY);
            assert_eq!(browser.role(1), Role::Following);
        }
        browser.run_for(by);
        assert!(browser.role(1).generation().is_some(), "it sends: {sends}");
    }
}

#[test]
fn of_many_followers_one_takes_over_and_the_others_hear_of_it() {
    let mut browser = Browser::with_tabs(5);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    assert_eq!(browser.leads(), 2, "one of them lost its patience first");
    browser.run_for(60_000);
    assert_eq!(browser.leads(), 2);
}

#[test]
fn a_leader_whose_database_hangs_is_taken_for_stuck() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| {
        // Its beats ask the database, which does not answer it any more.
        tab.reads_fail = true;
        tab.feed(Input::Timer);
    });
    browser.run_for(TAKEN_BY + 5_000);
    assert!(browser.role(1).generation().is_some());
}

// ---- robbed

#[test]
fn schedule_8_the_answer_of_a_robbed_leader_changes_nothing() {
    let mut browser = Browser::with_tabs(2);
    browser.tabs[0].world.holds_sends = true;
    browser.at(0, |tab| tab.send("taken back"));
    let id = ids_of(&browser).remove(0);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    // The new leader sends it, and somebody takes it back.
    assert_eq!(browser.contents(), ["taken back"]);
    browser.server.always = Some(Fault::Refuse);
    browser.command(1, cancel(7, &id));
    let deletes =
        |browser: &Browser| browser.store.table(Table::Outbox).filter(|record| record["kind"] == "delete").count();
    assert_eq!(deletes(&browser), 1);
    browser.stir(0);
    browser.server.always = None;
    browser.at(0, World::arrive);
    assert_eq!(deletes(&browser), 1, "what the new leader wrote is still there");
    assert_eq!(browser.role(0), Role::Following, "it knows now");
    browser.wake(0);
    browser.run_for(30_000);
    let kinds: Vec<_> = browser.server.rows[BOOKING].iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "delete"]);
}

#[test]
fn schedule_9_a_robbed_leader_that_does_not_know_it_sends_nothing() {
    let mut browser = Browser::with_tabs(2);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    browser.tabs[0].unaware = true;
    browser.tabs[0].mute = true;
    browser.tabs[1].world.online = false;
    browser.wake(0);
    let sends = browser.server.count("chat_send");
    browser.at(0, |tab| tab.send("never sent"));
    assert_eq!(browser.server.count("chat_send"), sends);
    assert_eq!(browser.role(0), Role::Following);
    browser.run_for(BEAT_MS);
    let id = ids_of(&browser).remove(0);
    browser.command(1, cancel(7, &id));
    assert!(browser.tabs[1].world.is_done(7));
    browser.tabs[1].world.online = true;
    browser.page(1, PageEvent::Online);
    browser.run_for(30_000);
    assert_eq!(browser.contents().iter().filter(|text| **text == "never sent").count(), 0);
}

#[test]
fn schedule_10_a_leader_with_a_stale_generation_releases_the_lock_and_queues_anew() {
    let mut browser = Browser::with_tabs(2);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    // The robbed tab thaws, raises the generation once more behind the thief's back, and dies.
    browser.store.run(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])).unwrap();
    browser.crash(0);
    browser.run_for(BEAT_MS);
    assert_eq!((browser.leads(), browser.leader()), (4, Some(1)));
    browser.at(1, |tab| tab.send("not stuck"));
    assert_eq!(browser.contents(), ["not stuck"]);
}

#[test]
fn schedule_11_the_leader_finds_at_its_beat_what_nobody_told_it_of() {
    let mut browser = Browser::with_tabs(2);
    browser.tabs[1].mute = true;
    browser.at(1, |tab| tab.send("written and dead"));
    browser.crash(1);
    assert_eq!(browser.contents(), [] as [&str; 0]);
    browser.run_for(BEAT_MS);
    assert_eq!(browser.contents(), ["written and dead"]);
}

#[test]
fn two_leaders_that_hear_of_each_other_find_out_at_once_who_is_robbed() {
    let mut browser = Browser::with_tabs(2);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    browser.tabs[0].unaware = true;
    browser.wake(0);
    assert_eq!(browser.role(0), Role::Following, "it heard the other one beat");
    assert_eq!(browser.leader(), Some(1));
}

#[test]
fn an_answer_on_the_way_to_the_lead_that_comes_too_late_gives_no_lead() {
    let mut browser = Browser::with_tabs(2);
    browser.tabs[1].world.holds_writes = true;
    browser.crash(0);
    assert_eq!(browser.role(1), Role::Taking);
    browser.at(1, |tab| tab.feed(Input::LockLost));
    browser.tabs[1].world.holds_writes = false;
    browser.page(1, PageEvent::Frozen);
    browser.at(1, |tab| tab.release_writes(Vec::new()));
    assert_eq!(browser.role(1), Role::Aside);
}

// ---- yielding

#[test]
fn two_tabs_in_sight_leave_each_other_alone() {
    let mut browser = Browser::with_tabs(2);
    browser.run_for(120_000);
    assert_eq!(browser.said(1, |message| *message == TabMessage::Yield), 0);
    assert_eq!(browser.leads(), 1);
}

#[test]
fn a_hidden_leader_yields_to_a_tab_that_stays_in_sight() {
    let mut browser = Browser::with_tabs(3);
    browser.page(2, PageEvent::Hidden);
    browser.page(0, PageEvent::Hidden);
    browser.run_for(3 * BEAT_MS);
    assert_eq!(browser.leader(), Some(1));
    browser.run_for(120_000);
    assert_eq!(browser.leader(), Some(1), "nobody takes it back");
}

#[test]
fn a_tab_that_is_looked_at_only_in_passing_does_not_take_the_lead() {
    let mut browser = Browser::with_tabs(2);
    for nth in [0, 1] {
        browser.page(nth, PageEvent::Hidden);
    }
    browser.run_for(11_000);
    browser.page(1, PageEvent::Visible);
    browser.run_for(BEAT_MS - 1);
    browser.page(1, PageEvent::Hidden);
    browser.run_for(60_000);
    assert_eq!((browser.leader(), browser.leads()), (Some(0), 1));
}

#[test]
fn a_hidden_leader_yields_only_after_the_answer_to_its_request() {
    let mut browser = Browser::with_tabs(2);
    browser.page(0, PageEvent::Hidden);
    browser.tabs[0].world.holds_sends = true;
    browser.at(0, |tab| tab.send("on its way"));
    browser.run_for(3 * BEAT_MS);
    assert_eq!(browser.leader(), Some(0));
    browser.at(0, World::let_go);
    assert_eq!(browser.leader(), Some(1));
    assert_eq!(browser.contents(), ["on its way"]);
    assert_eq!(browser.server.count("chat_send"), 1, "it was not sent again");
}

#[test]
fn a_leader_that_is_looked_at_again_keeps_the_lead() {
    let mut browser = Browser::with_tabs(2);
    browser.page(0, PageEvent::Hidden);
    browser.tabs[0].world.holds_sends = true;
    browser.at(0, |tab| tab.send("on its way"));
    browser.run_for(3 * BEAT_MS);
    browser.page(0, PageEvent::Visible);
    browser.at(0, World::let_go);
    assert_eq!(browser.leader(), Some(0));
    browser.tabs[1].mute = true;
    browser.page(0, PageEvent::Hidden);
    assert_eq!(browser.leader(), Some(0), "what was asked before is over");
}

// ---- what a follower shows

#[test]
fn a_follower_shows_what_the_leader_shows_and_its_own_signs_of_trouble() {
    let mut browser = Browser::with_tabs(2);
    assert_eq!((browser.status(1), browser.sync(1)), ("connected", "live"));
    browser.at(0, World::cut);
    browser.at(0, |tab| tab.online = false);
    browser.run_for(60_000);
    assert_eq!((browser.status(0), browser.sync(0)), ("disconnected", "stale"));
    assert_eq!((browser.status(1), browser.sync(1)), ("disconnected", "stale"));
    browser.at(0, |tab| tab.set_online(true));
    browser.run_for(5_000);
    assert_eq!((browser.status(1), browser.sync(1)), ("connected", "live"));
    browser.at(1, |tab| tab.set_online(false));
    assert_eq!((browser.status(1), browser.sync(1)), ("disconnected", "stale"));
}

#[test]
fn a_leader_that_does_not_answer_shows_as_reconnecting_until_it_speaks_or_is_replaced() {
    let mut browser = Browser::with_tabs(2);
    browser.sleep(0);
    browser.page(1, PageEvent::Visible);
    browser.run_for(999);
    assert_eq!((browser.status(1), browser.sync(1)), ("connected", "live"));
    browser.run_for(1);
    assert_eq!((browser.status(1), browser.sync(1)), ("reconnecting", "catching_up"));
    browser.wake(0);
    assert_eq!((browser.status(1), browser.sync(1)), ("connected", "live"));
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    assert_eq!((browser.status(1), browser.sync(1)), ("connected", "live"));
    let shown = browser.tabs[1].world.connections();
    assert!(!shown[1..].contains(&"connecting"), "it was connected once: {shown:?}");
}

#[test]
fn who_led_in_trouble_and_was_robbed_believes_the_new_leader() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, World::cut);
    browser.at(0, |tab| tab.online = false);
    browser.run_for(60_000);
    assert_eq!(browser.status(0), "disconnected");
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    browser.wake(0);
    assert_eq!((browser.status(0), browser.status(1)), ("connected", "connected"));
}

#[test]
fn a_conversation_that_only_a_follower_shows_is_kept_in_sync_by_every_new_leader() {
    let mut browser = Browser::with_tabs(3);
    browser.server.rows.insert("b2".into(), Vec::new());
    let members = browser.server.members[BOOKING].clone();
    browser.server.members.insert("b2".into(), members);
    browser.command(2, Command::Open { conversation_id: "b2".into() });
    browser.crash(0);
    browser.server.post("b2", CLIENT, "0190aaaa-0000-7000-8000-000000000001", "hello");
    browser.run_for(120_000);
    let shown = |update: &Update| matches!(update, Update::Messages { conversation_id, patch } if conversation_id == "b2" && !patch.upserts.is_empty());
    assert!(browser.tabs[2].world.updates.iter().any(shown));
}

#[test]
fn a_reload_that_waits_for_a_leader_is_answered_when_one_speaks() {
    let mut browser = Browser::with_tabs(1);
    browser.sleep(0);
    let new = browser.open_tab();
    browser.command(new, Command::Reload { op: 70, conversation_id: BOOKING.into() });
    assert!(!browser.tabs[new].world.is_done(70));
    browser.wake(0);
    assert!(browser.tabs[new].world.is_done(70));
}

fn problems(browser: &Browser, nth: usize) -> Vec<Option<String>> {
    let problem = |update: &Update| match update {
        Update::Problem { conversation_id: Some(id), error } if id == "b9" => {
            Some(error.as_ref().map(|error| error.code.clone()))
        }
        _ => None,
    };
    browser.tabs[nth].world.updates.iter().filter_map(problem).collect()
}

fn is_loaded(browser: &Browser, nth: usize) -> bool {
    let loaded = |update: &Update| matches!(update, Update::Loaded { conversation_id } if conversation_id == "b9");
    browser.tabs[nth].world.updates.iter().any(loaded)
}

#[test]
fn what_is_wrong_with_a_conversation_is_shown_where_it_is_shown_and_passes_there() {
    let mut browser = Browser::with_tabs(2);
    browser.command(1, Command::Open { conversation_id: "b9".into() });
    assert_eq!(problems(&browser, 1), [Some("no_conversation".to_owned())]);
    assert!(is_loaded(&browser, 1));
    assert_eq!(problems(&browser, 0), [] as [Option<String>; 0], "not where nobody sees it");

    browser.command(0, Command::Open { conversation_id: "b9".into() });
    assert_eq!(problems(&browser, 0), [Some("no_conversation".to_owned())]);
    assert!(is_loaded(&browser, 0));

    browser.server.rows.insert("b9".into(), Vec::new());
    let members = browser.server.members[BOOKING].clone();
    browser.server.members.insert("b9".into(), members);
    browser.command(0, Command::Reload { op: 70, conversation_id: "b9".into() });
    assert_eq!(problems(&browser, 1).last(), Some(&None));
}

#[test]
fn a_follower_does_not_load_for_ever_what_the_leader_cannot_reach() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| tab.online = false);
    browser.command(1, Command::Open { conversation_id: "b9".into() });
    browser.run_for(5_000);
    assert_eq!(problems(&browser, 1), [Some("network".to_owned())]);
    assert!(is_loaded(&browser, 1));
}

// ---- acts of followers

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

// ---- without Web Locks

#[test]
fn without_web_locks_a_lease_decides_and_is_renewed_at_every_beat() {
    let mut browser = Browser::without_locks(3);
    assert_eq!(browser.leader(), Some(0));
    for nth in [1, 2, 0] {
        browser.at(nth, |tab| tab.send("from a tab"));
    }
    browser.run_for(120_000);
    assert_eq!((browser.leader(), browser.leads()), (Some(0), 1));
    assert_eq!(browser.contents().len(), 3);
    assert_eq!((browser.status(1), browser.sync(2)), ("connected", "live"));
    assert_eq!(browser.tabs[1].world.connections(), ["connecting", "connected"], "it does not flicker");
}

#[test]
fn a_lease_that_is_given_up_goes_to_the_next_tab_at_once() {
    let mut browser = Browser::without_locks(2);
    browser.server.always = Some(Fault::Refuse);
    browser.at(0, |tab| tab.send("left behind"));
    browser.server.always = None;
    browser.close_tab(0);
    assert_eq!((browser.leader(), browser.contents()), (Some(1), vec!["left behind"]));
}

#[test]
fn a_frozen_page_gives_its_lease_up() {
    let mut browser = Browser::without_locks(2);
    browser.page(0, PageEvent::Frozen);
    browser.sleep(0);
    assert_eq!(browser.leader(), Some(1));
    browser.wake(0);
    browser.page(0, PageEvent::Resumed);
    browser.run_for(60_000);
    assert_eq!((browser.leader(), browser.leads()), (Some(1), 2));
}

#[test]
fn the_lease_of_a_dead_tab_runs_out() {
    let mut browser = Browser::without_locks(2);
    browser.run_for(7_000);
    browser.crash(0);
    browser.at(1, |tab| tab.send("waits"));
    browser.run_for(LEASE_MS - 5_000);
    assert_eq!(browser.contents(), [] as [&str; 0], "it was renewed only a moment before");
    browser.run_for(5_000);
    assert_eq!(browser.contents(), ["waits"]);
}

#[test]
fn who_slept_over_its_lease_finds_out_before_it_writes_anything() {
    let mut browser = Browser::without_locks(2);
    browser.sleep(0);
    browser.run_for(LEASE_MS + 1_000);
    assert!(browser.role(1).generation().is_some());
    browser.tabs[0].unaware = true;
    browser.wake(0);
    let sends = browser.server.count("chat_send");
    browser.tabs[1].world.online = false;
    browser.at(0, |tab| tab.send("once"));
    assert_eq!(browser.server.count("chat_send"), sends);
    assert_eq!(browser.leader(), Some(1));
    browser.at(1, |tab| tab.set_online(true));
    browser.run_for(20_000);
    assert_eq!(browser.contents(), ["once"]);
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_lease() {
    let mut browser = Browser::without_locks(2);
    browser.crash(0);
    browser.now.wall -= 3_600_000;
    browser.run_for(LEASE_MS + 1_000);
    assert_eq!(browser.leader(), Some(1));
}

#[test]
fn without_web_locks_too_a_hidden_leader_yields() {
    let mut browser = Browser::without_locks(2);
    browser.page(0, PageEvent::Hidden);
    browser.run_for(3 * BEAT_MS);
    assert_eq!(browser.leader(), Some(1));
    browser.run_for(60_000);
    assert_eq!((browser.leader(), browser.leads()), (Some(1), 2));
}

#[test]
fn a_lost_answer_on_the_way_through_three_leaders_is_sent_once() {
    let mut browser = Browser::with_tabs(3);
    browser.server.faults.extend([Fault::LoseAnswer, Fault::Refuse]);
    browser.at(2, |tab| tab.send("first"));
    browser.at(2, |tab| tab.send("second"));
    browser.crash(0);
    browser.page(1, PageEvent::Leaving);
    browser.sleep(1);
    browser.run_for(20_000);
    assert_eq!(browser.contents(), ["first", "second"]);
    assert_eq!(browser.leader(), Some(2));
}

#[test]
fn a_lead_in_a_new_database_is_no_lead_of_the_deleted_one() {
    let mut browser = Browser::with_tabs(2);
    let old = browser.store.generation();
    browser.store = crate::store::MemoryStore::default();
    browser.crash(0);
    assert_eq!((browser.leads(), browser.leader()), (1, Some(1)));
    let late = Transaction::strict(vec![Operation::Add { value: json!({}) }]).of_generation(old);
    assert_eq!(browser.store.run(&late), Err(StoreError::Robbed));
}
