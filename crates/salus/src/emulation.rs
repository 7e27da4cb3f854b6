//! The vendors' emulators, for those vendors that have no key: each is started
//! on loopback, and the configuration is pointed at it, so that the adapters
//! that production uses speak to it. Their keys and secrets are made afresh at
//! every start.

use std::{future::Future, net::TcpListener, path::Path, time::Duration};

use anyhow::Context as _;
use emulators::{easypost, opentok, pharmacy, smtp, stripe};
use ports::Ids as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Secret},
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
        let emulated = config.emulated();
        let callbacks = config.public_url();
        let state = data_dir.join("emulators");
        for vendor in ["stripe", "erx", "opentok", "easypost", "smtp"] {
            if !emulated.contains(&vendor) {
                emulators.vendors.push(Vendor { name: vendor, mode: "live", emulator: None });
                continue;
            }
            let (listener, address) = listen()?;
            let stop = emulators.shutdown.clone();
            let url = match vendor {
                "stripe" => {
                    let (key, secret) =
                        (format!("sk_test_{}", secret()), format!("whsec_{}", secret()));
                    config.stripe.base_url = format!("http://{address}");
                    config.stripe.secret_key = Secret::new(&key);
                    config.stripe.webhook_secret = Secret::new(&secret);
                    let settings = stripe::StripeConfig {
                        state_path: state.join("stripe.json"),
                        secret_key: key,
                        webhook_url: Some(format!("{callbacks}/webhooks/stripe")),
                        webhook_secret: secret,
                    };
                    emulators.run(vendor, stripe::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                "erx" => {
                    let (password, inbound) = (secret(), secret());
                    config.erx.base_url = format!("https://{address}/script");
                    config.erx.username = "salus".to_owned();
                    config.erx.password = Secret::new(&password);
                    config.erx.inbound_username = "pharmacy".to_owned();
                    config.erx.inbound_password = Secret::new(&inbound);
                    let folder = state.join("pharmacy");
                    pharmacy::root_ca(&folder).context("the pharmacy emulator's authority")?;
                    config.erx.ca_file = Some(folder.join("ca.pem"));
                    let settings = pharmacy::PharmacyConfig {
                        data_dir: folder,
                        authorization: basic("salus", &password),
                        callback_url: format!("{callbacks}/webhooks/erx"),
                        callback_authorization: basic("pharmacy", &inbound),
                        verify_after: Duration::from_millis(200),
                    };
                    emulators.run(vendor, pharmacy::serve(settings, listener, stop));
                    format!("https://{address}")
                }
                "opentok" => {
                    let (api_secret, callback_secret) = (secret(), secret());
                    config.opentok.base_url = format!("http://{address}");
                    config.opentok.api_key = "47000001".to_owned();
                    config.opentok.api_secret = Secret::new(&api_secret);
                    config.opentok.callback_secret = Secret::new(&callback_secret);
                    let settings = opentok::OpenTokEmulatorConfig {
                        api_key: config.opentok.api_key.clone(),
                        api_secret,
                        callback_url: Some(format!("{callbacks}/webhooks/opentok")),
                        callback_secret,
                        state: state.join("opentok.json"),
                    };
                    emulators.run(vendor, opentok::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                "easypost" => {
                    let (key, secret) = (format!("EZTK{}", secret()), secret());
                    config.easypost.base_url = format!("http://{address}");
                    config.easypost.api_key = Secret::new(&key);
                    config.easypost.webhook_secret = Secret::new(&secret);
                    let settings = easypost::EasyPostConfig {
                        state_path: state.join("easypost.json"),
                        api_key: key,
                        webhook_url: Some(format!("{callbacks}/webhooks/easypost")),
                        webhook_secret: secret,
                        advance_every: None,
                    };
                    emulators.run(vendor, easypost::serve(settings, listener, stop));
                    format!("http://{address}")
                }
                _ => {
                    let (control, control_address) = listen()?;
                    config.smtp.host = address.ip().to_string();
                    config.smtp.port = address.port();
                    config.smtp.security = "none".to_owned();
                    let settings = smtp::SmtpConfig::new(state.join("smtp.json"));
                    emulators.run(vendor, smtp::serve(settings, listener, control, stop));
                    format!("http://{control_address}")
                }
            };
            emulators.vendors.push(Vendor { name: vendor, mode: "emulator", emulator: Some(url) });
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

fn secret() -> String {
    SystemIds.secret()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}
