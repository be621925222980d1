//! What of the kernel's objects should be in hardware, and why others need not be.

use std::net::IpAddr;

use ipnet::IpNet;
use platform::asic::Capabilities;
use platform::kernel::{
    BridgeVlan, FdbEntry, FdbState, FdbTable, Filter, Ifindex, Link, LinkKind, Model, Neighbor,
    Nexthop, NexthopKind, Object, Route, RouteKind, TABLE_LOCAL, Verdict, Via,
};

use super::backing::Backing;

/// What to expect of the hardware for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expectation {
    /// It should have it. No flag means that something is wrong or not done yet.
    Hardware,
    /// It cannot or need not have it, because of this.
    Software(&'static str),
    /// It cannot have it, whatever the flag says, because of this. A driver that is reloaded forgets its entries, and the
    /// kernel keeps their flags.
    Gone(&'static str),
    /// Its packets go to the CPU whatever its flag says, because of this.
    Cpu(&'static str),
    /// The kernel has no flag for it. This follows from what it consists of.
    Derived(Verdict, &'static str),
}

use Expectation::{Derived, Hardware, Software};

/// What to expect of the hardware for `object`. Looks at a few other objects at most.
pub(super) fn expectation(
    object: &Object,
    model: &Model,
    backing: &Backing,
    can: Capabilities,
) -> Expectation {
    let switch = Switch { model, backing, can };
    match object {
        Object::Link(link) => switch.link(link),
        Object::BridgeVlan(vlan) => switch.vlan(vlan),
        Object::Fdb(entry) => switch.fdb(entry),
        Object::Neighbor(neighbor) => switch.neighbor(neighbor),
        Object::Nexthop(nexthop) => switch.nexthop(nexthop),
        Object::Route(route) => switch.route(route),
        Object::Filter(filter) => switch.filter(filter),
        Object::Address(_) | Object::Rule(_) => Software(NO_ENTRY),
    }
}

struct Switch<'a> {
    model: &'a Model,
    backing: &'a Backing,
    can: Capabilities,
}

const NO_ENTRY: &str = "it is no entry of the hardware";
const NOT_BACKED: &str = "it is on a link that no port of the ASIC belongs to";
const NO_VXLAN: &str =
    "this ASIC's driver does not offload VXLAN: the kernel encapsulates in software";
const NO_ROUTES: &str = "this ASIC's driver does not offload routes";
const NO_ROUTES_V6: &str = "this ASIC's driver does not offload IPv6 routes";

impl Switch<'_> {
    fn link(&self, link: &Link) -> Expectation {
        if link.is_switch_port() {
            return Derived(Verdict::InHardware, "");
        }
        if !self.backing.has(link.index) {
            return Software(NOT_BACKED);
        }
        match &link.kind {
            LinkKind::Vxlan(vxlan) => self.tunnel(vxlan.local),
            LinkKind::Bridge(_) | LinkKind::Bond(_) if self.can.bridge => {
                Derived(Verdict::InHardware, "")
            }
            LinkKind::Vlan { .. } | LinkKind::Macvlan if self.can.ipv4_routes => {
                Derived(Verdict::InHardware, "")
            }
            _ => Software("this ASIC's driver does not offload this kind of device"),
        }
    }

    /// A tunnel is in hardware if its own end is: the local route of its address decapsulates.
    fn tunnel(&self, local: Option<IpAddr>) -> Expectation {
        if !self.can.vxlan {
            return Software(NO_VXLAN);
        }
        let decap = local.and_then(|local| {
            let key = Route {
                table: TABLE_LOCAL,
                ..Route::new(IpNet::from(local), 0, Via::Hops(Vec::new()))
            };
            self.model.get(&key.key())
        });
        match decap {
            Some(Object::Route(route)) if route.offload.offloaded => {
                Derived(Verdict::InHardware, "")
            }
            _ => Derived(
                Verdict::Refused { errno: None, reason: None },
                "the hardware does not decapsulate: the local route of the device's address is not offloaded; is the address on an interface that is up, and a VLAN mapped to the device (pvid untagged)?",
            ),
        }
    }

    /// The driver is asked when a VLAN is set, and can refuse only then.
    fn vlan(&self, vlan: &BridgeVlan) -> Expectation {
        if !self.backing.has(vlan.ifindex) {
            return Software(NOT_BACKED);
        }
        match self.model.link(vlan.ifindex).map(|link| &link.kind) {
            Some(LinkKind::Vxlan(_)) if !self.can.vxlan => Software(NO_VXLAN),
            _ if self.can.bridge => Derived(Verdict::InHardware, ""),
            _ => Software("this ASIC's driver does not offload bridges"),
        }
    }

    fn fdb(&self, entry: &FdbEntry) -> Expectation {
        let is_tunnel = self.model.link(entry.ifindex).is_some_and(|link| link.vxlan().is_some());
        if !self.backing.has(entry.ifindex) {
            return Expectation::Gone(NOT_BACKED);
        }
        if entry.table == FdbTable::Bridge && entry.state == FdbState::Permanent {
            return Software("it is an address of this machine: its packets go to the CPU");
        }
        if is_tunnel && !self.can.vxlan {
            return Software(NO_VXLAN);
        }
        if entry.table == FdbTable::Bridge
            && entry.state == FdbState::Dynamic
            && !entry.extern_learn
        {
            return Software("the kernel learned it and will age it: hardware has its own");
        }
        if entry.mac.is_multicast() && !entry.is_flood() {
            return Software("it is no unicast address");
        }
        if entry.table == FdbTable::Bridge && !self.can.bridge {
            return Software("this ASIC's driver does not offload bridges");
        }
        Hardware
    }

    fn neighbor(&self, neighbor: &Neighbor) -> Expectation {
        if !self.has_router_interface(neighbor.ifindex) {
            return Software(NOT_BACKED);
        }
        if !self.can.neighbor_flags {
            return Software("this ASIC's driver does not say which neighbors it has");
        }
        if !neighbor.state.is_valid() {
            return Software("its MAC is not known");
        }
        match neighbor.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                Software("link-local addresses are for this machine only")
            }
            address if self.is_of_link(neighbor.ifindex, address) => Hardware,
            _ => Software("no subnet of its link has it: nothing is routed to it directly"),
        }
    }

    fn nexthop(&self, nexthop: &Nexthop) -> Expectation {
        if !self.can.nexthop_objects {
            return Software("this ASIC's driver takes no nexthop objects");
        }
        let leaves = |nexthop: &Nexthop| match nexthop.kind {
            NexthopKind::Gateway { ifindex, .. } => self.has_router_interface(ifindex),
            _ => false,
        };
        match &nexthop.kind {
            NexthopKind::Group(_) | NexthopKind::ResilientGroup { .. } => {
                let all = nexthop.kind.members().iter().all(|member| {
                    match self.model.get(&platform::kernel::Key::Nexthop(member.id)) {
                        Some(Object::Nexthop(nexthop)) => leaves(&nexthop),
                        _ => false,
                    }
                });
                if all { Hardware } else { Software(NOT_BACKED) }
            }
            NexthopKind::Gateway { .. } if leaves(nexthop) => Hardware,
            NexthopKind::Gateway { .. } => Software(NOT_BACKED),
            _ => Software("it has no gateway, and takes no place in hardware of its own"),
        }
    }

    fn route(&self, route: &Route) -> Expectation {
        match (self.can.ipv4_routes, route.prefix) {
            (false, _) => return Software(NO_ROUTES),
            (true, IpNet::V6(_)) if !self.can.ipv6_routes => return Software(NO_ROUTES_V6),
            (true, _) => {}
        }
        let leaves = self.leaves_by_asic(route);
        if let Some(why) = self.goes_to_cpu(route) {
            return Expectation::Cpu(why);
        }
        match route.kind {
            RouteKind::Unicast if leaves => Hardware,
            RouteKind::Unicast => Software(NOT_BACKED),
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => Hardware,
            RouteKind::Local if !self.can.route_flag_is_true => Software(
                "it is an address of this machine, but not on a port: this ASIC's driver has no entry for it, and packets to it that come in by a port are lost",
            ),
            RouteKind::Local => {
                Software("it is an address of this machine: its packets go to the CPU")
            }
            _ => Software("it is no unicast route"),
        }
    }

    /// Where a driver flags routes that in truth go to the CPU.
    fn goes_to_cpu(&self, route: &Route) -> Option<&'static str> {
        if self.can.route_flag_is_true {
            return None;
        }
        let Via::Hops(hops) = &route.via else { return None };
        if !hops.iter().any(|hop| self.backing.has(hop.ifindex)) {
            return None;
        }
        let has_no_gateway = hops.iter().all(|hop| hop.gateway.is_none());
        let leaves_by_port =
            hops.iter().all(|hop| self.model.link(hop.ifindex).is_some_and(Link::is_switch_port));
        (has_no_gateway || !leaves_by_port).then_some(
            "this ASIC's driver flags the route, but sends its packets to the CPU: only routes by a gateway on a port are switched",
        )
    }

    fn leaves_by_asic(&self, route: &Route) -> bool {
        let by = |ifindex| self.has_router_interface(ifindex);
        match &route.via {
            Via::Hops(hops) => !hops.is_empty() && hops.iter().all(|hop| by(hop.ifindex)),
            Via::Nexthop(id) => match self.model.get(&platform::kernel::Key::Nexthop(*id)) {
                Some(Object::Nexthop(nexthop)) => self.nexthop(&nexthop) == Hardware,
                _ => false,
            },
        }
    }

    fn filter(&self, filter: &Filter) -> Expectation {
        let is_backed = filter.id.place.link().is_none_or(|link| self.backing.has(link));
        match filter.hardware {
            _ if !is_backed => Software(NOT_BACKED),
            Some(flags) if flags.skip_hardware => {
                Software("it was made with skip_hw: its maker wants it in software")
            }
            _ if !self.can.filters => Software("this ASIC's driver does not offload filters"),
            _ => Hardware,
        }
    }

    /// Hardware routes on links that have an address and lead to the ASIC.
    fn has_router_interface(&self, ifindex: Ifindex) -> bool {
        self.backing.has(ifindex) && self.model.addresses_of(ifindex).next().is_some()
    }

    fn is_of_link(&self, ifindex: Ifindex, address: IpAddr) -> bool {
        self.model.addresses_of(ifindex).any(|own| own.prefix.contains(&address))
    }
}
