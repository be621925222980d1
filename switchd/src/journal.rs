//! What we announced, written down for the switchd that goes on with our BGP sessions after a crash.
//!
//! Enhanced route refresh should make a peer drop what its resumed neighbour no longer announces, but FRR 8.4.4 keeps
//! EVPN routes all the same. So the next switchd must know what to withdraw by name. The journal may hold a route too
//! many, never one too few: a withdrawal is not written down before its routes are written down anew, two generations
//! later. It lives beside the API's socket, on tmpfs, and is worth nothing without the sessions.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bgp::speaker::RouteKey;
use bgp::wire::{Evpn, EvpnPayload, Family, Ipv4Unicast, Ipv6Unicast, Reader};

/// Below this, the file is not worth writing anew.
const SMALL: usize = 4096;

/// The routes that peers may have from us.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// How many routes stand in the file.
    written: usize,
    announced: HashSet<RouteKey>,
    /// Withdrawn since the file was last written anew: a peer may not have heard of it yet.
    withdrawn: HashSet<RouteKey>,
}

impl Journal {
    /// Opens the journal; returns what the process before us wrote. What it did not finish writing is ignored: it was
    /// not announced yet.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<RouteKey>)> {
        let left = match fs::read(path) {
            Ok(bytes) => decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut journal = Self {
            path: path.to_owned(),
            file: File::options().create(true).append(true).open(path)?,
            written: left.len(),
            announced: HashSet::new(),
            withdrawn: left.iter().cloned().collect(),
        };
        if left.len() > SMALL {
            journal.rewrite()?;
        }
        Ok((journal, left))
    }

    /// Writes down what is about to be announced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce<'a>(&mut self, keys: impl Iterator<Item = &'a RouteKey>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for key in keys {
            let known = self.withdrawn.remove(key);
            if self.announced.insert(key.clone()) && !known {
                encode(key, &mut bytes);
                self.written += 1;
            }
        }
        if bytes.is_empty() { Ok(()) } else { self.file.write_all(&bytes) }
    }

    /// Notes what is about to be withdrawn.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn withdraw(&mut self, keys: &[RouteKey]) -> io::Result<()> {
        for key in keys {
            if self.announced.remove(key) {
                self.withdrawn.insert(key.clone());
            }
        }
        if self.written > SMALL && self.written > 4 * self.announced.len() {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Replaces the file by one without what was withdrawn long ago.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.announced.iter().chain(&self.withdrawn).for_each(|key| encode(key, &mut bytes));
        let fresh = self.path.with_added_extension("new");
        fs::write(&fresh, bytes)?;
        let file = File::options().append(true).open(&fresh)?;
        fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.written = self.announced.len() + self.withdrawn.len();
        self.withdrawn.clear();
        Ok(())
    }
}

/// One record: family, length of the NLRI in two octets, NLRI as on the wire.
fn encode(key: &RouteKey, out: &mut Vec<u8>) {
    let mut nlri = Vec::new();
    let family = match key {
        RouteKey::Ipv4(key) => {
            Ipv4Unicast::encode(key, &(), &mut nlri);
            b'4'
        }
        RouteKey::Ipv6(key) => {
            Ipv6Unicast::encode(key, &(), &mut nlri);
            b'6'
        }
        RouteKey::Evpn(key) => {
            Evpn::encode(key, &EvpnPayload::default(), &mut nlri);
            b'e'
        }
    };
    out.push(family);
    // An NLRI of any family is a few dozen octets.
    out.extend_from_slice(&u16::try_from(nlri.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&nlri);
}

fn decode(mut bytes: &[u8]) -> Vec<RouteKey> {
    let mut keys = Vec::new();
    while let [family, high, low, rest @ ..] = bytes
        && let Some((nlri, rest)) =
            rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
    {
        keys.extend(match family {
            b'4' => first::<Ipv4Unicast>(nlri).map(RouteKey::Ipv4),
            b'6' => first::<Ipv6Unicast>(nlri).map(RouteKey::Ipv6),
            b'e' => first::<Evpn>(nlri).map(RouteKey::Evpn),
            _ => None,
        });
        bytes = rest;
    }
    keys
}

fn first<F: Family>(nlri: &[u8]) -> Option<F::Key> {
    F::decode(&mut Reader::new(nlri))?.ok().map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(number: u32) -> RouteKey {
        let prefix = ipnet::Ipv4Net::new((0x0a00_0000 + number).into(), 32).unwrap();
        RouteKey::Ipv4(prefix)
    }

    fn evpn() -> RouteKey {
        let rd = bgp::types::RouteDistinguisher::from_ipv4([10, 0, 0, 1].into(), 100);
        let mac = bgp::types::MacAddr::new(2, 0, 0, 0, 0, 1);
        RouteKey::Evpn(bgp::wire::EvpnKey::MacIp {
            rd,
            ethernet_tag: 0,
            mac,
            ip: Some([10, 0, 0, 9].into()),
        })
    }

    fn left_in(path: &Path) -> HashSet<RouteKey> {
        Journal::open(path).unwrap().1.into_iter().collect()
    }

    #[test]
    fn the_next_process_finds_what_this_one_announced_also_what_it_withdrew_a_moment_ago() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("announced");
        let (mut journal, left) = Journal::open(&path).unwrap();
        assert_eq!(left, []);
        journal.announce([route(1), evpn()].iter()).unwrap();
        journal.withdraw(&[route(1)]).unwrap();
        drop(journal);
        assert_eq!(left_in(&path), HashSet::from([route(1), evpn()]));
    }

    #[test]
    fn a_record_that_the_crash_cut_short_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("announced");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.announce([evpn(), route(1)].iter()).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(left_in(&path), HashSet::from([evpn()]));
    }

    #[test]
    fn churn_does_not_make_the_file_grow_and_loses_nothing_that_is_announced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("announced");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.announce([evpn()].iter()).unwrap();
        for number in 0..100_000 {
            journal.announce([route(number)].iter()).unwrap();
            journal.withdraw(&[route(number)]).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() < 100_000);
        assert!(left_in(&path).contains(&evpn()));
    }
}
