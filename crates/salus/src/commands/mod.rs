//! The commands, one module each where one is more than a few lines.

pub mod demo;
pub mod seed;
pub mod serve;

use std::process::ExitCode;

use anyhow::Context as _;
use kernel::Actor;
use postgres::Pg;

use crate::{
    config::Config,
    store::{As, Foundation},
    wiring::Operations,
};

pub fn config(config: &Config) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(config)?);
    Ok(ExitCode::SUCCESS)
}

pub async fn migrate(config: Config, down: Option<u32>) -> anyhow::Result<ExitCode> {
    let foundation = Foundation::open(&config, As::Command).await?;
    match down {
        Some(steps) => Pg::migrate_down(foundation.pg.pool(), Some(steps)).await?,
        None => Pg::migrate(foundation.pg.pool()).await?,
    }
    let state = Pg::migration_state(foundation.pg.pool()).await?;
    println!("{} migrations applied, {} pending", state.applied, state.pending.len());
    foundation.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub fn keys_rotate(config: &Config) -> anyhow::Result<ExitCode> {
    let keyring = keyring::Keyring::open_or_create(config.data_dir.join("keys"))
        .context("opening the key ring")?;
    let active = keyring.rotate()?;
    println!(
        "sealing with key {active} from the server's next start on; {} keys open",
        keyring.key_ids().len()
    );
    Ok(ExitCode::SUCCESS)
}

pub async fn audit_verify(config: Config) -> anyhow::Result<ExitCode> {
    let foundation = Foundation::open(&config, As::Command).await?;
    let report = compliance::verify::verify(&foundation.pg, foundation.objects.as_ref()).await?;
    println!("{report}");
    let sound = report.is_intact();
    foundation.close().await?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many decisions are held in memory at a time.
const REPLAY_BATCH: u32 = 100;

pub async fn decisions_replay(config: Config) -> anyhow::Result<ExitCode> {
    let foundation = Foundation::open(&config, As::Command).await?;
    let actor = Actor::system("commands.decisions_replay");
    let (mut after, mut total, mut different) = (None, 0_u64, 0_u64);
    loop {
        let replays = care::rules::replay_next(&foundation.pg, &actor, after, REPLAY_BATCH).await?;
        let Some(last) = replays.last() else { break };
        after = Some(last.assessment);
        total += replays.len() as u64;
        for replay in replays.iter().filter(|replay| !replay.is_same()) {
            different += 1;
            println!(
                "{} was {} and is {}; rules that differ: {}; rules as published: {}",
                replay.assessment,
                <&str>::from(replay.stored.outcome),
                <&str>::from(replay.replayed.outcome),
                replay.differing_rules.join(", "),
                replay.rules_as_published,
            );
        }
    }
    println!("{total} decisions decided again, {different} come out otherwise");
    foundation.close().await?;
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the permission matrix as the database has it.
pub async fn permissions(config: Config) -> anyhow::Result<ExitCode> {
    let foundation = Foundation::open(&config, As::Command).await?;
    let services = crate::wiring::identity_services(&config, &foundation)?;
    let actor = Actor::system("commands.permissions");
    let matrix = identity::roles::matrix(&services, &actor).await?;
    print!("{}", matrix.to_markdown());
    foundation.close().await?;
    Ok(ExitCode::SUCCESS)
}

pub fn openapi() -> anyhow::Result<ExitCode> {
    print!("{}", rest::surface::document::<Operations>());
    Ok(ExitCode::SUCCESS)
}
