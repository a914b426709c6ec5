//! Where there are no Web Locks.

use super::{browser::Browser, server::Fault, world::World};
use crate::{
    engine::PageEvent,
    store::{LEASE_MS, Table},
    tabs::BEAT_MS,
};

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
fn a_page_that_goes_away_lets_go_of_what_it_has_not_committed_and_only_then_gives_its_lease_up() {
    for away in [PageEvent::Frozen, PageEvent::Leaving] {
        let mut browser = Browser::without_locks(2);
        browser.tabs[0].world.holds_sends = true;
        browser.at(0, |tab| tab.send("on its way"));
        browser.tabs[0].world.holds_writes = true;
        browser.at(0, World::arrive);
        browser.page(0, away);
        browser.at(0, World::release_one_write);
        assert!(!browser.tabs[0].world.writes_wait(), "{away:?}: what the answer brought was undone");
        browser.sleep(0);
        assert_eq!(browser.leader(), Some(1), "{away:?}: the lease was given up");
        browser.run_for(1_000);
        assert_eq!(browser.store.table(Table::Outbox).count(), 0);
        assert_eq!(browser.contents(), ["on its way"]);
    }
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
