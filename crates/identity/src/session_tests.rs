use proptest::prelude::*;

use super::*;

const LIMITS: SessionLimits =
    SessionLimits { idle: TimeDelta::hours(1), absolute: TimeDelta::hours(12) };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn digest(number: usize) -> TokenDigest {
    TokenDigest::of(&number.to_string())
}

fn session() -> Session {
    let id = SessionId::from_uuid(kernel::Uuid::from_u128(1));
    let account = AccountId::from_uuid(kernel::Uuid::from_u128(2));
    let signed_in = (SignInMethod::Password, Device::default());
    Session::start(id, account, signed_in, digest(0), LIMITS, at(0))
}

#[test]
fn the_current_token_rotates_and_the_one_before_ends_the_family() {
    let Refreshed::Rotated(session) = session().refresh(digest(0), digest(1), LIMITS, at(10))
    else {
        panic!("the current token rotates");
    };
    assert_eq!((session.current, session.generation), (digest(1), 1));

    let Refreshed::Reused(session) = session.refresh(digest(0), digest(2), LIMITS, at(11)) else {
        panic!("the token before is a reuse");
    };
    let reason = RevocationReason::Reuse;
    assert_eq!(session.state, SessionState::Revoked { at: at(11), reason });
    // Not even the token that was good a moment ago works any more.
    assert_eq!(session.refresh(digest(1), digest(3), LIMITS, at(12)), Refreshed::Ended);
}

#[test]
fn a_session_ends_by_rest_and_by_age() {
    assert!(session().is_live(at(3599)));
    assert!(!session().is_live(at(3600)));
    let mut kept_busy = session();
    for step in 1..=24_i64 {
        let (old, new) = (digest(step as usize - 1), digest(step as usize));
        match kept_busy.clone().refresh(old, new, LIMITS, at(step * 1800)) {
            Refreshed::Rotated(next) => kept_busy = next,
            other => {
                assert_eq!((step, other), (24, Refreshed::Ended), "twelve hours are the end");
            }
        }
    }
    assert_eq!(kept_busy.idle_until, kept_busy.ends_at);
}

#[test]
fn the_first_reason_of_a_revocation_stays() {
    let ended = session()
        .revoke(RevocationReason::Logout, at(1))
        .revoke(RevocationReason::PasswordReset, at(2));
    let reason = RevocationReason::Logout;
    assert_eq!(ended.state, SessionState::Revoked { at: at(1), reason });
}

proptest! {
    /// Whatever order the tokens of a family are presented in: each works at
    /// most once, only while it is the newest, and after the first token that
    /// is presented out of turn nothing works.
    #[test]
    fn no_order_of_tokens_gives_a_second_use(presented in prop::collection::vec(0_usize..6, 1..20)) {
        let mut session = session();
        let mut issued = 1;
        let mut dead = false;
        for (step, number) in presented.into_iter().enumerate() {
            if number >= issued {
                continue;
            }
            let now = at(step as i64);
            match session.clone().refresh(digest(number), digest(issued), LIMITS, now) {
                Refreshed::Rotated(next) => {
                    prop_assert!(!dead);
                    prop_assert_eq!(number, issued - 1);
                    session = next;
                    issued += 1;
                }
                Refreshed::Reused(next) => {
                    prop_assert!(!dead);
                    prop_assert!(number < issued - 1);
                    session = next;
                    dead = true;
                }
                Refreshed::Ended => prop_assert!(dead),
            }
        }
    }
}
