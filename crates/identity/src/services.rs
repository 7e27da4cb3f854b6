//! The ports that identity's use cases work with, in one bundle, and the
//! short-lived caches that keep authentication off the database.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{AccountId, Actor, ApiClientId, EmailAddress, HumanName, Role, SessionId};
use moka::future::Cache;
use ports::{Env, Hearing, Kept, PortError, Sealer};
use sha2::{Digest as _, Sha256};

use crate::{
    Account, ApiClient, IdentityError, IdentityStore, Matrix, PasswordHash, PasswordHasher,
    SigningKeys,
    passkey::Authenticators,
    password::{self, BreachedPasswords},
    session::{SessionLimits, SignInMethod},
    token::{self, Bearer, Signed},
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
            second_factor_roles: Role::ALL
                .iter()
                .copied()
                .filter(|role| *role != Role::Patient)
                .collect(),
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

/// Whom the mails of this installation can reach.
#[async_trait]
pub trait MailReach: Send + Sync {
    async fn reaches(&self, email: &EmailAddress) -> ports::Result<bool>;
}

/// How a right password matched its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Current,
    /// The digest is of the password as it was typed, and is to be replaced.
    Outdated,
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
    /// Whom mail reaches; everybody where nobody can say.
    pub reach: Option<Arc<dyn MailReach>>,
    /// Tokens whose signature was found good, by their digest.
    tokens: Cache<[u8; 32], Signed>,
    sessions: Cache<SessionId, Option<SessionGrant>>,
    /// The generation whose tokens are good; `None` where none are.
    clients: Cache<ApiClientId, Option<i32>>,
    matrix: Kept<(), Arc<Matrix>>,
}

/// How long a token's signature is taken for good without another look. Its expiry and
/// its session are looked at every time.
const TOKEN_CACHE: Duration = Duration::from_secs(60);
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
            reach: None,
            tokens: Cache::builder().max_capacity(100_000).time_to_live(TOKEN_CACHE).build(),
            sessions: Cache::builder().max_capacity(100_000).time_to_live(SESSION_CACHE).build(),
            clients: Cache::builder().max_capacity(10_000).time_to_live(SESSION_CACHE).build(),
            matrix: Kept::new(2, MATRIX_CACHE, Hearing::default()),
        }
    }

    /// Keeps the permission matrix for as long as the notices of edits are heard.
    pub fn with_hearing(self, hearing: Hearing) -> Self {
        Self { matrix: Kept::new(2, MATRIX_CACHE, hearing), ..self }
    }

    /// Offers passkeys as well.
    pub fn with_authenticators(self, authenticators: Authenticators) -> Self {
        Self { authenticators: Some(Arc::new(authenticators)), ..self }
    }

    /// Refuses the passwords of that list as well.
    pub fn with_breaches(self, breaches: Arc<dyn BreachedPasswords>) -> Self {
        Self { breaches: Some(breaches), ..self }
    }

    /// Refuses addresses that no mail can reach.
    pub fn with_reach(self, reach: Arc<dyn MailReach>) -> Self {
        Self { reach: Some(reach), ..self }
    }

    /// Checks a new password against the rules and the lists, and gives it in
    /// the form in which it is digested.
    pub(crate) async fn check_password(
        &self,
        path: &str,
        given: &str,
        email: &EmailAddress,
        name: Option<&HumanName>,
    ) -> Result<String, IdentityError> {
        let password = password::normalize(given);
        password::check(path, &password, email, name)
            .map_err(|error| IdentityError::Invalid(vec![error]))?;
        if let Some(breaches) = &self.breaches
            && (breaches.contain(&password).await? || breaches.contain(given).await?)
        {
            return Err(IdentityError::Invalid(vec![password::breached(path)]));
        }
        Ok(password)
    }

    /// Whether the password is that of the digest, in the form in which it is
    /// digested now or as it was typed, which was digested before. Without a
    /// digest it takes as long.
    pub(crate) async fn verify_password(
        &self,
        given: &str,
        hash: Option<&PasswordHash>,
    ) -> Result<Option<Verified>, IdentityError> {
        // An overlong password is nobody's, and is not worth the hashing.
        let given = if given.len() <= 4 * password::MAX_LENGTH { given } else { "" };
        let normalized = password::normalize(given);
        if self.passwords.verify(&normalized, hash).await? {
            return Ok(Some(Verified::Current));
        }
        if normalized != given && self.passwords.verify(given, hash).await? {
            return Ok(Some(Verified::Outdated));
        }
        Ok(None)
    }

    /// Refuses an address that no mail from here can reach.
    pub(crate) async fn check_reach(
        &self,
        path: &str,
        email: &EmailAddress,
    ) -> Result<(), IdentityError> {
        match &self.reach {
            Some(reach) if !reach.reaches(email).await? => Err(IdentityError::field(
                path,
                "unreachable",
                "Our mail server takes no address with letters beyond A to Z; give another one.",
            )),
            _ => Ok(()),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.env.now()
    }

    /// Whom a token stands for.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Bearer, IdentityError> {
        let digest = Sha256::digest(token).into();
        let signed = match self.tokens.get(&digest).await {
            Some(signed) => signed,
            None => {
                let signed = token::read(self.keys.as_ref(), &self.policy, token)?;
                self.tokens.insert(digest, signed.clone()).await;
                signed
            }
        };
        signed.bearer(self.now())
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

    pub(crate) async fn client_generation(
        &self,
        client: ApiClientId,
    ) -> Result<Option<i32>, PortError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("identity.authenticate")).await?;
            let client: Option<ApiClient> = tx.find(client).await?;
            Ok(client.filter(ApiClient::is_active).map(|client| client.generation))
        };
        self.clients.try_get_with(client, load).await.map_err(shared)
    }

    /// At the other nodes a client is read again within a second.
    pub(crate) async fn forget_client(&self, client: ApiClientId) {
        self.clients.invalidate(&client).await;
    }

    pub(crate) async fn matrix(&self) -> Result<Arc<Matrix>, PortError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("identity.authenticate")).await?;
            tx.matrix().await.map(Arc::new)
        };
        self.matrix.get((), load).await
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
        self.matrix.forget();
    }
}

fn shared(error: Arc<PortError>) -> PortError {
    PortError::clone(&error)
}
