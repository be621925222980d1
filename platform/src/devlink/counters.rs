//! What a trap or a group of traps has counted.

use crate::genetlink::Attributes;

const DEVLINK_ATTR_STATS: u16 = 129;
const DEVLINK_ATTR_STATS_RX_PACKETS: u16 = 0;
const DEVLINK_ATTR_STATS_RX_BYTES: u16 = 1;
const DEVLINK_ATTR_STATS_RX_DROPPED: u16 = 2;

/// Since the driver was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that came to the CPU.
    pub packets: u64,
    /// Their octets.
    pub bytes: u64,
    /// Packets that the device dropped without telling the CPU of each; `None` where it does not count them.
    pub dropped: Option<u64>,
}

impl Counters {
    pub(super) fn decode(attributes: Attributes<'_>) -> Self {
        let counted = attributes.nested(DEVLINK_ATTR_STATS);
        Self {
            packets: counted.u64(DEVLINK_ATTR_STATS_RX_PACKETS).unwrap_or_default(),
            bytes: counted.u64(DEVLINK_ATTR_STATS_RX_BYTES).unwrap_or_default(),
            dropped: counted.u64(DEVLINK_ATTR_STATS_RX_DROPPED),
        }
    }

    /// The drops that a policer counts, which stand in the same place.
    pub(super) fn drops(attributes: Attributes<'_>) -> Option<u64> {
        attributes.nested(DEVLINK_ATTR_STATS).u64(DEVLINK_ATTR_STATS_RX_DROPPED)
    }
}
