//! What a suite needs from the machine. Missing is a failure with advice, never a silent pass.

use std::path::{Path, PathBuf};

use crate::{LabError, Result};

/// Checks for root and for each program.
///
/// # Errors
/// [`LabError::Missing`], naming the program, its Debian package and the command that installs it.
pub fn require(programs: &[&str]) -> Result {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(LabError::Missing("network namespaces need root".into()));
    }
    for program in programs {
        if find(program).is_none() {
            let package = package_of(program);
            return Err(LabError::Missing(format!(
                "`{program}` is not installed (Debian package {package})"
            )));
        }
    }
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    // sbin is not in every PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin:/usr/lib/frr";
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| file.is_file())
}

fn package_of(program: &str) -> &'static str {
    match program {
        "zebra" | "bgpd" | "bfdd" | "vtysh" => "frr",
        "bird" | "birdc" => "bird2",
        "gobgp" | "gobgpd" => "gobgpd",
        "ping" => "iputils-ping",
        "qemu-system-x86_64" => "qemu-system-x86",
        "setpriv" => "util-linux",
        "devlink" => "iproute2",
        "ethtool" => "ethtool",
        "python3" => "python3",
        _ => "iproute2",
    }
}
