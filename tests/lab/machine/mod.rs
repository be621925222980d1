//! Machines: QEMU guests with emulated switch hardware, used like namespaces.
//!
//! A machine boots Debian's kernel in some 4 s under TCG, with the host's files as its root (read-only, a layer in memory
//! on top), so every program of the host runs in it as it is. The lab's directory is shared, writable, at the same path:
//! configurations, sockets' names, logs and outputs are where they are for a namespace.
//!
//! [`Machine::switch`] is the machine's own namespace, which holds the front panel ports; [`Machine::node`] makes more
//! namespaces in it. Both are [`Node`]s like any other, and [`Lab::link`](crate::Lab::link) joins any two.

mod cable;
mod chip;
mod conversation;
mod hardware;
mod image;
mod probe;
pub mod protocol;
mod qemu;
mod qmp;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

pub(crate) use cable::{End, plug, probe};
pub use chip::{RockerTable, SpectrumTable};
pub use conversation::RemoteProgram;
pub use hardware::{Chip, Hardware};
pub use probe::{Frame, Probe};

use crate::{LabError, Node, PATIENCE, Result, ensure, eventually, node, require};
use {conversation::Conversation, image::Image, protocol::Request, qemu::Qemu, qmp::Qmp};

/// The name of a machine's own network namespace.
pub const SWITCH_NETNS: &str = "switch";

/// A booting or running machine. Clones are the same machine.
#[derive(Clone, Debug)]
pub struct Machine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    number: u8,
    dir: PathBuf,
    hardware: Hardware,
    conversation: Conversation,
    qemu: Mutex<Option<Qemu>>,
    qmp: Mutex<Option<Qmp>>,
    /// Whether the hardware has been set up; held while it is.
    up: Mutex<bool>,
    patience: Mutex<Duration>,
    next_nic: AtomicUsize,
    next_output: AtomicUsize,
    /// A complaint of the kernel that a test has provoked on purpose is not counted.
    forgiven: AtomicBool,
}

impl Machine {
    /// Starts to boot; returns at once, so that several machines boot together.
    pub(crate) fn boot(name: &str, number: u8, lab_dir: &Path, hardware: Hardware) -> Result<Self> {
        require(&["qemu-system-x86_64", "setpriv"])?;
        let image = Image::find()?;
        let dir = lab_dir.join(name);
        fs::create_dir(&dir)?;
        let agent = agent()?;
        let plan = qemu::Plan {
            name,
            number,
            dir: &dir,
            lab_dir,
            agent: &agent,
            hardware: &hardware,
            sockets: SOCKETS,
        };
        let qemu = Qemu::start(&plan, &image)?;
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                number,
                conversation: qemu.conversation.clone(),
                dir,
                hardware,
                qemu: Mutex::new(Some(qemu)),
                qmp: Mutex::default(),
                up: Mutex::new(false),
                patience: Mutex::new(COMMAND_TIMEOUT),
                next_nic: AtomicUsize::new(0),
                next_output: AtomicUsize::new(0),
                forgiven: AtomicBool::new(false),
            }),
        })
    }

    /// The name given by the test.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What it has.
    pub fn hardware(&self) -> &Hardware {
        &self.inner.hardware
    }

    /// Waits until it has booted and its hardware is there; everything that uses a machine does that by itself.
    ///
    /// # Errors
    /// It does not come up, or its driver does not load.
    pub fn wait_until_up(&self) -> Result {
        let mut up = self.inner.up.lock().unwrap_or_else(PoisonError::into_inner);
        if *up {
            return Ok(());
        }
        self.inner.conversation.wait_until_ready(BOOT_TIMEOUT)?;
        let setup = BASICS.to_owned() + &self.hardware().setup(self.number()).unwrap_or_default();
        let words = ["sh", "-c", &setup];
        node::checked(&self.inner.name, &words, self.output_once_up(SWITCH_NETNS, &words)?)?;
        *up = true;
        Ok(())
    }

    /// Sets how long a command may take from here on; a driver that hangs with the RTNL lock hangs every command.
    pub fn set_patience(&self, patience: Duration) {
        *self.inner.patience.lock().unwrap_or_else(PoisonError::into_inner) = patience;
    }

    /// The machine's own namespace: the switch, with its front panel ports.
    pub fn switch(&self) -> Node {
        Node::of_machine(&self.inner.name, self, SWITCH_NETNS, self.inner.dir.clone())
    }

    /// A new namespace in the machine.
    ///
    /// # Errors
    /// It could not be made.
    pub fn node(&self, name: &str) -> Result<Node> {
        let dir = self.inner.dir.join(name);
        fs::create_dir(&dir)?;
        self.switch().run(&format!("ip netns add {name}"))?;
        let node = Node::of_machine(name, self, name, dir);
        node.prepare()?;
        Ok(node)
    }

    /// Runs a shell script in the machine's own namespace and returns what it printed.
    ///
    /// # Errors
    /// It did not end with 0.
    pub fn shell(&self, script: &str) -> Result<String> {
        self.switch().run_words(&["sh", "-c", script])
    }

    /// Starts a program in a namespace of the machine; its output is appended to files that both sides see.
    pub(crate) fn spawn(
        &self,
        netns: &str,
        words: &[&str],
        stdout: &Path,
        stderr: &Path,
    ) -> Result<RemoteProgram> {
        self.wait_until_up()?;
        self.spawn_once_up(netns, words, stdout, stderr)
    }

    fn spawn_once_up(
        &self,
        netns: &str,
        words: &[&str],
        stdout: &Path,
        stderr: &Path,
    ) -> Result<RemoteProgram> {
        self.inner.conversation.start_program(|id| Request::Run {
            id,
            netns: (netns != SWITCH_NETNS).then(|| netns.into()),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    /// Runs a program to its end.
    pub(crate) fn output(&self, netns: &str, words: &[&str]) -> Result<Output> {
        self.wait_until_up()?;
        self.output_once_up(netns, words)
    }

    fn output_once_up(&self, netns: &str, words: &[&str]) -> Result<Output> {
        let patience = *self.inner.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.inner.next_output.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| self.inner.dir.join(format!("command-{number}.{what}"));
        let (stdout, stderr) = (file("out"), file("err"));
        fs::write(&stdout, "")?;
        fs::write(&stderr, "")?;
        let ended =
            self.spawn_once_up(netns, words, &stdout, &stderr).and_then(|run| run.wait(patience));
        let output = (fs::read(&stdout)?, fs::read(&stderr)?);
        fs::remove_file(&stdout)?;
        fs::remove_file(&stderr)?;
        self.record(netns, words, &ended, &output)?;
        let status = ended.map_err(|error| match error {
            LabError::Machine { name, problem } => {
                LabError::Machine { name, problem: format!("`{}`: {problem}", words.join(" ")) }
            }
            other => other,
        })?;
        Ok(Output { status, stdout: output.0, stderr: output.1 })
    }

    /// Asks or tells QEMU something.
    ///
    /// # Errors
    /// QEMU refuses.
    pub fn qmp(&self, command: &str, arguments: &Value) -> Result<Value> {
        self.wait_until_up()?;
        let mut qmp = self.inner.qmp.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = match qmp.take() {
            Some(connected) => connected,
            None => Qmp::connect(&self.inner.dir.join("qmp.sock"))?,
        };
        qmp.insert(connected).execute(command, arguments)
    }

    /// Says that the kernel is made to complain from here on: its words no longer fail the test.
    pub fn forgive_complaints(&self) {
        self.inner.forgiven.store(true, Ordering::Relaxed);
    }

    /// What its kernel complained about until now, if it did.
    pub(crate) fn complaint(&self) -> Option<LabError> {
        if self.inner.forgiven.load(Ordering::Relaxed) {
            return None;
        }
        let problem = self.inner.conversation.troubled().or_else(|| self.last_words())?;
        Some(LabError::Machine { name: self.inner.name.clone(), problem })
    }

    /// What the kernel said last, of which the agent's word may still be on its way: a mark in the kernel's log comes after
    /// all of it.
    fn last_words(&self) -> Option<String> {
        if !*self.inner.up.lock().unwrap_or_else(PoisonError::into_inner) {
            return None;
        }
        let log = self.inner.dir.join("kernel.log");
        let marked = || {
            let text = fs::read_to_string(&log)?;
            ensure!(text.contains(LAST_MARK), "{} has no mark", log.display());
            Ok(text)
        };
        let mark = format!("echo '{LAST_MARK}' >/dev/kmsg");
        match self.shell(&mark).and_then(|_| eventually(PATIENCE, marked)) {
            Ok(text) => text.lines().find(|line| protocol::is_complaint(line)).map(String::from),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Pulls its plug, before the test ends: another machine may want the core.
    ///
    /// # Errors
    /// Its kernel had complained.
    pub fn shutdown(&self) -> Result {
        let complaint = self.complaint();
        // From here on its end is no news.
        self.forgive_complaints();
        self.inner.qemu.lock().unwrap_or_else(PoisonError::into_inner).take();
        complaint.map_or(Ok(()), Err)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    fn number(&self) -> u8 {
        self.inner.number
    }

    fn sockets(&self) -> usize {
        SOCKETS
    }

    fn next_nic(&self) -> usize {
        self.inner.next_nic.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a backend (a `netdev_add` without its id) at the other end of a port's hub.
    fn plug(&self, port: &cable::Port, backend: &Value) -> Result {
        let id = format!("{}-far", port.netdev);
        let mut backend = backend.clone();
        backend["id"] = id.clone().into();
        self.qmp("netdev_add", &backend)?;
        let hub = json!({
            "type": "hubport", "id": format!("{id}-hub"), "hubid": port.hub, "netdev": id,
        });
        self.qmp("netdev_add", &hub).map(drop)
    }

    fn cable_path(&self, port: &cable::Port) -> String {
        self.inner.dir.join(format!("{}.cable", port.netdev)).display().to_string()
    }

    /// Unique on the host until it is moved and renamed.
    fn tap_name(&self, port: &cable::Port) -> String {
        let pid = self.inner.qemu.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = pid.as_ref().map_or(0, Qemu::pid);
        format!("t{pid}-{}", port.hub)
    }

    /// Keeps what was run and what came of it, for whoever reads a failure.
    fn record(
        &self,
        netns: &str,
        words: &[&str],
        ended: &Result<std::process::ExitStatus>,
        output: &(Vec<u8>, Vec<u8>),
    ) -> Result {
        use std::io::Write;
        let file = self.inner.dir.join("commands.log");
        let mut log = fs::OpenOptions::new().create(true).append(true).open(file)?;
        let how = match ended {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        writeln!(log, "[{netns}] $ {}   ({how})", words.join(" "))?;
        log.write_all(&output.0)?;
        Ok(log.write_all(&output.1)?)
    }
}

/// The agent that cargo built with the test.
fn agent() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let built = test.parent().and_then(Path::parent).map(|dir| dir.join("lab-agent"));
    let file = built.unwrap_or_default();
    ensure!(file.is_file(), "no {}: run `cargo build -p tests --bins`", file.display());
    Ok(file)
}

/// NICs a machine has for cables that do not end at its hardware.
const SOCKETS: usize = 6;

/// A boot takes 4 s alone, and up to 10 s on two busy cores.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);

/// See [`Machine::set_patience`].
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// What the test writes into the kernel's log at its end.
const LAST_MARK: &str = "lab: nothing more is asked of this machine";

/// What every namespace of the host has, too.
const BASICS: &str = "ip link set lo up; \
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; ";
