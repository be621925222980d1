//! `[bgp]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bgp::types::RouterId;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::aggregate::{AggregateTable, check_aggregates};
use super::bmp_station::{BmpStationTable, check_stations};
use super::multipath::{BandwidthWord, bandwidth, check_multipath};
use super::neighbor::{NeighborPolicies, NeighborTable, check_neighbors};
use super::redistribute::{RedistributeValue, check_redistribute};
use super::value::{
    check_asn, check_connect_retry, check_hold_time, check_keepalive, check_network, in_range,
    refuse, yes,
};
use crate::config::{Bgp, RouteMaps};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BgpTable {
    asn: Spanned<u32>,
    router_id: Spanned<Ipv4Addr>,
    #[serde(default = "yes")]
    fib: bool,
    suppress_fib_pending: Option<Spanned<bool>>,
    maximum_paths: Option<Spanned<u16>>,
    maximum_paths_ibgp: Option<Spanned<u16>>,
    #[serde(default)]
    bestpath_multipath_relax: bool,
    bestpath_bandwidth: Option<BandwidthWord>,
    profile: Option<Spanned<String>>,
    ebgp_requires_policy: Option<bool>,
    port: Option<Spanned<u16>>,
    listen: Option<Vec<IpAddr>>,
    hold_time: Option<Spanned<u16>>,
    keepalive: Option<Spanned<u16>>,
    connect_retry: Option<Spanned<u16>>,
    #[serde(default = "yes")]
    graceful_restart: bool,
    #[serde(default = "yes")]
    non_stop_routing: bool,
    restart_time: Option<Spanned<u16>>,
    #[serde(default)]
    graceful_restart_notification: bool,
    long_lived_stale_time: Option<Spanned<u32>>,
    #[serde(default)]
    graceful_shutdown: bool,
    #[serde(default)]
    networks: Vec<Spanned<String>>,
    #[serde(default)]
    import_check: bool,
    #[serde(default)]
    aggregate: Vec<AggregateTable>,
    #[serde(default)]
    redistribute: Vec<Spanned<RedistributeValue>>,
    #[serde(default)]
    peer_group: Vec<Spanned<NeighborTable>>,
    #[serde(default)]
    neighbor: Vec<Spanned<NeighborTable>>,
    #[serde(default)]
    bmp_station: Vec<BmpStationTable>,
}

/// IANA's port for BGP (RFC 4271 §8.2.1).
const BGP_PORT: u16 = 179;
/// What FRR's profiles differ in here. The keepalive interval is a third of the hold time.
#[derive(Clone, Copy)]
struct Profile {
    hold_time: u16,
    connect_retry: Duration,
    ebgp_requires_policy: bool,
}

const DATACENTER: Profile =
    Profile { hold_time: 9, connect_retry: Duration::from_secs(10), ebgp_requires_policy: false };
const TRADITIONAL: Profile =
    Profile { hold_time: 180, connect_retry: Duration::from_secs(120), ebgp_requires_policy: true };
/// FRR's default restart time (RFC 4724 gives it 12 bits).
const RESTART_TIME: u16 = 120;
const MAX_RESTART_TIME: u16 = 4095;
/// RFC 9494 gives it 24 bits.
const TOO_LONG_LIVED_TIME: u32 = 0x0100_0000;

impl BgpTable {
    pub(super) fn check(self, route_maps: &RouteMaps) -> Result<Bgp, Refusal> {
        let profile = check_profile(self.profile)?;
        let asn = check_asn(*self.asn.get_ref(), &self.asn.span())?;
        let router_id = *self.router_id.get_ref();
        if router_id.is_unspecified() {
            return Err(refuse(
                &self.router_id.span(),
                "router-id 0.0.0.0 is not valid (RFC 6286); use the loopback address",
            ));
        }
        let requires_policy = self.ebgp_requires_policy.unwrap_or(profile.ebgp_requires_policy);
        let policies = NeighborPolicies { asn, route_maps, required: requires_policy };
        let neighbors = check_neighbors(self.neighbor, &self.peer_group, &policies)?;
        let suppress_fib_pending = check_suppress_fib_pending(self.suppress_fib_pending, self.fib)?;
        let networks: Vec<_> =
            self.networks.into_iter().map(check_network).collect::<Result<_, _>>()?;
        Ok(Bgp {
            asn,
            router_id: RouterId(router_id),
            fib: self.fib,
            suppress_fib_pending,
            multipath: check_multipath(
                self.maximum_paths,
                self.maximum_paths_ibgp,
                self.bestpath_multipath_relax,
            )?,
            bestpath_bandwidth: bandwidth(self.bestpath_bandwidth),
            port: self.port.map_or(Ok(BGP_PORT), check_port)?,
            listen: self.listen.unwrap_or_else(|| {
                vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
            }),
            hold_time: self.hold_time.map_or(Ok(profile.hold_time), check_hold_time)?,
            keepalive: self.keepalive.map(check_keepalive).transpose()?,
            connect_retry: self
                .connect_retry
                .map_or(Ok(profile.connect_retry), check_connect_retry)?,
            graceful_restart: self.graceful_restart,
            non_stop_routing: self.non_stop_routing,
            restart_time: self.restart_time.map_or(Ok(RESTART_TIME), |value| {
                in_range(value, "restart-time", 1..=MAX_RESTART_TIME)
            })?,
            graceful_restart_notification: self.graceful_restart_notification,
            long_lived_stale_time: check_long_lived(
                self.long_lived_stale_time,
                self.graceful_restart,
            )?,
            graceful_shutdown: self.graceful_shutdown,
            aggregates: check_aggregates(self.aggregate, &networks)?,
            networks,
            import_check: self.import_check,
            redistribute: check_redistribute(self.redistribute, route_maps)?,
            neighbors,
            bmp_stations: check_stations(self.bmp_station)?,
        })
    }
}

/// Without routes in the kernel, nothing would ever be announced.
fn check_suppress_fib_pending(value: Option<Spanned<bool>>, fib: bool) -> Result<bool, Refusal> {
    match value {
        Some(value) if *value.get_ref() && !fib => Err(refuse(
            &value.span(),
            "suppress-fib-pending waits for routes in the kernel, and fib = false puts none there; remove one of the two",
        )),
        value => Ok(value.is_some_and(Spanned::into_inner)),
    }
}

/// It goes on where graceful restart ends.
fn check_long_lived(seconds: Option<Spanned<u32>>, graceful_restart: bool) -> Result<u32, Refusal> {
    let Some(seconds) = seconds else { return Ok(0) };
    match *seconds.get_ref() {
        1.. if !graceful_restart => Err(refuse(
            &seconds.span(),
            "long-lived-stale-time needs graceful-restart, and that is false; remove one of the two",
        )),
        TOO_LONG_LIVED_TIME.. => Err(refuse(
            &seconds.span(),
            "long-lived-stale-time has 24 bits: it must be at most 16777215 s",
        )),
        seconds => Ok(seconds),
    }
}

fn check_profile(profile: Option<Spanned<String>>) -> Result<Profile, Refusal> {
    let Some(name) = profile else { return Ok(DATACENTER) };
    match name.get_ref().as_str() {
        "datacenter" => Ok(DATACENTER),
        "traditional" => Ok(TRADITIONAL),
        other => Err(refuse(
            &name.span(),
            &format!("unknown profile \"{other}\"; use \"datacenter\" or \"traditional\""),
        )),
    }
}

fn check_port(port: Spanned<u16>) -> Result<u16, Refusal> {
    match *port.get_ref() {
        0 => Err(refuse(&port.span(), "port 0 cannot be listened on; BGP's is 179")),
        port => Ok(port),
    }
}
