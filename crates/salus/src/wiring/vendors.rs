//! The vendors' adapters, as the configuration wants them.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use billing::{NoticeVerifier, PaymentGateway};
use care::VideoRooms;
use carriers::{EasyPost, EasyPostConfig, EasyPostWebhooks};
use communication::Mailer;
use erx::{Credential, ErxClient, ErxSettings, Software};
use mail::{Security, SmtpConfig, SmtpMailer};
use opentok::{Credentials, OpenTok, OpenTokConfig, TokenForm};
use pharmacy::{
    erx::ErxNetwork,
    fulfilment::{CarrierWebhooks, Carriers},
};
use ports::Env;
use stripe_adapter::{StripeConfig, StripeGateway, StripeWebhooks};

use crate::config::Config;

/// No vendor may hold a job or a request for longer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Vendors {
    pub gateway: Arc<dyn PaymentGateway>,
    pub notices: Arc<dyn NoticeVerifier>,
    pub erx: Arc<dyn ErxNetwork>,
    pub video: Arc<dyn VideoRooms>,
    pub carriers: Arc<dyn Carriers>,
    pub carrier_webhooks: Arc<dyn CarrierWebhooks>,
    pub mailer: Arc<dyn Mailer>,
}

impl Vendors {
    pub fn connect(config: &Config, env: &Env) -> anyhow::Result<Self> {
        let gateway = StripeGateway::new(&StripeConfig {
            base_url: or(&config.stripe.base_url, "https://api.stripe.com"),
            secret_key: config.stripe.secret_key.expose().to_owned(),
            timeout: TIMEOUT,
        })?;
        let root_ca = authority(config.erx.ca_file.as_deref())?
            .map(String::from_utf8)
            .transpose()
            .context("erx.ca_file")?;
        let erx = ErxClient::new(ErxSettings {
            url: config.erx.base_url.clone(),
            credential: Credential::Basic {
                user: config.erx.username.clone(),
                password: config.erx.password.expose().to_owned(),
            },
            root_ca,
            connect_timeout: Duration::from_secs(5),
            timeout: TIMEOUT,
            software: Software {
                developer: "Salus".to_owned(),
                product: "Salus".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        })?;
        let video = OpenTok::new(
            OpenTokConfig {
                base_url: or(&config.opentok.base_url, "https://api.opentok.com"),
                credentials: Credentials::Project {
                    api_key: config.opentok.api_key.clone(),
                    api_secret: config.opentok.api_secret.expose().to_owned(),
                },
                token_form: TokenForm::Jwt,
                callback_secret: config.opentok.callback_secret.expose().to_owned(),
                timeout: TIMEOUT,
            },
            env.clone(),
        )?;
        let carriers = EasyPost::new(EasyPostConfig {
            base_url: or(&config.easypost.base_url, "https://api.easypost.com")
                .parse()
                .context("easypost.base_url")?,
            api_key: config.easypost.api_key.expose().to_owned(),
            timeout: TIMEOUT,
        })?;
        let mailer = SmtpMailer::new(SmtpConfig {
            host: config.smtp.host.clone(),
            port: config.smtp.port,
            security: match config.smtp.security.as_str() {
                "none" => Security::None,
                "tls" => Security::Tls,
                _ => Security::StartTls,
            },
            credentials: (!config.smtp.username.is_empty())
                .then(|| (config.smtp.username.clone(), config.smtp.password.expose().to_owned())),
            from: config.smtp.from.clone(),
            hello_name: super::host(&config.public_url()),
            timeout: TIMEOUT,
            root_certificate: authority(config.smtp.ca_file.as_deref())?,
        })?;
        Ok(Self {
            gateway: Arc::new(gateway),
            notices: Arc::new(StripeWebhooks::new([config
                .stripe
                .webhook_secret
                .expose()
                .to_owned()])),
            erx: Arc::new(erx),
            video: Arc::new(video),
            carriers: Arc::new(carriers),
            carrier_webhooks: Arc::new(EasyPostWebhooks::new(
                config.easypost.webhook_secret.expose(),
            )),
            mailer: Arc::new(mailer),
        })
    }
}

/// The certificate authority in that file, where one is named.
fn authority(file: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    file.map(|file| std::fs::read(file).with_context(|| format!("reading {}", file.display())))
        .transpose()
}

fn or(value: &str, default: &str) -> String {
    if value.is_empty() { default.to_owned() } else { value.to_owned() }
}
