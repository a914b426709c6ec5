//! The list, in what its requests and answers do to each conversation.

use super::*;
use crate::{
    json::number,
    rest::{ListAnswer, Overview},
};

/// Four of the messages up to 9 are unread, for the server knows that we read up to 5.
fn overview() -> SyncAnswer {
    let members = vec![member("you", "client", 8, 8), member("me", "operator", 9, 5)];
    let overview = Overview { unread: 4, last_message: Some(row(9, "you")) };
    SyncAnswer { rows: Vec::new(), members, overview: Some(overview), ..answer("i1", 1, 9, 9) }
}

fn list_answer(conversations: Vec<SyncAnswer>) -> ListAnswer {
    ListAnswer { since: 7, full: true, total: 1, sum: 9, ids: None, conversations, partial: false }
}

/// The list is asked for.
fn asking() -> Sync {
    let mut sync = Sync::new(1);
    sync.want_list();
    sync.take_request(0);
    assert!(sync.list_is_asked());
    sync
}

#[test]
fn only_the_list_brings_what_was_not_asked_for() {
    let mut sync = known(1);
    sync.track("b1").due = true;
    sync.take_request(0);
    let unasked = SyncAnswer { conversation_id: "b2".into(), ..answer("i2", 1, 1, 1) };
    assert!(sync.answered(0, vec![unasked.clone()], "me").is_empty());
    assert_eq!(sync.get("b2"), None);

    let mut sync = asking();
    let named = SyncAnswer { conversation_id: "b2".into(), ..overview() };
    assert_eq!(sync.list_answered(0, list_answer(vec![named]), "me").len(), 1);
    assert!(sync.get("b2").is_some());
}

#[test]
fn unread_is_counted_from_what_the_server_knows_of_our_own_reading() {
    let mut sync = asking();
    sync.list_answered(0, list_answer(vec![overview()]), "me");
    let summary = sync.get("b1").and_then(|held| held.summary.clone()).expect("a summary");
    assert_eq!((summary.unread, number(&summary.to_value(), "read")), (4, Some(5)));
}

#[test]
fn a_list_that_was_not_answered_is_asked_for_again() {
    for give_up in [|sync: &mut Sync| sync.failed(0), |sync: &mut Sync| sync.abandon()] {
        let mut sync = asking();
        give_up(&mut sync);
        assert!(!sync.list_is_asked() && sync.list_is_due());
        sync.take_request(60_000);
        assert!(sync.list_is_asked());
    }
}

#[test]
fn a_conversation_that_was_set_back_is_known_by_what_was_held_when_the_list_was_asked_for() {
    for (held, reset) in [(8, false), (12, true)] {
        let mut sync = known(held);
        sync.want_list();
        let mut resets = Vec::new();
        // What a lagging server does not know yet it may know when it is asked again.
        for now in [60_000, 70_000] {
            sync.take_request(now);
            sync.track("b1").take_row(row(held + 1, "you"), "me");
            resets.push(merged(sync.list_answered(now, list_answer(vec![overview()]), "me")).reset);
            sync.track("b1").due = true;
        }
        assert_eq!(resets, [false, reset], "{held} of 9");
    }
}
