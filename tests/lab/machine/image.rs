//! What a machine boots, made by `cargo xtask lab`: Debian's kernel, its modules and ours, and an initramfs.

use std::{fs, path::PathBuf};

use crate::{LabError, Result};

/// Files of one build.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
    pub(crate) modules: PathBuf,
}

impl Image {
    /// The build made from the very inputs that this test was compiled with.
    pub(crate) fn find() -> Result<Self> {
        let cache = cache();
        let wanted = INPUTS.concat();
        let builds = fs::read_dir(&cache).into_iter().flatten().flatten().map(|entry| entry.path());
        let fits = |build: &PathBuf| {
            fs::read_to_string(build.join("inputs")).is_ok_and(|inputs| inputs == wanted)
        };
        let build = builds.filter(fits).max().ok_or_else(|| {
            LabError::Missing(format!(
                "no kernel for the lab's machines in {}, or an older one than tests/lab/kernel: run `cargo xtask lab`",
                cache.display()
            ))
        })?;
        Ok(Self {
            kernel: build.join("vmlinux"),
            initramfs: build.join("initramfs"),
            modules: build.join("modules"),
        })
    }
}

/// `$SWITCHD_LAB_CACHE`, or a directory in the user's cache.
fn cache() -> PathBuf {
    std::env::var_os("SWITCHD_LAB_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/switchd-lab"),
        PathBuf::from,
    )
}

/// In the order in which `kernel.sh` puts them together.
const INPUTS: [&str; 11] = [
    include_str!("kernel.sh"),
    include_str!("init.sh"),
    include_str!("../kernel/rocker.patch"),
    include_str!("../kernel/mlxfake/Makefile"),
    include_str!("../kernel/mlxfake/mlxfake.h"),
    include_str!("../kernel/mlxfake/main.c"),
    include_str!("../kernel/mlxfake/bus.c"),
    include_str!("../kernel/mlxfake/registers.c"),
    include_str!("../kernel/mlxfake/tables.c"),
    include_str!("../kernel/mlxfake/wires.c"),
    include_str!("../kernel/mlxfake/debugfs.c"),
];
