//! Who has a MAC or an IP address, when several sources say where it is.
//!
//! Two sources speak now: the kernel (what is local) and EVPN (what is remote). What decides between them, and between
//! several remote VTEPs, is MAC mobility (RFC 7432 §7.7, §15): a static MAC beats a learned one, then the higher
//! sequence number wins, then the lower VTEP address. Sources that the operator or a controller orders explicitly
//! (static configuration, hardware_vtep) rank before both and enter here.
//!
//! This is the only place that gives sequence numbers. Ours lives in [`Location::Local`], for as long as the MAC is
//! local, and nowhere else: when neither side has the MAC any more, nothing is remembered.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr};

use bgp::types::MacAddr;
use platform::kernel::Ifindex;

/// How good a claim to a MAC is; the lowest is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    learned: bool,
    sequence: Reverse<u32>,
    vtep: IpAddr,
}

impl Claim {
    /// Sorts before every other one.
    pub(crate) const BEST: Self = Self {
        learned: false,
        sequence: Reverse(u32::MAX),
        vtep: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };

    pub(crate) fn new(sticky: bool, sequence: u32, vtep: IpAddr) -> Self {
        Self { learned: !sticky, sequence: Reverse(sequence), vtep }
    }

    pub(crate) fn sticky(&self) -> bool {
        !self.learned
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.sequence.0
    }

    pub(crate) fn vtep(&self) -> IpAddr {
        self.vtep
    }
}

/// Where a MAC is, all things considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    /// At a port of ours; we advertise it.
    Local {
        /// The bridge port.
        port: Ifindex,
        /// Static: it will not move.
        sticky: bool,
        /// How often it has moved between VTEPs, as we advertise it.
        sequence: u32,
    },
    /// Behind another VTEP.
    Remote {
        /// Its address.
        vtep: IpAddr,
        /// Static there.
        sticky: bool,
        /// As advertised there.
        sequence: u32,
    },
}

/// A MAC that the kernel has at a port of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalMac {
    pub(crate) port: Ifindex,
    pub(crate) sticky: bool,
    /// The kernel saw it there just now, and not only before the remote claim came.
    pub(crate) learned: bool,
}

/// Where a MAC is. `before` is what this said the last time.
pub(crate) fn locate(
    before: Option<Location>,
    local: Option<LocalMac>,
    remote: Option<Claim>,
    own_vtep: IpAddr,
) -> Option<Location> {
    let elsewhere = |claim: Claim| Location::Remote {
        vtep: claim.vtep,
        sticky: claim.sticky(),
        sequence: claim.sequence(),
    };
    let Some(local) = local else { return remote.map(elsewhere) };
    let here = |sequence| Location::Local { port: local.port, sticky: local.sticky, sequence };
    let Some(remote) = remote else { return Some(here(sequence_without_rival(before))) };
    let sequence = match before {
        Some(Location::Local { sequence, .. }) => sequence,
        _ if local.learned => remote.sequence().saturating_add(1),
        _ => 0,
    };
    let ours = Claim::new(local.sticky, sequence, own_vtep);
    let is_leftover = matches!(before, Some(Location::Remote { .. })) && !local.learned;
    let decided_before = is_leftover && ours.sticky() == remote.sticky();
    Some(if ours < remote && !decided_before { here(sequence) } else { elsewhere(remote) })
}

/// A MAC that comes back to us because its remote route is withdrawn goes on counting where that one was, so that
/// everyone who still remembers it takes ours.
fn sequence_without_rival(before: Option<Location>) -> u32 {
    match before {
        Some(Location::Local { sequence, .. }) => sequence,
        Some(Location::Remote { sequence, .. }) => sequence.saturating_add(1),
        None => 0,
    }
}

/// Which MAC an IP address has, all things considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpOwner {
    pub(crate) mac: MacAddr,
    pub(crate) router: bool,
    /// Where the MAC is, as it stands in the route that says so.
    pub(crate) claim: Claim,
    pub(crate) is_local: bool,
}

/// Who has an IP address. An equally good claim goes to the lower MAC.
pub(crate) fn own_address(local: Option<IpOwner>, remote: Option<IpOwner>) -> Option<IpOwner> {
    local.into_iter().chain(remote).min_by_key(|owner| (owner.claim, owner.mac))
}
