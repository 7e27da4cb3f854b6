//! Benchmarks that anybody can run again with one command:
//!
//! ```sh
//! cargo build --release --workspace --bin salus-bench && target/release/salus-bench decisions
//! ```
//!
//! A figure stands beside a floor that was measured in the same run on the
//! same machine, because a figure alone says more of the machine than of the
//! code.

mod decisions;
mod measure;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("decisions") => decisions::run(),
        _ => {
            eprintln!("usage: salus-bench decisions");
            Ok(ExitCode::FAILURE)
        }
    }
}
