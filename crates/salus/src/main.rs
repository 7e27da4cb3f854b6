//! The `salus` command.

use std::{path::PathBuf, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use salus::{commands, config::Config};

/// With the allocator of glibc, allocation takes a tenth of the processor time of a read.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "The backend of a subscription telehealth company")]
struct Cli {
    /// A TOML file; `salus.toml` in the working folder without it.
    #[arg(long, global = true, env = "SALUS_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything that Salus keeps on disk lies.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        /// The port on the loopback interface; `server.listen` without it.
        #[arg(long)]
        port: Option<u16>,
        #[cfg(feature = "demo")]
        /// Seed demo data; the password of the seeded accounts is kept in the
        /// data folder unless SALUS_DEMO_PASSWORD gives one.
        #[arg(long)]
        demo: bool,
    },
    #[cfg(feature = "demo")]
    /// Walk patients through the whole journey against a running server.
    Demo(commands::demo::Arguments),
    #[cfg(feature = "demo")]
    /// Create the demo data.
    Seed,
    /// Print the configuration in force, without its secrets.
    Config,
    /// Bring the schema up to date, or take steps back.
    Migrate {
        /// How many of the newest steps to take back.
        #[arg(long)]
        down: Option<u32>,
    },
    /// Administrators.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// The audit log.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// What eligibility decided.
    Decisions {
        #[command(subcommand)]
        command: DecisionsCommand,
    },
    /// What handlers have not been told yet.
    Deliveries {
        #[command(subcommand)]
        command: DeliveriesCommand,
    },
    /// The keys that seal PHI.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Print which role holds which permission, as the database has it.
    Permissions,
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Create the first administrator; refused while an active one exists.
    Create(commands::admin::Arguments),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Prove the chain, or name the first broken entry and fail.
    Verify,
}

#[derive(Subcommand)]
enum DecisionsCommand {
    /// Decide every stored assessment once more; name those that come out
    /// otherwise, and fail when there are any.
    Replay,
}

#[derive(Subcommand)]
enum DeliveriesCommand {
    /// Retry dead letters: deliveries that failed 25 times.
    Replay {
        /// Only those to this handler.
        #[arg(long)]
        handler: Option<String>,
    },
    /// Deliver events of the past to one handler, such as one that an upgrade added.
    Backfill {
        /// Its name, as `job_runs_total` has it.
        handler: String,
        /// The first moment, as in 2026-11-29T00:00:00Z.
        #[arg(long)]
        since: DateTime<Utc>,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Seal with a new key from now on; what older keys sealed still opens.
    Rotate,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("salus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(cli.config)?;
    if let Some(data_dir) = cli.data_dir {
        config.data_dir = data_dir;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        match cli.command {
            #[cfg(feature = "demo")]
            Command::Serve { port, demo } => {
                if demo {
                    config.seed_demo()?;
                }
                commands::serve::run(config, port).await
            }
            #[cfg(not(feature = "demo"))]
            Command::Serve { port } => commands::serve::run(config, port).await,
            #[cfg(feature = "demo")]
            Command::Demo(arguments) => commands::demo::run(config, arguments).await,
            #[cfg(feature = "demo")]
            Command::Seed => commands::seed::run(config).await,
            Command::Config => commands::config(&config),
            Command::Migrate { down } => commands::migrate(config, down).await,
            Command::Admin { command: AdminCommand::Create(arguments) } => {
                commands::admin::create(config, arguments).await
            }
            Command::Audit { command: AuditCommand::Verify } => {
                commands::audit_verify(config).await
            }
            Command::Decisions { command: DecisionsCommand::Replay } => {
                commands::decisions_replay(config).await
            }
            Command::Deliveries { command: DeliveriesCommand::Replay { handler } } => {
                commands::deliveries_replay(config, handler).await
            }
            Command::Deliveries { command: DeliveriesCommand::Backfill { handler, since } } => {
                commands::deliveries_backfill(config, handler, since).await
            }
            Command::Keys { command: KeysCommand::Rotate } => commands::keys_rotate(&config),
            Command::Permissions => commands::permissions(config).await,
            Command::Openapi => commands::openapi(),
        }
    })
}
