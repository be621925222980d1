//! The command line client of switchd.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use switchd::ctl;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match ctl::answer(ctl::Arguments::parse()).await {
        Ok(text) => {
            // A reader that went away (`| head`) is no failure of ours.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("switchctl: {error}");
            ExitCode::FAILURE
        }
    }
}
