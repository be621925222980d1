//! Where to send packets of a route: the NEXT_HOP attribute, or the next hop inside MP_REACH_NLRI.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

/// Next hop of a route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, also of an IPv4 route (RFC 8950).
    V6 {
        /// The first address. Some speakers put a link-local address here when they have no other.
        global: Ipv6Addr,
        /// The second address, of peers on one link (RFC 2545 §3).
        link_local: Option<Ipv6Addr>,
    },
}

impl NextHop {
    /// The address that packets go to, the global one if there are two. A global address that is all zero, which some
    /// speakers send on unnumbered links, does not hide the link-local one.
    pub fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => IpAddr::V4(address),
            Self::V6 { global, link_local } => {
                let address = if global.is_unspecified() { link_local } else { None };
                IpAddr::V6(address.unwrap_or(global))
            }
        }
    }

    /// Its link-local address, in whichever place the sender has put it. On the link of the session it is the one that
    /// packets go to (RFC 2545 §3).
    pub fn link_local(self) -> Option<Ipv6Addr> {
        match self {
            Self::V4(_) => None,
            Self::V6 { global, link_local } => {
                link_local.into_iter().chain([global]).find(Ipv6Addr::is_unicast_link_local)
            }
        }
    }

    /// What is left of it beyond the link; `::` if that is nothing.
    pub(crate) fn without_link_local(self) -> Self {
        match self {
            Self::V6 { global, .. } if global.is_unicast_link_local() => {
                Self::V6 { global: Ipv6Addr::UNSPECIFIED, link_local: None }
            }
            Self::V6 { global, .. } => Self::V6 { global, link_local: None },
            Self::V4(_) => self,
        }
    }

    /// Reads the next hop of MP_REACH_NLRI: 4, 16 or 32 octets.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
            return Some(Self::V4(Ipv4Addr::from(octets)));
        }
        let (global, rest) = octets.split_first_chunk::<16>()?;
        let link_local = match <[u8; 16]>::try_from(rest) {
            Ok(octets) => Some(Ipv6Addr::from(octets)).filter(|address| !address.is_unspecified()),
            Err(_) if rest.is_empty() => None,
            Err(_) => return None,
        };
        Some(Self::V6 { global: Ipv6Addr::from(*global), link_local })
    }

    /// Appends it as in MP_REACH_NLRI: length, then 4, 16 or 32 octets.
    pub(crate) fn encode(self, out: &mut SmallVec<[u8; 256]>) {
        match self {
            Self::V4(address) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            Self::V6 { global, link_local } => {
                out.push(if link_local.is_some() { 32 } else { 16 });
                out.extend_from_slice(&global.octets());
                if let Some(link_local) = link_local {
                    out.extend_from_slice(&link_local.octets());
                }
            }
        }
    }

    /// Whether packets can be sent there at all: not to nobody, ourselves or a group.
    pub(crate) fn is_host(self) -> bool {
        match self.address() {
            IpAddr::V4(address) => is_host_v4(address),
            IpAddr::V6(address) => {
                !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
            }
        }
    }
}

fn is_host_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..)
}

impl From<IpAddr> for NextHop {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(global) => Self::V6 { global, link_local: None },
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

impl fmt::Debug for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V6 { global, link_local: Some(link_local) } => {
                write!(f, "{global} ({link_local})")
            }
            _ => self.address().fmt(f),
        }
    }
}
