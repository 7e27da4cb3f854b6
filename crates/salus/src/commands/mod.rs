//! The commands, one module each where one is more than a few lines.

pub mod admin;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod seed;
pub mod serve;

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use kernel::Actor;

use crate::{
    config::Config,
    store::{self, As, Foundation},
    wiring::Operations,
};

/// Writes what a command prints. Whoever reads it may stop reading, as `head`
/// does, which is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write as _};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub fn config(config: &Config) -> anyhow::Result<ExitCode> {
    print(&format!("{}\n", serde_json::to_string_pretty(config)?))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn migrate(config: Config, down: Option<u32>) -> anyhow::Result<ExitCode> {
    let state = Foundation::within(&config, As::Owner, async |foundation| {
        match down {
            Some(steps) => {
                postgres::core::Pg::migrate_down(foundation.pg.pool(), Some(steps)).await?
            }
            None => store::migrate(foundation.pg.pool(), &config.database.server_role).await?,
        }
        Ok(postgres::core::Pg::migration_state(foundation.pg.pool()).await?)
    })
    .await?;
    print(&format!("{} migrations applied, {} pending\n", state.applied, state.pending.len()))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn deliveries_replay(
    config: Config,
    handler: Option<String>,
) -> anyhow::Result<ExitCode> {
    let replayed = Foundation::within(&config, As::Command, async |foundation| {
        Ok(foundation.pg.replay_deliveries(handler.as_deref()).await?)
    })
    .await?;
    print(&format!("{replayed} deliveries are tried again\n"))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn deliveries_backfill(
    config: Config,
    handler: String,
    since: DateTime<Utc>,
) -> anyhow::Result<ExitCode> {
    let listed = Foundation::within(&config, As::Command, async |foundation| {
        Ok(foundation.pg.backfill_deliveries(&handler, since).await?)
    })
    .await?;
    print(&format!("{listed} deliveries to {handler} are created\n"))?;
    Ok(ExitCode::SUCCESS)
}

pub fn keys_rotate(config: &Config) -> anyhow::Result<ExitCode> {
    let folder = config.data_dir.join("keys");
    if !folder.exists() {
        anyhow::bail!(
            "there are no keys in {}; name the server's folder with --data-dir",
            config.data_dir.display()
        );
    }
    let keyring = keyring::Keyring::open_or_create(folder).context("opening the key ring")?;
    let active = keyring.rotate()?;
    print(&format!(
        "sealing with key {active} from the server's next start on; {} keys open\n",
        keyring.key_ids().len()
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub async fn audit_verify(config: Config) -> anyhow::Result<ExitCode> {
    let report = Foundation::within(&config, As::Command, async |foundation| {
        let (objects, keys) = (foundation.objects.as_ref(), foundation.keyring.as_ref());
        Ok(compliance::verify::verify(&foundation.pg, objects, keys).await?)
    })
    .await?;
    print(&format!("{report}\n"))?;
    Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many decisions are held in memory at a time.
const REPLAY_BATCH: u32 = 100;

pub async fn decisions_replay(config: Config) -> anyhow::Result<ExitCode> {
    let same = Foundation::within(&config, As::Command, async |foundation| {
        let actor = Actor::system("commands.decisions_replay");
        let (mut after, mut total, mut different) = (None, 0_u64, 0_u64);
        loop {
            let replays =
                care::rules::replay_next(&foundation.pg, &actor, after, REPLAY_BATCH).await?;
            let Some(last) = replays.last() else { break };
            after = Some(last.assessment);
            total += replays.len() as u64;
            for replay in replays.iter().filter(|replay| !replay.is_same()) {
                different += 1;
                print(&format!(
                    "{} was {} and is {}; rules that differ: {}; rules as published: {}\n",
                    replay.assessment,
                    <&str>::from(replay.stored.outcome),
                    <&str>::from(replay.replayed.outcome),
                    replay.differing_rules.join(", "),
                    replay.rules_as_published,
                ))?;
            }
        }
        print(&format!("{total} decisions decided again, {different} come out otherwise\n"))?;
        Ok(different == 0)
    })
    .await?;
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the permission matrix as the database has it.
pub async fn permissions(config: Config) -> anyhow::Result<ExitCode> {
    let matrix = Foundation::within(&config, As::Command, async |foundation| {
        let services = crate::wiring::identity_services(&config, foundation)?;
        Ok(identity::roles::matrix(&services, &Actor::system("commands.permissions")).await?)
    })
    .await?;
    print(&matrix.to_markdown())?;
    Ok(ExitCode::SUCCESS)
}

pub fn openapi() -> anyhow::Result<ExitCode> {
    print(&rest::surface::document::<Operations>())?;
    Ok(ExitCode::SUCCESS)
}
