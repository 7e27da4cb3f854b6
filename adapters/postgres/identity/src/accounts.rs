//! Accounts, each with its roles.

use std::collections::BTreeMap;

use async_trait::async_trait;
use identity::{Account, AccountState, EmailChange, PasswordHash, store::Accounts};
use kernel::{AccountId, EmailAddress, HumanName, Role};
use ports::Result;
use sea_orm::{
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
    entity::prelude::*,
    sea_query::{LockType, SimpleExpr},
};
use serde_json::json;

use crate::{Tx, challenges};
use pg::{PgTx, Row, Unreadable, db, opened_with, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AccountId,
    pub email: Vec<u8>,
    /// What the address is found by. It takes the sealer's key, so it is written with the
    /// parts; until then the id stands here, which no address has.
    pub email_index: Vec<u8>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub password_hash: Option<String>,
    pub status: String,
    pub status_at: ChronoDateTimeUtc,
    pub verification_nonce: Option<Vec<u8>>,
    pub verification_issued_at: Option<ChronoDateTimeUtc>,
    pub verification_expires_at: Option<ChronoDateTimeUtc>,
    pub reset_nonce: Option<Vec<u8>>,
    pub reset_issued_at: Option<ChronoDateTimeUtc>,
    pub reset_expires_at: Option<ChronoDateTimeUtc>,
    pub new_email: Option<Vec<u8>>,
    pub new_email_nonce: Option<Vec<u8>>,
    pub new_email_issued_at: Option<ChronoDateTimeUtc>,
    pub new_email_expires_at: Option<ChronoDateTimeUtc>,
    pub previous_email: Option<Vec<u8>>,
    pub created_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_many = "held::Entity")]
    Held,
}

impl Related<held::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Held.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

/// The roles that an account holds.
pub mod held {
    use kernel::AccountId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_account_roles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::Entity",
            from = "Column::AccountId",
            to = "super::Column::Id"
        )]
        Account,
    }

    impl Related<super::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Account.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

fn address(plain: Vec<u8>) -> Result<EmailAddress, Unreadable> {
    Ok(String::from_utf8(plain)?.parse()?)
}

#[async_trait]
impl Row for Model {
    type Aggregate = Account;

    const SEALED: &'static [Column] = &[Column::Email, Column::NewEmail, Column::PreviousEmail];
    const UNTOLD: &'static [Column] =
        &[Column::GivenName, Column::FamilyName, Column::PasswordHash];
    const HAS_PARTS: bool = true;
    // A new session refers to its account and does not wait while the account is locked.
    const LOCK: LockType = LockType::NoKeyUpdate;

    fn open(self) -> Result<Account, Unreadable> {
        let state = match self.status.as_str() {
            "unverified" => AccountState::Unverified,
            "active" => AccountState::Active { verified_at: self.status_at },
            "disabled" => AccountState::Disabled { at: self.status_at },
            _ => return Err("the status is unknown".into()),
        };
        let name = self.given_name.zip(self.family_name);
        let change = challenges::open((
            self.new_email_nonce,
            self.new_email_issued_at,
            self.new_email_expires_at,
        ))?;
        let new_email = self.new_email.map(address).transpose()?;
        Ok(Account {
            id: self.id,
            email: address(self.email)?,
            name: name.map(|(given, family)| HumanName { given, family }),
            password: self.password_hash.map(PasswordHash::from_phc),
            roles: Default::default(),
            state,
            verification: challenges::open((
                self.verification_nonce,
                self.verification_issued_at,
                self.verification_expires_at,
            ))?,
            reset: challenges::open((
                self.reset_nonce,
                self.reset_issued_at,
                self.reset_expires_at,
            ))?,
            email_change: new_email
                .zip(change)
                .map(|(email, challenge)| EmailChange { email, challenge }),
            previous_email: self.previous_email.map(address).transpose()?,
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn close(account: &Account) -> Self {
        let status_at = match account.state {
            AccountState::Unverified => account.created_at,
            AccountState::Active { verified_at } => verified_at,
            AccountState::Disabled { at } => at,
        };
        let bytes = |email: &EmailAddress| email.as_str().as_bytes().to_vec();
        let (verification_nonce, verification_issued_at, verification_expires_at) =
            challenges::close(account.verification);
        let (reset_nonce, reset_issued_at, reset_expires_at) = challenges::close(account.reset);
        let change = account.email_change.as_ref();
        let (new_email_nonce, new_email_issued_at, new_email_expires_at) =
            challenges::close(change.map(|change| change.challenge));
        Self {
            id: account.id,
            email: bytes(&account.email),
            email_index: account.id.uuid().as_bytes().to_vec(),
            given_name: account.name.as_ref().map(|name| name.given.clone()),
            family_name: account.name.as_ref().map(|name| name.family.clone()),
            password_hash: account.password.as_ref().map(|hash| hash.as_phc().to_owned()),
            status: account.state_word().to_owned(),
            status_at,
            verification_nonce,
            verification_issued_at,
            verification_expires_at,
            reset_nonce,
            reset_issued_at,
            reset_expires_at,
            new_email: change.map(|change| bytes(&change.email)),
            new_email_nonce,
            new_email_issued_at,
            new_email_expires_at,
            previous_email: account.previous_email.as_ref().map(bytes),
            created_at: account.created_at,
            version: account.version,
        }
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<Account>> {
        let found = select.find_with_related(held::Entity).all(tx.read()).await;
        let account = |(row, held): (Self, Vec<held::Model>)| {
            opened_with(tx, row, |account| {
                account.roles =
                    held.iter().map(|held| held.role.parse()).collect::<Result<_, _>>()?;
                Ok(())
            })
        };
        found.map_err(|error| db("reading accounts", error))?.into_iter().map(account).collect()
    }

    async fn save_parts(tx: &mut PgTx, account: &Account) -> Result<()> {
        let roles: Vec<String> = account.roles.iter().map(ToString::to_string).collect();
        let index = email_index(tx, &account.email)?;
        tx.execute(
            "writing an account's roles and the index of its address",
            "WITH addressed AS (UPDATE identity_accounts SET email_index = $2 \
                 WHERE id = $1 AND email_index <> $2), \
             taken AS (DELETE FROM identity_account_roles \
                 WHERE account_id = $1 AND role <> ALL($3::text[])) \
             INSERT INTO identity_account_roles (account_id, role) \
             SELECT $1, unnest($3::text[]) ON CONFLICT DO NOTHING",
            [account.id.into(), index.into(), roles.into()],
        )
        .await?;
        Ok(())
    }

    fn parts(account: &Account) -> BTreeMap<String, Json> {
        [("roles".to_owned(), json!(account.roles))].into()
    }
}

pub fn email_index(tx: &PgTx, email: &EmailAddress) -> Result<Vec<u8>> {
    Ok(tx.sealer().blind_index("identity.email", email.as_str())?.0.to_vec())
}

/// The accounts that hold one of the roles and meet the condition.
async fn holders(tx: &PgTx, roles: &[Role], condition: SimpleExpr) -> Result<Vec<AccountId>> {
    let words = roles.iter().map(ToString::to_string);
    let holders = held::Entity::find()
        .select_only()
        .column(held::Column::AccountId)
        .filter(held::Column::Role.is_in(words))
        .into_query();
    reached::<Model>(tx)
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.in_subquery(holders))
        .filter(condition)
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(tx.read())
        .await
        .map_err(|error| db("listing accounts by their roles", error))
}

#[async_trait]
impl Accounts for Tx {
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>> {
        let index = email_index(self, email)?;
        Ok(Model::load(self, reached::<Model>(self).filter(Column::EmailIndex.eq(index)))
            .await?
            .pop())
    }

    async fn accounts_with_roles(&mut self, roles: &[Role]) -> Result<Vec<AccountId>> {
        holders(self, roles, Column::Status.eq("active")).await
    }

    async fn unclaimed_accounts(&mut self, roles: &[Role]) -> Result<Vec<AccountId>> {
        holders(self, roles, Column::PasswordHash.is_null()).await
    }
}
