//! Prefix lists: the rule with the lowest sequence number that covers a prefix decides.

use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::Action;

/// One rule: prefixes within `prefix` whose length is in a range. With neither `ge` nor `le`, the prefix itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrefixRule {
    /// Place among the rules of its list.
    pub sequence: u32,
    /// What it says.
    pub action: Action,
    /// `None`: any prefix of both families.
    pub prefix: Option<IpNet>,
    /// Shortest length.
    pub ge: Option<u8>,
    /// Longest length.
    pub le: Option<u8>,
}

/// A rule that cannot be meant. `entry` is its place in what [`PrefixList::new`] was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixListError {
    /// Two rules with one sequence number.
    #[error("sequence {sequence} is used twice; give each entry its own")]
    Sequence {
        /// The second of them.
        entry: usize,
        /// The number.
        sequence: u32,
    },
    /// Lengths out of order.
    #[error("prefix length {length}, ge {low} and le {high} must ascend and be at most {max}")]
    Lengths {
        /// Which rule.
        entry: usize,
        /// Of the prefix.
        length: u8,
        /// Shortest one matched.
        low: u8,
        /// Longest one matched.
        high: u8,
        /// Bits of an address.
        max: u8,
    },
    /// Bits behind the length.
    #[error("{prefix} has bits set behind its prefix length; write \"{}\"", prefix.trunc())]
    HostBits {
        /// Which rule.
        entry: usize,
        /// Its prefix.
        prefix: IpNet,
    },
    /// Lengths of any prefix: which family's would be meant?
    #[error("ge and le need a prefix; write \"0.0.0.0/0\" or \"::/0\" instead of \"any\"")]
    LengthsOfAny {
        /// Which rule.
        entry: usize,
    },
}

impl PrefixListError {
    /// The place of the rule in what [`PrefixList::new`] was given.
    pub const fn entry(&self) -> usize {
        match self {
            Self::Sequence { entry, .. }
            | Self::Lengths { entry, .. }
            | Self::HostBits { entry, .. }
            | Self::LengthsOfAny { entry } => *entry,
        }
    }
}

/// A prefix list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixList {
    name: String,
    rules: Vec<PrefixRule>,
    ipv4: Blocks,
    ipv6: Blocks,
}

impl PrefixList {
    /// A list of rules in any order.
    ///
    /// # Errors
    /// A rule that cannot be meant.
    pub fn new(name: String, mut rules: Vec<PrefixRule>) -> Result<Self, PrefixListError> {
        for (entry, rule) in rules.iter().enumerate() {
            check(entry, rule)?;
        }
        let mut order: Vec<(u32, usize)> =
            rules.iter().enumerate().map(|(entry, rule)| (rule.sequence, entry)).collect();
        order.sort_unstable();
        if let Some([_, (sequence, entry)]) = order.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(PrefixListError::Sequence { entry: *entry, sequence: *sequence });
        }
        rules.sort_by_key(|rule| rule.sequence);
        let of = |is_ipv4: bool| {
            let covers = |rule: &&PrefixRule| {
                rule.prefix.is_none_or(|prefix| prefix.addr().is_ipv4() == is_ipv4)
            };
            Blocks::new(rules.iter().filter(covers), if is_ipv4 { 32 } else { 128 })
        };
        Ok(Self { name, ipv4: of(true), ipv6: of(false), rules })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules, in the order of their sequence numbers.
    pub fn rules(&self) -> &[PrefixRule] {
        &self.rules
    }

    /// Whether the list permits a prefix. What no rule covers is denied.
    pub fn permits(&self, prefix: IpNet) -> bool {
        let blocks = if prefix.addr().is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        blocks.decide(bits(prefix.addr()), prefix.prefix_len()) == Some(Action::Permit)
    }
}

fn check(entry: usize, rule: &PrefixRule) -> Result<(), PrefixListError> {
    let Some(prefix) = rule.prefix else {
        return match (rule.ge, rule.le) {
            (None, None) => Ok(()),
            _ => Err(PrefixListError::LengthsOfAny { entry }),
        };
    };
    if prefix != prefix.trunc() {
        return Err(PrefixListError::HostBits { entry, prefix });
    }
    let (length, max) = (prefix.prefix_len(), prefix.max_prefix_len());
    let (low, high) = lengths(rule, length, max);
    if length <= low && low <= high && high <= max {
        Ok(())
    } else {
        Err(PrefixListError::Lengths { entry, length, low, high, max })
    }
}

/// The shortest and the longest prefix that a rule covers.
fn lengths(rule: &PrefixRule, length: u8, max: u8) -> (u8, u8) {
    match (rule.ge, rule.le) {
        (None, None) => (length, length),
        (ge, le) => (ge.unwrap_or(length), le.unwrap_or(max)),
    }
}

/// The rules of one family: blocks of addresses in ascending order, larger ones first, each with the next larger block
/// around it. All blocks around a prefix are then found from the last one that begins before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blocks {
    list: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// From the highest bit.
    address: u128,
    length: u8,
    /// Index of the next larger block.
    around: Option<u32>,
    spans: SmallVec<[Span; 1]>,
}

/// What one rule says of lengths within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    sequence: u32,
    low: u8,
    high: u8,
    action: Action,
}

impl Blocks {
    /// `rules` ascend by sequence number.
    fn new<'a>(rules: impl Iterator<Item = &'a PrefixRule>, max: u8) -> Self {
        let mut places: Vec<(u128, u8, Span)> = rules
            .map(|rule| {
                let (address, length) =
                    rule.prefix.map_or((0, 0), |prefix| (bits(prefix.addr()), prefix.prefix_len()));
                let (low, high) = match rule.prefix {
                    Some(_) => lengths(rule, length, max),
                    None => (0, max),
                };
                let span = Span { sequence: rule.sequence, low, high, action: rule.action };
                (address, length, span)
            })
            .collect();
        // Stable: rules of one block stay in their order.
        places.sort_by_key(|(address, length, _)| (*address, *length));
        let mut list: Vec<Block> = Vec::with_capacity(places.len());
        for (address, length, span) in places {
            if let Some(last) = list.last_mut()
                && (last.address, last.length) == (address, length)
            {
                last.spans.push(span);
                continue;
            }
            let mut around = list.len().checked_sub(1);
            while let Some(index) = around
                && !list[index].contains(address, length)
            {
                around = list[index].around.map(|index| index as usize);
            }
            let around = around.and_then(|index| u32::try_from(index).ok());
            list.push(Block { address, length, around, spans: [span].into_iter().collect() });
        }
        Self { list }
    }

    fn decide(&self, address: u128, length: u8) -> Option<Action> {
        let after =
            self.list.partition_point(|block| (block.address, block.length) <= (address, length));
        let mut next = after.checked_sub(1);
        let mut first: Option<Span> = None;
        while let Some(block) = next.and_then(|index| self.list.get(index)) {
            if block.contains(address, length) {
                let covers = |span: &&Span| span.low <= length && length <= span.high;
                let found = block.spans.iter().find(covers);
                first = first.into_iter().chain(found.copied()).min_by_key(|span| span.sequence);
            }
            next = block.around.map(|index| index as usize);
        }
        first.map(|span| span.action)
    }
}

impl Block {
    fn contains(&self, address: u128, length: u8) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
        self.length <= length && address & mask == self.address
    }
}

/// An address from the highest bit, whatever its family.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}
