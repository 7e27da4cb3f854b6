use std::{collections::BTreeSet, net::IpAddr};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{
    Account, AccountState, Challenge, EmailChange, PasswordHash, Throttle, Throttles,
    store::Accounts,
};
use kernel::{AccountId, EmailAddress, HumanName, Role};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{LockType, SimpleExpr},
};

use super::{fixed, stored};
use crate::Tx;
use pg::{db, expect_changed};

mod account {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_accounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub email: Vec<u8>,
        pub email_index: Vec<u8>,
        pub given_name: Option<String>,
        pub family_name: Option<String>,
        pub password_hash: Option<String>,
        pub status: String,
        pub status_at: DateTimeUtc,
        pub verification_nonce: Option<Vec<u8>>,
        pub verification_issued_at: Option<DateTimeUtc>,
        pub verification_expires_at: Option<DateTimeUtc>,
        pub reset_nonce: Option<Vec<u8>>,
        pub reset_issued_at: Option<DateTimeUtc>,
        pub reset_expires_at: Option<DateTimeUtc>,
        pub new_email: Option<Vec<u8>>,
        pub new_email_nonce: Option<Vec<u8>>,
        pub new_email_issued_at: Option<DateTimeUtc>,
        pub new_email_expires_at: Option<DateTimeUtc>,
        pub previous_email: Option<Vec<u8>>,
        pub created_at: DateTimeUtc,
        pub version: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod account_role {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_account_roles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod login_throttle {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_sign_in_throttles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: Vec<u8>,
        pub failures: i32,
        pub last_failure_at: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod known_network {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_known_networks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub email_index: Vec<u8>,
        #[sea_orm(primary_key, auto_increment = false)]
        pub network_index: Vec<u8>,
        pub seen_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

struct ThrottleKeys {
    own: Vec<u8>,
    strangers: Option<Vec<u8>>,
    email: Vec<u8>,
    network: Vec<u8>,
}

const EMAIL: &str = "identity_accounts.email";
const NEW_EMAIL: &str = "identity_accounts.new_email";
const PREVIOUS_EMAIL: &str = "identity_accounts.previous_email";

impl Tx {
    fn email_index(&self, email: &EmailAddress) -> Result<Vec<u8>> {
        Ok(self.sealer().blind_index("identity.email", email.as_str())?.0.to_vec())
    }

    /// By what an attempt is counted. An address that nobody has is looked up
    /// like any other.
    async fn throttle_keys(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<ThrottleKeys> {
        let index = |value: &str| -> Result<Vec<u8>> {
            Ok(self.sealer().blind_index("identity.sign_in", value)?.0.to_vec())
        };
        let network = network.map(kernel::actor::network);
        let network = network.map_or_else(|| "unknown".to_owned(), |known| known.to_string());
        let own = index(&format!("{email}|{network}"))?;
        let (strangers, network) = (index(email.as_str())?, index(&network)?);
        let email = self.email_index(email)?;
        let known = known_network::Entity::find_by_id((email.clone(), network.clone()))
            .one(self.read())
            .await
            .map_err(|error| db("finding a known network", error))?;
        let strangers = known.is_none().then_some(strangers);
        Ok(ThrottleKeys { own, strangers, email, network })
    }

    async fn throttle_row(
        &mut self,
        key: Vec<u8>,
        hold: bool,
    ) -> Result<Option<login_throttle::Model>> {
        let mut found = login_throttle::Entity::find_by_id(key.clone());
        if hold {
            // The row has to be there before it can be locked.
            self.execute(
                "noting an address",
                "INSERT INTO identity_sign_in_throttles (key, failures) VALUES ($1, 0) \
                 ON CONFLICT DO NOTHING",
                [key.into()],
            )
            .await?;
            found = found.lock_exclusive();
        }
        found.one(self.read()).await.map_err(|error| db("reading an address's failures", error))
    }

    fn account_row(&self, account: &Account) -> Result<account::Model> {
        let (status, status_at) = match account.state {
            AccountState::Unverified => ("unverified", account.created_at),
            AccountState::Active { verified_at } => ("active", verified_at),
            AccountState::Disabled { at } => ("disabled", at),
        };
        let nonce = |challenge: Option<Challenge>| challenge.map(|open| open.nonce.to_vec());
        let issued = |challenge: Option<Challenge>| challenge.map(|open| open.issued_at);
        let expires = |challenge: Option<Challenge>| challenge.map(|open| open.expires_at);
        let change = account.email_change.as_ref().map(|change| change.challenge);
        let new_email = match &account.email_change {
            Some(change) => {
                Some(self.seal(NEW_EMAIL, account.id, change.email.as_str().as_bytes())?)
            }
            None => None,
        };
        let previous_email = account
            .previous_email
            .as_ref()
            .map(|email| self.seal(PREVIOUS_EMAIL, account.id, email.as_str().as_bytes()))
            .transpose()?;
        Ok(account::Model {
            id: account.id.uuid(),
            email: self.seal(EMAIL, account.id, account.email.as_str().as_bytes())?,
            email_index: self.email_index(&account.email)?,
            given_name: account.name.as_ref().map(|name| name.given.clone()),
            family_name: account.name.as_ref().map(|name| name.family.clone()),
            password_hash: account.password.as_ref().map(|hash| hash.as_phc().to_owned()),
            status: status.to_owned(),
            status_at,
            verification_nonce: nonce(account.verification),
            verification_issued_at: issued(account.verification),
            verification_expires_at: expires(account.verification),
            reset_nonce: nonce(account.reset),
            reset_issued_at: issued(account.reset),
            reset_expires_at: expires(account.reset),
            new_email,
            new_email_nonce: nonce(change),
            new_email_issued_at: issued(change),
            new_email_expires_at: expires(change),
            previous_email,
            created_at: account.created_at,
            version: account.version + 1,
        })
    }

    async fn load_account(&self, row: Option<account::Model>) -> Result<Option<Account>> {
        let Some(row) = row else { return Ok(None) };
        let id = AccountId::from_uuid(row.id);
        let roles = self.roles_of(id).await?;
        let email = stored(EMAIL, &self.unseal_text(EMAIL, id, row.email)?)?;
        let state = match row.status.as_str() {
            "unverified" => AccountState::Unverified,
            "active" => AccountState::Active { verified_at: row.status_at },
            "disabled" => AccountState::Disabled { at: row.status_at },
            _ => return Err(PortError::bug("identity_accounts.status holds an unknown value")),
        };
        let name = row.given_name.zip(row.family_name);
        let new_email = match row.new_email {
            Some(sealed) => Some(stored(NEW_EMAIL, &self.unseal_text(NEW_EMAIL, id, sealed)?)?),
            None => None,
        };
        let previous_email = match row.previous_email {
            Some(sealed) => {
                Some(stored(PREVIOUS_EMAIL, &self.unseal_text(PREVIOUS_EMAIL, id, sealed)?)?)
            }
            None => None,
        };
        let change =
            challenge(row.new_email_nonce, row.new_email_issued_at, row.new_email_expires_at)?;
        Ok(Some(Account {
            id,
            email,
            name: name.map(|(given, family)| HumanName { given, family }),
            password: row.password_hash.map(PasswordHash::from_phc),
            roles,
            state,
            verification: challenge(
                row.verification_nonce,
                row.verification_issued_at,
                row.verification_expires_at,
            )?,
            reset: challenge(row.reset_nonce, row.reset_issued_at, row.reset_expires_at)?,
            email_change: new_email
                .zip(change)
                .map(|(email, challenge)| EmailChange { email, challenge }),
            previous_email,
            created_at: row.created_at,
            version: row.version,
        }))
    }

    pub(super) async fn roles_of(&self, account: AccountId) -> Result<BTreeSet<Role>> {
        let rows = account_role::Entity::find()
            .filter(account_role::Column::AccountId.eq(account.uuid()))
            .all(self.read())
            .await
            .map_err(|error| db("loading an account's roles", error))?;
        rows.iter().map(|row| stored("identity_account_roles.role", &row.role)).collect()
    }

    /// The accounts that hold one of the roles and meet the condition.
    async fn holders(&self, roles: &[Role], condition: SimpleExpr) -> Result<Vec<AccountId>> {
        let words = roles.iter().map(ToString::to_string);
        let holders = account_role::Entity::find()
            .filter(account_role::Column::Role.is_in(words))
            .all(self.read())
            .await
            .map_err(|error| db("listing the holders of roles", error))?;
        let ids = holders.into_iter().map(|row| row.account_id);
        let found: Vec<uuid::Uuid> = account::Entity::find()
            .select_only()
            .column(account::Column::Id)
            .filter(account::Column::Id.is_in(ids))
            .filter(condition)
            .order_by_asc(account::Column::Id)
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("listing accounts by their roles", error))?;
        Ok(found.into_iter().map(AccountId::from_uuid).collect())
    }

    async fn insert_roles(&mut self, account: &Account) -> Result<()> {
        let rows = account.roles.iter().map(|role| {
            account_role::Model { account_id: account.id.uuid(), role: role.to_string() }
                .into_active_model()
                .reset_all()
        });
        account_role::Entity::insert_many(rows)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("writing an account's roles", error))?;
        Ok(())
    }
}

pub(super) fn challenge(
    nonce: Option<Vec<u8>>,
    issued_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<Option<Challenge>> {
    match (nonce, issued_at, expires_at) {
        (Some(nonce), Some(issued_at), Some(expires_at)) => {
            let nonce = fixed("a challenge's nonce", &nonce)?;
            Ok(Some(Challenge { nonce, issued_at, expires_at }))
        }
        _ => Ok(None),
    }
}

fn throttle_of(row: Option<login_throttle::Model>) -> Throttle {
    row.map_or_else(Throttle::default, |row| Throttle {
        failures: row.failures.unsigned_abs(),
        last_failure_at: row.last_failure_at,
    })
}

#[async_trait]
impl Accounts for Tx {
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>> {
        let row = account::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|error| db("loading an account", error))?;
        self.load_account(row).await
    }

    async fn lock_account(&mut self, id: AccountId) -> Result<Option<Account>> {
        let row = account::Entity::find_by_id(id.uuid())
            .lock(LockType::NoKeyUpdate)
            .one(self.read())
            .await
            .map_err(|error| db("locking an account", error))?;
        self.load_account(row).await
    }

    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>> {
        let row = account::Entity::find()
            .filter(account::Column::EmailIndex.eq(self.email_index(email)?))
            .one(self.read())
            .await
            .map_err(|error| db("finding an account by its address", error))?;
        self.load_account(row).await
    }

    async fn accounts_with_roles(&mut self, roles: &[Role]) -> Result<Vec<AccountId>> {
        self.holders(roles, account::Column::Status.eq("active")).await
    }

    async fn unclaimed_accounts(&mut self, roles: &[Role]) -> Result<Vec<AccountId>> {
        self.holders(roles, account::Column::PasswordHash.is_null()).await
    }

    async fn insert_account(&mut self, account: &Account) -> Result<()> {
        let row = self.account_row(account)?.into_active_model().reset_all();
        account::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("inserting an account", error))?;
        self.insert_roles(account).await
    }

    async fn save_account(&mut self, account: &Account) -> Result<()> {
        let row = self.account_row(account)?.into_active_model().reset_all();
        let updated = account::Entity::update_many()
            .set(row)
            .filter(account::Column::Id.eq(account.id.uuid()))
            .filter(account::Column::Version.eq(account.version))
            .exec(self.write())
            .await
            .map_err(|error| db("saving an account", error))?;
        expect_changed(updated.rows_affected, "identity_accounts.version")?;
        account_role::Entity::delete_many()
            .filter(account_role::Column::AccountId.eq(account.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("replacing an account's roles", error))?;
        self.insert_roles(account).await
    }

    async fn throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles> {
        let keys = self.throttle_keys(email, network).await?;
        let own = throttle_of(self.throttle_row(keys.own, false).await?);
        let strangers = match keys.strangers {
            Some(key) => Some(throttle_of(self.throttle_row(key, false).await?)),
            None => None,
        };
        Ok(Throttles { own, strangers })
    }

    async fn lock_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles> {
        let keys = self.throttle_keys(email, network).await?;
        let own = throttle_of(self.throttle_row(keys.own, true).await?);
        let strangers = match keys.strangers {
            Some(key) => Some(throttle_of(self.throttle_row(key, true).await?)),
            None => None,
        };
        Ok(Throttles { own, strangers })
    }

    async fn save_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        throttles: Throttles,
    ) -> Result<()> {
        let keys = self.throttle_keys(email, network).await?;
        let strangers = keys.strangers.zip(throttles.strangers);
        for (key, throttle) in std::iter::once((keys.own, throttles.own)).chain(strangers) {
            let failures = i32::try_from(throttle.failures).unwrap_or(i32::MAX);
            self.execute(
                "saving an address's failures",
                "INSERT INTO identity_sign_in_throttles (key, failures, last_failure_at) \
                 VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE \
                 SET failures = excluded.failures, last_failure_at = excluded.last_failure_at",
                [key.into(), failures.into(), throttle.last_failure_at.into()],
            )
            .await?;
        }
        Ok(())
    }

    async fn know_network(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let keys = self.throttle_keys(email, network).await?;
        self.execute(
            "forgetting the failures of a network",
            "DELETE FROM identity_sign_in_throttles WHERE key = $1",
            [keys.own.into()],
        )
        .await?;
        self.execute(
            "remembering a network",
            "INSERT INTO identity_known_networks (email_index, network_index, seen_at) \
             VALUES ($1, $2, $3) ON CONFLICT (email_index, network_index) DO UPDATE \
             SET seen_at = excluded.seen_at",
            [keys.email.into(), keys.network.into(), at.into()],
        )
        .await?;
        Ok(())
    }

    async fn move_networks(&mut self, from: &EmailAddress, to: &EmailAddress) -> Result<()> {
        let (from, to) = (self.email_index(from)?, self.email_index(to)?);
        self.execute(
            "keeping an account's networks",
            "INSERT INTO identity_known_networks (email_index, network_index, seen_at) \
             SELECT $2, network_index, seen_at FROM identity_known_networks \
             WHERE email_index = $1 ON CONFLICT DO NOTHING",
            [from.clone().into(), to.into()],
        )
        .await?;
        self.execute(
            "forgetting an address's networks",
            "DELETE FROM identity_known_networks WHERE email_index = $1",
            [from.into()],
        )
        .await?;
        Ok(())
    }

    async fn purge_networks(&mut self, before: DateTime<Utc>) -> Result<u64> {
        let purged = self
            .execute(
                "forgetting old networks",
                "DELETE FROM identity_known_networks WHERE (email_index, network_index) IN ( \
                 SELECT email_index, network_index FROM identity_known_networks \
                 WHERE seen_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                [before.into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }

    async fn purge_throttles(&mut self, before: DateTime<Utc>) -> Result<u64> {
        // Rows that somebody else holds are left to the next purge.
        let purged = self
            .execute(
                "forgetting old failures",
                "DELETE FROM identity_sign_in_throttles WHERE key IN ( \
                 SELECT key FROM identity_sign_in_throttles WHERE last_failure_at < $1 \
                 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                [before.into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }
}
