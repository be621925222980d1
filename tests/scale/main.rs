//! `scale`: switchd, BIRD and FRR under the same load, one after the other, in one run on one machine.
//!
//! A scenario starts a device in a network namespace, connects senders and receivers of our own to it ([`session`]) and
//! measures the device from outside: the time until the receivers have everything, the CPU time and the memory of all its
//! processes. The machine is shared and noisy, so only ratios within a run count, and medians of several rounds.

mod device;
mod feed;
mod mrt;
mod netlink;
mod report;
mod scenario;
mod session;

use std::{env, process::ExitCode};

use lab::{LabError, Result, require};

use device::Kind;
use report::Report;
use scenario::{SCENARIOS, Scenario, Size};

const USAGE: &str =
    "usage: scale [--rounds N] [--smoke] [--device NAME] [--json FILE] [SCENARIO...]";

struct Options {
    scenarios: Vec<&'static Scenario>,
    rounds: usize,
    size: Size,
    /// Only this one, to look at it closely; bars that compare are then not met.
    device: Option<String>,
    json: Option<String>,
}

fn main() -> ExitCode {
    match options(env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let wrong = |what: String| LabError::Unexpected(format!("{what}\n{USAGE}"));
    let mut options =
        Options { scenarios: Vec::new(), rounds: 3, size: Size::Full, device: None, json: None };
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--smoke" => (options.size, options.rounds) = (Size::Smoke, 1),
            "--rounds" => {
                let rounds = arguments.next().and_then(|text| text.parse().ok());
                options.rounds = rounds.ok_or_else(|| wrong("--rounds needs a number".into()))?;
            }
            "--device" => options.device = arguments.next(),
            "--json" => options.json = arguments.next(),
            name => {
                let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
                let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                options.scenarios.push(scenario.ok_or_else(|| {
                    wrong(format!("no scenario {name}; there are {}", names.join(", ")))
                })?);
            }
        }
    }
    if options.scenarios.is_empty() {
        options.scenarios = SCENARIOS.iter().collect();
    }
    Ok(options)
}

/// Whether every bar was met.
fn run(options: &Options) -> Result<bool> {
    require(&["ip", "bird", "bgpd", "zebra", "taskset", "gzip"])?;
    device::pin_load()?;
    let mut reports = Vec::new();
    for scenario in &options.scenarios {
        let report = measure(scenario, options)?;
        print!("{report}");
        reports.push(report);
    }
    if let Some(file) = &options.json {
        let json: Vec<_> = reports.iter().map(Report::json).collect();
        std::fs::write(file, format!("{:#}\n", serde_json::Value::from(json)))?;
    }
    // A smoke run is too small to tell speed: it shows that the suite works.
    Ok(options.size == Size::Smoke || reports.iter().all(Report::is_met))
}

fn measure(scenario: &'static Scenario, options: &Options) -> Result<Report> {
    let mut report = Report::new(scenario);
    for round in 1..=options.rounds {
        let is_wanted =
            |device: &&Kind| options.device.as_ref().is_none_or(|name| *name == device.to_string());
        for device in scenario.devices.iter().filter(is_wanted) {
            eprintln!("{}: round {round} of {}, {device}", scenario.name, options.rounds);
            for figures in (scenario.run)(*device, options.size)? {
                report.add(*device, figures);
            }
        }
    }
    report.judge();
    Ok(report)
}
