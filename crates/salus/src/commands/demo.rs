//! The demo from outside.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{config::Config, demo, store};

#[derive(Args)]
pub struct Arguments {
    /// The running server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Where the invoice, the NewRx, the FHIR bundle and the audit log go.
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// The password of the seeded accounts; the one in the server's data folder
    /// without it.
    #[arg(long, env = "SALUS_DEMO_PASSWORD")]
    password: Option<String>,
}

pub async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let here = config.data_dir.join(store::DEMO_PASSWORD).exists();
    let password = match arguments.password {
        Some(password) => password,
        None => store::demo_password(&config.data_dir)?,
    };
    let data_dir = here.then(|| config.data_dir.clone());
    let holds = demo::walk(&arguments.url, &arguments.out, password, data_dir).await?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
