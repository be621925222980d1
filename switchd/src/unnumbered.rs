//! The interfaces that have an unnumbered BGP neighbour: whether each can be used, and who was found at its other end.
//!
//! Facts of the kernel in; changes for `bgp::net::discovery`, and what is wrong, out. Interfaces may come, go, and change
//! their names in any order.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use bgp::discovery::{Interface, Sighting};
use platform::kernel::{Address, Key, Link, Model};

/// All interfaces of the configuration, by name.
#[derive(Debug, Default)]
pub struct Unnumbered {
    interfaces: BTreeMap<String, State>,
    /// No longer of the configuration, and discovery has not heard of it.
    gone: Vec<String>,
    /// A link or an address has changed.
    dirty: bool,
}

#[derive(Debug, Default)]
struct State {
    /// As discovery knows it.
    told: Option<Interface>,
    sighting: Option<Sighting>,
}

/// Why there is no session on an interface, or why it may not be with whom it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The kernel has none of that name.
    Missing(String),
    /// Nobody has set it up.
    Down(String),
    /// Nothing is at the other end, or it is down there.
    NoCarrier(String),
    /// Another machine on the link has its link-local address, or it is not known yet whether one does.
    Tentative(String),
    /// IPv6 is off, or makes no link-local addresses.
    NoLinkLocal(String),
    /// No router advertisement came.
    NobodyHeard(String),
    /// More than one router is on the link.
    SecondRouter {
        /// Which interface.
        interface: String,
        /// Who is the neighbour.
        neighbor: Ipv6Addr,
        /// Who else is there.
        other: Ipv6Addr,
    },
}

impl Unnumbered {
    /// Of these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let interfaces = names.into_iter().map(|name| (name, State::default())).collect();
        Self { interfaces, gone: Vec::new(), dirty: true }
    }

    /// Of these names from now on.
    pub fn set_names(&mut self, names: impl IntoIterator<Item = String>) {
        let mut known = std::mem::take(&mut self.interfaces);
        let keep = |name: String| {
            let state = known.remove(&name).unwrap_or_default();
            (name, state)
        };
        self.interfaces = names.into_iter().map(keep).collect();
        self.gone.extend(known.into_keys());
        self.dirty = true;
    }

    /// Something changed in the kernel.
    pub fn handle_changed(&mut self, key: &Key) {
        self.dirty |=
            matches!(key, Key::Link(_) | Key::Address { prefix: ipnet::IpNet::V6(_), .. });
    }

    /// Discovery knows something else of an interface.
    pub fn handle_sighting(&mut self, sighting: Sighting) {
        if let Some(state) = self.interfaces.get_mut(&sighting.interface) {
            state.sighting = Some(sighting);
        }
    }

    /// What discovery has to know since the last call.
    pub fn poll_changes(&mut self, model: &Model) -> Vec<(String, Option<Interface>)> {
        if !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        let change = |(name, state): (&String, &mut State)| {
            let usable = usable(model, name).ok();
            let changed = usable != state.told;
            state.told = usable;
            changed.then(|| (name.clone(), usable))
        };
        let gone = self.gone.drain(..).map(|name| (name, None));
        gone.chain(self.interfaces.iter_mut().filter_map(change)).collect()
    }

    /// What is wrong.
    pub fn problems(&self, model: &Model) -> impl Iterator<Item = Problem> {
        self.interfaces.iter().filter_map(|(name, state)| match usable(model, name) {
            Err(problem) => Some(problem),
            Ok(_) => found(name, state.sighting.as_ref()).err(),
        })
    }
}

/// The interface, if it can be used now.
pub fn usable(model: &Model, name: &str) -> Result<Interface, Problem> {
    let named = name.to_owned();
    let Some(link) = model.link_named(name) else { return Err(Problem::Missing(named)) };
    match link {
        Link { up: false, .. } => return Err(Problem::Down(named)),
        Link { running: false, .. } => return Err(Problem::NoCarrier(named)),
        Link { .. } => {}
    }
    let link_locals = || model.addresses_of(link.index).filter_map(link_local);
    match link_locals().filter(|(_, tentative)| !tentative).min() {
        Some((link_local, _)) => Ok(Interface { index: link.index, link_local, mac: link.mac }),
        None if link_locals().next().is_some() => Err(Problem::Tentative(named)),
        None => Err(Problem::NoLinkLocal(named)),
    }
}

fn link_local(address: &Address) -> Option<(Ipv6Addr, bool)> {
    match address.prefix.addr() {
        IpAddr::V6(own) if own.is_unicast_link_local() => Some((own, address.tentative)),
        _ => None,
    }
}

fn found(name: &str, sighting: Option<&Sighting>) -> Result<(), Problem> {
    match sighting {
        Some(Sighting { neighbor: Some(neighbor), other: Some(other), .. }) => {
            let (neighbor, other) = (*neighbor, *other);
            Err(Problem::SecondRouter { interface: name.to_owned(), neighbor, other })
        }
        Some(Sighting { neighbor: Some(_), .. }) => Ok(()),
        _ => Err(Problem::NobodyHeard(name.to_owned())),
    }
}

impl Problem {
    /// Its name, for machines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing(_) => "bgp-interface-missing",
            Self::Down(_) => "bgp-interface-down",
            Self::NoCarrier(_) => "bgp-interface-no-carrier",
            Self::Tentative(_) => "bgp-interface-address-tentative",
            Self::NoLinkLocal(_) => "bgp-interface-no-link-local",
            Self::NobodyHeard(_) => "bgp-interface-nobody-heard",
            Self::SecondRouter { .. } => "bgp-interface-second-router",
        }
    }

    /// The command that mends it, or shows more.
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing(_) => "ip link".to_owned(),
            Self::Down(name) => format!("ip link set {name} up"),
            Self::NoCarrier(name) => format!("ethtool {name}"),
            Self::Tentative(name) => format!("ip -6 address show dev {name}"),
            // Slashes, because a name may have dots in it.
            Self::NoLinkLocal(name) => format!(
                "sysctl -w net/ipv6/conf/{name}/disable_ipv6=0 net/ipv6/conf/{name}/addr_gen_mode=0"
            ),
            Self::NobodyHeard(interface) | Self::SecondRouter { interface, .. } => {
                format!("tcpdump -vni {interface} 'icmp6 and ip6[40] == 134'")
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => {
                write!(f, "no BGP session on {name}: there is no interface of that name yet")
            }
            Self::Down(name) => write!(f, "no BGP session on {name}: the interface is down"),
            Self::NoCarrier(name) => write!(f, "no BGP session on {name}: it has no carrier"),
            Self::Tentative(name) => write!(
                f,
                "no BGP session on {name}: its link-local address is tentative, or another machine has it"
            ),
            Self::NoLinkLocal(name) => write!(
                f,
                "no BGP session on {name}: it has no IPv6 link-local address (disable_ipv6, or addr_gen_mode none)"
            ),
            Self::NobodyHeard(name) => write!(
                f,
                "no BGP session on {name}: nobody at its other end sends router advertisements"
            ),
            Self::SecondRouter { interface, neighbor, other } => write!(
                f,
                "two routers are on the link of {interface}: {neighbor}, the BGP neighbor, and {other}, which is ignored"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
