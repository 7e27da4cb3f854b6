//! Sessions seen and ended from elsewhere, and changes of what one signs in
//! with, on their real store.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use identity::{
    IdentityError, authenticate, credentials, login, password::BreachedPasswords, registration,
    roles, sessions, staff,
};
use kernel::{RequestContext, Role};

use crate::identity::{Fixture, PASSWORD, register, request};

const NEW: &str = "seven quiet lighthouses";

#[tokio::test]
async fn ones_sessions_are_listed_and_ended_one_by_one_or_all() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    fixture.patient("eve@example.com").await;
    let phone = RequestContext {
        ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("Phone/1.0".to_owned()),
        ..request()
    };
    let open = login::login(services, phone, "ada@example.com", PASSWORD).await.unwrap();
    let login::Login::Open(phone) = open else { panic!("no second factor is set up") };
    let laptop = fixture.login("ada@example.com").await;
    let tablet = fixture.login("ada@example.com").await;
    let actor = fixture.actor(&laptop).await;

    let open = sessions::list(services, &actor).await.unwrap();
    assert_eq!(open.len(), 3);
    let current: Vec<_> = open.iter().filter(|open| open.current).collect();
    assert_eq!(current[0].session.id, laptop.session);
    let device = &open.iter().find(|open| open.session.id == phone.session).unwrap().session.device;
    assert_eq!(device.ip, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(device.user_agent.as_deref(), Some("Phone/1.0"));

    // Somebody else's session is not there, and the attempt is on record.
    let eve = fixture.actor(&fixture.login("eve@example.com").await).await;
    let foreign = sessions::revoke(services, &eve, phone.session).await;
    assert!(matches!(foreign, Err(IdentityError::NotFound("session"))));
    let denied = fixture
        .text("SELECT entity_id FROM audit_entries WHERE outcome = 'denied' AND entity = 'session'")
        .await;
    assert_eq!(denied, [phone.session.to_string()]);

    sessions::revoke(services, &actor, phone.session).await.unwrap();
    let ended = authenticate(services, &phone.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    let ended = login::refresh(services, request(), &phone.refresh_token).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    assert_eq!(sessions::revoke_others(services, &actor).await.unwrap(), 1);
    let ended = authenticate(services, &tablet.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    authenticate(services, &laptop.access_token, request()).await.unwrap();

    // What has run out is no longer listed.
    fixture.login("ada@example.com").await;
    fixture.database.clock.advance(services.policy.patient_session.idle);
    assert!(sessions::list(services, &actor).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_administrator_ends_sessions_and_shuts_accounts_below_their_rank() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let patient = fixture.patient("ada@example.com").await;
    let session = fixture.login("ada@example.com").await;
    let admin = fixture.staff(1, Role::Admin).await;
    let root = fixture.staff(2, Role::SuperAdmin).await;
    let provider = fixture.staff(3, Role::Provider).await;

    let refused = sessions::revoke_all_of(services, &provider, patient).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden(_))));
    let above = sessions::revoke_all_of(services, &admin, root.account().unwrap()).await;
    assert!(matches!(above, Err(IdentityError::Forbidden(_))));
    let above = credentials::set_disabled(services, &admin, root.account().unwrap(), true).await;
    assert!(matches!(above, Err(IdentityError::Forbidden(_))));
    let own = credentials::set_disabled(services, &root, root.account().unwrap(), true).await;
    assert!(matches!(own, Err(IdentityError::Invalid(_))));

    assert_eq!(sessions::revoke_all_of(services, &admin, patient).await.unwrap(), 1);
    let ended = authenticate(services, &session.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    let session = fixture.login("ada@example.com").await;

    credentials::set_disabled(services, &admin, patient, true).await.unwrap();
    let ended = authenticate(services, &session.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    let shut = login::login(services, request(), "ada@example.com", PASSWORD).await;
    assert!(matches!(shut, Err(IdentityError::WrongCredentials)));
    credentials::set_disabled(services, &admin, patient, false).await.unwrap();
    fixture.login("ada@example.com").await;
    let changes = fixture
        .text(
            "SELECT concat(detail->>'old', '>', detail->>'new') FROM audit_entries \
             WHERE entity = 'account_status' ORDER BY seq",
        )
        .await;
    assert_eq!(changes, ["active>disabled", "disabled>active"]);
}

#[tokio::test]
async fn a_new_password_takes_the_old_one_and_ends_the_other_sessions() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let other = fixture.login("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let refused = credentials::change_password(services, &actor, "a guess at it", NEW).await;
    let Err(IdentityError::Invalid(fields)) = refused else { panic!("{refused:?}") };
    assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("current_password", "wrong"));
    let refused = credentials::change_password(services, &actor, PASSWORD, "short").await;
    let Err(IdentityError::Invalid(fields)) = refused else { panic!("{refused:?}") };
    assert_eq!(fields[0].path, "new_password");
    let same = credentials::change_password(services, &actor, PASSWORD, PASSWORD).await;
    let Err(IdentityError::Invalid(fields)) = same else { panic!("{same:?}") };
    assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("new_password", "unchanged"));

    credentials::change_password(services, &actor, PASSWORD, NEW).await.unwrap();
    let ended = authenticate(services, &other.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    sessions::list(services, &actor).await.unwrap();
    let old = login::login(services, request(), "ada@example.com", PASSWORD).await;
    assert!(matches!(old, Err(IdentityError::WrongCredentials)));
    login::login(services, request(), "ada@example.com", NEW).await.unwrap();

    // Guessing the old one from an open session locks as guessing at a login.
    for _ in 0..4 {
        let _ = credentials::change_password(services, &actor, "a guess at it", PASSWORD).await;
    }
    let _ = credentials::change_password(services, &actor, "a guess at it", PASSWORD).await;
    let locked = credentials::change_password(services, &actor, NEW, PASSWORD).await;
    assert!(matches!(locked, Err(IdentityError::LoginLocked { .. })), "{locked:?}");
}

#[tokio::test]
async fn another_address_counts_once_its_own_link_has_been_followed() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let account = fixture.patient("ada@example.com").await;
    fixture.patient("taken@example.com").await;
    let pair = fixture.login("ada@example.com").await;
    let actor = fixture.actor(&pair).await;
    let ask =
        |email: &'static str| credentials::request_email_change(services, &actor, email, PASSWORD);
    let events = || {
        fixture.text(
            "SELECT payload->>'kind' FROM outbox_events \
             WHERE payload->>'kind' IN ('email_change_requested', 'sign_in_changed') ORDER BY id",
        )
    };
    assert!(matches!(ask("no address").await, Err(IdentityError::Invalid(_))));
    assert!(matches!(ask("Ada@Example.com").await, Err(IdentityError::Invalid(_))));

    // A taken address is answered like any other, in the same steps; there is no
    // link to mail there.
    ask("taken@example.com").await.unwrap();
    assert_eq!(events().await, ["email_change_requested", "sign_in_changed"]);
    let link = credentials::email_change_link_token(services, account).await.unwrap();
    assert!(link.is_none());

    // One that is taken between the request and the link.
    ask("late@example.com").await.unwrap();
    assert_eq!(events().await.len(), 4);
    let (_, token) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    fixture.patient("late@example.com").await;
    let taken = credentials::confirm_email_change(services, request(), &token).await;
    assert!(matches!(taken, Err(IdentityError::AccountExists)));

    ask("byron@example.com").await.unwrap();
    assert_eq!(events().await.len(), 6);
    let old = credentials::confirm_email_change(services, request(), &token).await;
    assert!(matches!(old, Err(IdentityError::InvalidLink)), "the link to another address");
    let (email, token) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    assert_eq!(email.as_str(), "byron@example.com");
    let wrong = registration::verify_email(services, request(), &token).await;
    assert!(matches!(wrong, Err(IdentityError::InvalidLink)), "a link for another purpose");
    fixture.login("ada@example.com").await;

    credentials::confirm_email_change(services, request(), &token).await.unwrap();
    let again = credentials::confirm_email_change(services, request(), &token).await;
    assert!(matches!(again, Err(IdentityError::InvalidLink)));
    let ended = authenticate(services, &pair.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    let old = login::login(services, request(), "ada@example.com", PASSWORD).await;
    assert!(matches!(old, Err(IdentityError::WrongCredentials)));
    assert_eq!(fixture.login("byron@example.com").await.account, account);
    // The old address is free again.
    fixture.patient("ada@example.com").await;
}

#[tokio::test]
async fn asking_for_a_link_many_times_at_once_tells_nothing_of_an_account() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    fixture.register("bea@example.com", PASSWORD).await;
    fixture.database.clock.advance(TimeDelta::minutes(5));
    // Whoever registers has an account from then on, so nobody does before
    // everybody has asked.
    for registers in [false, true] {
        let mut asked = Vec::new();
        for email in ["ada@example.com", "bea@example.com", "nobody@example.com"] {
            for _ in 0..8 {
                let services = fixture.services.clone();
                asked.push(tokio::spawn(async move {
                    if registers {
                        return register(&services, email, PASSWORD).await;
                    }
                    let asked = registration::forgot_password(&services, request(), email).await?;
                    registration::answer(&services, asked).await?;
                    let asked =
                        registration::resend_verification(&services, request(), email).await?;
                    registration::answer(&services, asked).await
                }));
            }
        }
        for asked in asked {
            asked.await.unwrap().unwrap();
        }
    }
    let mails = fixture
        .text(
            "SELECT payload->>'kind' FROM outbox_events \
             WHERE payload->>'kind' = 'password_reset_requested'",
        )
        .await;
    assert_eq!(mails.len(), 2, "one for each account, however often it was asked");
}

#[tokio::test]
async fn the_last_who_may_edit_the_matrix_stays() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let (one, two) =
        (fixture.staff(1, Role::SuperAdmin).await, fixture.staff(2, Role::SuperAdmin).await);
    let (first, second) = (one.account().unwrap(), two.account().unwrap());
    let demote = |by: &kernel::Actor, whom: kernel::AccountId| {
        let (services, by) = (services.clone(), by.clone());
        tokio::spawn(async move {
            staff::change_roles(&services, &by, whom, [Role::Support].into()).await
        })
    };
    // Each of the last two takes it from the other at once.
    let (a, b) = (demote(&one, second), demote(&two, first));
    let (a, b) = (a.await.unwrap(), b.await.unwrap());
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let (left, id) = if a.is_ok() { (&one, first) } else { (&two, second) };
    let own = staff::change_roles(services, left, id, [Role::Support].into()).await;
    assert!(matches!(own, Err(IdentityError::LastKeeper)), "{own:?}");
    roles::matrix(services, left).await.unwrap();
}

struct Listed(&'static str);

#[async_trait]
impl BreachedPasswords for Listed {
    async fn contain(&self, password: &str) -> ports::Result<bool> {
        Ok(password == self.0)
    }
}

#[tokio::test]
async fn a_password_of_the_operators_list_is_refused_wherever_one_is_chosen() {
    let mut fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    fixture.services = fixture.services.with_breaches(Arc::new(Listed(NEW)));
    let services = &fixture.services;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let refused = [
        registration::register(services, request(), "bea@example.com", NEW).await.map(drop),
        credentials::change_password(services, &actor, PASSWORD, NEW).await,
    ];
    for refused in refused {
        let Err(IdentityError::Invalid(fields)) = refused else { panic!("{refused:?}") };
        assert_eq!(fields[0].code, "breached");
    }
}
