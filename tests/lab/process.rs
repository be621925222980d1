//! A daemon of the lab: started in a node, logged to a file, stopped by the test or with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{LabError, Node, Result, place::Child};

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in `node`; both of its outputs are appended to `<name>.log` in the node's directory.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(node: &Node, name: &str, words: &[&str]) -> Result<Self> {
        let log = node.dir().join(format!("{name}.log"));
        let child = node.place().spawn(node.netns(), words, &log)?;
        Ok(Self { name: format!("{} on {}", name, node.name()), child, log })
    }

    /// Its process id, in the machine it runs on.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Everything it has printed so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Fails when the program has ended on its own.
    ///
    /// # Errors
    /// It has ended; the message holds the last line of its log.
    pub fn ensure_running(&mut self) -> Result {
        if let Some(status) = self.child.try_wait()? {
            let said = self.output()?.lines().last().unwrap_or_default().to_owned();
            return Err(LabError::Ended { name: self.name.clone(), status, said });
        }
        Ok(())
    }

    /// Kills it in the middle of whatever it does, and waits until it is gone.
    ///
    /// # Errors
    /// There was no such process.
    pub fn kill9(&mut self) -> Result {
        self.child.kill()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// There was no such process.
    pub fn signal(&self, signal: Signal) -> Result {
        self.child.signal(signal)
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(Duration::from_secs(10))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It still runs after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.child.wait(&self.name, timeout)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.kill9();
    }
}
