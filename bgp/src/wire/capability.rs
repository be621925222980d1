//! Capabilities of an OPEN (RFC 5492). One that we do not know, or whose value makes no sense, is never an error: it is
//! kept as it came, and the feature stays off.

use super::reader::Reader;
use crate::types::{AfiSafi, Asn, Role};

/// What a speaker says it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// Routes of this family (RFC 4760).
    Multiprotocol(AfiSafi),
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
    /// Next hops of another family than the route's (RFC 8950).
    ExtendedNextHop(Vec<ExtendedNextHop>),
    /// Messages of up to 65535 octets (RFC 8654).
    ExtendedMessage,
    /// The speaker's role towards its neighbour (RFC 9234).
    Role(Role),
    /// AS numbers of four octets, and the speaker's own (RFC 6793).
    FourOctetAs(Asn),
    /// Keeping routes while a peer restarts (RFC 4724, RFC 8538).
    GracefulRestart(GracefulRestart),
    /// Keeping routes for long while a peer is away (RFC 9494).
    LongLivedGracefulRestart(Vec<LongLived>),
    /// Begin and end marks around refreshed routes (RFC 7313).
    EnhancedRouteRefresh,
    /// Several paths per prefix: 1 can receive, 2 can send, 3 both (RFC 7911).
    AddPath(Vec<(AfiSafi, u8)>),
    /// What the speaker's operators call it (draft-walton-bgp-hostname-capability).
    Hostname {
        /// Its name.
        host: String,
        /// The domain of that, mostly empty.
        domain: String,
    },
    /// A link-local next hop may stand alone (draft-ietf-idr-linklocal-capability).
    LinkLocalNextHop,
    /// Anything else, and any of the above with a value that is not what its RFC says.
    Unknown {
        /// IANA's number of the capability.
        code: u8,
        /// Its value as received.
        value: Vec<u8>,
    },
}

/// Routes of `family` may have a next hop of the address family `next_hop_afi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedNextHop {
    /// Family of the routes.
    pub family: AfiSafi,
    /// AFI of the next hop: 2 for IPv6.
    pub next_hop_afi: u16,
}

/// One family of the long-lived graceful restart capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLived {
    /// Which family.
    pub family: AfiSafi,
    /// Forwarding went on through the restart (F bit).
    pub forwarding: bool,
    /// Seconds that the speaker's routes may outlive its graceful restart; 24 bits.
    pub time: u32,
}

/// The value of the graceful restart capability.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GracefulRestart {
    /// The speaker has just restarted (R bit).
    pub restarting: bool,
    /// Graceful restart also after a NOTIFICATION or an expired hold timer (N bit, RFC 8538).
    pub notification: bool,
    /// Seconds that the speaker needs to come back; 12 bits.
    pub time: u16,
    /// Families covered, and whether forwarding went on through the restart (F bit).
    pub families: Vec<(AfiSafi, bool)>,
}

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const ROLE: u8 = 9;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const LONG_LIVED_GRACEFUL_RESTART: u8 = 71;
const MAX_LONG_LIVED_TIME: u32 = 0x00ff_ffff;
/// As much of a name as FRR sends.
const MAX_NAME: usize = 64;
const HOSTNAME: u8 = 73;
const LINK_LOCAL_NEXT_HOP: u8 = 77;

impl Capability {
    /// IANA's number.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => MULTIPROTOCOL,
            Self::RouteRefresh => ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => EXTENDED_MESSAGE,
            Self::Role(_) => ROLE,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::LongLivedGracefulRestart(_) => LONG_LIVED_GRACEFUL_RESTART,
            Self::EnhancedRouteRefresh => ENHANCED_ROUTE_REFRESH,
            Self::AddPath(_) => ADD_PATH,
            Self::Hostname { .. } => HOSTNAME,
            Self::LinkLocalNextHop => LINK_LOCAL_NEXT_HOP,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Reads one capability. `None`: it is longer than what is left.
    pub fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let code = input.u8()?;
        let value = input.take_u8_len()?;
        Some(known(code, value).unwrap_or_else(|| Self::Unknown { code, value: value.to_vec() }))
    }

    /// Appends code, length and value. A value beyond 255 octets does not exist on the wire and is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[self.code(), 0]);
        match self {
            Self::Multiprotocol(family) => {
                let [high, low] = family.afi.to_be_bytes();
                out.extend_from_slice(&[high, low, 0, family.safi]);
            }
            Self::RouteRefresh
            | Self::ExtendedMessage
            | Self::EnhancedRouteRefresh
            | Self::LinkLocalNextHop => {}
            Self::ExtendedNextHop(entries) => {
                for ExtendedNextHop { family, next_hop_afi } in entries {
                    out.extend_from_slice(&family.afi.to_be_bytes());
                    out.extend_from_slice(&[0, family.safi]);
                    out.extend_from_slice(&next_hop_afi.to_be_bytes());
                }
            }
            Self::Role(role) => out.push(role.octet()),
            Self::FourOctetAs(asn) => out.extend_from_slice(&asn.0.to_be_bytes()),
            Self::GracefulRestart(restart) => restart.encode(out),
            Self::LongLivedGracefulRestart(families) => {
                for LongLived { family, forwarding, time } in families {
                    out.extend_from_slice(&family.afi.to_be_bytes());
                    let [_, a, b, c] = (*time).min(MAX_LONG_LIVED_TIME).to_be_bytes();
                    out.extend_from_slice(&[family.safi, u8::from(*forwarding) << 7, a, b, c]);
                }
            }
            Self::AddPath(families) => {
                for (family, mode) in families {
                    out.extend_from_slice(&family.afi.to_be_bytes());
                    out.extend_from_slice(&[family.safi, *mode]);
                }
            }
            Self::Hostname { host, domain } => {
                encode_name(host, out);
                encode_name(domain, out);
            }
            Self::Unknown { value, .. } => out.extend_from_slice(value),
        }
        out.truncate(start + 2 + usize::from(u8::MAX));
        let len = out.len() - start - 2;
        if let Some(field) = out.get_mut(start + 1) {
            *field = u8::try_from(len).unwrap_or(u8::MAX);
        }
    }
}

/// `None`: not ours to understand.
fn known(code: u8, value: &[u8]) -> Option<Capability> {
    match (code, value) {
        (MULTIPROTOCOL, [high, low, _, safi]) => Some(Capability::Multiprotocol(AfiSafi {
            afi: u16::from_be_bytes([*high, *low]),
            safi: *safi,
        })),
        (ROUTE_REFRESH, []) => Some(Capability::RouteRefresh),
        (EXTENDED_NEXT_HOP, _) => tuples(value, |[a, b, zero, safi, c, d]| {
            let family = AfiSafi { afi: u16::from_be_bytes([a, b]), safi };
            (zero == 0)
                .then_some(ExtendedNextHop { family, next_hop_afi: u16::from_be_bytes([c, d]) })
        })
        .map(Capability::ExtendedNextHop),
        (EXTENDED_MESSAGE, []) => Some(Capability::ExtendedMessage),
        (ROLE, [octet]) => Role::from_octet(*octet).map(Capability::Role),
        (FOUR_OCTET_AS, [a, b, c, d]) => {
            Some(Capability::FourOctetAs(Asn(u32::from_be_bytes([*a, *b, *c, *d]))))
        }
        (GRACEFUL_RESTART, _) => GracefulRestart::decode(value).map(Capability::GracefulRestart),
        (LONG_LIVED_GRACEFUL_RESTART, _) => tuples(value, |[a, b, safi, flags, c, d, e]| {
            Some(LongLived {
                family: AfiSafi { afi: u16::from_be_bytes([a, b]), safi },
                forwarding: flags & 0x80 != 0,
                time: u32::from_be_bytes([0, c, d, e]),
            })
        })
        .map(Capability::LongLivedGracefulRestart),
        (ENHANCED_ROUTE_REFRESH, []) => Some(Capability::EnhancedRouteRefresh),
        (HOSTNAME, _) => hostname(value),
        (LINK_LOCAL_NEXT_HOP, []) => Some(Capability::LinkLocalNextHop),
        (ADD_PATH, _) => tuples(value, |[a, b, safi, mode]| {
            let family = AfiSafi { afi: u16::from_be_bytes([a, b]), safi };
            matches!(mode, 1..=3).then_some((family, mode))
        })
        .map(Capability::AddPath),
        _ => None,
    }
}

/// Two names, each after its length. What is longer than our own would be, or cannot be shown to a person, stays unknown.
fn hostname(value: &[u8]) -> Option<Capability> {
    let mut input = Reader::new(value);
    let mut name = || {
        let octets = input.take_u8_len().filter(|octets| octets.len() <= MAX_NAME)?;
        let name = std::str::from_utf8(octets).ok()?;
        name.chars().all(|letter| letter.is_ascii_graphic()).then(|| name.to_owned())
    };
    let (host, domain) = (name()?, name()?);
    (value.len() == host.len() + domain.len() + 2).then_some(Capability::Hostname { host, domain })
}

/// A longer name is cut.
fn encode_name(name: &str, out: &mut Vec<u8>) {
    let octets = name.as_bytes();
    let octets = octets.get(..MAX_NAME).unwrap_or(octets);
    out.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(octets);
}

/// All entries of a list of fixed-size ones; `None` if one of them, or the length, is wrong.
fn tuples<const N: usize, T>(value: &[u8], entry: impl Fn([u8; N]) -> Option<T>) -> Option<Vec<T>> {
    let (entries, rest) = value.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    entries.iter().map(|octets| entry(*octets)).collect()
}

impl GracefulRestart {
    fn decode(value: &[u8]) -> Option<Self> {
        let (head, families) = value.split_first_chunk::<2>()?;
        let head = u16::from_be_bytes(*head);
        let families = tuples(families, |[a, b, safi, flags]| {
            Some((AfiSafi { afi: u16::from_be_bytes([a, b]), safi }, flags & 0x80 != 0))
        })?;
        Some(Self {
            restarting: head & 0x8000 != 0,
            notification: head & 0x4000 != 0,
            time: head & 0x0fff,
            families,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = u16::from(self.restarting) << 15 | u16::from(self.notification) << 14;
        out.extend_from_slice(&(flags | self.time.min(0x0fff)).to_be_bytes());
        for (family, forwarding) in &self.families {
            out.extend_from_slice(&family.afi.to_be_bytes());
            out.extend_from_slice(&[family.safi, u8::from(*forwarding) << 7]);
        }
    }
}
