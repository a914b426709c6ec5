//! The Realtime machine against frames recorded from a real server (`tests/frames`).
#![cfg(not(target_family = "wasm"))]

#[path = "frames/replay.rs"]
mod replay;

use replay::{Replay, What, recording};
use serde_json::{Value, json};
use surechat::realtime::codec::{self, Body, Frame};
use surechat::realtime::{Event, Input, JoinError, SocketState};

const RECORDINGS: [&str; 13] = [
    "broadcast-v2",
    "cold-start-gap",
    "idle-timeout",
    "limit-events",
    "limit-joins",
    "limit-users",
    "odd-cases",
    "postgres-changes-v2",
    "presence-v2",
    "private-channel-v2",
    "server-killed",
    "server-stopped",
    "tokens-and-errors",
];
const BOOKING: &str = "booking:b0000000-0000-4000-8000-000000000001";

fn received(name: &str) -> Vec<What> {
    let lines = recording(name).into_iter().map(|line| line.what);
    lines.filter(|what| matches!(what, What::Text(_) | What::Binary(_))).collect()
}

fn refusals(replay: &Replay) -> Vec<(u64, JoinError, Option<u64>)> {
    let refusal = |(at, event): &(u64, Event)| match event {
        Event::ChannelRefused { error, retry_at, .. } => Some((*at, *error, *retry_at)),
        _ => None,
    };
    replay.events.iter().filter_map(refusal).collect()
}

fn broadcasts(replay: &Replay) -> Vec<(String, Value, bool)> {
    let broadcast = |(_, event): &(u64, Event)| match event {
        Event::Broadcast { event, payload, id, .. } => Some((event.clone(), payload.into(), id.is_some())),
        _ => None,
    };
    replay.events.iter().filter_map(broadcast).collect()
}

fn is_backing_off(replay: &Replay, at: u64) -> bool {
    let backoff = |event: &Event| matches!(event, Event::State(SocketState::Backoff { .. }));
    replay.times(backoff).contains(&at)
}

#[test]
fn every_recorded_frame_is_read_and_known() {
    let mut frames = 0;
    for name in RECORDINGS {
        for what in received(name) {
            let frame = match &what {
                What::Text(text) => codec::decode_text(text),
                What::Binary(bytes) => codec::decode_binary(bytes),
                _ => continue,
            };
            let frame: Frame = frame.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_ne!(frame.body, Body::Unknown, "{name}: {}", frame.topic);
            frames += 1;
        }
    }
    assert!(frames > 400, "{frames}");
}

#[test]
fn table_changes_arrive_after_the_second_signal() {
    let replay = Replay::of("postgres-changes-v2", &[2]);
    assert_eq!(replay.ready_at("room1"), [157]);
    let changes = replay.changes();
    let kinds: Vec<&Value> = changes.iter().map(|(_, change)| &change["type"]).collect();
    assert_eq!(kinds, ["INSERT", "UPDATE", "DELETE"]);
    assert_eq!(changes[0].1["record"]["body"], "hello");
    assert_eq!(changes[1].1["record"]["body"], "edited");
    let id = json!({"id": "cee15d23-1b8b-4054-9e64-3d013ac92c30"});
    assert_eq!(changes[2].1["old_record"], id);
    let ids = replay.events.iter().filter_map(|(_, event)| match event {
        Event::Change { ids, errors, .. } => Some((ids.clone(), errors.is_empty())),
        _ => None,
    });
    let expected = [58461284, 32375815, 34913331].map(|id| (vec![id], true));
    assert!(ids.eq(expected));
    assert_eq!(replay.sent("phx_leave", "room1").len(), 1);
}

#[test]
fn binary_broadcasts_are_read_and_those_with_bytes_passed_over() {
    for conn in [5, 6] {
        let replay = Replay::of("broadcast-v2", &[conn]);
        assert_eq!(replay.ready_at("bcast").len(), 1);
        let typing = json!({"who": "guest", "on": true});
        assert_eq!(broadcasts(&replay), [("typing".to_owned(), typing, false)]);
        assert_eq!(replay.lost_at("bcast").len(), 1);
    }
}

#[test]
fn presence_is_told_as_state_and_differences() {
    let replay = Replay::of("presence-v2", &[8]);
    let states = replay.events.iter().filter_map(|(_, event)| match event {
        Event::PresenceState { state, .. } => Some(state["guest"]["metas"][0]["online_at"].clone()),
        _ => None,
    });
    assert!(states.eq([surechat::json!(1)]));
    let diffs = replay.events.iter().filter_map(|(_, event)| match event {
        Event::PresenceDiff { joins, leaves, .. } => {
            let keys = |side: &surechat::json::Value| {
                side.as_object().map(|it| it.fields().iter().map(|(key, _)| key.as_str()).collect::<String>())
            };
            Some((keys(joins).unwrap(), keys(leaves).unwrap()))
        }
        _ => None,
    });
    let expected = [("host", ""), ("guest", "guest"), ("", "host"), ("", "guest")];
    let diffs: Vec<_> = diffs.collect();
    assert_eq!(diffs, expected.map(|(join, leave)| (join.into(), leave.into())));
    let other = Replay::of("presence-v2", &[7]);
    let is_state = |event: &Event| matches!(event, Event::PresenceState { state, .. } if *state == surechat::json!({}));
    assert_eq!(other.times(is_state).len(), 1);
    let is_diff = |event: &Event| matches!(event, Event::PresenceDiff { .. });
    assert_eq!(other.times(is_diff).len(), 4);
}

#[test]
fn a_member_gets_broadcasts_from_the_database_with_their_ids() {
    for (conn, ready) in [(5, 25), (6, 41)] {
        let replay = Replay::of("private-channel-v2", &[conn]);
        assert_eq!(replay.ready_at(BOOKING), [ready]);
        let broadcasts = broadcasts(&replay);
        let seen: Vec<_> = broadcasts.iter().map(|(name, _, id)| (name.as_str(), *id)).collect();
        assert_eq!(seen, [("typing", false), ("INSERT", true), ("ev", true), ("DELETE", true)]);
        assert_eq!(broadcasts[1].1["record"]["body"], "from db");
        assert_eq!(broadcasts[3].1["old_record"]["body"], "from db");
    }
}

#[test]
fn a_stranger_gets_a_second_chance_with_a_fresh_token_and_is_then_refused() {
    for (conn, refused) in [(7, 5_052), (8, 10_106)] {
        let mut replay = Replay::new();
        replay.play("private-channel-v2", &[conn], refused + 1);
        assert_eq!(replay.token_requests().last(), Some(&refused));
        let joins = replay.sent("phx_join", BOOKING);
        assert_eq!(joins.len(), 2);
        assert_eq!(joins[1][4]["access_token"], "jwt 2");
        assert!(refusals(&replay).is_empty());

        let again = |what: What| match what {
            What::Text(text) if text.contains("Unauthorized") => serde_json::from_str(&text).ok(),
            _ => None,
        };
        let mut reply: Value = received("private-channel-v2").into_iter().find_map(again).unwrap();
        reply[0] = joins[1][0].clone();
        reply[1] = joins[1][1].clone();
        let text = reply.to_string();
        replay.input(Input::Text { epoch: 1, text });
        let [(_, JoinError::Unauthorized, Some(retry_at))] = refusals(&replay)[..] else {
            panic!("{:?}", replay.events);
        };
        assert!(retry_at >= refused + 60_000);
    }
}

#[test]
fn bad_keys_look_like_a_bad_network_and_are_retried() {
    for conn in 1..=9 {
        let replay = Replay::of("tokens-and-errors", &[conn]);
        assert_eq!(replay.connects().len(), 1);
        assert!(is_backing_off(&replay, replay.now));
    }
    let mut replay = Replay::of("tokens-and-errors", &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(replay.connects().len(), 9);
    replay.run_to(replay.now + 30_000);
    assert!(replay.connects().len() > 9);
}

#[test]
fn refused_tokens_are_replaced_before_the_next_join() {
    let refused_at = [21_380, 26_384, 31_393, 36_401, 41_404, 50_426, 55_436];
    let mut requests = Vec::new();
    let mut rejected = Vec::new();
    for conn in [10, 11] {
        let mut replay = Replay::one_at_a_time();
        replay.play("tokens-and-errors", &[conn], u64::MAX);
        requests.extend(replay.token_requests().into_iter().skip(1));
        rejected.extend(replay.times(|event| *event == Event::TokenRejected));
        assert!(refusals(&replay).is_empty());
        assert_eq!(replay.sent("phx_join", "t2").len(), 2);
    }
    assert_eq!(rejected, refused_at);
    assert!(refused_at.iter().all(|at| requests.contains(at)));
}

#[test]
fn a_subscription_that_the_database_refuses_never_becomes_ready() {
    let mut replay = Replay::one_at_a_time();
    replay.play("tokens-and-errors", &[11], 59_000);
    replay.run_to(55_440 + 15_000);
    let told = replay.events.iter().any(|(at, event)| {
        matches!(event, Event::ChannelRefused { topic, error: JoinError::NotReady, message, .. }
            if topic == "t3" && message.contains("nobody_role") && *at == 70_440)
    });
    assert!(told, "{:?}", replay.events);
}

#[test]
fn a_token_that_expires_during_the_session_is_replaced_and_the_channel_joined_again() {
    let cases = [(12, "exp", 59_476, 65_454), (13, BOOKING, 70_277, 76_271), (17, "ak", 99_749, 105_750)];
    for (conn, topic, ready, expired) in cases {
        let mut replay = Replay::of("tokens-and-errors", &[conn]);
        assert_eq!(replay.ready_at(topic), [ready]);
        assert_eq!(replay.lost_at(topic), [expired]);
        replay.run_to(expired + 1_000);
        assert!(replay.token_requests().last() > Some(&expired));
        let joins = replay.sent("phx_join", topic);
        assert_eq!(joins.len(), 2);
        assert_eq!(joins[1][4]["access_token"], "jwt 2");
        assert_eq!(replay.connects().len(), 1);
    }
}

#[test]
fn a_token_pushed_in_time_keeps_the_channel_and_may_mean_a_gap() {
    let replay = Replay::of("tokens-and-errors", &[14]);
    assert_eq!(replay.ready_at("ref"), [81_098]);
    let pushes = replay.sent("access_token", "ref");
    assert_eq!(pushes[0][4]["access_token"], "jwt 2");
    let gap = |event: &Event| matches!(event, Event::MaybeGap { .. });
    assert_eq!(replay.times(gap), [85_959]);
    assert_eq!(replay.lost_at("ref"), [93_110]);
}

#[test]
fn a_bad_token_pushed_to_a_channel_is_confirmed_before_joining_again() {
    for (conn, topic, closed) in [(15, "ref2", 96_125), (16, BOOKING, 98_249)] {
        let mut replay = Replay::new();
        replay.play("tokens-and-errors", &[conn], closed + 1);
        replay.run_to(closed + 1_000);
        assert_eq!(replay.lost_at(topic), [closed]);
        let joins = replay.sent("phx_join", topic);
        assert_eq!(joins.last().unwrap()[4]["access_token"], "jwt 3");
    }
}

#[test]
fn a_stopping_server_costs_the_channel_until_it_is_back_and_listens() {
    let replay = Replay::of("server-stopped", &[1, 2, 3, 4]);
    assert_eq!(replay.ready_at("restart"), [415, 24_290]);
    assert_eq!(replay.lost_at("restart"), [14_060]);
    assert!(is_backing_off(&replay, 14_063));
    assert_eq!(replay.connects().len(), 4);
    let bodies = replay.changes().into_iter().map(|(_, change)| change["record"]["body"].clone());
    assert!(bodies.eq(["before", "after"]));
}

#[test]
fn a_killed_server_costs_the_channel_until_it_is_back_and_listens() {
    let replay = Replay::of("server-killed", &[1, 2, 3, 4, 5]);
    assert_eq!(replay.ready_at("restart"), [86, 28_890]);
    assert_eq!(replay.lost_at("restart"), [8_244]);
    assert_eq!(replay.connects().len(), 5);
    let bodies = replay.changes().into_iter().map(|(_, change)| change["record"]["body"].clone());
    assert!(bodies.eq(["before", "after"]));
}

#[test]
fn after_a_cold_start_ready_means_the_late_signal_not_the_early_reply() {
    let replay = Replay::of("cold-start-gap", &[1]);
    assert_eq!(replay.ready_at("gap0_10150"), [2_772]);
    let changes = replay.changes();
    assert_eq!(changes.len(), 186);
    assert!(changes.iter().all(|(at, _)| *at >= 2_772));
}

#[test]
fn a_server_that_closes_with_1000_is_connected_to_again() {
    let mut replay = Replay::of("idle-timeout", &[2]);
    assert_eq!(replay.ready_at("idle"), [143]);
    assert_eq!(replay.lost_at("idle"), [66_110]);
    replay.run_to(replay.now + 1_000);
    assert_eq!(replay.connects().len(), 2);
}

#[test]
fn too_many_messages_hold_the_channel_back_for_half_a_minute() {
    for conn in [1, 2] {
        let replay = Replay::of("limit-events", &[conn]);
        let [(16_369, JoinError::RateLimited, Some(retry_at))] = refusals(&replay)[..] else {
            panic!("{:?}", replay.events);
        };
        assert!((46_369..=76_369).contains(&retry_at));
    }
    let mut unanswered = Replay::of("limit-events", &[3]);
    unanswered.run_to(unanswered.now + 10_000);
    assert!(unanswered.ready_at("dbev").is_empty());
    assert_ne!(unanswered.realtime.state(), SocketState::Open);
}

#[test]
fn too_many_joins_hold_the_next_connection_back_for_half_a_minute() {
    let mut replay = Replay::of("limit-joins", &[1]);
    let ready = |event: &Event| matches!(event, Event::ChannelReady { .. });
    assert_eq!(replay.times(ready).len(), 76);
    let [(19_063, JoinError::RateLimited, Some(retry_at))] = refusals(&replay)[..] else {
        panic!("{:?}", refusals(&replay));
    };
    assert_eq!(replay.lost_at("j70"), [19_066]);
    replay.input(Input::Woke);
    replay.run_to(90_000);
    assert_eq!(replay.connects()[1], retry_at);
    assert!(retry_at >= 19_063 + 30_000);
}

#[test]
fn too_many_users_look_like_a_bad_network_and_are_retried() {
    for conn in [1, 2] {
        assert_eq!(Replay::of("limit-users", &[conn]).ready_at("u").len(), 1);
    }
    let replay = Replay::of("limit-users", &[3, 4]);
    assert_eq!(replay.connects().len(), 2);
    assert!(matches!(replay.realtime.state(), SocketState::Backoff { failures: 2, .. }));
}

#[test]
fn unknown_topics_doubled_joins_and_leaves_do_not_confuse_the_machine() {
    for (conn, empty_topic, joined_again, ready) in [(1, 6_278, 8_798, 8_800), (2, 19_487, 21_998, 22_001)] {
        let replay = Replay::of("odd-cases", &[conn]);
        let refusals = refusals(&replay);
        assert!(matches!(refusals[..], [(at, JoinError::Unavailable, Some(_))] if at == empty_topic), "{refusals:?}");
        let m = replay.ready_at("m");
        assert_eq!((m.len(), m[1]), (2, ready));
        assert_eq!(replay.lost_at("m"), [joined_again]);
        let e = ("e".to_owned(), json!({"a": 1}), false);
        assert_eq!(broadcasts(&replay), [e.clone(), e]);
        assert_eq!(replay.sent("phx_leave", "m").len(), 2);
        assert!(is_backing_off(&replay, replay.now));
    }
}

#[test]
fn a_table_channel_is_ready_exactly_where_the_server_could_subscribe() {
    let mut replay = Replay::one_at_a_time();
    replay.play("odd-cases", &[3], u64::MAX);
    let ready: Vec<bool> = (0..=10).map(|it| !replay.ready_at(&format!("pe{it}")).is_empty()).collect();
    let subscribed = [5, 8, 9, 10];
    assert!((0..=10).all(|it| ready[it] == subscribed.contains(&it)), "{ready:?}");
}

#[test]
fn row_level_security_decides_who_hears_of_a_change() {
    let all: &[&str] = &["INSERT", "UPDATE", "DELETE"];
    let delete: &[&str] = &["DELETE"];
    let cases = [(4, all), (5, delete), (6, delete), (7, delete), (8, all), (9, &[])];
    for (conn, kinds) in cases {
        let replay = Replay::of("odd-cases", &[conn]);
        let seen = replay.changes().into_iter().map(|(_, change)| change["type"].clone());
        assert!(seen.eq(kinds.iter().copied()), "socket {conn}");
    }
}

#[test]
fn a_row_too_large_comes_with_its_error() {
    let replay = Replay::of("odd-cases", &[10]);
    let errors = replay.events.iter().filter_map(|(_, event)| match event {
        Event::Change { errors, change, .. } if !errors.is_empty() => {
            Some((errors.clone(), Value::from(&change["record"])))
        }
        _ => None,
    });
    let expected = (vec!["Error 413: Payload Too Large".to_owned()], json!({"id": 4, "body": "big"}));
    assert!(errors.eq([expected]));
    assert_eq!(replay.changes().len(), 6);
}

#[test]
fn broadcasts_over_http_come_as_text() {
    let replay = Replay::of("odd-cases", &[13]);
    let e1 = ("e1".to_owned(), json!({"x": 1}), false);
    let e2 = ("e2".to_owned(), json!({"y": 1}), false);
    assert_eq!(broadcasts(&replay), [e1, e2]);
    for conn in [11, 12] {
        let replay = Replay::of("odd-cases", &[conn]);
        assert!(is_backing_off(&replay, replay.now));
    }
}

#[test]
fn damaged_frames_never_panic_and_never_stop_the_machine() {
    let mut rng = fastrand::Rng::with_seed(2026);
    let mut replay = Replay::new();
    replay.play("private-channel-v2", &[5], 1_000);
    let frames: Vec<Vec<u8>> = RECORDINGS.iter().flat_map(|name| received(name)).map(bytes).collect();
    let mut read = 0;
    for round in 0..20_000 {
        let mut frame = frames[rng.usize(0..frames.len())].clone();
        for _ in 0..rng.usize(1..4) {
            damage(&mut frame, &mut rng);
        }
        read += usize::from(codec::decode_binary(&frame).is_ok());
        let text = String::from_utf8_lossy(&frame).into_owned();
        read += usize::from(codec::decode_text(&text).is_ok());
        replay.now += 1;
        let epoch = replay.connects().len() as u32;
        if round % 2 == 0 {
            replay.input(Input::Text { epoch, text });
        } else {
            replay.input(Input::Binary { epoch, bytes: frame });
        }
        replay.events.clear();
    }
    assert!(read > 2_000, "{read}");
    replay.run_to(replay.now + 120_000);
    assert!(replay.connects().len() > 1);
}

fn bytes(what: What) -> Vec<u8> {
    match what {
        What::Text(text) => text.into_bytes(),
        What::Binary(bytes) => bytes,
        _ => Vec::new(),
    }
}

fn damage(frame: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    let at = rng.usize(0..=frame.len());
    let byte = rng.u8(..);
    match rng.u8(0..5) {
        0 => frame.truncate(at),
        1 => frame.insert(at, byte),
        2 => frame.extend_from_within(at..),
        _ if at == frame.len() => {}
        3 => frame[at] = byte,
        _ => drop(frame.remove(at)),
    }
}
