//! Requests to the Data API and what their answers mean.
//!
//! Whatever the server, a gateway or the browser answers, [`judge`] turns it into one
//! [`Outcome`]; this is the one table that decides an attempt's fate. The body's `code` counts
//! first, then the HTTP status, never the words of a message.
//!
//! | answer | outcome |
//! |---|---|
//! | no answer: network, abort, time limit; or a success that cannot be read | [`Outcome::Unknown`] |
//! | PGRST301, 302, 303, PT401, any other 401 | [`Outcome::Unauthorized`] |
//! | 42501, other 403 | [`Outcome::Forbidden`] |
//! | 23503, 23514, 23502, 22xxx, P0001, other 4xx | [`Outcome::Refused`] |
//! | 413, 414 | [`Outcome::TooLarge`] |
//! | 429 | [`Outcome::RateLimited`] |
//! | PGRST202, 204, 205, 42P01, 42703, 42883 | [`Outcome::SchemaMissing`] |
//! | 40001, 40P01, 55P03, 57014, 57P01, 08xxx, 25xxx, 53xxx, PGRST000 to 003, 408, 5xx | [`Outcome::Retry`] |

mod rpc;
mod source;
mod table;

use crate::{
    json::{self, Value, text},
    message::Failure,
};

pub use rpc::{
    Cursor, ListAnswer, Overview, RowAnswer, RowStatus, StoredFacts, SyncAnswer, SyncStatus, Target, ack, list_changes,
    older, read_acks, read_list, read_rows, read_sync, send, sync,
};
pub use source::{Doubt, Source, unsupported};
pub use table::{OF_TABLE, OwnTable, Start, Window};

/// A POST of JSON at one constant URL per function, which costs one preflight in two hours; or a GET.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    /// Empty for a GET.
    pub body: String,
    pub timeout_ms: u32,
    /// It outlives the page, and nobody waits for its answer.
    pub keepalive: bool,
}

/// Hides token and body.
impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = if self.body.is_empty() { "GET" } else { "POST" };
        write!(f, "{method} {} ({} bytes)", self.url, self.body.len())
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// In milliseconds; `None` too where CORS hides the header.
    pub retry_after_ms: Option<u64>,
    /// The server's clock in milliseconds since 1970, where its header can be read.
    pub date_ms: Option<u64>,
    pub body: String,
}

/// Hides the body.
impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

/// No answer. What became of the request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpError {
    Network,
    Timeout,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A success, with its JSON.
    Answer(Value),
    /// It may have happened or not: the same again, under the same ids.
    Unknown(Failure),
    /// Wait for a fresh token; no attempt is burned.
    Unauthorized,
    /// One token refresh, then refused.
    Forbidden(Failure),
    /// The same again would be refused again.
    Refused(Failure),
    TooLarge(Failure),
    /// Everything pauses; no attempt is burned.
    RateLimited {
        retry_after_ms: Option<u64>,
        failure: Failure,
    },
    Retry(Failure),
    /// The schema is not there, or not yet: again, ever more slowly, and said aloud.
    SchemaMissing(Failure),
}

pub fn judge(result: Result<HttpResponse, HttpError>) -> Outcome {
    let response = match result {
        Ok(response) => response,
        Err(HttpError::Network) => {
            return Outcome::Unknown(failure("network", "unable to reach the server; because the network failed"));
        }
        Err(HttpError::Timeout) => {
            return Outcome::Unknown(failure(
                "timeout",
                "unable to reach the server; because it did not answer in time",
            ));
        }
    };
    let body: Option<Value> = json::parse(&response.body);
    if (200..300).contains(&response.status) {
        return match body {
            Some(body) => Outcome::Answer(body),
            None => Outcome::Unknown(failure("server", "unable to read the server's answer; because it is not JSON")),
        };
    }
    let pg_code = body.as_ref().and_then(|body| text(body, "code")).unwrap_or_default();
    let fail = |code: &str, retryable: bool, message: &str| Failure {
        code: code.into(),
        retryable,
        http_status: Some(response.status),
        pg_code: (!pg_code.is_empty()).then(|| pg_code.to_owned()),
        message: message.into(),
    };
    let schema = || {
        Outcome::SchemaMissing(fail(
            "schema_missing",
            true,
            "unable to call the server; because the database lacks surechat's migration",
        ))
    };
    let refused =
        || Outcome::Refused(fail("rejected", false, "unable to store the message; because the database refused it"));
    let retry =
        || Outcome::Retry(fail("server", true, "unable to store the message; because the server has a passing fault"));

    match (pg_code, response.status) {
        ("PGRST301" | "PGRST302" | "PGRST303" | "PT401", _) => Outcome::Unauthorized,
        ("42501", _) => Outcome::Forbidden(fail(
            "forbidden",
            false,
            "unable to store the message; because this user may not write here",
        )),
        ("PGRST202" | "PGRST204" | "PGRST205" | "42P01" | "42703" | "42883", _) => schema(),
        ("40001" | "40P01" | "55P03" | "57014" | "57P01" | "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003", _) => {
            retry()
        }
        ("23503" | "23505" | "23514" | "23502" | "P0001", _) => refused(),
        (code, _) if is_class(code, "08") || is_class(code, "25") || is_class(code, "53") => retry(),
        (code, _) if is_class(code, "22") => refused(),
        (_, 401) => Outcome::Unauthorized,
        (_, 403) => {
            Outcome::Forbidden(fail("forbidden", false, "unable to store the message; because the server forbids it"))
        }
        (_, 413 | 414) => Outcome::TooLarge(fail(
            "too_large",
            false,
            "unable to store the message; because it is too large for the server",
        )),
        (_, 429) => Outcome::RateLimited {
            retry_after_ms: response.retry_after_ms,
            failure: fail("rate_limited", true, "unable to store the message yet; because the server asks for a pause"),
        },
        (_, 408 | 500..) => retry(),
        (_, 400..500) => refused(),
        _ => Outcome::Unknown(fail(
            "server",
            true,
            "unable to read the server's answer; because its status is unexpected",
        )),
    }
}

fn is_class(code: &str, class: &str) -> bool {
    code.len() == 5 && code.starts_with(class)
}

fn failure(code: &str, message: &str) -> Failure {
    Failure { code: code.into(), retryable: true, http_status: None, pg_code: None, message: message.into() }
}

#[cfg(test)]
mod tests;
