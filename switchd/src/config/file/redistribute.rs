//! `redistribute`, in `[bgp]`, and `[[bgp.redistribute]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::policy::unknown;
use super::value::refuse;
use crate::config::{Redistribute, RouteMaps, RouteSource};

/// What to redistribute: a word, or a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "\"connected\", \"static\" or \"kernel\", or a table with a `source` that is one of them and perhaps a `policy`"
)]
pub(super) enum RedistributeValue {
    Word(String),
    Table(RedistributeTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RedistributeTable {
    source: String,
    policy: Option<String>,
}

pub(super) fn check_redistribute(
    values: Vec<Spanned<RedistributeValue>>,
    route_maps: &RouteMaps,
) -> Result<Redistribute, Refusal> {
    let mut sources = BTreeMap::new();
    for value in values {
        let span = value.span();
        let (name, policy) = match value.into_inner() {
            RedistributeValue::Word(source) => (source, None),
            RedistributeValue::Table(table) => (table.source, table.policy),
        };
        let policy = match policy {
            None => None,
            Some(name) => match route_maps.get(&name) {
                Some(map) => Some(Arc::clone(map)),
                None => {
                    let name = Spanned::new(span, name);
                    return Err(unknown("route-map", &name, route_maps.keys()));
                }
            },
        };
        let source = match name.as_str() {
            "connected" => RouteSource::Connected,
            "static" => RouteSource::Static,
            "kernel" => RouteSource::Kernel,
            other => {
                let message = format!(
                    "cannot redistribute \"{other}\"; known: \"connected\", \"static\", \"kernel\""
                );
                return Err(refuse(&span, &message));
            }
        };
        if sources.insert(source, policy).is_some() {
            return Err(refuse(&span, &format!("\"{name}\" is redistributed already; remove one")));
        }
    }
    Ok(sources)
}
