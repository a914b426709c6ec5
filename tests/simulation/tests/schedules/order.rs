//! 1 to 3: server order is send order.

use simulation::server::{RowFault, Rules};

use super::stage::*;

#[test]
fn schedule_01_a_request_that_was_given_up_arrives_behind_the_next_one() {
    let mut stage = Stage::with_tabs(1);
    stage.tabs[0].holds_sends = true;
    stage.send(0, "m0");
    let late = stage.give_up(0);
    stage.send(0, "m1");
    stage.run_for(1_000);
    assert_eq!(stage.carries(0), ["m0", "m1"], "the lane from its front");
    stage.arrive(0);
    assert!(stage.arrive_late(&late).contains("duplicate"));
    assert_eq!(stage.live(), ["m0", "m1"]);
    assert_eq!(stage.shown(0), [("m0", "sent"), ("m1", "sent")]);
}

#[test]
fn schedule_02_the_leader_sends_its_own_row_without_having_read_the_one_below() {
    let mut stage = Stage::with_tabs(2);
    stage.tabs[1].deaf = true;
    stage.tabs[0].holds_sends = true;
    stage.send(1, "m0");
    assert!(stage.wire.is_empty(), "nobody told the leader");
    stage.send(0, "m1");
    assert_eq!(stage.carries(0), ["m0", "m1"], "everything below is read before a request is built");
    stage.tabs[1].deaf = false;
    stage.let_go();
    stage.run_for(10_000);
    assert_eq!(stage.live(), ["m0", "m1"]);
    for tab in [0, 1] {
        assert_eq!(stage.shown(tab), [("m0", "sent"), ("m1", "sent")]);
    }
}

#[test]
fn schedule_03_of_a_request_that_the_browser_repeats_one_copy_is_refused_and_the_other_stored() {
    let mut stage = Stage::with_tabs(1);
    stage.live_is_lost = true;
    stage.set_online(0, false);
    stage.send(0, "m0");
    stage.send(0, "m1");
    stage.tabs[0].holds_sends = true;
    stage.set_online(0, true);
    assert_eq!(stage.carries(0), ["m0", "m1"]);
    let copy = stage.wire[0].http.clone();
    stage.rules = Rules { row: Some((0, RowFault::Rejected("23514"))), ..Rules::default() };
    stage.arrive(0);
    assert_eq!(stage.live(), [""; 0], "the conversation stops at its first refusal");
    stage.rules = Rules::default();
    stage.arrive_late(&copy);
    stage.let_go();
    stage.run_for(120_000);
    assert_eq!(stage.live(), ["m0", "m1"]);
    assert_eq!(stage.shown(0), [("m0", "sent"), ("m1", "sent")], "what was refused here is there, and says so");
    assert_eq!(stage.outbox(), [""; 0]);
}
