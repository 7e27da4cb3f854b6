use kernel::Uuid;
use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// The secret of RFC 6238's test vectors.
fn totp() -> Totp {
    Totp {
        account: AccountId(Uuid::from_u128(1)),
        secret: b"12345678901234567890".to_vec(),
        last_step: 0,
        created_at: at(0),
        confirmed_at: None,
        standing: Standing::default(),
    }
}

#[test]
fn the_codes_are_those_of_rfc_6238() {
    // Appendix B lists eight digits; six are their last.
    for (time, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ] {
        assert!(totp().take(code, at(time)).is_some(), "{time}");
        assert!(totp().take("000000", at(time)).is_none(), "{time}");
    }
}

#[test]
fn a_code_is_taken_once_and_a_step_late_or_early() {
    let taken = totp().take("287 082", at(59)).unwrap();
    assert_eq!(taken.last_step, 1);
    assert!(taken.clone().take("287082", at(59)).is_none(), "a second time");
    assert!(taken.take("287082", at(61)).is_none(), "a second time, within the tolerance");
    assert!(totp().take("287082", at(89)).is_some(), "a step late");
    assert!(totp().take("287082", at(29)).is_some(), "a step early");
    assert!(totp().take("287082", at(120)).is_none(), "two steps late");
    for odd in ["", "28708", "+87082", "2870822", "２８７０８２"] {
        assert!(totp().take(odd, at(59)).is_none(), "{odd}");
    }
}

#[test]
fn the_first_right_code_turns_it_on() {
    assert!(totp().confirm("111111", at(59)).is_none());
    assert_eq!(totp().confirm("287082", at(59)).unwrap().confirmed_at, Some(at(59)));
}

#[test]
fn the_address_for_the_app_names_issuer_and_account() {
    let setup = totp().setup("Salus: demo", &"ada@example.com".parse().unwrap()).unwrap();
    assert_eq!(setup.secret_base32, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert!(
        setup.url.starts_with("otpauth://totp/Salus%20demo:ada%40example.com?"),
        "{}",
        setup.url
    );
    assert!(setup.url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{}", setup.url);
}

#[test]
fn a_recovery_code_is_read_as_people_type_it() {
    let code = RecoveryCode::parse("01ABC-DEFGH").unwrap();
    assert_eq!(code.to_text(), "01ABC-DEFGH");
    for typed in ["oiabcdefgh", " 0LABC defgh ", "01abc-DEFGH"] {
        assert_eq!(RecoveryCode::parse(typed), Some(code.clone()), "{typed}");
    }
    for odd in ["", "01ABC-DEFG", "01ABC-DEFGHJ", "01ABC-DEFGU", "01ABC-DEFGé"] {
        assert_eq!(RecoveryCode::parse(odd), None, "{odd}");
    }
}

proptest! {
    /// Whatever is typed is taken or refused, never a panic.
    #[test]
    fn any_text_may_be_shown(text in ".{0,40}", time in 0_i64..4_000_000_000) {
        let _ = totp().take(&text, at(time));
        let _ = RecoveryCode::parse(&text).map(|code| code.to_text());
    }
}
