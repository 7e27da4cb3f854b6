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
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, sea_query::OnConflict,
};

use super::{accounts::challenge, fixed, stored};
use crate::Tx;
use pg::{db, expect_changed};

mod totp {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_totps")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        pub secret: Vec<u8>,
        pub last_step: i64,
        pub created_at: DateTimeUtc,
        pub confirmed_at: Option<DateTimeUtc>,
        pub proved_at: Option<DateTimeUtc>,
        pub suspended_at: Option<DateTimeUtc>,
        pub confirmation_nonce: Option<Vec<u8>>,
        pub confirmation_issued_at: Option<DateTimeUtc>,
        pub confirmation_expires_at: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod recovery_code {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_recovery_codes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub used_at: Option<DateTimeUtc>,
        pub proved: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod passkey {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_passkeys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        pub credential_index: Vec<u8>,
        pub credential: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub last_used_at: Option<DateTimeUtc>,
        pub proved_at: Option<DateTimeUtc>,
        pub suspended_at: Option<DateTimeUtc>,
        pub confirmation_nonce: Option<Vec<u8>>,
        pub confirmation_issued_at: Option<DateTimeUtc>,
        pub confirmation_expires_at: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod ceremony {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_ceremonies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub digest: Vec<u8>,
        pub kind: String,
        pub account_id: Option<Uuid>,
        pub state: Option<Vec<u8>>,
        pub failures: i32,
        pub expires_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const SECRET: &str = "identity_totps.secret";
const CREDENTIAL: &str = "identity_passkeys.credential";
const STATE: &str = "identity_ceremonies.state";

fn passkeys_of(account: AccountId) -> Select<passkey::Entity> {
    passkey::Entity::find()
        .filter(passkey::Column::AccountId.eq(account.uuid()))
        .order_by_asc(passkey::Column::Id)
}

/// Both tables have the same columns for how far a factor is proved.
macro_rules! standing {
    ($row:ident) => {
        Standing {
            proved_at: $row.proved_at,
            suspended_at: $row.suspended_at,
            confirmation: challenge(
                $row.confirmation_nonce,
                $row.confirmation_issued_at,
                $row.confirmation_expires_at,
            )?,
        }
    };
}

impl Tx {
    fn totp_of(&self, row: Option<totp::Model>) -> Result<Option<Totp>> {
        let Some(row) = row else { return Ok(None) };
        let account = AccountId::from_uuid(row.account_id);
        Ok(Some(Totp {
            account,
            secret: self.unseal(SECRET, account, row.secret)?,
            last_step: row.last_step.unsigned_abs(),
            created_at: row.created_at,
            confirmed_at: row.confirmed_at,
            standing: standing!(row),
        }))
    }

    fn passkey_of(&self, row: passkey::Model) -> Result<Passkey> {
        let credential = self.unseal(CREDENTIAL, row.id, row.credential)?;
        Ok(Passkey {
            id: row.id.into(),
            account: row.account_id.into(),
            name: row.name,
            credential: serde_json::from_slice(&credential)
                .map_err(|error| PortError::internal("reading a passkey", error))?,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            standing: standing!(row),
        })
    }

    fn passkey_row(&self, passkey: &Passkey) -> Result<passkey::Model> {
        let credential = serde_json::to_vec(&passkey.credential)
            .map_err(|error| PortError::internal("writing a passkey", error))?;
        let index = credential_index(self.sealer(), passkey.credential_id())?;
        Ok(passkey::Model {
            id: passkey.id.uuid(),
            account_id: passkey.account.uuid(),
            name: passkey.name.clone(),
            credential_index: index.0.to_vec(),
            credential: self.seal(CREDENTIAL, passkey.id, &credential)?,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
            proved_at: passkey.standing.proved_at,
            suspended_at: passkey.standing.suspended_at,
            confirmation_nonce: passkey.standing.confirmation.map(|open| open.nonce.to_vec()),
            confirmation_issued_at: passkey.standing.confirmation.map(|open| open.issued_at),
            confirmation_expires_at: passkey.standing.confirmation.map(|open| open.expires_at),
        })
    }

    fn ceremony_row(&self, ceremony: &Ceremony) -> Result<ceremony::Model> {
        let state = ceremony.state.as_deref();
        let state = state.map(|state| self.seal(STATE, ceremony.id, state.as_bytes()));
        Ok(ceremony::Model {
            id: ceremony.id.uuid(),
            digest: ceremony.token.0.to_vec(),
            kind: ceremony.kind.to_string(),
            account_id: ceremony.account.map(AccountId::uuid),
            state: state.transpose()?,
            failures: i32::try_from(ceremony.failures).unwrap_or(i32::MAX),
            expires_at: ceremony.expires_at,
        })
    }
}

#[async_trait]
impl Factors for Tx {
    async fn totp(&mut self, account: AccountId) -> Result<Option<Totp>> {
        let row = totp::Entity::find_by_id(account.uuid())
            .one(self.read())
            .await
            .map_err(|error| db("loading an authenticator app", error))?;
        self.totp_of(row)
    }

    async fn lock_totp(&mut self, account: AccountId) -> Result<Option<Totp>> {
        let row = totp::Entity::find_by_id(account.uuid())
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("locking an authenticator app", error))?;
        self.totp_of(row)
    }

    async fn save_totp(&mut self, totp: &Totp) -> Result<()> {
        let row = totp::Model {
            account_id: totp.account.uuid(),
            secret: self.seal(SECRET, totp.account, &totp.secret)?,
            last_step: i64::try_from(totp.last_step).unwrap_or(i64::MAX),
            created_at: totp.created_at,
            confirmed_at: totp.confirmed_at,
            proved_at: totp.standing.proved_at,
            suspended_at: totp.standing.suspended_at,
            confirmation_nonce: totp.standing.confirmation.map(|open| open.nonce.to_vec()),
            confirmation_issued_at: totp.standing.confirmation.map(|open| open.issued_at),
            confirmation_expires_at: totp.standing.confirmation.map(|open| open.expires_at),
        };
        let replace = OnConflict::column(totp::Column::AccountId)
            .update_columns([
                totp::Column::Secret,
                totp::Column::LastStep,
                totp::Column::CreatedAt,
                totp::Column::ConfirmedAt,
                totp::Column::ProvedAt,
                totp::Column::SuspendedAt,
                totp::Column::ConfirmationNonce,
                totp::Column::ConfirmationIssuedAt,
                totp::Column::ConfirmationExpiresAt,
            ])
            .to_owned();
        totp::Entity::insert(row.into_active_model().reset_all())
            .on_conflict(replace)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("saving an authenticator app", error))?;
        Ok(())
    }

    async fn remove_totp(&mut self, account: AccountId) -> Result<()> {
        totp::Entity::delete_by_id(account.uuid())
            .exec(self.write())
            .await
            .map_err(|error| db("removing an authenticator app", error))?;
        Ok(())
    }

    async fn replace_recovery_codes(
        &mut self,
        account: AccountId,
        digests: &[BlindIndex],
        proved: bool,
    ) -> Result<()> {
        recovery_code::Entity::delete_many()
            .filter(recovery_code::Column::AccountId.eq(account.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("dropping recovery codes", error))?;
        if digests.is_empty() {
            return Ok(());
        }
        let rows = digests.iter().map(|digest| {
            let row = recovery_code::Model {
                account_id: account.uuid(),
                digest: digest.0.to_vec(),
                used_at: None,
                proved,
            };
            row.into_active_model().reset_all()
        });
        recovery_code::Entity::insert_many(rows)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("writing recovery codes", error))?;
        Ok(())
    }

    async fn use_recovery_code(
        &mut self,
        account: AccountId,
        digest: &BlindIndex,
        at: DateTime<Utc>,
    ) -> Result<Option<bool>> {
        let code = recovery_code::Entity::find_by_id((account.uuid(), digest.0.to_vec()))
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
            [account.uuid().into(), digest.0.to_vec().into(), at.into()],
        )
        .await?;
        Ok(Some(code.proved))
    }

    async fn prove_recovery_codes(&mut self, account: AccountId) -> Result<()> {
        self.execute(
            "proving recovery codes",
            "UPDATE identity_recovery_codes SET proved = true WHERE account_id = $1",
            [account.uuid().into()],
        )
        .await?;
        Ok(())
    }

    async fn drop_unproved_recovery_codes(&mut self, account: AccountId) -> Result<()> {
        self.execute(
            "dropping unproved recovery codes",
            "DELETE FROM identity_recovery_codes WHERE account_id = $1 AND NOT proved",
            [account.uuid().into()],
        )
        .await?;
        Ok(())
    }

    async fn recovery_codes_left(&mut self, account: AccountId) -> Result<u64> {
        recovery_code::Entity::find()
            .filter(recovery_code::Column::AccountId.eq(account.uuid()))
            .filter(recovery_code::Column::UsedAt.is_null())
            .count(self.read())
            .await
            .map_err(|error| db("counting recovery codes", error))
    }

    async fn passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>> {
        let rows = passkeys_of(account)
            .all(self.read())
            .await
            .map_err(|error| db("listing passkeys", error))?;
        rows.into_iter().map(|row| self.passkey_of(row)).collect()
    }

    async fn lock_passkeys(&mut self, account: AccountId) -> Result<Vec<Passkey>> {
        let rows = passkeys_of(account)
            .lock_exclusive()
            .all(self.read())
            .await
            .map_err(|error| db("locking passkeys", error))?;
        rows.into_iter().map(|row| self.passkey_of(row)).collect()
    }

    async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<()> {
        let row = self.passkey_row(passkey)?.into_active_model().reset_all();
        passkey::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("inserting a passkey", error))?;
        Ok(())
    }

    async fn save_passkey(&mut self, passkey: &Passkey) -> Result<()> {
        let row = self.passkey_row(passkey)?.into_active_model().reset_all();
        let saved = passkey::Entity::update_many()
            .set(row)
            .filter(passkey::Column::Id.eq(passkey.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a passkey", error))?;
        expect_changed(saved.rows_affected, "identity_passkeys.id")
    }

    async fn remove_passkey(&mut self, account: AccountId, id: PasskeyId) -> Result<()> {
        passkey::Entity::delete_many()
            .filter(passkey::Column::Id.eq(id.uuid()))
            .filter(passkey::Column::AccountId.eq(account.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("removing a passkey", error))?;
        Ok(())
    }

    async fn insert_ceremony(&mut self, ceremony: &Ceremony) -> Result<()> {
        let row = self.ceremony_row(ceremony)?.into_active_model().reset_all();
        ceremony::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("beginning a sign-in", error))?;
        Ok(())
    }

    async fn ceremony_account(&mut self, token: TokenDigest) -> Result<Option<AccountId>> {
        let row = ceremony::Entity::find()
            .filter(ceremony::Column::Digest.eq(token.0.to_vec()))
            .one(self.read())
            .await
            .map_err(|error| db("finding whose sign-in was begun", error))?;
        Ok(row.and_then(|row| row.account_id).map(AccountId::from_uuid))
    }

    async fn lock_ceremony(&mut self, token: TokenDigest) -> Result<Option<Ceremony>> {
        let row = ceremony::Entity::find()
            .filter(ceremony::Column::Digest.eq(token.0.to_vec()))
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("finding a sign-in that was begun", error))?;
        let Some(row) = row else { return Ok(None) };
        let state = row.state.map(|state| self.unseal_text(STATE, row.id, state)).transpose()?;
        Ok(Some(Ceremony {
            id: row.id.into(),
            token: TokenDigest(fixed("identity_ceremonies.digest", &row.digest)?),
            kind: stored("identity_ceremonies.kind", &row.kind)?,
            account: row.account_id.map(AccountId::from_uuid),
            state,
            failures: row.failures.unsigned_abs(),
            expires_at: row.expires_at,
        }))
    }

    async fn save_ceremony(&mut self, ceremony: &Ceremony) -> Result<()> {
        let row = self.ceremony_row(ceremony)?.into_active_model().reset_all();
        let saved = ceremony::Entity::update_many()
            .set(row)
            .filter(ceremony::Column::Id.eq(ceremony.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a sign-in that was begun", error))?;
        expect_changed(saved.rows_affected, "identity_ceremonies.id")
    }

    async fn remove_ceremony(&mut self, id: CeremonyId) -> Result<()> {
        ceremony::Entity::delete_by_id(id.uuid())
            .exec(self.write())
            .await
            .map_err(|error| db("ending a sign-in that was begun", error))?;
        Ok(())
    }

    async fn remove_ceremonies_of(&mut self, account: AccountId) -> Result<()> {
        ceremony::Entity::delete_many()
            .filter(ceremony::Column::AccountId.eq(account.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("ending an account's sign-ins that were begun", error))?;
        Ok(())
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
