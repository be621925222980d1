//! The text of `switchd.toml` as serde sees it, and its translation into [`Config`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use bgp::types::{AfiSafi, Asn, RouterId};
use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::{Bgp, Config, Evpn, Metrics, Neighbor, RemoteAs};

/// What is wrong, and the byte where it is.
pub(super) struct Refusal {
    pub(super) offset: usize,
    pub(super) message: String,
}

pub(super) fn parse(text: &str) -> Result<Config, Refusal> {
    let file: File = toml::from_str(text).map_err(|error| Refusal {
        offset: error.span().map_or(0, |span| span.start),
        message: with_suggestion(error.message()),
    })?;
    file.check()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    bgp: Option<BgpTable>,
    #[serde(default)]
    evpn: EvpnTable,
    metrics: Option<MetricsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BgpTable {
    asn: Spanned<u32>,
    router_id: Spanned<Ipv4Addr>,
    #[serde(default = "yes")]
    fib: bool,
    suppress_fib_pending: Option<Spanned<bool>>,
    profile: Option<Spanned<String>>,
    port: Option<Spanned<u16>>,
    listen: Option<Vec<IpAddr>>,
    hold_time: Option<Spanned<u16>>,
    connect_retry: Option<Spanned<u16>>,
    #[serde(default = "yes")]
    graceful_restart: bool,
    #[serde(default = "yes")]
    non_stop_routing: bool,
    restart_time: Option<Spanned<u16>>,
    #[serde(default)]
    networks: Vec<Spanned<String>>,
    #[serde(default)]
    redistribute: Vec<Spanned<String>>,
    #[serde(default)]
    neighbor: Vec<NeighborTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NeighborTable {
    address: Spanned<IpAddr>,
    remote_as: Spanned<RemoteAsValue>,
    families: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    passive: bool,
    local_address: Option<Spanned<IpAddr>>,
    hold_time: Option<Spanned<u16>>,
    #[serde(default)]
    next_hop_self: bool,
    #[serde(default)]
    route_reflector_client: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an AS number, \"external\" or \"internal\"")]
enum RemoteAsValue {
    Number(u32),
    Word(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct EvpnTable {
    advertise_all_vni: bool,
}

impl Default for EvpnTable {
    fn default() -> Self {
        Self { advertise_all_vni: true }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MetricsTable {
    listen: Spanned<String>,
}

const fn yes() -> bool {
    true
}

/// IANA's port for BGP (RFC 4271 §8.2.1).
const BGP_PORT: u16 = 179;
/// FRR's profile `datacenter`: hold time 9 s, keepalive 3 s, connect retry 10 s.
const DATACENTER_HOLD_TIME: u16 = 9;
const DATACENTER_CONNECT_RETRY: u16 = 10;
/// FRR's default restart time (RFC 4724 gives it 12 bits).
const RESTART_TIME: u16 = 120;
const MAX_RESTART_TIME: u16 = 4095;

impl File {
    fn check(self) -> Result<Config, Refusal> {
        Ok(Config {
            bgp: self.bgp.map(BgpTable::check).transpose()?,
            evpn: Evpn { advertise_all_vni: self.evpn.advertise_all_vni },
            metrics: self.metrics.map(MetricsTable::check).transpose()?,
        })
    }
}

impl MetricsTable {
    fn check(self) -> Result<Metrics, Refusal> {
        let listen: Option<SocketAddr> = self.listen.get_ref().parse().ok();
        match listen.filter(|address| address.port() != 0) {
            Some(listen) => Ok(Metrics { listen }),
            None => Err(refuse(
                &self.listen.span(),
                "listen must be an address and a port, such as \"127.0.0.1:9342\" or \"[::1]:9342\"",
            )),
        }
    }
}

impl BgpTable {
    fn check(self) -> Result<Bgp, Refusal> {
        check_profile(self.profile)?;
        let asn = check_asn(*self.asn.get_ref(), &self.asn.span())?;
        let router_id = *self.router_id.get_ref();
        if router_id.is_unspecified() {
            return Err(refuse(
                &self.router_id.span(),
                "router-id 0.0.0.0 is not valid (RFC 6286); use the loopback address",
            ));
        }
        let mut neighbors: Vec<Neighbor> = Vec::with_capacity(self.neighbor.len());
        for table in self.neighbor {
            let span = table.address.span();
            let neighbor = table.check()?;
            if neighbors.iter().any(|known| known.address == neighbor.address) {
                return Err(refuse(
                    &span,
                    &format!(
                        "neighbor {} is configured twice; remove one of the two",
                        neighbor.address
                    ),
                ));
            }
            neighbors.push(neighbor);
        }
        let redistribute_connected = check_redistribute(&self.redistribute)?;
        let suppress_fib_pending = check_suppress_fib_pending(self.suppress_fib_pending, self.fib)?;
        Ok(Bgp {
            asn,
            router_id: RouterId(router_id),
            fib: self.fib,
            suppress_fib_pending,
            port: self.port.map_or(Ok(BGP_PORT), check_port)?,
            listen: self.listen.unwrap_or_else(|| {
                vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
            }),
            hold_time: self.hold_time.map_or(Ok(DATACENTER_HOLD_TIME), check_hold_time)?,
            connect_retry: self
                .connect_retry
                .map_or(Ok(DATACENTER_CONNECT_RETRY), |value| {
                    in_range(value, "connect-retry", 1..=u16::MAX)
                })
                .map(|seconds| Duration::from_secs(seconds.into()))?,
            graceful_restart: self.graceful_restart,
            non_stop_routing: self.non_stop_routing,
            restart_time: self.restart_time.map_or(Ok(RESTART_TIME), |value| {
                in_range(value, "restart-time", 1..=MAX_RESTART_TIME)
            })?,
            networks: self.networks.into_iter().map(check_network).collect::<Result<_, _>>()?,
            redistribute_connected,
            neighbors,
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

impl NeighborTable {
    fn check(self) -> Result<Neighbor, Refusal> {
        let address = *self.address.get_ref();
        if address.is_unspecified() || address.is_multicast() {
            return Err(refuse(
                &self.address.span(),
                &format!("{address} cannot be a neighbor; give the peer's unicast address"),
            ));
        }
        if let Some(local) = &self.local_address
            && local.get_ref().is_ipv4() != address.is_ipv4()
        {
            return Err(refuse(
                &local.span(),
                &format!("local-address must be of the same IP version as the neighbor {address}"),
            ));
        }
        let families = match self.families {
            None => {
                vec![if address.is_ipv4() { AfiSafi::IPV4_UNICAST } else { AfiSafi::IPV6_UNICAST }]
            }
            Some(names) => names.into_iter().map(check_family).collect::<Result<_, _>>()?,
        };
        Ok(Neighbor {
            address,
            remote_as: check_remote_as(self.remote_as)?,
            families,
            passive: self.passive,
            local_address: self.local_address.map(Spanned::into_inner),
            hold_time: self.hold_time.map(check_hold_time).transpose()?,
            next_hop_self: self.next_hop_self,
            route_reflector_client: self.route_reflector_client,
        })
    }
}

fn check_profile(profile: Option<Spanned<String>>) -> Result<(), Refusal> {
    match profile {
        None => Ok(()),
        Some(name) => match name.get_ref().as_str() {
            "datacenter" => Ok(()),
            "traditional" => Err(refuse(
                &name.span(),
                "profile \"traditional\" needs routing policy (RFC 8212), which this release does not have; use \"datacenter\"",
            )),
            other => Err(refuse(
                &name.span(),
                &format!("unknown profile \"{other}\"; use \"datacenter\""),
            )),
        },
    }
}

fn check_asn(number: u32, span: &Range<usize>) -> Result<Asn, Refusal> {
    match number {
        0 => Err(refuse(
            span,
            "AS number 0 is reserved (RFC 7607); private numbers are 64512-65534 and 4200000000-4294967294",
        )),
        23456 => Err(refuse(
            span,
            "AS number 23456 is AS_TRANS (RFC 6793) and nobody's own; give the real number",
        )),
        number => Ok(Asn(number)),
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

fn check_port(port: Spanned<u16>) -> Result<u16, Refusal> {
    match *port.get_ref() {
        0 => Err(refuse(&port.span(), "port 0 cannot be listened on; BGP's is 179")),
        port => Ok(port),
    }
}

fn check_hold_time(seconds: Spanned<u16>) -> Result<u16, Refusal> {
    match *seconds.get_ref() {
        0 => Ok(0),
        _ => in_range(seconds, "hold-time", 3..=u16::MAX),
    }
}

fn in_range(
    value: Spanned<u16>,
    key: &str,
    range: std::ops::RangeInclusive<u16>,
) -> Result<u16, Refusal> {
    if range.contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let (low, high) = (range.start(), range.end());
    Err(refuse(
        &value.span(),
        &format!("{key} is {} s; it must be {low} to {high} s", value.get_ref()),
    ))
}

fn check_network(text: Spanned<String>) -> Result<IpNet, Refusal> {
    let span = text.span();
    let text = text.into_inner();
    let network: IpNet = text.parse().map_err(|_| {
        refuse(&span, &format!("\"{text}\" is not a prefix; write for example \"10.0.0.1/32\""))
    })?;
    if network != network.trunc() {
        return Err(refuse(
            &span,
            &format!(
                "{network} has bits set behind its prefix length; write \"{}\"",
                network.trunc()
            ),
        ));
    }
    Ok(network)
}

fn check_redistribute(sources: &[Spanned<String>]) -> Result<bool, Refusal> {
    for source in sources {
        if source.get_ref() != "connected" {
            let message =
                format!("cannot redistribute \"{}\"; known: \"connected\"", source.get_ref());
            return Err(refuse(&source.span(), &message));
        }
    }
    Ok(!sources.is_empty())
}

fn refuse(span: &Range<usize>, message: &str) -> Refusal {
    Refusal { offset: span.start, message: message.to_owned() }
}

/// serde says "unknown field `asm`, expected one of `asn`, ..."; this adds the key that was probably meant.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let nearest =
        message.starts_with("unknown field").then(|| names.next()).flatten().and_then(|unknown| {
            names
                .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
                .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
                .min()
        });
    match nearest {
        Some((_, known)) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}
