//! The vendors' emulators, for those vendors that the configuration wants
//! emulated or that a demo cannot reach: each is started on loopback, and the
//! configuration is pointed at it, so that the adapters that production uses
//! speak to it. Keys and secrets that the configuration has are the emulator's
//! too, so that a client outside can hold them; the others are made afresh at
//! every start.

#[cfg(feature = "demo")]
mod starting;

use std::path::Path;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Emulated},
    health::Vendor,
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
        for vendor in Emulated::ALL {
            let name = vendor.name();
            if !config.is_emulated(vendor) {
                emulators.vendors.push(Vendor { name, mode: "live", emulator: None, task: None });
                continue;
            }
            let url = emulators.start_one(config, vendor, &state, &callbacks)?;
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

    /// A production build has no emulators.
    #[cfg(not(feature = "demo"))]
    fn start_one(&self, _: &Config, vendor: Emulated, _: &Path, _: &str) -> anyhow::Result<String> {
        anyhow::bail!("this build has no emulator of {}", vendor.name())
    }
}
