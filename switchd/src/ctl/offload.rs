//! `offload` and `show conditions`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Client, CtlError, Output, collect, table};
use crate::api::proto::{
    self, Condition, GetHardwareRequest, Hardware, ListOffloadRequest, OffloadEntry,
};

/// How long ago a verdict may have been seen without a word about it.
const FRESH_MS: u64 = 60_000;

/// Percent of a table from which on it is shown unasked.
const WORTH_A_LINE: u64 = 75;

pub(super) async fn offload(
    client: &mut Client,
    all: bool,
    output: Output,
) -> Result<String, CtlError> {
    let hardware = client.get_hardware(GetHardwareRequest {}).await?.into_inner();
    let entries =
        collect(client.list_offload(ListOffloadRequest { all }).await?.into_inner()).await?;
    Ok(output
        .render(|| offload_json(&hardware, &entries), || offload_text(&hardware, &entries, all)))
}

fn offload_json(hardware: &Hardware, entries: &[OffloadEntry]) -> Value {
    let asic = hardware
        .asic
        .as_ref()
        .map(|asic| json!({ "driver": asic.driver, "profile": asic.profile, "ports": asic.ports }));
    let counts: Vec<Value> = hardware
        .counts
        .iter()
        .map(|count| {
            json!({ "kind": count.kind, "verdict": count.verdict, "entries": count.entries })
        })
        .collect();
    let resources: Vec<Value> = hardware
        .resources
        .iter()
        .map(|resource| {
            json!({
                "path": resource.path, "size": resource.size, "occupied": resource.occupied,
                "unit": resource.unit,
            })
        })
        .collect();
    let entries: Vec<Value> = entries.iter().map(entry_json).collect();
    json!({ "asic": asic, "counts": counts, "resources": resources, "entries": entries })
}

fn entry_json(entry: &OffloadEntry) -> Value {
    json!({
        "kind": entry.kind, "entry": entry.entry, "owner": entry.owner, "verdict": entry.verdict,
        "reason": entry.reason, "expected": entry.expected, "constraint": entry.constraint,
        "remedy": entry.remedy, "seenMsAgo": entry.seen_ms_ago,
    })
}

fn offload_text(hardware: &Hardware, entries: &[OffloadEntry], all: bool) -> String {
    let mut text = String::new();
    if !entries.is_empty() {
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|entry| {
                vec![
                    entry.verdict.clone(),
                    entry.kind.clone(),
                    entry.entry.clone(),
                    entry.owner.clone(),
                    why(entry),
                ]
            })
            .collect();
        text = table::render(&["Verdict", "Kind", "Entry", "Made by", "Why"], &rows);
        text.push('\n');
    }
    for remedy in remedies(entries) {
        let _ = writeln!(text, "mend it with: {remedy}");
    }
    text.push_str(&summary(hardware, entries.len(), all));
    text
}

/// Each once: many entries may wait for the same command.
fn remedies(entries: &[OffloadEntry]) -> Vec<&str> {
    let mut remedies: Vec<&str> = Vec::new();
    for entry in entries {
        if !entry.remedy.is_empty() && !remedies.contains(&entry.remedy.as_str()) {
            remedies.push(&entry.remedy);
        }
    }
    remedies
}

fn why(entry: &OffloadEntry) -> String {
    let mut why = entry.reason.clone();
    if !entry.constraint.is_empty() {
        why = format!("{why} [{}]", entry.constraint);
    }
    match entry.seen_ms_ago {
        Some(ago) if ago > FRESH_MS => format!("{why} (seen {} ago)", table::uptime(ago)),
        _ => why,
    }
}

fn summary(hardware: &Hardware, listed: usize, all: bool) -> String {
    let total: u64 = hardware.counts.iter().map(|count| count.entries).sum();
    let Some(asic) = &hardware.asic else {
        return format!(
            "This machine has no switch ASIC: the kernel forwards in software, {total} entries are as they should be.\n"
        );
    };
    let mut text = format!("{}, {} ports\n", asic.profile, asic.ports.len());
    let mut kinds: Vec<&str> = hardware.counts.iter().map(|count| count.kind.as_str()).collect();
    kinds.dedup();
    for kind in kinds {
        let counts = hardware.counts.iter().filter(|count| count.kind == kind);
        let counts: Vec<String> =
            counts.map(|count| format!("{} {}", count.entries, count.verdict)).collect();
        let _ = writeln!(text, "  {kind}: {}", counts.join(", "));
    }
    for resource in hardware.resources.iter().filter(|resource| resource.size > 0) {
        let percent = resource.occupied.saturating_mul(100) / resource.size;
        if percent < WORTH_A_LINE && !all {
            continue;
        }
        let _ = writeln!(
            text,
            "  table {}: {} of {} used ({percent} %)",
            resource.path, resource.occupied, resource.size
        );
    }
    if listed == 0 && !all {
        text.push_str("All that should be in hardware is there.\n");
    }
    text
}

pub(super) async fn conditions(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let conditions =
        collect(client.list_conditions(proto::ListConditionsRequest {}).await?.into_inner())
            .await?;
    Ok(output.render(
        || conditions.iter().map(condition_json).collect(),
        || conditions_text(&conditions),
    ))
}

fn condition_json(condition: &Condition) -> Value {
    json!({ "name": condition.name, "message": condition.message, "remedy": condition.remedy })
}

fn conditions_text(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return "Nothing to report: all is as it should be.\n".to_owned();
    }
    let mut text = String::new();
    for condition in conditions {
        let _ = writeln!(text, "{}: {}", condition.name, condition.message);
        if !condition.remedy.is_empty() {
            let _ = writeln!(text, "    mend it with: {}", condition.remedy);
        }
    }
    text
}
