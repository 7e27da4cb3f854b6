//! Starts the emulator of a vendor and points the configuration at it.

use std::{future::Future, net::TcpListener, path::Path, time::Duration};

use anyhow::Context as _;
use emulators::{easypost, opentok, pharmacy, smtp, stripe};
use ports::Ids as _;

use super::Emulators;
use crate::{
    config::{Config, Emulated, Secret},
    store::closed_folder,
    system::SystemIds,
};

impl Emulators {
    /// The address of the emulator's controls.
    pub(super) fn start_one(
        &mut self,
        config: &mut Config,
        vendor: Emulated,
        state: &Path,
        callbacks: &str,
    ) -> anyhow::Result<String> {
        closed_folder(state, 0o700)?;
        let (listener, address) = listen()?;
        let (name, stop) = (vendor.name(), self.shutdown.clone());
        Ok(match vendor {
            Emulated::Stripe => {
                config.stripe.base_url = format!("http://{address}");
                let settings = stripe::StripeConfig {
                    state_path: state.join("stripe.json"),
                    secret_key: keep_or_make(&mut config.stripe.secret_key, "sk_test_"),
                    webhook_url: Some(format!("{callbacks}/webhooks/stripe")),
                    webhook_secret: keep_or_make(&mut config.stripe.webhook_secret, "whsec_"),
                };
                self.run(name, stripe::serve(settings, listener, stop));
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
                self.run(name, pharmacy::serve(settings, listener, stop));
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
                self.run(name, opentok::serve(settings, listener, stop));
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
                self.run(name, easypost::serve(settings, listener, stop));
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
                self.run(name, smtp::serve(settings, listener, control, stop));
                format!("http://{control_address}")
            }
        })
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
