//! Network namespaces of the machine, entered as `ip netns exec` does it, without the cost of starting it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use lab::machine::SWITCH_NETNS;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};

const NOTHING: Option<&str> = None;

/// Sets up the machine's own namespace: with its loopback, and with a name, so that iproute2 can be told to put the
/// other end of a cable into it.
pub(crate) fn prepare() -> io::Result<()> {
    let directory = Path::new(DIRECTORY);
    // What iproute2 does at its first `netns add`: namespaces must appear in every mount namespace.
    mount(Some(directory), directory, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
    mount(NOTHING, directory, NOTHING, MsFlags::MS_SHARED | MsFlags::MS_REC, NOTHING)?;
    let name = file(SWITCH_NETNS);
    File::create(&name)?;
    mount(Some("/proc/self/ns/net"), &name, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    Ok(())
}

/// Moves the calling thread, and what it starts from now on, into a namespace, with a /sys that shows its devices.
pub(crate) fn enter(netns: &str) -> io::Result<()> {
    let file = File::open(file(netns))
        .map_err(|error| io::Error::other(format!("network namespace {netns}: {error}")))?;
    setns(file, CloneFlags::CLONE_NEWNET)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_SLAVE | MsFlags::MS_REC, NOTHING)?;
    umount2("/sys", MntFlags::MNT_DETACH)?;
    mount(Some(netns), "/sys", Some("sysfs"), MsFlags::empty(), NOTHING)?;
    Ok(())
}

fn file(netns: &str) -> PathBuf {
    Path::new(DIRECTORY).join(netns)
}

const DIRECTORY: &str = "/run/netns";
