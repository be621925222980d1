//! `show offload` and `show conditions`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Client, CtlError, Output, collect, table};
use crate::api::proto::{self, Condition, OffloadEntry};

pub(super) async fn entries(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let entries =
        collect(client.list_offload(proto::ListOffloadRequest {}).await?.into_inner()).await?;
    Ok(output.render(|| entries.iter().map(entry_json).collect(), || entries_text(&entries)))
}

fn entry_json(entry: &OffloadEntry) -> Value {
    json!({ "kind": entry.kind, "entry": entry.entry, "verdict": entry.verdict, "reason": entry.reason })
}

fn entries_text(entries: &[OffloadEntry]) -> String {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                entry.verdict.clone(),
                entry.kind.clone(),
                entry.entry.clone(),
                entry.reason.clone(),
            ]
        })
        .collect();
    let mut text = table::render(&["Verdict", "Kind", "Entry", "Reason"], &rows);
    let in_hardware = entries.iter().filter(|entry| entry.verdict == "in-hardware").count();
    let _ = writeln!(text, "\n{in_hardware} of {} entries are in hardware", entries.len());
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
