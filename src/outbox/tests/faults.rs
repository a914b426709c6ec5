//! What does not go well: pauses, probes, refusals of a whole request, and rows that the server stumbles over.

use super::*;

fn coded(status: u16, code: &str) -> Outcome {
    judge(Ok(HttpResponse { status, retry_after_ms: None, date_ms: None, body: json!({"code": code}).to_string() }))
}

fn limited(retry_after_ms: Option<u64>) -> Outcome {
    judge(Ok(HttpResponse { status: 429, retry_after_ms, date_ms: None, body: String::new() }))
}

/// All four attempts of the lanes at hand have failed; answers when the last one did.
fn park(outbox: &mut Outbox, from: u64) -> u64 {
    for pause in [0, 1_000, 3_000, 7_000] {
        assert!(!take(outbox, from + pause).is_empty());
        finish(outbox, from + pause, status(503));
    }
    from + 7_000
}

/// Send whatever is due, and have it stored.
fn store(outbox: &mut Outbox, now: u64, n: u8) {
    outbox.add(u64::from(n), envelope("other", n));
    assert_eq!(take(outbox, now), [format!("message {n}")]);
    finish(outbox, now, answer(&[(n, "stored")]));
}

#[test]
fn the_rhythm_is_at_once_and_after_1_2_and_4_seconds() {
    let mut outbox = filled(&["a"]);
    for (now, next) in [(0, 1_000), (1_000, 3_000), (3_000, 7_000)] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
        assert_eq!((outbox.deadline(), phases(&outbox, "a")), (Some(next), vec!["backing_off"]));
        assert_eq!(outbox.rows("a")[0].2.next_attempt_at, Some(next));
        assert!(!outbox.is_due(next - 1) && outbox.is_due(next));
    }
    take(&mut outbox, 7_000);
    finish(&mut outbox, 7_000, status(503));
    assert_eq!(phases(&outbox, "a"), ["parked"]);
}

#[test]
fn probes_start_anew_when_somebody_retries_or_a_row_got_through() {
    for stored in [false, true] {
        let mut soonest = 0;
        for seed in 0..50 {
            let mut outbox = Outbox::new(true, seed);
            outbox.add(1, envelope("a", 1));
            outbox.add(2, envelope("a", 2));
            let mut now = park(&mut outbox, 0);
            for _ in 0..4 {
                now = outbox.deadline().expect("a probe");
                take(&mut outbox, now);
                finish(&mut outbox, now, status(503));
            }
            if stored {
                now = outbox.deadline().expect("a probe");
                take(&mut outbox, now);
                finish(&mut outbox, now, answer(&[(1, "stored")]));
                now = outbox.deadline().expect("an attempt");
                take(&mut outbox, now);
                finish(&mut outbox, now, status(503));
                for pause in [2_000, 4_000] {
                    now += pause;
                    take(&mut outbox, now);
                    finish(&mut outbox, now, status(503));
                }
            } else {
                outbox.retry(None);
                now = park(&mut outbox, now);
            }
            soonest = soonest.max(outbox.deadline().expect("a probe") - now);
        }
        assert!(soonest <= 1_000, "{soonest}");
    }
}

/// Lane "a" has failed as often as that, the last time now; then something in lane "b" is to be sent.
fn one_failed(times: usize) -> (Outbox, u64) {
    let mut outbox = filled(&["a", "a"]);
    let mut now = 0;
    for pause in [0, 1_000, 2_000, 4_000].into_iter().take(times) {
        now += pause;
        assert_eq!(take(&mut outbox, now), ["message 1", "message 2"]);
        finish(&mut outbox, now, status(503));
    }
    outbox.add(3, envelope("b", 3));
    (outbox, now)
}

#[test]
fn what_waits_because_a_whole_request_failed_goes_along_with_the_next_one() {
    for times in [1, 3, 4] {
        let (mut outbox, now) = one_failed(times);
        assert_eq!(take(&mut outbox, now), ["message 3", "message 1", "message 2"], "{times}");
        finish(&mut outbox, now, answer(&[(3, "stored"), (1, "stored"), (2, "stored")]));
        assert!(outbox.is_empty());
    }
}

#[test]
fn going_along_burns_no_attempt() {
    for times in [1, 3, 4] {
        let (mut outbox, now) = one_failed(times);
        let before = outbox.rows("a");
        let before: Vec<_> = before.into_iter().map(|(_, _, state)| state).collect();
        let due = outbox.lanes.get("a").expect("a lane").due_at();
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
        let after: Vec<_> = outbox.rows("a").into_iter().map(|(_, _, state)| state).collect();
        assert_eq!(after, before, "{times}");
        assert_eq!(outbox.lanes.get("a").expect("a lane").due_at(), due);
        assert_eq!(phases(&outbox, "b"), ["backing_off"]);
    }
}

#[test]
fn a_lane_with_a_reason_of_its_own_goes_along_with_nobody() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "no_conversation")]));
    outbox.add(2, envelope("b", 2));
    assert_eq!(take(&mut outbox, 0), ["message 2"]);
}

#[test]
fn a_lane_that_the_server_stumbled_over_goes_along_with_nobody() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    outbox.add(2, envelope("b", 2));
    assert_eq!(take(&mut outbox, 0), ["message 2"]);
}

#[test]
fn what_shall_not_resume_by_itself_goes_along_with_nobody() {
    let mut outbox = Outbox::new(false, 1);
    outbox.add(1, envelope("a", 1));
    park(&mut outbox, 0);
    outbox.add(2, envelope("b", 2));
    assert_eq!(take(&mut outbox, 8_000), ["message 2"]);
}

#[test]
fn a_page_that_knows_it_is_offline_probes_nothing() {
    let mut outbox = filled(&["a"]);
    park(&mut outbox, 0);
    outbox.set_online(false);
    assert_eq!((outbox.deadline(), outbox.is_due(u64::MAX)), (None, false));
    outbox.add(2, envelope("b", 2));
    assert_eq!(take(&mut outbox, 8_000_000), ["message 2", "message 1"], "the rhythm runs offline, too");
    outbox.abandon();
    outbox.set_online(true);
    assert!(outbox.is_due(8_000_000));
}

#[test]
fn without_resumption_nothing_is_probed() {
    let mut outbox = Outbox::new(false, 1);
    outbox.add(1, envelope("a", 1));
    park(&mut outbox, 0);
    outbox.probe_soon(8_000);
    outbox.resume();
    assert_eq!((outbox.deadline(), phases(&outbox, "a")), (None, vec!["parked"]));
}

#[test]
fn things_that_got_better_reopen_the_lanes() {
    let mut outbox = filled(&["a"]);
    park(&mut outbox, 0);
    outbox.take_touched();
    outbox.resume();
    assert_eq!((outbox.take_touched(), phases(&outbox, "a")), (vec!["a".into()], vec!["queued"]));
    outbox.resume();
    assert_eq!(outbox.take_touched(), Vec::<String>::new(), "what is fine is left alone");
}

#[test]
fn things_that_only_seemed_better_do_not_make_the_rhythm_begin_anew() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, status(503));
    outbox.resume();
    take(&mut outbox, 500);
    finish(&mut outbox, 500, status(503));
    assert_eq!((outbox.deadline(), phases(&outbox, "a")), (Some(2_500), vec!["backing_off"]));
    for now in [2_500, 6_500] {
        take(&mut outbox, now);
        finish(&mut outbox, now, status(503));
    }
    outbox.resume();
    take(&mut outbox, 7_000);
    finish(&mut outbox, 7_000, status(503));
    assert_eq!(phases(&outbox, "a"), ["parked"]);
    assert_eq!(outbox.rows("a")[0].2.retry_count, 3);
    outbox.retry(None);
    assert_eq!(outbox.rows("a")[0].2.retry_count, 0, "but a person makes it");
}

#[test]
fn retry_is_for_one_conversation_or_for_all() {
    let mut outbox = filled(&["a", "b"]);
    park(&mut outbox, 0);
    outbox.retry(Some("a"));
    assert_eq!((phases(&outbox, "a"), phases(&outbox, "b")), (vec!["queued"], vec!["parked"]));
    outbox.retry(None);
    assert_eq!(phases(&outbox, "b"), ["queued"]);
}

#[test]
fn retry_ends_a_pause_that_the_server_asked_for() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, limited(Some(60_000)));
    assert_eq!(outbox.rows("a")[0].2.next_attempt_at, Some(60_000));
    outbox.retry(Some("a"));
    assert!(outbox.is_due(0));
}

#[test]
fn another_answer_ends_the_growth_of_pauses() {
    for seed in 0..50 {
        let mut outbox = Outbox::new(true, seed);
        outbox.add(1, envelope("a", 1));
        let (mut now, mut pause) = (0, 0);
        while pause <= 1_000 {
            take(&mut outbox, now);
            finish(&mut outbox, now, limited(None));
            let until = outbox.deadline().expect("an end");
            pause = until - now;
            now = until;
        }
        take(&mut outbox, now);
        finish(&mut outbox, now, status(401));
        take(&mut outbox, now);
        finish(&mut outbox, now, limited(None));
        assert!(outbox.deadline().is_some_and(|until| until <= now + 1_000));
    }
}

#[test]
fn a_pause_of_no_time_is_drawn_like_one_without_a_word() {
    let mut outbox = filled(&["a"]);
    for now in 0..10 {
        let now = now * 1_000;
        take(&mut outbox, now);
        finish(&mut outbox, now, limited(Some(now / 5_000)));
        assert!(outbox.deadline().is_some_and(|until| until >= now + 250));
    }
}

#[test]
fn a_pause_without_an_end_overflows_nothing() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 5);
    finish(&mut outbox, 5, limited(Some(u64::MAX)));
    assert_eq!(outbox.deadline(), Some(600_005), "nor is it waited for");
}

#[test]
fn a_token_that_is_refused_burns_no_attempt() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, status(401));
    assert!(settlement.wants_token && settlement.token_rejected);
    assert!(settlement.changes.is_empty() && settlement.stored.is_empty() && !settlement.progressed);
    assert!(outbox.is_due(0));
}

#[test]
fn a_missing_schema_parks_at_once_and_is_said() {
    let mut outbox = Outbox::new(false, 1);
    outbox.add(1, envelope("a", 1));
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, coded(404, "PGRST202"));
    assert_eq!(settlement.misconfigured.map(|failure| failure.code).as_deref(), Some("schema_missing"));
    assert_eq!(phases(&outbox, "a"), ["parked"]);
    assert!(outbox.deadline().is_some_and(|at| at <= 8_000), "it is looked for whatever the app wants");
}

#[test]
fn a_whole_request_without_rights_is_refused_after_one_fresh_token() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, status(403));
    assert!(settlement.wants_token && !settlement.token_rejected && settlement.changes.is_empty());
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, status(403));
    assert!(!settlement.wants_token);
    assert!(
        matches!(&settlement.changes[..], [Change::Put { key: 1, refused: Some(failure), .. }] if failure.code == "forbidden")
    );
    assert_eq!(phases(&outbox, "a"), ["refused"]);
}

#[test]
fn a_request_of_several_without_rights_is_halved() {
    let mut outbox = filled(&["a", "a", "a", "a"]);
    take(&mut outbox, 0);
    assert!(!finish(&mut outbox, 0, status(403)).wants_token);
    assert_eq!(take(&mut outbox, 0), ["message 1", "message 2"]);
}

#[test]
fn a_row_without_rights_is_refused_after_one_fresh_token_and_the_next_one_gets_its_own() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, answer(&[(1, "forbidden"), (2, "skipped")]));
    assert!(settlement.wants_token && settlement.changes.is_empty());
    assert_eq!(take(&mut outbox, 0), ["message 1", "message 2"], "at once, no attempt is burned");
    let settlement = finish(&mut outbox, 0, answer(&[(1, "forbidden"), (2, "skipped")]));
    assert!(!settlement.wants_token);
    assert_eq!(phases(&outbox, "a"), ["refused", "queued"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(2, "stored")]));
    outbox.add(3, envelope("a", 3));
    take(&mut outbox, 0);
    assert!(finish(&mut outbox, 0, answer(&[(3, "forbidden")])).wants_token, "a row that got through forgives");
}

#[test]
fn a_lane_in_which_nothing_moved_is_not_asked_for_again_at_once() {
    for answer in
        [answer(&[(1, "skipped"), (2, "skipped")]), answer(&[]), answer(&[(1, "no_conversation"), (2, "skipped")])]
    {
        let mut outbox = filled(&["a", "a"]);
        take(&mut outbox, 0);
        let settlement = finish(&mut outbox, 0, answer);
        assert!(!settlement.progressed);
        assert_eq!(outbox.deadline(), Some(1_000));
        assert_eq!(outbox.rows("a").iter().map(|(_, _, state)| state.retry_count).collect::<Vec<_>>(), [1, 1]);
    }
}

#[test]
fn skipped_rows_behind_a_stored_one_go_at_once() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    let settlement = finish(&mut outbox, 0, answer(&[(1, "stored"), (2, "skipped")]));
    assert!(settlement.progressed);
    assert_eq!((take(&mut outbox, 0), settlement.stored.len()), (vec!["message 2".to_owned()], 1));
}

#[test]
fn what_could_not_be_committed_burns_an_attempt() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    outbox.settle(0, answer(&[(1, "stored")]));
    let failure = Failure {
        code: "storage_failed".into(),
        retryable: true,
        http_status: None,
        pg_code: None,
        message: String::new(),
    };
    outbox.unsettled(0, &failure);
    assert_eq!((outbox.is_in_flight(), outbox.deadline(), outbox.len()), (false, Some(1_000), 1));
}

#[test]
fn smaller_requests_grow_again_when_they_go_well() {
    let mut outbox = filled(&["a"; 8]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, status(413));
    assert_eq!(take(&mut outbox, 0).len(), 4);
    finish(&mut outbox, 0, status(413));
    assert_eq!(take(&mut outbox, 0).len(), 2);
    finish(&mut outbox, 0, answer(&[(1, "stored"), (2, "stored")]));
    assert_eq!(take(&mut outbox, 0).len(), 4);
    finish(&mut outbox, 0, answer(&[(3, "rejected:23514"), (4, "skipped"), (5, "skipped"), (6, "skipped")]));
    assert_eq!(take(&mut outbox, 0).len(), 4, "nothing was stored");
    finish(&mut outbox, 0, answer(&[(4, "stored"), (5, "skipped"), (6, "skipped"), (7, "skipped")]));
    assert_eq!(outbox.limit, 8, "twice as many");
}

#[test]
fn requests_never_grow_beyond_their_limit() {
    let mut outbox = filled(&["a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, answer(&[(1, "stored")]));
    for key in 2..=300 {
        outbox.add(key, Envelope { content: "x".into(), ..envelope("a", u8::try_from(key % 250).unwrap_or(0)) });
    }
    assert_eq!(take(&mut outbox, 0).len(), 250);
}

// ---- rows that the server stumbles over

#[test]
fn a_named_fault_makes_requests_smaller_and_burns_an_attempt() {
    let mut outbox = filled(&["a", "a", "b", "b"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    assert_eq!((phases(&outbox, "a"), outbox.deadline()), (vec!["backing_off"; 2], Some(1_000)));
    assert_eq!(take(&mut outbox, 1_000), ["message 1", "message 2"]);
}

#[test]
fn a_fault_of_the_gateway_leaves_requests_as_they_are() {
    for outcome in [status(503), coded(503, "PGRST002"), coded(400, "53300"), judge(Err(HttpError::Network))] {
        let mut outbox = filled(&["a", "a", "a", "a"]);
        take(&mut outbox, 0);
        finish(&mut outbox, 0, outcome);
        assert_eq!(take(&mut outbox, 1_000).len(), 4);
    }
}

#[test]
fn the_head_of_a_lane_that_stumbled_alone_is_tried_alone() {
    let mut outbox = filled(&["a", "a", "a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    assert_eq!(take(&mut outbox, 1_000), ["message 1"]);
    finish(&mut outbox, 1_000, answer(&[(1, "stored")]));
    assert_eq!(take(&mut outbox, 1_000).len(), 3, "it was not the row");
}

#[test]
fn a_lane_that_stumbled_goes_with_no_other() {
    let mut outbox = filled(&["a", "a"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    outbox.add(3, envelope("b", 3));
    assert_eq!(take(&mut outbox, 1_000), ["message 1"], "the oldest first");
    finish(&mut outbox, 1_000, coded(500, "XX000"));
    assert_eq!(take(&mut outbox, 1_000), ["message 3"]);
    finish(&mut outbox, 1_000, answer(&[(3, "stored")]));

    let mut outbox = filled(&["b", "a", "a"]);
    outbox.apply(vec![Change::Remove { conversation_id: "b".into(), key: 1 }], 0..);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    outbox.add(1, envelope("b", 1));
    assert_eq!(take(&mut outbox, 1_000), ["message 1"], "behind an older one it waits for its turn");
}

/// Whether the row is refused after so many named faults, each with this between it and the one before.
fn is_poison(faults: u8, mut between: impl FnMut(&mut Outbox, u64, u8), code: impl Fn(u8) -> &'static str) -> bool {
    let mut outbox = filled(&["a"]);
    let mut now = 0;
    for n in 1..=faults {
        between(&mut outbox, now, n);
        now = now.max(outbox.deadline().expect("an attempt"));
        assert_eq!(take(&mut outbox, now), ["message 1"]);
        let settlement = finish(&mut outbox, now, coded(500, code(n)));
        if !settlement.changes.is_empty() {
            let (_, _, state) = &outbox.rows("a")[0];
            let failure = state.failure.clone().expect("a failure");
            assert_eq!((state.phase, failure.code.as_str(), failure.retryable), (Phase::Refused, "poison", false));
            assert_eq!((failure.http_status, failure.pg_code.as_deref()), (Some(500), Some("XX000")));
            assert!(failure.message.contains("again and again"), "{}", failure.message);
            assert_eq!(n, faults, "not sooner");
            return true;
        }
    }
    false
}

/// Another lane sends in the pause after the last fault.
fn others_send(outbox: &mut Outbox, now: u64, n: u8) {
    if n > 1 {
        store(outbox, now, 100 + n);
    }
}

#[test]
fn eight_equal_faults_of_one_row_while_others_send_are_poison() {
    assert!(is_poison(8, others_send, |_| "XX000"));
    assert!(!is_poison(7, others_send, |_| "XX000"));
}

#[test]
fn while_nobody_else_sends_it_may_be_the_server() {
    assert!(!is_poison(30, |_, _, _| {}, |_| "XX000"));
    assert!(
        !is_poison(
            30,
            |outbox, now, n| if n == 2 {
                store(outbox, now, 100)
            },
            |_| "XX000"
        ),
        "once is not enough"
    );
}

#[test]
fn faults_of_different_codes_are_not_one_fault() {
    assert!(!is_poison(30, others_send, |n| if n % 2 == 0 { "XX000" } else { "57014" }));
}

#[test]
fn what_is_never_one_rows_fault_is_no_poison() {
    let is_refused = |code| {
        let (mut outbox, mut now) = (filled(&["a"]), 0);
        (0..30).any(|_| {
            take(&mut outbox, now);
            let settlement = finish(&mut outbox, now, coded(500, code));
            outbox.stored += 1;
            now = outbox.deadline().unwrap_or_default();
            !settlement.changes.is_empty()
        })
    };
    for code in ["08006", "40001", "40P01", "53300", "55P03", "57P01", "PGRST003"] {
        assert!(!is_refused(code), "{code}");
    }
    assert!(is_refused("57014"), "a trigger may take too long over one row");
}

#[test]
fn the_next_row_is_judged_anew() {
    let mut outbox = filled(&["a", "a"]);
    let mut now = 0;
    for n in 1..=9 {
        take(&mut outbox, now);
        finish(&mut outbox, now, coded(500, "XX000"));
        if n < 9 {
            store(&mut outbox, now, 100 + n);
        }
        now = outbox.deadline().map_or(now, |at| at.max(now));
    }
    assert_eq!(phases(&outbox, "a")[0], "refused");
    let (_, _, state) = &outbox.rows("a")[1];
    assert_ne!(state.phase, Phase::Refused);
    take(&mut outbox, now);
    assert_eq!(finish(&mut outbox, now, coded(500, "XX000")).changes, []);
}

#[test]
fn a_fault_of_lanes_together_is_counted_for_none() {
    let mut outbox = filled(&["a", "b"]);
    take(&mut outbox, 0);
    finish(&mut outbox, 0, coded(500, "XX000"));
    outbox.retry(None);
    store_all(&mut outbox);
    assert!(outbox.is_empty());
}

/// Nothing is tried alone: what is due goes as far as the limit reaches.
fn store_all(outbox: &mut Outbox) {
    assert_eq!(take(outbox, 0), ["message 1"], "half of two");
    finish(outbox, 0, answer(&[(1, "stored")]));
    outbox.add(3, envelope("b", 3));
    assert_eq!(take(outbox, 0), ["message 2", "message 3"]);
    finish(outbox, 0, answer(&[(2, "stored"), (3, "stored")]));
}
