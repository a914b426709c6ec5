use super::*;
use crate::json;

const ROOM: &str = "b1";

fn entry(references: &[&str]) -> Value {
    let meta = |reference: &&str| json!({"phx_ref": *reference});
    json!({"metas": references.iter().map(meta).collect::<Vec<Value>>()})
}

fn list(people: &People) -> Vec<(&str, bool)> {
    people.list(ROOM).collect()
}

fn nobody() -> Value {
    json!({})
}

#[test]
fn topics_of_conversations_are_told_from_others() {
    assert_eq!(topic_of("b1"), "chat:b1");
    assert_eq!(conversation_of("chat:b1"), Some("b1"));
    assert_eq!(conversation_of("chat-user:b1"), None);
}

#[test]
fn a_user_who_is_there_twice_is_listed_once_and_until_the_last_leave() {
    let mut people = People::default();
    people.take_state(ROOM, &json!({"anna": entry(&["1"])}));
    people.take_diff(ROOM, &json!({"anna": entry(&["2"]), "ben": entry(&["3"])}), &nobody());
    people.take_diff(ROOM, &json!({"ben": entry(&["3"])}), &nobody());
    assert_eq!(list(&people), [("anna", false), ("ben", false)]);
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["1"]), "ben": entry(&["3"])}));
    assert_eq!(list(&people), [("anna", false)]);
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["2"])}));
    assert_eq!(list(&people), []);
}

#[test]
fn a_leave_of_a_reference_that_was_replaced_takes_nobody_away() {
    let mut people = People::default();
    people.take_state(ROOM, &json!({"anna": entry(&["1"])}));
    people.take_diff(ROOM, &json!({"anna": entry(&["2"])}), &json!({"anna": entry(&["1"])}));
    assert_eq!(list(&people), [("anna", false)]);
}

#[test]
fn a_state_replaces_what_was_known() {
    let mut people = People::default();
    people.take_state(ROOM, &json!({"anna": entry(&["1"]), "ben": entry(&["2"])}));
    people.take_typing(0, ROOM, "ben", true);
    people.take_state(ROOM, &json!({"anna": entry(&["7"])}));
    assert_eq!(list(&people), [("anna", false), ("ben", true)], "whoever types is there");
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["7"])}));
    assert_eq!(list(&people), [("ben", true)]);
}

#[test]
fn typing_ends_by_word_by_time_by_leave_and_by_message() {
    let mut people = People::default();
    people.take_state(ROOM, &json!({"anna": entry(&["1"])}));
    people.take_typing(0, ROOM, "anna", true);
    assert_eq!(list(&people), [("anna", true)]);
    people.take_typing(1_000, ROOM, "anna", false);
    assert_eq!(list(&people), [("anna", false)]);

    people.take_typing(2_000, ROOM, "anna", true);
    people.take_typing(5_000, ROOM, "anna", true);
    assert_eq!(people.deadline(), Some(11_000));
    assert!(people.expire(10_999).is_empty());
    assert_eq!(people.expire(11_000), [ROOM]);
    assert_eq!((list(&people), people.deadline()), (vec![("anna", false)], None));

    people.take_typing(12_000, ROOM, "anna", true);
    assert!(people.wrote(ROOM, "anna") && !people.wrote(ROOM, "anna"));
    assert_eq!(list(&people), [("anna", false)]);

    people.take_typing(13_000, ROOM, "anna", true);
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["1"])}));
    assert_eq!(list(&people), []);
}

#[test]
fn whoever_types_unseen_is_there_as_long_as_that() {
    let mut people = People::default();
    people.take_typing(0, ROOM, "anna", true);
    assert_eq!(list(&people), [("anna", true)]);
    people.expire(6_000);
    assert_eq!(list(&people), []);
}

#[test]
fn what_another_tab_tells_replaces_what_was_known_and_ends_by_itself() {
    let mut people = People::default();
    people.take_state(ROOM, &json!({"ben": entry(&["1"])}));
    people.take_relayed(0, ROOM, vec![("anna".into(), true)]);
    assert_eq!(list(&people), [("anna", true)]);
    people.expire(6_000);
    assert_eq!(list(&people), [("anna", false)]);
    people.forget(ROOM);
    assert_eq!(list(&people), []);
}

#[test]
fn no_shape_of_presence_is_too_much() {
    let mut people = People::default();
    for odd in [
        json!(null),
        json!([1]),
        json!({"anna": 1}),
        json!({"anna": {"metas": [{}, 1]}}),
        json!({"anna": {"metas": {}}}),
    ] {
        people.take_state(ROOM, &odd);
        people.take_diff(ROOM, &odd, &odd);
        assert_eq!(list(&people), []);
    }
    for n in 0..1_000 {
        people.take_typing(0, ROOM, &n.to_string(), true);
    }
    assert_eq!(list(&people).len(), MAX_PEOPLE);
}

#[test]
fn typing_is_told_at_once_again_while_it_lasts_and_at_its_end() {
    let mut typist = Typist::default();
    assert_eq!(typist.set(0, ROOM, true), Some(true));
    for key in [200, 400, 2_900] {
        assert_eq!(typist.set(key, ROOM, true), None);
    }
    assert_eq!(typist.deadline(), Some(3_000));
    assert_eq!(typist.due(3_000), [(ROOM.to_owned(), true)]);
    assert_eq!(typist.due(3_000), []);
    assert_eq!(typist.due(6_000), [(ROOM.to_owned(), true)], "five seconds after the last key it still counts");
    assert_eq!(typist.due(7_900), [(ROOM.to_owned(), false)]);
    assert_eq!(typist.due(9_000), []);
    assert_eq!(typist.deadline(), None);
}

#[test]
fn however_often_somebody_begins_it_is_told_every_three_seconds_at_most() {
    let mut typist = Typist::default();
    assert_eq!(typist.set(0, ROOM, true), Some(true));
    assert_eq!(typist.set(500, ROOM, false), Some(false));
    assert_eq!(typist.set(600, ROOM, false), None);
    assert_eq!(typist.set(700, ROOM, true), None);
    assert_eq!(typist.set(800, ROOM, false), None, "nobody was told of it");
    assert_eq!(typist.set(900, ROOM, true), None);
    assert_eq!(typist.due(3_000), [(ROOM.to_owned(), true)]);
    assert_eq!(typist.set(3_100, ROOM, false), Some(false));
    assert_eq!((typist.due(6_000), typist.deadline()), (vec![], None));
}

#[test]
fn a_page_that_goes_ends_all_typing() {
    let mut typist = Typist::default();
    typist.set(0, ROOM, true);
    typist.set(0, "b2", true);
    typist.set(100, "b2", false);
    assert_eq!(typist.end(), [ROOM]);
    assert_eq!(typist.deadline(), None);
}

#[test]
fn a_tab_shows_what_it_told_last_until_it_is_not_heard_of_any_more() {
    let mut screens = Screens::default();
    screens.told(0, 1, vec!["a".into()]);
    screens.told(10, 2, vec!["b".into()]);
    screens.told(20, 1, vec!["c".into()]);
    assert_eq!(screens.conversations().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(screens.deadline(), Some(30_010));
    screens.expire(30_010);
    assert_eq!(screens.conversations().collect::<Vec<_>>(), ["c"]);
    screens.told(30_020, 1, Vec::new());
    assert_eq!(screens.conversations().count(), 0);
}

#[test]
fn a_leave_that_overtakes_the_state_is_not_undone_by_it() {
    let mut people = People::default();
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["1"])}));
    people.take_state(ROOM, &json!({"anna": entry(&["1"]), "ben": entry(&["2"])}));
    assert_eq!(list(&people), [("ben", false)]);
    people.take_diff(ROOM, &json!({"anna": entry(&["3"])}), &nobody());
    assert_eq!(list(&people), [("ben", false), ("anna", false)], "she came back");
    people.take_diff(ROOM, &nobody(), &json!({"anna": entry(&["3"])}));
    people.take_diff(ROOM, &json!({"anna": entry(&["3"])}), &nobody());
    assert_eq!(list(&people), [("ben", false)], "a join that comes late");
}
