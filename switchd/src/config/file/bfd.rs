//! `bfd` of a neighbour: `true`, or a table of its intervals.

use std::time::Duration;

use bgp::bfd::Intervals;
use bgp::speaker::BfdConfig;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::refuse;

#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "bfd is true, false, or { min-rx = 300, min-tx = 300, multiplier = 3, multihop = false }"
)]
pub(super) enum BfdValue {
    Switch(bool),
    Table(BfdTable),
}

/// Milliseconds.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BfdTable {
    #[serde(default = "interval")]
    min_rx: u32,
    #[serde(default = "interval")]
    min_tx: u32,
    #[serde(default = "multiplier")]
    multiplier: u8,
    multihop: Option<bool>,
}

/// FRR's defaults.
const fn interval() -> u32 {
    300
}

const fn multiplier() -> u8 {
    3
}

/// FRR's range of intervals, in milliseconds.
const SHORTEST: u32 = 10;
const LONGEST: u32 = 60_000;

pub(super) fn check_bfd(value: Spanned<BfdValue>) -> Result<Option<BfdConfig>, Refusal> {
    let span = value.span();
    let table = match value.into_inner() {
        BfdValue::Switch(false) => return Ok(None),
        BfdValue::Switch(true) => BfdTable {
            min_rx: interval(),
            min_tx: interval(),
            multiplier: multiplier(),
            multihop: None,
        },
        BfdValue::Table(table) => table,
    };
    for (key, milliseconds) in [("min-rx", table.min_rx), ("min-tx", table.min_tx)] {
        if !(SHORTEST..=LONGEST).contains(&milliseconds) {
            return Err(refuse(
                &span,
                &format!(
                    "{key} of bfd is {milliseconds} ms; it must be {SHORTEST} to {LONGEST} ms"
                ),
            ));
        }
    }
    if table.multiplier == 0 {
        return Err(refuse(&span, "multiplier of bfd is 0; it must be 1 to 255"));
    }
    Ok(Some(BfdConfig {
        intervals: Intervals {
            min_rx: Duration::from_millis(table.min_rx.into()),
            min_tx: Duration::from_millis(table.min_tx.into()),
            multiplier: table.multiplier,
        },
        multihop: table.multihop,
    }))
}
