//! The route maps that neighbours use.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp::policy::{Continue, Entry, RouteMap};
use bgp::speaker::NeighborSummary;

use super::proto::{RouteMap as RouteMapView, RouteMapEntry};

/// In the order of their names, each with who uses it.
pub(super) fn route_maps(neighbors: &[NeighborSummary]) -> Vec<RouteMapView> {
    let mut views: BTreeMap<&str, RouteMapView> = BTreeMap::new();
    for neighbor in neighbors {
        let address = neighbor.config.address;
        for (family, policy) in &neighbor.config.policy.families {
            for (map, direction) in [(&policy.import, "in"), (&policy.export, "out")] {
                let Some(map) = map else { continue };
                let view = views.entry(map.name()).or_insert_with(|| route_map(map));
                view.used_by.push(format!("{address} {family} {direction}"));
            }
        }
    }
    views.into_values().collect()
}

fn route_map(map: &Arc<RouteMap>) -> RouteMapView {
    let entries = map.entries().map(entry).collect();
    RouteMapView { name: map.name().to_owned(), used_by: Vec::new(), entries }
}

fn entry(entry: &Entry) -> RouteMapEntry {
    RouteMapEntry {
        sequence: entry.sequence,
        action: entry.action.to_string(),
        match_clauses: entry.conditions.iter().map(ToString::to_string).collect(),
        set_clauses: entry.settings.iter().map(ToString::to_string).collect(),
        call: entry.call.as_ref().map(|map| map.name().to_owned()).unwrap_or_default(),
        r#continue: match entry.then {
            Continue::No => String::new(),
            Continue::Next => "next".to_owned(),
            Continue::At(sequence) => sequence.to_string(),
        },
    }
}
