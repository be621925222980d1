//! What our interfaces say: whether an address is on one of our links.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;

/// Whether some interface has a prefix, or a peer, with this address. Link-local addresses are on their link.
///
/// # Errors
/// The interfaces cannot be listed.
pub fn is_on_link(address: IpAddr) -> io::Result<bool> {
    if let IpAddr::V6(address) = address
        && address.is_unicast_link_local()
    {
        return Ok(true);
    }
    Ok(getifaddrs()?.any(|interface| leads_to(&interface, address)))
}

fn leads_to(interface: &InterfaceAddress, address: IpAddr) -> bool {
    let own = interface.address.as_ref().and_then(ip);
    let mask = interface.netmask.as_ref().and_then(ip);
    let peer = interface.destination.as_ref().and_then(ip);
    let prefix = own.zip(mask).and_then(|(own, mask)| IpNet::with_netmask(own, mask).ok());
    peer == Some(address) || prefix.is_some_and(|prefix| prefix.contains(&address))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}
