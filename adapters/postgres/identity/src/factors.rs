//! Second factors and what waits for them. A factor is written at each use of it, which
//! has its own audit entry.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{
    Standing,
    factor::{Ceremony, Totp},
    passkey::{Passkey, credential_index},
    session::TokenDigest,
    store::Factors,
};
use kernel::{AccountId, CeremonyId, PasskeyId};
use ports::{BlindIndex, PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, Iterable as _, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, sea_query::OnConflict,
};

use crate::{Tx, challenges};
use pg::{Unreadable, db, expect_changed};

mod totp {
    use kernel::AccountId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_totps")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        pub secret: Vec<u8>,
        pub last_step: i64,
        pub created_at: ChronoDateTimeUtc,
        pub confirmed_at: Option<ChronoDateTimeUtc>,
        pub proved_at: Option<ChronoDateTimeUtc>,
        pub suspended_at: Option<ChronoDateTimeUtc>,
        pub confirmation_nonce: Option<Vec<u8>>,
        pub confirmation_issued_at: Option<ChronoDateTimeUtc>,
        pub confirmation_expires_at: Option<ChronoDateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod recovery_code {
    use kernel::AccountId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_recovery_codes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub used_at: Option<ChronoDateTimeUtc>,
        pub proved: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod passkey {
    use kernel::{AccountId, PasskeyId};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_passkeys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: PasskeyId,
        pub account_id: AccountId,
        pub name: String,
        pub credential_index: Vec<u8>,
        pub credential: Vec<u8>,
        pub created_at: ChronoDateTimeUtc,
        pub last_used_at: Option<ChronoDateTimeUtc>,
        pub proved_at: Option<ChronoDateTimeUtc>,
        pub suspended_at: Option<ChronoDateTimeUtc>,
        pub confirmation_nonce: Option<Vec<u8>>,
        pub confirmation_issued_at: Option<ChronoDateTimeUtc>,
        pub confirmation_expires_at: Option<ChronoDateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod ceremony {
    use identity::factor::CeremonyKind;
    use kernel::{AccountId, CeremonyId};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_ceremonies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: CeremonyId,
        pub digest: Vec<u8>,
        pub kind: CeremonyKind,
        pub account_id: Option<AccountId>,
        pub state: Option<Vec<u8>>,
        pub failures: i32,
        pub expires_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const SECRET: &str = "identity_totps.secret";
const CREDENTIAL: &str = "identity_passkeys.credential";
const STATE: &str = "identity_ceremonies.state";

fn passkeys_of(account: AccountId) -> Select<passkey::Entity> {
    passkey::Entity::find()
        .filter(passkey::Column::AccountId.eq(account))
        .order_by_asc(passkey::Column::Id)
}

fn ceremony_of(token: TokenDigest) -> Select<ceremony::Entity> {
    ceremony::Entity::find().filter(ceremony::Column::Digest.eq(token.0.to_vec()))
}

fn unreadable(error: impl Into<Unreadable>) -> PortError {
    PortError::internal("a second factor cannot be read", error.into())
}

/// Both tables have the same columns for how far a factor is proved.
macro_rules! standing {
    ($row:ident) => {
        Standing {
            proved_at: $row.proved_at,
            suspended_at: $row.suspended_at,
            confirmation: challenges::open((
                $row.confirmation_nonce,
                $row.confirmation_issued_at,
                $row.confirmation_expires_at,
            ))
            .map_err(unreadable)?,
        }
    };
}

impl Tx {
    async fn totp_of(&self, doing: &str, select: Select<totp::Entity>) -> Result<Option<Totp>> {
        let row = select.one(self.read()).await.map_err(|error| db(doing, error))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Totp {
            account: row.account_id,
            secret: self.unseal(SECRET, row.account_id, row.secret)?,
            last_step: row.last_step.unsigned_abs(),
            created_at: row.created_at,
            confirmed_at: row.confirmed_at,
            standing: standing!(row),
        }))
    }

    async fn all_passkeys(
        &self,
        doing: &str,
        select: Select<passkey::Entity>,
    ) -> Result<Vec<Passkey>> {
        let rows = select.all(self.read()).await.map_err(|error| db(doing, error))?;
        let passkey = |row: passkey::Model| {
            let credential = self.unseal(CREDENTIAL, row.id, row.credential)?;
            Ok(Passkey {
                id: row.id,
                account: row.account_id,
                name: row.name,
                credential: serde_json::from_slice(&credential).map_err(unreadable)?,
                created_at: row.created_at,
                last_used_at: row.last_used_at,
                standing: standing!(row),
            })
        };
        rows.into_iter().map(passkey).collect()
    }

    fn passkey_row(&self, passkey: &Passkey) -> Result<passkey::ActiveModel> {
        let credential = serde_json::to_vec(&passkey.credential)
            .map_err(|error| PortError::internal("writing a passkey", error))?;
        let index = credential_index(self.sealer(), passkey.credential_id())?;
        let (confirmation_nonce, confirmation_issued_at, confirmation_expires_at) =
            challenges::close(passkey.standing.confirmation);
        let row = passkey::Model {
            id: passkey.id,
            account_id: passkey.account,
            name: passkey.name.clone(),
            credential_index: index.0.to_vec(),
            credential: self.seal(CREDENTIAL, passkey.id, &credential)?,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
            proved_at: passkey.standing.proved_at,
            suspended_at: passkey.standing.suspended_at,
            confirmation_nonce,
            confirmation_issued_at,
            confirmation_expires_at,
        };
        Ok(row.into_active_model().reset_all())
    }

    fn ceremony_row(&self, ceremony: &Ceremony) -> Result<ceremony::ActiveModel> {
        let state = ceremony.state.as_deref();
        let state = state.map(|state| self.seal(STATE, ceremony.id, state.as_bytes()));
        let row = ceremony::Model {
            id: ceremony.id,
            digest: ceremony.token.0.to_vec(),
            kind: ceremony.kind,
            account_id: ceremony.account,
            state: state.transpose()?,
            failures: i32::try_from(ceremony.failures).unwrap_or(i32::MAX),
            expires_at: ceremony.expires_at,
        };
        Ok(row.into_active_model().reset_all())
    }
}

#[async_trait]
impl Factors for Tx {
    async fn totp(&mut self, account: AccountId) -> Result<Option<Totp>> {
        self.totp_of("loading an authenticator app", totp::Entity::find_by_id(account)).await
    }

    async fn lock_totp(&mut self, account: AccountId) -> Result<Option<Totp>> {
        let select = totp::Entity::find_by_id(account).lock_exclusive();
        self.totp_of("locking an authenticator app", select).await
    }

    async fn save_totp(&mut self, totp: &Totp) -> Result<()> {
        let (confirmation_nonce, confirmation_issued_at, confirmation_expires_at) =
            challenges::close(totp.standing.confirmation);
        let row = totp::Model {
            account_id: totp.account,
            secret: self.seal(SECRET, totp.account, &totp.secret)?,
            last_step: i64::try_from(totp.last_step).unwrap_or(i64::MAX),
            created_at: totp.created_at,
            confirmed_at: totp.confirmed_at,
            proved_at: totp.standing.proved_at,
            suspended_at: totp.standing.suspended_at,
            confirmation_nonce,
            confirmation_issued_at,
            confirmation_expires_at,
        };
        let replace = OnConflict::column(totp::Column::AccountId)
            .update_columns(totp::Column::iter().skip(1))
            .to_owned();
        let insert = totp::Entity::insert(row.into_active_model().reset_all()).on_conflict(replace);
        self.change("saving an authenticator app", insert.into_query()).await.map(drop)
    }

    async fn remove_totp(&mut self, account: AccountId) -> Result<()> {
        let delete = totp::Entity::delete_many().filter(totp::Column::AccountId.eq(account));
        self.change("removing an authenticator app", delete.into_query()).await.map(drop)
    }

    async fn replace_recovery_codes(
        &mut self,
        account: AccountId,
        digests: &[BlindIndex],
        proved: bool,
    ) -> Result<()> {
        let delete = recovery_code::Entity::delete_many()
            .filter(recovery_code::Column::AccountId.eq(account));
        self.change("dropping recovery codes", delete.into_query()).await?;
        if digests.is_empty() {
            return Ok(());
        }
        let rows = digests.iter().map(|digest| {
            let digest = digest.0.to_vec();
            recovery_code::Model { account_id: account, digest, used_at: None, proved }
                .into_active_model()
                .reset_all()
        });
        let insert = recovery_code::Entity::insert_many(rows);
        self.change("writing recovery codes", insert.into_query()).await.map(drop)
    }

    async fn use_recovery_code(
        &mut self,
        account: AccountId,
        digest: &BlindIndex,
        at: DateTime<Utc>,
    ) -> Result<Option<bool>> {
        let code = recovery_code::Entity::find_by_id((account, digest.0.to_vec()))
            .filter(recovery_code::Column::UsedAt.is_null())
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("finding a recovery code", error))?;
        let Some(code) = code else { return Ok(None) };
        self.execute(
            "using a recovery code",
            "UPDATE identity_recovery_codes SET used_at = $3 \
             WHERE account_id = $1 AND digest = $2 AND used_at IS NULL",
            [account.into(), digest.0.to_vec().into(), at.into()],
        )
        .await?;
        Ok(Some(code.proved))
    }

    async fn prove_recovery_codes(&mut self, account: AccountId) -> Result<()> {
        let sql = "UPDATE identity_recovery_codes SET proved = true WHERE account_id = $1";
        self.execute("proving recovery codes", sql, [account.into()]).await.map(drop)
    }

    async fn drop_unproved_recovery_codes(&mut self, account: AccountId) -> Result<()> {
        let sql = "DELETE FROM identity_recovery_codes WHERE account_id = $1 AND NOT proved";
        self.execute("dropping unproved recovery codes", sql, [account.into()]).await.map(drop)
    }

    async fn recovery_codes_left(&mut self, account: AccountId) -> Result<u64> {
        recovery_code::Entity::find()
            .filter(recovery_code::Column::AccountId.eq(account))
            .filter(recovery_code::Column::UsedAt.is_null())
            .count(self.read())
            .await
            .map_err(|error| db("counting recovery codes", error))
    }

    async fn passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>> {
        self.all_passkeys("listing passkeys", passkeys_of(account)).await
    }

    async fn lock_passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>> {
        self.all_passkeys("locking passkeys", passkeys_of(account).lock_exclusive()).await
    }

    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<()> {
        let insert = passkey::Entity::insert(self.passkey_row(passkey)?);
        self.change("inserting a passkey", insert.into_query()).await.map(drop)
    }

    async fn save_passkey(&mut self, passkey: &Passkey) -> Result<()> {
        let update = passkey::Entity::update_many()
            .set(self.passkey_row(passkey)?)
            .filter(passkey::Column::Id.eq(passkey.id));
        let saved = self.change("saving a passkey", update.into_query()).await?;
        expect_changed(saved, "identity_passkeys.id")
    }

    async fn remove_passkey(&mut self, account: AccountId, id: PasskeyId) -> Result<()> {
        let delete = passkey::Entity::delete_many()
            .filter(passkey::Column::Id.eq(id))
            .filter(passkey::Column::AccountId.eq(account));
        self.change("removing a passkey", delete.into_query()).await.map(drop)
    }

    async fn insert_ceremony(&mut self, ceremony: &Ceremony) -> Result<()> {
        let insert = ceremony::Entity::insert(self.ceremony_row(ceremony)?);
        self.change("beginning a sign-in", insert.into_query()).await.map(drop)
    }

    async fn ceremony_account(&mut self, token: TokenDigest) -> Result<Option<AccountId>> {
        let row = ceremony_of(token)
            .one(self.read())
            .await
            .map_err(|error| db("finding whose sign-in was begun", error))?;
        Ok(row.and_then(|row| row.account_id))
    }

    async fn lock_ceremony(&mut self, token: TokenDigest) -> Result<Option<Ceremony>> {
        let row = ceremony_of(token)
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("finding a sign-in that was begun", error))?;
        let Some(row) = row else { return Ok(None) };
        let state = row.state.map(|state| self.unseal_text(STATE, row.id, state)).transpose()?;
        Ok(Some(Ceremony {
            id: row.id,
            token,
            kind: row.kind,
            account: row.account_id,
            state,
            failures: row.failures.unsigned_abs(),
            expires_at: row.expires_at,
        }))
    }

    async fn save_ceremony(&mut self, ceremony: &Ceremony) -> Result<()> {
        let update = ceremony::Entity::update_many()
            .set(self.ceremony_row(ceremony)?)
            .filter(ceremony::Column::Id.eq(ceremony.id));
        let saved = self.change("saving a sign-in that was begun", update.into_query()).await?;
        expect_changed(saved, "identity_ceremonies.id")
    }

    async fn remove_ceremony(&mut self, id: CeremonyId) -> Result<()> {
        let delete = ceremony::Entity::delete_many().filter(ceremony::Column::Id.eq(id));
        self.change("ending a sign-in that was begun", delete.into_query()).await.map(drop)
    }

    async fn remove_ceremonies_of(&mut self, account: AccountId) -> Result<()> {
        let delete =
            ceremony::Entity::delete_many().filter(ceremony::Column::AccountId.eq(account));
        let doing = "ending an account's sign-ins that were begun";
        self.change(doing, delete.into_query()).await.map(drop)
    }

    async fn purge_ceremonies(&mut self, before: DateTime<Utc>) -> Result<u64> {
        // Rows that somebody else holds are left to the next purge.
        let purged = self
            .execute(
                "forgetting old sign-ins",
                "DELETE FROM identity_ceremonies WHERE id IN ( \
                 SELECT id FROM identity_ceremonies WHERE expires_at < $1 \
                 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                [before.into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }
}
