//! What stays unsent: how much of it there may be, what is told of it at the end, what a page that goes away repeats, and
//! what a server that stumbles makes of it.

use super::{
    acts::{edit, id, row, under_way},
    server::Fault,
    world::*,
};
use crate::{
    engine::{Command, Input, PageEvent, Update},
    json,
    json::Value,
    store::{Operation, Table, Transaction},
};

#[test]
fn the_end_tells_what_is_unsent_and_what_may_be_sent() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    for text in ["two", "three"] {
        world.send(text);
    }
    world.command(Command::Shutdown { op: 50, discard: false });
    let answer = world.updates.iter().find_map(|update| match update {
        Update::Done { op: 50, result } => Some((result["unsent"].as_u64(), result["maybe_sent"].as_u64())),
        _ => None,
    });
    assert_eq!(answer, Some((Some(3), Some(1))));
}

#[test]
fn at_ten_thousand_unsent_rows_no_more_are_accepted_and_none_is_lost() {
    let mut world = World::started();
    world.set_online(false);
    world.send("the first");
    let record = world.store.table(Table::Outbox).next().expect("a record").clone();
    let adds = (0..9_998_u32).map(|n| {
        let mut value = record.clone();
        value["id"] = format!("01890000-0000-7000-8000-{n:012x}").into();
        value["conversation_id"] = format!("c{}", n % 500).into();
        Operation::Add { value }
    });
    world.store.run(&Transaction::strict(adds.collect())).expect("commits");
    world.run_for(5_000);
    let (last, late) = (world.send("the last"), world.send("one too many"));
    assert!(world.is_done(last));
    assert_eq!(world.failure_of(late).as_deref(), Some("outbox_full"));
    assert_eq!(world.outbox(), 10_000);
}

#[test]
fn a_page_that_goes_away_repeats_the_front_of_its_lanes() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    world.send("not read yet");
    world.feed(Input::Page(PageEvent::Leaving));
    let bodies: Vec<Value> =
        world.keepalives.iter().map(|http| json::parse(&http.body).expect("JSON")["batch"].clone()).collect();
    assert_eq!(bodies.len(), 1);
    let contents: Vec<_> =
        bodies[0].as_array().into_iter().flatten().filter_map(|row| row["content"].as_str()).collect();
    assert_eq!(contents, ["under way"]);
}

#[test]
fn a_page_that_goes_away_sends_nothing_that_is_being_changed() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    world.send("behind it");
    world.holds_writes = true;
    let behind = id(&world, 2);
    edit(&mut world, 50, &behind, "edited");
    world.feed(Input::Page(PageEvent::Leaving));
    assert!(world.keepalives.is_empty(), "what is stored so far is not what it says in a moment");
}

#[test]
fn a_page_that_goes_away_with_nothing_unsent_sends_nothing() {
    let mut world = World::started();
    world.send("hello");
    world.feed(Input::Page(PageEvent::Leaving));
    assert!(world.keepalives.is_empty());
}

#[test]
fn what_a_page_repeats_fits_into_what_browsers_allow() {
    let mut world = World::started();
    world.set_online(false);
    for _ in 0..5 {
        world.send(&"\"".repeat(20_000));
    }
    world.run_for(10_000);
    world.feed(Input::Page(PageEvent::Leaving));
    let sizes: Vec<usize> = world.keepalives.iter().map(|http| http.body.len()).collect();
    assert_eq!(sizes.len(), 1);
    assert!((40_000..=60 * 1024).contains(&sizes[0]), "{sizes:?}");
}

#[test]
fn a_frozen_page_repeats_nothing() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    world.feed(Input::Page(PageEvent::Frozen));
    assert!(world.keepalives.is_empty());
}

#[test]
fn a_row_that_the_server_stumbles_over_holds_up_nobody_and_is_refused_in_the_end() {
    let mut world = World::started();
    let members = world.server.members[BOOKING].clone();
    world.server.rows.insert("b2".into(), Vec::new());
    world.server.members.insert("b2".into(), members);
    world.server.stumbles = Some("poison");
    world.send("poison");
    world.send("behind it");
    for n in 0..60 {
        world.send_to("b2", &format!("message {n}"), json!({}));
        world.run_for(8_000);
    }
    assert_eq!(world.server.contents("b2").len(), 60);
    assert_eq!(world.server.contents(BOOKING), ["behind it"]);
    assert!(world.screen().contains(&row("poison", "failed")));
    let mut codes = world.updates.iter().rev().filter_map(|update| match update {
        Update::Messages { patch, .. } => patch.upserts.iter().find(|(_, row)| row["content"] == "poison"),
        _ => None,
    });
    let last = codes.next().map(|(_, row)| row["failure"].clone()).expect("a failure");
    assert_eq!((last["code"].as_str(), last["retryable"].as_bool()), (Some("poison"), Some(false)));
}

const SEEDS: u32 = 10;

#[test]
fn a_server_that_fails_at_every_other_request_holds_up_nothing_for_long() {
    let mut soon = 0;
    for seed in 0..u64::from(SEEDS) {
        let mut world = World::started();
        let mut rng = fastrand::Rng::with_seed(seed);
        let faults =
            std::iter::repeat_with(|| if rng.bool() { Fault::Status(503, "PGRST002") } else { Fault::Nothing });
        world.server.faults = faults.take(500).collect();
        for n in 0..100_u32 {
            world.send(&format!("message {n}"));
            world.run_for(20);
        }
        world.run_for(15_000);
        soon += u32::from(world.outbox() == 0);
        world.run_for(60_000);
        assert_eq!((world.server.contents(BOOKING).len(), world.outbox()), (100, 0), "seed {seed}");
    }
    assert!(soon >= SEEDS * 9 / 10, "{soon} of {SEEDS}");
}
