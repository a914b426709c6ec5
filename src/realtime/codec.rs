//! Phoenix frames of version 2.0.0: text is `[join_ref, ref, topic, event, payload]`, and
//! broadcasts also come as binary frames of kind 4. Total: any input gives a frame or an error.

use std::fmt;

use crate::{
    json::{self, Object, Value},
    text::decimal,
};

/// Larger than anything a server sends: broadcasts end at 3 MB, changes at 1 MB.
const MAX_FRAME: usize = 8 << 20;
const KIND_BROADCAST: u8 = 4;
const ENCODING_JSON: u8 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub join_ref: Option<String>,
    pub reference: Option<String>,
    pub topic: String,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Reply {
        ok: bool,
        /// Why not: the server's `reason`, or a bare string in its place.
        reason: String,
    },
    Close,
    Error,
    System {
        extension: String,
        ok: bool,
        message: String,
    },
    Broadcast {
        event: String,
        payload: Payload,
        id: Option<String>,
        replayed: bool,
    },
    Change {
        data: Value,
        ids: Vec<u64>,
        errors: Vec<String>,
    },
    PresenceState(Value),
    PresenceDiff {
        joins: Value,
        leaves: Value,
    },
    /// An event of a later server.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Json(Value),
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    TooLarge,
    Truncated,
    NotUtf8,
    NotJson,
    /// JSON, but not a frame.
    Shape,
    /// A binary frame of a kind that servers do not send.
    Kind,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::TooLarge => "frame too large",
            DecodeError::Truncated => "frame cut short",
            DecodeError::NotUtf8 => "frame is not UTF-8",
            DecodeError::NotJson => "frame is not JSON",
            DecodeError::Shape => "not a Phoenix frame",
            DecodeError::Kind => "binary frame of unknown kind",
        })
    }
}

impl std::error::Error for DecodeError {}

pub fn encode(join_ref: Option<u64>, reference: u64, topic: &str, event: &str, payload: Value) -> String {
    let frame = vec![
        join_ref.map_or(Value::Null, |join_ref| decimal(join_ref).into()),
        Value::from(decimal(reference)),
        Value::from(topic),
        Value::from(event),
        payload,
    ];
    json::print(&frame.into())
}

pub fn decode_text(text: &str) -> Result<Frame, DecodeError> {
    if text.len() > MAX_FRAME {
        return Err(DecodeError::TooLarge);
    }
    let value = json::parse(text).ok_or(DecodeError::NotJson)?;
    let Value::Array(parts) = value else {
        return Err(DecodeError::Shape);
    };
    let [join_ref, reference, topic, event, payload] = <[Value; 5]>::try_from(parts).map_err(|_| DecodeError::Shape)?;
    let (Value::String(topic), Value::String(event)) = (topic, event) else {
        return Err(DecodeError::Shape);
    };
    Ok(Frame { join_ref: string(join_ref), reference: string(reference), topic, body: body(&event, payload) })
}

pub fn decode_binary(bytes: &[u8]) -> Result<Frame, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError::TooLarge);
    }
    let (&kind, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    if kind != KIND_BROADCAST {
        return Err(DecodeError::Kind);
    }
    let (&[topic, event, meta, encoding], rest) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
    let (topic, rest) = take_text(rest, topic)?;
    let (event, rest) = take_text(rest, event)?;
    let (meta, rest) = take_text(rest, meta)?;
    let meta = match meta {
        "" => Value::Null,
        meta => json::parse(meta).ok_or(DecodeError::NotJson)?,
    };
    let payload = match encoding {
        ENCODING_JSON => Payload::Json(json::parse_bytes(rest).ok_or(DecodeError::NotJson)?),
        _ => Payload::Bytes(rest.to_vec()),
    };
    Ok(Frame {
        join_ref: None,
        reference: None,
        topic: topic.to_owned(),
        body: broadcast(event.to_owned(), payload, meta),
    })
}

fn take_text(bytes: &[u8], len: u8) -> Result<(&str, &[u8]), DecodeError> {
    let (head, rest) = bytes.split_at_checked(usize::from(len)).ok_or(DecodeError::Truncated)?;
    let text = std::str::from_utf8(head).map_err(|_| DecodeError::NotUtf8)?;
    Ok((text, rest))
}

fn body(event: &str, payload: Value) -> Body {
    let mut fields = match payload {
        Value::Object(fields) => fields,
        _ => Object::default(),
    };
    let mut take = |key: &str| fields.take(key);
    match event {
        "phx_reply" => Body::Reply {
            ok: is_ok(&take("status")),
            reason: match take("response") {
                Value::Object(mut response) => text(response.take("reason")),
                response => text(response),
            },
        },
        "phx_close" => Body::Close,
        "phx_error" => Body::Error,
        "system" => Body::System {
            extension: text(take("extension")),
            ok: is_ok(&take("status")),
            message: text(take("message")),
        },
        "broadcast" => broadcast(text(take("event")), Payload::Json(take("payload")), take("meta")),
        "postgres_changes" => {
            let data = take("data");
            Body::Change { errors: errors(data.get("errors").unwrap_or(&Value::Null)), ids: ids(take("ids")), data }
        }
        "presence_state" => Body::PresenceState(Value::Object(fields)),
        "presence_diff" => Body::PresenceDiff { joins: take("joins"), leaves: take("leaves") },
        _ => Body::Unknown,
    }
}

fn broadcast(event: String, payload: Payload, meta: Value) -> Body {
    Body::Broadcast {
        event,
        payload,
        id: json::owned(&meta, "id"),
        replayed: meta.get("replayed") == Some(&Value::Bool(true)),
    }
}

fn is_ok(status: &Value) -> bool {
    status.as_str() == Some("ok")
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn text(value: Value) -> String {
    string(value).unwrap_or_default()
}

fn ids(value: Value) -> Vec<u64> {
    match value {
        Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
        _ => Vec::new(),
    }
}

/// Whatever is not `null` means that the row may be incomplete.
fn errors(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(errors) => errors.iter().map(words).collect(),
        other => vec![words(other)],
    }
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| json::print(value), str::to_owned)
}
