//! The app's own table and the app's own endpoint.

use super::*;
use crate::message::StoredMessage;

const USER: &str = "u1";
const ROW: &str = "01890000-0000-7000-8000-000000000001";
const OTHER: &str = "01890000-0000-7000-8000-000000000002";

fn table() -> OwnTable {
    OwnTable {
        name: "messages".into(),
        id: "id".into(),
        conversation_id: "booking_id".into(),
        sender_role: "sender_role".into(),
        content: "content".into(),
        created_at: "created_at".into(),
        sender_id: None,
        message_type: Some("message_type".into()),
        metadata: Some("metadata".into()),
        role: "operator".into(),
    }
}

fn own_table() -> Source {
    Source { endpoint: None, table: Some(table()) }
}

fn endpoint() -> Source {
    Source { endpoint: Some("https://app.test/api/messages".into()), table: None }
}

fn target() -> Target<'static> {
    Target { url: "https://x", api_key: "key", token: "jwt", user_id: USER, role: "operator", timeout_ms: 7 }
}

fn row() -> Envelope {
    Envelope {
        id: MessageId::parse(ROW).expect("a uuid"),
        conversation_id: "b 1&2".into(),
        kind: Kind::Message,
        target_id: None,
        content: "hello".into(),
        message_type: "text".into(),
        metadata: json!({"a": 1}),
        created_at: 0,
    }
}

fn stored_row(id: &str, content: &str) -> Value {
    json!({"id": id, "sender_role": "operator", "content": content, "message_type": "text", "metadata": null,
        "created_at": "2026-11-23T04:27:46.023359+00:00"})
}

fn answered(status: u16, body: &Value) -> Outcome {
    judge(Ok(HttpResponse { status, retry_after_ms: None, date_ms: None, body: body.to_string() }))
}

/// What the outbox reads of a row's fate.
fn fate(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(body) => match read_rows(body).as_slice() {
            [RowAnswer { status: RowStatus::Stored(facts), .. }] => format!("stored at {}", facts.seq),
            [RowAnswer { status: RowStatus::Refused(failure), .. }] => format!("refused: {}", failure.code),
            other => format!("{other:?}"),
        },
        Outcome::Retry(failure) => format!("retry: {}", failure.code),
        other => name(other).to_owned(),
    }
}

fn header<'a>(http: &'a HttpRequest, name: &str) -> Option<&'a str> {
    http.headers.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_row_is_inserted_under_the_apps_own_names_at_one_constant_url() {
    let table = OwnTable { content: "body".into(), metadata: None, sender_id: Some("author".into()), ..table() };
    let http = Source { endpoint: None, table: Some(table) }.send(target(), [row()].iter());
    assert_eq!(http.url, "https://x/rest/v1/messages?select=id,sender_role,body,created_at,author,message_type");
    assert_eq!(header(&http, "Prefer"), Some("return=representation"));
    assert_eq!(
        json::parse(&http.body),
        Some(json!({"id": ROW, "booking_id": "b 1&2", "sender_role": "operator", "body": "hello", "author": USER,
            "message_type": "text"}))
    );
}

#[test]
fn an_endpoint_gets_one_message_under_its_idempotency_key() {
    let http = endpoint().send(target(), [row()].iter());
    assert_eq!(http.url, "https://app.test/api/messages");
    assert_eq!(header(&http, "Idempotency-Key"), Some(ROW));
    assert_eq!(header(&http, "Authorization"), Some("Bearer jwt"));
    assert_eq!(header(&http, "apikey"), None);
    assert_eq!(
        json::parse(&http.body),
        Some(json!({"id": ROW, "conversation_id": "b 1&2", "sender_role": "operator", "content": "hello",
            "message_type": "text", "metadata": {"a": 1}, "expected_user": USER}))
    );
}

#[test]
fn only_what_stands_behind_the_projects_gateway_gets_its_key() {
    let at = |url: &str| Source { endpoint: Some(url.into()), table: None }.send(target(), [row()].iter());
    assert_eq!(header(&at("https://x/functions/v1/send"), "apikey"), Some("key"));
    assert_eq!(header(&at("https://x.evil.test/send"), "apikey"), None);
}

#[test]
fn the_row_itself_is_the_answer() {
    let answer = answered(201, &json!([stored_row(ROW, "hello")]));
    let fate_of = own_table().sent(&row(), USER, answer).map(|outcome| fate(&outcome));
    assert_eq!(fate_of, Ok("stored at 1795408066023359".into()));
    let answer = answered(
        200,
        &json!({"id": ROW, "conversation_id": "b 1&2", "seq": 4, "kind": "message",
        "content": "hello", "created_at": "2026-11-23T04:27:46Z"}),
    );
    assert_eq!(endpoint().sent(&row(), USER, answer).map(|outcome| fate(&outcome)), Ok("stored at 4".into()));
}

#[test]
fn a_success_that_shows_no_row_and_an_id_that_is_taken_are_looked_up() {
    for body in [json!({}), json!([]), json!({"ok": true}), json!([stored_row(OTHER, "hello")])] {
        assert_eq!(own_table().sent(&row(), USER, answered(201, &body)), Err(Doubt::What), "{body}");
    }
    assert_eq!(endpoint().sent(&row(), USER, answered(200, &json!({}))), Err(Doubt::What));
    let taken = json!({"code": "23505"});
    assert_eq!(own_table().sent(&row(), USER, answered(409, &taken)), Err(Doubt::Whose));
    assert_eq!(endpoint().sent(&row(), USER, answered(409, &taken)), Err(Doubt::Whose));
    assert_eq!(endpoint().sent(&row(), USER, answered(409, &json!({"error": "seen"}))), Err(Doubt::Whose));
}

#[test]
fn everything_else_is_decided_by_the_one_table() {
    let is = |source: &Source, status: u16, code: &str| {
        source.sent(&row(), USER, answered(status, &json!({"code": code}))).map(|outcome| name(&outcome).to_owned())
    };
    for source in [own_table(), endpoint()] {
        for (status, code, outcome) in [
            (409, "23503", "refused"),
            (400, "23514", "refused"),
            (422, "", "refused"),
            (401, "", "unauthorized"),
            (403, "42501", "forbidden"),
            (429, "", "rate limited"),
            (503, "PGRST001", "retry"),
            (413, "", "too large"),
        ] {
            assert_eq!(is(&source, status, code), Ok(outcome.into()), "{status} {code}");
        }
    }
    assert_eq!(is(&own_table(), 409, ""), Ok("refused".into()));
    let portal = HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: "<html>Sign in".into() };
    assert_eq!(endpoint().sent(&row(), USER, judge(Ok(portal))).map(|outcome| name(&outcome)), Ok("unknown"));
}

#[test]
fn a_look_up_asks_for_the_id_in_its_conversation() {
    let http = own_table().look_up(target(), &row());
    assert_eq!(
        http.url,
        format!(
            "https://x/rest/v1/messages?select=id,sender_role,content,created_at,message_type,metadata&id=eq.{ROW}\
             &booking_id=eq.b%201%262"
        )
    );
    assert_eq!(http.body, "");
    let http = endpoint().look_up(target(), &row());
    assert_eq!(http.url, format!("https://x/rest/v1/chat_messages?id=eq.{ROW}&conversation_id=eq.b%201%262"));
}

#[test]
fn what_is_found_is_sent_if_it_is_ours_and_else_the_id_is_anothers() {
    let found = |doubt, body: &Value| fate(&own_table().looked_up(&row(), USER, doubt, answered(200, body)));
    let ours = json!([stored_row(ROW, "hello")]);
    assert_eq!(found(Doubt::Whose, &ours), "stored at 1795408066023359");
    assert_eq!(found(Doubt::What, &ours), "stored at 1795408066023359");
    let mut of_another_role = ours.clone();
    if let Value::Array(rows) = &mut of_another_role {
        rows[0]["sender_role"] = "client".into();
    }
    for body in [json!([]), json!([stored_row(ROW, "another text")]), of_another_role] {
        assert_eq!(found(Doubt::Whose, &body), "refused: id_conflict", "{body}");
    }
    // The endpoint said that it took it: it may not be visible yet.
    assert_eq!(found(Doubt::What, &json!([])), "retry: server");
}

#[test]
fn what_is_wrong_with_a_look_up_is_not_wrong_with_the_message() {
    let looked_up = |status, code: &str| {
        name(&own_table().looked_up(&row(), USER, Doubt::Whose, answered(status, &json!({"code": code}))))
    };
    assert_eq!(looked_up(403, "42501"), "retry");
    let refused = own_table().looked_up(&row(), USER, Doubt::Whose, answered(400, &json!({"code": "22P02"})));
    assert!(matches!(refused, Outcome::Retry(failure) if failure.retryable));
    assert_eq!(looked_up(400, "22P02"), "retry");
    assert_eq!(looked_up(401, ""), "unauthorized");
    assert_eq!(looked_up(503, ""), "retry");
    assert_eq!(looked_up(404, "42P01"), "schema missing");
}

#[test]
fn windows_are_read_in_the_order_of_their_times() {
    let url = |start: &Start| table().window(target(), "b1", start).url;
    let columns = "select=id,sender_role,content,created_at,message_type,metadata&booking_id=eq.b1";
    let messages = "https://x/rest/v1/messages";
    assert_eq!(url(&Start::Newest), format!("{messages}?{columns}&order=created_at.desc,id.desc&limit=200"));
    assert_eq!(
        url(&Start::At(1_795_408_020_000_000)),
        format!("{messages}?{columns}&created_at=gte.2026-11-23T04:27:00.000Z&order=created_at.asc,id.asc&limit=200")
    );
    assert_eq!(
        url(&Start::Behind("2026-11-23 04:27:46.02+00".into(), ROW.into(), 7)),
        format!(
            "{messages}?{columns}&or=(created_at.gt.%222026-11-23%2004%3A27%3A46.02%2B00%22,\
             and(created_at.eq.%222026-11-23%2004%3A27%3A46.02%2B00%22,id.gt.{ROW}))\
             &order=created_at.asc,id.asc&limit=200"
        )
    );
}

#[test]
fn rows_of_the_same_time_get_places_one_behind_the_other_and_the_same_from_either_side() {
    let rows = [stored_row(ROW, "one"), stored_row(OTHER, "two")];
    let places = |body: Value, start: &Start| {
        let window = table().read_window(&body, "b1", USER, start).expect("a window");
        window.rows.iter().map(|row| (row.content.clone(), row.seq)).collect::<Vec<_>>()
    };
    let expected = [("one".to_owned(), 1_795_408_066_023_359), ("two".to_owned(), 1_795_408_066_023_360)];
    assert_eq!(places(Value::Array(rows.to_vec()), &Start::At(0)), expected);
    let backwards = Value::Array(rows.into_iter().rev().collect());
    assert_eq!(places(backwards, &Start::Newest), expected);
}

#[test]
fn a_window_with_a_row_that_cannot_be_read_is_not_believed() {
    let mut odd = stored_row("17", "a number is no uuid");
    assert_eq!(table().read_window(&json!([odd]), "b1", USER, &Start::Newest), None);
    odd["id"] = ROW.into();
    odd["created_at"] = "infinity".into();
    assert_eq!(table().read_window(&json!([odd]), "b1", USER, &Start::Newest), None);
    assert_eq!(table().read_window(&json!({"code": "?"}), "b1", USER, &Start::Newest), None);
}

#[test]
fn a_row_is_ones_own_by_its_sender_where_there_is_one_and_else_by_its_role() {
    let read = |table: &OwnTable, row: &Value| table.read(row, "b1", USER).expect("a row");
    let own = |message: &StoredMessage| message.sender_id.as_deref() == Some(USER);
    let mut row = stored_row(ROW, "hello");
    assert!(own(&read(&table(), &row)));
    row["sender_role"] = "client".into();
    assert!(!own(&read(&table(), &row)));
    let with_sender = OwnTable { sender_id: Some("author".into()), ..table() };
    row["author"] = USER.into();
    assert!(own(&read(&with_sender, &row)));
    row["author"] = Value::Null;
    row["sender_role"] = "operator".into();
    assert!(!own(&read(&with_sender, &row)));
}

#[test]
fn what_is_cached_of_a_table_is_of_that_table_alone() {
    let other = OwnTable { name: "notes".into(), ..table() };
    assert_ne!(table().incarnation(), other.incarnation());
}
