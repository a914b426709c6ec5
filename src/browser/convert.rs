//! Updates as JavaScript reads them, and its configuration as the engine does.

use serde_json::{Map, Value, json};

use crate::{
    engine::{Config, Problem, Update},
    json::text,
    message::Failure,
    timeline::Patch,
};

pub fn config(value: &Value) -> Config {
    let owned = |field: &str| text(value, field).map(str::to_owned);
    let unless_off = |field: &str| value.get(field).and_then(Value::as_bool).unwrap_or(true);
    let timeout = value.get("request_timeout_ms").and_then(Value::as_u64).unwrap_or(10_000);
    Config {
        url: text(value, "url").unwrap_or_default().trim_end_matches('/').to_owned(),
        api_key: owned("api_key").unwrap_or_default(),
        user_id: owned("user_id"),
        sender_role: owned("sender_role"),
        resume_on_reconnect: unless_off("resume_on_reconnect"),
        auto_read: unless_off("auto_read"),
        request_timeout_ms: u32::try_from(timeout).unwrap_or(u32::MAX),
    }
}

pub fn update(update: Update) -> Value {
    match update {
        Update::Connection(status) => object("connection", [("status", status.as_str().into())]),
        Update::Sync { conversation_id, state } => {
            object("sync", [("conversation_id", conversation_id.into()), ("state", state.as_str().into())])
        }
        Update::Loaded { conversation_id } => object("loaded", [("conversation_id", conversation_id.into())]),
        Update::Messages { conversation_id, patch } => messages(conversation_id, patch),
        Update::Pending { total, conversations } => {
            let conversations: Map<String, Value> =
                conversations.into_iter().map(|(id, count)| (id, count.into())).collect();
            object("pending", [("total", total.into()), ("conversations", conversations.into())])
        }
        Update::Delivery { conversation_id, id, status, retry_count, failure } => object(
            "delivery",
            [
                ("conversation_id", conversation_id.into()),
                ("id", id.as_str().into()),
                ("status", status.as_str().into()),
                ("retry_count", retry_count.into()),
                ("failure", failure.as_ref().map(Failure::to_value).into()),
            ],
        ),
        Update::Problem { conversation_id, error } => {
            object("problem", [("conversation_id", conversation_id.into()), ("error", error.map(problem).into())])
        }
        Update::Storage { durable } => object("storage", [("durable", durable.into())]),
        Update::Done { op, result } => object("done", [("op", op.into()), ("result", result)]),
        Update::Failed { op, error } => object("failed", [("op", op.into()), ("error", problem(error))]),
    }
}

fn messages(conversation_id: String, patch: Patch) -> Value {
    let upserts: Vec<Value> =
        patch.upserts.into_iter().map(|(order, message)| json!({"order": order, "message": message})).collect();
    let removes: Vec<Value> = patch.removes.iter().map(|id| id.as_str().into()).collect();
    object(
        "messages",
        [
            ("conversation_id", conversation_id.into()),
            ("reset", patch.reset.into()),
            ("upserts", upserts.into()),
            ("removes", removes.into()),
        ],
    )
}

fn problem(problem: Problem) -> Value {
    let mut fields = Map::new();
    fields.insert("code".into(), problem.code.into());
    fields.insert("message".into(), problem.message.into());
    if let Some(status) = problem.http_status {
        fields.insert("http_status".into(), status.into());
    }
    if let Some(code) = problem.pg_code {
        fields.insert("pg_code".into(), code.into());
    }
    fields.into()
}

fn object<const N: usize>(kind: &str, fields: [(&str, Value); N]) -> Value {
    let mut object = Map::new();
    object.insert("type".into(), kind.into());
    object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    object.into()
}
