//! Sets of link modes, written out by name.

use crate::genetlink::{Attributes, Request};

const ETHTOOL_A_BITSET_NOMASK: u16 = 1;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_INDEX: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;

/// The names in a set, and which of them are chosen. In a set without mask, every name is chosen.
pub(super) fn decode(set: Attributes<'_>) -> impl Iterator<Item = (String, bool)> {
    let no_mask = set.flag(ETHTOOL_A_BITSET_NOMASK);
    set.nested(ETHTOOL_A_BITSET_BITS).all(ETHTOOL_A_BITSET_BITS_BIT).filter_map(move |bit| {
        let name = bit
            .text(ETHTOOL_A_BITSET_BIT_NAME)
            .or_else(|| bit.u32(ETHTOOL_A_BITSET_BIT_INDEX).map(|index| format!("mode {index}")))?;
        Some((name, no_mask || bit.flag(ETHTOOL_A_BITSET_BIT_VALUE)))
    })
}

/// A set of exactly these names.
pub(super) fn encode<'a>(
    request: Request,
    kind: u16,
    names: impl Iterator<Item = &'a str>,
) -> Request {
    request.nested(kind, |set| {
        set.flag(ETHTOOL_A_BITSET_NOMASK).nested(ETHTOOL_A_BITSET_BITS, |bits| {
            names.fold(bits, |bits, name| {
                bits.nested(ETHTOOL_A_BITSET_BITS_BIT, |bit| {
                    bit.text(ETHTOOL_A_BITSET_BIT_NAME, name)
                })
            })
        })
    })
}
