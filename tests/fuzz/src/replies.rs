//! An answer of the Data API: `{"status", "retry_after_ms", "body"}`, the body as JSON or, if it is text, verbatim.

use surechat::{
    json::{Value, number, print},
    message::{Envelope, Kind, MessageId},
    outbox::Outbox,
    rest::{
        Doubt, HttpError, HttpResponse, Outcome, OwnTable, RowStatus, Source, Start, judge, read_acks, read_list,
        read_rows, read_sync,
    },
    sync::{Sync, Synced},
};

pub fn replies(data: &[u8]) {
    let Some(reply) = super::scenario(data) else { return };
    let outcome = judge(response(&reply));
    let status = number(&reply, "status").unwrap_or(0);
    assert!(!matches!(outcome, Outcome::Answer(_)) || (200..300).contains(&status), "only a success is an answer");
    settle(outcome.clone());
    plainly(&outcome);
    if let Outcome::Answer(body) = outcome {
        for row in read_rows(&body) {
            if let RowStatus::Stored(facts) = row.status {
                assert!(facts.seq > 0, "a stored row has its place");
            }
        }
        let _ = read_acks(&body);
        catch_up(&body);
        list(&body);
        windows(&body);
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

/// The app's own table, with every column.
fn table() -> OwnTable {
    OwnTable {
        name: "messages".into(),
        id: "id".into(),
        conversation_id: "conversation_id".into(),
        sender_role: "sender_role".into(),
        content: "content".into(),
        created_at: "created_at".into(),
        sender_id: Some("sender_id".into()),
        message_type: Some("message_type".into()),
        metadata: Some("metadata".into()),
        role: "r".into(),
    }
}

/// What a plain way makes of it is an answer that speaks of the row and of nothing else.
fn plainly(outcome: &Outcome) {
    let row = envelope(1);
    let endpoint = Source { endpoint: Some("https://app.test/messages".into()), table: None };
    for source in [endpoint, Source { endpoint: None, table: Some(table()) }] {
        let mut fates = vec![source.looked_up(&row, "u1", Doubt::Whose, outcome.clone())];
        fates.push(source.looked_up(&row, "u1", Doubt::What, outcome.clone()));
        fates.extend(source.sent(&row, "u1", outcome.clone()));
        for fate in fates {
            let Outcome::Answer(body) = fate else { continue };
            let answers = read_rows(&body);
            assert!(matches!(answers.as_slice(), [answer] if answer.id == row.id), "one row was sent: {body}");
        }
    }
}

/// The same body answers every window.
fn windows(body: &Value) {
    let table = table();
    let behind = Start::Behind("2026-11-23T06:30:00+00:00".into(), id(1).as_str().into(), 1_795_415_400_000_000);
    for start in [Start::Newest, Start::At(60_000_000), Start::Before(1_795_415_400_000_001), behind.clone()] {
        let Some(window) = table.read_window(body, "b1", "u1", &start) else { continue };
        let places: Vec<u64> = window.rows.iter().map(|row| row.seq).collect();
        assert!(places.is_sorted_by(|one, next| one < next), "every row has a place of its own: {places:?}");
        assert!(start != behind || places.first().is_none_or(|first| *first > 1_795_415_400_000_000));
    }
    if let Some(page) = table.read_page(body, "b1", "u1", 1_795_415_400_000_001) {
        assert_eq!(read_sync(&page).len(), 1, "a page can be read as what it is written as");
    }
    let mut sync = Sync::new(1).windowed(Some(table.incarnation()));
    sync.track("b1");
    for now in [10_000, 20_000, 200_000] {
        sync.all_due();
        if let Some(row) = body.as_array().and_then(|rows| table.read(rows.first()?, "b1", "u1")) {
            sync.track("b1").look_back(Some(row.seq));
            sync.take_in(row, "u1");
        }
        let Some((_, start)) = sync.take_window(now) else { continue };
        let held = sync.get("b1").map_or(0, |held| held.cursor);
        match table.read_window(body, "b1", "u1", &start) {
            Some(window) => drop(sync.window_answered(now, &start, window, Some(1_795_415_400_000))),
            None => sync.failed(now),
        }
        let conversation = sync.get("b1").expect("it is tracked");
        assert!(conversation.cursor >= held, "nothing drops a table");
        assert!(conversation.cursor <= 1_795_415_400_000_000, "the known time never passes the server's clock");
        let _ = (sync.deadline(), sync.state("b1", true));
    }
}

/// The same body answers the list, again and again.
fn list(body: &Value) {
    let mut sync = Sync::new(1);
    sync.want_list();
    for now in [10_000, 20_000, 200_000] {
        sync.all_due();
        sync.take_request(now);
        match read_list(body) {
            Some(answer) => {
                for (id, synced) in sync.list_answered(now, answer, "u1") {
                    match synced {
                        Synced::Merged(merge) => sync.count_rows(&id, &merge.rows, "u1"),
                        Synced::Refused(_) => drop(sync.withdraw(&id)),
                    }
                }
            }
            None => sync.failed(now),
        }
        sync.count_read("u1");
        let (changed, _) = sync.take_changes();
        assert!(changed.is_sorted(), "each once");
        let _ = (sync.deadline(), sync.list_record(), sync.list_request());
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
