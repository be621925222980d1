//! `[[bgp.neighbor]]` and `[[bgp.peer-group]]`: the same keys, but for who is meant.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bgp::policy::{NeighborPolicy, RouteMap};
use bgp::types::{AfiSafi, Asn};
use serde::Deserialize;
use toml::Spanned;

use super::add_path::{AddPathValue, check_add_path};
use super::bfd::{BfdValue, check_bfd};
use super::policy::unknown;
use super::route_rules::{
    AllowOwnAsValue, LocalAsValue, MaximumPrefixTable, RemovePrivateAsTable, Unchanged,
    check_allow_own_as, check_local_as, check_role, check_role_strict,
};
use super::value::{
    check_asn, check_connect_retry, check_hold_time, check_keepalive, check_network, refuse,
};
use super::{Refusal, transport};
use crate::config::{Neighbor, Peer, RemoteAs, RouteMaps, RouteRules};

/// Every key may be left to the peer group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NeighborTable {
    /// Only of a group.
    name: Option<Spanned<String>>,
    /// Only of a neighbour.
    address: Option<Spanned<IpAddr>>,
    /// Only of a neighbour, instead of an address.
    interface: Option<Spanned<String>>,
    /// Only of a neighbour, instead of the address.
    listen_range: Option<Spanned<String>>,
    listen_limit: Option<Spanned<u16>>,
    /// Only of a neighbour.
    peer_group: Option<Spanned<String>>,
    remote_as: Option<Spanned<RemoteAsValue>>,
    local_as: Option<Spanned<LocalAsValue>>,
    families: Option<Vec<Spanned<String>>>,
    passive: Option<bool>,
    local_address: Option<Spanned<IpAddr>>,
    shutdown: Option<Spanned<ShutdownValue>>,
    hold_time: Option<Spanned<u16>>,
    keepalive: Option<Spanned<u16>>,
    connect_retry: Option<Spanned<u16>>,
    ebgp_multihop: Option<Spanned<u8>>,
    ttl_security_hops: Option<Spanned<u8>>,
    disable_connected_check: Option<Spanned<bool>>,
    bfd: Option<Spanned<BfdValue>>,
    password: Option<Spanned<String>>,
    password_file: Option<Spanned<PathBuf>>,
    next_hop_self: Option<bool>,
    route_reflector_client: Option<bool>,
    default_originate: Option<bool>,
    addpath_rx: Option<bool>,
    addpath_tx: Option<Spanned<AddPathValue>>,
    maximum_prefix: Option<MaximumPrefixTable>,
    advertisement_interval: Option<u16>,
    graceful_shutdown: Option<bool>,
    role: Option<Spanned<String>>,
    role_strict: Option<Spanned<bool>>,
    allowas_in: Option<Spanned<AllowOwnAsValue>>,
    as_override: Option<bool>,
    remove_private_as: Option<RemovePrivateAsTable>,
    attribute_unchanged: Option<Vec<Unchanged>>,
    import: Option<Spanned<PolicyValue>>,
    export: Option<Spanned<PolicyValue>>,
    soft_reconfiguration_inbound: Option<bool>,
}

/// A route map for all families, or one for each.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "the name of a route-map, or a table of families and names")]
enum PolicyValue {
    All(String),
    PerFamily(BTreeMap<String, String>),
}

/// What neighbours are checked against.
pub(super) struct NeighborPolicies<'a> {
    /// Our own.
    pub(super) asn: Asn,
    pub(super) route_maps: &'a RouteMaps,
    /// Without one, nothing passes on external sessions (RFC 8212).
    pub(super) required: bool,
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "an AS number, \"external\" or \"internal\"")]
enum RemoteAsValue {
    Number(u32),
    Word(String),
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "true, false, or a text for the neighbor's operator")]
enum ShutdownValue {
    Flag(bool),
    Text(String),
}

/// All neighbours, each with what its group says where it says nothing itself.
pub(super) fn check_neighbors(
    neighbors: Vec<Spanned<NeighborTable>>,
    groups: &[Spanned<NeighborTable>],
    policies: &NeighborPolicies<'_>,
) -> Result<Vec<Neighbor>, Refusal> {
    check_groups(groups)?;
    let mut checked: Vec<Neighbor> = Vec::with_capacity(neighbors.len());
    for table in neighbors {
        let span = table.span();
        let (peer, place) = table.get_ref().peer(&span)?;
        let neighbor = table.into_inner().inherit_from(groups)?.check(peer, &span, policies)?;
        if checked.iter().any(|known| known.peer.to_string() == neighbor.peer.to_string()) {
            return Err(refuse(
                &place,
                &format!("neighbor {} is configured twice; remove one of the two", neighbor.peer),
            ));
        }
        checked.push(neighbor);
    }
    Ok(checked)
}

/// A group must have a name of its own, and is nobody in particular. Its other keys are checked where they are used.
fn check_groups(groups: &[Spanned<NeighborTable>]) -> Result<(), Refusal> {
    let mut names: Vec<&str> = Vec::with_capacity(groups.len());
    for group in groups {
        let table = group.get_ref();
        let Some(name) = &table.name else {
            return Err(refuse(&group.span(), "a peer-group needs a name: name = \"spines\""));
        };
        if names.contains(&name.get_ref().as_str()) {
            return Err(refuse(
                &name.span(),
                &format!(
                    "peer-group \"{}\" is defined twice; rename one of the two",
                    name.get_ref()
                ),
            ));
        }
        if let Some(address) = &table.address {
            return Err(refuse(
                &address.span(),
                "a peer-group has no address; give it to each [[bgp.neighbor]]",
            ));
        }
        if let Some(interface) = &table.interface {
            return Err(refuse(
                &interface.span(),
                "a peer-group has no interface; give it to each [[bgp.neighbor]]",
            ));
        }
        if let Some(range) = &table.listen_range {
            return Err(refuse(
                &range.span(),
                "a peer-group has no listen-range; write [[bgp.neighbor]] with listen-range and peer-group",
            ));
        }
        if let Some(outer) = &table.peer_group {
            return Err(refuse(
                &outer.span(),
                "a peer-group cannot be in another one; write its keys here",
            ));
        }
        names.push(name.get_ref());
    }
    Ok(())
}

impl NeighborTable {
    /// Who is meant, and where the file says so.
    fn peer(&self, table: &Range<usize>) -> Result<(Peer, Range<usize>), Refusal> {
        if let Some(name) = &self.name {
            return Err(refuse(
                &name.span(),
                "a neighbor has no name; for a group write [[bgp.peer-group]], for a member peer-group = \"...\"",
            ));
        }
        if let Some(range) = &self.listen_range {
            return self.range(range);
        }
        if let Some(limit) = &self.listen_limit {
            return Err(refuse(
                &limit.span(),
                "listen-limit says how many may come from a listen-range; there is none here",
            ));
        }
        let address = match (&self.address, &self.interface) {
            (Some(address), None) => address,
            (None, Some(interface)) => return check_interface(interface),
            (Some(_), Some(interface)) => {
                return Err(refuse(
                    &interface.span(),
                    "a neighbor has an address or an interface, not both; on an interface its address is found out, so leave address away",
                ));
            }
            (None, None) => {
                return Err(refuse(
                    table,
                    "a neighbor needs an address or an interface: address = \"192.0.2.2\", or interface = \"swp51\"",
                ));
            }
        };
        let (address, span) = (*address.get_ref(), address.span());
        if address.is_unspecified() || address.is_multicast() {
            return Err(refuse(
                &span,
                &format!("{address} cannot be a neighbor; give the peer's unicast address"),
            ));
        }
        Ok((Peer::Address(address), span))
    }

    fn range(&self, text: &Spanned<String>) -> Result<(Peer, Range<usize>), Refusal> {
        // FRR's.
        const LISTEN_LIMIT: u16 = 100;
        if let Some(address) = &self.address {
            return Err(refuse(
                &address.span(),
                "a neighbor has an address or a listen-range; take one of them out",
            ));
        }
        let prefix = check_network(text.clone())?;
        let limit = match &self.listen_limit {
            Some(limit) if *limit.get_ref() == 0 => {
                return Err(refuse(&limit.span(), "listen-limit is 0; nobody could connect"));
            }
            limit => limit.as_ref().map_or(LISTEN_LIMIT, |limit| *limit.get_ref()),
        };
        Ok((Peer::Range { prefix, limit }, text.span()))
    }

    fn inherit_from(self, groups: &[Spanned<Self>]) -> Result<Self, Refusal> {
        let Some(wanted) = &self.peer_group else { return Ok(self) };
        let is_it = |group: &&Spanned<Self>| {
            group.get_ref().name.as_ref().is_some_and(|name| name.get_ref() == wanted.get_ref())
        };
        match groups.iter().find(is_it) {
            Some(group) => Ok(self.inherit(group.get_ref())),
            None => Err(refuse(
                &wanted.span(),
                &format!(
                    "there is no peer-group \"{}\"; define it: [[bgp.peer-group]] with this name",
                    wanted.get_ref()
                ),
            )),
        }
    }

    /// The neighbour's own keys win.
    fn inherit(self, group: &Self) -> Self {
        let (has_password, has_file) = (self.password.is_some(), self.password_file.is_some());
        Self {
            name: self.name,
            address: self.address,
            interface: self.interface,
            listen_range: self.listen_range,
            listen_limit: self.listen_limit,
            peer_group: self.peer_group,
            remote_as: own_or(self.remote_as, &group.remote_as),
            local_as: own_or(self.local_as, &group.local_as),
            families: own_or(self.families, &group.families),
            passive: self.passive.or(group.passive),
            local_address: own_or(self.local_address, &group.local_address),
            shutdown: own_or(self.shutdown, &group.shutdown),
            hold_time: own_or(self.hold_time, &group.hold_time),
            keepalive: own_or(self.keepalive, &group.keepalive),
            connect_retry: own_or(self.connect_retry, &group.connect_retry),
            ebgp_multihop: own_or(self.ebgp_multihop, &group.ebgp_multihop),
            ttl_security_hops: own_or(self.ttl_security_hops, &group.ttl_security_hops),
            disable_connected_check: own_or(
                self.disable_connected_check,
                &group.disable_connected_check,
            ),
            password: self.password.or_else(|| group.password.clone().filter(|_| !has_file)),
            password_file: self
                .password_file
                .or_else(|| group.password_file.clone().filter(|_| !has_password)),
            bfd: own_or(self.bfd, &group.bfd),
            next_hop_self: self.next_hop_self.or(group.next_hop_self),
            route_reflector_client: self.route_reflector_client.or(group.route_reflector_client),
            default_originate: self.default_originate.or(group.default_originate),
            maximum_prefix: own_or(self.maximum_prefix, &group.maximum_prefix),
            advertisement_interval: self.advertisement_interval.or(group.advertisement_interval),
            graceful_shutdown: self.graceful_shutdown.or(group.graceful_shutdown),
            role: own_or(self.role, &group.role),
            role_strict: own_or(self.role_strict, &group.role_strict),
            allowas_in: own_or(self.allowas_in, &group.allowas_in),
            as_override: self.as_override.or(group.as_override),
            remove_private_as: self.remove_private_as.or(group.remove_private_as),
            attribute_unchanged: own_or(self.attribute_unchanged, &group.attribute_unchanged),
            import: own_or(self.import, &group.import),
            export: own_or(self.export, &group.export),
            soft_reconfiguration_inbound: self
                .soft_reconfiguration_inbound
                .or(group.soft_reconfiguration_inbound),
            addpath_rx: self.addpath_rx.or(group.addpath_rx),
            addpath_tx: own_or(self.addpath_tx, &group.addpath_tx),
        }
    }

    fn check(
        self,
        peer: Peer,
        table: &Range<usize>,
        policies: &NeighborPolicies<'_>,
    ) -> Result<Neighbor, Refusal> {
        let is_ipv4 = peer.is_ipv4();
        let local_address =
            self.local_address.map(|local| check_local_address(&local, &peer)).transpose()?;
        let families = match self.families {
            None => vec![match peer {
                Peer::Address(IpAddr::V6(_)) => AfiSafi::IPV6_UNICAST,
                Peer::Range { .. } if !is_ipv4 => AfiSafi::IPV6_UNICAST,
                // As in FRR: IPv4 routes over IPv6 next hops.
                Peer::Address(IpAddr::V4(_)) | Peer::Interface(_) | Peer::Range { .. } => {
                    AfiSafi::IPV4_UNICAST
                }
            }],
            Some(names) => names.into_iter().map(check_family).collect::<Result<_, _>>()?,
        };
        let Some(remote_as) = self.remote_as else {
            return Err(refuse(
                table,
                &format!(
                    "neighbor {peer} has no remote-as; write an AS number, \"external\" or \"internal\", here or in its peer-group"
                ),
            ));
        };
        let remote_as = check_remote_as(remote_as)?;
        let local_as = self.local_as.map(|value| check_local_as(value, policies.asn, remote_as));
        let role = self.role.map(check_role).transpose()?;
        let unchanged = self.attribute_unchanged.unwrap_or_default();
        let route_rules = RouteRules {
            maximum_prefix: self.maximum_prefix.map_or(Ok(Vec::new()), |table| table.check())?,
            advertisement_interval: self.advertisement_interval.unwrap_or(0),
            role,
            role_strict: check_role_strict(self.role_strict, role)?,
            allow_own_as: self.allowas_in.map(check_allow_own_as).transpose()?.unwrap_or_default(),
            as_override: self.as_override.unwrap_or(false),
            remove_private_as: self.remove_private_as.map(Into::into),
            as_path_unchanged: unchanged.contains(&Unchanged::AsPath),
            next_hop_unchanged: unchanged.contains(&Unchanged::NextHop),
            med_unchanged: unchanged.contains(&Unchanged::Med),
            graceful_shutdown: self.graceful_shutdown.unwrap_or(false),
        };
        let policy = NeighborPolicy {
            keep_received: self.soft_reconfiguration_inbound.unwrap_or(false),
            ..policies.check(self.import, self.export, &families)?
        };
        Ok(Neighbor {
            peer,
            peer_group: self.peer_group.map(Spanned::into_inner),
            remote_as,
            local_as: local_as.transpose()?,
            families,
            passive: self.passive.unwrap_or(false),
            local_address,
            shutdown: self.shutdown.map(check_shutdown).transpose()?.flatten(),
            hold_time: self.hold_time.map(check_hold_time).transpose()?,
            keepalive: self.keepalive.map(check_keepalive).transpose()?,
            connect_retry: self.connect_retry.map(check_connect_retry).transpose()?,
            distance: transport::check_distance(
                self.ebgp_multihop,
                self.ttl_security_hops,
                self.disable_connected_check,
            )?,
            password: transport::check_password(self.password, self.password_file)?,
            bfd: self.bfd.map_or(Ok(None), check_bfd)?,
            next_hop_self: self.next_hop_self.unwrap_or(false),
            route_reflector_client: self.route_reflector_client.unwrap_or(false),
            default_originate: self.default_originate.unwrap_or(false),
            route_rules,
            policy,
            add_path_receive: self.addpath_rx.unwrap_or(false),
            add_path_send: self.addpath_tx.map(check_add_path).transpose()?,
        })
    }
}

impl NeighborPolicies<'_> {
    fn check(
        &self,
        import: Option<Spanned<PolicyValue>>,
        export: Option<Spanned<PolicyValue>>,
        families: &[AfiSafi],
    ) -> Result<NeighborPolicy, Refusal> {
        let mut policy = NeighborPolicy { required: self.required, ..NeighborPolicy::default() };
        for (family, map) in self.check_direction(import, families)? {
            policy.families.entry(family).or_default().import = Some(map);
        }
        for (family, map) in self.check_direction(export, families)? {
            policy.families.entry(family).or_default().export = Some(map);
        }
        Ok(policy)
    }

    fn check_direction(
        &self,
        value: Option<Spanned<PolicyValue>>,
        families: &[AfiSafi],
    ) -> Result<Vec<(AfiSafi, Arc<RouteMap>)>, Refusal> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let span = value.span();
        let look_up = |name| {
            let name = Spanned::new(span.clone(), name);
            let map = self.route_maps.get(name.get_ref());
            map.cloned().ok_or_else(|| unknown("route-map", &name, self.route_maps.keys()))
        };
        match value.into_inner() {
            PolicyValue::All(name) => {
                let map = look_up(name)?;
                Ok(families.iter().map(|family| (*family, Arc::clone(&map))).collect())
            }
            PolicyValue::PerFamily(names) => names
                .into_iter()
                .map(|(family, name)| {
                    let family = check_family(Spanned::new(span.clone(), family))?;
                    Ok((family, look_up(name)?))
                })
                .collect(),
        }
    }
}

/// Of the IP version of the session, if that has addresses to choose from.
fn check_local_address(local: &Spanned<IpAddr>, peer: &Peer) -> Result<IpAddr, Refusal> {
    if let Peer::Interface(_) = peer {
        return Err(refuse(
            &local.span(),
            &format!(
                "sessions on an interface run between its link-local addresses; remove local-address of neighbor {peer}"
            ),
        ));
    }
    if local.get_ref().is_ipv4() != peer.is_ipv4() {
        return Err(refuse(
            &local.span(),
            &format!("local-address must be of the same IP version as the neighbor {peer}"),
        ));
    }
    Ok(*local.get_ref())
}

/// The kernel's rules for names (`dev_valid_name`). Whether there is such an interface shows later: it may come.
fn check_interface(interface: &Spanned<String>) -> Result<(Peer, Range<usize>), Refusal> {
    const LONGEST: usize = 15;
    let name = interface.get_ref();
    let is_bad = |letter: char| letter == '/' || letter == ':' || letter.is_whitespace();
    if name.is_empty()
        || name.len() > LONGEST
        || matches!(name.as_str(), "." | "..")
        || name.contains(is_bad)
    {
        return Err(refuse(
            &interface.span(),
            &format!(
                "\"{name}\" cannot be the name of an interface; give one as `ip link` shows it, such as \"swp51\""
            ),
        ));
    }
    Ok((Peer::Interface(name.clone()), interface.span()))
}

fn own_or<T: Clone>(own: Option<T>, group: &Option<T>) -> Option<T> {
    own.or_else(|| group.clone())
}

/// `None`: not shut down.
fn check_shutdown(value: Spanned<ShutdownValue>) -> Result<Option<String>, Refusal> {
    // RFC 9003 §2: one octet of length.
    const MAX_LEN: usize = 255;
    match value.get_ref() {
        ShutdownValue::Text(text) if text.len() > MAX_LEN => Err(refuse(
            &value.span(),
            &format!("the text of shutdown has {} octets; RFC 9003 has room for 255", text.len()),
        )),
        ShutdownValue::Text(text) => Ok(Some(text.clone())),
        ShutdownValue::Flag(on) => Ok(on.then(String::new)),
    }
}

fn check_remote_as(value: Spanned<RemoteAsValue>) -> Result<RemoteAs, Refusal> {
    let span = value.span();
    match value.into_inner() {
        RemoteAsValue::Number(number) => check_asn(number, &span).map(RemoteAs::Asn),
        RemoteAsValue::Word(word) => match word.as_str() {
            "external" => Ok(RemoteAs::External),
            "internal" => Ok(RemoteAs::Internal),
            other => Err(refuse(
                &span,
                &format!(
                    "remote-as \"{other}\" is neither an AS number nor \"external\" or \"internal\""
                ),
            )),
        },
    }
}

fn check_family(name: Spanned<String>) -> Result<AfiSafi, Refusal> {
    AfiSafi::from_str(name.get_ref()).map_err(|unknown| refuse(&name.span(), &unknown.to_string()))
}
