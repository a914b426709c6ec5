//! Access tokens: who issued which to whom, and until when the server takes it.

use std::collections::BTreeMap;

use surechat::{
    json::{object, print},
    session::read_claims,
};

use crate::Time;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The Auth server: it alone knows which token is good.
#[derive(Clone, Default)]
pub struct Auth {
    issued: BTreeMap<String, Issued>,
}

#[derive(Clone)]
struct Issued {
    user: String,
    expires_at: Time,
    revoked: bool,
}

impl Auth {
    pub fn issue(&mut self, user: &str, now: Time, lifetime_ms: u64) -> String {
        let serial = self.issued.len();
        // Claims count in seconds; what they say of the lifetime is what the server keeps to.
        let claims = object(vec![
            ("sub", user.into()),
            ("iat", (now / 1_000).into()),
            ("exp", (now / 1_000 + lifetime_ms / 1_000).into()),
        ]);
        let jwt = format!("h.{}.{serial}", base64url(print(&claims).as_bytes()));
        let issued = Issued { user: user.to_owned(), expires_at: now + lifetime_ms, revoked: false };
        self.issued.insert(jwt.clone(), issued);
        jwt
    }

    /// Whose token this is, if it is one of ours that has not run out.
    pub fn check(&self, jwt: &str, now: Time) -> Option<&str> {
        let issued = self.issued.get(jwt)?;
        (!issued.revoked && now < issued.expires_at).then_some(issued.user.as_str())
    }

    pub fn revoke(&mut self, jwt: &str) {
        if let Some(issued) = self.issued.get_mut(jwt) {
            issued.revoked = true;
        }
    }
}

/// What a token says of itself, good or not.
pub fn subject(jwt: &str) -> Option<String> {
    read_claims(jwt).map(|claims| claims.user_id)
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let six = bits >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_user_and_runs_out() {
        let mut auth = Auth::default();
        let jwt = auth.issue("operator-1", 1_000, 60_000);
        assert_eq!(subject(&jwt).as_deref(), Some("operator-1"));
        assert_eq!(auth.check(&jwt, 60_999), Some("operator-1"));
        assert_eq!(auth.check(&jwt, 61_000), None);
        assert_eq!(auth.check("h.forged.1", 2_000), None);
    }
}
