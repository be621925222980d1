//! The lab: network namespaces, peers that we did not write, and the kernel's own view of things.
//!
//! A test asks [`Lab::run`] for a lab, makes [`Node`]s in it, joins them with links, starts daemons and looks at the
//! result with iproute2. Nothing here knows an internal type of switchd: it is driven by its binaries only.
//!
//! Every name is unique per test process, so that tests run in parallel; what a killed run left behind is swept by
//! the next one. Waiting is always for a condition with a deadline ([`eventually`]), never for time to pass.

pub mod fabric;
pub mod kernel_view;
pub mod peers;
pub mod ping;
pub mod switch;

mod error;
mod node;
mod process;
mod requirements;
mod wait;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

pub use error::{LabError, Result};
pub use node::Node;
pub use process::Process;
pub use requirements::require;
pub use wait::{PATIENCE, eventually, steadily};

/// The namespaces, processes and files of one test; all gone when it is dropped.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    dir: tempfile::TempDir,
}

impl Lab {
    /// Runs `story` in a fresh lab. When it fails, by error or by panic, the end of every daemon's log is printed.
    ///
    /// # Errors
    /// What `story` returned, or what kept the lab from being set up (no root, a missing package).
    pub fn run(story: impl FnOnce(&Self) -> Result) -> Result {
        let lab = Self::new()?;
        let outcome = story(&lab);
        if outcome.is_err() {
            lab.print_logs();
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
        Ok(Self { prefix, dir })
    }

    /// A new network namespace with its loopback up and IP forwarding on.
    ///
    /// # Errors
    /// The namespace could not be made.
    pub fn node(&self, name: &str) -> Result<Node> {
        Node::create(name, &self.prefix, self.dir.path())
    }

    /// A cable: a veth pair with one end in each node, both ends up.
    ///
    /// # Errors
    /// The kernel refused it, for instance because a name is taken.
    pub fn link(&self, left: &Node, left_port: &str, right: &Node, right_port: &str) -> Result {
        let (a, b) = (left.netns(), right.netns());
        node::host(&format!(
            "ip link add {left_port} netns {a} type veth peer name {right_port} netns {b}"
        ))?;
        left.run(&format!("ip link set {left_port} up"))?;
        right.run(&format!("ip link set {right_port} up"))?;
        Ok(())
    }

    fn print_logs(&self) {
        let mut logs: Vec<_> =
            walk(self.dir.path()).into_iter().filter(|path| is_log(path)).collect();
        logs.sort();
        for path in logs {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| format!("(unreadable: {error})"));
            let lines: Vec<_> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
            let name = path.strip_prefix(self.dir.path()).unwrap_or(&path);
            eprintln!(
                "---- the last {} lines of {} ----\n{}",
                tail.len(),
                name.display(),
                tail.join("\n")
            );
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        node::remove_all(&self.prefix);
    }
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

const LOG_TAIL: usize = 40;
