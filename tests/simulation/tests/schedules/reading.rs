//! 16 to 19: what is shown and acknowledged.

use simulation::server::Conversation;
use surechat::json::{items, number};

use super::stage::*;

#[test]
fn schedule_16_retention_deletes_a_row_and_the_hole_is_not_asked_for_again_and_again() {
    let mut stage = Stage::with_tabs(1);
    stage.live_is_lost = true;
    for nth in 1..=6 {
        stage.client_writes(&format!("m{nth}"));
    }
    stage.server.delete_row(ROOM, 4);
    stage.live_is_lost = false;
    stage.client_writes("m7");
    let contents: Vec<&str> = stage.shown(0).into_iter().map(|(content, _)| content).collect();
    assert_eq!(contents, ["m1", "m2", "m3", "m5", "m6", "m7"]);
    let before = stage.count("chat_sync");
    stage.run_for(600_000);
    let asked = stage.count("chat_sync") - before;
    assert!((10..=20).contains(&asked), "{asked} requests in ten minutes: the reconcile period, and no more");
}

#[test]
fn schedule_17_the_database_is_set_back_below_our_cursor() {
    for anew in [true, false] {
        let mut stage = Stage::with_tabs(1);
        for nth in 1..=3 {
            stage.client_writes(&format!("m{nth}"));
        }
        let copy: Conversation = stage.server.conversation(ROOM).unwrap().clone();
        for nth in 4..=50 {
            stage.client_writes(&format!("m{nth}"));
        }
        assert_eq!(stage.shown(0).len(), 50);
        stage.server.restore(ROOM, copy, anew);
        stage.client_writes("after the restore");
        stage.run_for(90_000);
        let contents: Vec<&str> = stage.shown(0).into_iter().map(|(content, _)| content).collect();
        assert_eq!(contents, ["m1", "m2", "m3", "after the restore"], "another incarnation: {anew}");
    }
}

#[test]
fn schedule_18_beyond_a_hole_nothing_is_acknowledged() {
    let mut stage = Stage::with_tabs(1);
    for nth in 1..=3 {
        stage.client_writes(&format!("m{nth}"));
    }
    stage.run_for(2_000);
    stage.tabs[0].loses_syncs = true;
    stage.live_is_lost = true;
    stage.client_writes("m4");
    stage.live_is_lost = false;
    stage.client_writes("m5");
    stage.run_for(20_000);
    let delivered = |stage: &Stage| {
        let acks = stage.sent.iter().filter(|(function, ..)| function == "chat_ack");
        acks.flat_map(|(_, _, body)| items(body, "acks")).filter_map(|ack| number(ack, "delivered")).max()
    };
    assert_eq!(delivered(&stage), Some(3), "only what is gapless counts as delivered");
    stage.tabs[0].loses_syncs = false;
    stage.run_for(60_000);
    assert_eq!(delivered(&stage), Some(5));
}

#[test]
fn schedule_19_somebody_joins_later_and_no_tick_goes_back() {
    let mut stage = Stage::with_tabs(1);
    stage.send(0, "m0");
    stage.server.receive(CLIENT, ROOM, 1, 1);
    stage.client_writes("m1");
    assert_eq!(stage.shown(0)[0], ("m0", "read"));
    stage.server.ensure(ROOM, &[("client-2", "client")]);
    let joined = stage.server.conversation(ROOM).unwrap().member("client-2").unwrap().clone();
    assert_eq!((joined.delivered, joined.read), (2, 2), "who is new starts at the end");
    stage.run_for(90_000);
    assert_eq!(stage.shown(0)[0], ("m0", "read"));
    stage.send(0, "m2");
    assert_eq!(stage.shown(0)[2], ("m2", "sent"));
}
