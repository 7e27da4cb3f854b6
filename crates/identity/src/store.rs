//! What identity asks of its database, an aggregate at a time.

use std::net::IpAddr;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, Actor, ApiClientId, CeremonyId, EmailAddress, PasskeyId, PatientId, ProviderId,
    Role, Seen, SessionId, UsState,
};
use ports::{BlindIndex, Locked, Repository, Result, UnitOfWork, repository::lock_existing};

use crate::{
    Account, ApiClient, ExpiringLicense, License, LicensedProvider, Matrix, PatientProfile,
    ProviderProfile, Session, Throttles,
    directory::PatientName,
    factor::{Ceremony, Totp},
    passkey::Passkey,
    permissions::RoleGrant,
    services::SessionGrant,
    session::TokenDigest,
};

#[async_trait]
pub trait IdentityStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn IdentityTx>>;
}

/// One transaction of identity.
pub trait IdentityTx:
    UnitOfWork
    + Repository<Account>
    + Repository<ApiClient>
    + Repository<PatientProfile>
    + Repository<ProviderProfile>
    + Accounts
    + Throttling
    + Sessions
    + Factors
    + Profiles
    + Providers
    + Clients
    + PermissionMatrix
{
}

impl<T> IdentityTx for T where
    T: UnitOfWork
        + Repository<Account>
        + Repository<ApiClient>
        + Repository<PatientProfile>
        + Repository<ProviderProfile>
        + Accounts
        + Throttling
        + Sessions
        + Factors
        + Profiles
        + Providers
        + Clients
        + PermissionMatrix
{
}

/// The account, locked before anything else of it is; `None` where there is none.
pub(crate) async fn lock_account(
    tx: &mut dyn IdentityTx,
    id: AccountId,
) -> Result<Option<Locked<Account>>> {
    lock_existing::<Account>(tx, id, &Seen::Any).await
}

#[async_trait]
pub trait Accounts: Send {
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>>;

    /// The active accounts that have one of the roles, in the order of their ids.
    async fn accounts_with_roles(&mut self, roles: &[Role]) -> Result<Vec<AccountId>>;

    /// The accounts with one of the roles that nobody has chosen a password for
    /// yet, in the order of their ids.
    async fn unclaimed_accounts(&mut self, roles: &[Role]) -> Result<Vec<AccountId>>;
}

/// Failed sign-ins, and the networks that addresses are known from.
#[async_trait]
pub trait Throttling: Send {
    /// The failures so far of an address and a network, whether or not an
    /// account has the address.
    async fn throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles>;

    /// The same, held until the transaction ends, so that parallel guesses
    /// are counted one after another.
    async fn lock_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles>;

    async fn save_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        throttles: Throttles,
    ) -> Result<()>;

    /// The address has signed in from the network, whose failures are forgotten.
    async fn know_network(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        at: DateTime<Utc>,
    ) -> Result<()>;

    /// The account goes by another address, from the networks of the last.
    async fn move_networks(&mut self, from: &EmailAddress, to: &EmailAddress) -> Result<()>;

    /// Drops the networks that were last signed in from before.
    async fn purge_networks(&mut self, before: DateTime<Utc>) -> Result<u64>;

    /// Drops the failures that no longer count.
    async fn purge_throttles(&mut self, before: DateTime<Utc>) -> Result<u64>;
}

#[async_trait]
pub trait Sessions: Send {
    async fn insert_session(&mut self, session: &Session) -> Result<()>;

    async fn lock_session(&mut self, id: SessionId) -> Result<Option<Session>>;

    /// The session whose family a refresh token is of, now or earlier, held
    /// until the transaction ends.
    async fn lock_session_of(&mut self, token: TokenDigest) -> Result<Option<Session>>;

    /// The sessions of an account that are not revoked; some may have run out.
    async fn live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>>;

    /// The sessions of an account that are not revoked, held until the
    /// transaction ends.
    async fn lock_live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>>;

    /// Writes the state, and the current token into the family when it is new.
    async fn save_session(&mut self, session: &Session) -> Result<()>;

    async fn session_grant(&mut self, id: SessionId) -> Result<Option<SessionGrant>>;
}

/// Second factors and what waits for them. Secrets are sealed by the store.
#[async_trait]
pub trait Factors: Send {
    async fn totp(&mut self, account: AccountId) -> Result<Option<Totp>>;

    /// The same, held until the transaction ends, so that of two who show one
    /// code at once the second finds it used.
    async fn lock_totp(&mut self, account: AccountId) -> Result<Option<Totp>>;

    async fn save_totp(&mut self, totp: &Totp) -> Result<()>;

    async fn remove_totp(&mut self, account: AccountId) -> Result<()>;

    /// The digests of new codes in place of all earlier ones, and whether it is
    /// proved that the owner has them.
    async fn replace_recovery_codes(
        &mut self,
        account: AccountId,
        digests: &[BlindIndex],
        proved: bool,
    ) -> Result<()>;

    /// Uses a code up and says whether it is a proved one; `None` when there is
    /// none or it was used before.
    async fn use_recovery_code(
        &mut self,
        account: AccountId,
        digest: &BlindIndex,
        at: DateTime<Utc>,
    ) -> Result<Option<bool>>;

    /// It is proved that the owner has the codes.
    async fn prove_recovery_codes(&mut self, account: AccountId) -> Result<()>;

    async fn drop_unproved_recovery_codes(&mut self, account: AccountId) -> Result<()>;

    async fn recovery_codes_left(&mut self, account: AccountId) -> Result<u64>;

    /// The account's passkeys, the oldest first.
    async fn passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>>;

    async fn lock_passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>>;

    /// `Conflict` when the credential is registered, whoever's it is.
    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<()>;

    async fn save_passkey(&mut self, passkey: &Passkey) -> Result<()>;

    async fn remove_passkey(&mut self, account: AccountId, id: PasskeyId) -> Result<()>;

    async fn insert_ceremony(&mut self, ceremony: &Ceremony) -> Result<()>;

    /// Whose sign-in the token names.
    async fn ceremony_account(&mut self, token: TokenDigest) -> Result<Option<AccountId>>;

    /// Held until the transaction ends.
    async fn lock_ceremony(&mut self, token: TokenDigest) -> Result<Option<Ceremony>>;

    async fn save_ceremony(&mut self, ceremony: &Ceremony) -> Result<()>;

    async fn remove_ceremony(&mut self, id: CeremonyId) -> Result<()>;

    async fn remove_ceremonies_of(&mut self, account: AccountId) -> Result<()>;

    /// Drops those that have run out.
    async fn purge_ceremonies(&mut self, before: DateTime<Utc>) -> Result<u64>;
}

#[async_trait]
pub trait Profiles: Send {
    /// The names of those of the patients that have a profile, as far as
    /// the actor reaches them.
    async fn names(&mut self, patients: &[PatientId]) -> Result<Vec<PatientName>>;

    /// Where those of the patients are that have a profile, within the same reach.
    async fn states(&mut self, patients: &[PatientId]) -> Result<Vec<(PatientId, UsState)>>;
}

#[async_trait]
pub trait Providers: Send {
    /// Those of the providers that have a profile, in the order of their ids.
    async fn providers(&mut self, ids: &[ProviderId]) -> Result<Vec<ProviderProfile>>;

    /// The providers with an active account whose license in the state was in
    /// force at that time.
    async fn providers_licensed_in(
        &mut self,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<Vec<LicensedProvider>>;

    /// The active licenses of providers with an active account that expire on
    /// that day or before it.
    async fn licenses_expiring_by(&mut self, day: NaiveDate) -> Result<Vec<ExpiringLicense>>;

    /// Remembers that a provider was told so many days before; `false` where
    /// that is on record already.
    async fn add_license_alert(
        &mut self,
        provider: ProviderId,
        license: &License,
        days: u32,
        at: DateTime<Utc>,
    ) -> Result<bool>;

    /// The licenses whose last day is before `day` and whose end has not been
    /// reported yet.
    async fn licenses_ended_by(&mut self, day: NaiveDate) -> Result<Vec<(ProviderId, License)>>;

    /// Remembers that the end was told; `false` where that is on record already.
    async fn add_license_end(
        &mut self,
        provider: ProviderId,
        license: &License,
        at: DateTime<Utc>,
    ) -> Result<bool>;
}

#[async_trait]
pub trait Clients: Send {
    /// All of them, the oldest first.
    async fn clients(&mut self) -> Result<Vec<ApiClient>>;

    /// Remembers an assertion's id until it has expired; `false` when it had
    /// been seen before.
    async fn first_use_of(
        &mut self,
        client: ApiClientId,
        jti: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<bool>;
}

#[async_trait]
pub trait PermissionMatrix: Send {
    async fn matrix(&mut self) -> Result<Matrix>;

    /// The same, held until the transaction ends, so that two edits are checked
    /// one after another.
    async fn lock_matrix(&mut self) -> Result<Matrix>;

    /// Writes a role's grant and tells all nodes of it.
    async fn save_grant(&mut self, role: Role, grant: &RoleGrant, at: DateTime<Utc>) -> Result<()>;
}
