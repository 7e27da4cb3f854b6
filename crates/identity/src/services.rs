//! The ports that identity's use cases work with, in one bundle, and the
//! short-lived caches that keep authentication off the database.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{AccountId, Actor, ApiClientId, EmailAddress, Role, SessionId};
use moka::future::Cache;
use ports::{Env, PortError, Sealer};

use strum::IntoEnumIterator as _;

use crate::{
    Account, IdentityError, IdentityStore, Matrix, PasswordHasher, SigningKeys,
    passkey::Authenticators,
    password::{self, BreachedPasswords},
    session::{SessionLimits, SignInMethod},
};

/// The names this installation goes by and the lives of its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The public base address, which is the `iss` of every token.
    pub issuer: String,
    /// The `aud` of the access tokens of accounts.
    audience: String,
    /// The `aud` of those of clients: the base of the FHIR surface.
    fhir_base: String,
    /// The address of the token endpoint: the `aud` that a client assertion
    /// must name.
    pub token_url: String,
    pub access_token_life: TimeDelta,
    pub client_token_life: TimeDelta,
    pub patient_session: SessionLimits,
    pub staff_session: SessionLimits,
    /// Whoever has one of these roles signs in with a second factor.
    pub second_factor_roles: BTreeSet<Role>,
}

impl Policy {
    /// The policy of an installation at that public base address.
    pub fn new(public_url: &str) -> Self {
        let issuer = public_url.trim_end_matches('/').to_owned();
        Self {
            audience: format!("{issuer}/api"),
            fhir_base: format!("{issuer}/fhir"),
            token_url: format!("{issuer}/oauth/token"),
            issuer,
            access_token_life: TimeDelta::minutes(15),
            client_token_life: TimeDelta::minutes(5),
            patient_session: SessionLimits {
                idle: TimeDelta::days(14),
                absolute: TimeDelta::days(60),
            },
            staff_session: SessionLimits {
                idle: TimeDelta::hours(1),
                absolute: TimeDelta::hours(12),
            },
            second_factor_roles: Role::iter().filter(|role| *role != Role::Patient).collect(),
        }
    }

    pub fn audience(&self) -> &str {
        &self.audience
    }

    pub fn fhir_base(&self) -> &str {
        &self.fhir_base
    }

    pub fn session_limits(&self, account: &Account) -> SessionLimits {
        if account.is_staff() { self.staff_session } else { self.patient_session }
    }

    pub fn demands_second_factor(&self, roles: &BTreeSet<Role>) -> bool {
        !self.second_factor_roles.is_disjoint(roles)
    }
}

/// What authentication asks of a session, in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionGrant {
    pub account: AccountId,
    pub roles: Arc<BTreeSet<Role>>,
    /// The account is active and the session not revoked.
    pub live: bool,
    pub method: SignInMethod,
    pub ends_at: DateTime<Utc>,
}

#[derive(Clone)]
pub struct Services {
    pub env: Env,
    pub store: Arc<dyn IdentityStore>,
    pub sealer: Arc<dyn Sealer>,
    pub passwords: Arc<dyn PasswordHasher>,
    pub keys: Arc<dyn SigningKeys>,
    pub policy: Arc<Policy>,
    /// `None` where the public address is no name that passkeys could be for.
    pub authenticators: Option<Arc<Authenticators>>,
    /// The passwords of known breaches, where the installation has a list.
    pub breaches: Option<Arc<dyn BreachedPasswords>>,
    sessions: Cache<SessionId, Option<SessionGrant>>,
    clients: Cache<ApiClientId, bool>,
    matrix: Cache<(), Arc<Matrix>>,
}

/// A logout at another instance is seen within this time, at this one at once.
const SESSION_CACHE: Duration = Duration::from_secs(1);
const MATRIX_CACHE: Duration = Duration::from_secs(30);

impl Services {
    pub fn new(
        env: Env,
        store: Arc<dyn IdentityStore>,
        sealer: Arc<dyn Sealer>,
        passwords: Arc<dyn PasswordHasher>,
        keys: Arc<dyn SigningKeys>,
        policy: Policy,
    ) -> Self {
        Self {
            env,
            store,
            sealer,
            passwords,
            keys,
            policy: Arc::new(policy),
            authenticators: None,
            breaches: None,
            sessions: Cache::builder().max_capacity(100_000).time_to_live(SESSION_CACHE).build(),
            clients: Cache::builder().max_capacity(10_000).time_to_live(SESSION_CACHE).build(),
            matrix: Cache::builder().max_capacity(1).time_to_live(MATRIX_CACHE).build(),
        }
    }

    /// Offers passkeys as well.
    pub fn with_authenticators(self, authenticators: Authenticators) -> Self {
        Self { authenticators: Some(Arc::new(authenticators)), ..self }
    }

    /// Refuses the passwords of that list as well.
    pub fn with_breaches(self, breaches: Arc<dyn BreachedPasswords>) -> Self {
        Self { breaches: Some(breaches), ..self }
    }

    /// Checks a new password against the rules and the lists.
    pub(crate) async fn check_password(
        &self,
        path: &str,
        password: &str,
        email: &EmailAddress,
    ) -> Result<(), IdentityError> {
        password::check(path, password, email)
            .map_err(|error| IdentityError::Invalid(vec![error]))?;
        if let Some(breaches) = &self.breaches
            && breaches.contain(password).await?
        {
            return Err(IdentityError::Invalid(vec![password::breached(path)]));
        }
        Ok(())
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.env.now()
    }

    pub(crate) async fn session_grant(
        &self,
        session: SessionId,
    ) -> Result<Option<SessionGrant>, PortError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("identity.authenticate")).await?;
            tx.session_grant(session).await
        };
        self.sessions.try_get_with(session, load).await.map_err(shared)
    }

    pub(crate) async fn client_is_active(&self, client: ApiClientId) -> Result<bool, PortError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("identity.authenticate")).await?;
            Ok(tx.client(client).await?.is_some_and(|client| client.active))
        };
        self.clients.try_get_with(client, load).await.map_err(shared)
    }

    pub(crate) async fn matrix(&self) -> Result<Arc<Matrix>, PortError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("identity.authenticate")).await?;
            tx.matrix().await.map(Arc::new)
        };
        self.matrix.try_get_with((), load).await.map_err(shared)
    }

    pub(crate) async fn forget_session(&self, session: SessionId) {
        self.sessions.invalidate(&session).await;
    }

    pub(crate) async fn forget_sessions(&self, sessions: &[SessionId]) {
        for session in sessions {
            self.forget_session(*session).await;
        }
    }

    /// Roles changed; whose sessions they are is not known here, so all are
    /// read again.
    pub(crate) fn forget_all_sessions(&self) {
        self.sessions.invalidate_all();
    }

    /// Reads the permission matrix again at the next call.
    pub fn forget_matrix(&self) {
        self.matrix.invalidate_all();
    }
}

fn shared(error: Arc<PortError>) -> PortError {
    PortError::clone(&error)
}
