//! Realtime out of reach: the same engine asks every few seconds, says so, and is live again by itself.

use super::{browser::Browser, world::*};
use crate::{engine::Update, sync::SyncState};

fn id(n: u8) -> String {
    format!("01890000-0000-7000-8000-0000000000{n:02x}")
}

fn states(world: &World) -> Vec<SyncState> {
    let state = |update: &Update| if let Update::Sync { state, .. } = update { Some(*state) } else { None };
    world.updates.iter().filter_map(state).collect()
}

fn without_sockets() -> World {
    let mut world = World::new();
    world.has_sockets = false;
    world.start();
    world
}

#[test]
fn without_a_socket_messages_come_and_go_within_the_polling_period() {
    let mut world = without_sockets();
    world.run_for(20_000);
    assert_eq!(world.connections(), ["connecting", "reconnecting"], "never called disconnected");
    assert_eq!(states(&world), [SyncState::CatchingUp, SyncState::Polling]);
    for n in 1..=5 {
        world.server.post(BOOKING, CLIENT, &id(n), "asked for");
        world.run_for(10_000);
        assert_eq!(world.screen().len(), usize::from(n));
    }
    world.send("goes out");
    assert_eq!(world.server.rows[BOOKING].len(), 6);
    world.run_for(10_000);
    assert_eq!(world.server.members[BOOKING][0]["read_seq"], 5, "what was asked for is acknowledged");
    assert_eq!(states(&world).len(), 2, "asking again is not worth a word");
}

#[test]
fn when_the_socket_is_back_it_is_live_again_by_itself() {
    let mut world = without_sockets();
    world.run_for(60_000);
    world.has_sockets = true;
    world.run_for(31_000);
    assert_eq!(world.connections(), ["connecting", "reconnecting", "connected"]);
    assert_eq!(states(&world).last(), Some(&SyncState::Live));
    world.receive(&id(1), "at once");
    assert_eq!(world.screen().len(), 1);
}

#[test]
fn a_short_cut_is_no_polling() {
    let mut world = World::started();
    world.cut();
    world.run_for(4_000);
    assert!(!states(&world).contains(&SyncState::Polling), "{:?}", states(&world));
    assert_eq!(world.connections(), ["connecting", "connected", "reconnecting", "connected"]);
}

#[test]
fn when_requests_fail_as_well_it_is_disconnected_and_what_is_shown_is_stale() {
    let mut world = without_sockets();
    world.run_for(20_000);
    world.online = false;
    world.run_for(20_000);
    assert_eq!(world.connections(), ["connecting", "reconnecting", "disconnected"]);
    assert_eq!(states(&world).last(), Some(&SyncState::Stale));
    world.online = true;
    world.run_for(45_000);
    assert_eq!(world.connections().last(), Some(&"reconnecting"));
    assert_eq!(states(&world).last(), Some(&SyncState::Polling));
}

#[test]
fn an_inbox_that_is_refused_is_polled_for() {
    let mut world = World::new();
    world.refused_joins = 100;
    world.start();
    world.run_for(30_000);
    assert_eq!(world.connections(), ["connecting", "reconnecting"]);
    assert_eq!(states(&world).last(), Some(&SyncState::Polling));
    world.server.post(BOOKING, CLIENT, &id(1), "asked for");
    world.run_for(10_000);
    assert_eq!(world.screen().len(), 1);
}

#[test]
fn a_tab_that_follows_says_it_too() {
    let mut browser = Browser::with_tabs(2);
    for tab in &mut browser.tabs {
        tab.world.has_sockets = false;
    }
    browser.at(0, |tab| tab.cut());
    browser.run_for(30_000);
    assert_eq!(states(&browser.tabs[0].world).last(), Some(&SyncState::Polling));
    assert_eq!(states(&browser.tabs[1].world).last(), Some(&SyncState::Polling));
    assert_eq!(browser.tabs[1].world.connections().last(), Some(&"reconnecting"));
}
