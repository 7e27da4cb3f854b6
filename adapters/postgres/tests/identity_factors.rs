//! Second factors on their real store: authenticator apps, recovery codes and
//! passkeys, each shown by software that shares nothing with the server.

use std::sync::Arc;

use chrono::TimeDelta;
use identity::{
    IdentityError, Policy, Services, authenticate, authenticate_to_enrol,
    factor::Proof,
    login::{self, Login, PendingLogin},
    passkey::Authenticators,
    passkeys, second_factor,
    session::SignInMethod,
};
use kernel::{Actor, Role};
use salus_tests::{Authenticator, totp_code};

use crate::identity::{Fixture, PASSWORD, request};

pub(crate) const ORIGIN: &str = "https://salus.example";

pub(crate) async fn fixture() -> Fixture {
    let mut fixture = Fixture::new().await;
    let authenticators = Authenticators::new(ORIGIN).unwrap();
    fixture.services = fixture.services.with_authenticators(authenticators);
    fixture
}

async fn begin(services: &Services, email: &str) -> PendingLogin {
    match login::login(services, request(), email, PASSWORD).await.unwrap() {
        Login::SecondFactor(pending) => pending,
        Login::Open(_) => panic!("{email} got in by the password alone"),
    }
}

/// Sets up an authenticator app and returns its secret with the recovery codes.
async fn enrol(fixture: &Fixture, actor: &Actor) -> (String, Vec<String>) {
    let services = &fixture.services;
    let setup = second_factor::begin_totp(services, actor, PASSWORD).await.unwrap();
    let code = totp_code(&setup.secret_base32, services.now());
    let codes = second_factor::confirm_totp(services, actor, &code).await.unwrap();
    fixture.database.clock.advance(TimeDelta::seconds(30));
    (setup.secret_base32, codes.iter().map(|code| code.to_text()).collect())
}

async fn add_passkey(services: &Services, actor: &Actor, device: &mut Authenticator) {
    let begun = passkeys::begin_registration(services, actor, PASSWORD).await.unwrap();
    let answer = device.create(&begun.options);
    passkeys::finish_registration(services, actor, &begun.token, "Key", answer).await.unwrap();
}

#[tokio::test]
async fn an_authenticator_app_is_asked_for_once_it_is_confirmed() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let other = fixture.login("ada@example.com").await;
    let this = fixture.login("ada@example.com").await;
    let actor = fixture.actor(&this).await;

    let wrong = second_factor::begin_totp(services, &actor, "not the password").await;
    assert!(matches!(wrong, Err(IdentityError::Invalid(fields)) if fields[0].path == "password"));
    let setup = second_factor::begin_totp(services, &actor, PASSWORD).await.unwrap();
    // Until it is confirmed the password alone still opens a session.
    fixture.login("ada@example.com").await;
    let wrong = second_factor::confirm_totp(services, &actor, "000000").await;
    assert!(matches!(wrong, Err(IdentityError::Invalid(fields)) if fields[0].path == "code"));
    let code = totp_code(&setup.secret_base32, services.now());
    let codes = second_factor::confirm_totp(services, &actor, &code).await.unwrap();
    assert_eq!(codes.len(), 10);

    // The other sessions have shown no second factor and end; this one has.
    let ended = authenticate(services, &other.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    assert_eq!(second_factor::factors(services, &actor).await.unwrap().method, SignInMethod::Totp);

    let pending = begin(services, "ada@example.com").await;
    assert!(pending.totp && pending.passkey.is_none());
    let again = Proof::Totp(code.clone());
    let replayed = login::complete(services, request(), &pending.token, again).await;
    assert!(matches!(replayed, Err(IdentityError::WrongSecondFactor)), "a code is good once");
    fixture.database.clock.advance(TimeDelta::seconds(30));
    let code = totp_code(&setup.secret_base32, services.now());
    let proof = || Proof::Totp(code.clone());
    let pair = login::complete(services, request(), &pending.token, proof()).await.unwrap();
    fixture.actor(&pair).await;
    let spent = login::complete(services, request(), &pending.token, proof()).await;
    assert!(matches!(spent, Err(IdentityError::InvalidCeremony)), "a login completes once");

    let audited = fixture
        .text("SELECT detail->>'method' FROM audit_entries WHERE action = 'login' AND detail ? 'method'")
        .await;
    assert!(audited.contains(&"totp".to_owned()), "{audited:?}");
    let stored = fixture.text("SELECT encode(secret, 'escape') FROM identity_totps").await;
    assert!(!stored[0].contains(&setup.secret_base32), "the secret is sealed");
}

#[tokio::test]
async fn guesses_at_the_second_factor_are_few_whoever_knows_the_password() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let (secret, _) = enrol(&fixture, &actor).await;

    // Starting over with the right password buys no fresh guesses.
    for _ in 0..5 {
        let pending = begin(services, "ada@example.com").await;
        let guess = Proof::Totp("000000".to_owned());
        let wrong = login::complete(services, request(), &pending.token, guess).await;
        assert!(
            matches!(wrong, Err(IdentityError::WrongSecondFactor)),
            "{wrong:?}",
            wrong = wrong.err()
        );
    }
    let locked = login::login(services, request(), "ada@example.com", PASSWORD).await;
    assert!(matches!(locked, Err(IdentityError::LoginLocked { .. })));
    fixture.database.clock.advance(TimeDelta::minutes(2));
    let pending = begin(services, "ada@example.com").await;
    let code = totp_code(&secret, services.now());
    login::complete(services, request(), &pending.token, Proof::Totp(code)).await.unwrap();

    // A login that was begun long ago is over.
    let pending = begin(services, "ada@example.com").await;
    fixture.database.clock.advance(TimeDelta::minutes(10));
    let code = totp_code(&secret, services.now());
    let late = login::complete(services, request(), &pending.token, Proof::Totp(code)).await;
    assert!(matches!(late, Err(IdentityError::InvalidCeremony)));
}

#[tokio::test]
async fn one_code_shown_twice_at_once_opens_one_session() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let (secret, codes) = enrol(&fixture, &actor).await;
    let code = totp_code(&secret, services.now());
    for proof in [Proof::Totp(code), Proof::RecoveryCode(codes[0].to_lowercase())] {
        let pending =
            [begin(services, "ada@example.com").await, begin(services, "ada@example.com").await];
        let complete = |pending: &PendingLogin| {
            let (services, proof, token) = (services.clone(), proof.clone(), pending.token.clone());
            tokio::spawn(async move { login::complete(&services, request(), &token, proof).await })
        };
        let (one, two) = (complete(&pending[0]), complete(&pending[1]));
        let won = [one.await.unwrap().is_ok(), two.await.unwrap().is_ok()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{proof:?}");
    }
    let left = second_factor::factors(services, &actor).await.unwrap().recovery_codes_left;
    assert_eq!(left, 9);
}

#[tokio::test]
async fn staff_gets_nowhere_before_it_has_set_up_a_second_factor() {
    let mut fixture = fixture().await;
    // Seated while nothing was asked for.
    fixture.staff(4, Role::Provider).await;
    fixture.services.policy = Arc::new(Policy::new(ORIGIN));
    let services = &fixture.services;
    let email = "staff4@example.com";
    let pair = fixture.login(email).await;
    let refused = authenticate(services, &pair.access_token, request()).await;
    assert!(matches!(refused, Err(IdentityError::SecondFactorRequired)));

    let actor = authenticate_to_enrol(services, &pair.access_token, request()).await.unwrap();
    assert!(second_factor::factors(services, &actor).await.unwrap().required);
    let (secret, codes) = enrol(&fixture, &actor).await;
    authenticate(services, &pair.access_token, request()).await.unwrap();

    // The phone is lost: a recovery code lets in, and the last factor stays.
    let pending = begin(services, email).await;
    let proof = Proof::RecoveryCode(codes[3].clone());
    let pair = login::complete(services, request(), &pending.token, proof).await.unwrap();
    let actor = fixture.actor(&pair).await;
    let last = second_factor::remove_totp(services, &actor, PASSWORD).await;
    assert!(matches!(last, Err(IdentityError::LastFactor)));

    // A second one makes the first dispensable.
    let mut device = Authenticator::new(ORIGIN, 5);
    add_passkey(services, &actor, &mut device).await;
    second_factor::remove_totp(services, &actor, PASSWORD).await.unwrap();
    let code = totp_code(&secret, services.now());
    let pending = begin(services, email).await;
    assert!(!pending.totp);
    let gone = login::complete(services, request(), &pending.token, Proof::Totp(code)).await;
    assert!(matches!(gone, Err(IdentityError::WrongSecondFactor)));
}

#[tokio::test]
async fn a_passkey_is_a_second_factor_and_opens_a_session_alone() {
    let fixture = fixture().await;
    let services = &fixture.services;
    let account = fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let mut device = Authenticator::new(ORIGIN, 5);
    let begun = passkeys::begin_registration(services, &actor, PASSWORD).await.unwrap();
    let answer = device.create(&begun.options);
    let finish = |name: &'static str, answer| {
        passkeys::finish_registration(services, &actor, &begun.token, name, answer)
    };
    assert!(matches!(finish(" ", answer.clone()).await, Err(IdentityError::Invalid(_))));
    let (passkey, codes) = finish("Laptop", answer.clone()).await.unwrap();
    assert_eq!((passkey.name.as_str(), codes.len()), ("Laptop", 10));
    assert!(matches!(finish("Laptop", answer).await, Err(IdentityError::InvalidCeremony)));

    // As a second factor after the password.
    let pending = begin(services, "ada@example.com").await;
    let answer = device.get(&pending.passkey.unwrap());
    let proof = || Proof::Passkey(answer.clone());
    let pair = login::complete(services, request(), &pending.token, proof()).await.unwrap();
    assert_eq!(pair.account, account);
    // The answer to one challenge is none to another.
    let pending = begin(services, "ada@example.com").await;
    let stale = login::complete(services, request(), &pending.token, proof()).await;
    assert!(matches!(stale, Err(IdentityError::WrongSecondFactor)));

    // Alone.
    let begun = passkeys::begin_login(services, request()).await.unwrap();
    assert!(begun.options["publicKey"]["allowCredentials"].as_array().is_none_or(Vec::is_empty));
    let answer = device.get(&begun.options);
    let finish = |answer| passkeys::finish_login(services, request(), &begun.token, answer);
    let pair = finish(answer.clone()).await.unwrap();
    assert_eq!(pair.account, account);
    assert!(matches!(finish(answer).await, Err(IdentityError::InvalidCeremony)), "once");

    // The other session of before is in the list as what it was.
    let actor = fixture.actor(&pair).await;
    assert_eq!(
        second_factor::factors(services, &actor).await.unwrap().method,
        SignInMethod::Passkey
    );
    passkeys::remove(services, &actor, passkey.id, PASSWORD).await.unwrap();
    // Without a factor the codes that stood in for it are gone as well.
    assert_eq!(second_factor::factors(services, &actor).await.unwrap().recovery_codes_left, 0);
    fixture.login("ada@example.com").await;
}

#[tokio::test]
async fn a_passkey_of_another_place_of_a_copy_or_unverified_opens_nothing() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let register = async |device: &mut Authenticator| {
        let begun = passkeys::begin_registration(services, &actor, PASSWORD).await.unwrap();
        let answer = device.create(&begun.options);
        passkeys::finish_registration(services, &actor, &begun.token, "Key", answer).await
    };
    let mut elsewhere = Authenticator::new("https://sa1us.example", 6);
    assert!(matches!(register(&mut elsewhere).await, Err(IdentityError::Invalid(_))));
    let mut careless = Authenticator::new(ORIGIN, 7);
    careless.verifies = false;
    assert!(matches!(register(&mut careless).await, Err(IdentityError::Invalid(_))));
    let mut device = Authenticator::new(ORIGIN, 5);
    register(&mut device).await.unwrap();

    let alone = async |device: &mut Authenticator| {
        let begun = passkeys::begin_login(services, request()).await.unwrap();
        let answer = device.get(&begun.options);
        passkeys::finish_login(services, request(), &begun.token, answer).await
    };
    alone(&mut device).await.unwrap();
    // A copy of the device counts on from where it was copied.
    device.count -= 1;
    assert!(matches!(alone(&mut device).await, Err(IdentityError::WrongCredentials)));
    device.count += 5;
    device.verifies = false;
    assert!(matches!(alone(&mut device).await, Err(IdentityError::WrongCredentials)));
    device.verifies = true;
    alone(&mut device).await.unwrap();
    // Nobody's credential, with somebody's account.
    let mut stranger = Authenticator::new(ORIGIN, 8);
    let begun = passkeys::begin_registration(services, &actor, PASSWORD).await.unwrap();
    stranger.create(&begun.options);
    assert!(matches!(alone(&mut stranger).await, Err(IdentityError::WrongCredentials)));
    // One credential belongs to one account.
    fixture.patient("eve@example.com").await;
    let eve = fixture.actor(&fixture.login("eve@example.com").await).await;
    let begun = passkeys::begin_registration(services, &eve, PASSWORD).await.unwrap();
    let answer = device.create(&begun.options);
    let taken = passkeys::finish_registration(services, &eve, &begun.token, "Key", answer).await;
    assert!(matches!(taken, Err(IdentityError::PasskeyExists)));
    let odd = passkeys::finish_login(services, request(), "token", serde_json::json!({})).await;
    assert!(matches!(odd, Err(IdentityError::Invalid(fields)) if fields[0].path == "credential"));
}

#[tokio::test]
async fn a_passkey_that_comes_to_be_synchronized_goes_on_and_one_that_ceases_says_why_not() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let mut device = Authenticator::new(ORIGIN, 5);
    add_passkey(services, &actor, &mut device).await;
    let alone = async |device: &mut Authenticator| {
        let begun = passkeys::begin_login(services, request()).await.unwrap();
        let answer = device.get(&begun.options);
        passkeys::finish_login(services, request(), &begun.token, answer).await
    };
    let second = async |device: &mut Authenticator| {
        let pending = begin(services, "ada@example.com").await;
        let proof = Proof::Passkey(device.get(&pending.passkey.unwrap()));
        login::complete(services, request(), &pending.token, proof).await
    };

    device.synchronized = true;
    second(&mut device).await.unwrap();
    alone(&mut device).await.unwrap();

    device.synchronized = false;
    for refused in [alone(&mut device).await, second(&mut device).await] {
        assert!(matches!(refused, Err(IdentityError::PasskeyChanged)), "{:?}", refused.err());
    }
    device.synchronized = true;
    alone(&mut device).await.unwrap();
    // The flag is signed: another key does not pass with it.
    let mut forged = Authenticator::new(ORIGIN, 9);
    forged.impersonate(&device);
    forged.synchronized = true;
    let refused = alone(&mut forged).await;
    assert!(matches!(refused, Err(IdentityError::WrongCredentials)), "{:?}", refused.err());
}

#[tokio::test]
async fn a_synchronized_passkey_signs_in_alone_first() {
    let fixture = fixture().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let actor = fixture.actor(&fixture.login("ada@example.com").await).await;
    let mut device = Authenticator::new(ORIGIN, 5);
    add_passkey(services, &actor, &mut device).await;
    device.synchronized = true;
    let begun = passkeys::begin_login(services, request()).await.unwrap();
    let answer = device.get(&begun.options);
    passkeys::finish_login(services, request(), &begun.token, answer).await.unwrap();
}
