//! switchd and switchctl, driven as an operator drives them: by their binaries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{LabError, Node, PATIENCE, Process, Result, ensure, eventually, node};

/// A running switchd.
#[derive(Debug)]
pub struct Switch {
    node: Node,
    config: PathBuf,
    process: Process,
}

impl Switch {
    /// Starts switchd in `node` with this configuration and waits until it answers switchctl.
    ///
    /// # Errors
    /// The binaries are missing, or switchd did not come up.
    pub fn start(node: &Node, config: &str) -> Result<Self> {
        let file = node.dir().join("switchd.toml");
        fs::write(&file, config)?;
        let process = spawn(node, &file)?;
        let mut switch = Self { node: node.clone(), config: file, process };
        switch.wait_until_ready()?;
        Ok(switch)
    }

    /// Where it runs.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What `switchctl show WHAT --json` prints.
    ///
    /// # Errors
    /// switchctl failed or printed no JSON.
    pub fn show(&self, what: &str) -> Result<Value> {
        ask(&self.node, &format!("show {what}"))
    }

    /// Writes another configuration, which nobody reads yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, config: &str) -> Result {
        Ok(fs::write(&self.config, config)?)
    }

    /// Gives it another configuration and has it read by `switchctl reload`; what that says.
    ///
    /// # Errors
    /// switchd refuses the file.
    pub fn reload(&self, config: &str) -> Result<String> {
        self.write_config(config)?;
        let output = switchctl(&self.node, &["reload"])?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "switchctl reload: {complaint}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Has it read its configuration again by SIGHUP.
    ///
    /// # Errors
    /// It is gone.
    pub fn hang_up(&self) -> Result {
        self.process.signal(Signal::SIGHUP)
    }

    /// Kills it in the middle of whatever it does.
    ///
    /// # Errors
    /// It was gone already.
    pub fn kill9(&mut self) -> Result {
        self.process.kill9()
    }

    /// Kills it together with whatever else it has started in its namespace.
    ///
    /// # Errors
    /// The processes cannot be listed.
    pub fn kill9_everything(&mut self) -> Result {
        self.kill9()?;
        let pids = self.node.run(&format!("ip netns pids {}", self.node.netns()))?;
        for pid in pids.split_whitespace() {
            // Gone meanwhile is as good.
            let name = self.node.run(&format!("cat /proc/{pid}/comm")).unwrap_or_default();
            if name.trim().starts_with("switchd") {
                self.node.run(&format!("kill -9 {pid}"))?;
            }
        }
        Ok(())
    }

    /// Ends it as systemd would.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate()
    }

    /// Starts it again, with the same configuration, and waits until it answers.
    ///
    /// # Errors
    /// It did not come up.
    pub fn restart(&mut self) -> Result {
        self.process = spawn(&self.node, &self.config)?;
        self.wait_until_ready()
    }

    /// Starts it again only to kill it `life` later, wherever it is by then.
    ///
    /// # Errors
    /// It could not be started.
    pub fn restart_for(&mut self, life: Duration) -> Result {
        self.process = spawn(&self.node, &self.config)?;
        // The moment of the kill is what the test is about: this waits for no condition.
        std::thread::sleep(life);
        self.process.kill9()
    }

    /// Fails when it has ended on its own.
    ///
    /// # Errors
    /// It has ended.
    pub fn ensure_running(&mut self) -> Result {
        self.process.ensure_running()
    }

    /// Everything it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.output()
    }

    fn wait_until_ready(&mut self) -> Result {
        // An ended daemon will not come up: say so at once.
        self.process.ensure_running()?;
        eventually(PATIENCE, || {
            let answer = self.show("evpn vni").map(drop);
            if answer.is_err() {
                self.process.ensure_running()?;
            }
            answer
        })
    }
}

/// What `switchctl WORDS --json` prints in `node`.
///
/// # Errors
/// switchctl failed or printed no JSON.
pub fn ask(node: &Node, words: &str) -> Result<Value> {
    let all: Vec<_> = words.split_whitespace().chain(["--json"]).collect();
    let output = switchctl(node, &all)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "switchctl {words}: {} {complaint}", output.status);
    node::parse(words, &String::from_utf8_lossy(&output.stdout))
}

/// Runs switchctl against the switchd of `node`, which need not be running.
///
/// # Errors
/// The binary is missing.
pub fn switchctl(node: &Node, words: &[&str]) -> Result<Output> {
    let (program, socket) = (binary("switchctl")?, socket(node));
    let mut all = vec![path(&program), "--socket", path(&socket)];
    all.extend_from_slice(words);
    node.output(&all)
}

/// Runs `switchd` with these arguments to its end, as `switchd check FILE` is meant to be run.
///
/// # Errors
/// The binary is missing.
pub fn switchd(node: &Node, words: &[&str]) -> Result<Output> {
    let program = binary("switchd")?;
    let mut all = vec![path(&program)];
    all.extend_from_slice(words);
    node.output(&all)
}

fn spawn(node: &Node, config: &Path) -> Result<Process> {
    let (program, socket) = (binary("switchd")?, socket(node));
    Process::start(
        node,
        "switchd",
        &[path(&program), "--config", path(config), "--socket", path(&socket)],
    )
}

fn socket(node: &Node) -> PathBuf {
    node.dir().join("switchd.sock")
}

/// `$SWITCHD_BIN`, or what cargo built beside the test that is running.
///
/// # Errors
/// It has not been built; the message says how.
pub fn binary(name: &str) -> Result<PathBuf> {
    let variable = format!("{}_BIN", name.to_uppercase());
    let built = || {
        let test = std::env::current_exe().ok()?;
        Some(test.parent()?.parent()?.join(name))
    };
    let file = std::env::var_os(&variable).map(PathBuf::from).or_else(built).unwrap_or_default();
    if file.is_file() {
        return Ok(file);
    }
    let file = file.display();
    Err(LabError::Missing(format!(
        "no {name} at {file}: run `cargo build -p switchd`, or set {variable}"
    )))
}

fn path(path: &Path) -> &str {
    // Paths come from a temporary directory and cargo: UTF-8 on every machine this runs on.
    path.to_str().unwrap_or_default()
}
