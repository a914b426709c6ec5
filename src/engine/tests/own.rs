//! A model of an app's own table behind the Data API, and of an app's own endpoint.

use std::collections::VecDeque;

use super::server::Fault;
use crate::{
    engine::Config,
    json,
    json::Value,
    message::{iso8601, micros},
    rest::{HttpRequest, HttpResponse, OwnTable},
};

pub const ENDPOINT: &str = "https://app.test/api/messages";

/// An app whose messages are in the guide's table.
pub fn by_table(config: &mut Config) {
    config.sender_role = Some("operator".into());
    config.source.table = Some(OwnTable {
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
    });
}

#[derive(Default)]
pub struct Own {
    pub rows: Vec<Value>,
    pub faults: VecDeque<Fault>,
    pub look_ups: usize,
    pub windows: usize,
    /// Contents that a check of the app refuses.
    pub refuses: Option<&'static str>,
    pub shows_its_clock: bool,
    pub live: Vec<Value>,
    now: u64,
}

impl Own {
    pub fn at(&mut self, mono: u64) {
        self.now = self.now.max(1_795_408_000_000_000 + mono * 1_000);
    }

    pub fn contents(&self) -> Vec<&str> {
        let mut rows: Vec<&Value> = self.rows.iter().collect();
        rows.sort_by_key(|row| (time_of(row), row["id"].as_str().map(str::to_owned)));
        rows.into_iter().filter_map(|row| row["content"].as_str()).collect()
    }

    /// A row of somebody else's, that many milliseconds from now.
    pub fn row(&mut self, id: &str, role: &str, content: &str, from_now_ms: i64) -> Value {
        self.now += 7;
        let at = self.now.saturating_add_signed(from_now_ms * 1_000);
        json!({"id": id, "booking_id": "b1", "sender_role": role, "content": content, "message_type": "text",
            "metadata": {}, "created_at": spelled(at)})
    }

    pub fn post(&mut self, id: &str, content: &str) {
        let row = self.row(id, "client", content, 0);
        self.commit(row);
    }

    pub fn commit(&mut self, row: Value) {
        self.live
            .push(json!({"type": "INSERT", "schema": "public", "table": "messages", "record": row, "errors": null}));
        self.rows.push(row);
    }

    pub fn update(&mut self, id: &str, content: &str) {
        let row = self.rows.iter_mut().find(|row| row["id"] == id).expect("a row");
        row["content"] = content.into();
        let row = row.clone();
        self.live
            .push(json!({"type": "UPDATE", "schema": "public", "table": "messages", "record": row, "errors": null}));
    }

    pub fn answer(&mut self, http: &HttpRequest) -> HttpResponse {
        let date_ms = self.shows_its_clock.then_some(self.now / 1_000);
        HttpResponse { date_ms, ..self.respond(http) }
    }

    fn respond(&mut self, http: &HttpRequest) -> HttpResponse {
        if !http.body.is_empty() {
            return self.insert(&json::parse(&http.body).expect("JSON"));
        }
        let query = http.url.split_once('?').expect("a query").1.replace("%22", "\"").replace("%3A", ":");
        let query = query.replace("%2B", "+").replace("%20", " ");
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        if let Some(id) = parameter("id") {
            self.look_ups += 1;
            let found: Vec<&Value> = self.rows.iter().filter(|row| format!("eq.{}", text(&row["id"])) == id).collect();
            return respond(200, &json!(found.into_iter().map(serde_json::Value::from).collect::<Vec<_>>()));
        }
        self.windows += 1;
        let key = |row: &Value| (time_of(row), text(&row["id"]).to_owned());
        let mut rows: Vec<Value> = self.rows.clone();
        rows.sort_by_key(key);
        if let Some(from) = parameter("created_at") {
            let (is, bound) = from.split_once('.').expect("an operator");
            let bound = micros(bound).expect("a time");
            rows.retain(|row| if is == "lt" { time_of(row) < bound } else { time_of(row) >= bound });
        }
        if let Some(behind) = parameter("or") {
            let parts: Vec<&str> = behind.split('"').collect();
            let id = parts[4].trim_start_matches(",id.gt.").trim_end_matches("))").to_owned();
            let last = (micros(parts[1]).expect("a time"), id);
            rows.retain(|row| key(row) > last);
        }
        if parameter("order").is_some_and(|order| order.starts_with("created_at.desc")) {
            rows.reverse();
        }
        rows.truncate(parameter("limit").and_then(|limit| limit.parse().ok()).expect("a limit"));
        respond(200, &json!(rows.iter().map(serde_json::Value::from).collect::<Vec<_>>()))
    }

    fn insert(&mut self, body: &Value) -> HttpResponse {
        if self.refuses.is_some_and(|refused| body["content"] == refused) {
            return respond(400, &json!({"code": "23514"}));
        }
        if self.rows.iter().any(|row| row["id"] == body["id"]) {
            return respond(409, &json!({"code": "23505"}));
        }
        self.now += 13;
        let mut row = body.clone();
        row["created_at"] = spelled(self.now).as_str().into();
        self.commit(row.clone());
        respond(201, &json!([serde_json::Value::from(&row)]))
    }
}

fn spelled(at: u64) -> String {
    let text = iso8601(at / 1_000);
    format!("{}{:03}+00:00", text.trim_end_matches('Z'), at % 1_000)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn time_of(row: &Value) -> u64 {
    micros(text(&row["created_at"])).expect("a time")
}

fn respond(status: u16, body: &Value) -> HttpResponse {
    HttpResponse { status, retry_after_ms: None, date_ms: None, body: body.to_string() }
}
