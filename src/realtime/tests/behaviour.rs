use super::*;

#[test]
fn the_join_carries_config_and_token_as_they_are_at_that_moment() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("first");
    rig.give_token("second");
    rig.open_socket();
    assert_eq!(
        rig.sent("phx_join"),
        [json!(["1", "1", "realtime:room", "phx_join", {
            "config": {
                "private": true,
                "broadcast": {"ack": false, "self": false, "replication_ready": true},
                "presence": {"enabled": false, "key": ""},
                "postgres_changes": [],
            },
            "access_token": "second",
        }])]
    );
}

#[test]
fn table_bindings_go_out_with_the_join() {
    let mut rig = Rig::new(BTreeMap::from([(TOPIC.to_owned(), table_changes())]));
    rig.give_token("jwt");
    rig.open_socket();
    assert_eq!(
        rig.sent("phx_join")[0][4]["config"]["postgres_changes"],
        json!([{"event": "INSERT", "schema": "public", "table": "messages", "filter": "booking_id=eq.1"}])
    );
}

#[test]
fn the_address_carries_key_and_version() {
    let mut realtime = Realtime::new(Config::new("ws://h/websocket", "a b&c"), 1);
    realtime.set_desired(0, one_channel());
    realtime.start(0);
    let jwt = "jwt".to_owned();
    let expires_at = None;
    realtime.handle(0, Input::Token(Some(Token { jwt, expires_at })));
    assert_eq!(realtime.poll_output(), Some(Output::NeedToken));
    let url = "ws://h/websocket?apikey=a%20b%26c&vsn=2.0.0".to_owned();
    assert_eq!(realtime.poll_output(), Some(Output::Connect { epoch: 1, url }));
}

#[test]
fn a_channel_is_ready_only_after_join_reply_and_replication() {
    let mut rig = Rig::open();
    rig.accept_join();
    assert!(!rig.events.contains(&ready()));
    rig.say_replication();
    assert!(rig.events.contains(&ready()));
}

#[test]
fn a_channel_of_table_changes_waits_for_the_subscription() {
    let mut rig = Rig::new(BTreeMap::from([(TOPIC.to_owned(), table_changes())]));
    rig.give_token("jwt");
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    assert!(!rig.realtime.is_ready(TOPIC));
    rig.say_system("postgres_changes", "ok", "Subscribed to PostgreSQL");
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn each_join_waits_for_its_own_signals() {
    let mut rig = Rig::ready();
    rig.close_socket(1006);
    rig.run(1_000);
    rig.open_socket();
    rig.accept_join();
    assert!(!rig.realtime.is_ready(TOPIC));
    rig.say_replication();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn a_plain_channel_is_ready_with_the_join_reply() {
    let plain = BTreeMap::from([(TOPIC.to_owned(), ChannelConfig::default())]);
    let mut rig = Rig::new(plain);
    rig.give_token("jwt");
    rig.open_socket();
    rig.accept_join();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn an_unanswered_join_discards_the_socket_after_ten_seconds() {
    let mut rig = Rig::open();
    rig.run(9_999);
    assert!(!rig.closed());
    rig.run(1);
    assert!(rig.closed());
    rig.run(1_000);
    assert_eq!(rig.connects(), 2);
}

#[test]
fn missing_ready_signals_mean_leaving_and_joining_anew_after_fifteen_seconds() {
    let mut rig = Rig::open();
    rig.accept_join();
    rig.run(14_999);
    assert!(rig.sent("phx_leave").is_empty());
    rig.run(1);
    assert_eq!(rig.sent("phx_leave").len(), 1);
    assert!(matches!(rig.refusals()[..], [(JoinError::NotReady, Some(_))]));
    rig.run(1_000);
    assert_eq!(rig.sent("phx_join").len(), 2);
    assert!(!rig.closed());
}

#[test]
fn heartbeats_keep_their_schedule_whatever_else_is_received() {
    let mut rig = Rig::ready();
    for _ in 0..30 {
        rig.run(2_500);
        rig.answer_heartbeats();
        rig.frame(json!([null, null, "realtime:room", "broadcast", {"event": "e", "payload": {}}]));
    }
    assert_eq!(rig.sent("heartbeat").len(), 3);
    assert_eq!(rig.sent("heartbeat")[0][2], "phoenix");
    assert!(!rig.closed());
}

#[test]
fn a_missing_heartbeat_reply_discards_the_socket_after_ten_seconds() {
    let mut rig = Rig::ready();
    rig.run(34_999);
    assert!(!rig.closed());
    rig.run(1);
    assert!(rig.closed());
    assert!(rig.events.contains(&lost()));
}

#[test]
fn only_the_reply_to_the_latest_heartbeat_counts() {
    let mut rig = Rig::ready();
    rig.run(25_000);
    rig.frame(json!([null, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]));
    rig.run(10_000);
    assert!(rig.closed());
}

#[test]
fn what_an_old_socket_says_is_ignored() {
    let mut rig = Rig::ready();
    let old = rig.epoch();
    rig.close_socket(1006);
    rig.run(1_000);
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    rig.forget();
    let text = json!(["2", "2", "realtime:room", "phx_close", {}]).to_string();
    rig.input(Input::Text { epoch: old, text });
    rig.input(Input::Binary { epoch: old, bytes: vec![9] });
    rig.input(Input::Closed { epoch: old, code: 1006 });
    rig.input(Input::Opened { epoch: old });
    assert!(rig.events.is_empty() && rig.outputs.is_empty());
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn an_old_socket_that_opens_late_is_not_taken_for_the_new_one() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    let old = rig.epoch();
    rig.run(10_000);
    rig.run(1_000);
    rig.input(Input::Opened { epoch: old });
    assert_eq!(rig.realtime.state(), SocketState::Connecting);
}

#[test]
fn a_connection_that_does_not_open_is_given_up_after_ten_seconds() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    assert_eq!(rig.next_deadline(), (10_000, Reason::ConnectLimit));
    rig.run(10_000);
    assert!(rig.closed());
    assert!(matches!(rig.realtime.state(), SocketState::Backoff { failures: 1, .. }));
}

#[test]
fn failing_connections_are_tried_under_a_rising_jittered_ceiling() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    let ceilings = [1_000, 2_000, 5_000, 10_000, 30_000, 30_000, 30_000];
    let mut delays = Vec::new();
    for ceiling in ceilings {
        rig.close_socket(1006);
        let (delay, reason) = rig.next_deadline();
        assert_eq!(reason, Reason::Reconnect);
        assert!(delay <= ceiling, "{delay} of {ceiling}");
        delays.push(delay);
        rig.run(delay);
    }
    delays.dedup();
    assert_eq!(delays.len(), ceilings.len());
}

#[test]
fn the_backoff_starts_over_only_after_thirty_healthy_seconds() {
    let failures_after = |healthy: u64| {
        let mut rig = Rig::new(one_channel());
        rig.give_token("jwt");
        for _ in 0..4 {
            rig.close_socket(1006);
            rig.run(rig.next_deadline().0);
        }
        rig.open_socket();
        rig.accept_join();
        rig.say_replication();
        for _ in 0..healthy / 1_000 {
            rig.run(1_000);
            rig.answer_heartbeats();
        }
        rig.close_socket(1006);
        rig.realtime.state()
    };
    assert!(matches!(failures_after(29_000), SocketState::Backoff { failures: 5, .. }));
    assert!(matches!(failures_after(30_000), SocketState::Backoff { failures: 1, .. }));
}

#[test]
fn health_counts_from_the_first_channel_that_was_ready() {
    let mut rig = Rig::new(one_channel());
    rig.give_token("jwt");
    rig.close_socket(1006);
    rig.run(1_000);
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    for second in 0..30 {
        if second == 20 {
            rig.frame(json!(["1", "1", "realtime:room", "phx_error", {}]));
        }
        rig.run(1_000);
        rig.answer_heartbeats();
    }
    rig.accept_join();
    rig.say_replication();
    rig.close_socket(1006);
    assert!(matches!(rig.realtime.state(), SocketState::Backoff { failures: 1, .. }));
}

#[test]
fn every_close_code_leads_to_a_new_connection() {
    for code in [1000, 1001, 1005, 1006, 1012, 4999] {
        let mut rig = Rig::ready();
        rig.close_socket(code);
        assert_eq!(rig.events[0], lost());
        rig.run(1_000);
        assert_eq!(rig.connects(), 1, "after {code}");
    }
}

#[test]
fn a_channel_that_is_closed_or_crashed_is_joined_again_on_the_same_socket() {
    for event in ["phx_close", "phx_error"] {
        let mut rig = Rig::ready();
        rig.frame(json!(["1", "1", "realtime:room", event, {}]));
        assert_eq!(rig.events, [lost()]);
        rig.run(1_000);
        assert_eq!((rig.sent("phx_join").len(), rig.connects()), (1, 0));
    }
}

#[test]
fn a_channel_that_crashes_now_and_then_is_back_within_a_second() {
    let mut rig = Rig::ready();
    for crash in 1..8 {
        let join = rig.join_ref();
        rig.frame(json!([join, join, "realtime:room", "phx_error", {}]));
        rig.run(1_000);
        assert_eq!(rig.sent("phx_join").len(), crash);
        rig.accept_join();
        rig.say_replication();
        for _ in 0..30 {
            rig.run(1_000);
            rig.answer_heartbeats();
        }
    }
}

#[test]
fn a_channel_that_keeps_crashing_is_joined_more_and_more_rarely() {
    let mut rig = Rig::ready();
    for _ in 0..60 {
        let join = rig.join_ref();
        rig.frame(json!([join, join, "realtime:room", "phx_error", {}]));
        for _ in 0..30 {
            rig.run(1_000);
            rig.answer_heartbeats();
            if rig.sent("phx_join").last().is_some_and(|it| it[0] != join) {
                rig.accept_join();
                rig.say_replication();
                break;
            }
        }
    }
    let average = (rig.now - 1_000_000) / 60;
    assert!(average > 8_000, "{average}");
}

#[test]
fn a_server_that_does_not_know_the_channel_is_joined_again() {
    let mut rig = Rig::ready();
    rig.give_token("another");
    let push = rig.sent("access_token").remove(0);
    let reply = json!({"status": "error", "response": {"reason": "unmatched topic"}});
    rig.frame(json!([null, push[1], "realtime:room", "phx_reply", reply]));
    assert_eq!(rig.events, [lost()]);
    rig.run(1_000);
    assert_eq!(rig.sent("phx_join").len(), 1);
}

#[test]
fn the_close_of_an_earlier_join_does_not_touch_the_present_one() {
    let mut rig = Rig::ready();
    rig.frame(json!(["1", "1", "realtime:room", "phx_close", {}]));
    rig.run(1_000);
    rig.accept_join();
    rig.say_replication();
    rig.forget();
    rig.frame(json!(["1", "1", "realtime:room", "phx_close", {}]));
    rig.frame(
        json!(["1", null, "realtime:room", "system", {"extension": "system", "status": "error", "message": "x"}]),
    );
    let unmatched = json!({"status": "error", "response": {"reason": "unmatched topic"}});
    rig.frame(json!([null, "1", "realtime:room", "phx_reply", unmatched]));
    assert!(rig.events.is_empty());
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn what_the_server_tells_beside_the_first_signal_may_mean_a_gap() {
    let mut rig = Rig::ready();
    rig.say_replication();
    rig.say_system("postgres_changes", "error", "something");
    rig.say_system("system", "ok", "Server requested disconnect");
    assert_eq!(rig.gaps(), 3);
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn a_frame_that_cannot_be_read_may_mean_a_gap() {
    let mut rig = Rig::ready();
    let epoch = rig.epoch();
    rig.input(Input::Text { epoch, text: "[1".into() });
    assert_eq!(rig.gaps(), 1);
}

#[test]
fn stopping_leaves_nothing_open_and_nothing_to_do() {
    let mut rig = Rig::ready();
    let epoch = rig.epoch();
    rig.act(|realtime, now| realtime.stop(now));
    assert_eq!(rig.outputs, [Output::Close { epoch }]);
    assert_eq!(rig.events, [lost(), Event::State(SocketState::Idle)]);
    assert_eq!(rig.realtime.poll_timeout(), None);
    rig.forget();
    rig.input(Input::Closed { epoch, code: 1005 });
    rig.input(Input::Online);
    rig.input(Input::Woke);
    rig.give_token("new");
    rig.act(|realtime, now| realtime.handle_timeout(now + 100_000));
    assert!(rig.outputs.is_empty() && rig.events.is_empty());
    assert_eq!(rig.realtime.poll_timeout(), None);
}

#[test]
fn a_stopped_machine_starts_again_with_what_is_desired() {
    let mut rig = Rig::ready();
    rig.close_socket(1006);
    rig.act(|realtime, now| realtime.stop(now));
    rig.act(|realtime, now| realtime.start(now));
    rig.close_socket(1006);
    assert!(matches!(rig.realtime.state(), SocketState::Backoff { failures: 1, .. }));
    rig.run(1_000);
    rig.open_socket();
    rig.accept_join();
    rig.say_replication();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn a_question_for_a_token_ends_with_the_stop() {
    let mut rig = Rig::new(one_channel());
    rig.act(|realtime, now| realtime.stop(now));
    rig.forget();
    rig.act(|realtime, now| realtime.start(now));
    assert!(rig.asked_for_token());
}

#[test]
fn a_connection_stopped_before_it_was_made_is_not_made() {
    let mut realtime = Realtime::new(Config::new("ws://h", "k"), 1);
    let jwt = "jwt".to_owned();
    let expires_at = None;
    realtime.handle(0, Input::Token(Some(Token { jwt, expires_at })));
    realtime.set_desired(0, one_channel());
    realtime.start(0);
    realtime.stop(0);
    assert_eq!(realtime.poll_output(), None);
}

#[test]
fn changing_the_desired_set_leaves_and_joins_only_what_changed() {
    let mut rig = Rig::ready();
    let other = ChannelConfig::default();
    let mut both = one_channel();
    both.insert("other".into(), other.clone());
    rig.act(|realtime, now| realtime.set_desired(now, both));
    assert_eq!(rig.sent("phx_join").len(), 1);
    assert!(rig.sent("phx_leave").is_empty());
    rig.forget();

    let only_other = BTreeMap::from([("other".to_owned(), other)]);
    rig.act(|realtime, now| realtime.set_desired(now, only_other));
    assert_eq!(rig.sent("phx_leave")[0][2], "realtime:room");
    assert!(rig.events.is_empty(), "nothing is lost that nobody wants");
    assert!(rig.sent("phx_join").is_empty());
    assert!(!rig.closed());
    rig.act(|realtime, now| realtime.set_desired(now, BTreeMap::new()));
    assert!(rig.closed());
    assert_eq!(rig.realtime.poll_timeout(), None);
}

#[test]
fn a_channel_whose_config_changes_is_joined_anew() {
    let mut rig = Rig::ready();
    let changed = BTreeMap::from([(TOPIC.to_owned(), table_changes())]);
    rig.act(|realtime, now| realtime.set_desired(now, changed));
    assert_eq!(rig.events, [lost()]);
    assert_eq!(rig.sent("phx_leave").len(), 1);
    assert_eq!(rig.sent("phx_join").len(), 1);
}

#[test]
fn live_events_are_passed_on_once_joined() {
    let mut rig = Rig::open();
    let broadcast =
        json!({"type": "broadcast", "event": "e", "payload": {"a": 1}, "meta": {"id": "x", "replayed": true}});
    let frame = json!([null, null, "realtime:room", "broadcast", broadcast]);
    rig.forget_events();
    rig.frame(frame.clone());
    assert!(rig.events.is_empty());
    rig.accept_join();
    rig.frame(frame);
    assert_eq!(
        rig.events,
        [Event::Broadcast {
            topic: TOPIC.into(),
            event: "e".into(),
            payload: json!({"a": 1}),
            id: Some("x".into()),
            replayed: true,
        }]
    );
}

#[test]
fn doubled_and_early_timeouts_change_nothing() {
    let mut rig = Rig::ready();
    for _ in 0..3 {
        rig.act(|realtime, now| realtime.handle_timeout(now));
    }
    assert!(rig.outputs.is_empty() && rig.events.is_empty());
}
