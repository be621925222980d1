//! Reads the UPDATE messages of an MRT file (RFC 6396 §4.4, with microseconds: RFC 6396 §3).

use std::{path::Path, process::Command};

use lab::{Result, ensure};

const BGP4MP_ET: u16 = 17;
const MESSAGE_AS4: u16 = 4;
const UPDATE: u8 = 2;

/// An UPDATE that announces: its path attributes and its IPv4 prefixes, as they were on the wire.
pub(crate) struct Announcement {
    pub(crate) attributes: Vec<u8>,
    pub(crate) prefixes: Vec<u8>,
}

/// All announcements in a compressed file, in order. Withdrawals are left out.
pub(crate) fn announcements(file: &Path) -> Result<Vec<Announcement>> {
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output()?;
    ensure!(unpacked.status.success(), "gzip cannot read {}", file.display());
    let mut announcements = Vec::new();
    let mut input = unpacked.stdout.as_slice();
    while let [_, _, _, _, k0, k1, s0, s1, l0, l1, l2, l3, rest @ ..] = input {
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        ensure!(length <= rest.len(), "{} ends within a record", file.display());
        let (record, rest) = rest.split_at(length);
        let kind = (u16::from_be_bytes([*k0, *k1]), u16::from_be_bytes([*s0, *s1]));
        if kind == (BGP4MP_ET, MESSAGE_AS4) {
            announcements.extend(announcement(record));
        }
        input = rest;
    }
    Ok(announcements)
}

fn announcement(record: &[u8]) -> Option<Announcement> {
    // Microseconds, both AS numbers, interface index; then the family of the two addresses.
    let (family, rest) = record.get(14..)?.split_first_chunk::<2>()?;
    let addresses = if *family == [0, 1] { 8 } else { 32 };
    let body = rest.get(addresses + 18..)?.strip_prefix(&[UPDATE])?;
    let (_withdrawn, rest) = counted(body)?;
    let (attributes, prefixes) = counted(rest)?;
    (!prefixes.is_empty())
        .then(|| Announcement { attributes: attributes.into(), prefixes: prefixes.into() })
}

fn counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}
