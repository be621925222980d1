//! `switchd check`: is the configuration valid, and would the switch chip take what the kernel holds, or what a command
//! would make of it?
//!
//! Commands are not parsed. They are run, in a scratch network namespace with stand-ins for the ports, and what the kernel
//! then holds there is looked at: whatever tool it was, its meaning is what the kernel understood.

mod copy;
mod report;
mod scratch;

use std::ffi::OsString;
use std::path::PathBuf;

use platform::asic::{self, Driver, KernelVersion, Ports, Profile};
use platform::kernel::{Dataplane as _, KernelError, Model, Socket};

use crate::config::Config;
pub use report::{CommandOutcome, FileOutcome, Report};

/// Where switchd looks for its configuration.
pub const DEFAULT_FILE: &str = "/etc/switchd/switchd.toml";

/// What is to be checked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The configuration file; `None`: the usual one, if nothing else is asked for.
    pub file: Option<PathBuf>,
    /// The switch chip, instead of this machine's.
    pub asic: Option<String>,
    /// The kernel, instead of this machine's.
    pub kernel: Option<KernelVersion>,
    /// Its ports: `swp1`, `swp1-32`. Empty: those with a switch id; with `asic`, all `swp*`.
    pub ports: Vec<String>,
    /// What to run. Empty: look at what is there.
    pub command: Vec<OsString>,
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A chip that nothing is known of.
    #[error(
        "nothing is known of a switch chip '{0}'; known are spectrum, spectrum2, spectrum3, spectrum4, rocker, prestera, sparx5, netdevsim"
    )]
    UnknownAsic(String),
    /// There is no switch chip to ask for.
    #[error("this machine has no switch ASIC: say which one is meant, as in --asic spectrum2")]
    NoAsic,
    /// The kernel's version cannot be read.
    #[error("cannot tell which kernel this is: say which one is meant, as in --kernel 6.12")]
    NoKernel,
    /// Nothing would be a port.
    #[error("there are no ports: no link is named swp*; name them, as in --port swp1-32")]
    NoPorts,
    /// The kernel could not be asked.
    #[error("cannot read the kernel's tables: {0}")]
    Kernel(#[from] KernelError),
    /// No namespace to try commands in.
    #[error(
        "cannot make a scratch network namespace ({doing}): {errno}; this needs root (sudo) and a kernel with CONFIG_NET_NS"
    )]
    Scratch {
        /// What failed.
        doing: &'static str,
        /// Why.
        errno: nix::errno::Errno,
    },
    /// The command could not be started.
    #[error("cannot run '{command}': {error}")]
    Command {
        /// Its first word.
        command: String,
        /// Why.
        error: std::io::Error,
    },
    /// The thread that was to do it is gone.
    #[error("the check ended without an answer")]
    Lost,
}

/// Checks all that is asked for.
pub fn run(request: &Request) -> Result<Report, CheckError> {
    let file = check_file(request);
    let model = match Socket::open().and_then(|mut socket| socket.snapshot()) {
        Ok(model) => model,
        // A file can be checked where the kernel cannot be asked, for instance while an image is built.
        Err(_) if request.asic.is_none() && request.command.is_empty() => {
            return Ok(Report { file, ..Report::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let Some(profile) = profile(request, &model)? else {
        return Ok(Report { file, ..Report::default() });
    };
    let mut report = predict(&model, &profile);
    if !request.command.is_empty() {
        let trial = scratch::try_out(&model, &profile, &request.command)?;
        report = predict(&trial.model, &trial.profile);
        report.add(trial.too_early);
        report.command = Some(CommandOutcome {
            words: request.command.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
            status: trial.status.code(),
            not_copied: trial.not_copied,
        });
    }
    Ok(Report { file, ..report })
}

/// What a switch does not take of what the kernel holds. Pure: for the live model, and for one of a dump.
pub fn predict(model: &Model, profile: &Profile) -> Report {
    Report {
        profile: Some(profile.to_string()),
        violations: asic::violations(model, profile),
        ..Report::default()
    }
}

fn check_file(request: &Request) -> Option<FileOutcome> {
    let is_all = request.command.is_empty() && request.asic.is_none();
    let file = match &request.file {
        Some(file) => file.clone(),
        None if is_all => PathBuf::from(DEFAULT_FILE),
        None => return None,
    };
    let error = Config::read(&file).err().map(|error| error.to_string());
    Some(FileOutcome { file, error })
}

/// The chip to ask for; `None`: none, and none is asked for.
fn profile(request: &Request, model: &Model) -> Result<Option<Profile>, CheckError> {
    let here = asic::detect(model);
    let names: Vec<String> = request.ports.iter().flat_map(|port| expand(port)).collect();
    let mut profile = match (&request.asic, here) {
        (Some(name), here) => {
            let driver =
                Driver::named(name).ok_or_else(|| CheckError::UnknownAsic(name.clone()))?;
            let kernel =
                request.kernel.or_else(asic::kernel_version).ok_or(CheckError::NoKernel)?;
            let ports = match here {
                Some(_) if names.is_empty() => Ports::WithSwitchId,
                _ => Ports::Named(names.iter().cloned().collect()),
            };
            Profile::new(driver, kernel).with_ports(ports)
        }
        (None, Some(here)) => here,
        (None, None) if request.command.is_empty() => return Ok(None),
        (None, None) => return Err(CheckError::NoAsic),
    };
    if let Some(kernel) = request.kernel {
        profile = Profile { kernel, ..profile };
    }
    let has_ports = !names.is_empty() || model.links().any(|link| profile.ports.contains(link));
    if has_ports { Ok(Some(profile)) } else { Err(CheckError::NoPorts) }
}

/// `swp1-4` is swp1, swp2, swp3 and swp4. What is no such range is a name.
fn expand(port: &str) -> Vec<String> {
    let range = || {
        let (first, last) = port.split_once('-')?;
        let digits = first.len() - first.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (prefix, first) = first.split_at_checked(first.len() - digits)?;
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        let names = (first..=last).take(MAX_PORTS).map(|number| format!("{prefix}{number}"));
        Some(names.collect::<Vec<_>>())
    };
    range().filter(|names| !names.is_empty()).unwrap_or_else(|| vec![port.to_owned()])
}

const MAX_PORTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_may_be_given_as_ranges() {
        assert_eq!(expand("swp1-3"), ["swp1", "swp2", "swp3"]);
        assert_eq!(expand("swp5"), ["swp5"]);
        assert_eq!(expand("front-left"), ["front-left"]);
        assert_eq!(expand("swp3-1"), ["swp3-1"]);
        assert_eq!(expand("swp1-65535").len(), MAX_PORTS);
    }
}
