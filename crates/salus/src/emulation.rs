//! The vendors' emulators, for those vendors that the configuration wants
//! emulated or that a demo cannot reach: each is started on loopback, and the
//! configuration is pointed at it, so that the adapters that production uses
//! speak to it. Keys and secrets that the configuration has are the emulator's
//! too, so that a client outside can hold them; the others are made afresh at
//! every start.

use std::{future::Future, net::TcpListener, path::Path, time::Duration};

use anyhow::Context as _;
use emulators::{easypost, opentok, pharmacy, smtp, state::private_folder, stripe};
use ports::Ids as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Emulated, Secret},
    health::Vendor,
    system::SystemIds,
};

pub struct Emulators {
    vendors: Vec<Vendor>,
    tasks: Vec<(&'static str, JoinHandle<anyhow::Result<()>>)>,
    shutdown: CancellationToken,
}

impl Emulators {
    pub async fn start(config: &mut Config, data_dir: &Path) -> anyhow::Result<Self> {
        let mut emulators =
            Self { vendors: Vec::new(), tasks: Vec::new(), shutdown: CancellationToken::new() };
        let callbacks = config.public_url();
        let state = data_dir.join("emulators");
        private_folder(&state).context("the emulators' folder")?;
        for vendor in Emulated::ALL {
            let name = vendor.name();
            if !config.is_emulated(vendor) {
                emulators.vendors.push(Vendor { name, mode: "live", emulator: None, task: None });
                continue;
            }
            let (listener, address) = listen()?;
            let stop = emulators.shutdown.clone();
            let url = match vendor {
                Emulated::Stripe => {
                    config.stripe.base_url = format!("http://{address}");
                    let settings = stripe::StripeConfig {
                        state_path: state.join("stripe.json"),
                        secret_key: keep_or_make(&mut config.stripe.secret_key, "sk_test_"),
                        webhook_url: Some(format!("{callbacks}/webhooks/stripe")),
                        webhook_secret: keep_or_make(&mut config.stripe.webhook_secret, "whsec_"),
                    };
                    emulators.run(name, stripe::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                Emulated::Erx => {
                    let erx = &mut config.erx;
                    erx.base_url = format!("https://{address}/script");
                    let password = keep_or_make(&mut erx.password, "");
                    let inbound = keep_or_make(&mut erx.inbound_password, "");
                    let user = keep_or(&mut erx.username, "salus");
                    let caller = keep_or(&mut erx.inbound_username, "pharmacy");
                    let folder = state.join("pharmacy");
                    pharmacy::root_ca(&folder).context("the pharmacy emulator's authority")?;
                    erx.ca_file = Some(folder.join("ca.pem"));
                    let settings = pharmacy::PharmacyConfig {
                        data_dir: folder,
                        authorization: basic(&user, &password),
                        callback_url: format!("{callbacks}/webhooks/erx"),
                        callback_authorization: basic(&caller, &inbound),
                        verify_after: Duration::from_millis(200),
                    };
                    emulators.run(name, pharmacy::serve(settings, listener, stop));
                    format!("https://{address}")
                }
                Emulated::OpenTok => {
                    config.opentok.base_url = format!("http://{address}");
                    let settings = opentok::OpenTokEmulatorConfig {
                        api_key: keep_or(&mut config.opentok.api_key, "47000001"),
                        api_secret: keep_or_make(&mut config.opentok.api_secret, ""),
                        callback_url: Some(format!("{callbacks}/webhooks/opentok")),
                        callback_secret: keep_or_make(&mut config.opentok.callback_secret, ""),
                        state: state.join("opentok.json"),
                    };
                    emulators.run(name, opentok::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                Emulated::EasyPost => {
                    config.easypost.base_url = format!("http://{address}");
                    let settings = easypost::EasyPostConfig {
                        state_path: state.join("easypost.json"),
                        api_key: keep_or_make(&mut config.easypost.api_key, "EZTK"),
                        webhook_url: Some(format!("{callbacks}/webhooks/easypost")),
                        webhook_secret: keep_or_make(&mut config.easypost.webhook_secret, ""),
                        advance_every: None,
                    };
                    emulators.run(name, easypost::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                Emulated::Smtp => {
                    let (control, control_address) = listen()?;
                    config.smtp.host = address.ip().to_string();
                    config.smtp.port = address.port();
                    config.smtp.security = "none".to_owned();
                    let mut settings = smtp::SmtpConfig::new(state.join("smtp.json"));
                    if !config.smtp.username.is_empty() {
                        let password = keep_or_make(&mut config.smtp.password, "");
                        settings.credentials = Some((config.smtp.username.clone(), password));
                    }
                    emulators.run(name, smtp::serve(settings, listener, control, stop));
                    format!("http://{control_address}")
                }
            };
            emulators.vendors.push(Vendor {
                name,
                mode: "emulator",
                emulator: Some(url),
                task: emulators.tasks.last().map(|(_, task)| task.abort_handle()),
            });
        }
        Ok(emulators)
    }

    pub fn vendors(&self) -> Vec<Vendor> {
        self.vendors.clone()
    }

    /// Stops them all; one that had failed says so.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for (vendor, task) in self.tasks {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(vendor, error = format!("{error:#}"), "an emulator failed")
                }
                Err(error) => tracing::error!(vendor, %error, "an emulator failed"),
            }
        }
    }

    fn run(
        &mut self,
        vendor: &'static str,
        emulator: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.push((vendor, tokio::spawn(emulator)));
    }
}

fn listen() -> anyhow::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("an address for an emulator")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The configured secret, or a fresh one that begins with `prefix`.
fn keep_or_make(configured: &mut Secret, prefix: &str) -> String {
    if configured.is_empty() {
        *configured = Secret::new(format!("{prefix}{}", secret()));
    }
    configured.expose().to_owned()
}

/// The configured value, or that one.
fn keep_or(configured: &mut String, value: &str) -> String {
    if configured.is_empty() {
        value.clone_into(configured);
    }
    configured.clone()
}

fn secret() -> String {
    SystemIds.secret()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_configured_is_kept_and_what_is_missing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut config =
            Config { emulators: vec![Emulated::Stripe, Emulated::EasyPost], ..Config::default() };
        config.demo.seed = true;
        config.stripe.secret_key = Secret::new("sk_test_configured");
        config.stripe.webhook_secret = Secret::new("whsec_configured");
        config.easypost.api_key = Secret::new("EZTK_configured");
        config.opentok.api_secret = Secret::new("a-project-secret");
        config.erx.username = "practice".to_owned();
        let emulators = Emulators::start(&mut config, folder.path()).await.unwrap();

        assert!(emulators.vendors.iter().all(|vendor| vendor.mode == "emulator"));
        assert_eq!(config.stripe.secret_key.expose(), "sk_test_configured");
        assert_eq!(config.stripe.webhook_secret.expose(), "whsec_configured");
        assert_eq!(config.easypost.api_key.expose(), "EZTK_configured");
        assert!(!config.easypost.webhook_secret.is_empty());
        assert_eq!(config.opentok.api_secret.expose(), "a-project-secret");
        assert_eq!(config.opentok.api_key, "47000001");
        assert_eq!(config.erx.username, "practice");
        assert!(!config.erx.password.is_empty());

        // The emulator itself goes by the configured key.
        let customers = format!("{}/v1/customers", config.stripe.base_url);
        let status = async |key: &str| {
            let call = reqwest::Client::new().get(&customers).bearer_auth(key);
            call.send().await.unwrap().status().as_u16()
        };
        assert_eq!(status("sk_test_configured").await, 200);
        assert_eq!(status("sk_test_another").await, 401);
        emulators.stop().await;
    }
}
