//! Bends JSON without breaking it: the way into code that reads fields.

use fastrand::Rng;
use serde_json::{Map, Number, Value};

/// Names and words that decide something somewhere.
const WORDS: [&str; 89] = [
    "",
    "0",
    "b1",
    "b2",
    "u1",
    "u2",
    "id",
    "v",
    "key",
    "seq",
    "kind",
    "target_id",
    "content",
    "message_type",
    "metadata",
    "created_at",
    "edited_at",
    "deleted_at",
    "sender_id",
    "sender_role",
    "conversation_id",
    "incarnation",
    "low",
    "cursor",
    "read",
    "members",
    "others_seq",
    "refused",
    "code",
    "retryable",
    "status",
    "rows",
    "last_seq",
    "through_seq",
    "first_seq",
    "delivered_seq",
    "read_seq",
    "user_id",
    "role",
    "ok",
    "error",
    "stored",
    "duplicate",
    "skipped",
    "forbidden",
    "no_conversation",
    "id_conflict",
    "rejected:23514",
    "message",
    "edit",
    "delete",
    "text",
    "PGRST301",
    "PGRST202",
    "42501",
    "22P05",
    "23505",
    "40001",
    "P0001",
    "PT401",
    "hello",
    "enqueued",
    "changed",
    "open",
    "retry",
    "act",
    "cancel",
    "discard",
    "P0002",
    "connected",
    "t",
    "row",
    "receipt",
    "broadcast",
    "system",
    "phx_reply",
    "phx_error",
    "phx_close",
    "presence_state",
    "presence_diff",
    "phx_ref",
    "typing",
    "people",
    "screen",
    "realtime:chat:b1",
    "realtime:chat-user:u1",
    "2026-11-23T06:30:00+00:00",
    "00000000-0000-7101-8101-010101010101",
    "00000000-0000-7202-8202-020202020202",
];

const NUMBERS: [f64; 12] =
    [0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 200.0, 401.0, 503.0, 4_294_967_296.0, 9_007_199_254_740_991.0, 1e300];

/// `None` for what is not JSON.
pub fn json(data: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(data).ok()?;
    for _ in 0..rng.usize(1..=3) {
        edit(&mut value, rng);
    }
    serde_json::to_vec(&value).ok()
}

fn edit(root: &mut Value, rng: &mut Rng) {
    let nodes = count(root);
    let donor = nth(root, &mut rng.usize(..nodes)).cloned().unwrap_or_default();
    let Some(node) = nth(root, &mut rng.usize(..nodes)) else { return };
    match node {
        Value::Array(items) if !items.is_empty() && rng.u8(..4) > 0 => {
            let (one, other) = (rng.usize(..items.len()), rng.usize(..items.len()));
            match rng.u8(..4) {
                0 => drop(items.remove(one)),
                1 if items.len() < 64 => items.insert(other, items[one].clone()),
                2 => items.swap(one, other),
                _ => items[one] = donor,
            }
        }
        Value::Object(fields) if rng.u8(..4) > 0 => edit_object(fields, donor, rng),
        Value::String(text) if rng.bool() => match rng.u8(..5) {
            0 => text.make_ascii_uppercase(),
            1 => drop(text.pop()),
            2 => text.push_str(word(rng)),
            3 => text.push(rng.char(..)),
            _ => *text = text.repeat(rng.usize(0..4).min(4_096 / (text.len() + 1))),
        },
        Value::Number(number) if rng.bool() => {
            let step = [1.0, -1.0, 10.0, 1_000.0][rng.usize(..4)];
            *number = Number::from_f64(number.as_f64().unwrap_or_default() + step).unwrap_or_else(|| 0.into());
        }
        node => *node = if rng.u8(..3) == 0 { donor } else { scalar(rng) },
    }
}

fn edit_object(fields: &mut Map<String, Value>, donor: Value, rng: &mut Rng) {
    let known: Vec<String> = fields.keys().cloned().collect();
    let one = if known.is_empty() { String::new() } else { known[rng.usize(..known.len())].clone() };
    match rng.u8(..4) {
        0 => drop(fields.remove(&one)),
        1 => drop(fields.insert(word(rng).to_owned(), donor)),
        2 => drop(fields.insert(one, scalar(rng))),
        _ => {
            if let Some(value) = fields.remove(&one) {
                fields.insert(word(rng).to_owned(), value);
            }
        }
    }
}

fn scalar(rng: &mut Rng) -> Value {
    match rng.u8(..8) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => Value::Array(Vec::new()),
        3 => Value::Object(Map::new()),
        4 | 5 => NUMBERS[rng.usize(..NUMBERS.len())].into(),
        _ => word(rng).into(),
    }
}

fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(..WORDS.len())]
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The node that is reached after `left` others.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, left)),
        _ => None,
    }
}
