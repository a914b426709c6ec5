//! Who leads and who takes over.

use super::{browser::Browser, server::Fault, world::*};
use crate::{
    engine::{Command, Input, PageEvent},
    json,
    message::MessageId,
    store::{Operation, StoreError, Table, Transaction},
    tabs::{BEAT_MS, Role, TabMessage},
};

/// Two beats, three seconds of silence, and a little more.
pub const TAKEN_BY: u64 = 2 * BEAT_MS + 4_000;

pub fn ids_of(browser: &Browser) -> Vec<MessageId> {
    let id = |record: &json::Value| MessageId::parse(record["id"].as_str().unwrap());
    browser.store.table(Table::Outbox).filter_map(id).collect()
}

pub fn cancel(op: u32, id: &MessageId) -> Command {
    Command::Cancel { op, conversation_id: BOOKING.into(), id: id.clone() }
}

pub fn retry(op: u32) -> Command {
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
fn a_page_that_leaves_is_spoken_to_no_more_until_it_is_back_and_a_frozen_one_still_is() {
    let mut browser = Browser::with_tabs(2);
    for nth in 0..2 {
        for (away, back, in_touch) in [
            (PageEvent::Leaving, PageEvent::Shown { persisted: true }, false),
            (PageEvent::Leaving, PageEvent::Resumed, false),
            (PageEvent::Frozen, PageEvent::Resumed, true),
        ] {
            browser.page(nth, away);
            assert_eq!(browser.tabs[nth].world.in_touch, in_touch, "{away:?}");
            browser.at(1 - nth, |tab| tab.send("meanwhile"));
            browser.page(nth, back);
            assert!(browser.tabs[nth].world.in_touch, "{back:?}");
            browser.run_for(1_000);
            assert_eq!(browser.tabs[nth].world.screen(), browser.tabs[1 - nth].world.screen(), "{back:?}");
        }
    }
}

#[test]
fn who_gives_up_a_lease_says_so_before_it_is_spoken_to_no_more() {
    let mut browser = Browser::without_locks(2);
    browser.page(0, PageEvent::Leaving);
    assert!(browser.tabs[0].world.in_touch);
    assert!(matches!(browser.tabs[0].world.said.last(), Some(TabMessage::Left)));
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
fn the_answer_of_a_robbed_leader_changes_nothing() {
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
fn a_robbed_leader_that_does_not_know_it_sends_nothing() {
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
fn a_leader_with_a_stale_generation_releases_the_lock_and_queues_anew() {
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
fn the_leader_finds_at_its_beat_what_nobody_told_it_of() {
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
