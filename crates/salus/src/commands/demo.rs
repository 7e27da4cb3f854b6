//! The demo from outside.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{config::Config, store};

#[derive(Args)]
pub struct Arguments {
    /// The running server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The server's internal address, as it prints it for `health`; on this
    /// machine at the port after that of the URL without it.
    #[arg(long)]
    internal: Option<String>,
    /// Where the invoice, the NewRx, the FHIR bundle and the audit log go.
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// The password of the seeded accounts; the one in the server's data folder
    /// without it.
    #[arg(long, env = "SALUS_DEMO_PASSWORD")]
    password: Option<String>,
}

pub async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let here = store::existing_demo_password(&config.data_dir);
    let data_dir = here.is_some().then(|| config.data_dir.clone());
    let Some(password) = arguments.password.or(here) else {
        anyhow::bail!(
            "there is no {} in {}; name the server's folder with --data-dir, or give the \
             password of its demo accounts with --password",
            store::DEMO_PASSWORD,
            config.data_dir.display()
        );
    };
    let mut client = walk::client::Client::new(&arguments.url)?;
    if let Some(internal) = arguments.internal {
        client.internal = internal.trim_end_matches('/').to_owned();
    }
    client.is_there().await?;
    let holds = walk::walk(store::env(), client, &arguments.out, password, data_dir).await?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
