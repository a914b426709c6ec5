//! Edits whose message is refused, and edits that a newer one follows.

use super::*;
use crate::message::Kind;

const WALL: u64 = 1_795_415_400_000;

fn id(n: u8) -> MessageId {
    MessageId::v7(0, [n; 10])
}

/// Message 1 is under way, with edits 8 and 9 behind it, under keys 8 and 9.
fn edited() -> Outbox {
    let mut outbox = Outbox::new(true, 1);
    outbox.read(Vec::new(), 0, true);
    outbox.add(1, envelope("a", 1));
    take(&mut outbox, 0);
    for (edit_id, content) in [(8, "better"), (9, "best")] {
        edit(&mut outbox, edit_id, content);
    }
    outbox
}

/// Message 1 is stored, and so both edits are under way alone.
fn edits_alone() -> Outbox {
    let mut outbox = edited();
    finish(&mut outbox, 0, answer(&[(1, "stored")]));
    assert_eq!(take(&mut outbox, 0), ["better", "best"]);
    outbox
}

fn edit(outbox: &mut Outbox, edit_id: u8, content: &str) {
    let act = Act::Edit { conversation_id: "a".into(), id: id(1), edit_id: id(edit_id), content: content.into() };
    let changes = outbox.plan(&act, WALL).expect("a plan");
    outbox.apply(changes, u64::from(edit_id)..);
}

fn retry(outbox: &mut Outbox, from_key: u64) {
    let changes = outbox.plan(&Act::Retry { conversation_id: None }, WALL).expect("a plan");
    outbox.apply(changes, from_key..);
}

/// Every record that somebody waits for: its key, what it says, and why it waits.
fn records(outbox: &Outbox) -> Vec<(u64, String, Option<String>)> {
    let rows = outbox.rows("a").into_iter().filter(|(_, row, _)| !row.is_tombstone());
    rows.map(|(key, row, state)| (key, row.content.clone(), state.failure.map(|failure| failure.code))).collect()
}

#[test]
fn an_edit_waits_for_a_person_together_with_its_message() {
    let mut outbox = edited();
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514")]));
    let expected = [(1, "message 1", "rejected"), (8, "better", "blocked"), (9, "best", "blocked")];
    assert_eq!(records(&outbox), expected.map(|(key, text, code)| (key, text.into(), Some(code.into()))));
    assert_eq!(take(&mut outbox, 0), Vec::<String>::new(), "alone it has nothing to change");
    retry(&mut outbox, 10);
    assert_eq!(take(&mut outbox, 0), ["message 1", "better", "best"]);
}

#[test]
fn an_edit_goes_behind_its_message_when_that_is_tried_again() {
    let mut outbox = edited();
    let settlement = outbox.settle(0, answer(&[(1, "rejected:23514")]));
    outbox.abandon();
    // An edit that was written meanwhile hears nothing of the refusal.
    let refusal = settlement.changes.into_iter().filter(|change| matches!(change, Change::Put { key: 1, .. }));
    outbox.apply(refusal.collect(), 100..);
    assert_eq!(phases(&outbox, "a"), ["refused", "queued", "queued"]);
    retry(&mut outbox, 10);
    assert_eq!(take(&mut outbox, 0), ["message 1", "better", "best"]);
    assert_eq!(outbox.rows("a").iter().map(|(key, ..)| *key).collect::<Vec<_>>(), [10, 11, 12]);
}

#[test]
fn an_edit_follows_its_message_to_a_new_id() {
    let mut outbox = edited();
    finish(&mut outbox, 0, answer(&[(1, "id_conflict")]));
    retry(&mut outbox, 10);
    let rows = outbox.rows("a");
    let anew = &rows[0].1.id;
    assert_ne!(*anew, id(1));
    assert!(rows[1..].iter().all(|(_, row, _)| row.target_id.as_deref() == Some(anew.as_str())));
}

#[test]
fn a_refused_edit_is_given_up_for_a_newer_one() {
    let mut outbox = edits_alone();
    finish(&mut outbox, 0, answer(&[(8, "rejected:23514"), (9, "skipped")]));
    assert_eq!(records(&outbox), [(9, "best".into(), None)]);
    assert_eq!(take(&mut outbox, 0), ["", "best"]);
    finish(&mut outbox, 0, edits_stored(&[8, 9]));
    assert_eq!(outbox.total(), 0, "and nothing is left that could overwrite it");
}

#[test]
fn the_newest_edit_waits_when_all_are_refused() {
    let mut outbox = edits_alone();
    finish(&mut outbox, 0, answer(&[(8, "rejected:23514"), (9, "rejected:23514")]));
    assert_eq!(records(&outbox), [(9, "best".into(), Some("rejected".into()))]);
}

#[test]
fn a_newer_edit_takes_the_place_of_one_that_was_refused() {
    let mut outbox = edits_alone();
    finish(&mut outbox, 0, answer(&[(8, "stored"), (9, "rejected:23514")]));
    edit(&mut outbox, 10, "the very best");
    assert_eq!(records(&outbox), [(10, "the very best".into(), None)]);
    retry(&mut outbox, 20);
    assert_eq!(records(&outbox), [(10, "the very best".into(), None)]);
}

#[test]
fn a_refused_edit_of_a_stored_message_is_tried_again() {
    let mut outbox = edits_alone();
    finish(&mut outbox, 0, answer(&[(8, "stored"), (9, "rejected:23514")]));
    retry(&mut outbox, 20);
    assert_eq!(take(&mut outbox, 0), ["best"]);
    assert_eq!(outbox.rows("a")[0].1.target_id.as_deref(), Some(id(1).as_str()));
}

#[test]
fn what_is_tried_again_keeps_its_id_unless_that_is_taken() {
    let mut outbox = edited();
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514")]));
    retry(&mut outbox, 10);
    let ids: Vec<_> = outbox.rows("a").into_iter().map(|(_, row, _)| row.id.clone()).collect();
    assert_eq!(ids, [id(1), id(8), id(9)]);
}

#[test]
fn edits_of_other_messages_are_left_alone() {
    let mut outbox = edits_alone();
    let other = Envelope { kind: Kind::Edit, target_id: Some(id(2).as_str().into()), ..envelope("a", 20) };
    outbox.add(20, other);
    finish(&mut outbox, 0, answer(&[(8, "stored"), (9, "rejected:23514")]));
    assert_eq!(records(&outbox), [(9, "best".into(), Some("rejected".into())), (20, "message 20".into(), None)]);
}

#[test]
fn an_edit_goes_on_when_its_message_is_there_after_all() {
    let mut outbox = edited();
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514")]));
    let row = json!({"id": id(1).as_str(), "conversation_id": "a", "seq": 7, "kind": "message", "content": "c", "created_at": "t"});
    let seen = outbox.seen(&StoredMessage::from_row(&row).expect("a row"));
    let Some(Seen::Stored { changes, as_sent: true }) = seen else { panic!("{seen:?}") };
    outbox.apply(changes, 100..);
    assert_eq!(take(&mut outbox, 0), ["better", "best"]);
}

fn edits_stored(ids: &[u8]) -> Outcome {
    let row = |n: &u8| json!({"id": id(*n).as_str(), "status": "stored", "seq": *n, "created_at": "t", "sender_role": "r", "kind": "edit", "content": "c"});
    Outcome::Answer(Value::Array(ids.iter().map(row).collect()))
}
