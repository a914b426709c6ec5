//! The list of all conversations in tabs that follow.

use super::{
    browser::Browser,
    list::{booking, is, is_loaded, lines, many, message_id},
    world::*,
};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    store::{Key, Operation, StoreError, Table, Transaction},
};

#[test]
fn a_tab_that_follows_shows_the_same_list() {
    let mut browser = Browser::with_tabs(2);
    many(&mut browser.server, 30);
    browser.command(1, Command::List { on: true });
    browser.run_for(2_000);
    let same = |browser: &Browser| lines(&browser.tabs[1].world);
    assert_eq!(same(&browser).len(), 30);
    assert!(is_loaded(&browser.tabs[1].world));
    browser.command(0, Command::List { on: true });
    browser.server.post(&booking(2), CLIENT, &message_id(1), "hello");
    browser.at(0, |tab| tab.feed(Input::Timer));
    assert_eq!(same(&browser)[&booking(2)], is(1, "hello"));
    assert_eq!(same(&browser), lines(&browser.tabs[0].world));
    let late = browser.open_tab();
    browser.command(late, Command::List { on: true });
    browser.run_for(1_000);
    assert_eq!(lines(&browser.tabs[late].world), same(&browser));
    browser.crash(0);
    browser.server.post(&booking(3), CLIENT, &message_id(2), "meanwhile");
    browser.run_for(60_000);
    let leader = browser.leader().unwrap();
    assert_ne!(leader, 0);
    for nth in [1, late] {
        assert_eq!(lines(&browser.tabs[nth].world)[&booking(3)], is(1, "meanwhile"), "tab {nth}");
    }
}

#[test]
fn a_tab_that_follows_learns_that_all_are_known_before_the_database_says_so() {
    let mut browser = Browser::with_tabs(2);
    browser.command(1, Command::List { on: true });
    browser.run_for(2_000);
    // It is written with an answer only while nothing else is.
    let delete = Operation::Delete { table: Table::Meta, key: Key::Text("list".into()) };
    browser.store.run(&Transaction::strict(vec![delete])).unwrap();
    let late = browser.open_tab();
    browser.command(late, Command::List { on: true });
    browser.run_for(1_000);
    assert!(is_loaded(&browser.tabs[late].world));
}

#[test]
fn a_tab_that_could_not_load_the_list_and_follows_now_shows_it_without_an_error() {
    let mut browser = Browser::with_tabs(2);
    let leader = browser.leader().unwrap();
    browser.at(leader, |tab| tab.online = false);
    browser.command(leader, Command::List { on: true });
    browser.run_for(1_000);
    let error = |browser: &Browser| {
        let said =
            |update: &Update| if let Update::ListState { error, .. } = update { Some(error.is_some()) } else { None };
        browser.tabs[leader].world.updates.iter().filter_map(said).next_back()
    };
    assert_eq!(error(&browser), Some(true));
    browser.at(leader, |tab| tab.feed(Input::LockLost));
    browser.run_for(30_000);
    assert_ne!(browser.leader(), Some(leader));
    assert_eq!(lines(&browser.tabs[leader].world).len(), 1);
    assert_eq!(error(&browser), Some(false));
}

fn error(world: &World) -> Option<String> {
    let error = |update: &Update| match update {
        Update::ListState { error, .. } => Some(error.as_ref().map(|error| error.code.clone())),
        _ => None,
    };
    world.updates.iter().rev().find_map(error).flatten()
}

#[test]
fn a_tab_that_follows_says_why_there_is_no_list_until_there_is_one() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| tab.online = false);
    browser.command(1, Command::List { on: true });
    browser.run_for(1_000);
    assert_eq!(error(&browser.tabs[1].world).as_deref(), Some("network"));
    let late = browser.open_tab();
    browser.command(late, Command::List { on: true });
    assert_eq!(error(&browser.tabs[late].world).as_deref(), Some("network"), "it is told at once");
    browser.at(0, |tab| tab.set_online(true));
    browser.run_for(5_000);
    for nth in [1, late] {
        assert_eq!(error(&browser.tabs[nth].world), None);
        assert!(is_loaded(&browser.tabs[nth].world));
    }
}

#[test]
fn a_list_that_a_following_tab_could_not_read_is_read_later() {
    let mut browser = Browser::with_tabs(3);
    many(&mut browser.server, 5);
    for nth in [0, 1] {
        browser.command(nth, Command::List { on: true });
        browser.run_for(1_000);
    }
    browser.tabs[2].world.reads_fail = true;
    browser.command(2, Command::List { on: true });
    browser.tabs[2].world.reads_fail = false;
    browser.run_for(6_000);
    assert_eq!(lines(&browser.tabs[2].world).len(), 5);
}

#[test]
fn what_of_a_lost_membership_could_not_be_deleted_is_deleted_later_and_shows_in_no_tab() {
    let mut browser = Browser::with_tabs(2);
    browser.at(0, |tab| tab.receive(&message_id(1), "secret"));
    for nth in [0, 1] {
        browser.command(nth, Command::List { on: true });
        browser.run_for(1_000);
    }
    browser.server.members.get_mut(BOOKING).unwrap().remove(0);
    browser.tabs[0].world.store_fault = Some(StoreError::Failed("AbortError".into()));
    browser.command(0, Command::Reload { op: 70, conversation_id: BOOKING.into() });
    // What the database still holds is read once more.
    browser.page(1, PageEvent::Frozen);
    browser.page(1, PageEvent::Resumed);
    browser.tabs[0].world.store_fault = None;
    browser.run_for(10_000);
    assert_eq!(browser.store.table(Table::Messages).chain(browser.store.table(Table::Conversations)).count(), 0);
    assert_eq!((lines(&browser.tabs[1].world).len(), browser.tabs[1].world.screen().len()), (0, 0));
}

#[test]
fn what_the_database_refused_of_the_list_is_told_to_a_tab_that_follows_and_written_later() {
    let mut browser = Browser::with_tabs(2);
    many(&mut browser.server, 3);
    browser.server.post(&booking(2), CLIENT, &message_id(1), "known before the list");
    browser.command(0, Command::Open { conversation_id: booking(2) });
    browser.run_for(5_000);
    browser.at(0, |tab| tab.holds_writes = true);
    browser.command(0, Command::List { on: true });
    browser.run_for(100);
    browser.at(0, |tab| {
        tab.holds_writes = false;
        tab.release_writes(vec![Err(StoreError::Failed("AbortError".into())); 3]);
        tab.online = false;
    });
    browser.run_for(5_000);
    let late = |browser: &mut Browser| {
        let late = browser.open_tab();
        browser.command(late, Command::List { on: true });
        browser.run_for(500);
        lines(&browser.tabs[late].world)
    };
    let whole = lines(&browser.tabs[0].world);
    assert_eq!(whole.len(), 3);
    assert_eq!(late(&mut browser), whole, "told");
    browser.at(0, |tab| tab.online = true);
    browser.run_for(60_000);
    assert_eq!(late(&mut browser), whole);
    browser.at(0, |tab| tab.feed(Input::LockLost));
    browser.tabs.iter_mut().for_each(|tab| tab.world.online = false);
    assert_eq!(late(&mut browser), whole, "written");
}
