//! Where a node is: in a namespace of the host, or in one of a machine.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    LabError, Result, eventually,
    machine::{Machine, RemoteProgram},
};

/// Where programs of a node run.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The machine that the test itself runs on.
    Host,
    /// A guest.
    Machine(Machine),
}

impl Place {
    /// Runs a program to its end.
    pub(crate) fn output(&self, netns: &str, words: &[&str]) -> Result<Output> {
        match self {
            Self::Host => Ok(host_command(netns, words).stdin(Stdio::null()).output()?),
            Self::Machine(machine) => machine.output(netns, words),
        }
    }

    /// Starts a program whose outputs are appended to `log`.
    pub(crate) fn spawn(&self, netns: &str, words: &[&str], log: &Path) -> Result<Child> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        Ok(match self {
            Self::Host => Child::Host(
                host_command(netns, words)
                    .stdin(Stdio::null())
                    .stdout(output.try_clone()?)
                    .stderr(output)
                    .spawn()?,
            ),
            Self::Machine(machine) => Child::Machine(machine.spawn(netns, words, log, log)?),
        })
    }
}

/// `ip netns exec` replaces itself, so the child is the program.
fn host_command(netns: &str, words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns]).args(words);
    command
}

/// A program that was started.
#[derive(Debug)]
pub(crate) enum Child {
    Host(std::process::Child),
    Machine(RemoteProgram),
}

impl Child {
    /// Its process id, where it runs.
    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Host(child) => child.id(),
            Self::Machine(program) => program.pid(),
        }
    }

    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        match self {
            Self::Host(child) => Ok(child.try_wait()?),
            Self::Machine(program) => program.try_wait(),
        }
    }

    pub(crate) fn wait(&mut self, name: &str, timeout: Duration) -> Result<ExitStatus> {
        match self {
            Self::Host(child) => eventually(timeout, || {
                child
                    .try_wait()?
                    .ok_or_else(|| LabError::Unexpected(format!("{name} does not end")))
            }),
            Self::Machine(program) => program.wait(timeout),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result {
        match self {
            Self::Host(child) => {
                let pid = i32::try_from(child.id())
                    .map_err(|error| LabError::Unexpected(error.to_string()))?;
                Ok(kill(Pid::from_raw(pid), signal)?)
            }
            Self::Machine(program) => program.signal(signal),
        }
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result {
        match self {
            Self::Host(child) => {
                child.kill()?;
                child.wait()?;
                Ok(())
            }
            Self::Machine(program) => {
                program.signal(Signal::SIGKILL)?;
                program.wait(Duration::from_secs(10)).map(drop)
            }
        }
    }
}
