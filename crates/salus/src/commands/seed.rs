//! The demo data, created through the domain's own use cases; creating it
//! again changes nothing.

use std::process::ExitCode;

use crate::{
    config::{Config, Environment},
    store::{As, Foundation},
    wiring::identity_services,
};

pub async fn run(mut config: Config) -> anyhow::Result<ExitCode> {
    // A server takes an unset environment for production, so the seed does too
    // where the database is somebody's own.
    if !config.database.url.is_empty() && config.environment != Some(Environment::Development) {
        anyhow::bail!(
            "a database of your own is seeded with environment = \"development\" only: \
             the demo's staff could sign in to it"
        );
    }
    config.seed_demo()?;
    Foundation::within(&config, As::Setup, async |foundation| create(foundation, &config).await)
        .await?;
    super::print("the demo data is there\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Sows what each context needs of those before it.
pub async fn create(foundation: &Foundation, config: &Config) -> anyhow::Result<()> {
    let (env, pg) = (&foundation.env, &foundation.pg);
    let services = identity_services(config, foundation)?;
    seeds::identity::sow(&services, config.demo.password.expose()).await?;
    seeds::catalog::sow(pg).await?;
    seeds::intake::sow(env, pg).await?;
    seeds::care::sow(env, pg).await?;
    seeds::pharmacy::sow(pg).await?;
    seeds::inventory::sow(env, pg, pg).await?;
    Ok(())
}
