//! The scale suite works: every scenario runs, small, on every device. What it measures is for `cargo xtask scale`.

use std::process::Command;

use lab::{Result, ensure, ensure_eq, switch::binary};
use serde_json::Value;

#[test]
fn every_scenario_runs_on_every_device() -> Result {
    let file = tempfile::NamedTempFile::new()?;
    let output = Command::new(env!("CARGO_BIN_EXE_scale"))
        .args(["--smoke", "--json"])
        .arg(file.path())
        .env("SWITCHD_BIN", binary("switchd")?)
        .env("SWITCHCTL_BIN", binary("switchctl")?)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports: Value =
        serde_json::from_str(&std::fs::read_to_string(file.path())?).unwrap_or_default();
    let reports = reports.as_array().cloned().unwrap_or_default();
    ensure_eq!(reports.len(), 8, "scenarios that ran");
    for report in reports {
        let rows = report["medians"].as_array().cloned().unwrap_or_default();
        ensure!(rows.iter().all(|row| row["wallSeconds"].as_f64() > Some(0.0)), "{report:#}");
    }
    Ok(())
}
