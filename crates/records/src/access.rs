//! Who reaches which resources.

use kernel::{Actor, ActorKind, PatientId, Permission, ProviderId, actor::MissingPermission};

use crate::{RecordsError, ResourceType};

/// What is asked for; SMART scopes tell the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    Read,
    Search,
}

/// Whose resources an actor reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Everyone,
    /// This patient's only.
    Only(PatientId),
    /// Those of the patients whom this provider treats.
    Panel(ProviderId),
}

impl Reach {
    pub fn of(
        actor: &Actor,
        kind: ResourceType,
        interaction: Interaction,
    ) -> Result<Self, RecordsError> {
        match &actor.kind {
            ActorKind::System { .. } => Ok(Self::Everyone),
            ActorKind::Client { scopes, .. } => {
                if scopes.iter().any(|scope| allows(scope, kind, interaction)) {
                    Ok(Self::Everyone)
                } else {
                    Err(RecordsError::MissingScope(kind))
                }
            }
            ActorKind::Account { .. } | ActorKind::Anonymous => {
                if actor.may(Permission::PatientReadAny) {
                    return Ok(Self::Everyone);
                }
                let panel = actor.as_provider().filter(|_| actor.may(Permission::PatientRead));
                panel
                    .map(Self::Panel)
                    .or_else(|| actor.as_patient().map(Self::Only))
                    .ok_or_else(|| MissingPermission(Permission::PatientRead).into())
            }
        }
    }
}

/// Whether a SMART system scope covers the interaction: `system/Patient.read`
/// of version 1, or letters out of `cruds` in this order of version 2. A scope
/// with a query narrows what it covers in ways that are not evaluated, so it
/// covers nothing.
fn allows(scope: &str, kind: ResourceType, interaction: Interaction) -> bool {
    let Some((of, access)) = scope.strip_prefix("system/").and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    if of != "*" && of != <&'static str>::from(kind) {
        return false;
    }
    let letter = match interaction {
        Interaction::Read => 'r',
        Interaction::Search => 's',
    };
    match access {
        "read" | "*" => true,
        "write" => false,
        letters => {
            let mut order = "cruds".chars();
            let in_order = letters.chars().all(|c| order.any(|next| next == c));
            in_order && letters.contains(letter)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use kernel::{AccountId, ApiClientId, RequestContext, Role, SessionId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn scopes_cover_what_they_say() {
        let covers = |scope| {
            (
                allows(scope, ResourceType::Patient, Interaction::Read),
                allows(scope, ResourceType::Patient, Interaction::Search),
            )
        };
        for scope in ["system/Patient.read", "system/*.read", "system/Patient.rs", "system/*.cruds"]
        {
            assert_eq!(covers(scope), (true, true), "{scope}");
        }
        assert_eq!(covers("system/Patient.r"), (true, false));
        assert_eq!(covers("system/Patient.s"), (false, true));
        for scope in [
            "",
            "system/Encounter.rs",
            "user/Patient.rs",
            "patient/Patient.read",
            "system/Patient.write",
            "system/Patient.cud",
            "system/Patient.sr",
            "system/Patient.rs?status=active",
            "system/Patient",
            "system/Pat.rs",
        ] {
            assert_eq!(covers(scope), (false, false), "{scope}");
        }
    }

    fn account(role: Role, permissions: &[Permission]) -> Actor {
        let account = AccountId(Uuid::from_u128(5));
        Actor {
            kind: ActorKind::Account {
                account,
                session: SessionId(Uuid::from_u128(6)),
                roles: Arc::new(BTreeSet::from([role])),
            },
            permissions: Arc::new(permissions.iter().copied().collect()),
            request: RequestContext::default(),
        }
    }

    #[test]
    fn each_actor_reaches_their_own() {
        let reach = |actor: &Actor| Reach::of(actor, ResourceType::Patient, Interaction::Read).ok();
        let id = Uuid::from_u128(5);
        let patient = account(Role::Patient, &[Permission::ProfileOwn]);
        assert_eq!(reach(&patient), Some(Reach::Only(PatientId(id))));
        let provider = account(Role::Provider, &[Permission::PatientRead]);
        assert_eq!(reach(&provider), Some(Reach::Panel(ProviderId(id))));
        assert_eq!(reach(&account(Role::Provider, &[])), None);
        let admin = account(Role::Admin, &[Permission::PatientReadAny]);
        assert_eq!(reach(&admin), Some(Reach::Everyone));
        assert_eq!(reach(&account(Role::Auditor, &[Permission::AuditRead])), None);
        assert_eq!(reach(&Actor::anonymous(RequestContext::default())), None);
        let client = Actor {
            kind: ActorKind::Client {
                client: ApiClientId(id),
                scopes: Arc::new(BTreeSet::from(["system/Encounter.read".to_owned()])),
            },
            permissions: Arc::default(),
            request: RequestContext::default(),
        };
        assert_eq!(reach(&client), None);
    }
}
