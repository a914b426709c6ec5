//! 13 and 14: whose name it goes under; and 22: to whom.

use super::stage::*;

/// Whatever went out, went out with a token of the user whose outbox it is.
fn went_under_one_name(stage: &Stage, user: &str) {
    for (function, token, body) in &stage.sent {
        assert_eq!(token, user, "{function}");
        if function == "phx_join" {
            assert!(body.as_str().is_some_and(|topic| topic.contains(user) || topic == "realtime:chat:b1"), "{body:?}");
        } else {
            assert_eq!(body["expected_user"], user, "{function}");
        }
    }
}

#[test]
fn schedule_13_somebody_else_signs_in_in_another_tab_while_messages_wait() {
    let mut stage = Stage::with_tabs(1);
    stage.set_online(0, false);
    stage.send(0, "m0");
    stage.session = Some(COLLEAGUE);
    let other = stage.open_tab();
    stage.set_online(0, true);
    stage.run_for(120_000);
    assert_eq!(stage.live(), [""; 0], "not under the other one's name, and not under the own one");
    for (function, token, body) in stage.sent.iter().filter(|(function, ..)| function != "phx_join") {
        assert_eq!(body["expected_user"], token.as_str(), "{function}");
    }
    assert_eq!(stage.outbox(), ["m0"], "it waits for its owner");
    stage.crash(other);
    stage.session = Some(OPERATOR);
    stage.run_for(60_000);
    assert_eq!(stage.live(), ["m0"]);
    assert_eq!(stage.server.conversation(ROOM).unwrap().rows[0].sender.as_deref(), Some(OPERATOR));
}

#[test]
fn schedule_14_the_token_that_is_sent_is_the_very_one_that_was_compared() {
    let mut stage = Stage::with_tabs(1);
    let asked = stage.tabs[0].tokens_asked;
    // From now on whoever asks once more gets somebody else's.
    stage.session = Some(COLLEAGUE);
    stage.send(0, "m0");
    assert_eq!(stage.tabs[0].tokens_asked, asked, "between the look and the request nothing is fetched");
    assert_eq!(stage.live(), ["m0"]);
    stage.run_for(60_000);
    stage.send(0, "m1");
    stage.run_for(60_000);
    assert!(stage.tabs[0].tokens_asked > asked);
    assert_eq!((stage.live(), stage.outbox()), (vec!["m0"], vec!["m1"]));
    went_under_one_name(&stage, OPERATOR);
}

#[test]
fn schedule_22_the_selection_changes_in_the_same_tick_as_the_click_on_send() {
    let mut stage = Stage::with_tabs(1);
    stage.server.ensure("b2", &[(OPERATOR, "operator"), (CLIENT, "client")]);
    // What the click calls was bound to its booking when it was rendered; `tests/unit` holds the hook to that.
    let close = surechat::engine::Command::Close { conversation_id: ROOM.into() };
    stage.command(0, close);
    stage.show(0, "b2");
    stage.send(0, "to the first customer");
    assert_eq!(stage.live(), ["to the first customer"]);
    assert!(stage.server.conversation("b2").unwrap().rows.is_empty());
    assert!(stage.tabs[0].screen.view("b2").unwrap().rows.is_empty(), "no old row in the new view");
}
