//! Link aggregations.

use netlink_packet_route::link::{self, BondXmitHashPolicy, InfoBond};

/// What a bond is, beyond being a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bond {
    /// How it chooses among its members.
    pub mode: BondMode,
    /// What of a packet it chooses by, in the modes that hash.
    pub hash: BondHash,
}

/// How a bond chooses among its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BondMode {
    /// One after the other.
    #[default]
    RoundRobin,
    /// One at a time.
    ActiveBackup,
    /// By a hash of the packet.
    Xor,
    /// All at once.
    Broadcast,
    /// By a hash of the packet, over the members on which LACP agreed (802.3ad).
    Lacp,
    /// By load, sending only.
    Tlb,
    /// By load, both ways.
    Alb,
    /// Another, by the kernel's number.
    Other(u8),
}

/// What of a packet a bond hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BondHash {
    /// MACs.
    #[default]
    Layer2,
    /// Addresses and ports.
    Layer34,
    /// MACs and addresses.
    Layer23,
    /// MACs and addresses, inner ones in tunnels.
    Encap23,
    /// Addresses and ports, inner ones in tunnels.
    Encap34,
    /// VLAN and source MAC.
    VlanSourceMac,
    /// Another, by the kernel's number.
    Other(u8),
}

impl BondMode {
    /// Whether it spreads packets by hash, which is what switch hardware does.
    pub const fn hashes(self) -> bool {
        matches!(self, Self::Xor | Self::Lacp)
    }

    /// As `ip link` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "balance-rr",
            Self::ActiveBackup => "active-backup",
            Self::Xor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::Lacp => "802.3ad",
            Self::Tlb => "balance-tlb",
            Self::Alb => "balance-alb",
            Self::Other(_) => "unknown",
        }
    }
}

impl Bond {
    pub(super) fn encode(&self) -> Vec<InfoBond> {
        // The kernel refuses a hash in a mode that does not hash.
        let hash = self.mode.hashes().then(|| InfoBond::XmitHashPolicy(self.hash.into()));
        std::iter::once(InfoBond::Mode(self.mode.into())).chain(hash).collect()
    }

    pub(super) fn decode(attributes: &[InfoBond]) -> Self {
        let mut bond = Self::default();
        for attribute in attributes {
            match attribute {
                InfoBond::Mode(mode) => bond.mode = (*mode).into(),
                InfoBond::XmitHashPolicy(hash) => bond.hash = (*hash).into(),
                _ => {}
            }
        }
        bond
    }
}

impl From<link::BondMode> for BondMode {
    fn from(mode: link::BondMode) -> Self {
        match mode {
            link::BondMode::BalanceRr => Self::RoundRobin,
            link::BondMode::ActiveBackup => Self::ActiveBackup,
            link::BondMode::BalanceXor => Self::Xor,
            link::BondMode::Broadcast => Self::Broadcast,
            link::BondMode::Ieee8023Ad => Self::Lacp,
            link::BondMode::BalanceTlb => Self::Tlb,
            link::BondMode::BalanceAlb => Self::Alb,
            other => Self::Other(other.into()),
        }
    }
}

impl From<BondMode> for link::BondMode {
    fn from(mode: BondMode) -> Self {
        match mode {
            BondMode::RoundRobin => Self::BalanceRr,
            BondMode::ActiveBackup => Self::ActiveBackup,
            BondMode::Xor => Self::BalanceXor,
            BondMode::Broadcast => Self::Broadcast,
            BondMode::Lacp => Self::Ieee8023Ad,
            BondMode::Tlb => Self::BalanceTlb,
            BondMode::Alb => Self::BalanceAlb,
            BondMode::Other(number) => Self::from(number),
        }
    }
}

impl From<BondXmitHashPolicy> for BondHash {
    fn from(policy: BondXmitHashPolicy) -> Self {
        match policy {
            BondXmitHashPolicy::Layer2 => Self::Layer2,
            BondXmitHashPolicy::Layer34 => Self::Layer34,
            BondXmitHashPolicy::Layer23 => Self::Layer23,
            BondXmitHashPolicy::Encap23 => Self::Encap23,
            BondXmitHashPolicy::Encap34 => Self::Encap34,
            BondXmitHashPolicy::VlanSrcMac => Self::VlanSourceMac,
            other => Self::Other(other.into()),
        }
    }
}

impl From<BondHash> for BondXmitHashPolicy {
    fn from(hash: BondHash) -> Self {
        match hash {
            BondHash::Layer2 => Self::Layer2,
            BondHash::Layer34 => Self::Layer34,
            BondHash::Layer23 => Self::Layer23,
            BondHash::Encap23 => Self::Encap23,
            BondHash::Encap34 => Self::Encap34,
            BondHash::VlanSourceMac => Self::VlanSrcMac,
            BondHash::Other(number) => Self::from(number),
        }
    }
}
