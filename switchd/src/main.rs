//! Arguments, logging, exit codes.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use platform::asic::KernelVersion;
use switchd::api::DEFAULT_SOCKET;
use switchd::check::{self, Request};
use switchd::config::Config;
use switchd::{bfd, daemon, demo, keeper};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Turns a Linux switch into an EVPN gateway: follows the kernel's bridges and VXLAN devices, speaks BGP, programs the
/// kernel, and says what the hardware took.
#[derive(Debug, Parser)]
#[command(name = "switchd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Configuration file.
    #[arg(long, default_value = "/etc/switchd/switchd.toml")]
    config: PathBuf,
    /// Socket of the API that switchctl uses.
    #[arg(long, default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration file, and whether the switch chip takes what the kernel holds, or what a command would make of
    /// it. Touches nothing: the command runs in a scratch network namespace.
    Check {
        /// The file. Without it, and without a command or --asic: /etc/switchd/switchd.toml.
        file: Option<PathBuf>,
        /// The switch chip that is meant, if not this machine's: spectrum, spectrum2, spectrum3, spectrum4, rocker, ...
        #[arg(long)]
        asic: Option<String>,
        /// The kernel that is meant, if not this machine's: 6.12.
        #[arg(long)]
        kernel: Option<KernelVersion>,
        /// A port of the chip, or several: swp1, swp1-32. Without it: all swp*, or with this machine's chip its ports.
        #[arg(long = "port", requires = "asic")]
        ports: Vec<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// What to try, after `--`: ip -batch FILE, ifup -a, sh setup.sh. Needs root.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Hold the sockets of BGP sessions while switchd restarts. switchd starts it itself.
    #[command(hide = true)]
    Keeper {
        /// Where switchd finds it.
        #[arg(long)]
        socket: PathBuf,
    },
    /// Run BFD while switchd works or restarts. switchd starts it itself.
    #[command(hide = true)]
    Bfd {
        /// Where switchd finds it.
        #[arg(long)]
        socket: PathBuf,
    },
    /// Show the main job: a fabric in network namespaces, two tenants, real pings. Needs root; cleans up after itself.
    Demo {
        /// Print the figures as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Check { file, asic, kernel, ports, json, command }) => {
            let request = Request { file, asic, kernel, ports, command };
            return check(&request, json);
        }
        Some(Command::Demo { json }) => demo::run(json).map_err(|error| error.to_string()),
        Some(Command::Keeper { socket }) => keeper::run(&socket).map_err(|error| error.to_string()),
        Some(Command::Bfd { socket }) => bfd::run(&socket).map_err(|error| error.to_string()),
        None => run(&arguments.config, &arguments.socket),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("switchd: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Exit status 1 also when something is found.
fn check(request: &Request, json: bool) -> ExitCode {
    match check::run(request) {
        Ok(report) => {
            if json {
                println!("{}", report.json());
            } else {
                print!("{}", report.text());
                if let Some(error) = report.file_error() {
                    eprintln!("switchd: {error}");
                }
            }
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("switchd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &std::path::Path, socket: &std::path::Path) -> Result<(), String> {
    let file = config;
    let config = Config::read(file).map_err(|error| error.to_string())?;
    start_logging();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(daemon::run(config, file, socket)).map_err(|error| error.to_string())
}

/// Under systemd to the journal, with fields and priorities; otherwise to standard error.
fn start_logging() {
    let filter = EnvFilter::try_from_env("SWITCHD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    match std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok()) {
        Some(journal) => registry.with(journal).init(),
        None => {
            let terminal = std::io::stderr().is_terminal();
            registry
                .with(
                    tracing_subscriber::fmt::layer()
                        .with_writer(std::io::stderr)
                        .with_ansi(terminal),
                )
                .init();
        }
    }
}
