//! `cargo xtask check`: everything CI runs, with its own set-up. It needs Rust, gcc and apt on Debian 12; what else the
//! tests need, it installs.
//!
//! Root suites (network namespaces, FRR, BIRD, GoBGP) need root. Without it they are named, counted as skipped, and the
//! command fails unless `--allow-skips` says that this is accepted.

#[cfg(test)]
mod documents;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// What the test suites run: peers that we did not write, independent witnesses, and g++ for libFuzzer; then what boots the
/// lab's machines and builds their drivers.
const PACKAGES: [&str; 17] = [
    "iproute2",
    "iputils-ping",
    "frr",
    "bird2",
    "gobgpd",
    "bgpdump",
    "tcpdump",
    "g++",
    "shellcheck",
    "qemu-system-x86",
    "busybox-static",
    "kmod",
    "ethtool",
    "make",
    "patch",
    "cpio",
    "xz-utils",
];

/// Scripts that shellcheck reads.
const SCRIPTS: [&str; 4] =
    [".ci/run", "tests/fuzz.sh", "tests/lab/machine/kernel.sh", "tests/lab/machine/init.sh"];

/// Test binaries that need root: nextest's filter names them.
const ROOT_SUITES: &str = "package(tests) | binary(kernel_root)";

/// Seconds that each fuzz target runs in CI.
const FUZZ_SECONDS: u32 = 5;

const USAGE: &str = "usage: cargo xtask check [--allow-skips]   set up, then run all that CI runs
       cargo xtask fuzz [SECONDS]         run every fuzz target for so long (default 5)
       cargo xtask scale [WORD...]        measure switchd beside BIRD and FRR; WORDs: see tests/README.md
       cargo xtask lab                    build what the lab's machines boot, unless it is there";

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = enter_repository().and_then(|()| match words.as_slice() {
        ["check"] => check(false),
        ["check", "--allow-skips"] => check(true),
        ["fuzz"] => fuzz(FUZZ_SECONDS),
        ["scale", words @ ..] => scale(words),
        ["lab"] => install().and_then(|()| lab()),
        ["fuzz", seconds] => seconds.parse().map_err(|_| USAGE.to_owned()).and_then(fuzz),
        _ => Err(USAGE.to_owned()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Every path below is from the root of the repository, wherever in it the command was given.
fn enter_repository() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    env::set_current_dir(&root).map_err(|error| format!("cannot enter {}: {error}", root.display()))
}

fn check(allow_skips: bool) -> Outcome {
    let root = is_root();
    if root {
        step("install what the tests need", install)?;
    }
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("lints", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    })?;
    step("bgp and vtep without I/O", io_free)?;
    step("documentation", || {
        run(Command::new("cargo")
            .args(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("documentation tests", || cargo(&["test", "--workspace", "--doc", "--quiet"]))?;
    if root {
        step("shell scripts", || run(Command::new("shellcheck").args(SCRIPTS)))?;
        step("fuzz targets", || fuzz(FUZZ_SECONDS))?;
    }
    if root {
        step("kernel and drivers of the lab's machines", lab)?;
    }
    step("build the binaries under test", || {
        cargo(&["build", "--package", "switchd", "--bins", "--quiet"])
    })?;
    step("tests", || tests(root))?;
    if root {
        return Ok(());
    }
    eprintln!(
        "\nSKIPPED, because they need root: {ROOT_SUITES}; the fuzz targets; shellcheck. Run `sudo cargo xtask check`."
    );
    if allow_skips {
        Ok(())
    } else {
        Err("suites were skipped; give --allow-skips to accept that".to_owned())
    }
}

fn step(name: &str, action: impl FnOnce() -> Outcome) -> Outcome {
    eprintln!("==> {name}");
    let start = Instant::now();
    action().map_err(|error| format!("{name}: {error}"))?;
    eprintln!("    {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn run(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}

fn cargo(arguments: &[&str]) -> Outcome {
    run(Command::new("cargo").args(arguments))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

fn install() -> Outcome {
    let missing: Vec<&str> =
        PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if !missing.is_empty() {
        run(Command::new("apt-get").args(["update", "--quiet"]))?;
        run(Command::new("apt-get")
            .args(["install", "--quiet", "--yes", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    if !succeeds(Command::new("cargo").args(["nextest", "--version"])) {
        cargo(&["install", "--locked", "cargo-nextest"])?;
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// `bgp` and `vtep` alone, as Cargo unifies features across a workspace build.
fn io_free() -> Outcome {
    for package in ["bgp", "vtep"] {
        cargo(&["check", "--package", package, "--no-default-features", "--quiet"])?;
        let tree = Command::new("cargo")
            .args([
                "tree",
                "--package",
                package,
                "--no-default-features",
                "--edges",
                "normal",
                "--prefix",
                "none",
            ])
            .output()
            .map_err(|error| format!("cannot run cargo tree: {error}"))?;
        let tree = String::from_utf8_lossy(&tree.stdout);
        // `platform` opens netlink sockets, so vtep's tree holds them: what vtep itself may not do, its clippy.toml bans.
        if let Some(io) =
            tree.lines().find(|line| line.starts_with("tokio ") || line.starts_with("socket2 "))
        {
            return Err(format!("{package} must stay free of I/O, and depends on {io}"));
        }
    }
    Ok(())
}

fn tests(root: bool) -> Outcome {
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    if !root {
        command.args(["--filterset", &format!("not ({ROOT_SUITES})")]);
    }
    run(&mut command)
}

/// Where tests look, see `tests/lab/machine/image.rs`.
fn lab() -> Outcome {
    let cache = env::var_os("SWITCHD_LAB_CACHE").map_or_else(
        || Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cache/switchd-lab"),
        Into::into,
    );
    run(Command::new("tests/lab/machine/kernel.sh").arg(cache).stdout(Stdio::null()))
}

/// Release builds only: what is measured is what is shipped.
fn scale(words: &[&str]) -> Outcome {
    cargo(&["build", "--release", "--quiet", "--package", "switchd", "--bins"])?;
    cargo(&["build", "--release", "--quiet", "--package", "tests", "--bin", "scale"])?;
    let built = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let release = built.join("release");
    run(Command::new(release.join("scale"))
        .args(words)
        .env("SWITCHD_BIN", release.join("switchd"))
        .env("SWITCHCTL_BIN", release.join("switchctl")))
}

/// Every target from its corpus. `fuzz.sh` builds on stable Rust, without cargo-fuzz.
fn fuzz(seconds: u32) -> Outcome {
    for package in ["bgp", "platform"] {
        let directory = Path::new(package).join("fuzz");
        for target in fuzz_targets(&directory)? {
            run(Command::new("tests/fuzz.sh").arg(package).arg(target).args([
                format!("-max_total_time={seconds}"),
                "-timeout=5".to_owned(),
                "-verbosity=0".to_owned(),
                "-print_final_stats=1".to_owned(),
            ]))?;
        }
    }
    Ok(())
}

/// A target is what has a corpus.
fn fuzz_targets(directory: &Path) -> Result<Vec<OsString>, String> {
    let corpora = directory.join("corpus");
    let entries = fs::read_dir(&corpora)
        .map_err(|error| format!("cannot read {}: {error}", corpora.display()))?;
    let mut targets: Vec<OsString> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    targets.sort();
    if targets.is_empty() {
        Err(format!("no fuzz targets in {}", corpora.display()))
    } else {
        Ok(targets)
    }
}
