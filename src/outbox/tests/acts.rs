//! What acts, answers and evidence make of the records.

use super::*;

const WALL: u64 = 1_795_415_400_000;

fn id(n: u8) -> MessageId {
    MessageId::v7(0, [n; 10])
}

/// This tab leads and has read an empty outbox; then these conversations got keys 1, 2, 3 ….
fn leading(conversations: &[&str]) -> Outbox {
    leading_with(1, conversations)
}

fn leading_with(seed: u64, conversations: &[&str]) -> Outbox {
    let mut outbox = Outbox::new(true, seed);
    outbox.read(Vec::new(), 0, true);
    for (n, conversation) in (1..).zip(conversations) {
        outbox.add(u64::from(n), envelope(conversation, n));
    }
    outbox
}

fn edit(n: u8, edit_id: u8, content: &str) -> Act {
    Act::Edit { conversation_id: "a".into(), id: id(n), edit_id: id(edit_id), content: content.into() }
}

fn cancel(n: u8) -> Act {
    Act::Cancel { conversation_id: "a".into(), id: id(n) }
}

fn discard(n: u8) -> Act {
    Act::Discard { conversation_id: "a".into(), id: id(n) }
}

fn plan(outbox: &Outbox, act: &Act) -> Vec<Change> {
    outbox.plan(act, WALL).expect("a plan")
}

/// Plan and commit; what is added gets keys from here on.
fn perform(outbox: &mut Outbox, act: &Act, from_key: u64) {
    let changes = plan(outbox, act);
    outbox.apply(changes, from_key..);
}

/// Every record, as kind and content.
fn records(outbox: &Outbox) -> Vec<(u64, &'static str, String)> {
    let rows = outbox.rows("a").into_iter();
    rows.map(|(key, row, _)| {
        (key, if row.is_tombstone() { "tombstone" } else { row.kind.as_str() }, row.content.clone())
    })
    .collect()
}

fn removes(key: u64) -> Change {
    Change::Remove { conversation_id: "a".into(), key }
}

#[test]
fn what_was_taken_back_unsent_is_not_deleted_again() {
    let mut outbox = leading(&["a", "a"]);
    perform(&mut outbox, &cancel(1), 10);
    assert_eq!(plan(&outbox, &cancel(1)), []);
    assert_eq!(records(&outbox).len(), 1);
}

#[test]
fn the_last_hundred_that_were_taken_back_are_remembered() {
    let mut outbox = leading(&["a"; 101]);
    for n in 1..=101 {
        perform(&mut outbox, &cancel(n), 200);
    }
    let deletes = (1..=101).filter(|n| !plan(&outbox, &cancel(*n)).is_empty());
    assert_eq!(deletes.collect::<Vec<_>>(), [1]);
}

fn facts(kind: Kind) -> Outcome {
    let row = json!({"id": id(1).as_str(), "status": "duplicate", "seq": 7, "created_at": "t", "sender_role": "r", "kind": kind.as_str(), "content": "c"});
    Outcome::Answer(json!([row]))
}

fn live(n: u8, kind: Kind) -> StoredMessage {
    let row = json!({"id": id(n).as_str(), "conversation_id": "a", "seq": 7, "kind": kind.as_str(), "content": "c", "created_at": "t"});
    StoredMessage::from_row(&row).expect("a row")
}

#[test]
fn an_act_survives_the_way_to_another_tab() {
    let retry = |conversation_id| Act::Retry { conversation_id };
    for act in [retry(None), retry(Some("a".into())), cancel(1), edit(1, 2, "better"), discard(3)] {
        assert_eq!(Act::from_value(&act.to_value()), Some(act));
    }
}

#[test]
fn what_is_no_act_is_not_understood() {
    for field in ["act", "conversation_id", "id", "edit_id", "content"] {
        let mut value = edit(1, 2, "better").to_value();
        value[field] = json!(7);
        assert_eq!(Act::from_value(&value), None, "{field}");
    }
    for (act, field) in
        [(cancel(1), "conversation_id"), (cancel(1), "id"), (discard(1), "conversation_id"), (discard(1), "id")]
    {
        let mut value = act.to_value();
        value[field] = Value::Null;
        assert_eq!(Act::from_value(&value), None, "{field}");
    }
    assert_eq!(Act::from_value(&json!({"act": "of a later version", "conversation_id": "a"})), None);
}

#[test]
fn a_bad_act_has_a_code() {
    let code = |act: &Act| act.check().err().map(|rejection| rejection.code);
    let nowhere = |act: fn(String, MessageId) -> Act| act(String::new(), id(1));
    assert_eq!(code(&Act::Retry { conversation_id: None }), None);
    assert_eq!((code(&cancel(1)), code(&discard(1)), code(&edit(1, 2, "x"))), (None, None, None));
    assert_eq!(code(&edit(1, 2, " ")), Some("empty_message"));
    assert_eq!(code(&nowhere(|conversation_id, id| Act::Cancel { conversation_id, id })), Some("invalid_conversation"));
    assert_eq!(
        code(&nowhere(|conversation_id, id| Act::Discard { conversation_id, id })),
        Some("invalid_conversation")
    );
}

#[test]
fn what_was_never_sent_is_changed_and_deleted_in_its_place() {
    let mut outbox = leading(&["a", "a", "b"]);
    perform(&mut outbox, &edit(1, 9, "better"), 10);
    assert_eq!(records(&outbox), [(1, "message", "better".into()), (2, "message", "message 2".into())]);
    assert_eq!(plan(&outbox, &cancel(1)), [removes(1)]);
    assert_eq!(plan(&outbox, &discard(2)), [removes(2)]);
    perform(&mut outbox, &cancel(1), 10);
    perform(&mut outbox, &cancel(2), 10);
    assert_eq!((records(&outbox), outbox.counts()), (vec![], vec![("b".into(), 1)]));
}

#[test]
fn what_may_be_sent_gets_a_tombstone_and_is_edited_by_a_row_of_its_own() {
    for act in [cancel(1), discard(1)] {
        let mut outbox = leading(&["a"]);
        take(&mut outbox, 0);
        perform(&mut outbox, &edit(1, 9, "better"), 10);
        assert_eq!(records(&outbox), [(1, "message", "message 1".into()), (10, "edit", "better".into())]);
        perform(&mut outbox, &act, 11);
        assert_eq!(records(&outbox), [(1, "tombstone", String::new())], "the edit was never sent");
        assert_eq!(plan(&outbox, &act), [], "once more");
    }
}

#[test]
fn an_edit_that_may_be_sent_is_taken_back_with_its_message() {
    let mut outbox = leading(&["a"]);
    perform(&mut outbox, &edit(7, 9, "better"), 10);
    take(&mut outbox, 0);
    assert_eq!(records(&outbox)[1], (10, "edit", "better".into()));
    perform(&mut outbox, &cancel(7), 11);
    assert_eq!(records(&outbox)[1..], [(10, "tombstone", String::new()), (11, "delete", String::new())]);
}

#[test]
fn an_edit_of_what_is_not_here_is_a_row_at_the_end_once() {
    let mut outbox = leading(&["a"]);
    perform(&mut outbox, &edit(7, 9, "better"), 10);
    let (_, row, state) = outbox.rows("a").pop().expect("a row");
    assert_eq!((row.id.clone(), row.kind, row.target_id.as_deref()), (id(9), Kind::Edit, Some(id(7).as_str())));
    assert_eq!((row.content.as_str(), row.created_at, row.message_type.as_str()), ("better", WALL, "text"));
    assert_eq!((state.phase, outbox.maybe_sent(), outbox.len()), (Phase::Queued, 0, 2));
    assert_eq!(plan(&outbox, &edit(7, 9, "better")), []);
    assert_eq!(plan(&outbox, &edit(7, 8, "best")).len(), 1);
    assert_eq!(plan(&outbox, &discard(9)), [removes(10)], "by its own id");
    assert_eq!(plan(&outbox, &discard(7)), [removes(10)], "and by that of its target");
    assert_eq!(plan(&outbox, &cancel(9)), [removes(10)], "and a cancelled edit deletes nothing");
}

#[test]
fn an_edit_that_changes_nothing_is_no_row() {
    let mut outbox = leading(&["a"]);
    take(&mut outbox, 0);
    assert_eq!(plan(&outbox, &edit(1, 9, "message 1")), []);
    perform(&mut outbox, &edit(1, 9, "better"), 10);
    assert_eq!(plan(&outbox, &edit(1, 8, "message 1")).len(), 1, "back to what it was");
}

#[test]
fn what_was_taken_back_is_not_edited() {
    let mut outbox = leading(&["a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    perform(&mut outbox, &cancel(7), 10);
    for n in [1, 7] {
        assert_eq!(outbox.plan(&edit(n, 9, "better"), WALL).map_err(|rejection| rejection.code), Err("not_found"));
    }
}

#[test]
fn a_delete_of_what_is_not_here_is_one_row_of_a_derived_id() {
    let mut outbox = leading(&["a"]);
    perform(&mut outbox, &cancel(7), 10);
    let (_, row, _) = outbox.rows("a").pop().expect("a row");
    assert_eq!(
        (row.id.clone(), row.kind, row.target_id.as_deref()),
        (id(7).of_delete(), Kind::Delete, Some(id(7).as_str()))
    );
    assert_eq!((row.created_at, row.is_tombstone(), outbox.len(), outbox.maybe_sent()), (WALL, false, 2, 0));
    assert_eq!(plan(&outbox, &cancel(7)), []);
    assert_eq!(
        plan(&outbox, &discard(7)),
        [],
        "the message may have been given up before, and this is what came of it"
    );
    take(&mut outbox, 0);
    assert_eq!(plan(&outbox, &discard(7)), []);
    finish(&mut outbox, 0, answer(&[(1, "stored")]));
    let refused = finish_delete(&mut outbox, "rejected:P0001");
    assert_eq!(refused.changes.len(), 1);
    assert_eq!(plan(&outbox, &discard(7)), [removes(10)], "unless it was refused");
}

/// The delete of message 7 is sent again and answered.
fn finish_delete(outbox: &mut Outbox, status: &str) -> Settlement {
    assert_eq!(outbox.take_request(60_000).len(), 1);
    let row = json!([{"id": id(7).of_delete().as_str(), "status": status}]);
    finish(outbox, 60_000, Outcome::Answer(row))
}

#[test]
fn what_nothing_unsent_is_about_is_not_found() {
    let outbox = leading(&["a"]);
    assert_eq!(outbox.plan(&discard(7), WALL).map_err(|rejection| rejection.code), Err("not_found"));
    let elsewhere = Act::Discard { conversation_id: "b".into(), id: id(1) };
    assert!(outbox.plan(&elsewhere, WALL).is_err());
}

#[test]
fn a_refused_message_may_still_be_sent() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (2, "skipped")]));
    let metadata = outbox.rows("a")[0].1.metadata.clone();
    assert!(matches!(plan(&outbox, &discard(1))[..], [Change::Put { key: 1, refused: None, .. }]));
    perform(&mut outbox, &edit(1, 9, "better"), 10);
    assert_eq!(
        records(&outbox),
        [(1, "tombstone", String::new()), (2, "message", "message 2".into()), (10, "message", "better".into())]
    );
    let (_, anew, state) = outbox.rows("a").pop().expect("a row");
    assert_eq!((anew.id.clone(), anew.target_id.clone(), &anew.metadata), (id(9), None, &metadata));
    assert_eq!(state.phase, Phase::Queued);
    assert_eq!(outbox.maybe_sent(), 1, "only the second message");
    assert_eq!(plan(&outbox, &edit(1, 9, "better")), []);
}

#[test]
fn what_takes_the_place_of_a_refused_message_is_of_its_type_and_keeps_its_metadata() {
    let mut outbox = leading(&[]);
    let picture = Envelope { message_type: "picture".into(), metadata: json!({"width": 7}), ..envelope("a", 1) };
    outbox.add(1, picture);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514")]));
    perform(&mut outbox, &edit(1, 9, "better"), 10);
    let (_, anew, _) = outbox.rows("a").pop().expect("a row");
    assert_eq!((anew.message_type.as_str(), &anew.metadata), ("picture", &json!({"width": 7})));
}

#[test]
fn where_only_messages_can_be_sent_a_row_is_given_up_by_forgetting_it() {
    let plain = || {
        let mut outbox = leading(&[]).plain(true);
        outbox.add(1, envelope("a", 1));
        outbox
    };
    let mut unsent = plain();
    perform(&mut unsent, &edit(1, 9, "better"), 10);
    assert_eq!(records(&unsent), [(1, "message", "better".into())]);

    let mut refused = plain();
    take(&mut refused, 0);
    finish(&mut refused, 0, answer(&[(1, "rejected:23514")]));
    for act in [cancel(1), discard(1)] {
        assert_eq!(plan(&refused, &act), [removes(1)]);
    }

    let mut under_way = plain();
    take(&mut under_way, 0);
    assert_eq!(under_way.plan(&cancel(1), WALL).map_err(|rejection| rejection.code), Err("unsupported"));
    assert_eq!(plan(&under_way, &discard(1)), [removes(1)], "which forgets it, wherever it is");
}

#[test]
fn a_retried_row_was_sent_before() {
    let mut outbox = leading(&["a", "b"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (2, "rejected:23514")]));
    let only_a = Act::Retry { conversation_id: Some("a".into()) };
    assert_eq!(plan(&outbox, &only_a)[0], removes(1));
    assert_eq!(plan(&outbox, &only_a).len(), 2);
    perform(&mut outbox, &Act::Retry { conversation_id: None }, 10);
    assert_eq!((outbox.maybe_sent(), outbox.len()), (2, 2));
    assert_eq!(records(&outbox), [(10, "message", "message 1".into())]);
}

// ---- answers

#[test]
fn an_answer_does_not_settle_what_took_the_rows_place_while_it_was_under_way() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    assert_eq!(phases(&outbox, "a"), ["queued", "in_flight"]);
    let settlement = finish(&mut outbox, 0, answer(&[(1, "stored"), (2, "stored")]));
    assert_eq!(settlement.changes, [removes(2)]);
    assert_eq!(settlement.stored.len(), 1);
    assert_eq!(take(&mut outbox, 0), [""], "the tombstone has its own request");
}

#[test]
fn nor_does_a_refusal_and_the_rows_behind_go_with_the_tombstone_at_once() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    let settlement = finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (2, "skipped")]));
    assert_eq!(settlement.changes, []);
    assert_eq!(take(&mut outbox, 0), ["", "message 2"]);
}

#[test]
fn nor_does_an_error_that_names_no_row() {
    for status_code in [400, 403] {
        let mut outbox = leading(&["a"]);
        take(&mut outbox, 0);
        finish(&mut outbox, 0, status(403));
        take(&mut outbox, 0);
        perform(&mut outbox, &cancel(1), 10);
        assert_eq!(finish(&mut outbox, 0, status(status_code)).changes, []);
        assert_eq!(take(&mut outbox, 0), [""]);
    }
}

#[test]
fn a_tombstone_that_came_too_late_leaves_a_delete() {
    for (kind, left) in [(Kind::Message, 1), (Kind::Delete, 0), (Kind::Edit, 0)] {
        let mut outbox = leading(&["a"]);
        take(&mut outbox, 0);
        perform(&mut outbox, &cancel(1), 10);
        outbox.abandon();
        take(&mut outbox, 0);
        let settlement = finish(&mut outbox, 0, facts(kind));
        assert_eq!(settlement.changes[0], removes(1));
        let deletes: Vec<_> = settlement.changes[1..].iter().collect();
        assert_eq!((deletes.len(), outbox.len()), (left, left), "{kind:?}");
        if let [Change::Add { envelope, maybe_sent }] = deletes[..] {
            assert_eq!((envelope.id.clone(), *maybe_sent), (id(1).of_delete(), false));
            assert_eq!(envelope.target_id.as_deref(), Some(id(1).as_str()));
        }
    }
}

#[test]
fn only_a_tombstone_leaves_a_delete() {
    let mut outbox = leading(&["a"]);
    take(&mut outbox, 0);
    assert_eq!(finish(&mut outbox, 0, facts(Kind::Message)).changes, [removes(1)]);
}

#[test]
fn a_tombstone_that_is_refused_is_dropped() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    outbox.abandon();
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, answer(&[(1, "id_conflict"), (2, "skipped")]));
    assert_eq!(settlement.changes, [removes(1)]);
    assert_eq!(take(&mut outbox, 0), ["message 2"]);
}

#[test]
fn nobody_waits_for_a_tombstone() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    outbox.abandon();
    assert_eq!((outbox.len(), outbox.total(), outbox.counts()), (1, 2, vec![("a".into(), 1)]));
    assert_eq!((outbox.maybe_sent(), outbox.is_empty()), (1, false));
    for now in [0, 1_000, 3_000, 7_000] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    let (_, _, state) = outbox.rows("a").pop().expect("a row");
    assert_eq!((state.blocked_by, state.failure.map(|failure| failure.code)), (None, Some("server".into())));
    perform(&mut outbox, &discard(2), 10);
    assert_eq!((outbox.len(), outbox.total(), outbox.is_empty()), (0, 2, true));
    assert_eq!(outbox.counts(), []);
}

#[test]
fn what_gets_an_id_of_its_own_shares_it_with_nobody() {
    let new_ids = |seed| {
        let mut outbox = leading_with(seed, &["a", "b"]);
        take(&mut outbox, 0);
        finish(&mut outbox, 0, answer(&[(1, "id_conflict"), (2, "id_conflict")]));
        ["a", "b"].map(|conversation_id| {
            perform(&mut outbox, &Act::Retry { conversation_id: Some(conversation_id.into()) }, 10);
            outbox.rows(conversation_id)[0].1.id.clone()
        })
    };
    let mut ids: Vec<MessageId> = [0, 1, u64::MAX].into_iter().flat_map(new_ids).chain([id(1), id(2)]).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "within one millisecond, and whatever the seed");
}

// ---- evidence

#[test]
fn a_row_that_came_back_is_stored_unless_its_answer_is_still_to_come() {
    let mut outbox = leading(&["a", "b"]);
    assert!(outbox.holds("a", &id(1)) && !outbox.holds("a", &id(2)) && !outbox.holds("c", &id(1)));
    assert_eq!(outbox.seen(&live(7, Kind::Message)), None);
    take(&mut outbox, 0);
    assert_eq!(outbox.seen(&live(1, Kind::Message)), Some(Seen::UnderWay));
    outbox.abandon();
    let stored = Seen::Stored { changes: vec![removes(1)], as_sent: true };
    assert_eq!(outbox.seen(&live(1, Kind::Message)), Some(stored));
}

#[test]
fn a_request_of_another_conversation_is_no_reason_to_wait() {
    let mut outbox = leading(&["b"]);
    take(&mut outbox, 0);
    outbox.add(2, envelope("a", 2));
    assert!(matches!(outbox.seen(&live(2, Kind::Message)), Some(Seen::Stored { .. })));
}

#[test]
fn evidence_of_the_message_turns_its_tombstone_into_a_delete() {
    let mut outbox = leading(&["a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    outbox.abandon();
    let Some(Seen::Stored { changes, as_sent: false }) = outbox.seen(&live(1, Kind::Message)) else { panic!() };
    outbox.apply(changes, 11..);
    assert_eq!(records(&outbox), [(11, "delete", String::new())]);
    let mut outbox = leading(&["a"]);
    take(&mut outbox, 0);
    perform(&mut outbox, &cancel(1), 10);
    outbox.abandon();
    let gone = Seen::Stored { changes: vec![removes(1)], as_sent: true };
    assert_eq!(outbox.seen(&live(1, Kind::Delete)), Some(gone));
}

#[test]
fn evidence_ends_a_pause_but_does_not_unpark() {
    let mut outbox = leading(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, status(503));
    outbox.seen(&live(1, Kind::Message));
    assert!(outbox.is_due(0));
    for now in [0, 1_000, 3_000, 7_000] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    outbox.seen(&live(1, Kind::Message));
    assert_eq!(phases(&outbox, "a"), ["parked", "parked"]);
}
