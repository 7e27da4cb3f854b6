//! The token endpoint's one grant: client credentials with a private-key JWT,
//! as SMART backend services use it.

use chrono::{DateTime, Utc};
use kernel::{Actor, ApiClientId, RequestContext};
use ports::{AuditAction, AuditEntry, PortError};

use crate::{
    ApiClient, Services,
    client::{check_assertion, claimed_client},
    scope::grant,
    token::{Bearer, issue},
};

/// The errors of RFC 6749, section 5.2.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OAuthError {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("{0}")]
    InvalidClient(&'static str),
    #[error("only the grant client_credentials is offered")]
    UnsupportedGrantType,
    #[error("none of the requested scopes is allowed to this client")]
    InvalidScope,
    #[error(transparent)]
    Port(#[from] PortError),
}

impl OAuthError {
    /// The word of the `error` member of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient(_) => "invalid_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::Port(_) => "server_error",
        }
    }
}

/// The form that a client posts.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    pub grant_type: Option<String>,
    pub scope: Option<String>,
    pub client_assertion_type: Option<String>,
    pub client_assertion: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ClientToken {
    pub access_token: String,
    pub expires_at: DateTime<Utc>,
    pub expires_in_seconds: i64,
    /// The granted scopes, separated by blanks.
    pub scope: String,
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Exchanges a client's assertion for an access token.
pub async fn client_credentials(
    services: &Services,
    request: RequestContext,
    form: TokenRequest,
) -> Result<ClientToken, OAuthError> {
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthError::UnsupportedGrantType),
        None => return Err(OAuthError::InvalidRequest("grant_type is missing")),
    }
    if form.client_assertion_type.as_deref() != Some(ASSERTION_TYPE) {
        return Err(OAuthError::InvalidRequest("client_assertion_type is not that of a JWT"));
    }
    let assertion =
        form.client_assertion.ok_or(OAuthError::InvalidRequest("client_assertion is missing"))?;
    let requested = form.scope.ok_or(OAuthError::InvalidRequest("scope is missing"))?;
    let id = claimed_client(&assertion)?;
    let actor = Actor::anonymous(request);

    let result = exchange(services, &actor, id, &assertion, &requested).await;
    if let Err(error) = &result
        && !matches!(error, OAuthError::Port(_))
    {
        let mut tx = services.store.begin(&actor).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Login, "api_client", id)
                .failed()
                .detail("error", error.code())
                .detail("reason", error.to_string()),
        );
        tx.commit().await?;
    }
    result
}

async fn exchange(
    services: &Services,
    actor: &Actor,
    id: ApiClientId,
    assertion: &str,
    requested: &str,
) -> Result<ClientToken, OAuthError> {
    let now = services.now();
    let mut tx = services.store.begin(actor).await?;
    let client: Option<ApiClient> = tx.find(id).await?;
    let client = client
        .filter(ApiClient::is_active)
        .ok_or(OAuthError::InvalidClient("no active client is registered under this id"))?;
    let checked = check_assertion(&client, assertion, &services.policy.token_url, now)?;
    if !tx.first_use_of(id, &checked.jti, checked.expires_at).await? {
        return Err(OAuthError::InvalidClient("the assertion was used before"));
    }
    let granted = grant(requested, &client.scopes);
    if granted.is_empty() {
        return Err(OAuthError::InvalidScope);
    }
    let scopes: Vec<String> = granted.iter().map(ToString::to_string).collect();
    let scope = scopes.join(" ");
    tx.audit(AuditEntry::new(AuditAction::Login, "api_client", id).detail("scope", scope.clone()));
    tx.commit().await?;

    let bearer = Bearer::Client { client: id, generation: client.generation, scopes };
    let jti = services.env.ids.uuid();
    let (access_token, expires_at) =
        issue(services.keys.as_ref(), &services.policy, bearer, jti, now)
            .map_err(|error| PortError::internal("a client's token could not be issued", error))?;
    Ok(ClientToken {
        access_token,
        expires_at,
        expires_in_seconds: (expires_at - now).num_seconds(),
        scope,
    })
}
