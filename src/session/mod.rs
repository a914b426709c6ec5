//! Whose token, how fresh, and what to do when it is refused.
//!
//! The `sub` of the very token that is sent is compared with the outbox's user: nothing goes out
//! under another name. Freshness is `exp - iat` counted from the token's receipt, since a device's
//! clock lies. Secrets stay in memory.

use crate::{
    json::{self, number, owned},
    text::split_once,
};

/// A token is asked for anew this long before it expires.
const EXPIRY_MARGIN_MS: u64 = 60_000;
/// The app is asked again after this long, so that a changed session is noticed.
const MAX_AGE_MS: u64 = 30_000;
/// Without `exp` and `iat` in it, a token is taken to last this long.
const DEFAULT_LIFETIME_MS: u64 = 3_600_000;
/// How long an app may take to answer before the question is put again.
const ANSWER_TIMEOUT_MS: u64 = 15_000;
/// A server may refuse a good token for a while, by its clock or while it restarts: then it gets it once more.
const RETRIAL_MS: u64 = 30_000;
/// Pauses between questions while the answer is a refused token, or none.
const PAUSES_MS: [u64; 5] = [1_000, 2_000, 5_000, 10_000, 30_000];

/// What a JWT says of itself. Nothing is verified here: that is the server's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub user_id: String,
    pub lifetime_ms: u64,
}

/// `None` for what is no JWT of a signed-in user.
pub fn read_claims(jwt: &str) -> Option<Claims> {
    let (_, rest) = split_once(jwt, b'.')?;
    let payload = decode_base64url(split_once(rest, b'.').map_or(rest, |(payload, _)| payload))?;
    let claims = json::parse_bytes(&payload)?;
    let lifetime_ms = match (number(&claims, "exp"), number(&claims, "iat")) {
        (Some(exp), Some(iat)) if exp > iat => (exp - iat).saturating_mul(1_000),
        _ => DEFAULT_LIFETIME_MS,
    };
    Some(Claims { user_id: owned(&claims, "sub")?, lifetime_ms })
}

/// `None` for a character of another alphabet. A library for this weighs more than the rest of the room.
fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for character in text.bytes() {
        let six = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// Hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub jwt: String,
    pub claims: Claims,
    /// On the monotonic clock, in milliseconds.
    pub expires_at: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(of {})", self.claims.user_id)
    }
}

/// Why there is no token to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The app says that nobody is signed in.
    SignedOut,
    /// Somebody else is signed in.
    OtherUser,
    /// The server refuses what the app gives.
    Refused,
    /// The app could not say.
    Failed,
}

#[derive(Debug, Clone, Default)]
pub struct Session {
    token: Option<Token>,
    asked_at: Option<u64>,
    /// When the app gave the token at hand, or gave it again.
    confirmed_at: Option<u64>,
    /// The refused token, and until when it is not sent again.
    refused: Option<(String, u64)>,
    missing: Option<Missing>,
    pauses: usize,
    ask_again_at: u64,
}

impl Session {
    /// The token to send for `user_id`, if one is at hand that is fresh and theirs.
    pub fn token(&self, now: u64, user_id: &str) -> Option<&Token> {
        self.token.as_ref().filter(|token| {
            token.claims.user_id == user_id
                && now + EXPIRY_MARGIN_MS.min(token.claims.lifetime_ms / 2) < token.expires_at
                && self.confirmed_at.is_some_and(|at| now < at + MAX_AGE_MS)
        })
    }

    /// Whether to ask the app now; if so, the question counts as put.
    pub fn ask(&mut self, now: u64) -> bool {
        let waiting = self.asked_at.is_some_and(|at| now < at + ANSWER_TIMEOUT_MS);
        if waiting || now < self.ask_again_at {
            return false;
        }
        self.asked_at = Some(now);
        true
    }

    /// When a waiting caller should try [`Session::ask`] again.
    pub fn deadline(&self) -> u64 {
        self.asked_at.map_or(self.ask_again_at, |at| at + ANSWER_TIMEOUT_MS)
    }

    /// The app's answer; `user_id` is whose outbox it is, if that is known yet.
    pub fn answer(&mut self, now: u64, result: Result<Option<String>, ()>, user_id: Option<&str>) {
        self.asked_at = None;
        let jwt = match result {
            Ok(Some(jwt)) => jwt,
            Ok(None) => return self.miss(now, Missing::SignedOut),
            Err(()) => return self.miss(now, Missing::Failed),
        };
        let Some(claims) = read_claims(&jwt) else {
            return self.miss(now, Missing::Refused);
        };
        if user_id.is_some_and(|expected| expected != claims.user_id) {
            return self.miss(now, Missing::OtherUser);
        }
        if self.refused.as_ref().is_some_and(|(refused, until)| *refused == jwt && now < *until) {
            return self.miss(now, Missing::Refused);
        }
        let known = self.token.take().filter(|token| token.jwt == jwt);
        let expires_at = known.map_or(now + claims.lifetime_ms, |token| token.expires_at);
        // A provider that goes on giving a token that has run out is asked at a slow pace.
        if now + EXPIRY_MARGIN_MS.min(claims.lifetime_ms / 2) >= expires_at {
            self.token = Some(Token { jwt, claims, expires_at });
            return self.miss(now, Missing::Refused);
        }
        self.token = Some(Token { jwt, claims, expires_at });
        self.confirmed_at = Some(now);
        self.missing = None;
        self.ask_again_at = 0;
    }

    /// The server took the token.
    pub fn accepted(&mut self) {
        self.pauses = 0;
        self.refused = None;
    }

    /// The server refused this token: ask for another one.
    pub fn rejected(&mut self, now: u64, jwt: &str) {
        if self.token.as_ref().is_some_and(|token| token.jwt == jwt) {
            self.token = None;
            self.refused = Some((jwt.to_owned(), now + RETRIAL_MS));
        }
    }

    /// Forget the token at hand, so that the next request asks for one.
    pub fn renew(&mut self) {
        self.confirmed_at = None;
        self.ask_again_at = 0;
    }

    /// Somebody asks for it: the app may have another token by now, and a refused one gets its chance.
    pub fn retry(&mut self) {
        self.renew();
        self.refused = None;
    }

    pub fn missing(&self) -> Option<Missing> {
        self.missing
    }

    /// The last token of the app, whoever it is: at first it names the user.
    pub fn user_id(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.claims.user_id.as_str())
    }

    fn miss(&mut self, now: u64, missing: Missing) {
        self.missing = Some(missing);
        if missing != Missing::Failed {
            self.confirmed_at = None;
        }
        let pause = PAUSES_MS.get(self.pauses).or(PAUSES_MS.last()).copied().unwrap_or_default();
        self.pauses += 1;
        self.ask_again_at = now + pause;
    }
}

#[cfg(test)]
mod tests;
