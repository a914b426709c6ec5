//! 4 to 7: what a person takes back or changes while it is on its way.

use simulation::server::{RowFault, Rules};

use super::stage::*;

#[test]
fn schedule_04_a_message_is_cancelled_while_it_is_on_its_way_and_arrives_after_all() {
    for answered in [true, false] {
        let mut stage = Stage::with_tabs(1);
        stage.tabs[0].holds_sends = true;
        let m0 = stage.send(0, "m0");
        let cancelled = stage.cancel(0, &m0);
        assert!(stage.is_done(0, cancelled), "a request on its way holds up no act");
        let late = if answered { None } else { Some(stage.give_up(0)) };
        stage.let_go();
        stage.run_for(60_000);
        if let Some(late) = late {
            assert!(stage.arrive_late(&late).contains("duplicate"), "the tombstone has its id");
        }
        assert_eq!(stage.live(), [""; 0]);
        assert_eq!(stage.outbox(), [""; 0]);
    }
}

#[test]
fn schedule_05_stored_is_answered_to_the_first_request_after_the_tombstone_was_written() {
    let mut stage = Stage::with_tabs(1);
    stage.live_is_lost = true;
    stage.tabs[0].holds_sends = true;
    let m0 = stage.send(0, "m0");
    stage.cancel(0, &m0);
    stage.arrive(0);
    assert_eq!(stage.outbox().len(), 1, "an answer settles only what its request carried");
    stage.let_go();
    stage.run_for(60_000);
    assert_eq!(stage.live(), [""; 0]);
    let kinds: Vec<&str> = stage.server.conversation(ROOM).unwrap().rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["message", "delete"]);
}

#[test]
fn schedule_06_a_message_is_edited_after_its_answer_was_lost() {
    let mut stage = Stage::with_tabs(1);
    stage.live_is_lost = true;
    stage.tabs[0].holds_sends = true;
    let m0 = stage.send(0, "a");
    let first = stage.give_up(0);
    stage.arrive_late(&first);
    let edited = stage.edit(0, &m0, "b");
    assert!(stage.is_done(0, edited));
    assert_eq!(stage.shown(0), [("b", "sending")]);
    stage.let_go();
    stage.run_for(60_000);
    assert_eq!((stage.live(), stage.shown(0)), (vec!["b"], vec![("b", "sent")]), "server and screen say the same");
}

#[test]
fn schedule_07_a_refused_message_is_discarded_and_a_late_copy_would_store_it() {
    let mut stage = Stage::with_tabs(1);
    stage.tabs[0].holds_sends = true;
    let m0 = stage.send(0, "m0");
    let copy = stage.wire[0].http.clone();
    stage.rules = Rules { row: Some((0, RowFault::Rejected("23514"))), ..Rules::default() };
    stage.arrive(0);
    stage.rules = Rules::default();
    assert_eq!(stage.shown(0), [("m0", "failed")]);
    let discarded = stage.discard(0, &m0);
    assert!(stage.is_done(0, discarded));
    stage.let_go();
    stage.run_for(60_000);
    stage.arrive_late(&copy);
    stage.run_for(60_000);
    assert_eq!((stage.live(), stage.shown(0)), (vec![], vec![]));
}
