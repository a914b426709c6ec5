use super::*;
use crate::{json::empty_object, outbox::Phase};

fn id(n: u8) -> MessageId {
    MessageId::v7(0, [n; 10])
}

fn stored(seq: u64, n: u8, sender: &str) -> StoredMessage {
    StoredMessage {
        id: id(n),
        conversation_id: "b1".into(),
        seq,
        kind: Kind::Message,
        target_id: None,
        sender_id: Some(sender.into()),
        sender_role: "operator".into(),
        content: format!("message {n}"),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: "2026-11-23T06:30:00+00:00".into(),
        edited_at: None,
        deleted_at: None,
    }
}

fn pending(key: u64, n: u8, status: DeliveryStatus) -> Pending {
    let envelope = Envelope {
        id: id(n),
        conversation_id: "b1".into(),
        kind: Kind::Message,
        target_id: None,
        content: format!("message {n}"),
        message_type: "text".into(),
        metadata: empty_object(),
        created_at: 0,
    };
    let state = RowState {
        status,
        phase: Phase::Queued,
        retry_count: 0,
        next_attempt_at: None,
        blocked_by: None,
        failure: None,
    };
    Pending { key, envelope, state, next_attempt_wall: None }
}

fn shown(patch: Option<Patch>) -> Vec<(u64, String)> {
    let text = |value: &Value| {
        format!("{} {}", value["content"].as_str().unwrap_or(""), value["delivery_status"].as_str().unwrap_or("-"))
    };
    patch.map(|patch| patch.upserts.iter().map(|(order, view)| (*order, text(view))).collect()).unwrap_or_default()
}

fn timeline() -> Timeline {
    let mut timeline = Timeline::new("me", "operator");
    assert!(timeline.take_patch().is_some_and(|patch| patch.reset && patch.upserts.is_empty()));
    timeline
}

#[test]
fn pending_rows_stand_behind_stored_ones_in_the_order_of_sending() {
    let mut timeline = timeline();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Sending), pending(9, 3, DeliveryStatus::Sending)]);
    timeline.put(stored(5, 1, "you"));
    assert_eq!(
        shown(timeline.take_patch()),
        [
            (5, "message 1 -".into()),
            (PENDING_BASE + 8, "message 2 sending".into()),
            (PENDING_BASE + 9, "message 3 sending".into())
        ]
    );
    assert_eq!(timeline.take_patch(), None, "nothing changed since");
}

#[test]
fn a_message_that_gets_stored_moves_to_its_place_and_is_never_removed_in_between() {
    let mut timeline = timeline();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Sending)]);
    timeline.take_patch();
    timeline.put(stored(6, 2, "me"));
    timeline.set_pending(Vec::new());
    let patch = timeline.take_patch();
    assert_eq!(patch.as_ref().map(|patch| patch.removes.len()), Some(0));
    assert_eq!(shown(patch), [(6, "message 2 sent".into())]);
}

#[test]
fn the_same_row_twice_changes_nothing() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "you"));
    timeline.take_patch();
    timeline.put(stored(1, 1, "you"));
    timeline.fill(StoredMessage { content: "older".into(), ..stored(1, 1, "you") });
    assert_eq!(timeline.take_patch(), None);
}

#[test]
fn ticks_rise_for_own_messages_only_and_never_fall() {
    let mut timeline = timeline();
    for (seq, sender) in [(1, "me"), (2, "you"), (3, "me")] {
        timeline.put(stored(seq, u8::try_from(seq).unwrap_or(0), sender));
    }
    timeline.take_patch();
    timeline.set_watermarks(2, 1);
    assert_eq!(shown(timeline.take_patch()), [(1, "message 1 read".into())]);
    timeline.set_watermarks(3, 0);
    assert_eq!(shown(timeline.take_patch()), [(3, "message 3 delivered".into())]);
    timeline.set_watermarks(0, 0);
    assert_eq!(timeline.take_patch(), None);
}

#[test]
fn an_edit_and_a_delete_change_what_they_aim_at() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "you"));
    let target_id = Some(id(1).as_str().to_owned());
    let edit = StoredMessage {
        kind: Kind::Edit,
        target_id: target_id.clone(),
        content: "better".into(),
        ..stored(2, 2, "you")
    };
    assert_eq!(timeline.put(edit).map(|changed| changed.content.clone()).as_deref(), Some("better"));
    assert_eq!(shown(timeline.take_patch()), [(1, "better -".into())]);
    timeline.put(StoredMessage { kind: Kind::Delete, target_id, ..stored(3, 3, "you") });
    let patch = timeline.take_patch().unwrap_or_default();
    assert_eq!(patch.upserts[0].1["content"], "");
    assert!(patch.upserts[0].1["deleted_at"].as_str().is_some());
}

#[test]
fn of_two_edits_that_were_stored_at_the_same_time_the_later_one_counts() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "you"));
    for (seq, content) in [(2, "better"), (3, "best")] {
        let target_id = Some(id(1).as_str().to_owned());
        let created_at = "of one transaction".to_owned();
        let edit = stored(seq, seq as u8, "you");
        timeline.put(StoredMessage { kind: Kind::Edit, target_id, content: content.into(), created_at, ..edit });
    }
    assert_eq!(shown(timeline.take_patch()), [(1, "best -".into())]);
}

#[test]
fn another_database_drops_what_was_stored_and_keeps_what_is_on_its_way() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "you"));
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Failed)]);
    timeline.take_patch();
    timeline.reset();
    let patch = timeline.take_patch();
    assert!(patch.as_ref().is_some_and(|patch| patch.reset));
    assert_eq!(shown(patch), [(PENDING_BASE + 8, "message 2 failed".into())]);
}

#[test]
fn a_row_that_was_discarded_is_removed() {
    let mut timeline = timeline();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Failed)]);
    timeline.take_patch();
    timeline.set_pending(Vec::new());
    assert_eq!(timeline.take_patch().map(|patch| patch.removes), Some(vec![id(2)]));
}

#[test]
fn a_row_that_takes_a_new_key_moves_and_is_not_removed() {
    let mut timeline = timeline();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Failed)]);
    timeline.take_patch();
    timeline.set_pending(vec![pending(9, 2, DeliveryStatus::Sending)]);
    let patch = timeline.take_patch().unwrap_or_default();
    assert_eq!((patch.removes.len(), patch.upserts[0].0), (0, PENDING_BASE + 9));
}

/// An edit or a delete of the message `target`, on its way.
fn echo(key: u64, n: u8, kind: Kind, target: u8, content: &str, status: DeliveryStatus) -> Pending {
    let mut row = pending(key, n, status);
    row.envelope =
        Envelope { kind, target_id: Some(id(target).as_str().to_owned()), content: content.into(), ..row.envelope };
    row
}

#[test]
fn an_edit_on_its_way_shows_on_the_stored_message_with_its_own_state() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "me"));
    timeline.put(stored(2, 2, "me"));
    timeline.take_patch();
    let row = |status| echo(8, 3, Kind::Edit, 1, "better", status);
    timeline.set_pending(vec![row(DeliveryStatus::Sending)]);
    let patch = timeline.take_patch().unwrap_or_default();
    assert_eq!(patch.upserts.len(), 1, "only what it aims at");
    let view = &patch.upserts[0].1;
    assert_eq!(
        (view["id"].as_str(), view["seq"].as_u64(), view["phase"].as_str()),
        (Some(id(1).as_str()), Some(1), Some("queued"))
    );
    assert_eq!(view["edited_at"], *iso8601(0));
    assert_eq!((view["deleted_at"].clone(), view["failure"].clone()), (Value::Null, Value::Null));
    assert_eq!(shown(Some(patch)), [(1, "better sending".into())]);

    timeline.set_pending(vec![row(DeliveryStatus::Sending)]);
    assert_eq!(timeline.take_patch(), None, "nothing changed since");
    timeline.set_pending(vec![row(DeliveryStatus::Failed)]);
    assert_eq!(shown(timeline.take_patch()), [(1, "better failed".into())]);
    timeline.set_pending(Vec::new());
    assert_eq!(shown(timeline.take_patch()), [(1, "message 1 sent".into())]);
}

#[test]
fn a_delete_on_its_way_empties_the_message_and_says_when() {
    let mut timeline = timeline();
    timeline.put(stored(1, 1, "me"));
    timeline.take_patch();
    timeline.set_pending(vec![
        echo(8, 3, Kind::Edit, 1, "better", DeliveryStatus::Sending),
        echo(9, 4, Kind::Delete, 1, "", DeliveryStatus::Failed),
    ]);
    let patch = timeline.take_patch().unwrap_or_default();
    assert_eq!(patch.upserts[0].1["deleted_at"], *iso8601(0));
    assert_eq!(shown(Some(patch)), [(1, " failed".into())]);
}

#[test]
fn an_edit_on_its_way_shows_on_a_message_that_is_on_its_way_which_keeps_its_state() {
    let mut timeline = timeline();
    let edit = echo(9, 3, Kind::Edit, 2, "better", DeliveryStatus::Sending);
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Failed)]);
    timeline.take_patch();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Failed), edit.clone()]);
    assert_eq!(shown(timeline.take_patch()), [(PENDING_BASE + 8, "better failed".into())]);
    timeline.put(stored(5, 2, "me"));
    timeline.set_pending(vec![edit]);
    assert_eq!(shown(timeline.take_patch()), [(5, "better sending".into())]);
}

#[test]
fn a_tombstone_shows_nothing_unless_the_message_is_there() {
    let mut timeline = timeline();
    timeline.set_pending(vec![pending(8, 2, DeliveryStatus::Sending)]);
    timeline.take_patch();
    timeline.set_pending(vec![echo(8, 2, Kind::Delete, 2, "", DeliveryStatus::Sending)]);
    let patch = timeline.take_patch().unwrap_or_default();
    assert_eq!((patch.upserts.len(), patch.removes), (0, vec![id(2)]));
    timeline.put(stored(5, 2, "me"));
    assert_eq!(shown(timeline.take_patch()), [(5, " sending".into())], "it came too late");
}

#[test]
fn a_message_in_the_place_of_another_takes_it_off_the_screen() {
    let mut timeline = timeline();
    timeline.put(stored(6, 1, "me"));
    timeline.put(stored(7, 2, "me"));
    timeline.take_patch();
    timeline.put(stored(6, 2, "me"));
    let patch = timeline.take_patch().expect("something changed");
    assert_eq!(patch.removes, [id(1)]);
    assert_eq!(patch.upserts.iter().map(|(order, _)| *order).collect::<Vec<_>>(), [6]);
}

fn amendment(seq: u64, kind: Kind, target: u8, content: &str) -> StoredMessage {
    let created_at = format!("2026-11-23T06:31:{seq:02}+00:00");
    let target_id = Some(id(target).as_str().to_owned());
    StoredMessage { kind, target_id, content: content.into(), created_at, ..stored(seq, 100 + seq as u8, "you") }
}

#[test]
fn what_comes_into_view_below_its_edit_is_edited() {
    let mut timeline = Timeline::new("me", "operator");
    assert!(timeline.put(amendment(5, Kind::Edit, 1, "first")).is_none());
    assert!(timeline.put(amendment(7, Kind::Edit, 1, "last")).is_none());
    assert!(timeline.put(amendment(6, Kind::Edit, 1, "between")).is_none(), "an older one than is known");
    assert!(timeline.put(amendment(8, Kind::Delete, 2, "")).is_none());
    let edited = timeline.put(stored(1, 1, "you")).expect("it is another one now");
    assert_eq!((edited.content.as_str(), edited.edited_at.as_deref()), ("last", Some("2026-11-23T06:31:07+00:00")));
    assert!(
        timeline
            .put(stored(2, 2, "you"))
            .is_some_and(|deleted| deleted.content.is_empty() && deleted.deleted_at.is_some())
    );
    assert!(timeline.put(stored(3, 3, "you")).is_none());
    assert_eq!(
        shown(timeline.take_patch()).iter().map(|(seq, text)| format!("{seq} {text}")).collect::<Vec<_>>(),
        ["1 last -", "2  -", "3 message 3 -"]
    );
    timeline.reset();
    assert!(timeline.put(stored(1, 1, "you")).is_none(), "of another conversation");
}

#[test]
fn an_edit_that_the_server_emptied_for_a_later_delete_changes_nothing() {
    let mut timeline = Timeline::new("me", "operator");
    timeline.put(stored(1, 1, "you"));
    assert!(timeline.put(amendment(2, Kind::Edit, 1, "")).is_none());
    assert!(timeline.put(amendment(3, Kind::Delete, 1, "")).is_some());
    assert!(timeline.put(amendment(4, Kind::Edit, 1, "too late")).is_none());
}

#[test]
fn what_others_have_read_of_another_conversation_of_this_name_says_nothing_of_this_one() {
    let mut timeline = timeline();
    timeline.put(stored(5, 5, "me"));
    timeline.set_watermarks(5, 5);
    assert_eq!(shown(timeline.take_patch()), [(5, "message 5 read".into())]);
    timeline.reset();
    timeline.put(stored(1, 6, "me"));
    assert_eq!(shown(timeline.take_patch()), [(1, "message 6 sent".into())]);
}
