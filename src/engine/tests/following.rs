//! What followers show, and what they learn of another leader, or after a sleep.

use super::{
    browser::Browser,
    lead::{TAKEN_BY, cancel, ids_of, retry},
    server::Fault,
    world::*,
};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    json::{Value, text},
    sync::ListPatch,
    tabs::TabMessage,
};

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

// ---- the states of rows

/// The message with this text, as a tab shows it last.
fn shown(browser: &Browser, nth: usize, content: &str) -> Value {
    let upserts = |update: &Update| match update {
        Update::Messages { patch, .. } => patch.upserts.iter().map(|(_, message)| message.clone()).collect(),
        _ => Vec::new(),
    };
    let mut messages = browser.tabs[nth].world.updates.iter().flat_map(upserts);
    messages.rfind(|message| message["content"] == content).expect("it is shown")
}

fn tells_rows(said: &TabMessage) -> bool {
    matches!(said, TabMessage::Rows { .. })
}

/// The second tab writes while no tab has a network.
fn writing_offline(count: u8) -> Browser {
    let mut browser = Browser::with_tabs(count);
    for nth in 0..usize::from(count) {
        browser.at(nth, |tab| tab.set_online(false));
    }
    browser.at(1, |tab| tab.send("in a tunnel"));
    browser
}

#[test]
fn a_message_written_offline_in_a_second_tab_fails_there_in_the_guides_rhythm() {
    let mut browser = writing_offline(2);
    for (after, status, phase, retries) in
        [(0, "sending", "backing_off", 1), (1_000, "sending", "backing_off", 2), (2_000, "sending", "backing_off", 3)]
    {
        browser.run_for(after);
        let message = shown(&browser, 1, "in a tunnel");
        let has = |field| text(&message, field);
        assert_eq!((has("delivery_status"), has("phase")), (Some(status), Some(phase)), "after {after} ms more");
        assert_eq!(message["retry_count"], retries);
        assert_eq!(message, shown(&browser, 0, "in a tunnel"), "as the leader shows it");
    }
    browser.run_for(4_000);
    let message = shown(&browser, 1, "in a tunnel");
    assert_eq!(message["delivery_status"], "failed");
    assert_eq!((&message["failure"]["code"], &message["failure"]["retryable"]), (&"network".into(), &true.into()));
    assert_eq!(browser.tabs[1].world.announced(), ["sending", "failed"]);

    for nth in [0, 1] {
        browser.at(nth, |tab| tab.set_online(true));
    }
    browser.run_for(1_000);
    assert_eq!(browser.contents(), ["in a tunnel"]);
    assert_eq!(browser.tabs[1].world.announced(), ["sending", "failed", "sending", "sent"]);
}

#[test]
fn retry_in_a_following_tab_brings_a_failed_message_out() {
    let mut browser = Browser::with_tabs(2);
    browser.server.always = Some(Fault::Refuse);
    browser.at(1, |tab| tab.send("once more"));
    browser.run_for(7_000);
    assert_eq!(shown(&browser, 1, "once more")["delivery_status"], "failed");
    browser.command(1, retry(7));
    assert_eq!(shown(&browser, 1, "once more")["delivery_status"], "sending");
    browser.server.always = None;
    browser.run_for(1_000);
    assert_eq!(shown(&browser, 1, "once more")["delivery_status"], "sent");
    assert_eq!(browser.contents(), ["once more"]);
}

#[test]
fn rows_behind_a_failed_one_fail_with_it_and_a_new_message_of_a_follower_starts_the_lane_again() {
    let mut browser = writing_offline(2);
    browser.at(1, |tab| tab.send("behind it"));
    browser.run_for(7_000);
    let head = shown(&browser, 1, "in a tunnel")["id"].clone();
    let behind = shown(&browser, 1, "behind it");
    assert_eq!((&behind["failure"]["code"], &behind["blocked_by"]), (&"blocked".into(), &head));

    browser.at(1, |tab| tab.send("try again"));
    for content in ["in a tunnel", "behind it", "try again"] {
        assert_eq!(shown(&browser, 1, content)["delivery_status"], "sending", "{content}");
    }
    browser.run_for(7_000);
    assert_eq!(shown(&browser, 1, "try again")["delivery_status"], "failed");
}

#[test]
fn a_tab_that_comes_later_or_wakes_is_told_how_everything_is() {
    let mut browser = writing_offline(2);
    browser.run_for(7_000);
    let late = browser.open_tab();
    assert_eq!(shown(&browser, late, "in a tunnel")["delivery_status"], "failed");

    browser.page(1, PageEvent::Frozen);
    browser.server.always = Some(Fault::Status(400, "23514"));
    browser.at(0, |tab| tab.set_online(true));
    browser.page(1, PageEvent::Resumed);
    assert_eq!(shown(&browser, 1, "in a tunnel")["phase"], "refused");
}

#[test]
fn of_a_leader_that_is_silent_a_follower_shows_what_it_knows_and_of_the_next_what_that_says() {
    let mut browser = writing_offline(3);
    browser.run_for(7_000);
    browser.sleep(0);
    browser.page(2, PageEvent::Visible);
    browser.run_for(2_000);
    assert_eq!(shown(&browser, 2, "in a tunnel")["delivery_status"], "failed");
    browser.run_for(2_000);
    assert_eq!(shown(&browser, 2, "in a tunnel")["delivery_status"], "sending", "the next one tries anew");
    browser.run_for(7_000);
    assert_eq!(shown(&browser, 2, "in a tunnel")["delivery_status"], "failed");
}

#[test]
fn what_a_robbed_leader_says_of_the_rows_is_not_believed() {
    let mut browser = writing_offline(2);
    let old = browser.store.generation();
    browser.sleep(0);
    browser.run_for(TAKEN_BY + 7_000);
    let third = browser.open_tab();
    assert_eq!(shown(&browser, third, "in a tunnel")["delivery_status"], "failed");
    let stale = TabMessage::Rows { generation: old, all: true, rows: Vec::new() };
    browser.at(third, |tab| tab.feed(Input::Heard(stale)));
    assert_eq!(shown(&browser, third, "in a tunnel")["delivery_status"], "failed");
}

#[test]
fn a_leader_says_what_has_changed_and_nothing_where_nobody_follows() {
    let mut browser = Browser::with_tabs(1);
    browser.at(0, |tab| tab.send("alone"));
    assert_eq!(browser.said(0, tells_rows), 0);
    browser.server.always = Some(Fault::Refuse);
    for text in ["one", "two", "three"] {
        browser.at(0, |tab| tab.send(text));
    }
    browser.open_tab();
    browser.run_for(10_000);
    browser.at(1, |tab| tab.send_to("b2", "elsewhere", json!({})));
    browser.run_for(10_000);
    let before = browser.tabs[0].world.said.len();
    browser.command(0, Command::Retry { op: 7, conversation_id: Some(BOOKING.into()) });
    let told = browser.tabs[0].world.said[before..].iter().filter_map(|said| match said {
        TabMessage::Rows { all, rows, .. } => Some((*all, rows.len())),
        _ => None,
    });
    let told: Vec<(bool, usize)> = told.collect();
    assert!(!told.is_empty() && told.iter().all(|(all, rows)| !all && *rows <= 3), "not of the other one: {told:?}");
}

// ---- another leader, and what was said while a tab slept

#[test]
fn a_tab_that_slept_while_its_message_was_sent_hears_of_it_when_it_is_back() {
    let mut browser = writing_offline(2);
    browser.page(1, PageEvent::Frozen);
    browser.sleep(1);
    browser.at(0, |tab| tab.set_online(true));
    assert_eq!(browser.contents(), ["in a tunnel"]);
    browser.tabs[1].world.online = true;
    browser.wake(1);
    browser.page(1, PageEvent::Online);
    browser.page(1, PageEvent::Resumed);
    browser.run_for(1_000);
    assert_eq!(browser.tabs[1].world.announced(), ["sending", "sent"]);
}

#[test]
fn a_conversation_that_is_made_later_comes_to_the_tab_that_shows_it_whoever_leads() {
    let mut browser = Browser::with_tabs(2);
    browser.command(1, Command::Open { conversation_id: "b9".into() });
    browser.run_for(5_000);
    let members = browser.server.members[BOOKING].clone();
    browser.server.rows.insert("b9".into(), Vec::new());
    browser.server.members.insert("b9".into(), members);
    browser.server.post("b9", CLIENT, "01890000-0000-7000-8000-0000000000b9", "made later");
    browser.server.live.clear();
    browser.run_for(61_000);
    let shows = |update: &Update| matches!(update, Update::Messages { conversation_id, patch } if conversation_id == "b9" && !patch.upserts.is_empty());
    assert!(browser.tabs[1].world.updates.iter().any(shows));
}

#[test]
fn what_a_leader_says_that_was_robbed_and_does_not_know_it_is_not_believed() {
    let mut browser = Browser::with_tabs(2);
    browser.command(1, Command::List { on: true });
    browser.run_for(1_000);
    let generation = browser.role(0).generation().expect("it leads") - 1;
    let conversation_id = || BOOKING.to_owned();
    let patch = ListPatch { reset: true, loaded: true, ..ListPatch::default() };
    browser.tabs[1].world.updates.clear();
    for message in [
        TabMessage::Listed { generation, patch: Box::new(patch) },
        TabMessage::People { generation, conversation_id: conversation_id(), people: vec![(CLIENT.into(), true)] },
        TabMessage::Problem {
            generation,
            conversation_id: conversation_id(),
            error: Some(("forbidden".into(), "not yours".into())),
        },
    ] {
        browser.at(1, |tab| tab.feed(Input::Heard(message)));
    }
    assert!(browser.tabs[1].world.updates.is_empty());
}

#[test]
fn what_the_last_leader_wrote_and_did_not_tell_is_read_when_another_one_leads() {
    let mut browser = Browser::with_tabs(3);
    for nth in 0..3 {
        browser.command(nth, Command::List { on: true });
    }
    browser.run_for(2_000);
    (browser.tabs[0].world.live, browser.tabs[0].world.holds_writes) = (false, true);
    browser.server.post(BOOKING, OPERATOR, "0190aaaa-0000-7000-8000-000000000001", "from my telephone");
    browser.run_for(61_000);
    browser.tabs[0].mute = true;
    browser.at(0, |tab| tab.release_writes(Vec::new()));
    browser.crash(0);
    browser.run_for(10_000);
    for nth in [1, 2] {
        assert_eq!(browser.tabs[nth].world.screen().len(), 1, "tab {nth}");
    }
}

fn taken_back(browser: &Browser, nth: usize) -> usize {
    let taken_back = |update: &&Update| matches!(update, Update::TakenBack { .. });
    browser.tabs[nth].world.updates.iter().filter(taken_back).count()
}

#[test]
fn a_tab_that_wakes_learns_that_its_message_was_taken_back_elsewhere() {
    let mut browser = writing_offline(2);
    browser.page(1, PageEvent::Frozen);
    let message = ids_of(&browser)[0].clone();
    browser.command(0, cancel(7, &message));
    browser.run_for(1_000);
    assert_eq!(taken_back(&browser, 1), 0);
    browser.page(1, PageEvent::Resumed);
    browser.run_for(1_000);
    assert_eq!(taken_back(&browser, 1), 1);
    browser.page(1, PageEvent::Frozen);
    browser.page(1, PageEvent::Resumed);
    browser.run_for(1_000);
    assert_eq!(taken_back(&browser, 1), 1, "once");
}

#[test]
fn a_tab_that_wakes_learns_that_its_message_was_sent_though_it_does_not_show_the_conversation() {
    let mut browser = Browser::with_tabs(2);
    for nth in 0..2 {
        browser.at(nth, |tab| tab.set_online(false));
    }
    browser.command(1, Command::Close { conversation_id: BOOKING.into() });
    browser.at(1, |tab| tab.send("in a tunnel"));
    browser.page(1, PageEvent::Frozen);
    browser.at(0, |tab| tab.set_online(true));
    browser.run_for(10_000);
    assert_eq!(browser.contents(), ["in a tunnel"]);
    browser.at(1, |tab| tab.set_online(true));
    browser.page(1, PageEvent::Resumed);
    browser.run_for(1_000);
    assert_eq!(browser.tabs[1].world.announced().last(), Some(&"sent"));
    assert_eq!(taken_back(&browser, 1), 0);
}

#[test]
fn a_leader_that_was_stuck_learns_what_became_of_its_messages() {
    let mut browser = Browser::with_tabs(2);
    browser.command(0, Command::Close { conversation_id: BOOKING.into() });
    browser.at(0, |tab| tab.online = false);
    browser.at(0, |tab| tab.send("sent by another tab"));
    browser.at(0, |tab| tab.send("taken back in another tab"));
    browser.sleep(0);
    let second = ids_of(&browser)[1].clone();
    browser.server.always = Some(Fault::Refuse);
    browser.run_for(TAKEN_BY);
    browser.command(1, cancel(7, &second));
    browser.server.always = None;
    browser.run_for(60_000);
    assert_eq!(browser.server.live_messages(BOOKING), ["sent by another tab"]);
    // It hears all of it before the database tells it that it was robbed.
    let tab = &mut browser.tabs[0];
    (tab.unaware, tab.world.online, tab.world.holds_writes) = (true, true, true);
    browser.wake(0);
    browser.at(0, |tab| tab.release_writes(Vec::new()));
    browser.tabs[0].world.holds_writes = false;
    browser.run_for(2_000);
    assert_eq!(browser.role(0), crate::tabs::Role::Following);
    assert_eq!(browser.tabs[0].world.announced().iter().filter(|status| **status == "sent").count(), 1);
    assert_eq!(taken_back(&browser, 0), 1);
}

#[test]
fn a_tab_that_leads_again_does_not_say_what_was_wrong_when_it_led_before() {
    let mut browser = Browser::with_tabs(3);
    browser.command(0, Command::List { on: true });
    browser.command(0, Command::Open { conversation_id: "b9".into() });
    browser.run_for(1_000);
    assert_eq!(problems(&browser, 0), [Some("no_conversation".to_owned())]);
    browser.command(0, Command::Close { conversation_id: "b9".into() });
    browser.page(1, PageEvent::Hidden);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    assert!(browser.role(2).generation().is_some());
    let members = browser.server.members[BOOKING].clone();
    browser.server.rows.insert("b9".into(), Vec::new());
    browser.server.members.insert("b9".into(), members);
    browser.server.post("b9", CLIENT, "01890000-0000-7000-8000-0000000000b9", "made later");
    browser.command(2, Command::List { on: true });
    browser.run_for(1_000);
    browser.wake(0);
    browser.close_tab(2);
    browser.run_for(1_000);
    assert_eq!(browser.leader(), Some(0));
    browser.command(1, Command::Open { conversation_id: "b9".into() });
    browser.run_for(1_000);
    assert_eq!(problems(&browser, 1), [] as [Option<String>; 0]);
    let shows = |update: &Update| matches!(update, Update::Messages { conversation_id, patch } if conversation_id == "b9" && !patch.upserts.is_empty());
    assert!(browser.tabs[1].world.updates.iter().any(shows));
}

#[test]
fn what_a_tab_was_to_delete_when_it_led_is_shown_when_it_is_given_back_under_another_leader() {
    let mut browser = Browser::with_tabs(2);
    browser.server.post(BOOKING, CLIENT, "0190aaaa-0000-7000-8000-000000000001", "hello");
    browser.at(0, |tab| tab.feed(Input::Timer));
    browser.run_for(2_000);
    browser.tabs[0].world.holds_writes = true;
    let members = std::mem::take(browser.server.members.get_mut(BOOKING).expect("members"));
    browser.command(0, Command::Reload { op: 70, conversation_id: BOOKING.into() });
    browser.server.members.insert(BOOKING.into(), members);
    browser.sleep(0);
    browser.run_for(TAKEN_BY);
    assert!(browser.role(1).generation().is_some());
    browser.tabs[0].world.holds_writes = false;
    browser.wake(0);
    browser.at(0, |tab| tab.release_writes(Vec::new()));
    browser.run_for(70_000);
    assert_eq!([0, 1].map(|nth| browser.tabs[nth].world.screen().len()), [1, 1]);
}

#[test]
fn an_own_message_never_leaves_the_screen_of_a_follower_while_it_moves_from_the_outbox_to_the_cache() {
    for enqueued_first in [false, true] {
        let mut browser = Browser::with_tabs(2);
        browser.at(0, |tab| tab.holds_sends = true);
        browser.at(1, |tab| tab.send("stays"));
        browser.tabs[0].mute = true;
        browser.at(0, |tab| {
            tab.holds_sends = false;
            tab.arrive();
        });
        let heard = if enqueued_first { TabMessage::Enqueued } else { TabMessage::Changed };
        browser.at(1, |tab| tab.feed(Input::Heard(heard)));
        let world = &browser.tabs[1].world;
        assert_eq!(world.screen(), [("stays".to_owned(), "sent".to_owned())]);
        let gone = |update: &Update| matches!(update, Update::Messages { patch, .. } if !patch.removes.is_empty());
        assert!(!world.updates.iter().any(gone));
    }
}
