//! The video vendor: OpenTok, and Vonage Video, which speaks the same protocol
//! on another host with another signature. It implements care's
//! [`VideoRooms`]; it knows the vendor's wire and nothing of patients.

mod callback;
mod token;

use std::time::Duration;

use async_trait::async_trait;
use care::{Archive, CallbackCredentials, ClientToken, TokenRequest, VideoCallback, VideoRooms};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ports::{Env, PortError, Result};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

pub(crate) const VENDOR: &str = "opentok";

/// How this account proves itself to the vendor.
#[derive(Clone)]
pub enum Credentials {
    /// An OpenTok project; its host is `https://api.opentok.com`.
    Project { api_key: String, api_secret: String },
    /// A Vonage application; its host is `https://video.api.vonage.com`.
    Application { application_id: String, private_key_pem: String },
}

/// The form of the client tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenForm {
    #[default]
    Jwt,
    /// OpenTok's own older form, for projects only.
    T1,
}

#[derive(Clone)]
pub struct OpenTokConfig {
    pub base_url: String,
    pub credentials: Credentials,
    pub token_form: TokenForm,
    /// The secret that signs callbacks, or that stands in their URL.
    pub callback_secret: String,
    /// How long a call may take as a whole.
    pub timeout: Duration,
}

/// The client of one project or application.
pub struct OpenTok {
    config: OpenTokConfig,
    /// The key of every JWT, for the vendor and for its clients.
    key: EncodingKey,
    http: reqwest::Client,
    env: Env,
}

impl OpenTok {
    pub fn new(config: OpenTokConfig, env: Env) -> Result<Self> {
        let key = match &config.credentials {
            Credentials::Project { api_secret, .. } => {
                EncodingKey::from_secret(api_secret.as_bytes())
            }
            Credentials::Application { private_key_pem, .. } => {
                if config.token_form == TokenForm::T1 {
                    return Err(PortError::bug("an application has no T1 tokens"));
                }
                EncodingKey::from_rsa_pem(private_key_pem.as_bytes()).map_err(|error| {
                    PortError::internal("the application's private key is not readable", error)
                })?
            }
        };
        let http = reqwest::Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .build()
            .map_err(|error| PortError::internal("the video vendor's client", error))?;
        Ok(Self { config, key, http, env })
    }

    /// The API key or the application id, as the vendor's paths name it.
    pub fn project(&self) -> &str {
        match &self.config.credentials {
            Credentials::Project { api_key, .. } => api_key,
            Credentials::Application { application_id, .. } => application_id,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.base_url.trim_end_matches('/'))
    }

    /// Signs one call, for at most three minutes.
    fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder> {
        let now = self.env.now().timestamp();
        let jti = self.env.ids.uuid().to_string();
        let (algorithm, claims) = match &self.config.credentials {
            Credentials::Project { api_key, .. } => (
                Algorithm::HS256,
                json!({
                    "iss": api_key, "ist": "project", "iat": now, "exp": now + 180, "jti": jti,
                }),
            ),
            Credentials::Application { application_id, .. } => (
                Algorithm::RS256,
                json!({
                    "application_id": application_id, "iat": now, "exp": now + 180, "jti": jti,
                }),
            ),
        };
        let token = self.sign(algorithm, &claims)?;
        Ok(match algorithm {
            Algorithm::HS256 => request.header("X-OPENTOK-AUTH", token),
            _ => request.bearer_auth(token),
        })
    }

    fn sign(&self, algorithm: Algorithm, claims: &serde_json::Value) -> Result<String> {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &self.key)
            .map_err(|error| PortError::internal("signing for the video vendor", error))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let request = self.authorize(request)?.header("Accept", "application/json");
        let response = request.send().await.map_err(|error| unreached(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        let message = serde_json::from_str::<Failure>(&body)
            .ok()
            .and_then(|failure| failure.message)
            .unwrap_or_else(|| format!("it answered {status}"));
        Err(if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            PortError::Unavailable { vendor: VENDOR, message }
        } else {
            PortError::Refused { vendor: VENDOR, code: status.as_u16().to_string(), message }
        })
    }

    async fn archive(&self, request: RequestBuilder) -> Result<Archive> {
        let archive: ArchiveBody = read(self.send(request).await?).await?;
        Ok(Archive { id: archive.id, status: archive.status })
    }
}

/// A call that could not even begin did nothing; one that broke off later may
/// have had its effect.
fn unreached(error: &reqwest::Error) -> PortError {
    let message =
        if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    if error.is_connect() || error.is_builder() {
        PortError::Unavailable { vendor: VENDOR, message }
    } else {
        PortError::Unknown { vendor: VENDOR, message }
    }
}

/// Reads an answer whose status said that the call had its effect.
async fn read<T: serde::de::DeserializeOwned>(response: Response) -> Result<T> {
    response.json().await.map_err(|error| PortError::Unknown {
        vendor: VENDOR,
        message: format!("its answer does not read: {error}"),
    })
}

#[derive(Deserialize)]
struct Failure {
    message: Option<String>,
}

#[derive(Deserialize)]
struct SessionBody {
    session_id: String,
}

#[derive(Deserialize)]
struct ArchiveBody {
    id: String,
    status: String,
}

#[async_trait]
impl VideoRooms for OpenTok {
    /// A routed session, because only such a one can be recorded.
    async fn create_session(&self) -> Result<String> {
        let form = [("p2p.preference", "disabled"), ("archiveMode", "manual")];
        let request = self.http.post(self.url("/session/create")).form(&form);
        let sessions: Vec<SessionBody> = read(self.send(request).await?).await?;
        let session = sessions.into_iter().next().ok_or_else(|| PortError::Unknown {
            vendor: VENDOR,
            message: "it answered without a session".to_owned(),
        })?;
        Ok(session.session_id)
    }

    fn client_token(&self, request: &TokenRequest) -> Result<ClientToken> {
        let token = token::client_token(self, request)?;
        Ok(ClientToken { project: self.project().to_owned(), token })
    }

    async fn start_archive(&self, session: &str, name: &str) -> Result<Archive> {
        let url = self.url(&format!("/v2/project/{}/archive", self.project()));
        let body = json!({
            "sessionId": session,
            "name": name,
            "hasAudio": true,
            "hasVideo": true,
            "outputMode": "composed",
        });
        self.archive(self.http.post(url).json(&body)).await
    }

    async fn stop_archive(&self, archive: &str) -> Result<Archive> {
        let url = self.url(&format!("/v2/project/{}/archive/{archive}/stop", self.project()));
        self.archive(self.http.post(url)).await
    }

    fn read_callback(
        &self,
        credentials: &CallbackCredentials,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<VideoCallback>> {
        if !callback::is_genuine(&self.config.callback_secret, credentials, body, now) {
            return Ok(None);
        }
        Ok(Some(callback::read(self.project(), body)))
    }
}
