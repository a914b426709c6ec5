//! Why the server refused a channel, and what is done about it: this table is the documentation.

use crate::text::split_once;

/// Told apart by the code in front of the server's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The token has expired, by the server's clock.
    TokenExpired,
    /// The token is malformed, has a bad signature, or lacks `role` or `exp`.
    TokenInvalid,
    /// No policy lets this user read the topic (yet).
    Unauthorized,
    /// The project has too many users, joins or messages at the moment.
    RateLimited,
    /// 100 channels per socket.
    TooManyChannels,
    /// Realtime does not serve this project, or not this topic.
    Unavailable,
    /// The server could not listen to the database for this channel: wrong table or filter, or
    /// not in time.
    NotReady,
    /// Everything else: starting, overloaded, restarting, unknown.
    Transient,
}

/// What follows a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Once at once with a fresh token; then not before another token comes.
    FreshToken,
    /// Once at once with a fresh token; then slowly. A side channel without a permission: slowly.
    FreshTokenThenSlow,
    Backoff,
    /// At least 30 s, for every channel; for a side channel, it alone.
    LongBackoff,
    /// In minutes.
    Rare,
    Never,
}

impl JoinError {
    /// `reason` of a join's error reply: `"<Code>: words"`.
    pub fn from_reason(reason: &str) -> Self {
        let code = split_once(reason, b':').map_or(reason, |(code, _)| code).trim();
        match code {
            "InvalidJWTExpiration" => JoinError::TokenExpired,
            // One code for "has expired" and for missing claims.
            "InvalidJWTToken" if says(reason, "expired") => JoinError::TokenExpired,
            "InvalidJWTToken" | "MalformedJWT" | "JwtSignatureError" | "JwtSignerError" => JoinError::TokenInvalid,
            "Unauthorized" => JoinError::Unauthorized,
            "ConnectionRateLimitReached" | "ClientJoinRateLimitReached" => JoinError::RateLimited,
            "ChannelRateLimitReached" => JoinError::TooManyChannels,
            "PrivateOnly" | "RealtimeDisabledForTenant" | "TenantNotFound" | "TopicNameRequired" => {
                JoinError::Unavailable
            }
            _ => JoinError::Transient,
        }
    }

    /// `message` of the `system` frame with which the server closes a running channel. It carries
    /// no code, so there are only words to go by; an unknown one is transient.
    pub fn from_closing(message: &str) -> Self {
        if message.starts_with("Token has expired") {
            JoinError::TokenExpired
        } else if message.starts_with("Too many ") || says(message, "rate limit") {
            JoinError::RateLimited
        } else if says(message, "permission") {
            JoinError::Unauthorized
        } else if message.starts_with(':') || message.starts_with("Fields ") {
            // The server's own names for what is wrong with a token, like ":signature_error".
            JoinError::TokenInvalid
        } else {
            JoinError::Transient
        }
    }

    pub fn retry(self) -> Retry {
        match self {
            JoinError::TokenInvalid => Retry::FreshToken,
            JoinError::TokenExpired | JoinError::Unauthorized => Retry::FreshTokenThenSlow,
            JoinError::RateLimited => Retry::LongBackoff,
            JoinError::Unavailable => Retry::Rare,
            JoinError::TooManyChannels => Retry::Never,
            JoinError::NotReady | JoinError::Transient => Retry::Backoff,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            JoinError::TokenExpired => "token_expired",
            JoinError::TokenInvalid => "token_invalid",
            JoinError::Unauthorized => "unauthorized",
            JoinError::RateLimited => "rate_limited",
            JoinError::TooManyChannels => "too_many_channels",
            JoinError::Unavailable => "unavailable",
            JoinError::NotReady => "not_ready",
            JoinError::Transient => "transient",
        }
    }

    pub(super) fn blames_token(self) -> bool {
        matches!(self.retry(), Retry::FreshToken | Retry::FreshTokenThenSlow)
    }
}

/// `str::contains` brings a search algorithm of its own, which these few words do not earn.
fn says(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len()).any(|window| window == words.as_bytes())
}
