//! An answer of the Data API: `{"status", "retry_after_ms", "body"}`, the body as JSON or, if it is text, verbatim.

use surechat::{
    json::{Value, number, print},
    message::{Envelope, Kind, MessageId},
    outbox::Outbox,
    rest::{HttpError, HttpResponse, Outcome, RowStatus, judge, read_acks, read_rows, read_sync},
    sync::{Sync, Synced},
};

pub fn replies(data: &[u8]) {
    let Some(reply) = super::scenario(data) else { return };
    let outcome = judge(response(&reply));
    let status = number(&reply, "status").unwrap_or(0);
    assert!(!matches!(outcome, Outcome::Answer(_)) || (200..300).contains(&status), "only a success is an answer");
    settle(outcome.clone());
    if let Outcome::Answer(body) = outcome {
        for row in read_rows(&body) {
            if let RowStatus::Stored(facts) = row.status {
                assert!(facts.seq > 0, "a stored row has its place");
            }
        }
        let _ = read_acks(&body);
        catch_up(&body);
    }
}

/// An answer with this status and body; no answer at all without a status.
pub fn response(reply: &Value) -> Result<HttpResponse, HttpError> {
    let Some(status) = number(reply, "status").and_then(|status| u16::try_from(status).ok()) else {
        return Err(if reply["timeout"] == Value::Bool(true) { HttpError::Timeout } else { HttpError::Network });
    };
    let body = match &reply["body"] {
        Value::String(text) => text.clone(),
        body => print(body),
    };
    Ok(HttpResponse { status, retry_after_ms: retry_after(reply), date_ms: None, body })
}

/// Every number that the header's parser may give, up to the largest.
fn retry_after(reply: &Value) -> Option<u64> {
    match &reply["retry_after_ms"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    }
}

/// The outbox holds two lanes of two rows, all of them under way.
fn settle(outcome: Outcome) {
    for rows in [1, 4] {
        let mut outbox = Outbox::new(true, 1);
        for n in 1..=rows {
            outbox.add(u64::from(n), envelope(n));
        }
        let now = 1_000_000;
        let carried = outbox.take_request(now).len();
        assert_eq!(carried, usize::from(rows));
        let settlement = outbox.settle(now, outcome.clone());
        let stored = settlement.stored.len();
        outbox.abandon();
        outbox.apply(settlement.changes, 100..);
        assert_eq!(outbox.len(), carried - stored, "only what is stored leaves the outbox");
        let _ = (outbox.deadline(), outbox.rows("b1"), outbox.rows("b2"), outbox.is_due(u64::MAX));
        outbox.retry(None);
        outbox.take_request(now + 1);
    }
}

pub fn id(n: u8) -> MessageId {
    MessageId::v7(0, [n; 10])
}

fn envelope(n: u8) -> Envelope {
    Envelope {
        id: id(n),
        conversation_id: if n.is_multiple_of(2) { "b2".into() } else { "b1".into() },
        kind: Kind::Message,
        target_id: None,
        content: "c".into(),
        message_type: "text".into(),
        metadata: surechat::json::empty_object(),
        created_at: 0,
    }
}

/// The same body answers two syncs in a row: what the first one brought is there when the second one comes.
fn catch_up(body: &Value) {
    let mut sync = Sync::new(1);
    for id in ["b1", "b2"] {
        sync.track(id);
    }
    for now in [10_000, 20_000, 200_000] {
        sync.all_due();
        sync.take_request(now);
        let held = sync.get("b1").map_or(0, |held| held.cursor);
        for (id, synced) in sync.answered(now, read_sync(body), "u1") {
            let Synced::Merged(merge) = synced else { continue };
            assert!(merge.rows.is_sorted_by_key(|row| row.seq), "rows come in their order");
            let conversation = sync.get(&id).expect("it was asked for");
            assert!(merge.rows.iter().all(|row| row.seq <= conversation.cursor), "nothing is shown beyond the cursor");
            assert!(merge.reset || id != "b1" || conversation.cursor >= held, "a cursor only falls with a reset");
        }
        let _ = (sync.deadline(), sync.state("b1", true));
        assert!(
            sync.iter().all(|conversation| conversation.receipt_due("u1").is_none_or(|(stored, read)| read <= stored))
        );
    }
}
