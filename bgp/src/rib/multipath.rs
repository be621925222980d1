//! Which paths share the load with the best one: FRR's rules.
//!
//! They are as good as the best path in every step of the decision before the tie-breaks, and of its kind: both from other
//! AS or both from ours. Paths of external neighbours must come through the same neighbouring AS, those of internal ones
//! have the same AS path, unless the rule is relaxed to the same length.

use super::peers::Peer;
use crate::wire::AttributeSet;

/// How many paths may share the load, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multipath {
    /// At most so many of external neighbours; 1: only the best (FRR's `maximum-paths`).
    pub external: u16,
    /// At most so many of internal neighbours (FRR's `maximum-paths ibgp`).
    pub internal: u16,
    /// AS paths need only be of the same length (FRR's `bestpath as-path multipath-relax`).
    pub relaxed: bool,
}

impl Multipath {
    /// Only the best path is used.
    pub const OFF: Self = Self { external: 1, internal: 1, relaxed: false };

    pub(super) fn is_on(self) -> bool {
        self.external > 1 || self.internal > 1
    }

    /// How many paths may be used if this one's is the best.
    pub(super) fn most(self, best: &Peer) -> u16 {
        if best.external { self.external } else { self.internal }
    }

    /// Whether two paths that are equally good may be used together.
    pub(super) fn allows(
        self,
        (best_peer, best): (&Peer, &AttributeSet),
        (peer, attributes): (&Peer, &AttributeSet),
    ) -> bool {
        self.relaxed
            || if best_peer.external {
                best_peer.asn == peer.asn
            } else {
                best.as_path().octets() == attributes.as_path().octets()
            }
    }
}
