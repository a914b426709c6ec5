//! The list, in what its requests and answers do to each conversation.

use super::*;
use crate::{
    json::{number, object},
    rest::{ListAnswer, Overview},
    store::RECORD_VERSION,
};

/// Four of the messages up to 9 are unread, for the server knows that we read up to 5.
fn overview() -> SyncAnswer {
    let members = vec![member("you", "client", 8, 8), member("me", "operator", 9, 5)];
    let overview = Overview { unread: 4, last_message: Some(row(9, "you")) };
    SyncAnswer { rows: Vec::new(), members, overview: Some(overview), ..answer("i1", 1, 9, 9) }
}

fn list_answer(conversations: Vec<SyncAnswer>) -> ListAnswer {
    ListAnswer { since: 7, full: true, total: 1, sum: 9, ids: None, conversations, partial: false }
}

/// The list is asked for.
fn asking() -> Sync {
    let mut sync = Sync::new(1);
    sync.want_list();
    sync.take_request(0);
    assert!(sync.list_is_asked());
    sync
}

#[test]
fn only_the_list_brings_what_was_not_asked_for() {
    let mut sync = known(1);
    sync.track("b1").due = true;
    sync.take_request(0);
    let unasked = SyncAnswer { conversation_id: "b2".into(), ..answer("i2", 1, 1, 1) };
    assert!(sync.answered(0, vec![unasked.clone()], "me").is_empty());
    assert_eq!(sync.get("b2"), None);

    let mut sync = asking();
    let named = SyncAnswer { conversation_id: "b2".into(), ..overview() };
    assert_eq!(sync.list_answered(0, list_answer(vec![named]), "me").len(), 1);
    assert!(sync.get("b2").is_some());
}

#[test]
fn unread_is_counted_from_what_the_server_knows_of_our_own_reading() {
    let mut sync = asking();
    sync.list_answered(0, list_answer(vec![overview()]), "me");
    let summary = sync.get("b1").and_then(|held| held.summary.clone()).expect("a summary");
    assert_eq!((summary.unread, number(&summary.to_value(), "read")), (4, Some(5)));
}

#[test]
fn a_list_that_was_not_answered_is_asked_for_again() {
    for give_up in [|sync: &mut Sync| sync.failed(0), |sync: &mut Sync| sync.abandon()] {
        let mut sync = asking();
        give_up(&mut sync);
        assert!(!sync.list_is_asked() && sync.list_is_due());
        sync.take_request(60_000);
        assert!(sync.list_is_asked());
    }
}

#[test]
fn a_conversation_that_was_set_back_is_known_by_what_was_held_when_the_list_was_asked_for() {
    for (held, reset) in [(8, false), (12, true)] {
        let mut sync = known(held);
        sync.want_list();
        let mut resets = Vec::new();
        // What a lagging server does not know yet it may know when it is asked again.
        for now in [60_000, 70_000] {
            sync.take_request(now);
            sync.track("b1").take_row(row(held + 1, "you"), "me");
            resets.push(merged(sync.list_answered(now, list_answer(vec![overview()]), "me")).reset);
            sync.track("b1").due = true;
        }
        assert_eq!(resets, [false, reset], "{held} of 9");
    }
}

/// Messages up to 9 are there, of which four are unread.
fn summed() -> Sync {
    let mut sync = asking();
    sync.list_answered(0, list_answer(vec![overview()]), "me");
    sync.take_changes();
    assert!(!sync.list_is_due());
    sync
}

fn unread(sync: &Sync) -> u64 {
    sync.get("b1").and_then(|held| held.summary.as_ref()).expect("a summary").unread
}

fn last(sync: &Sync) -> StoredMessage {
    sync.get("b1").and_then(|held| held.summary.clone()?.last_message).expect("a last message")
}

/// A row that changes the message of this place.
fn change(seq: u64, sender: &str, kind: Kind, of: u64) -> StoredMessage {
    let target_id = Some(row(of, "").id.as_str().to_owned());
    StoredMessage { kind, target_id, content: "changed".into(), created_at: "later".into(), ..row(seq, sender) }
}

#[test]
fn messages_of_others_that_come_live_are_unread_once() {
    let mut sync = summed();
    let gone = StoredMessage { deleted_at: Some("t".into()), ..row(12, "you") };
    sync.count_rows("b1", &[row(9, "you"), row(10, "you"), row(11, "me"), gone], "me");
    assert_eq!((unread(&sync), last(&sync).seq), (5, 12));
    sync.count_rows("b1", &[row(10, "you")], "me");
    assert_eq!(unread(&sync), 5, "it was counted");
    assert_eq!(sync.take_changes().0, ["b1"]);
    sync.count_rows("b1", &[], "me");
    assert!(sync.take_changes().0.is_empty());
}

#[test]
fn what_was_read_before_it_came_is_not_unread() {
    let mut sync = summed();
    sync.track("b1").read = 11;
    assert_eq!(sync.count_read("me"), ["b1"]);
    sync.count_rows("b1", &[row(10, "you"), row(11, "you"), row(12, "you")], "me");
    assert_eq!(unread(&sync), 1);
}

#[test]
fn reading_a_part_leaves_a_count_that_is_asked_for() {
    let mut here = summed();
    here.track("b1").read = 8;
    assert_eq!(here.count_read("me"), ["b1"]);
    assert_eq!((unread(&here), here.list_is_due()), (4, false), "the server does not know of it yet");
    here.acknowledged("b1", "me", 9, 8);
    assert!(here.list_is_due());

    let mut elsewhere = summed();
    elsewhere.track("b1").take_receipt(member("me", "operator", 9, 8));
    elsewhere.count_read("me");
    assert!(elsewhere.list_is_due());

    let mut all = summed();
    all.track("b1").take_receipt(member("me", "operator", 9, 9));
    all.count_read("me");
    assert_eq!((unread(&all), all.list_is_due()), (0, false));
    assert!(all.count_read("me").is_empty(), "once");
}

#[test]
fn an_edit_shows_where_it_is_the_last_message_that_was_edited() {
    let mut sync = summed();
    sync.count_rows("b1", &[change(10, "you", Kind::Edit, 9)], "me");
    assert_eq!((last(&sync).seq, last(&sync).content.as_str(), unread(&sync)), (9, "changed", 4));
    assert_eq!(last(&sync).edited_at.as_deref(), Some("later"));
    sync.count_rows("b1", &[change(11, "you", Kind::Edit, 3)], "me");
    assert_eq!((last(&sync).edited_at.as_deref(), sync.list_is_due()), (Some("later"), false));
}

#[test]
fn the_last_message_that_is_deleted_counts_no_more() {
    let delete = |seq, sender, of| change(seq, sender, Kind::Delete, of);
    let mut sync = summed();
    sync.count_rows("b1", &[delete(10, "you", 9), delete(11, "you", 9)], "me");
    assert_eq!(
        (unread(&sync), last(&sync).deleted_at.as_deref(), last(&sync).content.as_str()),
        (3, Some("later"), "")
    );

    let mut own = summed();
    own.count_rows("b1", &[row(10, "me"), delete(11, "me", 10)], "me");
    assert_eq!(unread(&own), 4, "it was never unread");

    let mut read = summed();
    read.count_rows("b1", &[row(10, "you")], "me");
    read.track("b1").read = 10;
    read.count_read("me");
    read.count_rows("b1", &[delete(11, "you", 10)], "me");
    assert_eq!(unread(&read), 0);
}

#[test]
fn the_delete_of_an_earlier_message_leaves_a_count_that_is_asked_for() {
    let mut others = summed();
    others.count_rows("b1", &[change(10, "you", Kind::Delete, 3)], "me");
    assert!(others.list_is_due());
    let mut own = summed();
    own.count_rows("b1", &[change(10, "me", Kind::Delete, 3)], "me");
    assert!(!own.list_is_due(), "an own one was not unread");
    let mut read = summed();
    read.track("b1").read = 9;
    read.count_read("me");
    read.count_rows("b1", &[change(10, "you", Kind::Delete, 3)], "me");
    assert!(!read.list_is_due(), "there is nothing unread");
}

/// The server answers again, with so many rows and these figures.
fn told_again(sync: &mut Sync, last_seq: u64, server_read: u64, count: u64) {
    let overview = Overview { unread: count, last_message: Some(row(last_seq, "you")) };
    sync.sum_up("b1", last_seq, server_read, overview, "me");
}

#[test]
fn an_answer_from_before_what_is_held_here_changes_no_count() {
    let mut ahead = summed();
    ahead.count_rows("b1", &[row(10, "you"), row(11, "you")], "me");
    told_again(&mut ahead, 10, 5, 5);
    assert_eq!((unread(&ahead), last(&ahead).seq), (6, 11));

    let mut read = summed();
    read.track("b1").read = 9;
    read.count_read("me");
    told_again(&mut read, 9, 5, 4);
    assert_eq!(unread(&read), 0, "we know better what was read");
    told_again(&mut read, 10, 5, 5);
    assert_eq!((unread(&read), last(&read).seq), (5, 10), "but not what came since");

    let mut same = summed();
    told_again(&mut same, 9, 5, 3);
    assert_eq!(unread(&same), 3, "the server knows better what is unread");
}

#[test]
fn what_is_unread_is_of_others() {
    let mut sync = summed();
    assert_eq!(sync.track("b1").others_seq, 9);
    told_again(&mut sync, 10, 9, 0);
    assert_eq!(sync.track("b1").others_seq, 9);
}

#[test]
fn a_list_that_does_not_add_up_is_asked_for_again_after_a_moment() {
    let mut sync = summed();
    sync.take_request(60_000);
    let more = ListAnswer { full: false, total: 2, ..list_answer(Vec::new()) };
    sync.list_answered(60_000, more, "me");
    assert_eq!((sync.list_is_due(), sync.deadline()), (true, Some(60_000 + LAG_PAUSE_MS)));
}

#[test]
fn a_conversation_that_is_refused_hides_no_list_that_does_not_add_up() {
    let mut sync = summed();
    sync.track("b2");
    sync.take_request(60_000);
    let refused = SyncAnswer { conversation_id: "b2".into(), status: SyncStatus::Forbidden, ..answer("", 0, 0, 0) };
    let fewer = ListAnswer { full: false, total: 0, sum: 0, ..list_answer(vec![refused]) };
    sync.list_answered(60_000, fewer, "me");
    assert!(sync.list_is_due());
}

#[test]
fn a_list_that_is_kept_waits_for_the_channel_a_moment() {
    let kept = || {
        let mut sync = Sync::new(1);
        sync.restore_list(&object(vec![("v", RECORD_VERSION.into()), ("since", 7.into())]));
        sync
    };
    let mut waits = kept();
    waits.await_channel(1_000);
    assert_eq!(waits.deadline(), Some(3_000));
    let mut live = kept();
    live.set_live(0, true);
    live.await_channel(1_000);
    assert_eq!(live.deadline(), Some(0));
    let mut empty = Sync::new(1);
    empty.want_list();
    empty.await_channel(1_000);
    assert_eq!(empty.deadline(), Some(0), "there is nothing to show meanwhile");
}

#[test]
fn a_list_that_is_forgotten_is_asked_for_anew() {
    let mut sync = summed();
    assert_eq!(sync.list_request(), Some((Some(7), 1)));
    sync.forget_list();
    assert_eq!(sync.list_request().map(|(since, _)| since), Some(None));
    assert!(sync.list_is_due() && !sync.has_list());
}

#[test]
fn what_is_not_known_yet_is_asked_for_beside_the_list() {
    let mut sync = known(3);
    sync.track("b2");
    sync.want_list();
    assert_eq!((sync.track("b1").due, sync.track("b2").due), (false, true));
}

/// In the list, but its first page had no room, or could not be written.
fn listed_without_rows() -> [Sync; 2] {
    let mut no_room = Sync::new(1);
    no_room.track("b1");
    no_room.want_list();
    no_room.take_request(0);
    no_room.list_answered(0, list_answer(vec![SyncAnswer { through_seq: 0, ..overview() }]), "me");
    let mut unwritten = summed();
    unwritten.not_saved(0, "b1");
    unwritten.track("b1").due = true;
    unwritten.take_request(60_000);
    unwritten.failed(60_000);
    [no_room, unwritten]
}

#[test]
fn what_stands_in_the_list_without_its_rows_leaves_it_when_its_membership_is_withdrawn() {
    for mut sync in listed_without_rows() {
        assert!(sync.get("b1").is_some_and(|held| !held.is_known() && held.summary.is_some()));
        assert!(sync.withdraw("b1"));
        assert_eq!(sync.take_changes().1, ["b1"]);
        assert_eq!(sync.get("b1"), None);
    }
    for mut sync in listed_without_rows() {
        sync.take_request(120_000);
        let none = ListAnswer { total: 0, sum: 0, ..list_answer(Vec::new()) };
        let synced = sync.list_answered(120_000, none, "me");
        assert!(matches!(&synced[..], [(id, Synced::Refused(SyncStatus::Forbidden))] if id == "b1"));
    }
}

#[test]
fn a_row_behind_one_that_was_not_counted_leaves_a_count_that_is_asked_for() {
    let mut sync = summed();
    sync.count_rows("b1", &[row(11, "you")], "me");
    assert!(sync.list_is_due());

    let nothing_new = ListAnswer { full: false, ..list_answer(Vec::new()) };
    sync.take_request(60_000);
    sync.list_answered(60_000, nothing_new, "me");
    assert!(!sync.list_is_due());
    sync.acknowledged("b1", "me", 9, 5);
    assert!(sync.list_is_due(), "what it says of a time before our own reading was known is no count");
}

#[test]
fn what_was_read_here_and_not_there_hides_no_last_message() {
    let mut sync = summed();
    sync.track("b1").read = 11;
    // The row 10 is a message that an earlier answer did not know yet.
    sync.count_rows("b1", &[change(11, "me", Kind::Delete, 10)], "me");
    sync.count_read("me");
    let gone = StoredMessage { deleted_at: Some("t".into()), ..row(10, "me") };
    let overview = Overview { unread: 4, last_message: Some(gone.clone()) };
    sync.sum_up("b1", 11, 5, overview, "me");
    assert_eq!((unread(&sync), last(&sync)), (0, gone));
}

#[test]
fn a_line_whose_rows_were_not_here_is_not_ahead_of_a_database_that_was_set_back() {
    let [mut sync, _] = listed_without_rows();
    sync.take_request(120_000);
    let overview = Overview { unread: 1, last_message: Some(row(3, "you")) };
    let copy = SyncAnswer { overview: Some(overview), ..answer("i2", 1, 3, 3) };
    sync.list_answered(120_000, ListAnswer { sum: 3, ..list_answer(vec![copy]) }, "me");
    assert_eq!((unread(&sync), last(&sync).seq), (1, 3));
}

#[test]
fn nor_are_the_marks_of_such_a_line_those_of_the_copy() {
    // The copy ends where the line did, and there nobody has read anything.
    for mut sync in listed_without_rows() {
        sync.take_request(120_000);
        let members = vec![member("you", "client", 8, 8), member("me", "operator", 0, 0)];
        let overview = Overview { unread: 7, last_message: Some(row(9, "you")) };
        let copy = SyncAnswer { members, overview: Some(overview), ..answer("i2", 1, 9, 9) };
        sync.list_answered(120_000, ListAnswer { sum: 9, ..list_answer(vec![copy]) }, "me");
        assert_eq!((unread(&sync), sync.get("b1").map(|held| held.read_mark("me"))), (7, Some(0)));
    }
}

#[test]
fn the_list_is_kept_once_the_rows_of_all_its_lines_are() {
    let mut sync = summed();
    sync.track("b1").saved(1, 9);
    assert!(sync.list_may_be_saved());
    sync.track("never there");
    assert!(sync.list_may_be_saved(), "nothing is known of it, and nothing is missed");
    sync.not_saved(0, "b1");
    assert!(!sync.list_may_be_saved());
    for sync in listed_without_rows() {
        assert!(!sync.list_may_be_saved());
    }
}

#[test]
fn what_was_never_this_users_does_not_leave_the_list() {
    let mut sync = asking();
    sync.track("never there");
    let synced = sync.list_answered(0, list_answer(vec![overview()]), "me");
    assert_eq!(synced.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b1"]);
    assert!(!sync.withdraw("never there"));
    assert_eq!(sync.take_changes().1, [""; 0]);
}
