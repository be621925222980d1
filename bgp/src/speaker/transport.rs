//! What a neighbour's TCP connections must be: how far they may come, and what signs their segments.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::config::{NeighborConfig, RemoteAs};
use super::neighbor::Neighbor;
use super::{Action, ConnectionId, Speaker};
use crate::types::Asn;

/// How far away a neighbour may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distance {
    /// An external neighbour is on a link of ours, an internal one anywhere.
    #[default]
    Default,
    /// An external neighbour is on a link of ours, but its address is in no prefix of that link.
    Unchecked,
    /// An external neighbour is at most so many hops away.
    Hops(u8),
    /// At most so many hops away, and what comes from farther is dropped by the kernel (GTSM, RFC 5082).
    Security(u8),
}

/// How a connection is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Hop limit of what we send.
    pub ttl: u8,
    /// What arrives with less was sent from too far away.
    pub minimum_ttl: Option<u8>,
    /// Do not even try unless the neighbour's address is in a prefix of one of our interfaces.
    pub on_link: bool,
    /// What signs the segments.
    pub auth: Option<Auth>,
}

/// What signs the segments of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// TCP MD5 signatures (RFC 2385).
    Md5(Secret),
}

/// Who signs with what, for a listener: it must know before a connection comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// From where.
    pub from: IpNet,
    /// With what.
    pub auth: Auth,
}

/// A key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The kernel takes no longer ones (`TCP_MD5SIG_MAXKEYLEN`).
    pub const MAX_LEN: usize = 80;

    /// `None`: it is empty, or longer than [`Self::MAX_LEN`] octets.
    pub fn new(key: impl Into<Box<[u8]>>) -> Option<Self> {
        let key = key.into();
        (1..=Self::MAX_LEN).contains(&key.len()).then_some(Self(key))
    }

    /// For the kernel.
    #[cfg(feature = "net")]
    pub(crate) const fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Transport {
    /// To anybody, however far away.
    pub const ANYWHERE: Self = Self { ttl: MAX_TTL, minimum_ttl: None, on_link: false, auth: None };
}

const MAX_TTL: u8 = 255;
const ON_LINK: u8 = 1;

impl NeighborConfig {
    /// What its connections must be, seen from this AS.
    pub fn transport(&self, asn: Asn) -> Transport {
        let external = match self.remote_as {
            RemoteAs::Asn(theirs) => theirs != asn,
            RemoteAs::External => true,
            RemoteAs::Internal => false,
        };
        let anywhere = Transport { auth: self.auth.clone(), ..Transport::ANYWHERE };
        match self.distance {
            Distance::Security(hops) => Transport {
                // One hop away nobody has counted down yet.
                minimum_ttl: Some(MAX_TTL.saturating_sub(hops.saturating_sub(1))),
                ..anywhere
            },
            _ if !external => anywhere,
            Distance::Default => Transport { ttl: ON_LINK, on_link: true, ..anywhere },
            Distance::Unchecked => Transport { ttl: ON_LINK, ..anywhere },
            Distance::Hops(hops) => Transport { ttl: hops, ..anywhere },
        }
    }
}

impl Speaker {
    /// What a connection from there must be; `None`: nobody is there that we take one from.
    pub fn transport(&self, remote: SocketAddr) -> Option<Transport> {
        let config = match self.neighbor_at(remote) {
            Some(index) => &self.neighbors.get(index as usize)?.as_ref()?.config,
            None => &self.range_of(remote)?.template,
        };
        Some(config.transport(self.config.asn))
    }

    /// All who sign, for a listener that has heard of no [`Action::Authenticate`] yet.
    pub fn signers(&self) -> Vec<Signer> {
        let neighbors = self.neighbors.iter().flatten();
        let signer = |neighbor: &Neighbor| {
            let from = IpNet::from(neighbor.config.address);
            neighbor.config.auth.clone().map(|auth| Signer { from, auth })
        };
        let ranges = self.ranges.iter().filter_map(|range| {
            range.template.auth.clone().map(|auth| Signer { from: range.prefix, auth })
        });
        neighbors
            .filter_map(signer)
            .filter(|signer| !is_nobody(signer.from))
            .chain(ranges)
            .collect()
    }

    /// A neighbour no longer signs from there; another one, on another link, may.
    pub(super) fn forget_key(&mut self, address: IpAddr) {
        let same = |neighbor: &Option<Neighbor>| {
            let config = neighbor.as_ref().map(|neighbor| &neighbor.config);
            config.is_some_and(|config| config.address == address && config.auth.is_some())
        };
        if let Some(other) = self.neighbors.iter().position(same) {
            self.authenticate(u32::try_from(other).unwrap_or(u32::MAX));
        } else if !address.is_unspecified() {
            let from = IpNet::from(address);
            self.actions.push_back(Action::Authenticate {
                from,
                auth: None,
                connections: Vec::new(),
            });
        }
    }

    /// Has the neighbour's connections signed as its configuration says from now on.
    pub(super) fn authenticate(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        if neighbor.config.address.is_unspecified() {
            return;
        }
        let of_it = self.connections.iter().filter(|(_, inbound)| inbound.neighbor == index);
        let connections = of_it.map(|(id, _)| *id).collect();
        let (from, auth) = (IpNet::from(neighbor.config.address), neighbor.config.auth.clone());
        self.authenticate_from(from, auth, connections);
    }

    pub(super) fn authenticate_from(
        &mut self,
        from: IpNet,
        auth: Option<Auth>,
        connections: Vec<ConnectionId>,
    ) {
        self.actions.push_back(Action::Authenticate { from, auth, connections });
    }
}

/// The address of a neighbour on an interface that was not found yet.
fn is_nobody(from: IpNet) -> bool {
    from.addr().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let auth = Auth::Md5(Secret::new(*b"quicksand").unwrap());
        assert_eq!(format!("{auth:?}"), "Md5((secret))");
    }

    #[test]
    fn a_key_is_as_long_as_the_kernel_takes_it() {
        assert_eq!(Secret::new([]), None);
        assert!(Secret::new([b'x'; 80]).is_some());
        assert_eq!(Secret::new([b'x'; 81]), None);
    }

    #[test]
    fn the_hop_limit_follows_from_who_the_neighbour_is() {
        let address = IpAddr::from([192, 0, 2, 1]);
        for (remote_as, distance, want) in [
            (RemoteAs::External, Distance::Default, (1, None, true)),
            (RemoteAs::External, Distance::Unchecked, (1, None, false)),
            (RemoteAs::Asn(Asn(65002)), Distance::Hops(3), (3, None, false)),
            (RemoteAs::Asn(Asn(65002)), Distance::Security(1), (255, Some(255), false)),
            (RemoteAs::External, Distance::Security(255), (255, Some(1), false)),
            (RemoteAs::Asn(Asn(65001)), Distance::Default, (255, None, false)),
            (RemoteAs::Internal, Distance::Hops(1), (255, None, false)),
            (RemoteAs::Internal, Distance::Security(2), (255, Some(254), false)),
        ] {
            let config =
                NeighborConfig { distance, ..NeighborConfig::new(address, remote_as, Vec::new()) };
            let got = config.transport(Asn(65001));
            assert_eq!((got.ttl, got.minimum_ttl, got.on_link), want, "{remote_as:?} {distance:?}");
        }
    }
}
