//! The attributes of a route, canonical and immutable: shared by all routes that have the same ones.

use std::fmt;
use std::net::Ipv4Addr;

use super::as_path::AsPath;
use super::canonical::Parts;
use super::community::{GRACEFUL_SHUTDOWN, LLGR_STALE};
use super::editor::AttributeEditor;
use super::ext_community::ExtCommunity;
use super::next_hop::NextHop;
use super::pmsi_tunnel::PmsiTunnel;
use super::{EXTENDED_LENGTH, Origin, code};
use crate::types::{Asn, RouterId};

/// The path attributes of a route, and its next hop.
///
/// The attributes lie in one block of bytes as on the wire, but canonical: ascending codes, AS numbers of four octets,
/// lengths in the shortest form. MP_REACH_NLRI, MP_UNREACH_NLRI and NEXT_HOP are not in the block. Two sets are equal when
/// block, next hop and local attributes are.
#[derive(Clone)]
pub struct AttributeSet {
    block: Box<[u8]>,
    next_hop: NextHop,
    local: LocalAttributes,
    /// Where NEXT_HOP belongs in the block.
    next_hop_at: u32,
    /// An attribute outgrew its length field when the set was made, and is not in the block. Such a set cannot be sent.
    oversized: bool,
    summary: Summary,
}

/// What the decision process asks for again and again.
#[derive(Clone, Copy, Default)]
struct Summary {
    origin: Origin,
    local_pref: Option<u32>,
    med: Option<u32>,
    as_path_length: u16,
    first_as: Option<Asn>,
    originator_id: Option<RouterId>,
    graceful_shutdown: bool,
    long_lived_stale: bool,
}

/// What policy says of a route and no neighbour is ever told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LocalAttributes {
    /// Before everything else in the decision between paths; the higher one wins.
    pub weight: u32,
    /// A mark from one policy to another.
    pub tag: u32,
    /// Who told us of the route.
    pub protocol: Protocol,
}

/// Where a route is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// A BGP neighbour, or this speaker's own configuration.
    #[default]
    Bgp,
    /// The prefix of an interface.
    Connected,
    /// A static route.
    Static,
    /// Any other route of the kernel.
    Kernel,
}

/// Who formed an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// Its AS.
    pub asn: Asn,
    /// Its BGP identifier.
    pub router_id: RouterId,
}

/// A large community (RFC 8092).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// AS that gives the other two a meaning.
    pub global: u32,
    /// First part of the value.
    pub local1: u32,
    /// Second part of the value.
    pub local2: u32,
}

/// One attribute of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawAttribute<'a> {
    pub(crate) flags: u8,
    pub(crate) code: u8,
    pub(crate) value: &'a [u8],
}

impl AttributeSet {
    /// Attributes of a route that begins here: ORIGIN IGP and an empty AS_PATH.
    pub fn builder(next_hop: NextHop) -> AttributeEditor<'static> {
        AttributeEditor::new(next_hop)
    }

    /// Starts a changed copy.
    pub fn edit(&self) -> AttributeEditor<'_> {
        AttributeEditor::of(self)
    }

    /// `block` is canonical, as the type says.
    pub(crate) fn from_block(block: Box<[u8]>, next_hop: NextHop) -> Self {
        let mut summary = Summary::default();
        let mut next_hop_at = 0;
        let mut rest = &*block;
        while let Some((attribute, after)) = split_attribute(rest) {
            summary.note(attribute);
            rest = after;
            if attribute.code < code::NEXT_HOP {
                next_hop_at = block.len() - rest.len();
            }
        }
        let next_hop_at = u32::try_from(next_hop_at).unwrap_or(0);
        let local = LocalAttributes::default();
        Self { block, next_hop, local, next_hop_at, oversized: false, summary }
    }

    pub(crate) fn with_local(self, local: LocalAttributes) -> Self {
        Self { local, ..self }
    }

    /// The same set, marked as one that cannot be sent.
    pub(crate) fn into_oversized(self) -> Self {
        Self { oversized: true, ..self }
    }

    pub(crate) const fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// The attributes before and after the place of NEXT_HOP.
    pub(crate) fn around_next_hop(&self) -> (&[u8], &[u8]) {
        self.block.split_at_checked(self.next_hop_at as usize).unwrap_or((&self.block, &[]))
    }

    /// Whether the block is made of these pieces.
    #[inline]
    pub(crate) fn has_block(&self, parts: Parts<'_>) -> bool {
        let rest = parts.into_iter().try_fold(&*self.block, |rest, part| rest.strip_prefix(part));
        rest.is_some_and(<[u8]>::is_empty)
    }

    /// Where packets go.
    pub const fn next_hop(&self) -> NextHop {
        self.next_hop
    }

    /// What no neighbour is told.
    pub const fn local(&self) -> LocalAttributes {
        self.local
    }

    /// ORIGIN.
    pub const fn origin(&self) -> Origin {
        self.summary.origin
    }

    /// LOCAL_PREF, if there is one.
    pub const fn local_pref(&self) -> Option<u32> {
        self.summary.local_pref
    }

    /// MULTI_EXIT_DISC, if there is one.
    pub const fn med(&self) -> Option<u32> {
        self.summary.med
    }

    /// Whether the route is about to go: it has the community GRACEFUL_SHUTDOWN (RFC 8326).
    pub const fn graceful_shutdown(&self) -> bool {
        self.summary.graceful_shutdown
    }

    /// Whether somebody keeps the route though its neighbour is long gone: the community LLGR_STALE (RFC 9494).
    pub const fn long_lived_stale(&self) -> bool {
        self.summary.long_lived_stale
    }

    /// ORIGINATOR_ID, if the route was reflected.
    pub const fn originator_id(&self) -> Option<RouterId> {
        self.summary.originator_id
    }

    /// [`AsPath::length`] without walking the path.
    pub const fn as_path_length(&self) -> usize {
        self.summary.as_path_length as usize
    }

    /// [`AsPath::first_as`] without walking the path.
    pub const fn first_as(&self) -> Option<Asn> {
        self.summary.first_as
    }

    /// AS_PATH.
    pub fn as_path(&self) -> AsPath<'_> {
        AsPath::new(self.value(code::AS_PATH))
    }

    /// Route reflectors that the route went through, the latest first.
    pub fn cluster_list(&self) -> impl ExactSizeIterator<Item = Ipv4Addr> {
        self.chunks(code::CLUSTER_LIST).iter().map(|octets: &[u8; 4]| Ipv4Addr::from(*octets))
    }

    /// COMMUNITIES, each as the number that its four octets make.
    pub fn communities(&self) -> impl ExactSizeIterator<Item = u32> + Clone {
        self.chunks(code::COMMUNITIES).iter().map(|octets| u32::from_be_bytes(*octets))
    }

    /// EXTENDED COMMUNITIES.
    pub fn ext_communities(&self) -> impl ExactSizeIterator<Item = ExtCommunity> + Clone {
        self.chunks(code::EXT_COMMUNITIES).iter().map(|octets| ExtCommunity(*octets))
    }

    /// LARGE_COMMUNITY.
    pub fn large_communities(&self) -> impl ExactSizeIterator<Item = LargeCommunity> + Clone {
        self.chunks(code::LARGE_COMMUNITIES)
            .iter()
            .map(|octets| LargeCommunity::from_octets(*octets))
    }

    /// PMSI_TUNNEL, if there is one.
    pub fn pmsi_tunnel(&self) -> Option<PmsiTunnel> {
        PmsiTunnel::decode(self.get(code::PMSI_TUNNEL)?)
    }

    /// AGGREGATOR, if there is one.
    pub fn aggregator(&self) -> Option<Aggregator> {
        let [a, b, c, d, id @ ..] = <[u8; 8]>::try_from(self.get(code::AGGREGATOR)?).ok()?;
        let asn = Asn(u32::from_be_bytes([a, b, c, d]));
        Some(Aggregator { asn, router_id: RouterId(Ipv4Addr::from(id)) })
    }

    /// ONLY_TO_CUSTOMER, if there is one: the AS that sent the route down or sideways (RFC 9234).
    pub fn only_to_customer(&self) -> Option<Asn> {
        let octets = self.get(code::ONLY_TO_CUSTOMER)?.try_into().ok()?;
        Some(Asn(u32::from_be_bytes(octets)))
    }

    /// Whether the route is an aggregate that lost detail.
    pub fn atomic_aggregate(&self) -> bool {
        self.get(code::ATOMIC_AGGREGATE).is_some()
    }

    /// The value of any attribute, known or not.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.raw_attributes()
            .find(|attribute| attribute.code == code)
            .map(|attribute| attribute.value)
    }

    pub(crate) fn raw_attributes(&self) -> impl Iterator<Item = RawAttribute<'_>> {
        raw_attributes(&self.block)
    }

    pub(crate) fn block(&self) -> &[u8] {
        &self.block
    }

    fn value(&self, code: u8) -> &[u8] {
        self.get(code).unwrap_or_default()
    }

    fn chunks<const N: usize>(&self, code: u8) -> &[[u8; N]] {
        self.value(code).as_chunks().0
    }
}

impl Summary {
    fn note(&mut self, RawAttribute { code, value, .. }: RawAttribute<'_>) {
        let number = || value.try_into().ok().map(u32::from_be_bytes);
        match code {
            code::ORIGIN => {
                self.origin =
                    value.first().and_then(|octet| Origin::from_octet(*octet)).unwrap_or_default();
            }
            code::AS_PATH => {
                let path = AsPath::new(value);
                self.as_path_length = u16::try_from(path.length()).unwrap_or(u16::MAX);
                self.first_as = path.first_as();
            }
            code::COMMUNITIES => {
                let communities: &[[u8; 4]] = value.as_chunks().0;
                self.graceful_shutdown = communities.contains(&GRACEFUL_SHUTDOWN.to_be_bytes());
                self.long_lived_stale = communities.contains(&LLGR_STALE.to_be_bytes());
            }
            code::MED => self.med = number(),
            code::LOCAL_PREF => self.local_pref = number(),
            code::ORIGINATOR_ID => {
                self.originator_id = number().map(|number| RouterId(Ipv4Addr::from(number)))
            }
            _ => {}
        }
    }
}

/// The attributes of a sound block. What cannot be read ends it.
pub(crate) fn raw_attributes(block: &[u8]) -> impl Iterator<Item = RawAttribute<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (attribute, after) = split_attribute(rest)?;
        rest = after;
        Some(attribute)
    })
}

/// The first attribute, and what follows it.
#[inline]
pub(crate) fn split_attribute(block: &[u8]) -> Option<(RawAttribute<'_>, &[u8])> {
    let (flags, code, len, rest) = match *block {
        [flags, code, high, low, ref rest @ ..] if flags & EXTENDED_LENGTH != 0 => {
            (flags, code, usize::from(u16::from_be_bytes([high, low])), rest)
        }
        [flags, code, len, ref rest @ ..] if flags & EXTENDED_LENGTH == 0 => {
            (flags, code, usize::from(len), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((RawAttribute { flags, code, value }, rest))
}

impl LargeCommunity {
    pub(crate) const fn from_octets([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> Self {
        Self {
            global: u32::from_be_bytes([a, b, c, d]),
            local1: u32::from_be_bytes([e, f, g, h]),
            local2: u32::from_be_bytes([i, j, k, l]),
        }
    }

    pub(crate) fn octets(self) -> [u8; 12] {
        let mut octets = [0; 12];
        let numbers = [self.global, self.local1, self.local2].map(u32::to_be_bytes);
        for (to, from) in octets.iter_mut().zip(numbers.as_flattened()) {
            *to = *from;
        }
        octets
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl fmt::Debug for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for AttributeSet {
    fn eq(&self, other: &Self) -> bool {
        self.next_hop == other.next_hop
            && self.local == other.local
            && self.oversized == other.oversized
            && self.block == other.block
    }
}

impl Eq for AttributeSet {}

impl std::hash::Hash for AttributeSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.block.hash(state);
        self.next_hop.hash(state);
    }
}

impl fmt::Debug for AttributeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AttributeSet");
        debug
            .field("next_hop", &self.next_hop)
            .field("origin", &self.origin())
            .field("as_path", &self.as_path());
        for RawAttribute { code, value, .. } in self.raw_attributes() {
            match code {
                code::ORIGIN | code::AS_PATH => &mut debug,
                code::MED => debug.field("med", &self.med()),
                code::LOCAL_PREF => debug.field("local_pref", &self.local_pref()),
                code::EXT_COMMUNITIES => {
                    debug.field("ext_communities", &self.ext_communities().collect::<Vec<_>>())
                }
                code => debug.field(&format!("attribute_{code}"), &value),
            };
        }
        debug.finish()
    }
}
