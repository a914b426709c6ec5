use crate::{
    health::ConnectionStatus,
    json,
    message::{DeliveryStatus, Failure, MessageId, StoredMessage},
    outbox::{Phase, RowState},
    sync::ListPatch,
};

use super::*;

fn row() -> json::Value {
    json!({"id": "01890000-0000-7000-8000-000000000001", "conversation_id": "b1", "seq": 1, "kind": "message",
        "content": "hi", "created_at": "2026-11-23T06:30:00+00:00"})
}

const LEADER: Leader = Leader { status: ConnectionStatus::Connected, visible: true, polling: false, generation: 1 };

fn watch() -> Watch {
    let mut watch = Watch::new(100);
    watch.forget(1_000);
    watch
}

// ---- patience

#[test]
fn a_concerned_follower_asks_after_two_beats_without_a_word() {
    let watch = watch();
    assert_eq!(watch.deadline(1_000, true), 11_000);
    assert_eq!(watch.duty(10_999, true), None);
    assert_eq!(watch.duty(11_000, true), Some(Duty::Ping));
}

#[test]
fn an_idle_hidden_follower_asks_only_after_two_minutes() {
    let watch = watch();
    assert_eq!(watch.deadline(1_000, false), 121_000);
    assert_eq!(watch.duty(120_999, false), None);
    assert_eq!(watch.duty(121_000, false), Some(Duty::Ping));
}

#[test]
fn without_an_answer_it_steals_after_three_seconds_and_a_little_more() {
    let mut watch = watch();
    watch.asked(5_000);
    assert_eq!(watch.duty(8_099, true), None);
    assert_eq!(watch.duty(8_100, true), Some(Duty::Steal));
    assert_eq!(watch.duty(8_100, false), Some(Duty::Steal), "who has asked also wants to know");
}

#[test]
fn it_wants_to_be_woken_when_silence_shows_and_when_patience_ends() {
    let mut watch = watch();
    watch.asked(5_000);
    assert_eq!(watch.deadline(5_000, true), 6_000);
    assert_eq!(watch.deadline(5_999, true), 6_000);
    assert_eq!(watch.deadline(6_000, true), 8_100);
}

#[test]
fn every_word_of_the_leader_starts_the_wait_anew() {
    let mut watch = watch();
    watch.asked(5_000);
    watch.heard(7_000, LEADER);
    assert_eq!(watch.duty(16_999, true), None);
    assert_eq!(watch.duty(17_000, true), Some(Duty::Ping));
}

#[test]
fn who_has_stolen_waits_as_long_again_before_it_asks_once_more() {
    let mut watch = watch();
    watch.asked(5_000);
    watch.forget(8_100);
    assert_eq!(watch.duty(18_099, true), None);
    assert_eq!(watch.duty(18_100, true), Some(Duty::Ping));
}

// ---- what is believed

#[test]
fn the_leaders_status_is_shown_until_a_question_stays_unanswered_for_a_second() {
    let mut watch = watch();
    assert_eq!((watch.status(1_000), watch.has_leader(1_000)), (None, false));
    watch.heard(2_000, LEADER);
    assert_eq!((watch.status(90_000), watch.has_leader(90_000)), (Some(ConnectionStatus::Connected), true));
    watch.asked(90_000);
    assert_eq!((watch.status(90_999), watch.has_leader(90_999)), (Some(ConnectionStatus::Connected), true));
    assert_eq!((watch.status(91_000), watch.has_leader(91_000)), (Some(ConnectionStatus::Reconnecting), false));
    watch.heard(91_500, Leader { status: ConnectionStatus::Disconnected, ..LEADER });
    assert_eq!((watch.status(99_000), watch.has_leader(99_000)), (Some(ConnectionStatus::Disconnected), true));
}

#[test]
fn silence_of_nobody_known_says_nothing() {
    let mut watch = watch();
    watch.asked(1_000);
    assert_eq!((watch.status(3_000), watch.has_leader(3_000)), (None, false));
}

#[test]
fn a_leader_is_news_when_it_is_the_first_another_one_or_was_silent() {
    let mut watch = watch();
    assert!(watch.heard(2_000, LEADER));
    assert!(!watch.heard(7_000, LEADER));
    watch.asked(17_000);
    assert!(!watch.heard(17_999, LEADER), "it answered");
    watch.asked(18_000);
    assert!(watch.heard(19_000, LEADER), "it was silent");
    assert!(watch.heard(20_000, Leader { generation: 2, ..LEADER }));
    assert!(!watch.heard(21_000, Leader { generation: 2, visible: false, ..LEADER }));
    watch.forget(22_000);
    assert!(watch.heard(22_000, Leader { generation: 2, ..LEADER }));
}

// ---- who leads

#[test]
fn a_tab_that_stays_in_sight_wants_the_lead_of_a_hidden_leader() {
    let mut watch = watch();
    let hidden = Leader { visible: false, ..LEADER };
    watch.set_visible(1_000, true);
    assert!(!watch.wants_lead(60_000), "of nobody");
    watch.heard(2_000, LEADER);
    assert!(!watch.wants_lead(60_000), "the leader is in sight too");
    watch.heard(2_000, hidden);
    assert!(!watch.wants_lead(5_999), "somebody only passes by");
    assert!(watch.wants_lead(6_000));
    watch.set_visible(6_500, true);
    assert!(watch.wants_lead(6_500), "it was visible all the time");
    watch.set_visible(7_000, false);
    assert!(!watch.wants_lead(60_000));
    watch.set_visible(60_000, true);
    assert!(!watch.wants_lead(64_999));
    assert!(watch.wants_lead(65_000));
}

#[test]
fn only_a_hidden_leader_yields_and_only_between_requests() {
    assert!(yields(true, false, false));
    assert!(!yields(false, false, false), "nobody asked");
    assert!(!yields(true, true, false), "somebody looks at it");
    assert!(!yields(true, false, true), "a request is under way");
}

#[test]
fn what_a_role_claims_and_watches() {
    let all = [
        (Role::Aside, false, false, None),
        (Role::Refused, false, false, None),
        (Role::Waiting { until: 9 }, false, true, None),
        (Role::Following, true, true, None),
        (Role::Taking, true, false, None),
        (Role::Leading { generation: 3 }, true, false, Some(3)),
    ];
    for (role, claims, watches, generation) in all {
        assert_eq!((role.claims(), role.watches(), role.generation()), (claims, watches, generation), "{role:?}");
    }
}

// ---- what tabs tell each other

fn every_state() -> Vec<(u64, RowState)> {
    let phases = [Phase::Queued, Phase::InFlight, Phase::BackingOff, Phase::WaitingAuth, Phase::Parked, Phase::Refused];
    let failure = Failure {
        code: "rejected".into(),
        retryable: false,
        http_status: Some(400),
        pg_code: Some("23514".into()),
        message: "unable to store the message; because the database refused it".into(),
    };
    let state = |(key, phase): (u64, Phase)| {
        let failed = phase.status() == DeliveryStatus::Failed;
        let state = RowState {
            status: phase.status(),
            phase,
            retry_count: 3,
            next_attempt_at: (phase == Phase::BackingOff).then_some(1_795_415_401_000),
            blocked_by: failed.then(|| MessageId::v7(1_795_415_400_000, [1; 10])),
            failure: failed.then(|| failure.clone()),
        };
        (key, state)
    };
    (1..).zip(phases).map(state).collect()
}

fn every_message() -> Vec<TabMessage> {
    let id = || "b1".to_owned();
    let error = || ("not_found".to_owned(), "unable to do that; because there is no such message".to_owned());
    vec![
        TabMessage::Ping,
        TabMessage::Status(LEADER),
        TabMessage::Status(Leader {
            status: ConnectionStatus::Reconnecting,
            visible: false,
            polling: true,
            generation: 7,
        }),
        TabMessage::Yield,
        TabMessage::Left,
        TabMessage::Enqueued,
        TabMessage::Changed,
        TabMessage::Sent { message: Box::new(StoredMessage::from_row(&row()).expect("a row")) },
        TabMessage::TakenBack { conversation_id: id(), id: MessageId::v7(1_795_415_400_000, [1; 10]) },
        TabMessage::Follow,
        TabMessage::Rows { generation: 7, all: true, rows: Vec::new() },
        TabMessage::Rows { generation: 7, all: false, rows: every_state() },
        TabMessage::Open { conversation_id: id() },
        TabMessage::Screen { from: 5, conversations: vec![id(), "b2".into()] },
        TabMessage::People {
            generation: 7,
            conversation_id: id(),
            people: vec![("u1".into(), true), ("u2".into(), false)],
        },
        TabMessage::Typing { conversation_id: id(), on: true },
        TabMessage::Read { conversation_id: id(), incarnation: "i1".into(), seq: 9 },
        TabMessage::AskOlder { conversation_id: id(), before: 51 },
        TabMessage::Older { conversation_id: id(), before: 51, answer: json!([{"status": "ok"}]), error: None },
        TabMessage::Older { conversation_id: id(), before: 51, answer: json::Value::Null, error: Some(error()) },
        TabMessage::Problem { generation: 7, conversation_id: id(), error: Some(error()) },
        TabMessage::Problem { generation: 7, conversation_id: id(), error: None },
        TabMessage::ListProblem { generation: 7, error: Some(error()) },
        TabMessage::Act { from: (1 << 53) - 1, op: 7, act: json!({"act": "retry", "conversation_id": "b1"}) },
        TabMessage::List,
        TabMessage::Listed {
            generation: 7,
            patch: Box::new(ListPatch {
                reset: true,
                loaded: true,
                upserts: vec![json!({"id": "b1", "unread": 2})],
                removes: vec![id()],
            }),
        },
        TabMessage::Acted { from: 5, op: u32::MAX, error: None },
        TabMessage::Acted { from: 5, op: 7, error: Some(error()) },
    ]
}

#[test]
fn what_one_tab_says_another_understands() {
    for message in every_message() {
        assert_eq!(TabMessage::from_value(&message.to_value()), Some(message));
    }
}

#[test]
fn what_a_later_version_adds_does_not_disturb() {
    for message in every_message() {
        let mut value = message.to_value();
        value["later"] = json!({"t": ["ping"]});
        assert_eq!(TabMessage::from_value(&value), Some(message));
    }
}

#[test]
fn of_rows_what_is_not_understood_is_left_out() {
    let mut value = TabMessage::Rows { generation: 7, all: false, rows: every_state() }.to_value();
    let rows = value["rows"].clone();
    let mut rows: Vec<json::Value> = rows.as_array().expect("rows").to_vec();
    rows[0]["phase"] = "of a later version".into();
    rows[1]["key"] = "x".into();
    rows[2]["retry_count"] = json!(4_294_967_296_u64);
    value["rows"] = rows.into();
    let Some(TabMessage::Rows { rows, .. }) = TabMessage::from_value(&value) else { panic!("it is understood") };
    assert_eq!(rows, every_state()[3..]);
}

#[test]
fn a_message_that_lacks_something_or_has_it_of_another_kind_is_none() {
    let optional = |message: &TabMessage, field: &str| {
        matches!(
            (message, field),
            (
                TabMessage::Problem { .. }
                    | TabMessage::ListProblem { .. }
                    | TabMessage::Acted { .. }
                    | TabMessage::Older { .. },
                "error"
            )
        ) || matches!((message, field), (TabMessage::Older { .. }, "answer"))
            || matches!((message, field), (TabMessage::Act { .. }, "act") | (TabMessage::Sent { .. }, "row"))
            || matches!((message, field), (TabMessage::Rows { .. }, "rows"))
            || matches!((message, field), (TabMessage::Screen { .. }, "conversations"))
            || matches!((message, field), (TabMessage::People { .. }, "people"))
    };
    for message in every_message() {
        let value = message.to_value();
        let fields: Vec<String> =
            value.as_object().into_iter().flat_map(|object| object.fields()).map(|(name, _)| name.clone()).collect();
        for field in fields.iter().filter(|field| !optional(&message, field)) {
            for other in [json!(null), json!([1]), json!({"t": 1}), json!(-1), json!(1.5)] {
                let mut value = value.clone();
                value[field.as_str()] = other;
                assert_eq!(TabMessage::from_value(&value), None, "{message:?} without {field}");
            }
        }
    }
    for noise in [
        json!("noise"),
        json!(null),
        json!([]),
        json!({"t": "of a later version"}),
        json!({"t": "act", "from": 1, "op": 1}),
        json!({"t": "act", "from": 1, "op": 4_294_967_296_u64, "act": {}}),
        json!({"t": "acted", "from": 1, "op": 1, "error": "x"}),
        json!({"t": "acted", "from": 1, "op": 1, "error": {"code": "x"}}),
        json!({"t": "rows", "generation": 1, "all": true}),
        json!({"t": "rows", "generation": 1, "all": true, "rows": {}}),
        json!({"t": "status", "status": "asleep", "visible": true, "generation": 1}),
    ] {
        assert_eq!(TabMessage::from_value(&noise), None, "{noise:?}");
    }
}

#[test]
fn there_is_nothing_before_the_first_message() {
    let ask = |before: u64| TabMessage::AskOlder { conversation_id: "b1".into(), before };
    assert_eq!(TabMessage::from_value(&ask(0).to_value()), None);
    assert_eq!(TabMessage::from_value(&ask(1).to_value()), Some(ask(1)));
}

#[test]
fn a_tab_whose_list_is_missing_is_not_taken_for_one_that_shows_nothing() {
    for (message, field) in [
        (TabMessage::Screen { from: 5, conversations: Vec::new() }, "conversations"),
        (TabMessage::People { generation: 7, conversation_id: "b1".into(), people: Vec::new() }, "people"),
    ] {
        let mut value = message.to_value();
        assert_eq!(TabMessage::from_value(&value), Some(message));
        value[field] = json!(null);
        assert_eq!(TabMessage::from_value(&value), None, "{field}");
    }
}
