//! 8 to 12: the lead changes hands.

use surechat::engine::PageEvent;

use super::stage::*;

#[test]
fn schedule_08_a_robbed_tab_handles_its_answer_before_it_hears_of_the_robbery() {
    let mut stage = Stage::with_tabs(2);
    stage.live_is_lost = true;
    stage.tabs[0].holds_sends = true;
    let m0 = stage.send(0, "m0");
    stage.sleep(0);
    stage.tabs[0].unaware = true;
    stage.tabs[1].holds_sends = true;
    stage.run_for(ROBBED_BY);
    assert!(stage.leads(1));
    let cancelled = stage.cancel(1, &m0);
    assert!(stage.is_done(1, cancelled), "the new leader has written");
    let written: Vec<_> = stage.database().outbox().cloned().collect();
    stage.arrive(0);
    stage.wake(0);
    assert_eq!(stage.database().outbox().cloned().collect::<Vec<_>>(), written, "and nobody writes over it");
    stage.tell_robbed(0);
    stage.let_go();
    stage.run_for(60_000);
    assert_eq!((stage.live(), stage.outbox()), (vec![], vec![]));
}

#[test]
fn schedule_09_a_robbed_and_unaware_tab_writes_a_message_and_the_new_leader_cancels_it() {
    let mut stage = Stage::with_tabs(2);
    stage.sleep(0);
    stage.tabs[0].unaware = true;
    stage.run_for(ROBBED_BY);
    assert!(stage.leads(1));
    stage.tabs[0].deaf = true;
    stage.wake(0);
    stage.set_online(1, false);
    let sends = stage.count("chat_send");
    let m0 = stage.send(0, "m0");
    assert_eq!(stage.count("chat_send"), sends, "no request is built without a look at the generation");
    stage.tabs[0].deaf = false;
    stage.run_for(5_000);
    let cancelled = stage.cancel(1, &m0);
    assert!(stage.is_done(1, cancelled));
    stage.tell_robbed(0);
    stage.set_online(1, true);
    stage.run_for(60_000);
    assert_eq!((stage.live(), stage.outbox()), (vec![], vec![]));
}

#[test]
fn schedule_10_two_tabs_raise_the_generation_and_the_one_that_dies_raised_it_last() {
    let mut stage = Stage::with_tabs(2);
    stage.sleep(0);
    stage.run_for(ROBBED_BY);
    assert!(stage.leads(1));
    // The robbed tab thaws, was about to take the lead itself, and dies of it.
    stage.raise_generation();
    stage.crash(0);
    stage.send(1, "m0");
    stage.run_for(10_000);
    assert!(stage.leads(1), "it let go, queued anew, and there is nobody else");
    assert_eq!(stage.live(), ["m0"]);
    stage.send(1, "m1");
    assert_eq!(stage.live(), ["m0", "m1"]);
}

#[test]
fn schedule_11_a_follower_commits_a_message_and_dies_before_it_tells_anybody() {
    let mut stage = Stage::with_tabs(2);
    stage.tabs[1].deaf = true;
    stage.send(1, "m0");
    stage.crash(1);
    assert_eq!(stage.live(), [""; 0]);
    stage.run_for(5_000);
    assert_eq!(stage.live(), ["m0"], "at every beat the leader looks for itself");
}

#[test]
fn schedule_12_the_page_with_the_lock_is_frozen_or_put_away() {
    for leaving in [Some(PageEvent::Frozen), Some(PageEvent::Leaving), None] {
        let mut stage = Stage::with_tabs(2);
        if let Some(event) = leaving {
            stage.page(0, event);
            assert!(stage.leads(1), "{event:?}: it lets go while it still can");
        }
        stage.sleep(0);
        stage.send(1, "m0");
        stage.run_for(if leaving.is_some() { 0 } else { ROBBED_BY });
        assert!(stage.leads(1), "{leaving:?}");
        assert_eq!(stage.live(), ["m0"], "{leaving:?}");
    }
}
