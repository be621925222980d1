//! A network namespace and what runs in it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::{LabError, Result, machine::Machine, place::Place};

/// One device of the lab: a network namespace, on the host or in a machine, with a directory for its daemons' files.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    place: Place,
    netns: String,
    dir: PathBuf,
}

impl Node {
    pub(crate) fn create(name: &str, prefix: &str, lab_dir: &Path) -> Result<Self> {
        let netns = format!("{prefix}{name}");
        let dir = lab_dir.join(name);
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        host(&format!("ip netns add {netns}"))?;
        let node = Self { name: name.into(), place: Place::Host, netns, dir };
        node.prepare()?;
        Ok(node)
    }

    /// A namespace that exists in a machine.
    pub(crate) fn of_machine(name: &str, machine: &Machine, netns: &str, dir: PathBuf) -> Self {
        Self { name: name.into(), place: Place::Machine(machine.clone()), netns: netns.into(), dir }
    }

    /// What every namespace has: a loopback that is up, and forwarding.
    pub(crate) fn prepare(&self) -> Result {
        self.run("ip link set lo up")?;
        self.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")?;
        Ok(())
    }

    /// The name given by the test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace's name as iproute2 knows it.
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// The machine it is in, unless it is on the host.
    pub fn machine(&self) -> Option<&Machine> {
        match &self.place {
            Place::Host => None,
            Place::Machine(machine) => Some(machine),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where this node's daemons keep their files; the same path on the host and in a machine.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command line (words separated by blanks) and returns what it printed.
    ///
    /// # Errors
    /// It could not be started or did not exit with 0.
    pub fn run(&self, command: &str) -> Result<String> {
        self.run_words(&command.split_whitespace().collect::<Vec<_>>())
    }

    /// As [`Node::run`], for arguments that contain blanks.
    ///
    /// # Errors
    /// It could not be started or did not exit with 0.
    pub fn run_words(&self, words: &[&str]) -> Result<String> {
        checked(&self.name, words, self.output(words)?)
    }

    /// Runs a command and returns status and output, whatever they are.
    ///
    /// # Errors
    /// It could not be started.
    pub fn output(&self, words: &[&str]) -> Result<Output> {
        self.place.output(&self.netns, words)
    }

    /// Has `ip` or `bridge` do many commands in one process, one a line. In a machine each process costs a tenth of a
    /// second.
    ///
    /// # Errors
    /// One of them failed; the message names its line.
    pub fn batch(&self, tool: &str, commands: &str) -> Result {
        let file = self.dir.join(format!("{tool}.batch"));
        fs::write(&file, commands)?;
        self.run(&format!("{tool} -batch {}", file.display())).map(drop)
    }

    /// Runs a command that prints JSON. No output counts as `null`, as iproute2 means it.
    ///
    /// # Errors
    /// It failed, or printed something else.
    pub fn json(&self, command: &str) -> Result<Value> {
        parse(command, &self.run(command)?)
    }
}

/// Parses what `what` printed.
pub(crate) fn parse(what: &str, text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|error| LabError::Json {
        what: what.into(),
        error,
        text: text.into(),
    })
}

/// Runs a command line in the namespace the test itself is in.
pub(crate) fn host(command: &str) -> Result<String> {
    let words: Vec<_> = command.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output()?;
    checked("host", &words, output)
}

/// What a command printed, provided that it ended with 0.
pub(crate) fn checked(node: &str, words: &[&str], output: Output) -> Result<String> {
    if !output.status.success() {
        let mut stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if stderr.is_empty() {
            stderr = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        }
        return Err(LabError::Command {
            node: node.into(),
            command: words.join(" "),
            status: output.status,
            stderr,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the namespaces of one lab begin with: the process that owns them, and which of its labs.
pub(crate) fn prefix(pid: u32, lab: u32) -> String {
    format!("{FAMILY}{pid}-{lab}-")
}

/// Removes the namespaces of runs whose process is gone.
pub(crate) fn sweep_dead_runs() -> Result {
    for netns in list()? {
        let owner = netns.strip_prefix(FAMILY).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&netns);
        }
    }
    Ok(())
}

/// Removes every namespace whose name begins with `prefix`.
pub(crate) fn remove_all(prefix: &str) {
    for netns in list().unwrap_or_default().iter().filter(|netns| netns.starts_with(prefix)) {
        remove(netns);
    }
}

/// Ends what still runs in a namespace and deletes it. Errors mean that someone else was faster.
fn remove(netns: &str) {
    for pid in host(&format!("ip netns pids {netns}")).unwrap_or_default().split_whitespace() {
        let _ = host(&format!("kill -9 {pid}"));
    }
    let _ = host(&format!("ip netns del {netns}"));
}

fn list() -> Result<Vec<String>> {
    let text = host("ip netns list")?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect())
}

const FAMILY: &str = "switchd-lab-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lab;

    #[test]
    fn what_a_killed_run_left_behind_is_swept_by_the_next_one() {
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let leftover = format!("{}leaf", prefix(dead.id(), 0));
        host(&format!("ip netns add {leftover}")).unwrap();
        Lab::run(|_| Ok(())).unwrap();
        assert!(!list().unwrap().contains(&leftover));
    }

    #[test]
    fn nothing_of_a_lab_is_left_when_it_ends() {
        let mut netns = String::new();
        Lab::run(|lab| {
            let node = lab.node("leaf")?;
            netns = node.netns().to_owned();
            // Forgotten on purpose: whatever runs in the namespace goes with it.
            std::mem::forget(crate::Process::start(&node, "sleep", &["sleep", "1000"])?);
            Ok(())
        })
        .unwrap();
        assert!(!netns.is_empty());
        assert!(!list().unwrap().contains(&netns));
    }
}
