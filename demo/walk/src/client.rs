//! A careful client: it repeats what failed on the way until a deadline, with
//! the same idempotency key, and says plainly what it did not expect.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// How long a server may be away before the walk gives up.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what happens after a request may take.
pub const EVENTUALLY: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub url: String,
    /// The server's internal address, which tells where its emulators are.
    pub internal: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.bytes)
            .with_context(|| format!("the answer is no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).chars().take(600).collect()
    }

    /// Fails unless it was done; whether that was new is the operation's to
    /// say.
    pub fn done(self, doing: &str) -> anyhow::Result<Self> {
        if !self.status.is_success() {
            bail!("{doing}: got {}: {}", self.status, self.text());
        }
        Ok(self)
    }

    /// Fails unless the status is the expected one.
    pub fn expect(self, status: u16, doing: &str) -> anyhow::Result<Self> {
        if self.status.as_u16() != status {
            bail!("{doing}: expected {status}, got {}: {}", self.status, self.text());
        }
        Ok(self)
    }
}

/// One request.
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    token: Option<&'a str>,
    key: Option<String>,
    body: Option<Value>,
    form: Option<Vec<(String, String)>>,
    file: Option<(&'static str, Vec<u8>)>,
}

/// What stands between the parts of a body with a file.
const BOUNDARY: &str = "a-boundary-that-is-in-no-file";

impl Client {
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            // Emulators sign their own certificates; this client only reads
            // their control surfaces on loopback.
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        let internal = internal_of(url).unwrap_or_default();
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), internal })
    }

    /// Fails at once where no server listens, instead of waiting for one that
    /// was stopped to come back.
    pub async fn is_there(&self) -> anyhow::Result<()> {
        match self.http.get(format!("{}/health/live", self.url)).send().await {
            Err(error) if error.is_connect() || error.is_builder() => Err(error)
                .with_context(|| format!("nothing listens at {}; start ./run first", self.url)),
            _ => Ok(()),
        }
    }

    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: impl Into<String>, body: Value) -> Call<'_> {
        Call { body: Some(body), ..self.call(Method::POST, path) }
    }

    pub fn put(&self, path: impl Into<String>, body: Value) -> Call<'_> {
        Call { body: Some(body), ..self.call(Method::PUT, path) }
    }

    pub fn post_form(&self, path: impl Into<String>, form: &[(&str, &str)]) -> Call<'_> {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Call { form: Some(form.collect()), ..self.call(Method::POST, path) }
    }

    /// Uploads a file as the one part of that name.
    pub fn post_file(
        &self,
        path: impl Into<String>,
        name: &'static str,
        bytes: Vec<u8>,
    ) -> Call<'_> {
        Call { file: Some((name, bytes)), ..self.call(Method::POST, path) }
    }

    fn call(&self, method: Method, path: impl Into<String>) -> Call<'_> {
        let path = path.into();
        Call {
            client: self,
            method,
            path,
            token: None,
            key: None,
            body: None,
            form: None,
            file: None,
        }
    }

    /// The address of a vendor's emulator, which changes when the server is
    /// started again.
    pub async fn emulator(&self, vendor: &str) -> anyhow::Result<String> {
        let inside = Self { url: self.internal.clone(), ..self.clone() };
        let health = inside.get("/health").send().await?.json()?;
        health["vendors"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == vendor)
            .and_then(|entry| entry["emulator"].as_str())
            .map(str::to_owned)
            .with_context(|| format!("{vendor} is not emulated by this server"))
    }

    /// A call to an emulator's own surface.
    pub async fn emulator_call(
        &self,
        vendor: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let started = Instant::now();
        loop {
            let url = format!("{}{path}", self.emulator(vendor).await?);
            let mut request = self.http.request(method.clone(), &url);
            if let Some(body) = &body {
                request = request.json(body);
            }
            match answer(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) if started.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

impl<'a> Call<'a> {
    pub fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    /// One key for all attempts of this call.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends until there is an answer that is not the way's fault.
    pub async fn send(self) -> anyhow::Result<Answer> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let outcome = answer(self.request()).await;
            let retry = match &outcome {
                Err(_) => true,
                Ok(answer) => matches!(answer.status.as_u16(), 429 | 500 | 502 | 503),
            };
            if !retry || started.elapsed() > PATIENCE {
                return outcome.with_context(|| format!("{} {}", self.method, self.path));
            }
            RETRIES.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.client.url, self.path);
        let mut request = self.client.http.request(self.method.clone(), url);
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &self.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        if let Some(form) = &self.form {
            request = request.form(form);
        }
        if let Some((name, bytes)) = &self.file {
            request = with_file(request, name, bytes);
        }
        request
    }
}

/// The request with a file as its body, as a browser's form sends it.
pub fn with_file(
    request: reqwest::RequestBuilder,
    name: &str,
    bytes: &[u8],
) -> reqwest::RequestBuilder {
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\
         content-type: image/png\r\n\r\n"
    )
    .into_bytes();
    body.extend(bytes);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    request.header(reqwest::header::CONTENT_TYPE, content_type).body(body)
}

/// Where a server on this machine has its internal address unless it says
/// otherwise: at the port after that of its public one.
fn internal_of(url: &str) -> Option<String> {
    let port = reqwest::Url::parse(url).ok()?.port_or_known_default()?;
    Some(format!("http://127.0.0.1:{}", port.checked_add(1)?))
}

/// How often something had to be sent again.
pub static RETRIES: AtomicU64 = AtomicU64::new(0);

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status();
    let content_type = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = response.bytes().await?.to_vec();
    Ok(Answer { status, content_type, bytes })
}

/// Asks again until `probe` has a value.
pub async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if started.elapsed() > EVENTUALLY {
            bail!("waited {} s in vain for {what}", EVENTUALLY.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A text of an answer, by its JSON pointer.
pub fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("the answer has no text at {pointer}: {value}"))
}
