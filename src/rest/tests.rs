use crate::json;

use super::*;
use crate::message::{Envelope, Kind, MessageId};

fn answer(status: u16, code: &str) -> Outcome {
    judge(Ok(HttpResponse {
        status,
        retry_after_ms: None,
        date_ms: None,
        body: json!({"code": code, "message": "fetch failed"}).to_string(),
    }))
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answer(_) => "answer",
        Outcome::Unknown(_) => "unknown",
        Outcome::Unauthorized => "unauthorized",
        Outcome::Forbidden(_) => "forbidden",
        Outcome::Refused(_) => "refused",
        Outcome::TooLarge(_) => "too large",
        Outcome::RateLimited { .. } => "rate limited",
        Outcome::Retry(_) => "retry",
        Outcome::SchemaMissing(_) => "schema missing",
    }
}

#[test]
fn the_code_of_the_body_counts_first() {
    for (status, code, expected) in [
        (401, "PGRST301", "unauthorized"),
        (401, "PGRST303", "unauthorized"),
        (400, "PT401", "unauthorized"),
        (403, "42501", "forbidden"),
        (401, "42501", "forbidden"),
        (409, "23503", "refused"),
        (400, "23514", "refused"),
        (400, "22P02", "refused"),
        (400, "P0001", "refused"),
        (500, "40001", "retry"),
        (500, "57014", "retry"),
        (400, "53300", "retry"),
        (503, "PGRST002", "retry"),
        (504, "PGRST003", "retry"),
        (400, "08006", "retry"),
        // A project whose disk is full only reads.
        (405, "25006", "retry"),
        (404, "PGRST202", "schema missing"),
        (404, "42P01", "schema missing"),
        (400, "42883", "schema missing"),
    ] {
        assert_eq!(name(&answer(status, code)), expected, "{status} {code}");
    }
}

#[test]
fn without_a_code_the_status_counts() {
    for (status, expected) in [
        (401, "unauthorized"),
        (403, "forbidden"),
        (413, "too large"),
        (414, "too large"),
        (429, "rate limited"),
        (408, "retry"),
        (500, "retry"),
        (502, "retry"),
        (503, "retry"),
        (522, "retry"),
        (400, "refused"),
        (404, "refused"),
        (302, "unknown"),
    ] {
        let html = HttpResponse { status, retry_after_ms: None, date_ms: None, body: "<html>".into() };
        assert_eq!(name(&judge(Ok(html))), expected, "{status}");
    }
}

#[test]
fn no_answer_and_an_unreadable_success_are_unknown() {
    assert_eq!(name(&judge(Err(HttpError::Network))), "unknown");
    assert_eq!(name(&judge(Err(HttpError::Timeout))), "unknown");
    let portal = HttpResponse {
        status: 200,
        retry_after_ms: None,
        date_ms: None,
        body: "<html>Please sign in to the hotel".into(),
    };
    assert_eq!(name(&judge(Ok(portal))), "unknown");
}

#[test]
fn a_pause_is_as_long_as_the_server_says_if_that_can_be_read() {
    let limited = HttpResponse { status: 429, retry_after_ms: Some(7_000), date_ms: None, body: String::new() };
    assert!(matches!(judge(Ok(limited)), Outcome::RateLimited { retry_after_ms: Some(7_000), .. }));
}

#[test]
fn every_status_of_a_sent_row_is_read() {
    let id = "01890000-0000-7000-8000-000000000001";
    let read = |status: &str| {
        let row = json!([{"id": id, "status": status, "seq": 4, "created_at": "t", "sender_role": "client", "kind": "message", "content": "x"}]);
        read_rows(&row).pop().map(|row| row.status)
    };
    assert!(matches!(read("stored"), Some(RowStatus::Stored(facts)) if facts.seq == 4));
    assert!(matches!(read("duplicate"), Some(RowStatus::Stored(_))));
    assert!(matches!(read("skipped"), Some(RowStatus::Skipped)));
    assert!(matches!(read("forbidden"), Some(RowStatus::Forbidden(_))));
    assert!(matches!(read("no_conversation"), Some(RowStatus::NoConversation(failure)) if failure.retryable));
    assert!(matches!(read("id_conflict"), Some(RowStatus::Refused(failure)) if failure.code == "id_conflict"));
    assert!(
        matches!(read("rejected:23514"), Some(RowStatus::Refused(failure)) if failure.pg_code.as_deref() == Some("23514"))
    );
    assert_eq!(read_rows(&json!([{"id": id, "status": "stored", "seq": null}])), []);
    assert_eq!(read_rows(&json!({"not": "a list"})), []);
}

#[test]
fn a_sync_answer_with_an_unreadable_row_is_not_believed() {
    let answer = |rows: Value| json!([{"conversation_id": "b1", "status": "ok", "incarnation": "i", "last_seq": 1, "through_seq": 1, "first_seq": 1, "rows": rows, "members": []}]);
    assert_eq!(read_sync(&answer(json!([]))).len(), 1);
    assert_eq!(read_sync(&answer(json!([{"id": "broken"}]))), []);
}

#[test]
fn a_refused_conversation_needs_no_other_fact() {
    let refused = read_sync(
        &json!([{"conversation_id": "b1", "status": "forbidden", "incarnation": null, "last_seq": null, "through_seq": null, "first_seq": null, "rows": null, "members": null}]),
    );
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].status, SyncStatus::Forbidden);
}

#[test]
fn a_request_shows_neither_token_nor_text_in_debug_output() {
    let target =
        Target { url: "https://x", api_key: "key", token: "secret-token", user_id: "u", role: "", timeout_ms: 1 };
    let request = sync(target, [("b1", None)].into_iter());
    assert!(request.headers.iter().any(|(_, value)| value == "Bearer secret-token"));
    assert!(!format!("{request:?}").contains("secret"));
}

#[test]
fn a_code_counts_whatever_the_status_is() {
    for status in [200 + 99, 302, 401, 429, 500] {
        for code in ["40001", "40P01", "55P03", "57014", "57P01", "PGRST000", "PGRST001", "08000", "53400"] {
            let expected = if status < 300 { "answer" } else { "retry" };
            assert_eq!(name(&answer(status, code)), expected, "{status} {code}");
        }
        for code in ["23503", "23505", "23514", "23502", "P0001", "22000", "22P05"] {
            let expected = if status < 300 { "answer" } else { "refused" };
            assert_eq!(name(&answer(status, code)), expected, "{status} {code}");
        }
    }
    assert_eq!(name(&answer(503, "220")), "retry", "a class is of codes with five letters");
}

#[test]
fn a_failure_names_the_code_if_there_was_one() {
    let failure = |status, code| match answer(status, code) {
        Outcome::Refused(failure) | Outcome::Retry(failure) => (failure.http_status, failure.pg_code),
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(400, "23514"), (Some(400), Some("23514".to_owned())));
    assert_eq!(failure(500, ""), (Some(500), None));
}

#[test]
fn a_place_of_zero_is_no_place() {
    let row = |seq: u64| json!([{"id": "01890000-0000-7000-8000-000000000001", "status": "stored", "seq": seq, "created_at": "t", "kind": "message", "content": "x"}]);
    assert_eq!(read_rows(&row(1)).len(), 1);
    assert_eq!(read_rows(&row(0)), []);
}

#[test]
fn each_status_of_a_conversation_is_read_and_another_one_is_not() {
    let read = |status: &str| {
        read_sync(
            &json!([{"conversation_id": "b1", "status": status, "incarnation": "i", "last_seq": 0, "through_seq": 0, "first_seq": 1}]),
        )
    };
    assert_eq!(read("ok")[0].status, SyncStatus::Ok);
    assert_eq!(read("forbidden")[0].status, SyncStatus::Forbidden);
    assert_eq!(read("no_conversation")[0].status, SyncStatus::NoConversation);
    assert_eq!(read("of a later version"), []);
}

#[test]
fn debug_output_says_how_much_and_not_what() {
    let target = Target { url: "https://x", api_key: "key", token: "t", user_id: "u", role: "", timeout_ms: 1 };
    let request = ack(target, [("b1", 2, 1)].into_iter());
    assert_eq!(format!("{request:?}"), format!("POST https://x/rest/v1/rpc/chat_ack ({} bytes)", request.body.len()));
    let response = HttpResponse { status: 200, retry_after_ms: None, date_ms: None, body: "secret".into() };
    assert_eq!(format!("{response:?}"), "HTTP 200 (6 bytes)");
}

/// Its code and whether it goes out by itself; `None` for what is no failure of the row.
fn verdict(outcome: &Outcome) -> Option<(&str, bool)> {
    match outcome {
        Outcome::Answer(_) | Outcome::Unauthorized => None,
        Outcome::Unknown(failure)
        | Outcome::Forbidden(failure)
        | Outcome::Refused(failure)
        | Outcome::TooLarge(failure)
        | Outcome::RateLimited { failure, .. }
        | Outcome::Retry(failure)
        | Outcome::SchemaMissing(failure) => Some((&failure.code, failure.retryable)),
    }
}

#[test]
fn the_whole_table_row_by_row() {
    let unauthorized = &["PGRST301", "PGRST302", "PGRST303", "PT401"][..];
    let schema = &["PGRST202", "PGRST204", "PGRST205", "42P01", "42703", "42883"][..];
    let refused = &["23503", "23505", "23514", "23502", "22001", "22P05", "P0001"][..];
    let retry = &[
        "40001", "40P01", "55P03", "57014", "57P01", "08000", "08P01", "25006", "53000", "53300", "PGRST000",
        "PGRST001", "PGRST002", "PGRST003",
    ][..];
    for (codes, expected, failure) in [
        (unauthorized, "unauthorized", None),
        (&["42501"][..], "forbidden", Some(("forbidden", false))),
        (schema, "schema missing", Some(("schema_missing", true))),
        (refused, "refused", Some(("rejected", false))),
        (retry, "retry", Some(("server", true))),
    ] {
        for code in codes {
            for status in [400, 401, 403, 404, 409, 413, 429, 500, 503] {
                let outcome = answer(status, code);
                assert_eq!((name(&outcome), verdict(&outcome)), (expected, failure), "{status} {code}");
            }
        }
    }
    for (statuses, expected, failure) in [
        (&[401][..], "unauthorized", None),
        (&[403][..], "forbidden", Some(("forbidden", false))),
        (&[413, 414][..], "too large", Some(("too_large", false))),
        (&[429][..], "rate limited", Some(("rate_limited", true))),
        (&[408, 500, 501, 502, 503, 504, 520, 522, 599, 600][..], "retry", Some(("server", true))),
        (&[400, 402, 404, 405, 407, 409, 412, 415, 422, 499][..], "refused", Some(("rejected", false))),
        (&[100, 199, 300, 304, 399][..], "unknown", Some(("server", true))),
    ] {
        for status in statuses {
            for body in ["<html>", "", "{}", "{\"code\":\"of nobody\"}", "{\"code\":7}"] {
                let outcome =
                    judge(Ok(HttpResponse { status: *status, retry_after_ms: None, date_ms: None, body: body.into() }));
                assert_eq!((name(&outcome), verdict(&outcome)), (expected, failure), "{status} {body}");
            }
        }
    }
    for (error, code) in [(HttpError::Network, "network"), (HttpError::Timeout, "timeout")] {
        let outcome = judge(Err(error));
        assert_eq!((name(&outcome), verdict(&outcome)), ("unknown", Some((code, true))));
    }
    for (status, expected) in [(200, "answer"), (201, "answer"), (299, "answer")] {
        assert_eq!(name(&answer(status, "")), expected, "{status}");
    }
}

#[test]
fn a_request_to_send_is_one_post_of_all_that_the_server_needs() {
    let envelope = Envelope {
        id: MessageId::v7(0, [1; 10]),
        conversation_id: "b1".into(),
        kind: Kind::Edit,
        target_id: Some("t".into()),
        content: "better".into(),
        message_type: "text".into(),
        metadata: json!({"a": 1}),
        created_at: 0,
    };
    let target = Target { url: "https://x", api_key: "key", token: "jwt", user_id: "u1", role: "", timeout_ms: 7 };
    let request = send(target, [&envelope].into_iter());
    assert_eq!(
        (request.url.as_str(), request.timeout_ms, request.keepalive),
        ("https://x/rest/v1/rpc/chat_send", 7, false)
    );
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(headers, [("apikey", "key"), ("Authorization", "Bearer jwt"), ("Content-Type", "application/json")]);
    let row = json!({"id": envelope.id.as_str(), "conversation_id": "b1", "kind": "edit", "target_id": "t",
        "content": "better", "message_type": "text", "metadata": {"a": 1}});
    let body = json::parse(&request.body).expect("JSON");
    assert_eq!(body, json!({"batch": [row], "expected_user": "u1"}));
}

#[test]
fn requests_name_what_they_ask_for_and_answers_are_read_in_full() {
    let target = Target { url: "https://x", api_key: "key", token: "jwt", user_id: "u1", role: "", timeout_ms: 7 };
    let body = |request: HttpRequest| json::parse(&request.body).expect("JSON");
    assert_eq!(
        body(sync(target, [("b1", Some((4, "i"))), ("b2", None)].into_iter())),
        json!({"cursors": {"b1": {"seq": 4, "incarnation": "i"}, "b2": {"seq": null, "incarnation": null}}, "expected_user": "u1"})
    );
    assert_eq!(
        body(ack(target, [("b1", 4, 2)].into_iter())),
        json!({"acks": [{"conversation_id": "b1", "delivered": 4, "read": 2}], "expected_user": "u1"})
    );
    let acks = json!([{"conversation_id": "b1", "delivered_seq": 4, "read_seq": 2}, {"conversation_id": "b2"}]);
    assert_eq!(read_acks(&acks), [("b1".to_owned(), 4, 2)]);
    assert_eq!(read_acks(&json!({})), []);
}

#[test]
fn the_refusals_of_rows_have_their_codes() {
    let id = "01890000-0000-7000-8000-000000000001";
    let read = |status: &str| read_rows(&json!([{"id": id, "status": status}])).pop().map(|row| row.status);
    let facts = |failure: &Failure| (failure.code.clone(), failure.retryable, failure.pg_code.clone());
    for (status, code, retryable, pg_code) in [
        ("forbidden", "forbidden", false, None),
        ("no_conversation", "no_conversation", true, None),
        ("id_conflict", "id_conflict", false, None),
        ("rejected:P0001", "rejected", false, Some("P0001")),
        ("of a later version", "rejected", false, None),
    ] {
        let expected = (code.to_owned(), retryable, pg_code.map(str::to_owned));
        match read(status) {
            Some(RowStatus::Forbidden(failure)) if status == "forbidden" => assert_eq!(facts(&failure), expected),
            Some(RowStatus::NoConversation(failure)) if retryable => assert_eq!(facts(&failure), expected),
            Some(RowStatus::Refused(failure)) => assert_eq!(facts(&failure), expected),
            other => panic!("{status}: {other:?}"),
        }
    }
}

mod plain;

#[test]
fn history_is_asked_for_below_a_seq_at_the_url_of_every_sync() {
    let target =
        Target { url: "http://localhost:1", api_key: "key", token: "jwt", user_id: "me", role: "", timeout_ms: 1 };
    let request = older(target, "b1", 151, "i1");
    assert_eq!(request.url, "http://localhost:1/rest/v1/rpc/chat_sync");
    let body = crate::json::parse(&request.body).expect("JSON");
    assert_eq!(body["cursors"], json!({"b1": {"before": 151, "incarnation": "i1"}}));
    assert_eq!(body["expected_user"], "me");
}

#[test]
fn a_list_of_which_a_conversation_cannot_be_read_is_partial() {
    let list = |rows: Value| {
        let body = json!({"since": 7, "full": true, "total": 1, "sum": 9, "conversations": rows});
        read_list(&body).map(|answer| (answer.conversations.len(), answer.partial))
    };
    let row = json!({"conversation_id": "b1", "status": "no_conversation"});
    assert_eq!(list(json!([row.clone()])), Some((1, false)));
    assert_eq!(list(json!([row, {"status": "of a later version"}])), Some((1, true)));
}
