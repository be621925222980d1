//! The tables of all families, and what can be done with any of them without knowing which it is.

use std::net::IpAddr;

use ipnet::IpNet;

use super::RouteFamily;
use super::add_path::AddPathSend;
use super::adj_out::{Mark, Transmit};
use super::egress::PolicyId;
use super::import::Imports;
use super::ingress::{self, Receiver, Refusal};
use super::peers::{Peers, Source};
use super::table::Table;
use crate::types::AfiSafi;
use crate::wire::{AttributeInterner, Evpn, FamilySet, Ipv4Unicast, Ipv6Unicast, UpdateView};

/// One table per family.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) ipv4: Table<Ipv4Unicast>,
    pub(crate) ipv6: Table<Ipv6Unicast>,
    pub(crate) evpn: Table<Evpn>,
}

impl Tables {
    /// `reported`: families whose best paths are wanted as events. `only_forwarding`: neighbours are told unicast routes
    /// only while they forward; then their best paths are reported in any case, because that is how answers come.
    pub(crate) fn new(reported: FamilySet, only_forwarding: bool) -> Self {
        let mut tables = Self {
            ipv4: Table::new(only_forwarding || reported.contains(AfiSafi::IPV4_UNICAST)),
            ipv6: Table::new(only_forwarding || reported.contains(AfiSafi::IPV6_UNICAST)),
            evpn: Table::new(reported.contains(AfiSafi::L2VPN_EVPN)),
        };
        if only_forwarding {
            tables.ipv4.hold_until_forwarding();
            tables.ipv6.hold_until_forwarding();
        }
        tables
    }

    /// Has neighbours told nothing that is inside these prefixes.
    pub(crate) fn summarize(&mut self, summaries: &[IpNet]) {
        self.ipv4.summarize(summaries);
        self.ipv6.summarize(summaries);
    }

    pub(crate) fn get(&self, family: AfiSafi) -> Option<&dyn AnyTable> {
        match family {
            AfiSafi::IPV4_UNICAST => Some(&self.ipv4),
            AfiSafi::IPV6_UNICAST => Some(&self.ipv6),
            AfiSafi::L2VPN_EVPN => Some(&self.evpn),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, family: AfiSafi) -> Option<&mut dyn AnyTable> {
        match family {
            AfiSafi::IPV4_UNICAST => Some(&mut self.ipv4),
            AfiSafi::IPV6_UNICAST => Some(&mut self.ipv6),
            AfiSafi::L2VPN_EVPN => Some(&mut self.evpn),
            _ => None,
        }
    }

    pub(crate) fn all_mut(&mut self) -> [&mut dyn AnyTable; 3] {
        [&mut self.ipv4, &mut self.ipv6, &mut self.evpn]
    }

    /// Takes the routes of an UPDATE; its view holds only those of negotiated families.
    pub(crate) fn update(
        &mut self,
        view: &UpdateView<'_>,
        source: Source,
        receiver: &Receiver,
        imports: &mut Imports,
        peers: &Peers,
        interner: &mut AttributeInterner,
    ) -> Result<(), Refusal> {
        let Imports { ipv4, ipv6, evpn } = imports;
        ingress::update(&mut self.ipv4, view, source, receiver, ipv4, peers, interner)?;
        ingress::update(&mut self.ipv6, view, source, receiver, ipv6, peers, interner)?;
        ingress::update(&mut self.evpn, view, source, receiver, evpn, peers, interner)
    }
}

/// A table whose family does not matter.
pub(crate) trait AnyTable {
    fn len(&self) -> usize;
    fn slots(&self) -> usize;
    fn slots_in_use(&self) -> usize;
    fn received(&self, neighbor: u32) -> usize;
    fn set_limit(&mut self, neighbor: u32, limit: Option<u32>);
    fn is_beyond_limit(&mut self, source: Source, peers: &Peers) -> bool;
    fn sent(&self, neighbor: u32) -> usize;
    fn pending(&self, neighbor: u32) -> usize;
    fn listen(
        &mut self,
        neighbor: u32,
        policy: PolicyId,
        address: IpAddr,
        add_path: Option<AddPathSend>,
        mark: Mark,
    );
    fn originate_default(&mut self, neighbor: u32);
    fn change_policy(&mut self, neighbor: u32, policy: PolicyId);
    fn policies(&self) -> Vec<PolicyId>;
    fn stop_listening(&mut self, neighbor: u32);
    fn send_all(&mut self, neighbor: u32, mark: Mark);
    fn transmit(&mut self, neighbor: u32, context: &mut Transmit<'_>, out: &mut Vec<u8>);
    fn release_deferred(&mut self, neighbor: u32);
    fn flush(&mut self, source: Source, only_stale: bool, peers: &Peers);
    fn mark_stale(&mut self, source: Source);
    fn begin_long_lived(&mut self, source: Source, peers: &Peers, interner: &mut AttributeInterner);
    fn has_changes(&self) -> bool;
    fn report_all(&mut self);
    fn owe_answers(&mut self);
    fn give_up_on_answers(&mut self) -> usize;
}

impl<F: RouteFamily> AnyTable for Table<F> {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn slots(&self) -> usize {
        Self::slots(self)
    }

    fn slots_in_use(&self) -> usize {
        Self::slots_in_use(self)
    }

    fn received(&self, neighbor: u32) -> usize {
        Self::received(self, neighbor)
    }

    fn set_limit(&mut self, neighbor: u32, limit: Option<u32>) {
        Self::set_limit(self, neighbor, limit);
    }

    fn is_beyond_limit(&mut self, source: Source, peers: &Peers) -> bool {
        Self::is_beyond_limit(self, source, peers)
    }

    fn sent(&self, neighbor: u32) -> usize {
        Self::sent(self, neighbor)
    }

    fn pending(&self, neighbor: u32) -> usize {
        Self::pending(self, neighbor)
    }

    fn listen(
        &mut self,
        neighbor: u32,
        policy: PolicyId,
        address: IpAddr,
        add_path: Option<AddPathSend>,
        mark: Mark,
    ) {
        Self::listen(self, neighbor, policy, address, add_path, mark);
    }

    fn originate_default(&mut self, neighbor: u32) {
        Self::originate_default(self, neighbor);
    }

    fn change_policy(&mut self, neighbor: u32, policy: PolicyId) {
        Self::change_policy(self, neighbor, policy);
    }

    fn policies(&self) -> Vec<PolicyId> {
        Self::policies(self)
    }

    fn stop_listening(&mut self, neighbor: u32) {
        Self::stop_listening(self, neighbor);
    }

    fn send_all(&mut self, neighbor: u32, mark: Mark) {
        Self::send_all(self, neighbor, mark);
    }

    fn transmit(&mut self, neighbor: u32, context: &mut Transmit<'_>, out: &mut Vec<u8>) {
        Self::transmit(self, neighbor, context, out);
    }

    fn release_deferred(&mut self, neighbor: u32) {
        Self::release_deferred(self, neighbor);
    }

    fn flush(&mut self, source: Source, only_stale: bool, peers: &Peers) {
        Self::flush(self, source, only_stale, peers);
    }

    fn mark_stale(&mut self, source: Source) {
        Self::mark_stale(self, source);
    }

    fn begin_long_lived(
        &mut self,
        source: Source,
        peers: &Peers,
        interner: &mut AttributeInterner,
    ) {
        Self::begin_long_lived(self, source, peers, interner);
    }

    fn has_changes(&self) -> bool {
        Self::has_changes(self)
    }

    fn report_all(&mut self) {
        Self::report_all(self);
    }

    fn owe_answers(&mut self) {
        Self::owe_answers(self);
    }

    fn give_up_on_answers(&mut self) -> usize {
        Self::give_up_on_answers(self)
    }
}
