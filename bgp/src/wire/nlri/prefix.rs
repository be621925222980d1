//! IPv4 and IPv6 unicast: one length octet, and as many octets of the address as it needs (RFC 4271 §4.3, RFC 4760 §5).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::{Family, NlriError};
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

    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Option<(Ipv4Net, ())>, NlriError> {
        let (length, address) = decode_prefix::<4>(input)?;
        // Bits beyond the length mean nothing (RFC 4271 §4.3): without the mask one route would have many names.
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let address = Ipv4Addr::from(u32::from_be_bytes(address) & mask);
        let too_long = NlriError::PrefixLength { length, max: 32 };
        Ipv4Net::new(address, length).map(|prefix| Some((prefix, ()))).map_err(|_| too_long)
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

    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Option<(Ipv6Net, ())>, NlriError> {
        let (length, address) = decode_prefix::<16>(input)?;
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        let address = Ipv6Addr::from(u128::from_be_bytes(address) & mask);
        let too_long = NlriError::PrefixLength { length, max: 128 };
        Ipv6Net::new(address, length).map(|prefix| Some((prefix, ()))).map_err(|_| too_long)
    }

    #[inline]
    fn encode(key: &Ipv6Net, (): &(), out: &mut Vec<u8>) {
        encode_prefix(key.prefix_len(), key.addr().octets(), out);
    }
}

/// Length in bits, and the address with the octets that are not there as zero. The length is at most `8 * N`.
#[inline]
fn decode_prefix<const N: usize>(input: &mut Reader<'_>) -> Result<(u8, [u8; N]), NlriError> {
    let length = input.u8().ok_or(NlriError::Truncated)?;
    let octets = usize::from(length).div_ceil(8);
    if octets > N {
        return Err(NlriError::PrefixLength {
            length,
            max: u8::try_from(8 * N).unwrap_or(u8::MAX),
        });
    }
    let mut address = [0; N];
    // The common case first: with a whole address' worth of bytes ahead, a copy of fixed size beats one of `octets`.
    if let Some(whole) = input.rest().first_chunk::<N>() {
        address = *whole;
        input.take(octets);
    } else {
        let part = input.take(octets).ok_or(NlriError::Truncated)?;
        for (to, from) in address.iter_mut().zip(part) {
            *to = *from;
        }
    }
    Ok((length, address))
}

/// Writes the whole address and cuts what is too much: a copy of fixed size beats one of variable size.
#[inline]
fn encode_prefix<const N: usize>(length: u8, address: [u8; N], out: &mut Vec<u8>) {
    let end = out.len() + 1 + usize::from(length).div_ceil(8);
    out.push(length);
    out.extend_from_slice(&address);
    out.truncate(end);
}
