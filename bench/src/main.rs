//! Benchmarks that anybody can run again with one command each; `README.md`
//! beside this says what they measure and what came out.
//!
//! A figure stands beside a floor that was measured in the same run on the
//! same machine, because a figure alone says more of the machine than of the
//! code.

mod decisions;
mod events;
mod intake;
mod measure;
mod reads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// With the allocator of glibc, allocation takes a tenth of the processor time of a read.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "salus-bench", about = "Measures Salus beside floors of the same run.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Eligibility decisions a second on one core; fails below 5,000.
    Decisions,
    /// Deliveries of events a second; fails below 10,000.
    Events(events::Options),
    /// From the submission of a form to its decision, over HTTP against a server
    /// and a PostgreSQL of its own; fails where a full table slows it.
    Intake(intake::Options),
    /// Audited readings and public lists a second, over HTTP; fails below 5,000 and
    /// 15,000.
    Reads(reads::Options),
    /// The server that `intake` and `reads` start.
    #[command(hide = true)]
    Serve(intake::serving::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match Cli::parse().command {
        Command::Decisions => decisions::run(),
        Command::Events(options) => runtime()?.block_on(events::run(options)),
        Command::Intake(options) => runtime()?.block_on(intake::run(options)),
        Command::Reads(options) => runtime()?.block_on(reads::run(options)),
        Command::Serve(options) => runtime()?.block_on(intake::serving::run(options)),
    }
}
