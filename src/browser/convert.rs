//! Updates as JavaScript reads them, and its configuration as the engine does.

use crate::{
    engine::{Config, Person, Problem, Update},
    json::{Object, Value, fields, list, number, owned, text},
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
        Update::Connection(status) => ("connection", fields! { "status": status.as_str() }),
        Update::Sync { conversation_id, state } => {
            ("sync", fields! { "conversation_id": conversation_id, "state": state.as_str() })
        }
        Update::Loaded { conversation_id } => ("loaded", fields! { "conversation_id": conversation_id }),
        Update::Messages { conversation_id, patch } => ("messages", messages(conversation_id, patch)),
        Update::People { conversation_id, people } => {
            ("people", fields! { "conversation_id": conversation_id, "people": list(people.into_iter().map(person)) })
        }
        Update::History { conversation_id, has_older } => {
            ("history", fields! { "conversation_id": conversation_id, "has_older": has_older })
        }
        Update::Conversations { patch } => ("conversations", patch.fields()),
        Update::ListState { state, error } => {
            ("list", fields! { "state": state.as_str(), "error": error.map(problem) })
        }
        Update::Pending { total, conversations } => {
            let mut counts = Object::default();
            for (id, count) in conversations {
                counts.push(id, count.into());
            }
            ("pending", fields! { "total": total, "conversations": counts })
        }
        Update::Delivery { conversation_id, id, status, retry_count, failure } => (
            "delivery",
            fields! {
                "conversation_id": conversation_id,
                "id": id.as_str(),
                "status": status.as_str(),
                "retry_count": retry_count,
                "failure": failure.as_ref().map(Failure::to_value),
            },
        ),
        Update::TakenBack { conversation_id, id } => {
            ("taken_back", fields! { "conversation_id": conversation_id, "id": id.as_str() })
        }
        Update::Drained { left } => ("drained", fields! { "left": left }),
        Update::Problem { conversation_id, error } => {
            ("problem", fields! { "conversation_id": conversation_id, "error": error.map(problem) })
        }
        Update::Storage { durable } => ("storage", fields! { "durable": durable }),
        Update::Done { op, result } => ("done", fields! { "op": op, "result": result }),
        Update::Failed { op, error } => ("failed", fields! { "op": op, "error": problem(error) }),
    };
    fields.set("type", kind);
    fields.into()
}

fn messages(conversation_id: String, patch: Patch) -> Object {
    let upsert = |(order, message): (u64, Value)| fields! { "order": order, "message": message }.into();
    fields! {
        "conversation_id": conversation_id,
        "reset": patch.reset,
        "upserts": list(patch.upserts.into_iter().map(upsert)),
        "removes": list(patch.removes.iter().map(|id| id.as_str().into())),
    }
}

fn person(Person { user_id, role, typing }: Person) -> Value {
    fields! { "user_id": user_id, "role": role, "typing": typing }.into()
}

fn problem(problem: Problem) -> Value {
    let mut fields = fields! { "code": problem.code, "message": problem.message };
    if let Some(status) = problem.http_status {
        fields.set("http_status", status);
    }
    if let Some(code) = problem.pg_code {
        fields.set("pg_code", code);
    }
    fields.into()
}
