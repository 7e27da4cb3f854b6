//! Identity's use cases on their real store. Passwords are digested by a quick
//! stand-in: Argon2 has tests of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use identity::{
    IdentityError, License, LicenseStatus, Matrix, OAuthError, PasswordHash, PasswordHasher,
    PatientProfile, Policy, ProfileForm, Services, SigningKey, SigningKeys, TokenPair,
    authenticate, client, credentials, directory, login, oauth, profile, provider, registration,
    staff,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use kernel::{
    AccountId, Actor, PatientId, Permission, ProviderId, RequestContext, Role, Sex, UsState, Uuid,
};
use ports::{Panel, PortError};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Digests by marking, which is quick and proves only that digests are asked for.
struct MarkingHasher;

#[async_trait]
impl PasswordHasher for MarkingHasher {
    async fn hash(&self, password: &str) -> ports::Result<PasswordHash> {
        Ok(PasswordHash::from_phc(format!("marked:{password}")))
    }

    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> ports::Result<bool> {
        Ok(hash.is_some_and(|hash| hash.as_phc() == format!("marked:{password}")))
    }
}

struct OneKey(Arc<SigningKey>);

impl SigningKeys for OneKey {
    fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&self.0)
    }

    fn all(&self) -> Vec<Arc<SigningKey>> {
        vec![Arc::clone(&self.0)]
    }
}

/// A panel of the one patient.
struct PanelOf(PatientId);

#[async_trait]
impl Panel for PanelOf {
    async fn treats(&self, _: ProviderId, patient: PatientId) -> ports::Result<bool> {
        Ok(patient == self.0)
    }
}

pub(crate) struct Fixture {
    pub database: Database,
    pub services: Services,
}

impl Fixture {
    pub async fn new() -> Self {
        let database = Database::fresh().await;
        let services = services(&database);
        Self { database, services }
    }

    pub async fn text(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let rows = self.database.pg.pool().query_all_raw(statement).await.expect("a query");
        rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
    }

    pub async fn account_of(&self, email: &str) -> AccountId {
        let mut tx = self.services.store.begin(&Actor::system("tests.identity")).await.unwrap();
        tx.account_by_email(&email.parse().unwrap()).await.unwrap().expect("an account").id
    }

    /// A patient with a verified address.
    pub async fn patient(&self, email: &str) -> AccountId {
        self.register(email, PASSWORD).await;
        let account = self.account_of(email).await;
        let token = registration::verification_link_token(&self.services, account).await.unwrap();
        let token = token.expect("a link");
        registration::verify_email(&self.services, request(), &token).await.unwrap();
        account
    }

    /// Registers, and does the job that follows the answer.
    pub async fn register(&self, email: &str, password: &str) {
        register(&self.services, email, password).await.unwrap();
    }

    /// Asks for the mail of a reset, and does the job that follows.
    pub async fn ask_reset(&self, email: &str) {
        let asked = registration::forgot_password(&self.services, request(), email).await;
        registration::answer(&self.services, asked.unwrap()).await.unwrap();
    }

    pub async fn login(&self, email: &str) -> TokenPair {
        match login::login(&self.services, request(), email, PASSWORD).await.unwrap() {
            login::Login::Open(pair) => pair,
            login::Login::SecondFactor(_) => panic!("{email} signs in with a second factor"),
        }
    }

    pub async fn actor(&self, pair: &TokenPair) -> Actor {
        authenticate(&self.services, &pair.access_token, request()).await.unwrap()
    }

    pub async fn staff(&self, number: u128, role: Role) -> Actor {
        self.actor(&self.login_staff(number, role).await).await
    }

    /// The session of a new member of the staff.
    pub async fn login_staff(&self, number: u128, role: Role) -> TokenPair {
        let email = format!("staff{number}@example.com");
        let member = staff::FirstStaff {
            id: AccountId::from_uuid(Uuid::from_u128(number)),
            form: staff::StaffForm {
                email: email.clone(),
                given: "Maren".to_owned(),
                family: "Lindqvist".to_owned(),
                roles: BTreeSet::from([role]),
            },
            password: PASSWORD.to_owned(),
            provider: None,
        };
        staff::seat(&self.services, &Actor::system("tests.identity"), member).await.unwrap();
        self.login(&email).await
    }

    /// The services of a node beside the first, with a memory of its own.
    pub fn another_node(&self) -> Services {
        services(&self.database)
    }
}

pub(crate) async fn register(
    services: &Services,
    email: &str,
    password: &str,
) -> identity::error::Result<()> {
    let asked = registration::register(services, request(), email, password).await?;
    registration::answer(services, asked).await
}

fn services(database: &Database) -> Services {
    // Whoever tests the second factor of the staff asks for it.
    let mut policy = Policy::new("https://salus.example");
    policy.second_factor_roles.clear();
    Services::new(
        database.env.clone(),
        Arc::new(database.pg.clone()),
        database.pg.sealer().clone(),
        Arc::new(MarkingHasher),
        Arc::new(OneKey(Arc::new(SigningKey::from_seed(&[7; 32])))),
        policy,
    )
}

pub(crate) fn request() -> RequestContext {
    RequestContext::default()
}

fn form() -> ProfileForm {
    ProfileForm {
        given: "Adalbertine".to_owned(),
        family: "Quistgaard".to_owned(),
        birth_date: "1990-12-10".parse().unwrap(),
        sex: Sex::Female,
        line1: "77 Harbourside Lane".to_owned(),
        line2: None,
        city: "Boston".to_owned(),
        state: "MA".to_owned(),
        postal_code: "02139".to_owned(),
        phone: "+16175550123".to_owned(),
        time_zone: "America/New_York".to_owned(),
        ssn: Some("123-45-6789".to_owned()),
        version: None,
    }
}

#[tokio::test]
async fn from_registration_to_logout() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.register("Ada@Example.com", PASSWORD).await;
    let early = login::login(services, request(), "ada@example.com", PASSWORD).await;
    assert!(matches!(early, Err(IdentityError::EmailNotVerified)));

    let account = fixture.account_of("ada@example.com").await;
    let token = registration::verification_link_token(services, account).await.unwrap().unwrap();
    let again = registration::verification_link_token(services, account).await.unwrap().unwrap();
    assert_eq!(token, again, "a mail that is rendered twice holds one link");
    registration::verify_email(services, request(), &token).await.unwrap();
    // Whoever follows the link again is told the same: the address is verified.
    registration::verify_email(services, request(), &token).await.unwrap();
    let verified = "SELECT kind FROM outbox_events WHERE kind = 'email_verified'";
    assert_eq!(fixture.text(verified).await.len(), 1);

    let pair = fixture.login("ada@example.com").await;
    let actor = fixture.actor(&pair).await;
    assert_eq!(actor.as_patient(), Some(account.as_patient()));
    assert!(actor.may(Permission::IntakeSubmit) && !actor.may(Permission::AuditRead));

    login::logout(services, &actor).await.unwrap();
    let ended = authenticate(services, &pair.access_token, request()).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)), "logout ends the access token");
    let ended = login::refresh(services, request(), &pair.refresh_token).await;
    assert!(matches!(ended, Err(IdentityError::SessionEnded)));

    let logins = "SELECT action || ' ' || outcome FROM audit_entries \
                  WHERE action IN ('login', 'logout') ORDER BY seq";
    assert_eq!(
        fixture.text(logins).await,
        ["login failure", "login success", "logout success", "login failure"]
    );
    let stored = fixture.text("SELECT encode(email, 'escape') FROM identity_accounts").await;
    assert!(!stored[0].contains("ada@"), "the address is sealed");
}

#[tokio::test]
async fn registering_an_address_again_makes_no_second_account_and_tells_its_owner() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let other = "another good password";
    fixture.register("ada@example.com", other).await;
    assert_eq!(fixture.text("SELECT id::text FROM identity_accounts").await.len(), 1);
    let kinds = fixture.text("SELECT kind FROM outbox_events ORDER BY occurred_at, id").await;
    assert_eq!(kinds, ["account_registered", "email_verified", "registration_repeated"]);
    let wrong = login::login(&fixture.services, request(), "ada@example.com", other).await;
    assert!(matches!(wrong, Err(IdentityError::WrongCredentials)), "the password is unchanged");
}

#[tokio::test]
async fn simultaneous_registrations_of_one_address_make_one_account() {
    let fixture = Fixture::new().await;
    let mut registrations = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let services = fixture.services.clone();
        registrations.spawn(async move { register(&services, "ada@example.com", PASSWORD).await });
    }
    for result in registrations.join_all().await {
        result.unwrap();
    }
    assert_eq!(fixture.text("SELECT id::text FROM identity_accounts").await.len(), 1);
    let registered = "SELECT kind FROM outbox_events WHERE kind = 'account_registered'";
    assert_eq!(fixture.text(registered).await.len(), 1);
}

#[tokio::test]
async fn of_two_simultaneous_refreshes_one_wins_and_the_other_ends_the_family() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let pair = fixture.login("ada@example.com").await;
    let mut refreshes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (services, token) = (fixture.services.clone(), pair.refresh_token.clone());
        refreshes.spawn(async move { login::refresh(&services, request(), &token).await });
    }
    let (mut won, mut reused, mut ended) = (Vec::new(), 0, 0);
    for outcome in refreshes.join_all().await {
        match outcome {
            Ok(pair) => won.push(pair),
            Err(IdentityError::RefreshTokenReused) => reused += 1,
            Err(IdentityError::SessionEnded) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won.len(), reused, ended), (1, 1, 6));
    let winner = &won[0];
    let next = login::refresh(&fixture.services, request(), &winner.refresh_token).await;
    assert!(matches!(next, Err(IdentityError::SessionEnded)), "the whole family is revoked");
    let access = authenticate(&fixture.services, &winner.access_token, request()).await;
    assert!(matches!(access, Err(IdentityError::SessionEnded)));
    let audited = "SELECT outcome FROM audit_entries \
                   WHERE detail->>'reason' = 'identity.refresh_token_reused'";
    assert_eq!(fixture.text(audited).await, ["failure"]);
    let stored = fixture.text("SELECT encode(digest, 'escape') FROM identity_refresh_tokens").await;
    assert!(!stored.contains(&pair.refresh_token), "only digests are stored");
}

#[tokio::test]
async fn a_chain_of_refreshes_keeps_the_session_until_its_idle_time_runs_out() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let mut pair = fixture.login("ada@example.com").await;
    for _ in 0..3 {
        fixture.database.clock.advance(TimeDelta::days(13));
        pair = login::refresh(&fixture.services, request(), &pair.refresh_token).await.unwrap();
        assert!(authenticate(&fixture.services, &pair.access_token, request()).await.is_ok());
    }
    fixture.database.clock.advance(TimeDelta::days(14));
    let late = login::refresh(&fixture.services, request(), &pair.refresh_token).await;
    assert!(matches!(late, Err(IdentityError::SessionEnded)));
    let unknown = login::refresh(&fixture.services, request(), "no such token").await;
    assert!(matches!(unknown, Err(IdentityError::InvalidRefreshToken)));
}

#[tokio::test]
async fn parallel_guesses_lock_an_address_known_or_not() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let mut guesses = tokio::task::JoinSet::new();
        for number in 0..20 {
            let services = fixture.services.clone();
            guesses.spawn(async move {
                login::login(&services, request(), email, &format!("guess {number}")).await
            });
        }
        let outcomes = guesses.join_all().await;
        let wrong = outcomes.iter().filter(|o| matches!(o, Err(IdentityError::WrongCredentials)));
        assert_eq!(wrong.count(), 5, "{email}: the sixth guess is not looked at");
        let locked = login::login(&fixture.services, request(), email, PASSWORD).await;
        assert!(matches!(locked, Err(IdentityError::LoginLocked { .. })), "{email}");
    }
    fixture.database.clock.advance(TimeDelta::minutes(1));
    fixture.login("ada@example.com").await;
    let unlocked = login::login(&fixture.services, request(), "ada@example.com", "guess").await;
    assert!(matches!(unlocked, Err(IdentityError::WrongCredentials)), "success starts anew");
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_opens_the_lock() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let account = fixture.patient("ada@example.com").await;
    let pairs = [fixture.login("ada@example.com").await, fixture.login("ada@example.com").await];
    for _ in 0..5 {
        let _ = login::login(services, request(), "ada@example.com", "wrong guess").await;
    }
    fixture.ask_reset("nobody@example.com").await;
    fixture.ask_reset("ada@example.com").await;
    let token = registration::reset_link_token(services, account).await.unwrap().unwrap();
    let weak = registration::reset_password(services, request(), &token, "short").await;
    assert!(matches!(weak, Err(IdentityError::Invalid(_))));
    let same = registration::reset_password(services, request(), &token, PASSWORD).await;
    let Err(IdentityError::Invalid(fields)) = same else { panic!("{same:?}") };
    assert_eq!((fields[0].path.as_str(), fields[0].code.as_str()), ("password", "unchanged"));
    let new = "an entirely new secret";
    registration::reset_password(services, request(), &token, new).await.unwrap();
    for pair in pairs {
        let ended = authenticate(services, &pair.access_token, request()).await;
        assert!(matches!(ended, Err(IdentityError::SessionEnded)));
    }
    login::login(services, request(), "ada@example.com", new).await.unwrap();
    let again = registration::reset_password(services, request(), &token, new).await;
    assert!(matches!(again, Err(IdentityError::InvalidLink)));
}

#[tokio::test]
async fn a_profile_is_sealed_versioned_and_ones_own() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    fixture.patient("bea@example.com").await;
    let ada = fixture.actor(&fixture.login("ada@example.com").await).await;
    let bea = fixture.actor(&fixture.login("bea@example.com").await).await;
    let none = profile::read_own(services, &ada).await;
    assert!(matches!(none, Err(IdentityError::NotFound(_))));

    let written = profile::write_own(services, &ada, form()).await.unwrap();
    assert_eq!(profile::read_own(services, &ada).await.unwrap(), written);
    let stale = ProfileForm { version: Some(0), ..form() };
    let refused = profile::write_own(services, &ada, stale).await;
    assert!(matches!(refused, Err(IdentityError::Port(PortError::Stale(_)))));
    let moved = ProfileForm { state: "NY".to_owned(), ssn: None, version: Some(1), ..form() };
    let moved = profile::write_own(services, &ada, moved).await.unwrap();
    assert_eq!((moved.version, moved.ssn.unwrap().masked().as_str()), (2, "***-**-6789"));

    // The other patient's transaction does not see the row, whatever it asks for.
    let mut tx = services.store.begin(&bea).await.unwrap();
    let hidden: Option<PatientProfile> = tx.find(ada.as_patient().unwrap()).await.unwrap();
    assert_eq!(hidden, None);
    drop(tx);

    let row = "SELECT p::text || encode(name, 'escape') || encode(address, 'escape') || \
               encode(phone, 'escape') || encode(birth_date, 'escape') || encode(ssn, 'escape') \
               FROM identity_profiles p";
    let superuser = fixture.database.superuser().await;
    let statement = Statement::from_string(DbBackend::Postgres, row);
    let found = superuser.query_one_raw(statement).await.unwrap().expect("a row");
    let text: String = found.try_get_by_index(0).unwrap();
    for plain in ["Adalbertine", "Quistgaard", "Harbourside", "5550123", "1990", "123456789"] {
        assert!(!text.contains(plain), "{plain} lies in the clear");
    }
    let detail = fixture
        .text("SELECT detail::text FROM audit_entries WHERE entity = 'patient_profile'")
        .await
        .join(" ");
    assert!(detail.contains("address") && !detail.contains("Harbourside"), "{detail}");
}

#[tokio::test]
async fn the_audit_log_names_what_has_changed_of_an_account_and_tells_no_secret() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let account = fixture.patient("ada@example.com").await;
    let ada = fixture.actor(&fixture.login("ada@example.com").await).await;
    profile::write_own(services, &ada, form()).await.unwrap();
    let moved = ProfileForm { state: "NY".to_owned(), ssn: Some("219-09-9999".into()), ..form() };
    profile::write_own(services, &ada, moved).await.unwrap();
    let new = "an entirely new secret";
    credentials::change_password(services, &ada, PASSWORD, new).await.unwrap();
    credentials::request_email_change(services, &ada, "countess@example.org", new).await.unwrap();
    let link = credentials::email_change_link_token(services, account).await.unwrap().unwrap().1;
    credentials::confirm_email_change(services, request(), &link).await.unwrap();

    let changed = "SELECT concat(detail->>'change', ' ', detail->>'version', ' ', \
                   (SELECT string_agg(key || '=' || value, ',' ORDER BY key) \
                    FROM jsonb_each_text(detail->'changed') \
                    WHERE key NOT LIKE '%_at')) \
                   FROM audit_entries WHERE entity = 'account' AND detail ? 'changed' ORDER BY seq";
    assert_eq!(
        fixture.text(changed).await,
        [
            r#"email_verified 2 status={"new": "active", "old": "unverified"}"#,
            "password_changed 3 password_hash={}",
            "email_change_requested 4 new_email={},new_email_nonce={}",
            "email_changed 5 email={},new_email={},new_email_nonce={},previous_email={}",
        ]
    );
    let log = fixture.text("SELECT a::text FROM audit_entries a").await.join(" ");
    for told in ["example.", "marked", "secret", "NY", "219", PASSWORD] {
        assert!(!log.contains(told), "the audit log tells {told}");
    }
}

#[tokio::test]
async fn many_names_are_found_at_once_and_none_beyond_the_reach() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let mut patients = Vec::new();
    for (email, given) in [("ada@example.com", "Ada"), ("bea@example.com", "Bea")] {
        fixture.patient(email).await;
        let actor = fixture.actor(&fixture.login(email).await).await;
        let form = ProfileForm { given: given.to_owned(), ssn: None, ..form() };
        profile::write_own(services, &actor, form).await.unwrap();
        patients.push(actor);
    }
    fixture.patient("cleo@example.com").await;
    let cleo = fixture.actor(&fixture.login("cleo@example.com").await).await;
    let ids: Vec<PatientId> =
        [&patients[0], &patients[1], &cleo].map(|actor| actor.as_patient().unwrap()).into();
    let names = async |actor: &Actor, ids: &[PatientId]| {
        let found = directory::names(services, actor, ids).await.unwrap();
        let told = |one: directory::PatientName| {
            assert_eq!((one.name.family, one.birth_date), (form().family, form().birth_date));
            (one.patient, one.name.given)
        };
        found.into_iter().map(told).collect::<BTreeMap<_, _>>()
    };
    let system = Actor::system("tests.identity");
    let of = |index: usize, given: &str| (ids[index], given.to_owned());
    // Who has no profile has no name.
    assert_eq!(names(&system, &ids).await, [of(0, "Ada"), of(1, "Bea")].into());
    assert_eq!(names(&system, &ids[1..2]).await, [of(1, "Bea")].into());
    assert_eq!(names(&system, &[]).await, BTreeMap::new());
    assert_eq!(names(&patients[0], &ids).await, [of(0, "Ada")].into());
    assert_eq!(names(&cleo, &ids).await, BTreeMap::new());
}

#[tokio::test]
async fn demographics_reach_the_panel_and_nobody_else() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    fixture.patient("ada@example.com").await;
    let ada = fixture.actor(&fixture.login("ada@example.com").await).await;
    let patient = ada.as_patient().unwrap();
    profile::write_own(services, &ada, form()).await.unwrap();
    let provider = fixture.staff(1, Role::Provider).await;
    let support = fixture.staff(2, Role::Support).await;
    let stranger = PanelOf(PatientId::from_uuid(Uuid::from_u128(9)));
    let found = async |panel: &PanelOf, actor: &Actor| {
        directory::demographics(services, panel, actor, patient).await.unwrap().is_some()
    };
    assert!(found(&PanelOf(patient), &provider).await);
    assert!(!found(&stranger, &provider).await);
    assert!(!found(&PanelOf(patient), &support).await);
    assert!(found(&stranger, &ada).await);
    assert!(found(&stranger, &Actor::system("tests.identity")).await);
    let denied = "SELECT actor_id FROM audit_entries WHERE outcome = 'denied' \
                  AND entity = 'patient_profile' ORDER BY seq";
    let staff = [provider.account().unwrap(), support.account().unwrap()].map(|id| id.to_string());
    assert_eq!(fixture.text(denied).await, staff);
    let contact = directory::contact(services, ada.account().unwrap()).await.unwrap();
    assert_eq!(contact.name.unwrap().given, "Adalbertine");
}

#[tokio::test]
async fn providers_are_found_by_a_license_in_force() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let system = Actor::system("tests.identity");
    fixture.staff(1, Role::Provider).await;
    let license = |state, expires: &str, status| License {
        state,
        number: "MD-1".to_owned(),
        expires_on: expires.parse().unwrap(),
        status,
    };
    let id = ProviderId::from_uuid(Uuid::from_u128(1));
    let early = provider::set_licenses(services, &system, id, Vec::new()).await;
    assert!(matches!(early, Err(IdentityError::Invalid(_))), "a profile comes first");
    let actor = fixture.actor(&fixture.login("staff1@example.com").await).await;
    let profile = identity::ProviderForm {
        given: "Maren".to_owned(),
        family: "Lindqvist".to_owned(),
        npi: "1234567893".to_owned(),
        dea: None,
        specialities: vec!["207Q00000X".to_owned()],
    };
    provider::write_own(services, &actor, profile).await.unwrap();
    let own = provider::set_licenses(services, &actor, id, Vec::new()).await;
    assert!(matches!(own, Err(IdentityError::Forbidden(_))), "licenses are the staff's to record");
    let licenses = vec![
        license(UsState::Ma, "2026-03-02", LicenseStatus::Active),
        license(UsState::Ny, "2026-03-01", LicenseStatus::Active),
        license(UsState::Ca, "2030-01-01", LicenseStatus::Suspended),
    ];
    let saved = provider::set_licenses(services, &system, id, licenses).await.unwrap();
    assert_eq!(provider::read_own(services, &actor).await.unwrap().licenses.len(), 3);
    assert_eq!(saved.version, 2);
    // The tests' clock stands at noon UTC of 2 March 2026.
    let now = services.now();
    for (state, count) in [(UsState::Ma, 1), (UsState::Ny, 0), (UsState::Ca, 0), (UsState::Tx, 0)] {
        let found = directory::providers_licensed_in(services, &actor, state, now).await.unwrap();
        assert_eq!(found.len(), count, "{state}");
    }
    let tomorrow = now + TimeDelta::days(1);
    let found = directory::providers_licensed_in(services, &actor, UsState::Ma, tomorrow).await;
    assert!(found.unwrap().is_empty());
}

#[tokio::test]
async fn roles_change_at_once_are_audited_and_need_rank() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let admin = fixture.staff(1, Role::Admin).await;
    let owner = fixture.staff(2, Role::SuperAdmin).await;
    let support = fixture.staff(3, Role::Support).await;
    let id = support.account().unwrap();
    let roles = |role| BTreeSet::from([role]);

    let refused = staff::change_roles(services, &admin, id, roles(Role::SuperAdmin)).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden(_))));
    let own = staff::change_roles(services, &admin, admin.account().unwrap(), roles(Role::Auditor));
    assert!(matches!(own.await, Err(IdentityError::Forbidden(_))), "nor take a high role");
    let refused = staff::change_roles(services, &support, id, roles(Role::Auditor)).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden(_))));
    staff::change_roles(services, &owner, id, roles(Role::Auditor)).await.unwrap();

    let pair = fixture.login("staff3@example.com").await;
    assert!(fixture.actor(&pair).await.may(Permission::AuditRead));
    staff::change_roles(services, &admin, id, roles(Role::Support)).await.unwrap();
    assert!(!fixture.actor(&pair).await.may(Permission::AuditRead), "the same token, at once");

    let changes = "SELECT outcome || ' ' || (detail->>'old') || ' ' || (detail->>'new') \
                   FROM audit_entries WHERE entity = 'account_roles' ORDER BY seq";
    assert_eq!(
        fixture.text(changes).await,
        [
            r#"denied ["support"] ["super_admin"]"#,
            r#"denied ["admin"] ["auditor"]"#,
            r#"success ["support"] ["auditor"]"#,
            r#"success ["auditor"] ["support"]"#,
        ]
    );
}

#[tokio::test]
async fn an_invited_member_of_the_staff_comes_in_by_the_mailed_link() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let admin = fixture.staff(1, Role::Admin).await;
    let form = staff::StaffForm {
        email: "ines@example.com".to_owned(),
        given: "Ines".to_owned(),
        family: "Varga".to_owned(),
        roles: BTreeSet::from([Role::Pharmacist]),
    };
    let account = staff::create_account(services, &admin, form.clone()).await.unwrap();
    let twice = staff::create_account(services, &admin, form).await;
    assert!(matches!(twice, Err(IdentityError::AccountExists)));
    let early = login::login(services, request(), "ines@example.com", PASSWORD).await;
    assert!(matches!(early, Err(IdentityError::WrongCredentials)));
    let token = registration::reset_link_token(services, account.id).await.unwrap().unwrap();
    registration::reset_password(services, request(), &token, PASSWORD).await.unwrap();
    let actor = fixture.actor(&fixture.login("ines@example.com").await).await;
    assert!(actor.may(Permission::PharmacyWork));
}

#[tokio::test]
async fn the_matrix_of_a_new_database_is_the_initial_one() {
    let fixture = Fixture::new().await;
    let mut tx = fixture.services.store.begin(&Actor::system("tests.identity")).await.unwrap();
    assert_eq!(tx.matrix().await.unwrap(), Matrix::initial());
}

#[tokio::test]
async fn a_client_gets_what_it_is_allowed_and_uses_an_assertion_once() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let admin = fixture.staff(1, Role::Admin).await;
    let pem = include_bytes!("../../../crates/identity/src/test_keys/es384.pem");
    let key = EncodingKey::from_ec_pem(pem).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES384).unwrap();
    jwk.common.key_id = Some("one".to_owned());
    let form = client::ClientForm {
        name: "Harbour EHR".to_owned(),
        keys: json!({ "keys": [jwk] }),
        scopes: vec!["system/Patient.read".to_owned(), "system/Encounter.rs".to_owned()],
    };
    let patient = fixture.patient("ada@example.com").await;
    let stranger = fixture.actor(&fixture.login("ada@example.com").await).await;
    assert_eq!(stranger.account(), Some(patient));
    let refused = client::register(services, &stranger, form.clone()).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden(_))));
    let client = client::register(services, &admin, form).await.unwrap();

    let ask = |jti: &str, scope: &str| {
        let mut header = Header::new(Algorithm::ES384);
        header.kid = Some("one".to_owned());
        let id = client.id.to_string();
        let claims = json!({
            "iss": id, "sub": id, "aud": "https://salus.example/oauth/token", "jti": jti,
            "exp": services.now().timestamp() + 120,
        });
        oauth::TokenRequest {
            grant_type: Some("client_credentials".to_owned()),
            scope: Some(scope.to_owned()),
            client_assertion_type: Some(
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
            ),
            client_assertion: Some(jsonwebtoken::encode(&header, &claims, &key).unwrap()),
        }
    };
    let wanted = "system/Patient.rs system/Encounter.cruds system/Observation.rs";
    let token = oauth::client_credentials(services, request(), ask("a", wanted)).await.unwrap();
    assert_eq!(token.scope, "system/Encounter.rs system/Patient.rs");
    let actor = authenticate(services, &token.access_token, request()).await.unwrap();
    assert!(actor.permissions.is_empty());
    assert_eq!(actor.kind_word(), "client");

    let replayed = oauth::client_credentials(services, request(), ask("a", wanted)).await;
    assert!(matches!(replayed, Err(OAuthError::InvalidClient(_))));
    let nothing = ask("b", "system/Observation.rs");
    let nothing = oauth::client_credentials(services, request(), nothing).await;
    assert!(matches!(nothing, Err(OAuthError::InvalidScope)));
    let audited = "SELECT outcome FROM audit_entries WHERE entity = 'api_client' \
                   AND action = 'login' ORDER BY seq";
    assert_eq!(fixture.text(audited).await, ["success", "failure", "failure"]);
    fixture.database.clock.advance(TimeDelta::minutes(5));
    let expired = authenticate(services, &token.access_token, request()).await;
    assert!(matches!(expired, Err(IdentityError::InvalidToken)));
}

mod asking;
mod clients;
mod first_administrator;
mod providers;
mod throttling;
