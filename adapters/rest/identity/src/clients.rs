use api::{Answer, Body, Caller, Made, Mirror, Problem, ProblemBody, Result, Tag, Text, Visitor};
use chrono::{DateTime, Utc};
use identity::{ApiClient, OAuthError, Services, client, oauth, token::PublicJwk};
use kernel::text::ClientName;
use kernel::{ApiClientId, DomainError as _, ErrorKind};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    payload::{Form, Json},
};
use serde::Deserialize;

#[derive(Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = client::ClientForm)]
struct ClientRequest {
    /// The partner's name.
    name: Text<ClientName>,
    /// A JWK set of one public key, or of two while one follows the other, each with a `kid`: RSA of 2048 to
    /// 4096 bits with an exponent of 65537 or more for RS384, or EC on P-384 for ES384.
    #[mirror(keys)]
    jwks: serde_json::Value,
    /// The SMART system scopes that the client may ask for, as in
    /// `system/Patient.rs` or `system/*.read`.
    #[oai(validator(max_items = 100))]
    scopes: Vec<String>,
}

api::example!(ClientRequest {
    name: "Riverside EHR".into(),
    jwks: serde_json::json!({ "keys": [{
        "kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": "key-1",
        "x": "base64url of the x coordinate", "y": "base64url of the y coordinate",
    }] }),
    scopes: vec!["system/Patient.rs".into(), "system/MedicationRequest.rs".into()],
});

/// A SMART backend-services client.
#[derive(Debug, Object)]
struct ClientView {
    /// The `client_id`, which is `iss` and `sub` of its assertions.
    id: ApiClientId,
    name: String,
    jwks: serde_json::Value,
    scopes: Vec<String>,
    active: bool,
    disabled_at: Option<DateTime<Utc>>,
    /// The `aud` of its assertions.
    token_url: String,
    created_at: DateTime<Utc>,
}

impl ClientView {
    fn new(client: ApiClient, token_url: &str) -> Self {
        let active = client.is_active();
        Self {
            id: client.id,
            name: client.name,
            jwks: serde_json::to_value(client.keys).unwrap_or_default(),
            scopes: client.scopes.iter().map(ToString::to_string).collect(),
            active,
            disabled_at: client.disabled_at,
            token_url: token_url.to_owned(),
            created_at: client.created_at,
        }
    }
}

/// The API clients.
#[derive(Debug, Object)]
struct ClientsView {
    /// The oldest first.
    clients: Vec<ClientView>,
}

#[derive(Debug, Object)]
#[oai(example)]
struct ClientStatusRequest {
    disabled: bool,
}

api::example!(ClientStatusRequest { disabled: true });

#[derive(Debug, Object)]
#[oai(example)]
struct ClientKeyRequest {
    /// A public key with a `kid` of its own: RSA of 2048 to 4096 bits with an
    /// exponent of 65537 or more for RS384, or EC on P-384 for ES384.
    jwk: serde_json::Value,
}

api::example!(ClientKeyRequest {
    jwk: serde_json::json!({
        "kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": "key-2",
        "x": "base64url of the x coordinate", "y": "base64url of the y coordinate",
    }),
});

#[derive(Debug, Object, Deserialize, Mirror)]
#[oai(example)]
#[mirror(into = oauth::TokenRequest)]
struct TokenForm {
    /// `client_credentials`.
    #[serde(default)]
    grant_type: Option<String>,
    /// The scopes asked for, separated by blanks.
    #[serde(default)]
    scope: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    #[serde(default)]
    client_assertion_type: Option<String>,
    /// A JWT that the client has signed (RFC 7523).
    #[serde(default)]
    client_assertion: Option<String>,
}

api::example!(TokenForm {
    grant_type: Some("client_credentials".into()),
    scope: Some("system/Patient.rs".into()),
    client_assertion_type: Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),),
    client_assertion: Some("header.claims.signature".into()),
});

/// An access token (RFC 6749, section 5.1).
#[derive(Debug, Object, Mirror)]
#[mirror(from = oauth::ClientToken)]
struct TokenAnswer {
    access_token: String,
    /// Always `bearer`.
    #[mirror(|_| "bearer".to_owned())]
    token_type: String,
    /// Seconds until the token expires.
    #[mirror(expires_in_seconds)]
    expires_in: i64,
    /// The granted scopes, separated by blanks; they can be fewer than asked for.
    scope: String,
}

/// A refusal (RFC 6749, section 5.2).
#[derive(Debug, Object)]
struct TokenRefusal {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type` or
    /// `invalid_scope`.
    error: String,
    error_description: String,
}

#[derive(ApiResponse)]
#[oai(bad_request_handler = "malformed")]
enum TokenResponse {
    /// The token.
    #[oai(status = 200)]
    Granted(Json<TokenAnswer>),
    /// The request is not one that can be granted.
    #[oai(status = 400)]
    Refused(Json<TokenRefusal>),
    /// The client could not be authenticated.
    #[oai(status = 401)]
    Unauthenticated(Json<TokenRefusal>),
}

fn malformed(error: poem::Error) -> TokenResponse {
    TokenResponse::Refused(Json(TokenRefusal {
        error: "invalid_request".to_owned(),
        error_description: error.to_string(),
    }))
}

/// What is not the grant's own to refuse, in the form of every other
/// operation.
#[derive(ApiResponse)]
enum TokenProblem {
    /// The body is larger than the operation takes.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<ProblemBody>),
    /// The content type is not one that the operation takes.
    #[oai(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Json<ProblemBody>),
    /// Too many requests.
    #[oai(status = 429, content_type = "application/problem+json")]
    RateLimited(Json<ProblemBody>),
    /// Salus failed; the cause is logged under the request's id.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<ProblemBody>),
    /// Salus cannot answer for now; the same request may succeed after the
    /// seconds that `Retry-After` names.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<ProblemBody>,
        /// Seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        String,
    ),
}

impl From<Problem> for TokenProblem {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::TooLarge(body) => Self::TooLarge(body),
            Problem::UnsupportedMediaType(body) => Self::UnsupportedMediaType(body),
            Problem::RateLimited(body, _) => Self::RateLimited(body),
            Problem::Unavailable(body, wait) => Self::Unavailable(body, wait),
            Problem::BadRequest(body)
            | Problem::Unauthenticated(body)
            | Problem::Forbidden(body)
            | Problem::NotFound(body)
            | Problem::Conflict(body)
            | Problem::PreconditionFailed(body)
            | Problem::Invalid(body)
            | Problem::Internal(body)
            | Problem::Vendor(body) => Self::Internal(body),
        }
    }
}

fn refusal(error: OAuthError) -> Result<TokenResponse, TokenProblem> {
    let body = |error: &OAuthError| {
        Json(TokenRefusal { error: error.code().to_owned(), error_description: error.to_string() })
    };
    match error {
        OAuthError::Port(error) if error.kind() == ErrorKind::Invalid => {
            let refused = OAuthError::InvalidRequest("a value of the request cannot be kept");
            Ok(TokenResponse::Refused(body(&refused)))
        }
        OAuthError::Port(error) => Err(Problem::from(error).into()),
        error @ OAuthError::InvalidClient(_) => Ok(TokenResponse::Unauthenticated(body(&error))),
        error => Ok(TokenResponse::Refused(body(&error))),
    }
}

/// A public key that verifies access tokens (RFC 8037).
#[derive(Debug, Object, Mirror)]
#[mirror(from = PublicJwk)]
struct PublicKey {
    kty: String,
    crv: String,
    alg: String,
    #[oai(rename = "use")]
    usage: String,
    kid: String,
    x: String,
}

/// The public keys that verify access tokens.
#[derive(Debug, Object)]
struct PublicKeys {
    keys: Vec<PublicKey>,
}

#[derive(ApiResponse)]
enum PublicKeysResponse {
    /// The keys, the current one first.
    #[oai(status = 200)]
    Keys(Json<PublicKeys>, #[oai(header = "Cache-Control")] String),
}

pub struct ClientApi(pub Services);

impl ClientApi {
    fn view(&self, client: ApiClient) -> ClientView {
        ClientView::new(client, &self.0.policy.token_url)
    }
}

#[OpenApi(tag = "Tag::Identity")]
impl ClientApi {
    /// Register an API client
    ///
    /// Registers a SMART backend-services client with its public keys and the
    /// scopes that it may ask for.
    #[oai(path = "/api/admin/clients", method = "post", operation_id = "registerClient")]
    async fn register(
        &self,
        caller: Caller,
        body: Body<ClientRequest>,
    ) -> Result<Made<ClientView>> {
        let client = client::register(&self.0, caller.actor(), body.0.into()).await?;
        Ok(Made::of(self.view(client)))
    }

    /// List the API clients
    ///
    /// With their public keys and scopes, the disabled ones too.
    #[oai(path = "/api/admin/clients", method = "get", operation_id = "listClients")]
    async fn list(&self, caller: Caller) -> Answer<ClientsView> {
        let clients = client::list(&self.0, caller.actor()).await?;
        Ok(Json(ClientsView { clients: clients.into_iter().map(|one| self.view(one)).collect() }))
    }

    /// Read an API client
    ///
    /// With its public keys and scopes.
    #[oai(path = "/api/admin/clients/:id", method = "get", operation_id = "readClient")]
    async fn read(&self, caller: Caller, id: Path<ApiClientId>) -> Answer<ClientView> {
        let client = client::read(&self.0, caller.actor(), id.0).await?;
        Ok(Json(self.view(client)))
    }

    /// Disable an API client, or enable it again
    ///
    /// A disabled client gets no tokens, and those it has end within a second
    /// at every node. They stay ended when it is enabled again.
    #[oai(path = "/api/admin/clients/:id/status", method = "put", operation_id = "setClientStatus")]
    async fn set_status(
        &self,
        caller: Caller,
        id: Path<ApiClientId>,
        body: Body<ClientStatusRequest>,
    ) -> Answer<ClientView> {
        let disabled = body.0.disabled;
        let client = client::set_disabled(&self.0, caller.actor(), id.0, disabled).await?;
        Ok(Json(self.view(client)))
    }

    /// Add a key to an API client
    ///
    /// Beside the one in use, which it is to follow; both are good until the
    /// older one is withdrawn. A client has two keys at most.
    #[oai(path = "/api/admin/clients/:id/keys", method = "post", operation_id = "addClientKey")]
    async fn add_key(
        &self,
        caller: Caller,
        id: Path<ApiClientId>,
        body: Body<ClientKeyRequest>,
    ) -> Answer<ClientView> {
        let client = client::add_key(&self.0, caller.actor(), id.0, &body.0.jwk).await?;
        Ok(Json(self.view(client)))
    }

    /// Withdraw a key of an API client
    ///
    /// It signs no more assertions, and the client's tokens end within a second
    /// at every node: it asks for new ones with the other key. The only key
    /// stays; a client is disabled instead.
    #[oai(
        path = "/api/admin/clients/:id/keys/:kid",
        method = "delete",
        operation_id = "withdrawClientKey"
    )]
    async fn withdraw_key(
        &self,
        caller: Caller,
        id: Path<ApiClientId>,
        kid: Path<String>,
    ) -> Answer<ClientView> {
        let client = client::withdraw_key(&self.0, caller.actor(), id.0, &kid.0).await?;
        Ok(Json(self.view(client)))
    }

    /// Exchange a client assertion for an access token
    ///
    /// The client-credentials grant of SMART backend services, with a signed
    /// JWT that names the client as `iss` and `sub` and this address as `aud`,
    /// expires within five minutes and is used once.
    #[oai(path = "/oauth/token", method = "post", operation_id = "issueClientToken")]
    async fn token(
        &self,
        visitor: Visitor,
        form: Form<TokenForm>,
    ) -> Result<TokenResponse, TokenProblem> {
        match oauth::client_credentials(&self.0, visitor.request(), form.0.into()).await {
            Ok(token) => Ok(TokenResponse::Granted(Json(token.into()))),
            Err(error) => refusal(error),
        }
    }

    /// Read the keys that verify access tokens
    ///
    /// A JWK set of Ed25519 keys.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "publicKeys")]
    async fn public_keys(&self, _visitor: Visitor) -> PublicKeysResponse {
        let keys = self.0.keys.all().iter().map(|key| key.public_jwk().into()).collect();
        PublicKeysResponse::Keys(Json(PublicKeys { keys }), "public, max-age=300".to_owned())
    }
}
