use super::*;

#[test]
fn nothing_is_connected_without_a_token() {
    let mut rig = Rig::new(one_channel());
    assert_eq!(rig.outputs, [Output::NeedToken]);
    assert_eq!(rig.realtime.state(), SocketState::AwaitingToken);
    rig.input(Input::Token(None));
    assert_eq!(rig.connects(), 0);
    rig.give_token("jwt");
    assert_eq!(rig.connects(), 1);
}

#[test]
fn a_token_that_does_not_come_is_asked_for_again_but_not_in_haste() {
    let mut rig = Rig::new(one_channel());
    rig.forget();
    rig.run(29_999);
    assert!(!rig.asked_for_token());
    rig.run(1);
    assert!(rig.asked_for_token());
    rig.input(Input::Token(None));
    rig.forget();
    rig.run(29_999);
    assert!(!rig.asked_for_token());
    rig.run(15_001);
    assert!(rig.asked_for_token());
}

#[test]
fn waking_asks_at_once_for_a_token_that_was_not_to_be_had() {
    let mut rig = Rig::new(one_channel());
    rig.input(Input::Token(None));
    rig.forget();
    rig.input(Input::Woke);
    assert_eq!(rig.outputs, [Output::NeedToken]);
}

#[test]
fn a_token_from_before_the_waking_is_confirmed_before_the_next_connection() {
    let mut rig = Rig::ready();
    rig.input(Input::Woke);
    rig.answer_heartbeats();
    rig.close_socket(1006);
    rig.run(1_000);
    assert!(rig.asked_for_token());
    assert_eq!(rig.connects(), 0);
    rig.give_token("jwt");
    assert_eq!(rig.connects(), 1);
}

#[test]
fn a_token_that_got_old_while_connecting_is_replaced_before_the_join() {
    let mut rig = Rig::new(one_channel());
    rig.give_expiring("old", Some(rig.now + 12_000));
    rig.run(6_000);
    rig.forget();
    rig.open_socket();
    assert!(rig.sent("phx_join").is_empty());
    assert!(rig.asked_for_token());
    rig.give_expiring("new", Some(rig.now + 3_600_000));
    assert_eq!(rig.sent("phx_join")[0][4]["access_token"], "new");
}

#[test]
fn a_new_token_is_pushed_once_to_what_is_joined() {
    let mut rig = Rig::ready();
    rig.give_token("new");
    rig.give_token("new");
    assert_eq!(rig.sent("access_token"), [json!(["1", "2", "realtime:room", "access_token", {"access_token": "new"}])]);
}

#[test]
fn a_token_that_comes_during_the_join_is_pushed_after_its_reply() {
    let mut rig = Rig::open();
    rig.give_token("new");
    assert!(rig.sent("access_token").is_empty());
    rig.accept_join();
    assert_eq!(rig.sent("access_token").len(), 1);
}

#[test]
fn a_token_is_renewed_a_minute_before_it_expires() {
    let mut rig = Rig::ready();
    rig.give_expiring("long", Some(rig.now + 3_600_000));
    rig.forget();
    for _ in 0..3_539 {
        rig.run(1_000);
        rig.answer_heartbeats();
    }
    assert!(!rig.asked_for_token());
    rig.run(1_000);
    assert!(rig.asked_for_token());
    rig.give_expiring("next", Some(rig.now + 3_600_000));
    assert_eq!(rig.sent("access_token").len(), 1);
}

#[test]
fn a_short_lived_token_is_renewed_at_half_its_life() {
    let mut rig = Rig::ready();
    rig.give_expiring("short", Some(rig.now + 20_000));
    rig.forget();
    rig.run(9_999);
    assert!(!rig.asked_for_token());
    rig.run(1);
    assert!(rig.asked_for_token());
}

#[test]
fn a_token_that_is_given_dead_or_dying_for_ever_is_not_asked_about_in_a_loop() {
    for left in [0, 1, 100] {
        let mut rig = Rig::ready();
        let expires_at = Some(rig.now + left);
        let mut asked = 0;
        for _ in 0..600 {
            rig.give_expiring("dying", expires_at);
            rig.forget();
            rig.run(100);
            asked += usize::from(rig.asked_for_token());
        }
        assert!(asked <= 60, "{asked} times in a minute");
    }
}

#[test]
fn an_expired_session_is_joined_again_with_a_fresh_token() {
    let mut rig = Rig::ready();
    rig.say_system("system", "error", "Token has expired 0 seconds ago");
    rig.frame(json!(["1", "1", "realtime:room", "phx_close", {}]));
    assert_eq!(rig.events, [lost()]);
    rig.run(1_000);
    assert!(rig.asked_for_token());
    assert!(rig.sent("phx_join").is_empty());
    rig.give_token("fresh");
    assert_eq!(rig.sent("phx_join")[0][4]["access_token"], "fresh");
    assert_eq!(rig.connects(), 0);
}

#[test]
fn a_token_survives_the_end_of_its_predecessor() {
    let mut rig = Rig::ready();
    rig.give_token("new");
    rig.say_system("system", "error", "Token has expired 0 seconds ago");
    rig.run(1_000);
    rig.give_token("new");
    rig.accept_join();
    rig.say_replication();
    assert!(!rig.events.contains(&Event::TokenRejected));
    assert!(rig.realtime.is_ready(TOPIC));
}

#[test]
fn tokens_do_not_show_in_debug_output() {
    let mut rig = Rig::open();
    rig.give_token("secret");
    rig.accept_join();
    let jwt = "secret".to_owned();
    let expires_at = None;
    let input = Input::Token(Some(Token { jwt, expires_at }));
    let shown = format!("{input:?} {:?}", rig.outputs);
    assert!(!shown.contains("secret") && !shown.contains("jwt"));
}
