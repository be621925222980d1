//! Routes into UPDATE messages: as few as fit.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::types::{AfiSafi, Asn};
use crate::wire::attribute::as_path::{AsPath, Segment, SegmentKind};
use crate::wire::attribute::canonical::write_attribute;
use crate::wire::attribute::next_hop::NextHop;
use crate::wire::attribute::set::{AttributeSet, RawAttribute};
use crate::wire::attribute::{EXTENDED_LENGTH, OPTIONAL, TRANSITIVE, code};
use crate::wire::header::{MessageType, begin_message, end_message, write_message, write_u16};
use crate::wire::nlri::Family;

/// How UPDATEs to a peer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpdatePacker {
    /// The longest message that the peer takes.
    pub max_len: usize,
    /// Whether the peer reads AS numbers of four octets.
    pub four_octet_as: bool,
}

/// Attributes so long that not even one route fits beside them. The routes have to be withdrawn (RFC 8654 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attributes leave no room for a route in a message of {max_len} bytes")]
pub struct UpdateTooLong {
    /// The longest message that the peer takes.
    pub max_len: usize,
}

impl UpdatePacker {
    /// Appends the UPDATEs that announce these routes. IPv4 unicast goes into the classic field, unless its next hop is an
    /// IPv6 address (RFC 8950); other families into MP_REACH_NLRI, which comes first (RFC 7606 §5.1).
    ///
    /// # Errors
    /// The attributes are too long for this peer; nothing was appended.
    pub fn announce<'r, F: Family>(
        &self,
        attributes: &AttributeSet,
        routes: impl IntoIterator<Item = (&'r F::Key, &'r F::Payload)>,
        out: &mut Vec<u8>,
    ) -> Result<(), UpdateTooLong> {
        let encode = |(key, payload): (&F::Key, &F::Payload), out: &mut Vec<u8>| {
            F::encode(key, payload, out);
        };
        self.announce_by::<F, _>(attributes, routes.into_iter(), encode, out)
    }

    /// The same with path identifiers (RFC 7911 §3), for a peer that reads them.
    ///
    /// # Errors
    /// As [`Self::announce`].
    pub fn announce_paths<'r, F: Family>(
        &self,
        attributes: &AttributeSet,
        paths: impl IntoIterator<Item = (u32, &'r F::Key, &'r F::Payload)>,
        out: &mut Vec<u8>,
    ) -> Result<(), UpdateTooLong> {
        let encode = |(id, key, payload): (u32, &F::Key, &F::Payload), out: &mut Vec<u8>| {
            out.extend_from_slice(&id.to_be_bytes());
            F::encode(key, payload, out);
        };
        self.announce_by::<F, _>(attributes, paths.into_iter(), encode, out)
    }

    fn announce_by<F: Family, R: Copy>(
        &self,
        attributes: &AttributeSet,
        routes: impl Iterator<Item = R>,
        encode: impl Fn(R, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), UpdateTooLong> {
        let too_long = UpdateTooLong { max_len: self.max_len };
        if attributes.is_oversized() {
            return Err(too_long);
        }
        let encoded = if self.four_octet_as {
            Cow::Borrowed(attributes)
        } else {
            Cow::Owned(narrow(attributes))
        };
        let (head, tail) = encoded.around_next_hop();
        let mut template: SmallVec<[u8; 256]> = SmallVec::new();
        let layout = match attributes.next_hop() {
            NextHop::V4(next_hop) if F::FAMILY == AfiSafi::IPV4_UNICAST => {
                let len = u16::try_from(head.len() + tail.len() + 7).map_err(|_| too_long)?;
                template.extend_from_slice(&[0, 0]);
                template.extend_from_slice(&len.to_be_bytes());
                template.extend_from_slice(head);
                template.extend_from_slice(&[TRANSITIVE, code::NEXT_HOP, 4]);
                template.extend_from_slice(&next_hop.octets());
                template.extend_from_slice(tail);
                Layout { field: Field::Nlri, suffix: [&[], &[]] }
            }
            next_hop => {
                template.extend_from_slice(&[
                    0,
                    0,
                    0,
                    0,
                    OPTIONAL | EXTENDED_LENGTH,
                    code::MP_REACH_NLRI,
                    0,
                    0,
                ]);
                write_family(F::FAMILY, &mut template);
                next_hop.encode(&mut template);
                template.push(0);
                Layout { field: Field::Multiprotocol, suffix: [head, tail] }
            }
        };
        let start = out.len();
        let packed = self.pack(&template, layout, routes, encode, out);
        if packed.is_none() {
            out.truncate(start);
            return Err(too_long);
        }
        Ok(())
    }

    /// Appends the UPDATEs that withdraw these routes.
    pub fn withdraw<'r, F: Family>(
        &self,
        keys: impl IntoIterator<Item = &'r F::Key>,
        out: &mut Vec<u8>,
    ) {
        let payload = F::Payload::default();
        let encode = |key: &F::Key, out: &mut Vec<u8>| F::encode(key, &payload, out);
        self.withdraw_by::<F, _>(keys.into_iter(), encode, out);
    }

    /// The same with path identifiers.
    pub fn withdraw_paths<'r, F: Family>(
        &self,
        paths: impl IntoIterator<Item = (u32, &'r F::Key)>,
        out: &mut Vec<u8>,
    ) {
        let payload = F::Payload::default();
        let encode = |(id, key): (u32, &F::Key), out: &mut Vec<u8>| {
            out.extend_from_slice(&id.to_be_bytes());
            F::encode(key, &payload, out);
        };
        self.withdraw_by::<F, _>(paths.into_iter(), encode, out);
    }

    fn withdraw_by<F: Family, R: Copy>(
        &self,
        routes: impl Iterator<Item = R>,
        encode: impl Fn(R, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        // A single route always fits: it is never longer than 261 octets, and a message may have 4096.
        let _ = if F::FAMILY == AfiSafi::IPV4_UNICAST {
            let layout = Layout { field: Field::Withdrawn, suffix: [&[0, 0], &[]] };
            self.pack(&[0, 0], layout, routes, encode, out)
        } else {
            let mut template: SmallVec<[u8; 16]> = SmallVec::from_slice(&[
                0,
                0,
                0,
                0,
                OPTIONAL | EXTENDED_LENGTH,
                code::MP_UNREACH_NLRI,
                0,
                0,
            ]);
            write_family(F::FAMILY, &mut template);
            let layout = Layout { field: Field::Multiprotocol, suffix: [&[], &[]] };
            self.pack(&template, layout, routes, encode, out)
        };
    }

    /// Appends the UPDATE that says: all routes of the family were sent (RFC 4724 §2).
    pub fn end_of_rib(&self, family: AfiSafi, out: &mut Vec<u8>) {
        write_message(MessageType::Update, out, |out| {
            if family == AfiSafi::IPV4_UNICAST {
                out.extend_from_slice(&[0, 0, 0, 0]);
            } else {
                out.extend_from_slice(&[0, 0, 0, 6, OPTIONAL, code::MP_UNREACH_NLRI, 3]);
                let [high, low] = family.afi.to_be_bytes();
                out.extend_from_slice(&[high, low, family.safi]);
            }
        });
    }

    /// Fills one message after another. `None`: a route did not fit into a message of its own.
    fn pack<R>(
        &self,
        template: &[u8],
        layout: Layout<'_>,
        mut routes: impl Iterator<Item = R>,
        encode: impl Fn(R, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Option<()>
    where
        R: Copy,
    {
        let suffix_len = layout.suffix.iter().map(|part| part.len()).sum();
        let limit = self.max_len.checked_sub(suffix_len)?;
        let mut waiting = routes.next();
        while waiting.is_some() {
            let start = begin_message(MessageType::Update, out);
            out.extend_from_slice(template);
            let first = out.len();
            while let Some(route) = waiting {
                let before = out.len();
                encode(route, out);
                if out.len() - start > limit {
                    out.truncate(before);
                    break;
                }
                waiting = routes.next();
            }
            if out.len() == first {
                return None;
            }
            layout.finish(start, out);
        }
        Some(())
    }
}

/// Where the routes go in a message, and what follows them.
#[derive(Clone, Copy)]
struct Layout<'a> {
    field: Field,
    suffix: [&'a [u8]; 2],
}

#[derive(Clone, Copy)]
enum Field {
    Nlri,
    Withdrawn,
    /// The first attribute.
    Multiprotocol,
}

impl Layout<'_> {
    /// Appends the suffix and fills in the lengths.
    fn finish(self, start: usize, out: &mut Vec<u8>) {
        let body = start + 19;
        let routes_end = out.len();
        for part in self.suffix {
            out.extend_from_slice(part);
        }
        match self.field {
            Field::Nlri => {}
            Field::Withdrawn => write_u16(out, body, routes_end - body - 2),
            Field::Multiprotocol => {
                let attributes_len = out.len() - body - 4;
                write_u16(out, body + 2, attributes_len);
                write_u16(out, body + 6, routes_end - body - 8);
            }
        }
        end_message(start, out);
    }
}

fn write_family<const N: usize>(family: AfiSafi, out: &mut SmallVec<[u8; N]>)
where
    [u8; N]: smallvec::Array<Item = u8>,
{
    let [high, low] = family.afi.to_be_bytes();
    out.extend_from_slice(&[high, low, family.safi]);
}

/// The attributes for a peer that reads AS numbers of two octets (RFC 6793 §4.2.2).
fn narrow(attributes: &AttributeSet) -> AttributeSet {
    let mut block = Vec::with_capacity(attributes.block().len());
    let mut as4 = Some((as4_path(attributes.as_path()), as4_aggregator(attributes)));
    let mut write_as4 = |block: &mut Vec<u8>| {
        if let Some((path, aggregator)) = as4.take() {
            for (code, value) in [(code::AS4_PATH, path), (code::AS4_AGGREGATOR, aggregator)] {
                if let Some(value) = value {
                    write_attribute(OPTIONAL | TRANSITIVE, code, &value, block);
                }
            }
        }
    };
    for RawAttribute { flags, code, value } in attributes.raw_attributes() {
        if code > code::AS4_PATH {
            write_as4(&mut block);
        }
        match (code, value) {
            (code::AS_PATH, _) => {
                let path = encode_path(attributes.as_path().segments(), narrow_asn);
                write_attribute(flags, code, &path, &mut block);
            }
            (code::AGGREGATOR, [a, b, c, d, id @ ..]) => {
                let mut narrowed = narrow_asn(Asn(u32::from_be_bytes([*a, *b, *c, *d]))).to_vec();
                narrowed.extend_from_slice(id);
                write_attribute(flags, code, &narrowed, &mut block);
            }
            _ => write_attribute(flags, code, value, &mut block),
        }
    }
    write_as4(&mut block);
    AttributeSet::from_block(block.into_boxed_slice(), attributes.next_hop())
}

fn narrow_asn(asn: Asn) -> [u8; 2] {
    u16::try_from(asn.0).unwrap_or(23456).to_be_bytes()
}

/// Only if AS_PATH cannot say it all, and without what happened inside a confederation.
fn as4_path(path: AsPath<'_>) -> Option<Vec<u8>> {
    let public =
        |segment: &Segment<'_>| matches!(segment.kind, SegmentKind::Sequence | SegmentKind::Set);
    let is_wide = path
        .segments()
        .filter(public)
        .flat_map(Segment::asns)
        .any(|asn| asn.0 > u32::from(u16::MAX));
    is_wide.then(|| encode_path(path.segments().filter(public), |asn| asn.0.to_be_bytes()))
}

fn as4_aggregator(attributes: &AttributeSet) -> Option<Vec<u8>> {
    let aggregator =
        attributes.aggregator().filter(|aggregator| aggregator.asn.0 > u32::from(u16::MAX))?;
    Some([aggregator.asn.0.to_be_bytes(), aggregator.router_id.0.octets()].concat())
}

fn encode_path<'a, const N: usize>(
    segments: impl Iterator<Item = Segment<'a>>,
    octets: impl Fn(Asn) -> [u8; N],
) -> Vec<u8> {
    let mut value = Vec::new();
    for segment in segments {
        value.extend_from_slice(&[
            segment.kind.octet(),
            u8::try_from(segment.asns().count()).unwrap_or(u8::MAX),
        ]);
        value.extend(segment.asns().flat_map(&octets));
    }
    value
}
