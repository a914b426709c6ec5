mod cache;
mod list;
mod window;

use crate::json;

use super::*;
use crate::{
    json::empty_object,
    message::{Kind, Member, MessageId, StoredMessage},
    rest::{ListAnswer, Overview, SyncAnswer, SyncStatus},
};

fn row(seq: u64, sender: &str) -> StoredMessage {
    StoredMessage {
        id: MessageId::v7(seq, [0; 10]),
        conversation_id: "b1".into(),
        seq,
        kind: Kind::Message,
        target_id: None,
        sender_id: Some(sender.into()),
        sender_role: String::new(),
        content: String::new(),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: String::new(),
        edited_at: None,
        deleted_at: None,
    }
}

fn member(user: &str, role: &str, delivered: u64, read: u64) -> Member {
    Member { user_id: user.into(), role: role.into(), delivered_seq: delivered, read_seq: read }
}

fn answer(incarnation: &str, first: u64, through: u64, last: u64) -> SyncAnswer {
    SyncAnswer {
        conversation_id: "b1".into(),
        status: SyncStatus::Ok,
        incarnation: incarnation.into(),
        last_seq: last,
        through_seq: through,
        first_seq: first,
        rows: (first..=through).map(|seq| row(seq, "you")).collect(),
        members: vec![member("me", "operator", 0, 0), member("you", "client", 0, 0)],
        overview: None,
    }
}

/// A conversation that is known up to `seq`.
fn known(seq: u64) -> Sync {
    let mut sync = Sync::new(1);
    sync.track("b1");
    assert_eq!(sync.take_request(0), [("b1", None)]);
    sync.answered(0, vec![answer("i1", 1, seq, seq)], "me");
    sync
}

fn seqs(merge: &Merge) -> Vec<u64> {
    merge.rows.iter().map(|row| row.seq).collect()
}

fn merged(mut synced: Vec<(String, Synced)>) -> Merge {
    match synced.pop() {
        Some((_, Synced::Merged(merge))) => merge,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_came_live_below_the_first_page_is_not_taken_in() {
    let mut sync = Sync::new(1);
    sync.track("b1").take_row(row(3, "you"), "me");
    sync.take_request(0);
    let merge = merged(sync.answered(0, vec![answer("i1", 51, 52, 52)], "me"));
    assert_eq!(seqs(&merge), [51, 52]);
}

#[test]
fn what_was_asked_before_there_was_a_reason_to_ask_is_not_enough() {
    let mut sync = known(2);
    sync.all_due();
    sync.take_request(0);
    sync.all_due();
    sync.answered(0, vec![answer("i1", 3, 3, 3)], "me");
    assert!(sync.is_due(0), "the live channel may have become ready after the server had answered");
    sync.take_request(0);
    sync.answered(0, vec![answer("i1", 4, 3, 3)], "me");
    assert!(!sync.is_due(0));
}

#[test]
fn an_answer_that_goes_on_from_what_was_forgotten_meanwhile_is_no_first_page() {
    let mut sync = known(5);
    sync.all_due();
    sync.take_request(0);
    sync.forget("b1");
    sync.track("b1");
    let merge = merged(sync.answered(0, vec![answer("i1", 6, 5, 5)], "me"));
    assert_eq!(merge, Merge::default());
    assert!(!sync.get("b1").unwrap().is_known() && sync.is_due(0), "it is asked for as a whole");
}

#[test]
fn a_page_that_does_not_join_what_was_restored_meanwhile_takes_its_place() {
    let mut sync = Sync::new(1);
    sync.track("b1");
    sync.take_request(0);
    let mut cached = known(2);
    sync.restore(cached.get_mut("b1").unwrap().clone());
    let merge = merged(sync.answered(0, vec![answer("i1", 9, 10, 10)], "me"));
    assert!(merge.first);
    assert_eq!((seqs(&merge), sync.get("b1").unwrap().low), (vec![9, 10], 9));
}

#[test]
fn the_first_page_is_taken_as_it_is() {
    let mut sync = Sync::new(1);
    sync.track("b1");
    sync.take_request(0);
    let merge = merged(sync.answered(0, vec![answer("i1", 51, 100, 100)], "me"));
    assert_eq!(merge.rows.len(), 50);
    let conversation = sync.get("b1").expect("tracked");
    assert_eq!((conversation.low, conversation.cursor, conversation.due), (51, 100, false));
}

#[test]
fn a_first_page_that_did_not_fit_is_asked_for_again_as_a_first_page() {
    let mut sync = Sync::new(1);
    sync.track("b1");
    sync.take_request(0);
    let nothing = SyncAnswer { rows: Vec::new(), ..answer("i1", 1, 0, 300) };
    assert!(seqs(&merged(sync.answered(0, vec![nothing], "me"))).is_empty());
    assert_eq!(sync.take_request(0), [("b1", None)]);
}

#[test]
fn first_pages_are_asked_for_a_few_at_a_time() {
    let mut sync = Sync::new(1);
    for n in 0..10 {
        sync.track(&format!("b{n}"));
    }
    assert_eq!(sync.take_request(0).len(), FIRST_PAGES);
}

#[test]
fn a_row_behind_the_cursor_is_no_news_and_one_beyond_a_hole_waits() {
    let mut sync = known(3);
    let conversation = sync.track("b1");
    assert!(seqs(&conversation.take_row(row(3, "you"), "me")).is_empty());
    assert!(seqs(&conversation.take_row(row(6, "you"), "me")).is_empty());
    assert!(conversation.due);
    assert_eq!(seqs(&conversation.take_row(row(4, "you"), "me")), [4]);
    assert_eq!(seqs(&conversation.take_row(row(5, "you"), "me")), [5, 6]);
}

#[test]
fn what_an_answer_lacks_is_gone_and_is_not_asked_for_again() {
    let mut sync = known(3);
    sync.track("b1").take_row(row(6, "you"), "me");
    assert_eq!(sync.take_request(0), [("b1", Some((3, "i1")))]);
    let without_4 = SyncAnswer { rows: vec![row(5, "you"), row(6, "you")], ..answer("i1", 4, 6, 6) };
    assert_eq!(seqs(&merged(sync.answered(0, vec![without_4], "me"))), [5, 6]);
    assert!(!sync.is_due(0));
    assert_eq!(sync.get("b1").map(|conversation| conversation.cursor), Some(6));
}

#[test]
fn an_answer_that_was_cut_short_is_asked_for_again_from_where_it_ended() {
    let mut sync = known(3);
    sync.track("b1").due = true;
    sync.take_request(0);
    sync.answered(0, vec![answer("i1", 4, 8, 20)], "me");
    assert_eq!(sync.take_request(0), [("b1", Some((8, "i1")))]);
}

#[test]
fn a_late_answer_takes_nothing_back() {
    let mut sync = known(3);
    sync.track("b1").due = true;
    sync.take_request(0);
    for seq in 4..=6 {
        sync.track("b1").take_row(row(seq, "you"), "me");
    }
    let merge = merged(sync.answered(0, vec![answer("i1", 4, 5, 5)], "me"));
    assert_eq!((merge.reset, seqs(&merge)), (false, vec![]));
    assert_eq!(sync.get("b1").map(|conversation| (conversation.cursor, conversation.due)), Some((6, false)));
}

#[test]
fn another_incarnation_drops_what_is_held() {
    let mut sync = known(50);
    sync.track("b1").due = true;
    sync.take_request(0);
    let merge = merged(sync.answered(0, vec![answer("i2", 1, 2, 2)], "me"));
    assert_eq!((merge.reset, seqs(&merge)), (true, vec![1, 2]));
    let conversation = sync.get("b1").expect("tracked");
    assert_eq!((conversation.cursor, conversation.stored), (2, 0));
}

/// Asks at `now` and gets this answer.
fn ask(sync: &mut Sync, now: u64, answer: SyncAnswer) -> Merge {
    sync.hurry();
    assert!(!sync.take_request(now).is_empty());
    merged(sync.answered(now, vec![answer], "me"))
}

#[test]
fn a_row_that_came_live_before_requests_see_it_stays_and_is_asked_for_until_they_do() {
    let mut sync = known(3);
    assert_eq!(seqs(&sync.track("b1").take_row(row(4, "you"), "me")), [4]);
    sync.track("b1").due = true;
    let too_early = ask(&mut sync, 0, answer("i1", 1, 3, 3));
    assert_eq!((too_early.reset, seqs(&too_early)), (false, vec![]));
    assert_eq!(sync.get("b1").map(|conversation| conversation.cursor), Some(4));
    assert!(!sync.is_due(0), "not at once");
    assert!(sync.is_due(LAG_PAUSE_MS));
    ask(&mut sync, LAG_PAUSE_MS, SyncAnswer { rows: Vec::new(), ..answer("i1", 5, 4, 4) });
    assert!(!sync.is_due(LAG_PAUSE_MS));
    assert_eq!(sync.get("b1").map(|conversation| conversation.cursor), Some(4));
}

#[test]
fn what_was_announced_is_asked_for_until_it_is_there() {
    let mut sync = known(3);
    sync.track("b1").announce(4);
    let too_early = ask(&mut sync, 0, SyncAnswer { rows: Vec::new(), ..answer("i1", 4, 3, 3) });
    assert!(seqs(&too_early).is_empty());
    assert!(sync.is_due(LAG_PAUSE_MS));
    assert_eq!(seqs(&ask(&mut sync, LAG_PAUSE_MS, answer("i1", 4, 4, 4))), [4]);
    assert!(!sync.is_due(LAG_PAUSE_MS));
    sync.track("b1").announce(4);
    assert!(!sync.is_due(LAG_PAUSE_MS), "it is known");
}

#[test]
fn a_database_that_stays_older_than_we_are_drops_what_is_held() {
    let mut sync = known(50);
    sync.track("b1").due = true;
    assert!(!ask(&mut sync, 0, answer("i1", 1, 2, 2)).reset);
    assert!(!ask(&mut sync, LAG_LIMIT_MS - 1, answer("i1", 1, 2, 2)).reset);
    let merge = ask(&mut sync, LAG_LIMIT_MS, answer("i1", 1, 2, 2));
    assert_eq!((merge.reset, seqs(&merge)), (true, vec![1, 2]));
    let conversation = sync.get("b1").expect("tracked");
    assert_eq!((conversation.cursor, conversation.stored, conversation.due), (2, 0, false));
}

#[test]
fn a_row_that_came_live_and_never_was_committed_is_not_asked_for_for_ever() {
    let mut sync = known(3);
    sync.track("b1").take_row(row(6, "you"), "me");
    let nothing = || SyncAnswer { rows: Vec::new(), ..answer("i1", 4, 3, 3) };
    ask(&mut sync, 0, nothing());
    assert!(sync.is_due(LAG_PAUSE_MS));
    ask(&mut sync, LAG_LIMIT_MS, nothing());
    assert!(!sync.is_due(LAG_LIMIT_MS));
    assert_eq!(seqs(&sync.track("b1").take_row(row(4, "you"), "me")), [4]);
}

#[test]
fn what_was_stored_before_anything_was_known_joins_no_first_page_that_ends_below_it() {
    let mut sync = Sync::new(1);
    (1..=3).for_each(|seq| drop(sync.track("b1").take_row(row(seq, "me"), "me")));
    let empty = || answer("i1", 1, 0, 0);
    assert!(seqs(&ask(&mut sync, 0, empty())).is_empty(), "the database may have been set back since");
    assert!(sync.is_due(LAG_PAUSE_MS));
    let mut lagging = sync.clone();
    let merge = ask(&mut sync, LAG_LIMIT_MS, empty());
    assert_eq!((merge.gone, seqs(&merge)), (true, vec![]));
    assert!(!sync.is_due(LAG_LIMIT_MS + LAG_PAUSE_MS));
    let merge = ask(&mut lagging, LAG_PAUSE_MS, answer("i1", 1, 3, 3));
    assert_eq!((merge.gone, seqs(&merge)), (false, vec![1, 2, 3]));
    assert!(!lagging.is_due(2 * LAG_PAUSE_MS));
}

#[test]
fn only_what_is_stored_without_a_gap_is_acknowledged() {
    let mut sync = known(3);
    let conversation = sync.track("b1");
    assert_eq!(conversation.receipt_due("me"), None, "nothing is committed yet");
    conversation.stored = 3;
    conversation.take_row(row(5, "you"), "me");
    assert_eq!(conversation.receipt_due("me"), Some((3, 0)));
    conversation.read = 3;
    assert_eq!(conversation.receipt_due("me"), Some((3, 3)));
    conversation.take_receipt(member("me", "operator", 3, 3));
    assert_eq!(conversation.receipt_due("me"), None);
}

#[test]
fn own_messages_need_no_receipt() {
    let mut sync = known(0);
    let conversation = sync.track("b1");
    conversation.take_row(row(1, "me"), "me");
    conversation.stored = 1;
    conversation.read = 1;
    assert_eq!(conversation.receipt_due("me"), None);
}

#[test]
fn ticks_follow_members_of_another_role() {
    let mut sync = known(9);
    let conversation = sync.track("b1");
    conversation.take_receipt(member("colleague", "operator", 9, 9));
    assert_eq!(conversation.watermarks("me", false), (0, 0));
    conversation.take_receipt(member("you", "client", 7, 5));
    conversation.take_receipt(member("you", "client", 6, 6));
    assert_eq!(conversation.watermarks("me", false), (7, 6));
}

#[test]
fn failures_wait_longer_and_longer_and_a_wish_of_somebody_ends_the_wait() {
    let mut sync = known(1);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        sync.track("b1").due = true;
        sync.hurry();
        assert!(!sync.take_request(0).is_empty());
        sync.failed(0);
        pauses.push(sync.deadline().unwrap_or(0));
    }
    let limits = [(500, 1_000), (1_000, 2_000), (2_500, 5_000), (5_000, 10_000), (15_000, 30_000), (15_000, 30_000)];
    for (pause, (least, most)) in pauses.into_iter().zip(limits) {
        assert!((least..=most).contains(&pause), "{pause}");
    }
}

#[test]
fn a_change_of_members_is_asked_for_after_a_moment_and_waits_out_the_pause_after_a_failure() {
    let mut sync = known(1);
    sync.members_changed(0);
    assert_eq!(sync.deadline(), Some(LAG_PAUSE_MS));
    sync.members_changed(100);
    assert_eq!(sync.deadline(), Some(LAG_PAUSE_MS), "another change does not put it off");
    assert_eq!(sync.take_request(LAG_PAUSE_MS).len(), 1);
    sync.failed(LAG_PAUSE_MS);
    let pause = sync.deadline();
    sync.members_changed(LAG_PAUSE_MS);
    assert_eq!(sync.deadline(), pause);
    assert!(sync.is_failing());
}

#[test]
fn what_was_asked_for_and_not_answered_is_asked_for_again_but_not_at_once() {
    let mut sync = known(1);
    sync.track("b1").due = true;
    sync.take_request(0);
    sync.answered(0, Vec::new(), "me");
    assert!(!sync.is_due(0));
    assert!(sync.is_due(1_000));
}

#[test]
fn a_conversation_is_catching_up_until_it_is_known_live_and_not_asked_for() {
    let mut sync = Sync::new(1);
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "never heard of");
    sync.set_live(0, true);
    sync.track("b1");
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "due");
    sync.take_request(0);
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "asked for");
    sync.answered(0, vec![answer("i1", 1, 3, 3)], "me");
    assert_eq!(sync.state("b1", true), SyncState::Live);
    assert_eq!(sync.state("b1", false), SyncState::Stale);
    sync.track("b1").announce(4);
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "a row is missing");
    sync.take_request(0);
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "the row is asked for");
    sync.answered(0, vec![answer("i1", 4, 4, 4)], "me");
    sync.set_live(0, false);
    assert_eq!(sync.state("b1", true), SyncState::CatchingUp, "nothing comes live");
    let said = [SyncState::CatchingUp, SyncState::Live, SyncState::Polling, SyncState::Stale].map(SyncState::as_str);
    assert_eq!(said, ["catching_up", "live", "polling", "stale"]);
}

#[test]
fn of_two_conversations_only_the_one_that_is_asked_for_is_catching_up() {
    let mut sync = known(1);
    sync.set_live(0, true);
    sync.track("b2");
    sync.take_request(0);
    sync.answered(0, vec![SyncAnswer { conversation_id: "b2".into(), ..answer("i1", 1, 1, 1) }], "me");
    sync.track("b1").due = true;
    assert_eq!(sync.take_request(0).len(), 1);
    assert!(sync.is_asking("b1"));
    assert!(!sync.is_asking("b2"));
    assert_eq!(sync.state("b2", true), SyncState::Live);
}

#[test]
fn losses_that_give_no_signal_are_found_sooner_without_a_live_channel() {
    let mut sync = known(1);
    sync.set_live(0, false);
    let polled = sync.deadline().expect("a time");
    assert!(RECONCILE_POLL_MS.contains(&polled), "{polled}");
    sync.set_live(0, true);
    let reconciled = sync.deadline().expect("a time");
    assert!(RECONCILE_LIVE_MS.contains(&reconciled), "{reconciled}");
    sync.set_live(20_000, true);
    assert_eq!(sync.deadline(), Some(reconciled), "news of the same kind puts nothing off");
    assert!(!sync.is_due(reconciled - 1));
    assert_eq!(sync.take_request(reconciled), [("b1", Some((1, "i1")))]);
    assert_eq!(sync.deadline(), None, "one request at a time");
}

#[test]
fn nothing_is_planned_for_nothing() {
    let mut sync = Sync::new(1);
    sync.set_live(0, true);
    assert_eq!(sync.deadline(), None);
}

#[test]
fn a_request_that_was_not_sent_is_due_at_once_and_has_not_failed() {
    let mut sync = known(1);
    sync.track("b1").due = true;
    assert_eq!(sync.take_request(0).len(), 1);
    assert!(!sync.is_due(0));
    sync.abandon();
    assert!(sync.is_due(0));
    assert!(!sync.is_failing());
    sync.take_request(0);
    sync.failed(0);
    assert!(sync.is_failing());
    sync.hurry();
    sync.take_request(0);
    sync.answered(0, vec![answer("i1", 2, 1, 1)], "me");
    assert!(!sync.is_failing());
}

#[test]
fn a_member_who_left_is_gone_and_one_who_stayed_keeps_the_marks() {
    let mut sync = known(3);
    sync.track("b1").take_receipt(member("you", "client", 3, 2));
    sync.track("b1").take_receipt(member("third", "client", 1, 1));
    ask_again(&mut sync);
    let left = SyncAnswer {
        members: vec![member("me", "operator", 0, 0), member("you", "client", 0, 0)],
        ..answer("i1", 4, 3, 3)
    };
    sync.answered(0, vec![left], "me");
    assert_eq!(sync.track("b1").members, [member("me", "operator", 0, 0), member("you", "client", 3, 2)]);
}

fn ask_again(sync: &mut Sync) {
    sync.track("b1").due = true;
    assert_eq!(sync.take_request(0).len(), 1);
}

#[test]
fn a_row_that_is_there_already_comes_no_second_time() {
    let mut sync = known(3);
    ask_again(&mut sync);
    sync.track("b1").take_row(row(5, "you"), "me");
    let merge = merged(sync.answered(0, vec![answer("i1", 3, 5, 5)], "me"));
    assert_eq!(seqs(&merge), [4, 5]);
    assert_eq!(seqs(&sync.track("b1").take_row(row(5, "you"), "me")), [] as [u64; 0]);
    assert!(!sync.is_due(0));
}

#[test]
fn what_is_forgotten_is_asked_for_from_the_beginning() {
    let mut sync = known(3);
    sync.forget("b1");
    sync.track("b1");
    assert_eq!(sync.take_request(0), [("b1", None)]);
    sync.forget_all();
    assert!(sync.get("b1").is_none());
    sync.track("b1");
    assert_eq!(sync.take_request(0), [("b1", None)], "the request under way is forgotten too");
}

#[test]
fn a_first_page_of_rows_that_are_all_gone_is_a_page() {
    let mut sync = Sync::new(1);
    sync.track("b1");
    sync.take_request(0);
    sync.answered(0, vec![SyncAnswer { rows: Vec::new(), ..answer("i1", 1, 3, 3) }], "me");
    assert!(sync.get("b1").is_some_and(|held| held.is_known() && held.cursor == 3));
    assert!(!sync.is_due(0), "or it would be asked for again and again");
}

/// The newest page of a conversation of 200, written.
fn with_a_page() -> Conversation {
    let mut sync = Sync::new(1);
    sync.track("b1");
    sync.take_request(0);
    sync.answered(0, vec![answer("i1", 151, 200, 200)], "me");
    let mut conversation = sync.get("b1").expect("tracked").clone();
    conversation.saved(151, 200);
    conversation
}

#[test]
fn where_windows_are_read_a_cached_conversation_rests_until_somebody_opens_it() {
    let mut sync = Sync::new(1).windowed(Some("w".into()));
    sync.restore(with_a_page());
    assert_eq!((sync.get("b1"), sync.is_due(0)), (None, false));
    assert_eq!(sync.track("b1").cursor, 200);
    let mut open = Sync::new(1).windowed(Some("w".into()));
    open.track("b1");
    open.restore(with_a_page());
    assert_eq!(open.get("b1").map(|conversation| conversation.cursor), Some(200));
}

#[test]
fn what_may_be_reached_again_is_asked_at_once_unless_it_was_answered_already() {
    let mut sync = known(1);
    sync.set_live(0, false);
    assert!(!sync.is_due(1_000));
    sync.poll_soon(1_000);
    assert!(sync.is_due(1_000));
    let mut live = known(1);
    live.set_live(0, true);
    live.poll_soon(1_000);
    assert!(!live.is_due(1_000));
}

#[test]
fn what_was_made_anew_is_said_also_where_there_was_no_room_for_its_first_page() {
    let mut sync = known(3);
    sync.track("b1").due = true;
    sync.take_request(0);
    let no_room = answer("i2", 1, 0, 5);
    assert!(merged(sync.answered(0, vec![no_room], "me")).reset);
}

#[test]
fn a_moment_is_waited_for_what_was_told_live() {
    let mut sync = known(1);
    sync.track("b1").due = true;
    sync.after_a_moment(1_000);
    assert_eq!(sync.deadline(), Some(1_000 + LAG_PAUSE_MS));
}

#[test]
fn ticks_of_all_wait_for_the_last_one_of_another_role() {
    let mut sync = known(9);
    let conversation = sync.track("b1");
    conversation.take_receipt(member("colleague", "operator", 0, 0));
    conversation.take_receipt(member("you", "client", 7, 5));
    conversation.take_receipt(member("third", "client", 6, 6));
    assert_eq!(conversation.watermarks("me", true), (6, 5));
    assert_eq!(conversation.watermarks("me", false), (7, 6));
    conversation.members.retain(|member| member.role == "operator");
    assert_eq!(conversation.watermarks("me", true), (0, 0), "nobody else is there");
}

#[test]
fn who_is_of_another_role_is_not_known_before_our_own_is() {
    let mut sync = Sync::new(1);
    let member = |user: &str, role: &str, seq| Member {
        user_id: user.into(),
        role: role.into(),
        delivered_seq: seq,
        read_seq: seq,
    };
    let held = sync.track("b1");
    held.take_receipt(member("a colleague", "operator", 5));
    held.acknowledged("me", 5, 5);
    assert_eq!(held.watermarks("me", false), (0, 0));
    held.take_receipt(member("me", "operator", 5));
    assert_eq!(held.watermarks("me", false), (0, 0));
    held.take_receipt(member("you", "client", 3));
    assert_eq!(held.watermarks("me", false), (3, 3));
}

#[test]
fn what_was_read_here_and_not_there_hides_no_newer_row_from_the_list() {
    let mut sync = known(3);
    sync.track("b1").read = 3;
    let overview = |seq| Overview { unread: 0, last_message: Some(row(seq, "me")) };
    for last_seq in [2, 3] {
        sync.sum_up("b1", last_seq, 2, overview(last_seq), "me");
    }
    let summary = sync.get("b1").and_then(|held| held.summary.clone()).expect("a summary");
    assert_eq!((summary.through, summary.last_message.map(|last| last.seq)), (3, Some(3)));
}

#[test]
fn a_conversation_that_is_named_and_does_not_come_is_asked_for_with_all_others() {
    let mut sync = Sync::new(1);
    sync.want_list();
    let all =
        ListAnswer { since: 10, full: true, total: 0, sum: 0, ids: None, conversations: Vec::new(), partial: false };
    sync.take_request(0);
    sync.list_answered(0, all.clone(), "me");
    sync.all_due();
    sync.take_request(0);
    sync.list_answered(0, ListAnswer { full: false, total: 1, sum: 1, ids: Some(vec!["b1".into()]), ..all }, "me");
    assert_eq!((sync.list_request(), sync.list_is_due()), (Some((None, 0)), true));
}
