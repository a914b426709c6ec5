//! What an app may give as a token.

use surechat::session::{Session, read_claims};

pub fn tokens(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let claims = read_claims(&text);
    let mut session = Session::default();
    session.answer(1_000, Ok(Some(text.to_string())), None);
    assert_eq!(session.user_id().is_some(), claims.is_some(), "only what names a user is a token");
    let Some(claims) = claims else { return };
    for now in [1_000, 30_000, 10_000_000_000] {
        let given = session.token(now, &claims.user_id).is_some();
        assert!(!given || session.missing().is_none());
        assert!(session.token(now, "somebody else").is_none() || claims.user_id == "somebody else");
        session.answer(now, Ok(Some(text.to_string())), Some("somebody else"));
        session.rejected(now, &text);
        session.answer(now, Ok(Some(text.to_string())), Some(&claims.user_id));
    }
}
