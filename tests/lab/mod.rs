//! The lab: network namespaces and whole machines, peers that we did not write, and the kernel's own view of things.
//!
//! A test asks [`Lab::run`] for a lab, makes [`Node`]s in it (namespaces of the host, or of a [`Machine`] with emulated
//! hardware), joins them with links, starts daemons and looks at the result with iproute2. Nothing here knows an internal type of switchd: it is driven by its binaries only.
//!
//! Every name is unique per test process, so that tests run in parallel; what a killed run left behind is swept by
//! the next one. Waiting is always for a condition with a deadline ([`eventually`]), never for time to pass.

pub mod fabric;
pub mod kernel_view;
pub mod machine;
pub mod peers;
pub mod ping;
pub mod switch;

mod error;
mod failure;
mod node;
mod place;
mod process;
mod requirements;
mod wait;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

pub use error::{LabError, Result};
pub use machine::{Hardware, Machine};
pub use node::Node;
pub use process::Process;
pub use requirements::require;
pub use wait::{PATIENCE, eventually, steadily};

/// The namespaces, machines, processes and files of one test; all gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    machines: Mutex<Vec<Machine>>,
    dir: tempfile::TempDir,
}

impl Lab {
    /// Runs `story` in a fresh lab. When it fails, by error or by panic, the end of every daemon's log is printed and
    /// all files are kept. A kernel of a machine that complained fails it, too.
    ///
    /// # Errors
    /// What `story` returned, or what kept the lab from being set up (no root, a missing package).
    pub fn run(story: impl FnOnce(&Self) -> Result) -> Result {
        let lab = Self::new()?;
        let outcome = story(&lab).and_then(|()| lab.machines_are_healthy());
        if outcome.is_err() {
            lab.keep_evidence();
        }
        outcome
    }

    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        require(&["ip", "bridge", "ping"])?;
        node::sweep_dead_runs()?;
        let dir = tempfile::Builder::new().prefix("switchd-lab-").tempdir()?;
        // FRR drops to its own user and must still reach its sockets and logs.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let prefix = node::prefix(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Self { prefix, machines: Mutex::default(), dir })
    }

    /// A new network namespace with its loopback up and IP forwarding on.
    ///
    /// # Errors
    /// The namespace could not be made.
    pub fn node(&self, name: &str) -> Result<Node> {
        Node::create(name, &self.prefix, self.dir.path())
    }

    /// A new machine. It boots while the test goes on; the first use of it waits.
    ///
    /// # Errors
    /// Something that machines need is missing.
    pub fn machine(&self, name: &str, hardware: Hardware) -> Result<Machine> {
        let mut machines = self.machines();
        let number = u8::try_from(machines.len()).unwrap_or(u8::MAX);
        let machine = Machine::boot(name, number, self.dir.path(), hardware)?;
        machines.push(machine.clone());
        Ok(machine)
    }

    /// A cable with one end in each node, both ends up. A name of a front panel port means that port; any other name is
    /// that of a new device (of a veth pair, or of a NIC of the machine).
    ///
    /// # Errors
    /// The kernel refused it, for instance because a name is taken.
    pub fn link(&self, left: &Node, left_port: &str, right: &Node, right_port: &str) -> Result {
        if left.machine().is_some() || right.machine().is_some() {
            return machine::plug(
                machine::End { node: left, port: left_port },
                machine::End { node: right, port: right_port },
            );
        }
        let (a, b) = (left.netns(), right.netns());
        node::host(&format!(
            "ip link add {left_port} netns {a} type veth peer name {right_port} netns {b}"
        ))?;
        left.run(&format!("ip link set {left_port} up"))?;
        right.run(&format!("ip link set {right_port} up"))?;
        Ok(())
    }

    /// Plugs the test itself into a port of a machine's node, to send and see frames byte by byte.
    ///
    /// # Errors
    /// The node is not in a machine, or the port cannot be made.
    pub fn probe(&self, node: &Node, port: &str) -> Result<machine::Probe> {
        machine::probe(machine::End { node, port })
    }

    fn machines_are_healthy(&self) -> Result {
        self.machines().iter().find_map(Machine::complaint).map_or(Ok(()), Err)
    }

    fn machines(&self) -> std::sync::MutexGuard<'_, Vec<Machine>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_evidence(&self) {
        failure::print_logs(self.dir.path());
        match failure::keep(self.dir.path()) {
            Ok(kept) => eprintln!("---- everything is kept in {} ----", kept.display()),
            Err(error) => eprintln!("---- the files could not be kept: {error} ----"),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_evidence();
        }
        for machine in self.machines().iter() {
            // Complaints have been looked at, if anyone still wants to know.
            let _ = machine.shutdown();
        }
        node::remove_all(&self.prefix);
    }
}
