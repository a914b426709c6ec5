//! What a person does to a message that was sent: taken back, edited, given up, and when that has to wait.

use super::{server::Fault, world::*};
use crate::{
    engine::{Command, Input, PageEvent, acts::ActFrom},
    json,
    json::Value,
    message::MessageId,
    outbox::Act,
    store::{Key, Operation, StoreError, Table, Transaction},
    tabs::Role,
};

pub fn row(content: &str, status: &str) -> (String, String) {
    (content.into(), status.into())
}

/// The id of the n-th message of a world.
pub fn id(world: &World, n: u8) -> MessageId {
    MessageId::v7(world.now.wall, [n; 10])
}

fn edit_id() -> MessageId {
    MessageId::v7(0, [0xee; 10])
}

fn cancel(world: &mut World, op: u32, id: &MessageId) {
    world.command(Command::Cancel { op, conversation_id: BOOKING.into(), id: id.clone() });
}

pub fn edit(world: &mut World, op: u32, id: &MessageId, content: &str) {
    let (id, edit_id) = (id.clone(), edit_id());
    world.command(Command::Edit { op, conversation_id: BOOKING.into(), id, edit_id, content: content.into() });
}

fn discard(world: &mut World, op: u32, id: &MessageId) {
    world.command(Command::Discard { op, conversation_id: BOOKING.into(), id: id.clone() });
}

/// One message that is under way and does not arrive yet.
pub fn under_way(world: &mut World, text: &str) -> MessageId {
    world.holds_sends = true;
    world.send(text);
    id(world, 1)
}

fn settle(world: &mut World) {
    world.let_go();
    world.run_for(120_000);
    assert_eq!((world.outbox(), world.pending()), (0, 0));
}

#[test]
fn a_message_under_way_that_is_cancelled_is_never_live() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    cancel(&mut world, 50, &m0);
    assert!(world.is_done(50), "a request under way holds up no act");
    assert_eq!((world.outbox(), world.pending(), world.screen()), (1, 0, vec![]));
    world.arrive();
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
    assert_eq!(world.screen(), [row("", "sent")], "it was live for a moment");
}

#[test]
fn a_cancelled_message_is_never_live_when_it_arrives_behind_the_tombstone() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    let late = world.copy();
    cancel(&mut world, 50, &m0);
    world.server.faults = vec![Fault::Refuse].into();
    world.arrive();
    settle(&mut world);
    let answer = world.server.answer(world.now.mono, &late).expect("an answer");
    assert!(answer.body.contains("duplicate"));
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
    assert_eq!(world.server.rows[BOOKING].len(), 1, "the tombstone needs no row to delete anything");
}

#[test]
fn the_answer_of_the_first_request_does_not_remove_the_tombstone() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "m0");
    cancel(&mut world, 50, &m0);
    world.arrive();
    assert_eq!(world.outbox(), 1, "stored is said of the message, not of the tombstone");
    assert!(!world.announced().contains(&"sent"));
    world.arrive();
    assert_eq!(world.outbox(), 1, "the delete row, from the same transaction");
    settle(&mut world);
    let kinds: Vec<_> = world.server.rows[BOOKING].iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, ["message", "delete"]);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn the_row_that_comes_back_live_does_not_remove_the_tombstone() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    cancel(&mut world, 50, &m0);
    world.arrive_unanswered();
    world.run_for(100);
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
    assert_eq!(world.screen(), [row("", "sent")]);
}

#[test]
fn an_edit_after_a_lost_answer_is_a_row_of_its_own() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "a");
    world.arrive_unanswered();
    edit(&mut world, 50, &m0, "b");
    assert!(world.is_done(50));
    assert_eq!(world.screen(), [row("b", "sending")]);
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), ["b"]);
    assert_eq!(world.screen(), [row("b", "sent")]);
}

#[test]
fn an_edit_whose_row_comes_back_before_its_message_is_not_sent_again() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "refuse me");
    edit(&mut world, 50, &m0, "better");
    world.arrive();
    assert_eq!(world.screen(), [row("better", "failed")], "the edit waits with its message");
    world.send("behind it");
    world.holds_writes = true;
    world.arrive();
    world.live = true;
    for (id, kind, target, seq) in [(edit_id(), "edit", Some(&m0), 2), (m0.clone(), "message", None, 1)] {
        let row = json!({"id": id.as_str(), "conversation_id": BOOKING, "seq": seq, "kind": kind, "content": "better",
            "target_id": target.map(MessageId::as_str), "sender_id": OPERATOR, "sender_role": "operator",
            "created_at": "2026-11-23T06:30:00+00:00"});
        world.broadcast("message", &json!({"row": row, "conversation_id": BOOKING}));
    }
    world.holds_writes = false;
    world.release_writes(Vec::new());
    assert_eq!((world.outbox(), world.pending()), (0, 0));
}

#[test]
fn a_discarded_message_that_was_refused_is_never_live() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "refuse me");
    let mut late = world.copy();
    world.arrive();
    world.holds_sends = false;
    discard(&mut world, 50, &m0);
    assert!(world.is_done(50));
    settle(&mut world);
    late.body = late.body.replace("refuse me", "accepted by now");
    let _ = world.server.answer(world.now.mono, &late);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
    assert_eq!(world.screen(), []);
}

#[test]
fn an_answer_of_a_robbed_leader_writes_nothing_over_the_new_ones_rows() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "m0");
    // Another tab takes over and cancels.
    let mut record = world.store.table(Table::Outbox).next().expect("a record").clone();
    record["kind"] = "delete".into();
    record["target_id"] = m0.as_str().into();
    record["content"] = "".into();
    let cancelled =
        vec![Operation::RaiseGeneration { first: 1 }, Operation::Put { table: Table::Outbox, value: record.clone() }];
    world.store.run(&Transaction::strict(cancelled)).expect("commits");
    world.lock_is_free = false;
    world.arrive();
    assert_eq!(world.store.table(Table::Outbox).next(), Some(&record));
    world.holds_sends = false;
    world.feed(Input::LockGranted { exclusive: true });
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn what_a_new_leader_finds_may_have_been_sent() {
    let mut world = World::started();
    world.set_online(false);
    world.feed(Input::Page(PageEvent::Frozen));
    world.send("m0");
    let m0 = id(&world, 1);
    world.feed(Input::Page(PageEvent::Resumed));
    cancel(&mut world, 50, &m0);
    world.run_for(1);
    assert!(world.is_done(50));
    let record = world.store.table(Table::Outbox).next().expect("a tombstone");
    assert_eq!((record["kind"].as_str(), record["target_id"].as_str()), (Some("delete"), Some(m0.as_str())));
}

#[test]
fn an_error_that_names_no_row_refuses_only_a_request_of_one() {
    let mut world = World::started();
    world.server.poison = Some("m0");
    world.set_online(false);
    for text in ["m0", "m1", "m2"] {
        world.send(text);
    }
    world.set_online(true);
    world.run_for(10_000);
    assert_eq!(world.server.live_messages(BOOKING), ["m1", "m2"]);
    assert!(world.screen().contains(&row("m0", "failed")));
}

#[test]
fn what_was_never_sent_is_cancelled_without_a_trace() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    world.send("behind it");
    let behind = id(&world, 2);
    cancel(&mut world, 50, &behind);
    assert!(world.is_done(50));
    assert_eq!((world.outbox(), world.pending()), (1, 1));
    world.arrive();
    settle(&mut world);
    assert_eq!(world.server.contents(BOOKING), ["under way"]);
}

#[test]
fn what_was_never_sent_is_edited_in_place() {
    let mut world = World::started();
    under_way(&mut world, "under way");
    world.send("behind it");
    let behind = id(&world, 2);
    edit(&mut world, 50, &behind, "edited");
    assert!(world.screen().contains(&row("edited", "sending")));
    world.arrive();
    settle(&mut world);
    assert_eq!(world.server.contents(BOOKING), ["under way", "edited"]);
}

#[test]
fn an_edit_and_a_delete_of_a_stored_message_show_at_once_and_go_out_in_order() {
    let mut world = World::started();
    world.send("first");
    let first = id(&world, 1);
    world.holds_sends = true;
    edit(&mut world, 50, &first, "second");
    assert_eq!((world.screen(), world.pending()), (vec![row("second", "sending")], 1));
    assert_eq!(world.announced(), ["sending", "sent"], "an edit is no message of its own");
    world.arrive();
    assert_eq!((world.screen(), world.pending()), (vec![row("second", "sent")], 0));
    cancel(&mut world, 51, &first);
    assert_eq!((world.screen(), world.pending()), (vec![row("", "sending")], 1));
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
    assert_eq!(world.screen(), [row("", "sent")]);
    cancel(&mut world, 52, &first);
    settle(&mut world);
    assert_eq!(world.server.rows[BOOKING].len(), 3, "deleting twice is the same row");
}

#[test]
fn an_edit_that_fails_shows_on_what_it_aims_at() {
    let mut world = World::started();
    world.send("first");
    world.server.always = Some(Fault::Refuse);
    let first = id(&world, 1);
    edit(&mut world, 50, &first, "second");
    world.run_for(8_000);
    assert_eq!(world.screen(), [row("second", "failed")]);
    world.server.always = None;
    settle(&mut world);
    assert_eq!(world.screen(), [row("second", "sent")]);
}

#[test]
fn a_refused_message_that_is_edited_goes_anew_under_another_id() {
    let mut world = World::started();
    world.send("refuse me");
    let refused = id(&world, 1);
    edit(&mut world, 50, &refused, "better");
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), ["better"]);
    assert_eq!(world.screen(), [row("better", "sent")]);
}

#[test]
fn an_act_that_comes_twice_does_nothing_twice() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "m0");
    for op in 50..52 {
        edit(&mut world, op, &m0, "edited");
    }
    for op in 52..54 {
        cancel(&mut world, op, &m0);
    }
    for op in 54..56 {
        discard(&mut world, op, &m0);
    }
    assert!((50..56).all(|op| world.is_done(op)));
    world.arrive();
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn bad_acts_are_rejected_with_a_code() {
    let mut world = World::started();
    let nobody = edit_id();
    discard(&mut world, 50, &nobody);
    edit(&mut world, 51, &nobody, " ");
    world.command(Command::Cancel { op: 52, conversation_id: String::new(), id: nobody.clone() });
    world.command(Command::Shutdown { op: 53, discard: false });
    cancel(&mut world, 54, &nobody);
    let codes = [50, 51, 52, 54].map(|op| world.failure_of(op).unwrap_or_default());
    assert_eq!(codes, ["not_found", "empty_message", "invalid_conversation", "client_closed"]);
    let sentences = [50, 51, 52].map(|op| world.sentence_of(op).unwrap_or_default());
    let starts = ["unable to discard; because ", "unable to edit; because ", "unable to delete; because "];
    for (sentence, start) in sentences.iter().zip(starts) {
        assert!(sentence.starts_with(start), "{sentence}");
    }
}

#[test]
fn without_a_database_nothing_can_be_cancelled_and_retry_still_wakes() {
    let mut world = World::new();
    world.has_database = false;
    world.start();
    let nobody = edit_id();
    cancel(&mut world, 50, &nobody);
    world.command(Command::Retry { op: 51, conversation_id: None });
    assert_eq!(world.failure_of(50).as_deref(), Some("storage_unavailable"));
    assert!(world.is_done(51));
}

#[test]
fn an_act_that_the_database_does_not_take_is_not_done() {
    for (fault, code) in [(StoreError::Full, "storage_full"), (StoreError::Failed("aborted".into()), "storage_failed")]
    {
        let mut world = World::started();
        let m0 = under_way(&mut world, "m0");
        world.store_fault = Some(fault);
        cancel(&mut world, 50, &m0);
        assert_eq!(world.failure_of(50).as_deref(), Some(code));
        assert_eq!(world.screen(), [row("m0", "sending")]);
    }
}

#[test]
fn an_answer_that_comes_while_an_act_is_written_waits_for_it() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "m0");
    world.holds_writes = true;
    cancel(&mut world, 50, &m0);
    world.arrive();
    assert!(!world.is_done(50));
    world.holds_writes = false;
    world.release_writes(Vec::new());
    assert!(world.is_done(50));
    assert_eq!(world.outbox(), 1, "the tombstone stands");
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn an_act_waits_for_the_settlement_that_is_written() {
    let mut world = World::started();
    world.live = false;
    let m0 = under_way(&mut world, "m0");
    world.holds_writes = true;
    world.arrive();
    cancel(&mut world, 50, &m0);
    world.holds_writes = false;
    world.release_writes(Vec::new());
    assert!(world.is_done(50));
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn a_row_of_another_tab_is_read_before_it_is_cancelled() {
    let mut world = World::started();
    let mut other = World::new();
    other.store = world.store.clone();
    other.lock_is_free = false;
    other.start();
    other.send("from the other tab");
    let theirs = id(&other, 1);
    world.store = other.store;
    let act = Act::Cancel { conversation_id: BOOKING.into(), id: theirs };
    world.engine.perform_act(ActFrom::Own { op: 50, again: false }, act);
    world.feed(Input::Timer);
    assert!(world.is_done(50));
    assert_eq!((world.outbox(), world.server.count("chat_send")), (0, 0));
}

#[test]
fn a_tab_that_follows_keeps_its_acts_until_it_leads() {
    let mut world = World::new();
    world.lock_is_free = false;
    world.start();
    world.send("one");
    let one = id(&world, 1);
    cancel(&mut world, 50, &one);
    assert!(!world.is_done(50));
    world.feed(Input::LockGranted { exclusive: true });
    assert!(world.is_done(50));
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn an_act_of_a_robbed_leader_is_kept_until_it_leads_again() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    world.store.run(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])).expect("commits");
    world.lock_is_free = false;
    cancel(&mut world, 50, &m0);
    assert!(!world.is_done(50) && world.failure_of(50).is_none());
    world.feed(Input::LockGranted { exclusive: true });
    assert!(world.is_done(50));
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn so_it_is_when_it_was_robbed_between_plan_and_commit() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    world.holds_writes = true;
    cancel(&mut world, 50, &m0);
    world.store.run(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])).expect("commits");
    world.lock_is_free = false;
    world.holds_writes = false;
    world.release_writes(Vec::new());
    assert!(!world.is_done(50) && world.failure_of(50).is_none());
    world.feed(Input::LockGranted { exclusive: true });
    assert!(world.is_done(50));
    settle(&mut world);
    assert_eq!(world.server.live_messages(BOOKING), [""; 0]);
}

#[test]
fn a_tab_of_which_somebody_else_took_over_while_it_wrote_stays_aside_and_plans_anew_when_it_leads_again() {
    let mut world = World::started();
    world.server.faults.push_back(Fault::Status(400, "23514"));
    world.send("refused");
    world.holds_writes = true;
    world.command(Command::Retry { op: 50, conversation_id: None });
    assert!(world.writes_wait());
    world.lock_is_free = false;
    world.signed_in = Some("somebody-else");
    world.run_for(31_000);
    world.command(Command::Reload { op: 51, conversation_id: BOOKING.into() });
    world.run_for(1_000);
    assert_eq!(world.engine.role, Role::Aside);
    // Another tab takes the lead, and does what this one was asked for.
    let raise = Operation::RaiseGeneration { first: 1 };
    let row = world.store.table(Table::Outbox).next().unwrap().clone();
    let delete = Operation::Delete { table: Table::Outbox, key: Key::Number(row["key"].as_u64().unwrap()) };
    let mut anew = row.clone();
    anew["refused"] = Value::Null;
    world.store.run(&Transaction::strict(vec![raise, delete, Operation::Add { value: anew }])).expect("commits");
    world.holds_writes = false;
    world.release_writes(Vec::new());
    assert_eq!(world.engine.role, Role::Aside, "nobody leads who may not send");
    world.signed_in = Some(OPERATOR);
    world.holds_sends = true;
    world.run_for(60_000);
    assert_eq!(world.engine.role, Role::Following);
    world.feed(Input::LockGranted { exclusive: true });
    world.run_for(1_000);
    assert!(world.is_done(50));
    assert_eq!(world.outbox(), 1, "a message stands there once");
    settle(&mut world);
    assert_eq!(world.server.contents(BOOKING), ["refused"]);
}

#[test]
fn an_act_that_cannot_be_read_for_waits_and_is_done_in_the_end() {
    let mut world = World::started();
    let m0 = under_way(&mut world, "m0");
    world.reads_fail = true;
    cancel(&mut world, 50, &m0);
    world.run_for(20_000);
    assert!(!world.is_done(50));
    world.reads_fail = false;
    world.run_for(6_000);
    assert!(world.is_done(50));
}

#[test]
fn acts_that_wait_are_refused_at_the_end() {
    let mut world = World::new();
    world.lock_is_free = false;
    world.start();
    world.send("one");
    let one = id(&world, 1);
    cancel(&mut world, 50, &one);
    world.command(Command::Shutdown { op: 51, discard: false });
    assert_eq!(world.failure_of(50).as_deref(), Some("client_closed"));
    assert!(world.is_done(51));
}
