//! The canonical form of an attribute block: ascending codes, shortest lengths, AS numbers of four octets, and without
//! what is not shared between routes or not ours to keep.
//!
//! Most speakers send a block that is canonical but for the next hops in it. [`Tracker`] notices that during the one pass,
//! and then up to three pieces of the received bytes are the canonical block: before NEXT_HOP, after it, and after the MP
//! attributes. Only other blocks are rewritten by [`rewrite`].

use smallvec::SmallVec;

use super::as_path::{AsPath, SegmentKind};
use super::error::AttributeCodes;
use super::set::{RawAttribute, raw_attributes};
use super::{EXTENDED_LENGTH, OPTIONAL, PARTIAL, TRANSITIVE, code, known_flags};
use crate::types::Asn;

/// A canonical block in three pieces: codes up to AS_PATH, from NEXT_HOP to the MP attributes, and after those. Empty ones
/// are empty, so that equal blocks have equal pieces.
pub(crate) type Parts<'a> = [&'a [u8]; 3];

/// Which piece an attribute belongs to. `None`: it is not part of the block.
const fn piece(code: u8) -> Option<usize> {
    match code {
        code::NEXT_HOP | code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => None,
        ..=code::AS_PATH => Some(0),
        code::MED..=13 => Some(1),
        16.. => Some(2),
    }
}

/// The three pieces of a canonical block.
pub(crate) fn parts(block: &[u8]) -> Parts<'_> {
    let mut tracker = Tracker::new();
    let mut rest = block;
    while let Some((attribute, after)) = super::set::split_attribute(rest) {
        let octets = rest.get(..rest.len() - after.len()).unwrap_or_default();
        tracker.attribute(attribute.code, true, block.len() - rest.len(), octets);
        rest = after;
    }
    tracker.parts(block).unwrap_or([block, &[], &[]])
}

/// The flags that a known attribute has in a canonical block. `flags` is what came: of it only the partial bit counts, and
/// only where it means something.
pub(crate) const fn flags(flags: u8, expected: u8, len: usize) -> u8 {
    let partial = if expected == OPTIONAL | TRANSITIVE { flags & PARTIAL } else { 0 };
    let extended = if len > 255 { EXTENDED_LENGTH } else { 0 };
    expected | partial | extended
}

/// Watches attributes go by, and knows in the end whether they were canonical and where the pieces are.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    spoiled: bool,
    last_code: Option<u8>,
    pieces: [(usize, usize); 3],
}

impl Tracker {
    pub(crate) const fn new() -> Self {
        Self { spoiled: false, last_code: None, pieces: [(0, 0); 3] }
    }

    /// The block needs rewriting.
    #[inline]
    pub(crate) fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// The next attribute: whether its flags are canonical, and where it is.
    #[inline]
    pub(crate) fn attribute(&mut self, code: u8, canonical: bool, at: usize, octets: &[u8]) {
        let Some((start, end)) = piece(code).and_then(|piece| self.pieces.get_mut(piece)) else {
            return;
        };
        let ascending = self.last_code.is_none_or(|last| last < code);
        let contiguous = *start == *end || *end == at;
        if !(canonical && ascending && contiguous) {
            self.spoiled = true;
        }
        if *start == *end {
            *start = at;
        }
        *end = at + octets.len();
        self.last_code = Some(code);
    }

    pub(crate) fn parts<'a>(&self, block: &'a [u8]) -> Option<Parts<'a>> {
        if self.spoiled {
            return None;
        }
        let [a, b, c] = self.pieces.map(|(start, end)| block.get(start..end));
        Some([a?, b?, c?])
    }
}

/// Appends the canonical form of any block. Of several attributes with one code the first one counts.
pub(crate) fn rewrite(
    block: &[u8],
    discarded: &AttributeCodes,
    four_octet_as: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if four_octet_as && rewrite_in_order(block, discarded, out) {
        return;
    }
    out.truncate(start);
    let mut seen = AttributeCodes::EMPTY;
    let mut kept: SmallVec<[RawAttribute<'_>; 16]> = raw_attributes(block)
        .filter(|attribute| {
            seen.insert(attribute.code)
                && !discarded.contains(attribute.code)
                && attribute.is_kept()
        })
        .collect();
    kept.sort_unstable_by_key(|attribute| attribute.code);
    let find = |code| {
        kept.iter().find(|attribute| attribute.code == code).map(|attribute| attribute.value)
    };
    let superseded = if four_octet_as { None } else { Some(Superseding::of(find)) };
    for attribute in &kept {
        let RawAttribute { flags: received, code, value } = *attribute;
        let flags = canonical_flags(received, code);
        match (code, &superseded) {
            (code::AS4_PATH | code::AS4_AGGREGATOR, _) => {}
            (code::AS_PATH, Some(superseding)) => {
                write_attribute(flags, code, &superseding.as_path(value), out)
            }
            (code::AGGREGATOR, Some(superseding)) => {
                write_attribute(flags, code, &superseding.aggregator(value), out)
            }
            (code::LARGE_COMMUNITIES, _) => {
                write_attribute(flags, code, &without_duplicates(value), out)
            }
            _ => write_attribute(flags, code, value, out),
        }
    }
}

/// The same for a block whose attributes are in order, and need no change but of flags and length fields. FRR's are like
/// that: its AS_PATH always has a long length field. `false`: it is not so, and `out` has too much.
fn rewrite_in_order(block: &[u8], discarded: &AttributeCodes, out: &mut Vec<u8>) -> bool {
    out.reserve(block.len());
    let mut last = None;
    for attribute in raw_attributes(block).filter(|attribute| piece(attribute.code).is_some()) {
        let RawAttribute { flags, code, value } = attribute;
        let is_special =
            matches!(code, code::LARGE_COMMUNITIES | code::AS4_PATH | code::AS4_AGGREGATOR);
        if last >= Some(code) || is_special {
            return false;
        }
        last = Some(code);
        if attribute.is_kept() && !discarded.contains(code) {
            write_attribute(canonical_flags(flags, code), code, value, out);
        }
    }
    true
}

/// Flags without the length bit, which depends on the value.
fn canonical_flags(received: u8, code: u8) -> u8 {
    known_flags(code)
        .map_or(OPTIONAL | TRANSITIVE | PARTIAL, |expected| flags(received, expected, 0))
}

/// Appends an attribute with the shortest length field. Values are within 65535 octets: they come from one, or the editor
/// looked.
pub(crate) fn write_attribute(flags: u8, code: u8, value: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(len) => out.extend_from_slice(&[flags & !EXTENDED_LENGTH, code, len]),
        Err(_) => {
            let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.extend_from_slice(&[flags | EXTENDED_LENGTH, code, high, low]);
        }
    }
    out.extend_from_slice(value);
}

impl RawAttribute<'_> {
    /// Whether the attribute belongs into the block: what is known, and what is unknown but transitive.
    const fn is_kept(&self) -> bool {
        piece(self.code).is_some()
            && (known_flags(self.code).is_some() || self.flags & TRANSITIVE != 0)
    }
}

/// What a speaker of two-octet AS numbers says in AS4_PATH and AS4_AGGREGATOR (RFC 6793 §4.2.3).
struct Superseding<'a> {
    as4_path: Option<&'a [u8]>,
    as4_aggregator: Option<&'a [u8]>,
}

impl<'a> Superseding<'a> {
    fn of(find: impl Fn(u8) -> Option<&'a [u8]>) -> Self {
        let trans = Asn::TRANS.0.to_be_bytes();
        let aggregated_by_old =
            find(code::AGGREGATOR).is_some_and(|value| !value.starts_with(&[trans[2], trans[3]]));
        let as4_aggregator = find(code::AS4_AGGREGATOR);
        if aggregated_by_old && as4_aggregator.is_some() {
            // Someone who knew nothing of the new attributes aggregated since: they are stale.
            return Self { as4_path: None, as4_aggregator: None };
        }
        Self { as4_path: find(code::AS4_PATH), as4_aggregator }
    }

    fn aggregator(&self, value: &[u8]) -> SmallVec<[u8; 8]> {
        match (self.as4_aggregator, value) {
            (Some(value), _) => value.into(),
            (None, [asn @ .., a, b, c, d]) => {
                let mut wide: SmallVec<[u8; 8]> = SmallVec::from_slice(&[0, 0]);
                wide.extend_from_slice(asn);
                wide.extend_from_slice(&[*a, *b, *c, *d]);
                wide
            }
            (None, short) => short.into(),
        }
    }

    /// The path with four octets each: the front of AS_PATH that AS4_PATH does not cover, then AS4_PATH.
    fn as_path(&self, value: &[u8]) -> SmallVec<[u8; 64]> {
        let mut wide = SmallVec::new();
        let mut rest = value;
        while let Some(([kind, count], after)) = rest.split_first_chunk::<2>() {
            let (asns, after) =
                after.split_at_checked(2 * usize::from(*count)).unwrap_or((after, &[]));
            wide.extend_from_slice(&[*kind, *count]);
            wide.extend(asns.as_chunks::<2>().0.iter().flat_map(|[high, low]| [0, 0, *high, *low]));
            rest = after;
        }
        let Some(as4_path) = self.as4_path else { return wide };
        let as4_path = AsPath::new(as4_path);
        let covered = as4_path.length();
        let total = AsPath::new(&wide).length();
        if covered == 0 || total < covered {
            return wide;
        }
        let mut merged = SmallVec::new();
        front(AsPath::new(&wide), total - covered, &mut merged);
        for segment in as4_path.segments() {
            // RFC 6793 §3: confederation segments have no place in AS4_PATH.
            if matches!(segment.kind, SegmentKind::Sequence | SegmentKind::Set) {
                write_segment(segment.kind, segment.asns(), &mut merged);
            }
        }
        // A peer can write paths that fit in two octets each, and not in four. No honest one does.
        if merged.len() > usize::from(u16::MAX) { wide } else { merged }
    }
}

/// Appends the leading part of a path that is `length` ASes long, with the confederation segments before it and in it.
fn front(path: AsPath<'_>, mut length: usize, out: &mut SmallVec<[u8; 64]>) {
    for segment in path.segments() {
        let count = match segment.kind {
            SegmentKind::Sequence => segment.asns().count().min(length),
            SegmentKind::Set => segment.asns().count() * length.min(1),
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => segment.asns().count(),
        };
        if count == 0 {
            return;
        }
        write_segment(segment.kind, segment.asns().take(count), out);
        length -= match segment.kind {
            SegmentKind::Sequence => count,
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        };
    }
}

/// Appends a segment.
fn write_segment(kind: SegmentKind, asns: impl Iterator<Item = Asn>, out: &mut SmallVec<[u8; 64]>) {
    let start = out.len();
    out.extend_from_slice(&[kind.octet(), 0]);
    for asn in asns {
        out.extend_from_slice(&asn.0.to_be_bytes());
    }
    let count = (out.len() - start - 2) / 4;
    if let Some(field) = out.get_mut(start + 1) {
        *field = u8::try_from(count).unwrap_or(u8::MAX);
    }
}

/// Large communities that are there twice are to be removed without a word (RFC 8092 §5).
fn without_duplicates(value: &[u8]) -> SmallVec<[u8; 64]> {
    let communities = value.as_chunks::<12>().0;
    let mut kept = SmallVec::new();
    // Many of them come only from someone who wants to keep us busy: then a set beats looking back.
    let mut seen = hashbrown::HashSet::<_, foldhash::fast::RandomState>::default();
    for (index, community) in communities.iter().enumerate() {
        let fresh = if communities.len() > 32 {
            seen.insert(community)
        } else {
            !communities.iter().take(index).any(|earlier| earlier == community)
        };
        if fresh {
            kept.extend_from_slice(community);
        }
    }
    kept
}
