//! The client: one HTTPS endpoint that takes messages and answers each with
//! one.

use std::{error::Error as _, fmt, time::Duration};

use async_trait::async_trait;
use kernel::{ErxMessageId, text::legible};
use pharmacy::erx::{Acknowledgement, ErxNetwork, Inbound, NewRx, Reply};
use ports::{PortError, Result};
use reqwest::{
    Certificate, Client, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};

use crate::{
    VENDOR,
    compose::{self, Software},
    tree::Element,
};

/// How this system proves who it is to the network.
#[derive(Clone)]
pub enum Credential {
    Basic { user: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

#[derive(Clone, Debug)]
pub struct ErxSettings {
    /// Where messages are posted to, as in `https://erx.example/script`.
    pub url: String,
    pub credential: Credential,
    /// PEM of a certificate authority that is trusted besides the public ones.
    pub root_ca: Option<String>,
    pub connect_timeout: Duration,
    /// The longest that a reply may take.
    pub timeout: Duration,
    pub software: Software,
}

#[derive(Clone, Debug)]
pub struct ErxClient {
    http: Client,
    url: String,
    credential: Credential,
    software: Software,
}

/// The longest reply that is read.
const MOST_BYTES: usize = 1 << 20;

impl ErxClient {
    /// Only HTTPS is spoken, because every message is about a patient.
    pub fn new(settings: ErxSettings) -> Result<Self> {
        let ErxSettings { url, credential, root_ca, connect_timeout, timeout, software } = settings;
        if !url.starts_with("https://") {
            return Err(PortError::bug("the eRx network's address has to begin with https://"));
        }
        let mut builder = Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .timeout(timeout);
        if let Some(pem) = root_ca {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| PortError::internal("the eRx root CA is no PEM", error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder
            .build()
            .map_err(|error| PortError::internal("the eRx client cannot be built", error))?;
        Ok(Self { http, url, credential, software })
    }

    async fn post(&self, text: &str) -> Result<String> {
        let request = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/xml"))
            .body(text.to_owned());
        let request = match &self.credential {
            Credential::Basic { user, password } => request.basic_auth(user, Some(password)),
            Credential::Bearer(token) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| {
                        PortError::internal("the eRx token is no header value", error)
                    })?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
        };
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(lost)? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err(unknown("the reply is too large"));
            }
            body.extend_from_slice(&piece);
        }
        let body = String::from_utf8(body).map_err(|_| unknown("the reply is no text"))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(match status {
            // Our own configuration is at fault; the message itself is not,
            // and goes out once that is mended.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                unavailable("the network refused the credential")
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                unavailable("the network asks to try later")
            }
            status if status.is_client_error() => PortError::Refused {
                vendor: VENDOR,
                code: format!("http_{}", status.as_u16()),
                message: "the network refused the message".to_owned(),
            },
            // A server that failed may have taken the message before it did.
            status => unknown(&format!("the network answered {}", status.as_u16())),
        })
    }
}

#[async_trait]
impl ErxNetwork for ErxClient {
    fn compose(&self, new_rx: &NewRx) -> Result<String> {
        compose::new_rx(new_rx, &self.software)
            .map_err(|error| PortError::internal("a NewRx cannot be composed", error))
    }

    async fn deliver(&self, text: &str) -> Result<Inbound> {
        let reply = self.post(text).await?;
        // A reply that cannot be read says nothing of what became of the
        // message.
        read(&reply).map_err(|error| unknown(&error))
    }

    fn read(&self, text: &str) -> Result<Inbound> {
        read(text).map_err(|message| PortError::Refused {
            vendor: VENDOR,
            code: "unreadable".to_owned(),
            message,
        })
    }

    fn acknowledge(&self, answer: &Acknowledgement) -> Result<String> {
        compose::acknowledgement(answer, &self.software)
            .map_err(|error| PortError::internal("an answer cannot be composed", error))
    }
}

/// Whether anything was sent decides what a failure means.
fn lost(error: reqwest::Error) -> PortError {
    // The chain is told without the address, which may carry a secret.
    let error = error.without_url();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let message = format!("{error}: {cause}");
    if error.is_connect() || error.is_builder() { unavailable(&message) } else { unknown(&message) }
}

fn unavailable(message: &str) -> PortError {
    PortError::Unavailable { vendor: VENDOR, message: message.to_owned() }
}

fn unknown(message: &str) -> PortError {
    PortError::Unknown { vendor: VENDOR, message: message.to_owned() }
}

/// Reads a Status, an Error or a Verify. Elements that are not known are
/// passed over; what is needed must be there.
fn read(text: &str) -> Result<Inbound, String> {
    let root = Element::parse(text).map_err(|error| error.to_string())?;
    if root.name != "Message" {
        return Err("the root is not Message".to_owned());
    }
    let needed = |path: &str| {
        root.text_at(path).map(str::to_owned).ok_or_else(|| format!("{path} is missing"))
    };
    let message_id = needed("Header/MessageID")?;
    if message_id.chars().count() > 35 {
        return Err("Header/MessageID is longer than 35 characters".to_owned());
    }
    let relates_to = root
        .text_at("Header/RelatesToMessageID")
        .and_then(|text| text.parse::<ErxMessageId>().ok());
    let body = root.child("Body").ok_or("Body is missing")?;
    let reply = if body.child("Status").is_some() {
        let code = needed("Body/Status/Code")?;
        if !matches!(code.as_str(), "000" | "010") {
            return Err(format!("the status {code} is not known"));
        }
        Reply::Status { code }
    } else if body.child("Error").is_some() {
        Reply::Error {
            code: legible(&needed("Body/Error/Code")?),
            description_code: root.text_at("Body/Error/DescriptionCode").map(legible),
            // Staff read this text. The pharmacy cannot be asked to send it again, so
            // characters that cannot be kept are marked instead of refused.
            description: legible(
                root.text_at("Body/Error/Description").unwrap_or("No description was given."),
            ),
        }
    } else if let Some(verify) = body.child("Verify") {
        let code = verify
            .text_at("VerifyStatus/Code")
            .or_else(|| verify.text_at("Code"))
            .ok_or("Body/Verify/VerifyStatus/Code is missing")?;
        Reply::Verify { code: code.to_owned() }
    } else {
        return Err("the body is neither Status nor Error nor Verify".to_owned());
    };
    Ok(Inbound { message_id, relates_to, reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> String {
        format!(
            "<Message><Header><MessageID>r1</MessageID><RelatesToMessageID>\
             0192f0c1a0b07c00800000000000000a</RelatesToMessageID></Header>\
             <Body>{body}</Body></Message>"
        )
    }

    #[test]
    fn the_three_replies_are_read() {
        let status = read(&reply("<Status><Code>010</Code><Extra/></Status>")).unwrap();
        assert_eq!(status.reply, Reply::Status { code: "010".to_owned() });
        assert!(status.relates_to.is_some());
        let error =
            read(&reply("<Error><Code>900</Code><DescriptionCode>2000</DescriptionCode></Error>"))
                .unwrap();
        assert!(matches!(
            error.reply,
            Reply::Error { description_code: Some(code), .. } if code == "2000"
        ));
        let verify =
            read(&reply("<Verify><VerifyStatus><Code>010</Code></VerifyStatus></Verify>")).unwrap();
        assert_eq!(verify.reply, Reply::Verify { code: "010".to_owned() });
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bad in [
            reply(""),
            reply("<Status/>"),
            reply("<Status><Code>999</Code></Status>"),
            reply("<NewRx/>"),
            "<Message/>".to_owned(),
            "<Other/>".to_owned(),
            "{}".to_owned(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_refused_and_credentials_are_not_printed() {
        let credential = Credential::Bearer("secret".to_owned());
        assert!(!format!("{credential:?}").contains("secret"));
        let settings = ErxSettings {
            url: "http://127.0.0.1:1/".to_owned(),
            credential,
            root_ca: None,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            software: Software {
                developer: "Salus".to_owned(),
                product: "Salus".to_owned(),
                version: "1".to_owned(),
            },
        };
        assert!(ErxClient::new(settings).is_err());
    }
}
