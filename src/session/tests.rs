use crate::json;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::*;

fn jwt(user: &str, lifetime_s: u64, salt: u64) -> String {
    let claims = json!({"sub": user, "iat": 1_000 + salt, "exp": 1_000 + salt + lifetime_s}).to_string();
    format!("head.{}.sign", Base64UrlUnpadded::encode_string(claims.as_bytes()))
}

fn answered(jwt: &str) -> Session {
    let mut session = Session::default();
    assert!(session.ask(0));
    session.answer(0, Ok(Some(jwt.to_owned())), Some("ann"));
    session
}

#[test]
fn what_is_no_jwt_has_no_claims() {
    for text in ["", "a", "a.b", "a.!!.c", "a.e30.c", "sb_publishable_x"] {
        assert_eq!(read_claims(text), None, "{text}");
    }
    assert_eq!(read_claims(&jwt("ann", 60, 0)), Some(Claims { user_id: "ann".into(), lifetime_ms: 60_000 }));
}

#[test]
fn a_token_is_sent_for_its_own_user_only() {
    let session = answered(&jwt("ann", 3_600, 0));
    assert!(session.token(1, "ann").is_some());
    assert!(session.token(1, "bob").is_none());
}

#[test]
fn another_users_token_is_not_taken() {
    let mut session = Session::default();
    session.answer(0, Ok(Some(jwt("bob", 3_600, 0))), Some("ann"));
    assert_eq!(session.missing(), Some(Missing::OtherUser));
    assert!(session.token(1, "bob").is_none());
}

#[test]
fn the_app_is_asked_again_before_the_token_expires_and_after_half_a_minute() {
    let session = answered(&jwt("ann", 80, 0));
    assert!(session.token(39_999, "ann").is_none(), "older than half a minute");
    assert!(session.token(19_000, "ann").is_some());
    let short = answered(&jwt("ann", 20, 0));
    assert!(short.token(9_000, "ann").is_some());
    assert!(short.token(10_000, "ann").is_none(), "half of a short life is its margin");
}

#[test]
fn a_refused_token_is_not_sent_at_once_again_and_the_app_is_asked_at_a_slower_pace() {
    let first = jwt("ann", 3_600, 0);
    let mut session = answered(&first);
    session.rejected(0, &first);
    assert!(session.token(1, "ann").is_none());
    assert!(session.ask(1));
    session.answer(1, Ok(Some(first)), Some("ann"));
    assert_eq!(session.missing(), Some(Missing::Refused));
    assert!(!session.ask(1_000));
    assert!(session.ask(session.deadline()));
    session.answer(1_001, Ok(Some(jwt("ann", 3_600, 1))), Some("ann"));
    assert_eq!(session.missing(), None);
    assert!(session.token(1_002, "ann").is_some());
}

#[test]
fn a_refused_token_gets_another_chance_later_or_when_somebody_retries() {
    let only = jwt("ann", 3_600, 0);
    let mut session = answered(&only);
    session.rejected(0, &only);
    session.answer(29_999, Ok(Some(only.clone())), Some("ann"));
    assert_eq!(session.missing(), Some(Missing::Refused));
    session.answer(30_000, Ok(Some(only.clone())), Some("ann"));
    assert_eq!(session.missing(), None);
    session.rejected(30_100, &only);
    session.answer(30_100, Ok(Some(only.clone())), Some("ann"));
    assert_eq!(session.missing(), Some(Missing::Refused));
    session.retry();
    assert!(session.ask(30_200), "the app is asked at once");
    session.answer(30_200, Ok(Some(only)), Some("ann"));
    assert!(session.token(30_201, "ann").is_some());
}

#[test]
fn a_question_is_put_once_and_again_when_nobody_answers() {
    let mut session = Session::default();
    assert!(session.ask(0));
    assert!(!session.ask(14_999));
    assert!(session.ask(session.deadline()));
}

#[test]
fn nobody_signed_in_is_not_an_error_of_the_app() {
    let mut session = Session::default();
    session.answer(0, Ok(None), None);
    assert_eq!(session.missing(), Some(Missing::SignedOut));
    session.answer(0, Err(()), None);
    assert_eq!(session.missing(), Some(Missing::Failed));
}

#[test]
fn what_the_app_gives_no_more_is_not_sent() {
    let ann = jwt("ann", 3_600, 0);
    for (answer, sent) in [(Ok(None), false), (Ok(Some(jwt("bob", 3_600, 0))), false), (Err(()), true)] {
        let mut session = answered(&ann);
        session.answer(1, answer, Some("ann"));
        assert_eq!(session.token(2, "ann").is_some(), sent);
    }
}

#[test]
fn debug_output_hides_the_token() {
    let session = answered(&jwt("ann", 3_600, 0));
    let token = session.token(1, "ann").unwrap();
    assert!(!format!("{token:?}").contains(&token.jwt));
}

#[test]
fn base64url_is_read_as_a_library_reads_it() {
    for text in ["", "Zg", "Zm8", "Zm9v", "-_-_", "____", "AAAAAAAA"] {
        assert_eq!(decode_base64url(text), Base64UrlUnpadded::decode_vec(text).ok(), "{text}");
    }
    assert_eq!(decode_base64url("Zm9v="), None);
    assert_eq!(decode_base64url("Zm+v"), None);
}
