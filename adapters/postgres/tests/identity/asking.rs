//! What somebody who is not signed in asks for is answered first and done
//! afterwards; and how passwords are kept and addresses reached.

use identity::{credentials, services::MailReach};
use kernel::EmailAddress;

use super::*;

const BOTH: [&str; 2] = ["ada@example.com", "nobody@example.com"];

/// What the database has come to: accounts with their versions, events, and
/// the trail.
async fn traces(fixture: &Fixture) -> [Vec<String>; 3] {
    [
        fixture
            .text("SELECT concat(id, ' ', version, ' ', reset_nonce) FROM identity_accounts ORDER BY id")
            .await,
        fixture.text("SELECT kind FROM outbox_events ORDER BY occurred_at, id").await,
        fixture
            .text("SELECT concat(action, ' ', entity, ' ', outcome, ' ', detail) FROM audit_entries ORDER BY seq")
            .await,
    ]
}

#[tokio::test]
async fn an_answer_comes_before_anybody_has_looked_for_the_account() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    fixture.database.clock.advance(TimeDelta::minutes(5));
    for email in BOTH {
        let [accounts, events, trail] = traces(&fixture).await;
        let asked = [
            registration::forgot_password(services, request(), email).await.unwrap(),
            registration::resend_verification(services, request(), email).await.unwrap(),
            registration::register(services, request(), email, PASSWORD).await.unwrap(),
        ];
        let [accounts_then, events_then, trail_then] = traces(&fixture).await;
        assert_eq!(
            (accounts, events),
            (accounts_then, events_then),
            "{email}: nothing is done yet"
        );
        assert_eq!(
            trail_then[trail.len()..],
            [
                r#"execute account_request success {"ask": "password_reset"}"#,
                r#"execute account_request success {"ask": "verification"}"#,
                r#"execute account_request success {"ask": "registration"}"#,
            ],
            "the steps are the same, whoever has the address"
        );
        for asked in asked {
            let payload = serde_json::to_string(&asked).unwrap();
            assert!(!payload.contains("example"), "the job's address is sealed: {payload}");
            registration::answer(services, asked).await.unwrap();
        }
    }
    let [accounts, events, _] = traces(&fixture).await;
    assert_eq!(accounts.len(), 2);
    let told = |kind: &str| events.iter().filter(|event| event.as_str() == kind).count();
    assert_eq!((told("password_reset_requested"), told("registration_repeated")), (1, 1));
    assert_eq!(told("account_registered"), 2);
}

#[tokio::test]
async fn a_password_signs_in_from_another_keyboard_and_an_old_digest_goes_on() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (composed, typed) =
        ("zw\u{f6}lf stille Leuchtt\u{fc}rme", "zwo\u{308}lf stille Leuchttu\u{308}rme");
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    credentials::change_password(services, &actor, PASSWORD, typed).await.unwrap();
    for form in [composed, typed] {
        login::login(services, request(), "ada@example.com", form).await.unwrap();
    }
    // A digest of before, of the password as it was typed.
    let sql = format!("UPDATE identity_accounts SET password_hash = 'marked:{typed}'");
    fixture.database.pg.pool().execute_unprepared(&sql).await.unwrap();
    login::login(services, request(), "ada@example.com", typed).await.unwrap();
    let stored = fixture.text("SELECT password_hash FROM identity_accounts").await;
    assert_eq!(stored, [format!("marked:{composed}")], "it is digested anew");
    login::login(services, request(), "ada@example.com", composed).await.unwrap();
}

struct AsciiOnly;

#[async_trait]
impl MailReach for AsciiOnly {
    async fn reaches(&self, email: &EmailAddress) -> ports::Result<bool> {
        Ok(email.as_str().is_ascii())
    }
}

#[tokio::test]
async fn an_address_that_no_mail_reaches_is_refused_wherever_one_is_given() {
    let mut fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let admin = fixture.staff(1, Role::SuperAdmin).await;
    fixture.services = fixture.services.with_reach(Arc::new(AsciiOnly));
    let services = &fixture.services;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let email = "jos\u{e9}@example.com";
    let form = staff::StaffForm {
        email: email.to_owned(),
        given: "Jos\u{e9}".to_owned(),
        family: "Lindqvist".to_owned(),
        roles: BTreeSet::from([Role::Support]),
    };
    let refused = [
        registration::register(services, request(), email, PASSWORD).await.map(drop),
        credentials::request_email_change(services, &actor, email, PASSWORD).await,
        staff::create_account(services, &admin, form).await.map(drop),
    ];
    for refused in refused {
        let Err(IdentityError::Invalid(fields)) = refused else { panic!("{refused:?}") };
        assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("email", "unreachable"));
    }
}
