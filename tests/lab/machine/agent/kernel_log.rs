//! The kernel's log: all of it is kept in a file, and what no healthy kernel says is reported at once.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use lab::machine::protocol::is_complaint;
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// Copies the log to `path` until the machine ends; calls `report` with complaints and what follows them.
pub(crate) fn watch(path: &Path, report: impl Fn(String)) {
    if let Err(error) = copy(path, &report) {
        report(format!("the kernel's log cannot be kept in {}: {error}", path.display()));
    }
}

fn copy(path: &Path, report: &impl Fn(String)) -> io::Result<()> {
    let mut log =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg")?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    loop {
        let mut ready = [PollFd::new(log.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE)?;
        let text = read_available(&mut log)?;
        // One write for many lines: each is a round trip to the host.
        file.write_all(text.as_bytes())?;
        let lines: Vec<_> = text.lines().collect();
        if let Some(first) = lines.iter().position(|line| is_complaint(line)) {
            let end = lines.len().min(first + LINES_OF_A_COMPLAINT);
            report(lines[first..end].join("\n"));
        }
    }
}

/// Records look like `6,1234,5678,-;text`: level, number, microseconds, flags.
fn read_available(log: &mut File) -> io::Result<String> {
    let mut record = vec![0; 8192];
    let mut text = String::new();
    loop {
        match log.read(&mut record) {
            Ok(length) => text += &readable(&String::from_utf8_lossy(&record[..length])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(text),
            // Overwritten before it was read: go on with what is there.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPIPE as i32) => {}
            Err(error) => return Err(error),
        }
    }
}

fn readable(record: &str) -> String {
    let (head, text) = record.split_once(';').unwrap_or_default();
    let microseconds: u64 =
        head.split(',').nth(2).and_then(|word| word.parse().ok()).unwrap_or_default();
    let text = text.lines().next().unwrap_or_default();
    format!("[{:5}.{:06}] {text}\n", microseconds / 1_000_000, microseconds % 1_000_000)
}

const LINES_OF_A_COMPLAINT: usize = 40;
