//! AS_PATH with AS numbers of four octets, as it lies in an attribute set: sound, so reading it cannot fail.

use std::fmt;

use super::error::Defect;
use crate::types::Asn;

const AS_SET: u8 = 1;
pub(crate) const AS_SEQUENCE: u8 = 2;
const AS_CONFED_SEQUENCE: u8 = 3;
const AS_CONFED_SET: u8 = 4;

/// The ASes a route went through, the latest first. Borrowed from an attribute set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AsPath<'a> {
    value: &'a [u8],
}

/// One segment of an AS path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Order or set, inside a confederation or not.
    pub kind: SegmentKind,
    asns: &'a [[u8; 4]],
}

/// The four kinds of segments (RFC 4271 §4.3, RFC 5065 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// Unordered; refused since RFC 9774, but a locally made path could still hold one.
    Set,
    /// Ordered, latest first.
    Sequence,
    /// Ordered, within our confederation.
    ConfedSequence,
    /// Unordered, within our confederation.
    ConfedSet,
}

impl<'a> AsPath<'a> {
    /// The value of an AS_PATH attribute with four-octet AS numbers. What cannot be read ends the path.
    pub const fn new(value: &'a [u8]) -> Self {
        Self { value }
    }

    /// The segments, first to last.
    pub fn segments(self) -> impl Iterator<Item = Segment<'a>> {
        let mut rest = self.value;
        std::iter::from_fn(move || {
            let ([kind, count], after) = rest.split_first_chunk::<2>()?;
            let (asns, after) = after.split_at_checked(4 * usize::from(*count))?;
            rest = after;
            let kind = match *kind {
                AS_SET => SegmentKind::Set,
                AS_SEQUENCE => SegmentKind::Sequence,
                AS_CONFED_SEQUENCE => SegmentKind::ConfedSequence,
                AS_CONFED_SET => SegmentKind::ConfedSet,
                _ => return None,
            };
            Some(Segment { kind, asns: asns.as_chunks().0 })
        })
    }

    /// Every AS number in it, whatever the segment.
    pub fn asns(self) -> impl Iterator<Item = Asn> {
        self.segments().flat_map(Segment::asns)
    }

    /// Length for the decision process: a set counts as one (RFC 4271 §9.1.2.2), a confederation as none (RFC 5065 §5.3).
    pub fn length(self) -> usize {
        self.segments()
            .map(|segment| match segment.kind {
                SegmentKind::Sequence => segment.asns.len(),
                SegmentKind::Set => 1,
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
            })
            .sum()
    }

    /// The neighbouring AS: the first one of a leading sequence, confederation segments aside. `None` for a route that
    /// began in our own AS.
    pub fn first_as(self) -> Option<Asn> {
        self.segments()
            .find(|segment| matches!(segment.kind, SegmentKind::Sequence | SegmentKind::Set))
            .filter(|segment| segment.kind == SegmentKind::Sequence)
            .and_then(|segment| segment.asns().next())
    }

    /// The AS in which the route began: the last one, if it is in a sequence.
    pub fn origin_as(self) -> Option<Asn> {
        self.segments()
            .last()
            .filter(|segment| segment.kind == SegmentKind::Sequence)?
            .asns()
            .last()
    }

    /// How often an AS number is in it. More than 0 for our own means a loop.
    pub fn count(self, asn: Asn) -> usize {
        self.asns().filter(|other| *other == asn).count()
    }

    /// Whether an AS number is in it.
    pub fn contains(self, asn: Asn) -> bool {
        self.asns().any(|other| other == asn)
    }

    /// Whether the route began in our own AS.
    pub const fn is_empty(self) -> bool {
        self.value.is_empty()
    }

    /// The value of the attribute.
    pub const fn octets(self) -> &'a [u8] {
        self.value
    }
}

impl SegmentKind {
    pub(crate) const fn octet(self) -> u8 {
        match self {
            Self::Set => AS_SET,
            Self::Sequence => AS_SEQUENCE,
            Self::ConfedSequence => AS_CONFED_SEQUENCE,
            Self::ConfedSet => AS_CONFED_SET,
        }
    }
}

impl<'a> Segment<'a> {
    /// The AS numbers.
    pub fn asns(self) -> impl Iterator<Item = Asn> + 'a {
        self.asns.iter().map(|octets| Asn(u32::from_be_bytes(*octets)))
    }
}

/// What a sound path value is besides sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    /// It has segments of a confederation.
    pub(crate) confederation: bool,
    /// How many segments it has.
    pub(crate) segments: usize,
}

/// Looks through the value of an AS_PATH with AS numbers of `SIZE` octets (RFC 7606 §7.2, RFC 7607, RFC 9774).
#[inline]
pub(crate) fn check<const SIZE: usize>(value: &[u8]) -> Result<Checked, Defect> {
    let mut rest = value;
    let (mut has_set, mut has_zero, mut confederation, mut segments) = (false, false, false, 0);
    while !rest.is_empty() {
        let ([kind, count], after) = rest.split_first_chunk::<2>().ok_or(Defect::Value)?;
        let (asns, after) =
            after.split_at_checked(SIZE * usize::from(*count)).ok_or(Defect::Value)?;
        match *kind {
            AS_SEQUENCE => {}
            AS_SET => has_set = true,
            AS_CONFED_SEQUENCE => confederation = true,
            AS_CONFED_SET => (has_set, confederation) = (true, true),
            _ => return Err(Defect::Value),
        }
        if *count == 0 {
            return Err(Defect::Value);
        }
        segments += 1;
        has_zero |= asns.as_chunks::<SIZE>().0.contains(&[0; SIZE]);
        rest = after;
    }
    match (has_zero, has_set) {
        (true, _) => Err(Defect::AsZero),
        (_, true) => Err(Defect::AsSet),
        _ => Ok(Checked { confederation, segments }),
    }
}

/// As FRR prints paths: `65001 65002 {65003,65004} (65005) [65006,65007]`.
impl fmt::Display for AsPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments().enumerate() {
            let (open, separator, close) = match segment.kind {
                SegmentKind::Sequence => ("", " ", ""),
                SegmentKind::Set => ("{", ",", "}"),
                SegmentKind::ConfedSequence => ("(", " ", ")"),
                SegmentKind::ConfedSet => ("[", ",", "]"),
            };
            write!(f, "{}{open}", if index == 0 { "" } else { " " })?;
            for (index, asn) in segment.asns().enumerate() {
                write!(f, "{}{asn}", if index == 0 { "" } else { separator })?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
