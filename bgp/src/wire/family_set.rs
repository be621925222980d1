//! A set of the address families that this engine can carry, in one byte.

use std::fmt;

use crate::types::AfiSafi;

const KNOWN: [AfiSafi; 3] = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];

/// Some of IPv4 unicast, IPv6 unicast and L2VPN EVPN. Other families cannot be in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: Self = Self(0);
    /// All families that [`crate::wire`] decodes.
    pub const ALL: Self = Self(0b111);

    /// Adds a family. Returns whether this engine knows it; if not, the set stays as it was.
    pub fn insert(&mut self, family: AfiSafi) -> bool {
        let bit = bit(family);
        self.0 |= bit;
        bit != 0
    }

    /// Takes a family out.
    pub fn remove(&mut self, family: AfiSafi) {
        self.0 &= !bit(family);
    }

    /// Whether the family is in the set.
    pub fn contains(self, family: AfiSafi) -> bool {
        self.0 & bit(family) != 0
    }

    /// Whether no family is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Families in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The families, in the order of their AFI.
    pub fn iter(self) -> impl Iterator<Item = AfiSafi> {
        KNOWN.into_iter().filter(move |family| self.contains(*family))
    }
}

fn bit(family: AfiSafi) -> u8 {
    match family {
        AfiSafi::IPV4_UNICAST => 1,
        AfiSafi::IPV6_UNICAST => 2,
        AfiSafi::L2VPN_EVPN => 4,
        _ => 0,
    }
}

impl FromIterator<AfiSafi> for FamilySet {
    fn from_iter<I: IntoIterator<Item = AfiSafi>>(families: I) -> Self {
        let mut set = Self::EMPTY;
        for family in families {
            set.insert(family);
        }
        set
    }
}

impl fmt::Debug for FamilySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
