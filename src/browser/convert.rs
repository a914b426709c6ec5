//! Updates as JavaScript reads them, and its configuration as the engine does.

use crate::{
    engine::{Config, Person, Problem, Update},
    json::{Object, Value, list, number, object, owned, text},
    message::Failure,
    rest::{OwnTable, Source},
    timeline::Patch,
};

/// Some 25 to 50 MB: what every browser gives without asking, and the newest pages of 1000 conversations.
const KEPT_MESSAGES: u64 = 50_000;

pub fn config(value: &Value) -> Config {
    let unless_off = |field: &str| value.get(field).and_then(Value::as_bool).unwrap_or(true);
    let timeout = number(value, "request_timeout_ms").unwrap_or(10_000);
    Config {
        url: text(value, "url").unwrap_or_default().trim_end_matches('/').to_owned(),
        api_key: owned(value, "api_key").unwrap_or_default(),
        user_id: owned(value, "user_id"),
        sender_role: owned(value, "sender_role"),
        resume_on_reconnect: unless_off("resume_on_reconnect"),
        auto_read: unless_off("auto_read"),
        ticks_of_all: text(value, "ticks") == Some("all"),
        keep_messages: number(value, "keep_messages").unwrap_or(KEPT_MESSAGES),
        request_timeout_ms: u32::try_from(timeout).unwrap_or(u32::MAX),
        source: Source {
            endpoint: owned(value, "endpoint"),
            table: value.get("table").and_then(|table| own_table(table, text(value, "sender_role"))),
        },
        drain_only: value.get("drain_only").and_then(Value::as_bool) == Some(true),
    }
}

/// The facade has filled in and checked every name.
fn own_table(value: &Value, role: Option<&str>) -> Option<OwnTable> {
    Some(OwnTable {
        name: owned(value, "name")?,
        id: owned(value, "id")?,
        conversation_id: owned(value, "conversation_id")?,
        sender_role: owned(value, "sender_role")?,
        content: owned(value, "content")?,
        created_at: owned(value, "created_at")?,
        sender_id: owned(value, "sender_id"),
        message_type: owned(value, "message_type"),
        metadata: owned(value, "metadata"),
        role: role.unwrap_or_default().to_owned(),
    })
}

pub fn update(update: Update) -> Value {
    let (kind, mut fields) = match update {
        Update::Connection(status) => ("connection", vec![("status", status.as_str().into())]),
        Update::Sync { conversation_id, state } => {
            ("sync", vec![("conversation_id", conversation_id.into()), ("state", state.as_str().into())])
        }
        Update::Loaded { conversation_id } => ("loaded", vec![("conversation_id", conversation_id.into())]),
        Update::Messages { conversation_id, patch } => ("messages", messages(conversation_id, patch)),
        Update::People { conversation_id, people } => (
            "people",
            vec![("conversation_id", conversation_id.into()), ("people", list(people.into_iter().map(person)))],
        ),
        Update::History { conversation_id, has_older } => {
            ("history", vec![("conversation_id", conversation_id.into()), ("has_older", has_older.into())])
        }
        Update::Conversations { patch } => ("conversations", patch.fields()),
        Update::ListState { state, error } => {
            ("list", vec![("state", state.as_str().into()), ("error", error.map(problem).into())])
        }
        Update::Pending { total, conversations } => {
            let mut counts = Object::default();
            for (id, count) in conversations {
                counts.push(id, count.into());
            }
            ("pending", vec![("total", total.into()), ("conversations", counts.into())])
        }
        Update::Delivery { conversation_id, id, status, retry_count, failure } => (
            "delivery",
            vec![
                ("conversation_id", conversation_id.into()),
                ("id", id.as_str().into()),
                ("status", status.as_str().into()),
                ("retry_count", retry_count.into()),
                ("failure", failure.as_ref().map(Failure::to_value).into()),
            ],
        ),
        Update::TakenBack { conversation_id, id } => {
            ("taken_back", vec![("conversation_id", conversation_id.into()), ("id", id.as_str().into())])
        }
        Update::Drained { left } => ("drained", vec![("left", left.into())]),
        Update::Problem { conversation_id, error } => {
            ("problem", vec![("conversation_id", conversation_id.into()), ("error", error.map(problem).into())])
        }
        Update::Storage { durable } => ("storage", vec![("durable", durable.into())]),
        Update::Done { op, result } => ("done", vec![("op", op.into()), ("result", result)]),
        Update::Failed { op, error } => ("failed", vec![("op", op.into()), ("error", problem(error))]),
    };
    fields.push(("type", kind.into()));
    object(fields)
}

fn messages(conversation_id: String, patch: Patch) -> Vec<(&'static str, Value)> {
    let upsert = |(order, message): (u64, Value)| object(vec![("order", order.into()), ("message", message)]);
    vec![
        ("conversation_id", conversation_id.into()),
        ("reset", patch.reset.into()),
        ("upserts", list(patch.upserts.into_iter().map(upsert))),
        ("removes", list(patch.removes.iter().map(|id| id.as_str().into()))),
    ]
}

fn person(Person { user_id, role, typing }: Person) -> Value {
    object(vec![("user_id", user_id.into()), ("role", role.into()), ("typing", typing.into())])
}

fn problem(problem: Problem) -> Value {
    let mut fields = vec![("code", problem.code.into()), ("message", problem.message.into())];
    if let Some(status) = problem.http_status {
        fields.push(("http_status", status.into()));
    }
    if let Some(code) = problem.pg_code {
        fields.push(("pg_code", code.into()));
    }
    object(fields)
}
