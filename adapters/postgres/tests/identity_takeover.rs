//! What an intruder has begun or left behind does not outlive a reset, and what
//! is proved to be the owner's does.

use chrono::TimeDelta;
use identity::{
    IdentityError, TokenPair, authenticate, confirmation, credentials,
    factor::Proof,
    login::{self, Login},
    passkeys, registration, second_factor,
};
use kernel::{AccountId, Actor, Uuid};
use salus_tests::{Authenticator, totp_code};

use crate::{
    identity::{Fixture, PASSWORD, request},
    identity_factors::{ORIGIN, fixture},
};

const EMAIL: &str = "ada@example.com";
const NEW: &str = "seven quiet lighthouses";

async fn begin_reset(fixture: &Fixture, account: AccountId) -> String {
    fixture.database.clock.advance(TimeDelta::minutes(2));
    fixture.ask_reset(EMAIL).await;
    registration::reset_link_token(&fixture.services, account).await.unwrap().expect("a link")
}

/// The owner resets the password by the mailbox.
async fn reset(fixture: &Fixture, account: AccountId) {
    let token = begin_reset(fixture, account).await;
    registration::reset_password(&fixture.services, request(), &token, NEW).await.unwrap();
}

async fn sign_in(fixture: &Fixture) -> Login {
    login::login(&fixture.services, request(), EMAIL, NEW).await.unwrap()
}

async fn open(fixture: &Fixture) -> TokenPair {
    match sign_in(fixture).await {
        Login::Open(pair) => pair,
        Login::SecondFactor(_) => panic!("a second factor is asked for"),
    }
}

async fn new_passkey(fixture: &Fixture, actor: &Actor, seed: u8) -> (Authenticator, Uuid) {
    let services = &fixture.services;
    let mut device = Authenticator::new(ORIGIN, seed);
    let begun = passkeys::begin_registration(services, actor, PASSWORD).await.unwrap();
    let answer = device.create(&begun.options);
    let (passkey, _) =
        passkeys::finish_registration(services, actor, &begun.token, "Key", answer).await.unwrap();
    (device, passkey.id.uuid())
}

async fn by_passkey(
    fixture: &Fixture,
    device: &mut Authenticator,
) -> identity::error::Result<TokenPair> {
    let begun = passkeys::begin_login(&fixture.services, request()).await.unwrap();
    let answer = device.get(&begun.options);
    passkeys::finish_login(&fixture.services, request(), &begun.token, answer).await
}

async fn link(fixture: &Fixture, account: AccountId, factor: Uuid) -> String {
    confirmation::link_token(&fixture.services, account, factor).await.unwrap().expect("a link")
}

async fn told(fixture: &Fixture) -> Vec<String> {
    fixture
        .text(
            "SELECT payload->>'change' FROM outbox_events \
             WHERE payload->>'kind' = 'sign_in_changed' ORDER BY occurred_at, id",
        )
        .await
}

#[tokio::test]
async fn a_change_of_address_that_was_begun_before_a_reset_takes_nothing_after_it() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let intruder = fixture.actor(&fixture.login(EMAIL).await).await;
    let setup = second_factor::begin_totp(services, &intruder, PASSWORD).await.unwrap();
    credentials::request_email_change(services, &intruder, "mallory@example.com", PASSWORD)
        .await
        .unwrap();
    let (_, stolen) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();

    reset(&fixture, account).await;
    let taken = credentials::confirm_email_change(services, request(), &stolen).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    // The secret that waited for its first code is gone as well.
    let owner = fixture.actor(&open(&fixture).await).await;
    let code = totp_code(&setup.secret_base32, services.now());
    let confirmed = second_factor::confirm_totp(services, &owner, &code).await;
    assert!(matches!(confirmed, Err(IdentityError::NoTotp)));
    assert_eq!(told(&fixture).await, ["email_change_requested", "password_reset"]);
}

#[tokio::test]
async fn a_changed_password_voids_what_was_begun_elsewhere() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let intruder = fixture.actor(&fixture.login(EMAIL).await).await;
    credentials::request_email_change(services, &intruder, "mallory@example.com", PASSWORD)
        .await
        .unwrap();
    let (_, address) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    let begun = passkeys::begin_registration(services, &intruder, PASSWORD).await.unwrap();
    let password = begin_reset(&fixture, account).await;
    let owner = fixture.actor(&fixture.login(EMAIL).await).await;
    credentials::change_password(services, &owner, PASSWORD, NEW).await.unwrap();

    let taken = credentials::confirm_email_change(services, request(), &address).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    let taken = registration::reset_password(services, request(), &password, PASSWORD).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    let answer = Authenticator::new(ORIGIN, 8).create(&begun.options);
    let added =
        passkeys::finish_registration(services, &intruder, &begun.token, "Key", answer).await;
    assert!(matches!(added, Err(IdentityError::SessionEnded)), "the session is over");
}

#[tokio::test]
async fn a_newer_request_for_an_address_is_mailed_at_once_and_voids_the_older_link() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let actor = fixture.actor(&fixture.login(EMAIL).await).await;
    let ask =
        |email: &'static str| credentials::request_email_change(services, &actor, email, PASSWORD);
    ask("ada@exmaple.com").await.unwrap();
    let (_, mistyped) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    ask("ada.byron@example.com").await.unwrap();
    let mails = "SELECT kind FROM outbox_events WHERE kind = 'email_change_requested'";
    assert_eq!(fixture.text(mails).await.len(), 2, "within the same minute");
    let taken = credentials::confirm_email_change(services, request(), &mistyped).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    let (_, right) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    credentials::confirm_email_change(services, request(), &right).await.unwrap();
    let left = credentials::previous_address(services, account).await.unwrap();
    assert_eq!(left.unwrap().as_str(), EMAIL);
    assert_eq!(
        fixture.text("SELECT kind FROM outbox_events WHERE kind = 'address_left'").await.len(),
        1
    );
}

#[tokio::test]
async fn an_intruders_factors_and_codes_are_switched_off_by_a_reset() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let intruder = fixture.actor(&fixture.login(EMAIL).await).await;
    let setup = second_factor::begin_totp(services, &intruder, PASSWORD).await.unwrap();
    let code = totp_code(&setup.secret_base32, services.now());
    let codes = second_factor::confirm_totp(services, &intruder, &code).await.unwrap();
    let (mut device, key) = new_passkey(&fixture, &intruder, 6).await;
    by_passkey(&fixture, &mut device).await.unwrap();

    reset(&fixture, account).await;
    let pair = open(&fixture).await;
    let refused = by_passkey(&fixture, &mut device).await;
    assert!(matches!(refused, Err(IdentityError::FactorSuspended)), "it says why not");
    let owner = fixture.actor(&pair).await;
    let factors = second_factor::factors(services, &owner).await.unwrap();
    assert_eq!(factors.recovery_codes_left, 0);
    assert!(factors.totp_standing.is_some_and(|standing| !standing.is_active()));
    let suspended = "SELECT detail->>'factors_suspended' FROM audit_entries \
                     WHERE detail->>'change' = 'password_reset'";
    assert_eq!(fixture.text(suspended).await, ["2"]);

    // The owner sets up an app in its place, and confirms it by the mailbox.
    let setup = second_factor::begin_totp(services, &owner, NEW).await.unwrap();
    let code = totp_code(&setup.secret_base32, services.now());
    second_factor::confirm_totp(services, &owner, &code).await.unwrap();
    confirmation::confirm(services, request(), &link(&fixture, account, account.uuid()).await)
        .await
        .unwrap();
    assert!(matches!(sign_in(&fixture).await, Login::SecondFactor(_)));
    let Login::SecondFactor(pending) = sign_in(&fixture).await else { unreachable!() };
    assert!(pending.totp && pending.passkey.is_none(), "the suspended passkey is not asked for");
    let old = Proof::RecoveryCode(codes[0].to_text());
    let old = login::complete(services, request(), &pending.token, old).await;
    assert!(matches!(old, Err(IdentityError::WrongSecondFactor)));

    // The passkey was the owner's after all: its link brings it back, and every
    // session ends.
    let token = link(&fixture, account, key).await;
    confirmation::confirm(services, request(), &token).await.unwrap();
    let ended = authenticate(services, &pair.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    by_passkey(&fixture, &mut device).await.unwrap();
    let again = confirmation::confirm(services, request(), &token).await;
    assert!(matches!(again, Err(IdentityError::InvalidLink)), "a link is good once");
}

#[tokio::test]
async fn a_proved_factor_outlives_a_reset_and_only_a_session_that_showed_it_adds_another() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let first = fixture.actor(&fixture.login(EMAIL).await).await;
    let (mut device, key) = new_passkey(&fixture, &first, 6).await;
    let token = link(&fixture, account, key).await;
    confirmation::confirm(services, request(), &token).await.unwrap();
    let stale = second_factor::begin_totp(services, &first, PASSWORD).await;
    assert!(matches!(stale, Err(IdentityError::ProvedFactorRequired)), "it was not proved then");
    let stale = passkeys::remove(services, &first, key.into(), PASSWORD).await;
    assert!(matches!(stale, Err(IdentityError::ProvedFactorRequired)));
    let moved =
        credentials::request_email_change(services, &first, "mallory@example.com", PASSWORD).await;
    assert!(matches!(moved, Err(IdentityError::ProvedFactorRequired)));

    // What is added with it is proved at once, and nobody is asked.
    let shown = fixture.actor(&by_passkey(&fixture, &mut device).await.unwrap()).await;
    let (mut second, other) = new_passkey(&fixture, &shown, 7).await;
    assert_eq!(confirmation::link_token(services, account, other).await.unwrap(), None);

    reset(&fixture, account).await;
    assert!(matches!(sign_in(&fixture).await, Login::SecondFactor(_)), "the mailbox is not enough");
    by_passkey(&fixture, &mut device).await.unwrap();
    by_passkey(&fixture, &mut second).await.unwrap();
}

#[tokio::test]
async fn the_link_that_proves_a_factor_is_mailed_again_and_the_older_one_opens_nothing() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let actor = fixture.actor(&fixture.login(EMAIL).await).await;
    let (_, key) = new_passkey(&fixture, &actor, 6).await;
    let old = link(&fixture, account, key).await;
    confirmation::request(services, &actor).await.unwrap();
    assert_eq!(link(&fixture, account, key).await, old, "once a minute");
    fixture.database.clock.advance(TimeDelta::minutes(2));
    confirmation::request(services, &actor).await.unwrap();
    let refused = confirmation::confirm(services, request(), &old).await;
    assert!(matches!(refused, Err(IdentityError::InvalidLink)));
    let mails = "SELECT kind FROM outbox_events WHERE kind = 'factor_confirmation_requested'";
    assert_eq!(fixture.text(mails).await.len(), 2);
    let token = link(&fixture, account, key).await;
    confirmation::confirm(services, request(), &token).await.unwrap();
}

#[tokio::test]
async fn a_disabled_account_comes_back_without_what_was_begun_before() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let actor = fixture.actor(&fixture.login(EMAIL).await).await;
    credentials::request_email_change(services, &actor, "mallory@example.com", PASSWORD)
        .await
        .unwrap();
    let (_, address) =
        credentials::email_change_link_token(services, account).await.unwrap().unwrap();
    let password = begin_reset(&fixture, account).await;
    let system = Actor::system("tests.identity");
    for disabled in [true, false] {
        credentials::set_disabled(services, &system, account, disabled).await.unwrap();
    }
    let taken = credentials::confirm_email_change(services, request(), &address).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    let taken = registration::reset_password(services, request(), &password, NEW).await;
    assert!(matches!(taken, Err(IdentityError::InvalidLink)));
    fixture.login(EMAIL).await;
}

#[tokio::test]
async fn nothing_that_is_added_while_a_password_is_reset_slips_through() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient(EMAIL).await;
    let intruder = fixture.actor(&fixture.login(EMAIL).await).await;
    let begun = passkeys::begin_registration(services, &intruder, PASSWORD).await.unwrap();
    let answer = Authenticator::new(ORIGIN, 6).create(&begun.options);
    let token = begin_reset(&fixture, account).await;
    let (adding, resetting) = (services.clone(), services.clone());
    let add = tokio::spawn(async move {
        passkeys::finish_registration(&adding, &intruder, &begun.token, "Key", answer).await
    });
    let reset = tokio::spawn(async move {
        registration::reset_password(&resetting, request(), &token, NEW).await
    });
    let (added, done) = (add.await.unwrap(), reset.await.unwrap());
    done.unwrap();
    assert!(matches!(added, Ok(_) | Err(IdentityError::SessionEnded)), "{:?}", added.err());
    // Whichever came first, the owner gets in without it.
    open(&fixture).await;
}
