//! `switchd demo`: the main job, end to end, on real packets.
//!
//! Everything lives in network namespaces that only this process holds, so nothing is left behind, however it ends.

mod fabric;
mod namespace;
mod ping;
mod story;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use fabric::FabricError;

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It needs root.
    #[error(
        "the demo makes network namespaces and needs root: sudo cargo run --release -p switchd -- demo"
    )]
    NotRoot,
    /// It could not be set up.
    #[error("cannot set up the demo: {0}")]
    SetUp(String),
    /// A step did not go as told.
    #[error("step {step} failed: {reason}")]
    Step {
        /// Which.
        step: usize,
        /// What was seen instead.
        reason: String,
    },
}

/// What one step came to.
struct Step {
    name: &'static str,
    took: Duration,
    error: Option<FabricError>,
}

/// The figures of a run.
#[derive(Default)]
struct Report {
    steps: Vec<Step>,
    first_packet: Option<Duration>,
    lost_packets: Option<u64>,
}

/// Where the story is told: to a person, or not at all when a program asked for figures.
struct Narrator {
    silent: bool,
}

impl Narrator {
    fn say(&self, line: impl fmt::Display) {
        if !self.silent {
            println!("{line}");
        }
    }

    /// A table, indented under the story.
    fn show(&self, command: &str, table: &str) {
        self.say(format_args!("\n    $ {command}"));
        for line in table.trim_end().lines() {
            self.say(format_args!("    {line}"));
        }
        self.say("");
    }
}

/// Tells the story; with `json`, prints the figures instead.
///
/// # Errors
/// It cannot be set up here, or a step did not go as told.
pub fn run(json: bool) -> Result<(), DemoError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(DemoError::NotRoot);
    }
    let directory = tempfile::Builder::new()
        .prefix("switchd-demo-")
        .tempdir()
        .map_err(|error| DemoError::SetUp(error.to_string()))?;
    clean_up_when_interrupted(directory.path().to_owned())?;
    let narrator = Narrator { silent: json };
    let mut report = Report::default();
    story::tell(&narrator, directory.path(), &mut report);
    if json {
        println!("{:#}", report.json());
    } else {
        report.summarise(&narrator);
    }
    report.outcome(directory.path())
}

impl Report {
    /// Runs one step of the story. After a failure, the steps that follow are not told.
    fn step<T>(
        &mut self,
        narrator: &Narrator,
        name: &'static str,
        action: impl FnOnce(&mut Self) -> Result<T, FabricError>,
    ) -> Option<T> {
        narrator.say(format_args!("\n({}) {name}", self.steps.len() + 1));
        let start = Instant::now();
        let (result, error) = match action(self) {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        let took = start.elapsed();
        match &error {
            None => narrator.say(format_args!("    done in {}", Milliseconds(took))),
            Some(error) => {
                narrator.say(format_args!("    FAILED after {}: {error}", Milliseconds(took)))
            }
        }
        self.steps.push(Step { name, took, error });
        result
    }

    fn json(&self) -> serde_json::Value {
        let steps: Vec<_> = self
            .steps
            .iter()
            .zip(1..)
            .map(|(step, number)| {
                json!({ "step": number, "name": step.name, "ok": step.error.is_none(), "ms": milliseconds(step.took) })
            })
            .collect();
        json!({
            "steps": steps,
            "first_packet_ms": self.first_packet.map(milliseconds),
            "lost_packets": self.lost_packets,
        })
    }

    fn summarise(&self, narrator: &Narrator) {
        narrator.say("\nSummary");
        for (step, number) in self.steps.iter().zip(1..) {
            let outcome = if step.error.is_none() { "ok" } else { "FAILED" };
            narrator.say(format_args!(
                "  ({number}) {outcome:<6} {:>10}  {}",
                Milliseconds(step.took).to_string(),
                step.name
            ));
        }
        if let Some(first) = self.first_packet {
            narrator.say(format_args!("  first packet {} after the intent", Milliseconds(first)));
        }
        if let Some(lost) = self.lost_packets {
            narrator.say(format_args!("  packets that tenant B lost: {lost}"));
        }
    }

    fn outcome(&self, directory: &Path) -> Result<(), DemoError> {
        let failed = self
            .steps
            .iter()
            .zip(1..)
            .find_map(|(step, number)| Some((number, step.error.as_ref()?)));
        match failed {
            None => Ok(()),
            Some((step, error)) => {
                let logs = last_lines_of_logs(directory);
                Err(DemoError::Step { step, reason: format!("{error}\n{logs}") })
            }
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", milliseconds(self.0))
    }
}

/// What the switches last said, for whoever has to find out why.
fn last_lines_of_logs(directory: &Path) -> String {
    const LINES: usize = 15;
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let log = std::fs::read_to_string(entry.path().join("switchd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        text.push_str(&format!("--- {}\n{}\n", entry.file_name().display(), tail.join("\n")));
    }
    text
}

/// The kernel takes the namespaces and the switches away with this process; only the directory needs us.
fn clean_up_when_interrupted(directory: PathBuf) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| DemoError::SetUp(error.to_string()))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let _ = std::fs::remove_dir_all(directory);
            eprintln!("\nswitchd: demo interrupted; everything it made is gone");
            std::process::exit(130);
        });
    });
    Ok(())
}
