//! IPv4 and IPv6 unicast: one length octet, and as many octets of the address as it needs (RFC 4271 §4.3, RFC 4760 §5).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::{DecodedRoute, Family, NlriError};
use crate::types::AfiSafi;
use crate::wire::reader::Reader;

/// IPv4 unicast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Unicast;

/// IPv6 unicast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Unicast;

impl Family for Ipv4Unicast {
    const FAMILY: AfiSafi = AfiSafi::IPV4_UNICAST;
    type Key = Ipv4Net;
    type Payload = ();

    #[inline(always)]
    fn decode(input: &mut Reader<'_>) -> Option<DecodedRoute<Self>> {
        decode_prefix::<4, _>(input, ipv4_net)
    }

    #[inline]
    fn encode(key: &Ipv4Net, (): &(), out: &mut Vec<u8>) {
        encode_prefix(key.prefix_len(), key.addr().octets(), out);
    }
}

impl Family for Ipv6Unicast {
    const FAMILY: AfiSafi = AfiSafi::IPV6_UNICAST;
    type Key = Ipv6Net;
    type Payload = ();

    #[inline(always)]
    fn decode(input: &mut Reader<'_>) -> Option<DecodedRoute<Self>> {
        decode_prefix::<16, _>(input, ipv6_net)
    }

    #[inline]
    fn encode(key: &Ipv6Net, (): &(), out: &mut Vec<u8>) {
        encode_prefix(key.prefix_len(), key.addr().octets(), out);
    }
}

/// Bits beyond the length mean nothing (RFC 4271 §4.3): without the mask one route would have many names.
#[inline(always)]
fn ipv4_net(length: u8, address: [u8; 4]) -> Option<Ipv4Net> {
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(u32::from(length))?).unwrap_or(0);
    Ipv4Net::new(Ipv4Addr::from(u32::from_be_bytes(address) & mask), length).ok()
}

#[inline(always)]
fn ipv6_net(length: u8, address: [u8; 16]) -> Option<Ipv6Net> {
    let mask = u128::MAX.checked_shl(128_u32.checked_sub(u32::from(length))?).unwrap_or(0);
    Ipv6Net::new(Ipv6Addr::from(u128::from_be_bytes(address) & mask), length).ok()
}

/// The common case, and nothing else, because it is inlined: a whole address' worth of octets is there, whether or not the
/// route needs all of them, and they can be read at once.
#[inline(always)]
fn decode_prefix<const N: usize, P>(
    input: &mut Reader<'_>,
    prefix: impl Fn(u8, [u8; N]) -> Option<P>,
) -> Option<Result<(P, ()), NlriError>> {
    if let Some((length, rest)) = input.rest().split_first()
        && let Some(address) = rest.first_chunk::<N>()
        && let Some(prefix) = prefix(*length, *address)
    {
        *input = Reader::new(rest.get(usize::from(*length).div_ceil(8)..).unwrap_or_default());
        return Some(Ok((prefix, ())));
    }
    if input.is_empty() { None } else { Some(decode_last_prefix(input, prefix)) }
}

/// A route near the end of the field, or one that is wrong.
#[cold]
#[inline(never)]
fn decode_last_prefix<const N: usize, P>(
    input: &mut Reader<'_>,
    prefix: impl Fn(u8, [u8; N]) -> Option<P>,
) -> Result<(P, ()), NlriError> {
    let mut field = std::mem::replace(input, Reader::new(&[]));
    let length = field.u8().ok_or(NlriError::Truncated)?;
    let too_long = NlriError::PrefixLength { length, max: u8::try_from(8 * N).unwrap_or(u8::MAX) };
    let octets = usize::from(length).div_ceil(8);
    if octets > N {
        return Err(too_long);
    }
    let part = field.take(octets).ok_or(NlriError::Truncated)?;
    let mut address = [0; N];
    for (to, from) in address.iter_mut().zip(part) {
        *to = *from;
    }
    let prefix = prefix(length, address).ok_or(too_long)?;
    *input = field;
    Ok((prefix, ()))
}

/// Writes the whole address and cuts what is too much: a copy of fixed size beats one of variable size.
#[inline]
fn encode_prefix<const N: usize>(length: u8, address: [u8; N], out: &mut Vec<u8>) {
    let end = out.len() + 1 + usize::from(length).div_ceil(8);
    out.push(length);
    out.extend_from_slice(&address);
    out.truncate(end);
}
