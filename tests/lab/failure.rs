//! What is left of a failed test for whoever looks into it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Prints the end of every log below `dir`.
pub(crate) fn print_logs(dir: &Path) {
    let mut logs: Vec<_> = walk(dir).into_iter().filter(|path| is_log(path)).collect();
    logs.sort();
    for path in logs {
        let text = fs::read(&path).map_or_else(
            |error| format!("(unreadable: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        );
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        let name = path.strip_prefix(dir).unwrap_or(&path);
        eprintln!(
            "---- the last {} lines of {} ----\n{}",
            tail.len(),
            name.display(),
            tail.join("\n")
        );
    }
}

/// Copies all files below `dir` (logs, consoles, captures) to `target/lab-failures/<test>`; returns where that is.
pub(crate) fn keep(dir: &Path) -> io::Result<PathBuf> {
    // target/<profile>/deps/<test binary>
    let executable = std::env::current_exe()?;
    let target = executable.ancestors().nth(3).unwrap_or_else(|| Path::new("."));
    let thread = std::thread::current();
    let test = std::env::var("NEXTEST_TEST_NAME")
        .unwrap_or_else(|_| thread.name().unwrap_or("unnamed").to_owned());
    let kept = target.join("lab-failures").join(test.replace("::", "-"));
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    for file in walk(dir) {
        let copy = kept.join(file.strip_prefix(dir).unwrap_or(&file));
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, &copy)?;
    }
    Ok(kept)
}

/// Regular files; sockets and the like cannot be copied and tell nothing. Nor do the attributes that QEMU keeps for a
/// machine's files in directories of its own.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != ".virtfs_metadata" => {
                files.extend(walk(&entry.path()));
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

const LOG_TAIL: usize = 40;
