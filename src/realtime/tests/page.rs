//! What the page tells: offline, online, awake again.

use super::*;

#[test]
fn a_heartbeat_that_is_late_is_sent_once_and_the_schedule_goes_on_from_there() {
    let mut rig = Rig::ready();
    rig.now += 100_000;
    rig.act(|realtime, now| realtime.handle_timeout(now));
    rig.act(|realtime, now| realtime.handle_timeout(now));
    assert_eq!(rig.sent("heartbeat").len(), 1);
    rig.answer_heartbeats();
    assert_eq!(rig.next_deadline(), (25_000, Reason::Heartbeat));
}

#[test]
fn after_a_sleep_the_awaited_reply_gets_one_short_respite() {
    let mut rig = Rig::ready();
    rig.run(25_000);
    rig.now += 3_600_000;
    rig.act(|realtime, now| realtime.handle_timeout(now));
    assert!(!rig.closed());
    assert_eq!(rig.next_deadline(), (5_000, Reason::HeartbeatLimit));
    rig.now += 3_600_000;
    rig.act(|realtime, now| realtime.handle_timeout(now));
    assert!(rig.closed());
}

#[test]
fn every_sleep_is_forgiven_that_ends_with_a_reply() {
    let mut rig = Rig::ready();
    for _ in 0..3 {
        rig.run(rig.next_deadline().0);
        rig.now += 3_600_000;
        rig.act(|realtime, now| realtime.handle_timeout(now));
        rig.answer_heartbeats();
        rig.forget();
    }
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn a_new_socket_has_its_own_respite() {
    let mut rig = Rig::ready();
    for _ in 0..2 {
        rig.run(25_000);
        rig.now += 3_600_000;
        rig.act(|realtime, now| realtime.handle_timeout(now));
        assert!(!rig.closed());
        rig.run(5_000);
        assert!(rig.closed());
        rig.run(1_000);
        rig.give_token("jwt");
        rig.open_socket();
        rig.accept_join();
        rig.say_replication();
    }
}

#[test]
fn offline_closes_at_once_and_then_tries_rarely() {
    let mut rig = Rig::ready();
    rig.input(Input::Offline);
    assert!(rig.closed());
    let (delay, reason) = rig.next_deadline();
    assert_eq!(reason, Reason::Reconnect);
    assert!((30_000..=60_000).contains(&delay));
    rig.input(Input::Woke);
    assert!(matches!(rig.realtime.state(), SocketState::Backoff { .. }));
}

#[test]
fn a_connection_may_succeed_while_the_page_claims_to_be_offline() {
    let mut rig = Rig::ready();
    rig.input(Input::Offline);
    rig.run(rig.next_deadline().0);
    assert_eq!(rig.connects(), 1);
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn online_connects_at_once() {
    let mut rig = Rig::ready();
    rig.input(Input::Offline);
    rig.input(Input::Online);
    rig.give_token("jwt");
    assert_eq!(rig.connects(), 1);
}

#[test]
fn online_forgets_the_failures_of_the_other_network() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    for _ in 0..5 {
        rig.close_socket(1006);
        rig.run(rig.next_deadline().0);
    }
    rig.input(Input::Online);
    rig.close_socket(1006);
    assert!(matches!(rig.realtime.state(), SocketState::Backoff { failures: 1, .. }));
}

#[test]
fn waking_probes_an_open_socket_for_five_seconds() {
    let mut rig = Rig::ready();
    rig.input(Input::Woke);
    rig.input(Input::Woke);
    assert_eq!(rig.sent("heartbeat").len(), 1);
    assert_eq!(rig.gaps(), 2);
    assert_eq!(rig.next_deadline(), (5_000, Reason::HeartbeatLimit));
    let mut dead = rig;
    dead.run(5_000);
    assert!(dead.closed());

    let mut alive = Rig::ready();
    alive.input(Input::Woke);
    alive.answer_heartbeats();
    alive.run(20_000);
    assert!(!alive.closed());
}

#[test]
fn waking_again_and_again_does_not_prolong_the_probe() {
    let mut rig = Rig::ready();
    rig.input(Input::Woke);
    rig.run(4_000);
    rig.input(Input::Woke);
    rig.run(1_000);
    assert!(rig.closed());
}

#[test]
fn waking_ends_a_backoff() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    for _ in 0..5 {
        rig.close_socket(1006);
        rig.run(rig.next_deadline().0);
    }
    rig.close_socket(1006);
    rig.forget();
    rig.input(Input::Woke);
    assert!(rig.asked_for_token());
    rig.give_token("jwt");
    assert_eq!(rig.connects(), 1);
}
