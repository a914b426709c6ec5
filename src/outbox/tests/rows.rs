//! Which rows there are, what is known of them, and which of them a request carries.

use super::*;

fn rows(outbox: &mut Outbox, keys: std::ops::RangeInclusive<u8>, leading: bool) {
    let through = u64::from(*keys.end());
    let rows = keys.map(|n| (u64::from(n), envelope("a", n), None)).collect();
    outbox.read(rows, through, leading);
}

#[test]
fn what_is_read_at_first_may_be_sent_and_what_comes_later_is_not() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=2, true);
    assert_eq!(outbox.maybe_sent(), 2);
    outbox.add(3, envelope("a", 3));
    rows(&mut outbox, 4..=4, true);
    assert_eq!((outbox.len(), outbox.maybe_sent(), outbox.never_sent()), (4, 2, vec![3, 4]));
    take(&mut outbox, 0);
    assert_eq!((outbox.maybe_sent(), outbox.never_sent()), (4, vec![]));
}

#[test]
fn in_a_tab_that_does_not_lead_every_row_may_be_sent() {
    let mut outbox = Outbox::new(true, 1);
    outbox.add(1, envelope("a", 1));
    rows(&mut outbox, 2..=2, false);
    outbox.add(3, envelope("a", 3));
    rows(&mut outbox, 4..=4, false);
    assert_eq!(outbox.maybe_sent(), 4);
    assert_eq!(outbox.never_sent(), Vec::<u64>::new());
}

#[test]
fn with_the_lead_goes_the_knowledge() {
    let mut outbox = filled(&[]);
    rows(&mut outbox, 1..=1, true);
    outbox.add(2, envelope("a", 2));
    take(&mut outbox, 0);
    outbox.add(3, envelope("a", 3));
    assert_eq!(outbox.never_sent(), [3]);
    outbox.step_aside();
    outbox.add(4, envelope("a", 4));
    assert_eq!((outbox.maybe_sent(), outbox.is_in_flight()), (4, false));
    outbox.read_anew();
    assert_eq!((outbox.len(), outbox.unread_from()), (4, 1), "what is shown does not disappear");
    rows(&mut outbox, 4..=5, true);
    assert_eq!((outbox.len(), outbox.maybe_sent(), outbox.unread_from()), (2, 2, 6));
    outbox.add(6, envelope("a", 6));
    outbox.are_never_sent(&[5]);
    assert_eq!((outbox.never_sent(), outbox.maybe_sent()), (vec![5, 6], 1));
}

#[test]
fn reading_again_believes_nothing_even_before_the_rows_are_there() {
    let mut outbox = filled(&[]);
    rows(&mut outbox, 1..=1, true);
    outbox.read_anew();
    outbox.add(2, envelope("a", 2));
    assert_eq!(outbox.maybe_sent(), 2);
}

#[test]
fn a_row_that_is_held_is_not_read_twice() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=1, true);
    outbox.add(2, envelope("a", 2));
    outbox.take_touched();
    outbox.add(2, envelope("a", 9));
    assert_eq!(outbox.take_touched(), Vec::<String>::new());
    rows(&mut outbox, 2..=3, true);
    assert_eq!((outbox.len(), outbox.never_sent()), (3, vec![2, 3]));
    assert_eq!(outbox.rows("a")[1].1.content, "message 2");
    outbox.read(Vec::new(), 0, true);
    assert_eq!(outbox.unread_from(), 4, "what was read stays read");
}

#[test]
fn a_refused_row_is_read_as_refused() {
    let mut outbox = Outbox::new(true, 1);
    let failure =
        Failure { code: "rejected".into(), retryable: false, http_status: None, pg_code: None, message: String::new() };
    outbox.read(vec![(1, envelope("a", 1), Some(failure))], 1, true);
    assert_eq!((phases(&outbox, "a"), outbox.deadline()), (vec!["refused"], None));
    assert_eq!(take(&mut outbox, 0), Vec::<String>::new());
}

#[test]
fn keys_are_in_the_order_of_sending() {
    let mut outbox = filled(&["b", "a", "b"]);
    assert_eq!(outbox.keys(), [1, 2, 3]);
    assert_eq!((outbox.len(), outbox.total(), outbox.is_empty()), (3, 3, false));
    assert_eq!(outbox.counts(), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    outbox.apply(vec![Change::Remove { conversation_id: "a".into(), key: 2 }], 0..);
    assert_eq!(outbox.counts(), [("b".to_owned(), 2)]);
}

#[test]
fn what_changed_is_told_once() {
    let mut outbox = filled(&["a", "b", "a"]);
    assert_eq!(outbox.take_touched(), ["a", "b"]);
    assert_eq!(outbox.take_touched(), Vec::<String>::new());
    outbox.touch("b");
    assert_eq!(outbox.take_touched(), ["b"]);
    take(&mut outbox, 0);
    assert_eq!(outbox.take_touched(), ["a", "b"], "under way");
    outbox.abandon();
    assert_eq!(outbox.take_touched(), ["a", "b"], "and no more");
    outbox.set_waiting_auth(true);
    assert_eq!(outbox.take_touched(), ["a", "b"]);
    outbox.set_waiting_auth(true);
    assert_eq!(outbox.take_touched(), Vec::<String>::new());
    outbox.apply(vec![Change::Remove { conversation_id: "a".into(), key: 1 }], 0..);
    let put = Change::Put { key: 2, envelope: envelope("b", 2), refused: None };
    outbox.apply(vec![put], 0..);
    assert_eq!(outbox.take_touched(), ["a", "b"]);
    outbox.read(vec![(9, envelope("c", 9), None)], 9, true);
    assert_eq!(outbox.take_touched(), ["c"]);
    outbox.read_anew();
    outbox.read(Vec::new(), 0, true);
    assert_eq!(outbox.take_touched(), ["a", "b", "c"], "what is gone has changed, too");
}

#[test]
fn a_new_row_wakes_a_parked_lane_and_no_other() {
    let mut outbox = filled(&["a", "b"]);
    for now in [0, 1_000, 3_000, 7_000] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    outbox.add(3, envelope("a", 3));
    assert_eq!((phases(&outbox, "a"), phases(&outbox, "b")), (vec!["queued"; 2], vec!["parked"]));
    take(&mut outbox, 7_000);
    finish(&mut outbox, 7_000, status(503));
    outbox.add(4, envelope("a", 4));
    assert_eq!(phases(&outbox, "a")[0], "backing_off", "the rhythm goes on");
}

#[test]
fn rows_show_what_they_wait_for() {
    let mut outbox = filled(&["a"]);
    outbox.set_waiting_auth(true);
    assert_eq!(phases(&outbox, "a"), ["waiting_auth"]);
    take(&mut outbox, 0);
    outbox.add(2, envelope("a", 2));
    outbox.add(3, envelope("b", 3));
    let states =
        |conversation| outbox.rows(conversation).into_iter().map(|(_, _, state)| (state.phase, state.blocked_by));
    let first = MessageId::v7(0, [1; 10]);
    assert_eq!(states("a").collect::<Vec<_>>(), [(Phase::InFlight, None), (Phase::Queued, Some(first))]);
    assert_eq!(states("b").collect::<Vec<_>>(), [(Phase::Queued, None)]);
    assert_eq!(states("c").count(), 0);
    assert_eq!(outbox.deadline(), None, "nothing can be sent while something is under way");
}

#[test]
fn a_request_is_filled_up_to_its_bytes_and_never_empty() {
    let large = |n: u8| Envelope { content: "x".repeat(256 * 1024 - 256 - 2), ..envelope("a", n) };
    let mut outbox = Outbox::new(true, 1);
    outbox.add(1, Envelope { content: "x".repeat(300_000), ..envelope("a", 1) });
    outbox.add(2, envelope("a", 2));
    assert_eq!(outbox.take_request(0).len(), 1, "a row of its own");
    outbox.abandon();
    outbox.apply(vec![Change::Remove { conversation_id: "a".into(), key: 1 }], 0..);
    outbox.add(3, large(3));
    assert_eq!(outbox.take_request(0).len(), 1);
    outbox.abandon();
    outbox.apply(vec![Change::Remove { conversation_id: "a".into(), key: 2 }], 0..);
    outbox.add(4, large(4));
    assert_eq!(outbox.take_request(0).len(), 1, "exactly full");
}

#[test]
fn rows_that_fill_a_request_to_the_byte_still_fit() {
    let half = |n: u8| Envelope { content: "x".repeat(128 * 1024 - 256 - 2), ..envelope("a", n) };
    assert_eq!(half(1).weight(), 128 * 1024);
    let mut outbox = Outbox::new(true, 1);
    for n in 1..=3 {
        outbox.add(u64::from(n), half(n));
    }
    assert_eq!(outbox.take_request(0).len(), 2);
    assert!(outbox.is_in_flight());
}

#[test]
fn a_request_that_is_full_carries_no_later_lane() {
    let mut outbox = filled(&["a", "a", "b"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, status(413));
    assert_eq!(take(&mut outbox, 0), ["message 1"]);
}

#[test]
fn refused_rows_are_passed_over() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (2, "skipped")]));
    outbox.add(3, envelope("a", 3));
    assert_eq!(take(&mut outbox, 0), ["message 2", "message 3"]);
}

#[test]
fn the_front_is_what_was_read_and_fits() {
    let weight = envelope("a", 1).weight();
    let front =
        |outbox: &mut Outbox, bytes| outbox.front(bytes).into_iter().map(|row| row.content.clone()).collect::<Vec<_>>();
    let mut outbox = Outbox::new(true, 1);
    outbox.read(Vec::new(), 0, true);
    for (key, conversation) in [(1, "b"), (2, "a"), (3, "b"), (4, "a")] {
        outbox.add(key, envelope(conversation, u8::try_from(key).unwrap_or(0)));
    }
    assert_eq!(front(&mut outbox, 10_000), Vec::<String>::new(), "nothing was read");
    assert_eq!(outbox.never_sent(), [2, 4, 1, 3]);
    outbox.read(Vec::new(), 3, true);
    assert_eq!(front(&mut outbox, weight - 1), Vec::<String>::new());
    assert_eq!(front(&mut outbox, weight), ["message 1"]);
    assert_eq!(outbox.never_sent(), [2, 4, 3], "it may be sent from now on");
    assert_eq!(front(&mut outbox, 10_000), ["message 1", "message 3", "message 2"], "lane after lane");
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "rejected:23514"), (3, "skipped"), (2, "stored"), (4, "skipped")]));
    assert_eq!(front(&mut outbox, 10_000), ["message 3"], "what waits for a person is left out");
    assert!(!outbox.is_in_flight());
}

#[test]
fn a_way_in_that_takes_only_messages_repeats_nothing_else() {
    let edit = Envelope { kind: Kind::Edit, target_id: Some(envelope("a", 1).id.as_str().into()), ..envelope("a", 2) };
    for plain in [false, true] {
        let mut outbox = Outbox::new(true, 1).plain(plain);
        outbox.read(vec![(2, edit.clone(), None)], 2, true);
        assert_eq!(outbox.front(10_000).is_empty(), plain);
    }
}

#[test]
fn another_record_under_a_key_that_is_gone_changes_nothing() {
    let mut outbox = filled(&["a"]);
    outbox.apply(vec![Change::Put { key: 9, envelope: envelope("a", 9), refused: None }], 0..);
    assert_eq!(outbox.keys(), [1]);
}

#[test]
fn what_the_leader_before_this_one_told_is_forgotten() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=1, false);
    let state = RowState { phase: Phase::InFlight, ..outbox.rows("a")[0].2.clone() };
    outbox.hear(vec![(1, state)], true);
    assert_eq!(phases(&outbox, "a"), ["in_flight"]);
    rows(&mut outbox, 2..=2, true);
    outbox.step_aside();
    assert_eq!(phases(&outbox, "a"), ["queued", "queued"]);
}

#[test]
fn what_is_under_way_together_waits_for_nobody() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    assert!(outbox.rows("a").iter().all(|(_, _, state)| state.blocked_by.is_none()));
}

#[test]
fn what_was_told_of_rows_is_forgotten_with_them() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=3, true);
    assert_eq!(outbox.news("a").len(), 3);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "stored"), (2, "stored"), (3, "stored")]));
    outbox.add(4, envelope("a", 4));
    assert_eq!(outbox.news("a").len(), 1);
    assert_eq!(outbox.mirror.keys().collect::<Vec<_>>(), [&4]);
}

#[test]
fn what_is_heard_of_rows_to_come_is_kept_and_that_of_rows_that_are_gone_is_not() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=3, false);
    let state = RowState { phase: Phase::InFlight, ..outbox.rows("a")[0].2.clone() };
    outbox.hear([1, 3, 5].map(|key| (key, state.clone())).into(), true);
    outbox.read_anew();
    outbox.read(vec![(1, envelope("a", 1), None), (2, envelope("a", 2), None)], 3, false);
    assert_eq!(outbox.mirror.keys().collect::<Vec<_>>(), [&1, &5]);
}

#[test]
fn reading_anew_says_which_messages_are_gone() {
    let mut outbox = Outbox::new(true, 1);
    rows(&mut outbox, 1..=4, false);
    let edit = Envelope { kind: Kind::Edit, target_id: Some("x".into()), ..envelope("a", 5) };
    assert!(outbox.read(vec![(5, edit, None)], 5, false).is_empty());
    outbox.read_anew();
    let record = |n: u8, envelope: Envelope| (u64::from(n), envelope, None);
    let left = vec![record(2, envelope("a", 2)), record(3, envelope("a", 3).tombstone()), record(4, envelope("a", 9))];
    let gone = outbox.read(left, 5, false);
    let ids: Vec<_> = gone.into_iter().map(|envelope| envelope.id).collect();
    assert_eq!(ids, [1, 3, 4].map(|n| envelope("a", n).id), "not the edit, nor what is there as it was");
}
