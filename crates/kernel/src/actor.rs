//! Who acts. An actor enters with every call and scopes every query; nothing
//! in Salus runs without one.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use crate::{
    AccountId, ApiClientId, PatientId, Permission, ProviderId, RequestId, Role, SessionId,
};

/// Where a call came from; it goes into the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestContext {
    pub request_id: Option<RequestId>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// No credential was given.
    Anonymous,
    /// A person with an account and a session.
    Account { account: AccountId, session: SessionId, roles: Arc<BTreeSet<Role>> },
    /// A SMART backend-services client with its granted scopes.
    Client { client: ApiClientId, scopes: Arc<BTreeSet<String>> },
    /// Salus itself: a job, a handler or a command, by its stable name.
    System { name: &'static str },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    pub permissions: Arc<BTreeSet<Permission>>,
    pub request: RequestContext,
}

/// How far the rows that an actor can reach go; row-level security holds the
/// database to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Nobody,
    /// Only rows of this patient.
    Patient(PatientId),
    /// Rows of the whole company, as far as permissions and panels allow.
    Staff,
    System,
}

impl Actor {
    pub fn anonymous(request: RequestContext) -> Self {
        Self { kind: ActorKind::Anonymous, permissions: Arc::default(), request }
    }

    /// Salus itself, which holds every permission.
    pub fn system(name: &'static str) -> Self {
        Self {
            kind: ActorKind::System { name },
            permissions: Arc::default(),
            request: RequestContext::default(),
        }
    }

    pub fn account(&self) -> Option<AccountId> {
        match self.kind {
            ActorKind::Account { account, .. } => Some(account),
            _ => None,
        }
    }

    pub fn has_role(&self, role: Role) -> bool {
        matches!(&self.kind, ActorKind::Account { roles, .. } if roles.contains(&role))
    }

    pub fn is_system(&self) -> bool {
        matches!(self.kind, ActorKind::System { .. })
    }

    /// Whether this actor is the patient with that id.
    pub fn is_patient(&self, patient: PatientId) -> bool {
        self.account() == Some(patient.account()) && self.has_role(Role::Patient)
    }

    pub fn as_patient(&self) -> Option<PatientId> {
        self.account().filter(|_| self.has_role(Role::Patient)).map(AccountId::as_patient)
    }

    pub fn as_provider(&self) -> Option<ProviderId> {
        self.account().filter(|_| self.has_role(Role::Provider)).map(AccountId::as_provider)
    }

    /// The account of somebody who works in pharmacies, and reaches what belongs
    /// to their own. Salus itself reaches all of them.
    pub fn as_pharmacist(&self) -> Option<AccountId> {
        self.account().filter(|_| self.permissions.contains(&Permission::PharmacyWork))
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.is_system() || self.permissions.contains(&permission)
    }

    pub fn require(&self, permission: Permission) -> Result<(), MissingPermission> {
        if self.may(permission) { Ok(()) } else { Err(MissingPermission(permission)) }
    }

    pub fn scope(&self) -> Scope {
        match &self.kind {
            ActorKind::Anonymous => Scope::Nobody,
            ActorKind::System { .. } => Scope::System,
            ActorKind::Client { .. } => Scope::Staff,
            ActorKind::Account { account, roles, .. } => {
                if roles.iter().any(|role| *role != Role::Patient) {
                    Scope::Staff
                } else {
                    Scope::Patient(account.as_patient())
                }
            }
        }
    }

    /// A stable word for the audit log: `account`, `client`, `system` or `anonymous`.
    pub fn kind_word(&self) -> &'static str {
        match self.kind {
            ActorKind::Anonymous => "anonymous",
            ActorKind::Account { .. } => "account",
            ActorKind::Client { .. } => "client",
            ActorKind::System { .. } => "system",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the permission {0} is needed")]
pub struct MissingPermission(pub Permission);
