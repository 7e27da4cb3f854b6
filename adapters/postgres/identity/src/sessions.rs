//! Sessions and the refresh tokens of their families. They are written at each refresh,
//! which has its own audit entry.

use std::sync::Arc;

use async_trait::async_trait;
use identity::{
    Account, Session, SessionState,
    services::SessionGrant,
    session::{Device, RevocationReason, SignInMethod, TokenDigest},
    store::Sessions,
};
use kernel::{AccountId, SessionId};
use ports::{PortError, Repository, Result};
use sea_orm::{
    ActiveModelTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, Select, entity::prelude::*,
};

use crate::Tx;
use pg::{Unreadable, db, expect_changed};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub account_id: AccountId,
    pub status: String,
    pub revoked_at: Option<ChronoDateTimeUtc>,
    pub revoked_reason: Option<RevocationReason>,
    pub method: SignInMethod,
    pub proved: bool,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub current_digest: Vec<u8>,
    pub generation: i32,
    pub created_at: ChronoDateTimeUtc,
    pub refreshed_at: ChronoDateTimeUtc,
    pub idle_until: ChronoDateTimeUtc,
    pub ends_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

mod refresh_token {
    use kernel::SessionId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub session_id: SessionId,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn close(session: &Session) -> ActiveModel {
    let (status, revoked_at, revoked_reason) = match session.state {
        SessionState::Live => ("live", None, None),
        SessionState::Revoked { at, reason } => ("revoked", Some(at), Some(reason)),
    };
    let row = Model {
        id: session.id,
        account_id: session.account,
        status: status.to_owned(),
        revoked_at,
        revoked_reason,
        method: session.method,
        proved: session.proved,
        ip: session.device.ip.map(|ip| ip.to_string()),
        user_agent: session.device.user_agent.clone(),
        current_digest: session.current.0.to_vec(),
        generation: session.generation,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        idle_until: session.idle_until,
        ends_at: session.ends_at,
    };
    row.into_active_model().reset_all()
}

fn open(row: Model) -> Result<Session> {
    let id = row.id;
    try_open(row)
        .map_err(|error| PortError::internal(format!("the session {id} cannot be read"), error))
}

fn try_open(row: Model) -> Result<Session, Unreadable> {
    let state = match (row.status.as_str(), row.revoked_at, row.revoked_reason) {
        ("live", ..) => SessionState::Live,
        ("revoked", Some(at), Some(reason)) => SessionState::Revoked { at, reason },
        _ => return Err("the status is unknown".into()),
    };
    Ok(Session {
        id: row.id,
        account: row.account_id,
        state,
        method: row.method,
        proved: row.proved,
        device: Device { ip: row.ip.map(|ip| ip.parse()).transpose()?, user_agent: row.user_agent },
        current: TokenDigest(row.current_digest.as_slice().try_into()?),
        generation: row.generation,
        created_at: row.created_at,
        refreshed_at: row.refreshed_at,
        idle_until: row.idle_until,
        ends_at: row.ends_at,
    })
}

fn live(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Status.eq("live"))
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
                session.id.into(),
                session.generation.into(),
                session.refreshed_at.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn session(&self, doing: &str, select: Select<Entity>) -> Result<Option<Session>> {
        let found = select.one(self.read()).await.map_err(|error| db(doing, error))?;
        found.map(open).transpose()
    }

    async fn all_sessions(&self, doing: &str, select: Select<Entity>) -> Result<Vec<Session>> {
        let found = select.all(self.read()).await.map_err(|error| db(doing, error))?;
        found.into_iter().map(open).collect()
    }
}

#[async_trait]
impl Sessions for Tx {
    async fn insert_session(&mut self, session: &Session) -> Result<()> {
        self.change("inserting a session", Entity::insert(close(session)).into_query()).await?;
        self.remember_token(session).await
    }

    async fn lock_session(&mut self, id: SessionId) -> Result<Option<Session>> {
        self.session("locking a session", Entity::find_by_id(id).lock_exclusive()).await
    }

    async fn lock_session_of(&mut self, token: TokenDigest) -> Result<Option<Session>> {
        let family = refresh_token::Entity::find_by_id(token.0.to_vec())
            .one(self.read())
            .await
            .map_err(|error| db("finding the family of a refresh token", error))?;
        match family {
            Some(token) => self.lock_session(token.session_id).await,
            None => Ok(None),
        }
    }

    async fn live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>> {
        self.all_sessions("listing an account's sessions", live(account)).await
    }

    async fn lock_live_sessions(&mut self, account: AccountId) -> Result<Vec<Session>> {
        // In one order, so that two who end them all do not wait for each other.
        let select = live(account).order_by_asc(Column::Id).lock_exclusive();
        self.all_sessions("locking an account's sessions", select).await
    }

    async fn save_session(&mut self, session: &Session) -> Result<()> {
        let update = Entity::update_many().set(close(session)).filter(Column::Id.eq(session.id));
        let saved = self.change("saving a session", update.into_query()).await?;
        expect_changed(saved, "identity_sessions.id")?;
        self.remember_token(session).await
    }

    async fn session_grant(&mut self, id: SessionId) -> Result<Option<SessionGrant>> {
        let found = self.session("reading a session", Entity::find_by_id(id)).await?;
        let Some(session) = found else { return Ok(None) };
        let account: Option<Account> = self.find(session.account).await?;
        let Some(account) = account else { return Ok(None) };
        Ok(Some(SessionGrant {
            account: session.account,
            method: session.method,
            live: session.state == SessionState::Live && account.is_active(),
            roles: Arc::new(account.roles),
            ends_at: session.ends_at.min(session.idle_until),
        }))
    }
}
