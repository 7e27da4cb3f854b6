//! From a bearer token to the actor it stands for.

use std::{collections::BTreeSet, sync::Arc};

use kernel::{Actor, ActorKind, Permission, RequestContext, Role};

use crate::{IdentityError, Services, error::Result, token::Bearer};

/// Authenticates an account's or a client's access token.
///
/// A valid signature is not enough: the session must still be live and the
/// account active, and roles and permissions are those of now, not those of
/// when the token was signed. Roles that ask for a second factor get nowhere
/// in a session without one. A client carries its granted scopes and no
/// permissions; whoever serves it asks [`crate::scope::allows`].
pub async fn authenticate(
    services: &Services,
    bearer: &str,
    request: RequestContext,
) -> Result<Actor> {
    let (actor, complete) = identify(services, bearer, request).await?;
    if complete { Ok(actor) } else { Err(IdentityError::SecondFactorRequired) }
}

/// The same for the few operations that set up the second factor that is
/// missing, or leave.
pub async fn authenticate_to_enrol(
    services: &Services,
    bearer: &str,
    request: RequestContext,
) -> Result<Actor> {
    identify(services, bearer, request).await.map(|(actor, _)| actor)
}

/// The actor, and whether the session has shown all that the roles ask for.
async fn identify(
    services: &Services,
    bearer: &str,
    request: RequestContext,
) -> Result<(Actor, bool)> {
    let now = services.now();
    match services.bearer(bearer).await? {
        Bearer::Account { account, session, .. } => {
            let grant = services
                .session_grant(session)
                .await?
                .filter(|grant| grant.account == account && grant.live && now < grant.ends_at)
                .ok_or(IdentityError::SessionEnded)?;
            let permissions = services.matrix().await?.permissions_of(&grant.roles);
            let complete = grant.method.has_second_factor()
                || !services.policy.demands_second_factor(&grant.roles);
            let actor = Actor {
                kind: ActorKind::Account { account, session, roles: grant.roles },
                permissions: Arc::new(permissions),
                request,
            };
            Ok((actor, complete))
        }
        Bearer::Client { client, generation, scopes } => {
            if services.client_generation(client).await? != Some(generation) {
                return Err(IdentityError::InvalidToken);
            }
            let kind = ActorKind::Client { client, scopes: Arc::new(scopes.into_iter().collect()) };
            Ok((Actor { kind, permissions: Arc::default(), request }, true))
        }
    }
}

/// Who somebody is and what they may do, for a client that draws its menus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub roles: BTreeSet<Role>,
    pub permissions: BTreeSet<Permission>,
    pub scopes: BTreeSet<String>,
}

pub fn access_of(actor: &Actor) -> Access {
    let (roles, scopes) = match &actor.kind {
        ActorKind::Account { roles, .. } => (roles.as_ref().clone(), BTreeSet::new()),
        ActorKind::Client { scopes, .. } => (BTreeSet::new(), scopes.as_ref().clone()),
        ActorKind::Anonymous | ActorKind::System { .. } => Default::default(),
    };
    Access { roles, permissions: actor.permissions.as_ref().clone(), scopes }
}
