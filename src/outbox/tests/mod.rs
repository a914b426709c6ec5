mod acts;
mod edits;
mod faults;
mod pace;
mod rows;

use crate::{json, json::Value};

use super::*;
use crate::{
    json::empty_object,
    message::Kind,
    rest::{HttpError, HttpResponse, Outcome, judge},
};

fn envelope(conversation: &str, n: u8) -> Envelope {
    Envelope {
        id: MessageId::v7(0, [n; 10]),
        conversation_id: conversation.into(),
        kind: Kind::Message,
        target_id: None,
        content: format!("message {n}"),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: 0,
    }
}

/// Keys 1, 2, 3 … in the conversations given.
fn filled(conversations: &[&str]) -> Outbox {
    let mut outbox = Outbox::new(true, 1);
    for (n, conversation) in (1..).zip(conversations) {
        outbox.add(u64::from(n), envelope(conversation, n));
    }
    outbox
}

fn take(outbox: &mut Outbox, now: u64) -> Vec<String> {
    outbox.take_request(now).into_iter().map(|envelope| envelope.content.clone()).collect()
}

fn answer(rows: &[(u8, &str)]) -> Outcome {
    let row = |(n, status): &(u8, &str)| json!({"id": MessageId::v7(0, [*n; 10]).as_str(), "status": status, "seq": n, "created_at": "t", "sender_role": "r", "kind": "message", "content": "c"});
    Outcome::Answer(Value::Array(rows.iter().map(row).collect()))
}

fn status(code: u16) -> Outcome {
    judge(Ok(HttpResponse { status: code, retry_after_ms: None, date_ms: None, body: String::new() }))
}

fn finish(outbox: &mut Outbox, now: u64, outcome: Outcome) -> Settlement {
    let settlement = outbox.settle(now, outcome);
    commit(outbox, &settlement);
    settlement
}

/// What the settlement adds gets keys from 100 on.
fn commit(outbox: &mut Outbox, settlement: &Settlement) {
    outbox.abandon();
    outbox.apply(settlement.changes.clone(), 100..);
}

fn phases(outbox: &Outbox, conversation: &str) -> Vec<&'static str> {
    outbox.rows(conversation).into_iter().map(|(_, _, state)| state.phase.as_str()).collect()
}

#[test]
fn a_request_carries_every_lane_from_its_front_oldest_lane_first() {
    let mut outbox = filled(&["b", "a", "b", "a"]);
    assert_eq!(take(&mut outbox, 0), ["message 1", "message 3", "message 2", "message 4"]);
    assert!(!outbox.is_due(0), "one request at a time");
}

#[test]
fn after_no_answer_the_next_request_starts_at_the_front_again() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, judge(Err(HttpError::Timeout)));
    outbox.add(2, envelope("a", 2));
    assert_eq!(outbox.deadline(), Some(1_000));
    assert_eq!(take(&mut outbox, 999), Vec::<String>::new());
    assert_eq!(take(&mut outbox, 1_000), ["message 1", "message 2"]);
}

#[test]
fn an_answer_settles_only_what_its_request_carried() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    outbox.add(2, envelope("a", 2));
    let settlement = finish(&mut outbox, 0, answer(&[(1, "stored"), (2, "stored")]));
    assert_eq!(settlement.stored.len(), 1);
    assert_eq!(phases(&outbox, "a"), ["queued"]);
}

#[test]
fn nothing_is_sent_until_what_was_decided_is_committed() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    let settlement = outbox.settle(0, answer(&[(1, "rejected:23514"), (2, "skipped")]));
    assert!(!outbox.is_due(0));
    commit(&mut outbox, &settlement);
    assert_eq!(phases(&outbox, "a"), ["refused", "queued"]);
    assert_eq!(take(&mut outbox, 0), ["message 2"]);
}

#[test]
fn what_could_not_be_committed_is_sent_again_under_the_same_ids() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    outbox.settle(0, answer(&[(1, "stored")]));
    let failure = judge(Err(HttpError::Network));
    let Outcome::Unknown(failure) = failure else { panic!("{failure:?}") };
    outbox.unsettled(0, &failure);
    assert_eq!(take(&mut outbox, 1_000), ["message 1"]);
}

#[test]
fn one_lane_that_fails_does_not_hold_up_another() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, status(503));
    outbox.add(2, envelope("b", 2));
    assert_eq!(take(&mut outbox, 0), ["message 2", "message 1"], "and goes along");
}

#[test]
fn a_row_that_the_answer_does_not_speak_of_is_not_taken_for_sent() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "stored")]));
    assert_eq!(phases(&outbox, "a"), ["backing_off"]);
}

#[test]
fn a_conversation_that_does_not_exist_blocks_its_lane_only() {
    let mut outbox = filled(&["a", "b"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "no_conversation"), (2, "stored")]));
    assert_eq!(phases(&outbox, "a"), ["backing_off"]);
    assert_eq!(phases(&outbox, "b"), Vec::<&str>::new());
}

#[test]
fn rows_behind_a_parked_one_name_the_row_they_wait_for() {
    let mut outbox = filled(&["a", "a"]);
    let mut now = 0;
    for _ in 0..4 {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
        now += 4_000;
    }
    let rows = outbox.rows("a");
    let states: Vec<_> = rows.iter().map(|(_, _, state)| (state.phase.as_str(), state.retry_count)).collect();
    assert_eq!(states, [("parked", 3), ("parked", 3)]);
    assert_eq!(rows[0].2.blocked_by, None);
    assert_eq!(rows[1].2.blocked_by, Some(MessageId::v7(0, [1; 10])));
    let failure = rows[1].2.failure.as_ref().expect("a reason");
    assert_eq!(failure.code, "blocked");
    assert!(failure.message.contains("an earlier message"), "{}", failure.message);
}

#[test]
fn a_probe_of_a_parked_lane_does_not_show() {
    let mut outbox = filled(&["a"]);
    for now in [0, 1_000, 3_000, 7_000] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    let probe = outbox.deadline().expect("a probe");
    assert!((7_000..=7_000 + 2_000).contains(&probe));
    assert_eq!(take(&mut outbox, probe), ["message 1"]);
    assert_eq!(phases(&outbox, "a"), ["parked"]);
}

#[test]
fn the_success_of_one_lane_hurries_the_probe_of_another() {
    let mut outbox = filled(&["a"]);
    for now in [0, 1_000, 3_000, 7_000] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    let planned = outbox.deadline().expect("a probe");
    outbox.probe_soon(planned - PROBE_SOON_MS - 1);
    assert_eq!(outbox.deadline(), Some(planned - 1));
    assert_eq!(phases(&outbox, "a"), ["parked"]);
}

#[test]
fn a_pause_that_the_server_asks_for_holds_up_every_lane() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    let limited = HttpResponse { status: 429, retry_after_ms: Some(9_000), date_ms: None, body: String::new() };
    finish(&mut outbox, 0, judge(Ok(limited)));
    outbox.add(2, envelope("b", 2));
    assert_eq!(outbox.deadline(), Some(9_000));
    assert!(!outbox.is_due(8_999));
    assert_eq!(take(&mut outbox, 9_000), ["message 1", "message 2"]);
}

#[test]
fn a_pause_of_years_is_not_believed() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 1_000);
    let limited = HttpResponse { status: 429, retry_after_ms: Some(u64::MAX), date_ms: None, body: String::new() };
    finish(&mut outbox, 1_000, judge(Ok(limited)));
    assert_eq!(outbox.deadline(), Some(601_000));
}

#[test]
fn a_request_is_no_larger_than_its_limits() {
    let mut outbox = Outbox::new(true, 1);
    for key in 1..=251 {
        outbox.add(key, envelope("a", u8::try_from(key).unwrap_or(u8::MAX)));
    }
    assert_eq!(take(&mut outbox, 0).len(), MAX_ROWS);

    let mut outbox = Outbox::new(true, 1);
    for key in 1..=9_u8 {
        let large = Envelope { content: "x".repeat(60_000), ..envelope("a", key) };
        outbox.add(u64::from(key), large);
    }
    assert_eq!(take(&mut outbox, 0).len(), 4);
}

#[test]
fn a_request_that_is_too_large_as_a_whole_is_halved_in_order() {
    let mut outbox = filled(&["a", "a", "a", "a"]);
    assert_eq!(take(&mut outbox, 0).len(), 4);
    finish(&mut outbox, 0, status(413));
    assert_eq!(take(&mut outbox, 0), ["message 1", "message 2"]);
    finish(&mut outbox, 0, status(413));
    assert_eq!(take(&mut outbox, 0), ["message 1"]);
    finish(&mut outbox, 0, status(413));
    assert_eq!(phases(&outbox, "a"), ["refused", "queued", "queued", "queued"]);
}

#[test]
fn the_retried_row_goes_to_the_end() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (2, "skipped")]));
    let changes = outbox.plan(&Act::Retry { conversation_id: Some("a".into()) }, 0).expect("a plan");
    outbox.apply(changes, 3..);
    assert_eq!(take(&mut outbox, 0), ["message 2", "message 1"]);
}

#[test]
fn the_delete_of_what_is_not_there_is_over_and_that_of_what_may_not_be_deleted_waits() {
    for (status, left) in [("rejected:P0002", 0), ("rejected:P0001", 1)] {
        let mut outbox = Outbox::new(true, 1);
        outbox.add(1, Envelope { kind: Kind::Delete, target_id: Some("x".into()), ..envelope("a", 1) });
        take(&mut outbox, 0);
        finish(&mut outbox, 0, answer(&[(1, status)]));
        assert_eq!(outbox.len(), left);
    }
}
