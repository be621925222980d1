//! Deriving one attribute set from another, or making one for a route that begins here.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use smallvec::SmallVec;

use super::as_path::{AS_SEQUENCE, AsPath};
use super::canonical::write_attribute;
use super::ext_community::ExtCommunity;
use super::next_hop::NextHop;
use super::pmsi_tunnel::PmsiTunnel;
use super::set::{Aggregator, AttributeSet, LargeCommunity, LocalAttributes};
use super::{OPTIONAL, Origin, TRANSITIVE, code};
use crate::types::{Asn, RouterId};

/// Attributes in the making. What is not changed is borrowed from the set it came from.
#[derive(Debug, Clone)]
pub struct AttributeEditor<'a> {
    next_hop: NextHop,
    local: LocalAttributes,
    /// Ascending codes.
    attributes: SmallVec<[Attribute<'a>; 8]>,
}

#[derive(Debug, Clone)]
struct Attribute<'a> {
    flags: u8,
    code: u8,
    value: Cow<'a, [u8]>,
}

impl<'a> AttributeEditor<'a> {
    pub(super) fn new(next_hop: NextHop) -> Self {
        let local = LocalAttributes::default();
        let mut editor = Self { next_hop, local, attributes: SmallVec::new() };
        editor.set_origin(Origin::Igp).put(code::AS_PATH, TRANSITIVE, Vec::new());
        editor
    }

    pub(super) fn of(set: &'a AttributeSet) -> Self {
        let attributes = set
            .raw_attributes()
            .map(|raw| Attribute {
                flags: raw.flags,
                code: raw.code,
                value: Cow::Borrowed(raw.value),
            })
            .collect();
        Self { next_hop: set.next_hop(), local: set.local(), attributes }
    }

    /// What no neighbour is told.
    pub fn local(&mut self) -> &mut LocalAttributes {
        &mut self.local
    }

    /// Replaces the next hop.
    pub fn set_next_hop(&mut self, next_hop: NextHop) -> &mut Self {
        self.next_hop = next_hop;
        self
    }

    /// Replaces ORIGIN.
    pub fn set_origin(&mut self, origin: Origin) -> &mut Self {
        self.put(code::ORIGIN, TRANSITIVE, vec![origin as u8])
    }

    /// Sets LOCAL_PREF.
    pub fn set_local_pref(&mut self, local_pref: u32) -> &mut Self {
        self.put(code::LOCAL_PREF, TRANSITIVE, local_pref.to_be_bytes().to_vec())
    }

    /// Sets MULTI_EXIT_DISC.
    pub fn set_med(&mut self, med: u32) -> &mut Self {
        self.put(code::MED, OPTIONAL, med.to_be_bytes().to_vec())
    }

    /// Sets AGGREGATOR.
    pub fn set_aggregator(&mut self, Aggregator { asn, router_id }: Aggregator) -> &mut Self {
        let value = [asn.0.to_be_bytes(), router_id.0.octets()].concat();
        self.put(code::AGGREGATOR, OPTIONAL | TRANSITIVE, value)
    }

    /// Sets ORIGINATOR_ID.
    pub fn set_originator_id(&mut self, id: RouterId) -> &mut Self {
        self.put(code::ORIGINATOR_ID, OPTIONAL, id.0.octets().to_vec())
    }

    /// Puts a cluster at the front of CLUSTER_LIST.
    pub fn prepend_cluster(&mut self, cluster: Ipv4Addr) -> &mut Self {
        let mut value = cluster.octets().to_vec();
        value.extend_from_slice(self.value(code::CLUSTER_LIST));
        self.put(code::CLUSTER_LIST, OPTIONAL, value)
    }

    /// Puts an AS number at the front of AS_PATH. A full sequence gets a new one before it (RFC 4271 §5.1.2).
    pub fn prepend_as(&mut self, asn: Asn) -> &mut Self {
        let path = self.value(code::AS_PATH);
        let (count, rest) = match *path {
            [AS_SEQUENCE, count @ ..=254, ref rest @ ..] => (count + 1, rest),
            _ => (1, path),
        };
        let mut value = Vec::with_capacity(path.len() + 6);
        value.extend_from_slice(&[AS_SEQUENCE, count]);
        value.extend_from_slice(&asn.0.to_be_bytes());
        value.extend_from_slice(rest);
        self.put(code::AS_PATH, TRANSITIVE, value)
    }

    /// Puts an AS number at the front of AS_PATH several times.
    pub fn prepend_as_times(&mut self, asn: Asn, times: usize) -> &mut Self {
        for _ in 0..times {
            self.prepend_as(asn);
        }
        self
    }

    /// Replaces AS_PATH by one sequence of at most 255 AS numbers.
    pub fn set_as_path(&mut self, asns: &[Asn]) -> &mut Self {
        self.put(code::AS_PATH, TRANSITIVE, Vec::new());
        for asn in asns.iter().rev() {
            self.prepend_as(*asn);
        }
        self
    }

    /// Gives every AS number in AS_PATH another one, or takes it out. Segments without any are taken out too.
    pub fn change_as_path(&mut self, change: impl Fn(Asn) -> Option<Asn>) -> &mut Self {
        let mut value = Vec::new();
        for segment in AsPath::new(self.value(code::AS_PATH)).segments() {
            let asns: Vec<Asn> = segment.asns().filter_map(&change).collect();
            let Ok(count @ 1..) = u8::try_from(asns.len()) else { continue };
            value.extend_from_slice(&[segment.kind.octet(), count]);
            value.extend(asns.iter().flat_map(|asn| asn.0.to_be_bytes()));
        }
        self.put(code::AS_PATH, TRANSITIVE, value)
    }

    /// Adds a community, unless it is there.
    pub fn add_community(&mut self, community: u32) -> &mut Self {
        self.add_element(code::COMMUNITIES, community.to_be_bytes())
    }

    /// Takes a community out.
    pub fn remove_community(&mut self, community: u32) -> &mut Self {
        self.retain_communities(|other| other != community)
    }

    /// Keeps the communities that `keep` wants.
    pub fn retain_communities(&mut self, keep: impl Fn(u32) -> bool) -> &mut Self {
        self.retain_elements(code::COMMUNITIES, |octets| keep(u32::from_be_bytes(*octets)))
    }

    /// Adds an extended community, unless it is there.
    pub fn add_ext_community(&mut self, community: ExtCommunity) -> &mut Self {
        self.add_element(code::EXT_COMMUNITIES, community.0)
    }

    /// Keeps the extended communities that `keep` wants.
    pub fn retain_ext_communities(&mut self, keep: impl Fn(ExtCommunity) -> bool) -> &mut Self {
        self.retain_elements(code::EXT_COMMUNITIES, |octets| keep(ExtCommunity(*octets)))
    }

    /// Adds a large community, unless it is there.
    pub fn add_large_community(&mut self, community: LargeCommunity) -> &mut Self {
        self.add_element(code::LARGE_COMMUNITIES, community.octets())
    }

    /// Sets ONLY_TO_CUSTOMER.
    pub fn set_only_to_customer(&mut self, asn: Asn) -> &mut Self {
        self.put(code::ONLY_TO_CUSTOMER, OPTIONAL | TRANSITIVE, asn.0.to_be_bytes().to_vec())
    }

    /// Keeps the large communities that `keep` wants.
    pub fn retain_large_communities(&mut self, keep: impl Fn(LargeCommunity) -> bool) -> &mut Self {
        self.retain_elements(code::LARGE_COMMUNITIES, |octets| {
            keep(LargeCommunity::from_octets(*octets))
        })
    }

    /// Says that the route lost detail.
    pub fn set_atomic_aggregate(&mut self) -> &mut Self {
        self.put(code::ATOMIC_AGGREGATE, TRANSITIVE, Vec::new())
    }

    /// Sets PMSI_TUNNEL.
    pub fn set_pmsi_tunnel(&mut self, tunnel: PmsiTunnel) -> &mut Self {
        self.put(code::PMSI_TUNNEL, OPTIONAL | TRANSITIVE, tunnel.encode())
    }

    /// Takes an attribute out. ORIGIN and AS_PATH belong to every route and stay.
    pub fn remove(&mut self, code: u8) -> &mut Self {
        if !matches!(code, code::ORIGIN | code::AS_PATH) {
            self.attributes.retain(|attribute| attribute.code != code);
        }
        self
    }

    /// The set.
    pub fn build(&self) -> AttributeSet {
        let mut block = Vec::with_capacity(
            self.attributes.iter().map(|attribute| attribute.value.len() + 4).sum(),
        );
        let mut oversized = false;
        for attribute in &self.attributes {
            if attribute.value.len() <= usize::from(u16::MAX) {
                write_attribute(attribute.flags, attribute.code, &attribute.value, &mut block);
            } else {
                oversized = true;
            }
        }
        let set = AttributeSet::from_block(block.into_boxed_slice(), self.next_hop)
            .with_local(self.local);
        if oversized { set.into_oversized() } else { set }
    }

    fn value(&self, code: u8) -> &[u8] {
        self.attributes
            .iter()
            .find(|attribute| attribute.code == code)
            .map_or(&[], |attribute| &*attribute.value)
    }

    fn put(&mut self, code: u8, flags: u8, value: Vec<u8>) -> &mut Self {
        let attribute = Attribute { flags, code, value: Cow::Owned(value) };
        match self.attributes.binary_search_by_key(&code, |attribute| attribute.code) {
            Ok(at) => {
                if let Some(old) = self.attributes.get_mut(at) {
                    *old = attribute;
                }
            }
            Err(at) => self.attributes.insert(at, attribute),
        }
        self
    }

    fn add_element<const N: usize>(&mut self, code: u8, element: [u8; N]) -> &mut Self {
        let old = self.value(code);
        if old.as_chunks::<N>().0.contains(&element) {
            return self;
        }
        let mut value = Vec::with_capacity(old.len() + N);
        value.extend_from_slice(old);
        value.extend_from_slice(&element);
        self.put(code, OPTIONAL | TRANSITIVE, value)
    }

    fn retain_elements<const N: usize>(
        &mut self,
        code: u8,
        keep: impl Fn(&[u8; N]) -> bool,
    ) -> &mut Self {
        let elements = self.value(code).as_chunks::<N>().0;
        if elements.iter().all(&keep) {
            return self;
        }
        let kept =
            elements.iter().filter(|element| keep(element)).flatten().copied().collect::<Vec<_>>();
        if kept.is_empty() {
            self.remove(code)
        } else {
            self.put(code, OPTIONAL | TRANSITIVE, kept)
        }
    }
}
