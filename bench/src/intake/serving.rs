//! The server that is measured: what `salus serve --demo` runs, in a process of
//! its own, so that what it takes is told from what the clients take.

use std::{
    io::Read as _,
    num::NonZeroU32,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::Args;
use salus::{
    commands::serve,
    config::{Config, RateLimits, Smtp},
};

#[derive(Args)]
pub struct Options {
    #[arg(long)]
    data_dir: PathBuf,
    /// Where mail is handed over.
    #[arg(long)]
    mail_port: u16,
}

/// No limit that one machine reaches.
const UNLIMITED: NonZeroU32 = NonZeroU32::new(100_000_000).unwrap();

/// The configuration of a demo that differs where it would measure something
/// else: nobody is held to a rate, tokens outlive the run, and mails go to a
/// server that forgets them, because the emulator writes all that it keeps anew
/// with each.
pub fn config(data_dir: PathBuf, mail_port: u16) -> Config {
    let mut config = Config {
        data_dir,
        limits: RateLimits {
            anonymous: UNLIMITED,
            sign_in: UNLIMITED,
            free: UNLIMITED,
            basic: UNLIMITED,
            standard: UNLIMITED,
            premium: UNLIMITED,
            staff: UNLIMITED,
            client: UNLIMITED,
        },
        smtp: Smtp {
            host: "127.0.0.1".to_owned(),
            port: mail_port,
            security: "none".to_owned(),
            ..Smtp::default()
        },
        ..Config::default()
    };
    config.identity.access_token_minutes = 60;
    config.identity.staff_session.idle_minutes = 120;
    config.server.listen = "127.0.0.1:0".to_owned();
    config
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    stop_with_the_parent();
    let mut config = config(options.data_dir, options.mail_port);
    config.seed_demo()?;
    serve::run(config, None).await
}

/// Stops the server in good order once the benchmark is gone, however it ends:
/// only the benchmark holds the other end of the standard input.
fn stop_with_the_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let pid = std::process::id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
    });
}
