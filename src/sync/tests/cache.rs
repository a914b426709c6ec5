//! What the cache keeps of a conversation, what it refuses, and what is read of it again.

use super::*;

#[test]
fn what_the_database_refused_to_keep_is_asked_for_again() {
    let mut sync = known(3);
    sync.track("b1").saved(1, 3);
    sync.set_live(0, true);
    assert_eq!(seqs(&sync.track("b1").take_row(row(4, "you"), "me")), [4]);
    sync.not_saved(0, "b1");
    assert!(!sync.track("b1").may_be_saved(), "a later write would leave a hole");
    let soon = sync.deadline().expect("a time");
    assert!(soon < RECONCILE_LIVE_MS.start, "{soon}");
    assert_eq!(sync.take_request(soon), [("b1", Some((3, "i1")))]);
    assert_eq!(seqs(&merged(sync.answered(soon, vec![answer("i1", 4, 4, 4)], "me"))), [4]);
    assert!(sync.track("b1").may_be_saved());
}

#[test]
fn where_nothing_was_kept_the_first_page_is_asked_for_again() {
    let mut sync = known(3);
    sync.not_saved(0, "b1");
    sync.track("b1").due = true;
    assert_eq!(sync.take_request(0), [("b1", None)]);
}

#[test]
fn an_answer_puts_off_the_next_question_but_not_where_the_database_refused_something() {
    for refused in [true, false] {
        let mut sync = known(3);
        sync.track("b1").saved(1, 3);
        sync.set_live(0, true);
        sync.track("b1").due = false;
        if refused {
            sync.not_saved(0, "b1");
        }
        let planned = sync.reconcile_at;
        let later = RECONCILE_LIVE_MS.end;
        sync.was_answered(later);
        let put_off = sync.reconcile_at > later;
        assert_eq!((put_off, sync.reconcile_at == planned), (!refused, refused));
    }
}

#[test]
fn each_refusal_in_a_row_makes_the_pause_longer_and_a_success_ends_that() {
    let mut sync = known(3);
    let mut pauses = Vec::new();
    for round in 0..7 {
        if round == 6 {
            sync.track("b1").saved(1, 3);
        }
        sync.set_live(0, false);
        sync.set_live(0, true);
        sync.track("b1").due = false;
        sync.not_saved(0, "b1");
        pauses.push(sync.deadline().expect("a time").div_ceil(UNSAVED_PAUSE_MS));
    }
    assert_eq!(pauses[..3], [2, 4, 8], "{pauses:?}");
    assert_eq!(pauses[6], 2, "{pauses:?}");
}

#[test]
fn a_page_of_history_counts_where_it_joins_what_is_held() {
    let mut conversation = with_a_page();
    assert!(!conversation.extend_down(80, 120), "there is a hole");
    assert!(!conversation.extend_down(152, 151), "it ends before it begins");
    assert_eq!(conversation.low, 151);
    assert!(conversation.extend_down(101, 151));
    assert!(!conversation.extend_down(101, 151), "once");
    assert!(conversation.extend_down(1, 101));
    assert_eq!((conversation.low, conversation.span()), (1, 200));
    assert!(!Conversation::new("b1").extend_down(0, 1), "nothing is held");
}

#[test]
fn what_is_oldest_goes_first_and_the_newest_stay() {
    let mut conversation = with_a_page();
    assert!(conversation.extend_down(1, 151));
    assert!(conversation.shorten(20, 50));
    assert_eq!((conversation.low, conversation.span()), (21, 180));
    assert!(conversation.shorten(u64::MAX, 50));
    assert_eq!((conversation.low, conversation.cursor), (151, 200));
    assert!(!conversation.shorten(1, 50));
}

#[test]
fn history_that_the_database_refused_is_not_held() {
    let mut sync = Sync::new(1);
    let mut page = with_a_page();
    assert!(page.is_settled());
    assert!(page.extend_down(101, 151));
    sync.restore(page);
    sync.not_saved(0, "b1");
    assert!(!sync.track("b1").is_settled());
    sync.track("b1").due = true;
    sync.take_request(0);
    assert_eq!(sync.track("b1").low, 151);
    assert_eq!(sync.track("b1").to_record()["low"], 151);

    let mut sync = Sync::new(1);
    let mut page = Conversation::from_record(&with_a_page().to_record()).expect("a record");
    assert!(page.extend_down(101, 151));
    sync.restore(page);
    sync.not_saved(0, "b1");
    sync.track("b1").due = true;
    sync.take_request(0);
    assert_eq!(sync.track("b1").low, 151, "as far as the cache has it");
}

#[test]
fn what_a_following_tab_has_read_is_known_also_when_it_comes_before_the_cache_is_read() {
    let mut sync = Sync::new(1);
    sync.track("b1").read = 180;
    sync.restore(with_a_page());
    assert_eq!(sync.track("b1").read, 180);
    let mut anew = with_a_page();
    anew.incarnation = "i2".into();
    sync.restore(anew);
    assert_eq!(sync.track("b1").read, 0, "of another conversation nothing was read");
}

#[test]
fn what_was_heard_before_the_cache_was_read_joins_it() {
    let mut sync = Sync::new(1);
    for seq in [199, 200, 202] {
        sync.track("b1").take_row(row(seq, "you"), "me");
    }
    sync.restore(with_a_page());
    let merge = sync.track("b1").take_row(row(201, "you"), "me");
    assert_eq!((merge.from, seqs(&merge)), (201, vec![201, 202]));
    assert!(!sync.is_due(0), "and nothing is missing");
}

#[test]
fn a_record_survives_the_database_and_one_of_another_version_is_not_read() {
    let mut sync = known(3);
    let conversation = sync.track("b1");
    conversation.stored = 3;
    let mut record = conversation.to_record();
    let restored = Conversation::from_record(&record).expect("known version");
    assert_eq!((restored.cursor, restored.stored, restored.members.len()), (3, 3, 2));
    record["v"] = json!(2);
    assert_eq!(Conversation::from_record(&record), None);
}

#[test]
fn every_field_of_a_record_is_read() {
    let record = json!({"v": 1, "id": "b1", "incarnation": "i1", "low": 4, "cursor": 9, "read": 6, "others_seq": 8,
        "members": [{"user_id": "me", "role": "operator", "delivered_seq": 5, "read_seq": 3}]});
    let conversation = Conversation::from_record(&record).expect("known version");
    assert_eq!((conversation.id.as_str(), conversation.incarnation.as_str()), ("b1", "i1"));
    assert_eq!((conversation.low, conversation.cursor, conversation.stored), (4, 9, 9));
    assert_eq!((conversation.read, conversation.others_seq), (6, 8));
    assert_eq!(conversation.members, [member("me", "operator", 5, 3)]);
    assert_eq!(conversation.to_record(), record);
}
