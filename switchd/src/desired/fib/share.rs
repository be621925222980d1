//! How several ways share the load.

use std::collections::BTreeMap;

use bgp::speaker::{BestPath, PathSource};
use bgp::wire::{AttributeSet, ExtCommunity};

use super::ScopedAddress;

/// Decimal digits of a bandwidth that count.
const DIGITS: u32 = 5;

/// The kernel's highest weight (up to Linux 6.11).
const MOST: u64 = 256;

/// A next hop of a route, and its share of the load beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightedNextHop {
    /// The next hop.
    pub next_hop: ScopedAddress,
    /// Its share, 1 to 256.
    pub weight: u16,
}

impl From<ScopedAddress> for WeightedNextHop {
    fn from(next_hop: ScopedAddress) -> Self {
        Self { next_hop, weight: 1 }
    }
}

/// What the link bandwidth of paths (draft-ietf-idr-link-bandwidth) does to their shares: FRR's `bestpath bandwidth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bandwidth {
    /// They are in proportion to it; equal if any path has none.
    #[default]
    IfAllHaveIt,
    /// Nothing: they are equal.
    Ignore,
    /// They are in proportion to it, and paths without it are not used if any path has it.
    SkipMissing,
    /// They are percentages of the whole, and paths without it get one per cent.
    DefaultWeightForMissing,
}

/// The next hops of a received best path and of those that share its load: in order, each once.
pub fn next_hops(best: &BestPath, rule: Bandwidth) -> Vec<WeightedNextHop> {
    let mut shares: BTreeMap<ScopedAddress, Option<u64>> = BTreeMap::new();
    let first = best.best.iter().zip(best.source.as_ref());
    let others = best.equal.iter().map(|path| (&path.attributes, &path.source));
    for (attributes, source) in first.chain(others) {
        // Of two paths with one next hop, the better one speaks.
        shares.entry(next_hop(attributes, source)).or_insert_with(|| bandwidth(attributes));
    }
    let known: Vec<u64> = shares.values().copied().flatten().collect();
    let all_known = known.len() == shares.len();
    let whole: u64 = known.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes));
    let percent = |bytes: u64| (bytes.saturating_mul(100) / whole.max(1)).max(1);
    let share = |bytes: Option<u64>| match rule {
        Bandwidth::IfAllHaveIt if all_known => bytes,
        Bandwidth::SkipMissing if !known.is_empty() => bytes,
        Bandwidth::DefaultWeightForMissing if !known.is_empty() => Some(bytes.map_or(1, percent)),
        _ => Some(1),
    };
    let shares = shares.into_iter().filter_map(|(next_hop, bytes)| Some((next_hop, share(bytes)?)));
    let weighted = |(next_hop, weight)| WeightedNextHop { next_hop, weight };
    weights(shares.collect()).into_iter().map(weighted).collect()
}

/// Where a path leads.
pub fn next_hop(attributes: &AttributeSet, source: &PathSource) -> ScopedAddress {
    let scope_id = match source {
        PathSource::Neighbor { scope_id, .. } => *scope_id,
        PathSource::Local => 0,
    };
    ScopedAddress::of_next_hop(attributes.next_hop(), scope_id)
}

/// Shares in the smallest whole numbers that say the same, or nearly the same where the kernel has no room for them: of
/// each thing once, in order.
pub(super) fn weights<T: Ord>(shares: Vec<(T, u64)>) -> Vec<(T, u16)> {
    let mut sums: BTreeMap<T, u64> = BTreeMap::new();
    for (thing, share) in shares {
        let sum = sums.entry(thing).or_default();
        *sum = sum.saturating_add(share);
    }
    let divisor = sums.values().fold(0, |divisor, share| common_divisor(divisor, *share)).max(1);
    let highest = sums.values().max().map_or(1, |share| share / divisor);
    let weight = |share: u64| {
        let share = share / divisor;
        let scaled = if highest > MOST {
            (u128::from(share) * u128::from(MOST) + u128::from(highest / 2)) / u128::from(highest)
        } else {
            share.into()
        };
        u16::try_from(scaled).unwrap_or(u16::MAX).max(1)
    };
    sums.into_iter().map(|(thing, share)| (thing, weight(share))).collect()
}

/// The shares of ways that several next hops of these weights lead to.
pub(super) fn combine<T: Ord>(mut parts: Vec<(u16, Vec<(T, u16)>)>) -> Vec<(T, u16)> {
    const FINE: u64 = 1 << 16;
    if let [(_, ways)] = parts.as_mut_slice() {
        return std::mem::take(ways);
    }
    let is_split = parts.iter().any(|(_, ways)| ways.len() > 1);
    let scale = if is_split { FINE } else { 1 };
    let shares = parts.into_iter().flat_map(|(weight, ways)| {
        let whole: u64 = ways.iter().map(|(_, share)| u64::from(*share)).sum();
        let share = move |share: u16| scale * u64::from(weight) * u64::from(share) / whole.max(1);
        ways.into_iter().map(move |(thing, part)| (thing, share(part)))
    });
    weights(shares.collect())
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Bytes per second; `None` if the path says nothing that is a bandwidth.
fn bandwidth(attributes: &AttributeSet) -> Option<u64> {
    let (_, bytes) = attributes.ext_communities().find_map(ExtCommunity::as_link_bandwidth)?;
    let bytes = Some(bytes).filter(|bytes| bytes.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is negative becomes 0"
    )]
    let bytes = bytes.min(1e15) as u64;
    // So short a float makes 25 Gbit/s 3,125,000,064 bytes per second: the first digits are what was meant.
    let unit = 10_u64.saturating_pow(bytes.checked_ilog10()?.saturating_sub(DIGITS - 1));
    Some((bytes + unit / 2) / unit * unit)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use bgp::speaker::{EqualPath, RouteKey};
    use bgp::wire::{EvpnPayload, NextHop};

    use super::*;

    /// What becomes of paths with these bandwidths, by the last octet of the next hop.
    fn shares(bandwidths: &[Option<f32>], rule: Bandwidth) -> Vec<(u8, u16)> {
        let mut paths = (1..).zip(bandwidths).map(|(last, bandwidth)| {
            let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(10, 0, 0, last)));
            if let Some(bytes) = bandwidth {
                let [a, b, c, d] = bytes.to_be_bytes();
                editor.add_ext_community(ExtCommunity([0x40, 4, 0xfd, 0xe9, a, b, c, d]));
            }
            EqualPath {
                attributes: Arc::new(editor.build()),
                payload: EvpnPayload::default(),
                source: PathSource::Local,
            }
        });
        let first = paths.next().unwrap();
        let best = BestPath {
            key: RouteKey::Ipv4("192.0.2.0/24".parse().unwrap()),
            payload: EvpnPayload::default(),
            best: Some(first.attributes),
            source: Some(first.source),
            equal: paths.collect(),
            fib: None,
        };
        let last = |next_hop: ScopedAddress| match next_hop.address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        next_hops(&best, rule).iter().map(|it| (last(it.next_hop), it.weight)).collect()
    }

    const TEN_GIGABITS: Option<f32> = Some(1.25e9);
    const TWENTY_FIVE: Option<f32> = Some(3.125e9);

    #[test]
    fn shares_are_in_proportion_to_the_bandwidth_in_the_smallest_whole_numbers() {
        let both = [TEN_GIGABITS, TWENTY_FIVE];
        assert_eq!(shares(&both, Bandwidth::IfAllHaveIt), [(1, 2), (2, 5)]);
        assert_eq!(shares(&both, Bandwidth::Ignore), [(1, 1), (2, 1)]);
        assert_eq!(shares(&[TEN_GIGABITS], Bandwidth::IfAllHaveIt), [(1, 1)]);
    }

    #[test]
    fn shares_that_the_kernel_has_no_room_for_are_the_nearest_that_it_has() {
        let shares = shares(&[Some(1.0), Some(1e9), Some(333e6)], Bandwidth::IfAllHaveIt);
        assert_eq!(shares, [(1, 1), (2, 256), (3, 85)]);
    }

    #[test]
    fn a_path_without_bandwidth_makes_all_equal_or_is_left_out_or_gets_one_per_cent() {
        let one_lacks_it = [TEN_GIGABITS, None, TWENTY_FIVE];
        assert_eq!(shares(&one_lacks_it, Bandwidth::IfAllHaveIt), [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(shares(&one_lacks_it, Bandwidth::SkipMissing), [(1, 2), (3, 5)]);
        assert_eq!(
            shares(&one_lacks_it, Bandwidth::DefaultWeightForMissing),
            [(1, 28), (2, 1), (3, 71)]
        );
        for rule in [Bandwidth::SkipMissing, Bandwidth::DefaultWeightForMissing] {
            assert_eq!(shares(&[None, None], rule), [(1, 1), (2, 1)], "nobody has it");
        }
    }

    #[test]
    fn a_next_hop_that_leads_several_ways_splits_its_share_among_them() {
        let straight = |way| (1, vec![(way, 1)]);
        let split = (2, vec![('b', 1), ('c', 1)]);
        assert_eq!(combine(vec![straight('a'), split]), [('a', 1), ('b', 1), ('c', 1)]);
        assert_eq!(
            combine(vec![straight('a'), straight('a'), straight('b')]),
            [('a', 2), ('b', 1)]
        );
        assert_eq!(combine(vec![(3, vec![('a', 2), ('b', 5)])]), [('a', 2), ('b', 5)]);
        assert_eq!(combine(vec![(1, Vec::new()), straight('a')]), [('a', 1)]);
    }

    #[test]
    fn what_is_no_bandwidth_counts_as_none() {
        for wrong in [0.0, -1.0, f32::NAN] {
            let shares = shares(&[TEN_GIGABITS, Some(wrong)], Bandwidth::SkipMissing);
            assert_eq!(shares, [(1, 1)], "beside {wrong}");
        }
    }
}
