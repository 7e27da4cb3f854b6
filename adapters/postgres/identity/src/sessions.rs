use std::sync::Arc;

use async_trait::async_trait;
use identity::{
    Session, SessionState,
    services::SessionGrant,
    session::{Device, TokenDigest},
    store::{Accounts as _, Sessions},
};
use kernel::{AccountId, SessionId};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select,
};

use super::{fixed, stored};
use crate::Tx;
use pg::{db, expect_changed};

mod session {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_sessions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub status: String,
        pub revoked_at: Option<DateTimeUtc>,
        pub revoked_reason: Option<String>,
        pub method: String,
        pub proved: bool,
        pub ip: Option<String>,
        pub user_agent: Option<String>,
        pub current_digest: Vec<u8>,
        pub generation: i32,
        pub created_at: DateTimeUtc,
        pub refreshed_at: DateTimeUtc,
        pub idle_until: DateTimeUtc,
        pub ends_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod refresh_token {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub session_id: Uuid,
        pub generation: i32,
        pub issued_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn to_row(session: &Session) -> session::Model {
    let (status, revoked_at, revoked_reason) = match session.state {
        SessionState::Live => ("live", None, None),
        SessionState::Revoked { at, reason } => ("revoked", Some(at), Some(reason.to_string())),
    };
    session::Model {
        id: session.id.uuid(),
        account_id: session.account.uuid(),
        status: status.to_owned(),
        revoked_at,
        revoked_reason,
        method: session.method.to_string(),
        proved: session.proved,
        ip: session.device.ip.map(|ip| ip.to_string()),
        user_agent: session.device.user_agent.clone(),
        current_digest: session.current.0.to_vec(),
        generation: session.generation,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        idle_until: session.idle_until,
        ends_at: session.ends_at,
    }
}

fn from_row(row: session::Model) -> Result<Session> {
    let state = match (row.status.as_str(), row.revoked_at, row.revoked_reason) {
        ("live", ..) => SessionState::Live,
        ("revoked", Some(at), Some(reason)) => {
            let reason = stored("identity_sessions.revoked_reason", &reason)?;
            SessionState::Revoked { at, reason }
        }
        _ => return Err(PortError::bug("identity_sessions.status holds an unknown value")),
    };
    Ok(Session {
        id: row.id.into(),
        account: row.account_id.into(),
        state,
        method: stored("identity_sessions.method", &row.method)?,
        proved: row.proved,
        device: Device {
            ip: row.ip.map(|ip| stored("identity_sessions.ip", &ip)).transpose()?,
            user_agent: row.user_agent,
        },
        current: TokenDigest(fixed("identity_sessions.current_digest", &row.current_digest)?),
        generation: row.generation,
        created_at: row.created_at,
        refreshed_at: row.refreshed_at,
        idle_until: row.idle_until,
        ends_at: row.ends_at,
    })
}

fn live(account: AccountId) -> Select<session::Entity> {
    session::Entity::find()
        .filter(session::Column::AccountId.eq(account.uuid()))
        .filter(session::Column::Status.eq("live"))
}

impl Tx {
    /// Remembers the session's current token as one of its family.
    async fn remember_token(&mut self, session: &Session) -> Result<()> {
        self.execute(
            "remembering a refresh token",
            "INSERT INTO identity_refresh_tokens (digest, session_id, generation, issued_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING",
            [
                session.current.0.to_vec().into(),
                session.id.uuid().into(),
                session.generation.into(),
                session.refreshed_at.into(),
            ],
        )
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Sessions for Tx {
    async fn insert_session(&mut self, session: &Session) -> Result<()> {
        session::Entity::insert(to_row(session).into_active_model().reset_all())
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("inserting a session", error))?;
        self.remember_token(session).await
    }

    async fn lock_session(&mut self, id: SessionId) -> Result<Option<Session>> {
        session::Entity::find_by_id(id.uuid())
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("locking a session", error))?
            .map(from_row)
            .transpose()
    }

    async fn lock_session_of(&mut self, token: TokenDigest) -> Result<Option<Session>> {
        let family = refresh_token::Entity::find_by_id(token.0.to_vec())
            .one(self.read())
            .await
            .map_err(|error| db("finding the family of a refresh token", error))?;
        match family {
            Some(token) => self.lock_session(token.session_id.into()).await,
            None => Ok(None),
        }
    }

    async fn live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>> {
        live(account)
            .all(self.read())
            .await
            .map_err(|error| db("listing an account's sessions", error))?
            .into_iter()
            .map(from_row)
            .collect()
    }

    async fn lock_live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>> {
        // In one order, so that two who end them all do not wait for each other.
        live(account)
            .order_by_asc(session::Column::Id)
            .lock_exclusive()
            .all(self.read())
            .await
            .map_err(|error| db("locking an account's sessions", error))?
            .into_iter()
            .map(from_row)
            .collect()
    }

    async fn save_session(&mut self, session: &Session) -> Result<()> {
        let saved = session::Entity::update_many()
            .set(to_row(session).into_active_model().reset_all())
            .filter(session::Column::Id.eq(session.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a session", error))?;
        expect_changed(saved.rows_affected, "identity_sessions.id")?;
        self.remember_token(session).await
    }

    async fn session_grant(&mut self, id: SessionId) -> Result<Option<SessionGrant>> {
        let row = session::Entity::find_by_id(id.uuid())
            .one(self.read())
            .await
            .map_err(|error| db("reading a session", error))?;
        let Some(session) = row.map(from_row).transpose()? else { return Ok(None) };
        let Some(account) = self.account(session.account).await? else { return Ok(None) };
        Ok(Some(SessionGrant {
            account: session.account,
            method: session.method,
            live: session.state == SessionState::Live && account.is_active(),
            roles: Arc::new(account.roles),
            ends_at: session.ends_at.min(session.idle_until),
        }))
    }
}
