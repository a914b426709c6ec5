use super::*;

const UNAUTHORIZED: &str = "Unauthorized: You do not have permissions to read from this Channel topic: room";

#[test]
fn every_documented_reason_has_its_place_in_the_table() {
    let table = [
        ("InvalidJWTToken: Token has expired 60 seconds ago", JoinError::TokenExpired),
        ("InvalidJWTExpiration: Token has expired", JoinError::TokenExpired),
        ("InvalidJWTToken: Fields `role` and `exp` are required in JWT", JoinError::TokenInvalid),
        ("MalformedJWT: The token provided is not a valid JWT", JoinError::TokenInvalid),
        ("JwtSignatureError: Failed to validate JWT signature", JoinError::TokenInvalid),
        ("JwtSignerError: Failed to generate JWT signer", JoinError::TokenInvalid),
        (UNAUTHORIZED, JoinError::Unauthorized),
        ("ConnectionRateLimitReached: Too many connected users", JoinError::RateLimited),
        ("ClientJoinRateLimitReached: Too many joins per second", JoinError::RateLimited),
        ("ChannelRateLimitReached: Too many channels", JoinError::TooManyChannels),
        ("PrivateOnly: This project only allows private channels", JoinError::Unavailable),
        ("RealtimeDisabledForTenant: x", JoinError::Unavailable),
        ("TenantNotFound: x", JoinError::Unavailable),
        ("TopicNameRequired: You must provide a topic name", JoinError::Unavailable),
        ("InitializingProjectConnection: x", JoinError::Transient),
        ("DatabaseLackOfConnections: x", JoinError::Transient),
        ("Unknown Error on Channel", JoinError::Transient),
        ("unmatched topic", JoinError::Transient),
        ("", JoinError::Transient),
    ];
    for (reason, error) in table {
        assert_eq!(JoinError::from_reason(reason), error, "{reason}");
    }
}

#[test]
fn an_unauthorized_channel_gets_one_fresh_token_and_then_a_slow_rhythm() {
    let mut rig = Rig::open();
    rig.refuse_join(UNAUTHORIZED);
    assert!(rig.asked_for_token() && rig.refusals().is_empty());
    rig.give_token("jwt");
    assert_eq!(rig.sent("phx_join").len(), 2);
    rig.refuse_join(UNAUTHORIZED);
    let Some((JoinError::Unauthorized, Some(retry_at))) = rig.refusals().pop() else {
        panic!("{:?}", rig.events);
    };
    assert!((60_000..=90_000).contains(&(retry_at - rig.now)));
    for _ in 0..90 {
        rig.run(1_000);
        rig.answer_heartbeats();
    }
    assert_eq!(rig.sent("phx_join").len(), 3);
    assert!(!rig.events.contains(&Event::TokenRejected));
}

#[test]
fn a_new_token_ends_the_slow_rhythm() {
    let mut rig = Rig::open();
    rig.refuse_join(UNAUTHORIZED);
    rig.give_token("jwt");
    rig.refuse_join(UNAUTHORIZED);
    rig.give_token("of a member");
    assert_eq!(rig.sent("phx_join").len(), 3);
}

#[test]
fn an_expired_token_is_replaced_in_silence() {
    let mut rig = Rig::open();
    rig.refuse_join("InvalidJWTToken: Token has expired 60 seconds ago");
    assert!(rig.events.contains(&Event::TokenRejected));
    assert!(rig.asked_for_token() && rig.refusals().is_empty());
    rig.give_token("fresh");
    rig.accept_join();
    rig.say_replication();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn the_very_token_that_was_rejected_is_not_joined_with_again() {
    let mut rig = Rig::open();
    rig.refuse_join("InvalidJWTToken: Token has expired 60 seconds ago");
    rig.give_token("jwt");
    assert_eq!(rig.sent("phx_join").len(), 1);
    assert!(matches!(rig.refusals()[..], [(JoinError::TokenExpired, Some(_))]));
    rig.give_token("fresh");
    assert_eq!(rig.sent("phx_join").len(), 2);
}

#[test]
fn an_invalid_token_is_refreshed_once_and_then_waited_for() {
    let mut rig = Rig::open();
    rig.refuse_join("JwtSignatureError: Failed to validate JWT signature");
    rig.give_token("as bad");
    rig.refuse_join("JwtSignatureError: Failed to validate JWT signature");
    assert_eq!(rig.refusals(), [(JoinError::TokenInvalid, None)]);
    assert_eq!(rig.realtime.state(), SocketState::Idle);
    rig.run(3_600_000);
    assert_eq!(rig.sent("phx_join").len(), 2);
    rig.give_token("good");
    assert_eq!(rig.connects(), 2);
}

#[test]
fn a_rate_limit_holds_every_attempt_back_for_half_a_minute() {
    let mut rig = Rig::open();
    rig.refuse_join("ClientJoinRateLimitReached: Too many joins per second");
    rig.close_socket(1001);
    let (delay, _) = rig.next_deadline();
    assert!((30_000..=60_000).contains(&delay));
    rig.input(Input::Woke);
    rig.input(Input::Online);
    assert!(rig.next_deadline().0 >= 30_000);
    assert_eq!(rig.connects(), 1);
}

#[test]
fn a_rate_limit_holds_the_other_channels_back_as_well() {
    let mut rig = Rig::open();
    rig.refuse_join("ClientJoinRateLimitReached: Too many joins per second");
    let mut both = one_channel();
    both.insert("other".into(), ChannelConfig::default());
    rig.act(|realtime, now| realtime.set_desired(now, both));
    rig.run(29_000);
    assert_eq!(rig.sent("phx_join").len(), 1);
}

#[test]
fn a_rate_limit_outlasts_stopping_and_starting() {
    let mut rig = Rig::open();
    rig.refuse_join("ConnectionRateLimitReached: Too many connected users");
    rig.act(|realtime, now| realtime.stop(now));
    rig.act(|realtime, now| realtime.start(now));
    assert_eq!(rig.connects(), 1);
    assert!(rig.next_deadline().0 >= 30_000);
}

#[test]
fn a_channel_that_was_healthy_gets_its_second_chance_again() {
    let mut rig = Rig::open();
    for _ in 0..3 {
        rig.refuse_join(UNAUTHORIZED);
        assert!(rig.refusals().is_empty());
        rig.give_token("jwt");
        rig.accept_join();
        rig.say_replication();
        for _ in 0..30 {
            rig.run(1_000);
            rig.answer_heartbeats();
        }
        rig.close_socket(1006);
        rig.run(1_000);
        rig.open_socket();
    }
}

#[test]
fn too_many_messages_close_the_channel_and_hold_it_back() {
    let mut rig = Rig::ready();
    rig.say_system("system", "error", "Too many messages per second");
    rig.frame(json!(["1", "1", "realtime:room", "phx_close", {}]));
    assert_eq!(rig.events[0], lost());
    assert!(matches!(rig.refusals()[..], [(JoinError::RateLimited, Some(_))]));
    rig.run(25_000);
    rig.answer_heartbeats();
    assert!(rig.sent("phx_join").is_empty());
}

#[test]
fn a_transient_refusal_is_retried_with_backoff_on_the_same_socket() {
    let mut rig = Rig::open();
    for attempt in 2..6 {
        rig.refuse_join("InitializingProjectConnection: x");
        for _ in 0..10 {
            rig.run(1_000);
            rig.answer_heartbeats();
        }
        assert_eq!(rig.sent("phx_join").len(), attempt);
    }
    assert_eq!(rig.connects(), 1);
}

#[test]
fn what_cannot_succeed_is_not_tried_again_until_started_anew() {
    let mut rig = Rig::open();
    rig.refuse_join("ChannelRateLimitReached: Too many channels");
    assert_eq!(rig.refusals(), [(JoinError::TooManyChannels, None)]);
    assert!(rig.closed());
    rig.give_token("another");
    rig.input(Input::Woke);
    assert_eq!(rig.realtime.poll_timeout(), None);
    assert_eq!(rig.connects(), 1);
    rig.act(|realtime, now| realtime.start(now));
    rig.give_token("another");
    assert_eq!(rig.connects(), 2);
}

#[test]
fn a_realtime_that_is_switched_off_is_tried_again_after_minutes() {
    let mut rig = Rig::open();
    rig.refuse_join("RealtimeDisabledForTenant: Realtime is disabled");
    let Some((JoinError::Unavailable, Some(retry_at))) = rig.refusals().pop() else {
        panic!("{:?}", rig.events);
    };
    assert!((300_000..=600_000).contains(&(retry_at - rig.now)));
    while rig.now < retry_at {
        rig.run(1_000);
        rig.answer_heartbeats();
    }
    assert_eq!(rig.sent("phx_join").len(), 2);
    rig.accept_join();
    rig.say_replication();
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn a_subscription_error_is_told_when_the_time_for_being_ready_is_over() {
    let mut rig = Rig::new(BTreeMap::from([(TOPIC.to_owned(), table_changes())]));
    rig.give_token("jwt");
    rig.open_socket();
    rig.accept_join();
    rig.say_system("postgres_changes", "error", "Unable to subscribe");
    assert!(rig.refusals().is_empty());
    rig.run(15_000);
    let told = rig.events.iter().any(|event| {
        matches!(event, Event::ChannelRefused { error: JoinError::NotReady, message, .. } if message == "Unable to subscribe")
    });
    assert!(told);
}
