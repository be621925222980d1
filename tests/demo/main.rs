//! `switchd demo`, as the README tells everyone to run it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lab::switch::binary;
use lab::{LabError, PATIENCE, Result, ensure, eventually, require};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const STEPS: usize = 6;

#[test]
fn the_story_holds_within_a_minute_and_its_figures_have_the_agreed_shape() -> Result {
    require(&[])?;
    let scratch = tempfile::tempdir()?;
    let start = Instant::now();
    let output = demo(scratch.path())?.arg("--json").output()?;
    ensure!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
    ensure!(output.status.success(), "{}: {}", output.status, text(&output));
    let figures: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| LabError::Unexpected(error.to_string()))?;
    let steps = figures["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(steps.len() == STEPS, "{figures:#}");
    for (step, number) in steps.iter().zip(1..) {
        ensure!(step["step"] == number && step["ok"] == true && step["ms"].is_f64(), "{step:#}");
    }
    ensure!(figures["first_packet_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{figures:#}");
    ensure!(figures["lost_packets"] == 0, "{figures:#}");
    nothing_remains(scratch.path())?;
    ensure!(
        fs::read_dir(scratch.path())?.next().is_none(),
        "files are left in {}",
        scratch.path().display()
    );
    Ok(())
}

#[test]
fn an_interrupted_demo_leaves_neither_processes_nor_files() -> Result {
    require(&[])?;
    let scratch = tempfile::tempdir()?;
    let mut child = start_and_wait_for_switches(scratch.path())?;
    send(&child, Signal::SIGINT)?;
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "ended with {status}");
    nothing_remains(scratch.path())?;
    ensure!(
        fs::read_dir(scratch.path())?.next().is_none(),
        "files are left in {}",
        scratch.path().display()
    );
    Ok(())
}

#[test]
fn a_demo_that_is_killed_takes_its_switches_with_it() -> Result {
    require(&[])?;
    let scratch = tempfile::tempdir()?;
    let mut child = start_and_wait_for_switches(scratch.path())?;
    send(&child, Signal::SIGKILL)?;
    child.wait()?;
    nothing_remains(scratch.path())
}

fn demo(scratch: &Path) -> Result<Command> {
    let mut command = Command::new(binary("switchd")?);
    command.arg("demo").env("TMPDIR", scratch).stdin(Stdio::null());
    Ok(command)
}

fn start_and_wait_for_switches(scratch: &Path) -> Result<Child> {
    let mut child = demo(scratch)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually(PATIENCE, || {
        ensure!(child.try_wait()?.is_none(), "the demo ended before it could be interrupted");
        let switches = processes_of(scratch)?.len();
        ensure!(switches == 4, "{switches} of 4 switches run");
        Ok(())
    })?;
    Ok(child)
}

fn send(child: &Child, signal: Signal) -> Result {
    let pid = i32::try_from(child.id()).map_err(|error| LabError::Unexpected(error.to_string()))?;
    Ok(kill(Pid::from_raw(pid), signal)?)
}

/// Every process that the demo started names its scratch directory in its arguments. The network namespaces are held by
/// nothing but processes.
fn processes_of(scratch: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process that ends while we look is not one that remains.
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.contains(&scratch.display().to_string()) {
            found.push(arguments);
        }
    }
    Ok(found)
}

fn nothing_remains(scratch: &Path) -> Result {
    eventually(PATIENCE, || {
        let left = processes_of(scratch)?;
        ensure!(left.is_empty(), "still running: {left:?}");
        Ok(())
    })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
