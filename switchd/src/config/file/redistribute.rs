//! `redistribute`, in `[bgp]`, and `[[bgp.redistribute]]`.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::refuse;
use crate::config::RouteSource;

/// What to redistribute: a word, or a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "\"connected\", \"static\" or \"kernel\", or a table with a `source` that is one of them"
)]
pub(super) enum RedistributeValue {
    Word(String),
    Table(RedistributeTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RedistributeTable {
    source: String,
}

pub(super) fn check_redistribute(
    values: Vec<Spanned<RedistributeValue>>,
) -> Result<BTreeSet<RouteSource>, Refusal> {
    let mut sources = BTreeSet::new();
    for value in values {
        let span = value.span();
        let name = match value.into_inner() {
            RedistributeValue::Word(source) => source,
            RedistributeValue::Table(table) => table.source,
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
        if !sources.insert(source) {
            return Err(refuse(&span, &format!("\"{name}\" is redistributed already; remove one")));
        }
    }
    Ok(sources)
}
