//! Socket options that no crate has: how far a connection may come, and what signs its segments.
//!
//! The structures are those of `linux/tcp.h`; `nix` makes the system call.

#![allow(unsafe_code, reason = "the calls inside nix's setsockopt_impl!; nothing here is unsafe")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{libc, setsockopt_impl};

use crate::speaker::{Auth, Secret, Transport};

/// Before a connection is made, or right after it was accepted.
///
/// A listener cannot have a minimum for one neighbour and none for another: segments of a handshake from too far away are
/// answered, and the connection gets its minimum when it is accepted, before a byte of it is read.
pub(super) fn set_distance(
    socket: &impl AsFd,
    remote: IpAddr,
    transport: &Transport,
) -> io::Result<()> {
    let ttl = i32::from(transport.ttl);
    let minimum = i32::from(transport.minimum_ttl.unwrap_or(0));
    if remote.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4Ttl, &ttl)?;
        setsockopt(socket, MinimumTtl, &minimum)?;
    } else {
        setsockopt(socket, sockopt::Ipv6Ttl, &ttl)?;
        setsockopt(socket, MinimumHopCount, &minimum)?;
    }
    Ok(())
}

/// Answers to a handshake must reach also those who take nothing with less (RFC 5082).
pub(super) fn set_farthest(listener: &impl AsFd, local: SocketAddr) -> io::Result<()> {
    const MAX_TTL: i32 = 255;
    match local {
        SocketAddr::V4(_) => setsockopt(listener, sockopt::Ipv4Ttl, &MAX_TTL)?,
        SocketAddr::V6(_) => setsockopt(listener, sockopt::Ipv6Ttl, &MAX_TTL)?,
    }
    Ok(())
}

/// Segments from there must be signed with this from now on, and ours to there are; `None`: no longer.
pub(super) fn set_auth(socket: &impl AsFd, from: IpNet, auth: Option<&Auth>) -> io::Result<()> {
    let key = auth.map(|Auth::Md5(secret)| secret);
    match setsockopt(socket, Md5Signature, &Md5Sig::new(from, key)) {
        // There was none.
        Err(Errno::ENOENT) if auth.is_none() => Ok(()),
        // The kernel has no such signatures, and nobody asks for any.
        Err(Errno::ENOPROTOOPT | Errno::EINVAL) if auth.is_none() => Ok(()),
        Err(Errno::ENOPROTOOPT) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel has no TCP MD5 signatures (CONFIG_TCP_MD5SIG); take the password out",
        )),
        outcome => outcome.map_err(Into::into),
    }
}

#[derive(Debug, Clone, Copy)]
struct MinimumTtl;
setsockopt_impl!(
    MinimumTtl,
    libc::IPPROTO_IP,
    libc::IP_MINTTL,
    libc::c_int,
    sockopt::SetStruct<'_, libc::c_int>
);

#[derive(Debug, Clone, Copy)]
struct MinimumHopCount;
setsockopt_impl!(
    MinimumHopCount,
    libc::IPPROTO_IPV6,
    libc::IPV6_MINHOPCOUNT,
    libc::c_int,
    sockopt::SetStruct<'_, libc::c_int>
);

#[derive(Debug, Clone, Copy)]
struct Md5Signature;
setsockopt_impl!(
    Md5Signature,
    libc::IPPROTO_TCP,
    libc::TCP_MD5SIG_EXT,
    Md5Sig,
    sockopt::SetStruct<'_, Md5Sig>
);

/// `struct tcp_md5sig`.
#[repr(C, align(8))]
struct Md5Sig {
    address: [u8; STORAGE],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    ifindex: i32,
    key: [u8; Secret::MAX_LEN],
}

/// `struct sockaddr_storage`.
const STORAGE: usize = 128;
const TCP_MD5SIG_FLAG_PREFIX: u8 = 1;

impl Md5Sig {
    /// A key of no length removes the one that is there.
    fn new(from: IpNet, secret: Option<&Secret>) -> Self {
        let octets = secret.map_or(&[][..], Secret::octets);
        let mut key = [0; Secret::MAX_LEN];
        for (to, octet) in key.iter_mut().zip(octets) {
            *to = *octet;
        }
        Self {
            address: storage(from.addr()),
            flags: TCP_MD5SIG_FLAG_PREFIX,
            prefix_len: from.prefix_len(),
            key_len: u16::try_from(octets.len()).unwrap_or(0),
            ifindex: 0,
            key,
        }
    }
}

/// Family, port 0, and the address: behind the flow label if it is IPv6.
fn storage(address: IpAddr) -> [u8; STORAGE] {
    let mut storage = [0; STORAGE];
    let (family, at) = match address {
        IpAddr::V4(_) => (libc::AF_INET, 4),
        IpAddr::V6(_) => (libc::AF_INET6, 8),
    };
    let family = u16::try_from(family).unwrap_or(0).to_ne_bytes();
    let address = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    for (at, bytes) in [(0, family.as_slice()), (at, address.as_slice())] {
        for (to, byte) in storage.iter_mut().skip(at).zip(bytes) {
            *to = *byte;
        }
    }
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_the_kernels() {
        // linux/tcp.h: sockaddr_storage, flags, prefixlen, keylen, ifindex, 80 octets of key.
        assert_eq!(size_of::<Md5Sig>(), 216);
        assert_eq!(std::mem::offset_of!(Md5Sig, key), 136);
        let sig = Md5Sig::new("2001:db8::/32".parse().unwrap(), Secret::new(*b"key").as_ref());
        assert_eq!(sig.address[..2], 10u16.to_ne_bytes());
        assert_eq!(sig.address[8..12], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((sig.prefix_len, sig.key_len, &sig.key[..4]), (32, 3, b"key\0".as_slice()));
    }
}
