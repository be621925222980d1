//! Community lists of the three kinds. Values are numbers or ranges of them, so that nothing has to be printed to be
//! matched.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::Action;
use crate::types::RouteTarget;
use crate::wire::{ExtCommunity, LargeCommunity};

/// A standard community (RFC 1997), printed as FRR does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

/// IANA's well-known communities that have a name in FRR.
const WELL_KNOWN: [(&str, u32); 9] = [
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("llgr-stale", 0xffff_0006),
    ("no-llgr", 0xffff_0007),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("local-AS", 0xffff_ff03),
    ("no-peer", 0xffff_ff04),
];

/// Text that is no community, or no pattern of communities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {kind}; write for example {example}")]
pub struct BadCommunity {
    /// What was written.
    pub text: String,
    kind: &'static str,
    example: &'static str,
}

/// One number or a range of them, both ends included: `5`, `5-9`, `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numbers {
    /// The least one.
    pub low: u32,
    /// The greatest one.
    pub high: u32,
}

impl Numbers {
    /// `*`
    pub const ANY: Self = Self { low: 0, high: u32::MAX };

    const fn contains(self, number: u32) -> bool {
        self.low <= number && number <= self.high
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ANY);
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let numbers = Self { low: low.parse().ok()?, high: high.parse().ok()? };
        (numbers.low <= numbers.high).then_some(numbers)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ANY => f.write_str("*"),
            Self { low, high } if low == high => low.fmt(f),
            Self { low, high } => write!(f, "{low}-{high}"),
        }
    }
}

/// What communities of one kind a list can ask for.
pub trait CommunityPattern: FromStr<Err = BadCommunity> + fmt::Display + Eq {
    /// One community.
    type Community: Copy;

    /// Whether this is one that is asked for.
    fn matches(&self, community: Self::Community) -> bool;
}

/// A list; the first entry whose patterns are all met by some community of the route decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunityList<P> {
    /// Its name.
    pub name: String,
    /// Its entries, in order.
    pub entries: Vec<CommunityEntry<P>>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunityEntry<P> {
    /// What it says.
    pub action: Action,
    /// The route has to have one of each. None: any route.
    pub patterns: Vec<P>,
}

impl<P: CommunityPattern> CommunityList<P> {
    /// Whether the list permits a route with these communities. `exact`: entries count only for routes that have no
    /// communities besides those asked for.
    pub fn permits(
        &self,
        communities: impl Iterator<Item = P::Community> + Clone,
        exact: bool,
    ) -> bool {
        let holds = |entry: &&CommunityEntry<P>| {
            entry
                .patterns
                .iter()
                .all(|pattern| communities.clone().any(|community| pattern.matches(community)))
                && (!exact || communities.clone().all(|community| entry.asks_for(community)))
        };
        self.entries.iter().find(holds).is_some_and(|entry| entry.action == Action::Permit)
    }

    /// Whether the list permits this community alone: it is what `set comm-list NAME delete` takes out.
    pub fn contains(&self, community: P::Community) -> bool {
        let entry = self.entries.iter().find(|entry| entry.asks_for(community));
        entry.is_some_and(|entry| entry.action == Action::Permit)
    }
}

impl<P: CommunityPattern> CommunityEntry<P> {
    fn asks_for(&self, community: P::Community) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(community))
    }
}

/// `65000:100`, `65000:*`, `*:100-199`, `no-export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StandardPattern {
    high: Numbers,
    low: Numbers,
}

impl CommunityPattern for StandardPattern {
    type Community = u32;

    fn matches(&self, community: u32) -> bool {
        self.high.contains(community >> 16) && self.low.contains(community & 0xffff)
    }
}

impl FromStr for StandardPattern {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        let exact = |number| Numbers { low: number, high: number };
        if let Ok(Community(community)) = text.parse() {
            return Ok(Self { high: exact(community >> 16), low: exact(community & 0xffff) });
        }
        let parse = || {
            let (high, low) = text.split_once(':')?;
            let numbers = |text| {
                Numbers::parse(text).filter(|numbers| {
                    *numbers == Numbers::ANY || numbers.high <= u32::from(u16::MAX)
                })
            };
            Some(Self { high: numbers(high)?, low: numbers(low)? })
        };
        parse().ok_or_else(|| BadCommunity {
            text: text.to_owned(),
            kind: "pattern of communities",
            example: "\"65000:100\", \"65000:*\", \"*:100-199\" or \"no-export\"",
        })
    }
}

impl fmt::Display for StandardPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.high, self.low)
    }
}

/// `65000:1:2`, `65000:*:1-9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LargePattern([Numbers; 3]);

impl CommunityPattern for LargePattern {
    type Community = LargeCommunity;

    fn matches(&self, community: LargeCommunity) -> bool {
        let [global, local1, local2] = self.0;
        global.contains(community.global)
            && local1.contains(community.local1)
            && local2.contains(community.local2)
    }
}

impl FromStr for LargePattern {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        let parse = || {
            let mut parts = text.split(':').map(Numbers::parse);
            let numbers = [parts.next()??, parts.next()??, parts.next()??];
            parts.next().is_none().then_some(Self(numbers))
        };
        parse().ok_or_else(|| BadCommunity {
            text: text.to_owned(),
            kind: "pattern of large communities",
            example: "\"65000:1:2\" or \"65000:*:1-9\"",
        })
    }
}

impl fmt::Display for LargePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [global, local1, local2] = self.0;
        write!(f, "{global}:{local1}:{local2}")
    }
}

/// `rt 65000:100`, `rt 65000:*`, `rt *:100`, `soo 192.0.2.1:5`. A number as administrator stands for AS numbers of two
/// and of four octets, `*` also for addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtPattern {
    subtype: Subtype,
    administrator: Administrator,
    number: Numbers,
}

/// The extended communities that lists ask for, by the octet that tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subtype {
    RouteTarget = 2,
    SiteOfOrigin = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Administrator {
    Any,
    As(Numbers),
    Address(Ipv4Addr),
}

impl CommunityPattern for ExtPattern {
    type Community = ExtCommunity;

    fn matches(&self, community: ExtCommunity) -> bool {
        let [kind, subtype, a, b, c, d, e, g] = community.0;
        let (administrator, number) = match kind {
            0 => (u32::from_be_bytes([0, 0, a, b]), u32::from_be_bytes([c, d, e, g])),
            1 | 2 => (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([0, 0, e, g])),
            _ => return false,
        };
        subtype == self.subtype as u8
            && self.number.contains(number)
            && match self.administrator {
                Administrator::Any => true,
                Administrator::As(numbers) => kind != 1 && numbers.contains(administrator),
                Administrator::Address(address) => kind == 1 && address.to_bits() == administrator,
            }
    }
}

impl Subtype {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "rt" => Some(Self::RouteTarget),
            "soo" => Some(Self::SiteOfOrigin),
            _ => None,
        }
    }
}

impl FromStr for ExtPattern {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        let parse = || {
            let (subtype, value) = text.split_once(' ')?;
            let (administrator, number) = value.rsplit_once(':')?;
            let administrator = match administrator.parse() {
                _ if administrator == "*" => Administrator::Any,
                Ok(address) => Administrator::Address(address),
                Err(_) => Administrator::As(Numbers::parse(administrator)?),
            };
            let (subtype, number) = (Subtype::parse(subtype)?, Numbers::parse(number)?);
            Some(Self { subtype, administrator, number })
        };
        parse().ok_or_else(|| BadCommunity {
            text: text.to_owned(),
            kind: "pattern of extended communities",
            example: "\"rt 65000:100\", \"rt *:100-199\" or \"soo 192.0.2.1:5\"",
        })
    }
}

impl fmt::Display for ExtPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subtype = match self.subtype {
            Subtype::RouteTarget => "rt",
            Subtype::SiteOfOrigin => "soo",
        };
        match self.administrator {
            Administrator::Any => write!(f, "{subtype} *:{}", self.number),
            Administrator::As(numbers) => write!(f, "{subtype} {numbers}:{}", self.number),
            Administrator::Address(address) => write!(f, "{subtype} {address}:{}", self.number),
        }
    }
}

/// `rt 65000:100` or `soo 192.0.2.1:5`.
///
/// # Errors
/// It is neither.
pub fn parse_ext_community(text: &str) -> Result<ExtCommunity, BadCommunity> {
    let parse = || {
        let (subtype, value) = text.split_once(' ')?;
        let [kind, _, value @ ..] = value.parse::<RouteTarget>().ok()?.0;
        let [a, b, c, d, e, f] = value;
        Some(ExtCommunity([kind, Subtype::parse(subtype)? as u8, a, b, c, d, e, f]))
    };
    parse().ok_or_else(|| BadCommunity {
        text: text.to_owned(),
        kind: "extended community",
        example: "\"rt 65000:100\" or \"soo 192.0.2.1:5\"",
    })
}

impl FromStr for Community {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        let parse = || {
            if let Some((_, community)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
                return Some(Self(*community));
            }
            let (high, low) = text.split_once(':')?;
            let (high, low) = (high.parse::<u16>().ok()?, low.parse::<u16>().ok()?);
            Some(Self(u32::from(high) << 16 | u32::from(low)))
        };
        parse().ok_or_else(|| BadCommunity {
            text: text.to_owned(),
            kind: "community",
            example: "\"65000:100\" or \"no-export\"",
        })
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match WELL_KNOWN.iter().find(|(_, community)| *community == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff),
        }
    }
}

impl FromStr for LargeCommunity {
    type Err = BadCommunity;

    fn from_str(text: &str) -> Result<Self, BadCommunity> {
        let parse = || {
            let mut parts = text.split(':').map(str::parse);
            let (global, local1, local2) =
                (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
            parts.next().is_none().then_some(Self { global, local1, local2 })
        };
        parse().ok_or_else(|| BadCommunity {
            text: text.to_owned(),
            kind: "large community",
            example: "\"65000:1:2\"",
        })
    }
}
