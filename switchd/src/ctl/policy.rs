//! `show policy ...`

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Client, CtlError, Output, collect};
use crate::api::proto::{ListRouteMapsRequest, RouteMap};

/// The route maps that neighbours use, or the one with this name.
pub(super) async fn route_maps(
    client: &mut Client,
    output: Output,
    name: Option<String>,
) -> Result<String, CtlError> {
    let maps = collect(client.list_route_maps(ListRouteMapsRequest {}).await?.into_inner()).await?;
    let is_meant = |map: &RouteMap| name.as_ref().is_none_or(|name| map.name == *name);
    let maps: Vec<_> = maps.into_iter().filter(is_meant).collect();
    if let (Some(name), true) = (name, maps.is_empty()) {
        return Err(CtlError::Refused(format!(
            "no neighbor uses a route-map {name}; switchctl show policy route-map lists them"
        )));
    }
    let json = || {
        let maps = maps.iter().map(|map| (map.name.clone(), map_json(map)));
        Value::from(maps.collect::<Map<_, _>>())
    };
    Ok(output.render(json, || maps.iter().map(map_text).collect()))
}

fn map_json(map: &RouteMap) -> Value {
    let rules = map.entries.iter().map(|entry| {
        json!({
            "sequenceNumber": entry.sequence,
            "type": entry.action,
            "matchClauses": entry.match_clauses,
            "setClauses": entry.set_clauses,
            "callClause": entry.call,
            "continue": entry.r#continue,
        })
    });
    json!({ "usedBy": map.used_by, "rules": rules.collect::<Vec<_>>() })
}

fn map_text(map: &RouteMap) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "route-map: {}", map.name);
    for user in &map.used_by {
        let _ = writeln!(text, " used by {user}");
    }
    for entry in &map.entries {
        let _ = writeln!(text, " {}, sequence {}", entry.action, entry.sequence);
        for (heading, clauses) in
            [("Match clauses", &entry.match_clauses), ("Set clauses", &entry.set_clauses)]
        {
            let _ = writeln!(text, "  {heading}:");
            for clause in clauses {
                let _ = writeln!(text, "    {clause}");
            }
        }
        let _ = writeln!(text, "  Call clause:");
        if !entry.call.is_empty() {
            let _ = writeln!(text, "    Call {}", entry.call);
        }
        let action = match entry.r#continue.as_str() {
            "" => "Exit routemap".to_owned(),
            "next" => "Continue to next entry".to_owned(),
            sequence => format!("Goto {sequence}"),
        };
        let _ = writeln!(text, "  Action:\n    {action}");
    }
    text
}
