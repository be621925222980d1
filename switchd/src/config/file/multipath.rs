//! The keys of `[bgp]` about several paths at once.

use bgp::speaker::Multipath;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::refuse;
use crate::desired::fib::Bandwidth;

/// As many as FRR's datacenter switches use by default, and as their ASICs take.
const PATHS: u16 = 64;
const MAX_PATHS: u16 = 256;

/// `bestpath-bandwidth`, in FRR's words.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum BandwidthWord {
    Ignore,
    SkipMissing,
    DefaultWeightForMissing,
}

pub(super) fn check_multipath(
    external: Option<Spanned<u16>>,
    internal: Option<Spanned<u16>>,
    relaxed: bool,
) -> Result<Multipath, Refusal> {
    Ok(Multipath {
        external: check_paths(external, "maximum-paths")?,
        internal: check_paths(internal, "maximum-paths-ibgp")?,
        relaxed,
    })
}

pub(super) fn bandwidth(word: Option<BandwidthWord>) -> Bandwidth {
    match word {
        None => Bandwidth::IfAllHaveIt,
        Some(BandwidthWord::Ignore) => Bandwidth::Ignore,
        Some(BandwidthWord::SkipMissing) => Bandwidth::SkipMissing,
        Some(BandwidthWord::DefaultWeightForMissing) => Bandwidth::DefaultWeightForMissing,
    }
}

fn check_paths(value: Option<Spanned<u16>>, key: &str) -> Result<u16, Refusal> {
    match value {
        None => Ok(PATHS),
        Some(value) if (1..=MAX_PATHS).contains(value.get_ref()) => Ok(value.into_inner()),
        Some(value) => Err(refuse(
            &value.span(),
            &format!(
                "{key} is {}; write 1 to {MAX_PATHS}, where 1 uses only the best path",
                value.get_ref()
            ),
        )),
    }
}
