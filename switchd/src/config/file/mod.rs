//! The text of `switchd.toml` as serde sees it, and its translation into [`Config`]: one file for each table.

mod add_path;
mod aggregate;
mod bfd;
mod bgp;
mod bmp_station;
mod evpn;
mod metrics;
mod multipath;
mod neighbor;
mod policy;
mod redistribute;
mod route_rules;
mod transport;
mod value;

use serde::Deserialize;

use self::bgp::BgpTable;
use self::evpn::EvpnTable;
use self::metrics::MetricsTable;
use self::policy::PolicyTable;
use super::Config;

/// What is wrong, and the byte where it is.
pub(super) struct Refusal {
    pub(super) offset: usize,
    pub(super) message: String,
}

pub(super) fn parse(text: &str) -> Result<Config, Refusal> {
    let file: File = toml::from_str(text).map_err(|error| Refusal {
        offset: error.span().map_or(0, |span| span.start),
        message: with_suggestion(error.message()),
    })?;
    file.check()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    bgp: Option<BgpTable>,
    #[serde(default)]
    evpn: EvpnTable,
    #[serde(default)]
    policy: PolicyTable,
    metrics: Option<MetricsTable>,
}

impl File {
    fn check(self) -> Result<Config, Refusal> {
        let policies = self.policy.check()?;
        Ok(Config {
            bgp: self.bgp.map(|bgp| bgp.check(&policies.route_maps)).transpose()?,
            evpn: self.evpn.check(),
            policies,
            metrics: self.metrics.map(MetricsTable::check).transpose()?,
        })
    }
}

/// serde says "unknown field `asm`, expected one of `asn`, ..."; this adds the key that was probably meant.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let nearest =
        message.starts_with("unknown field").then(|| names.next()).flatten().and_then(|unknown| {
            names
                .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
                .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
                .min()
        });
    match nearest {
        Some((_, known)) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}
