//! `[[bgp.aggregate]]`.

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::{check_network, refuse};
use crate::config::Aggregate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AggregateTable {
    prefix: Spanned<String>,
    #[serde(default)]
    summary_only: bool,
    as_set: Option<Spanned<bool>>,
}

/// `networks` are announced whatever happens, so that an aggregate of the same prefix would mean nothing.
pub(super) fn check_aggregates(
    tables: Vec<AggregateTable>,
    networks: &[IpNet],
) -> Result<Vec<Aggregate>, Refusal> {
    let mut aggregates: Vec<Aggregate> = Vec::with_capacity(tables.len());
    for table in tables {
        if let Some(as_set) = &table.as_set
            && *as_set.get_ref()
        {
            return Err(refuse(
                &as_set.span(),
                "as-set would put an AS_SET into the path, and others drop such a route (RFC 9774); remove the key",
            ));
        }
        let span = table.prefix.span();
        let prefix = check_network(table.prefix)?;
        if aggregates.iter().any(|known| known.prefix == prefix) {
            return Err(refuse(&span, &format!("{prefix} is aggregated twice; remove one")));
        }
        if networks.contains(&prefix) {
            let message =
                format!("{prefix} is in networks too, which announces it always; remove one");
            return Err(refuse(&span, &message));
        }
        aggregates.push(Aggregate { prefix, summary_only: table.summary_only });
    }
    Ok(aggregates)
}
