//! The one pass over the path attributes of an UPDATE, with RFC 7606's answer to every defect.

use crate::types::AfiSafi;
use crate::wire::attribute::error::{AttributeCodes, AttributeError, Defect};
use crate::wire::attribute::next_hop::NextHop;
use crate::wire::attribute::pmsi_tunnel::PmsiTunnel;
use crate::wire::attribute::set::{RawAttribute, split_attribute};
use crate::wire::attribute::{
    OPTIONAL, Origin, PARTIAL, TRANSITIVE, as_path, canonical, code, known_flags,
};
use crate::wire::notification::Notification;
use crate::wire::reader::Reader;
use crate::wire::update::{MpReach, MpUnreach, UpdateContext, Verdict};

/// What the pass found.
pub(super) struct Scan<'a, 'c> {
    context: &'c UpdateContext,
    block: &'a [u8],
    has_classic_routes: bool,
    seen: AttributeCodes,
    pub(super) discarded: AttributeCodes,
    /// The first defect that costs the routes.
    error: Option<AttributeError>,
    pub(super) next_hop: Option<NextHop>,
    pub(super) mp_reach: Option<MpReach<'a>>,
    pub(super) mp_unreach: Option<MpUnreach<'a>>,
    /// MP_REACH_NLRI or MP_UNREACH_NLRI of a family that was not negotiated.
    pub(super) ignored_family: Option<AfiSafi>,
    /// MP_REACH_NLRI has routes, of whatever family.
    pub(super) reaches: bool,
    canonical: canonical::Tracker,
}

/// What becomes of one attribute.
enum Outcome {
    Keep,
    /// Not an error: an unknown attribute that is not for us.
    Drop,
    Discard,
    Withdraw(Defect),
}

impl<'a, 'c> Scan<'a, 'c> {
    /// Looks at every attribute once.
    pub(super) fn run(
        block: &'a [u8],
        has_classic_routes: bool,
        context: &'c UpdateContext,
    ) -> Result<Self, Notification> {
        let mut scan = Self {
            context,
            block,
            has_classic_routes,
            seen: AttributeCodes::EMPTY,
            discarded: AttributeCodes::EMPTY,
            error: None,
            next_hop: None,
            mp_reach: None,
            mp_unreach: None,
            ignored_family: None,
            reaches: false,
            canonical: canonical::Tracker::new(),
        };
        let mut rest = block;
        while !rest.is_empty() {
            let Some((attribute, after)) = split_attribute(rest) else {
                if let [_, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI, ..] = rest {
                    // The routes in it cannot all be named, and so not be withdrawn (RFC 7606 §3 (j)).
                    return Err(Notification::optional_attribute_error(rest.to_vec()));
                }
                scan.withdraw(0, Defect::Overrun);
                break;
            };
            let octets = rest.get(..rest.len() - after.len()).unwrap_or_default();
            scan.attribute(attribute, octets, block.len() - rest.len())?;
            rest = after;
        }
        Ok(scan)
    }

    /// The strongest outcome. `has_routes`: the UPDATE announces something; `needs_next_hop`: in the classic field, to us.
    pub(super) fn verdict(
        &mut self,
        has_routes: bool,
        needs_next_hop: bool,
    ) -> Result<Verdict, Notification> {
        if has_routes {
            let mandatory =
                [(code::ORIGIN, true), (code::AS_PATH, true), (code::NEXT_HOP, needs_next_hop)];
            for (code, needed) in mandatory {
                if needed && !self.seen.contains(code) {
                    self.withdraw(code, Defect::Missing);
                }
            }
        }
        match self.error {
            // RFC 7606 §5.2: attributes without routes, and one of them broken. Perhaps that hid the routes.
            Some(error) if !has_routes && !self.is_mp_unreach_alone() => Err(error.notification()),
            Some(error) => Ok(Verdict::TreatAsWithdraw(error)),
            None if self.discarded.is_empty() => Ok(Verdict::Accept),
            None => Ok(Verdict::DiscardAttributes(self.discarded)),
        }
    }

    /// Whether there is no attribute but MP_UNREACH_NLRI.
    pub(super) fn is_mp_unreach_alone(&self) -> bool {
        let mut alone = AttributeCodes::EMPTY;
        alone.insert(code::MP_UNREACH_NLRI);
        self.seen == alone && self.error.is_none_or(|error| error.defect != Defect::Overrun)
    }

    /// The attributes as they stand, if they are canonical already.
    pub(super) fn canonical_parts(&self) -> Option<canonical::Parts<'a>> {
        if self.error.is_some() || !self.discarded.is_empty() {
            return None;
        }
        self.canonical.parts(self.block)
    }

    fn attribute(
        &mut self,
        attribute: RawAttribute<'a>,
        octets: &'a [u8],
        at: usize,
    ) -> Result<(), Notification> {
        let RawAttribute { flags, code, value } = attribute;
        if !self.seen.insert(code) {
            // RFC 7606 §3 (g): the first one counts, but two lists of routes cannot be told apart.
            self.canonical.spoil();
            return match code {
                code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => {
                    Err(Notification::malformed_attribute_list())
                }
                _ => Ok(()),
            };
        }
        let outcome = match known_flags(code) {
            Some(expected) => {
                self.canonical.attribute(
                    code,
                    flags == canonical::flags(flags, expected, value.len()),
                    at,
                    octets,
                );
                if flags & (OPTIONAL | TRANSITIVE) == expected {
                    self.known(code, value, octets)?
                } else if matches!(code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
                    // RFC 7606 §5.3: then what is in it is not to be trusted either.
                    return Err(Notification::attribute_flags_error(octets.to_vec()));
                } else {
                    Outcome::Withdraw(Defect::Flags(flags))
                }
            }
            None if flags & OPTIONAL == 0 => {
                return Err(Notification::unrecognized_well_known_attribute(octets.to_vec()));
            }
            None if flags & TRANSITIVE == 0 => Outcome::Drop,
            None => {
                let kept = canonical::flags(PARTIAL, OPTIONAL | TRANSITIVE, value.len());
                self.canonical.attribute(code, flags == kept, at, octets);
                Outcome::Keep
            }
        };
        match outcome {
            Outcome::Keep => {}
            Outcome::Drop => self.canonical.spoil(),
            Outcome::Discard => {
                self.discarded.insert(code);
            }
            Outcome::Withdraw(defect) => self.withdraw(code, defect),
        }
        Ok(())
    }

    fn withdraw(&mut self, code: u8, defect: Defect) {
        self.error.get_or_insert(AttributeError { code, defect });
    }

    /// RFC 7606 §7, attribute by attribute.
    #[inline]
    fn known(&mut self, code: u8, value: &'a [u8], octets: &[u8]) -> Result<Outcome, Notification> {
        let internal = !self.context.external;
        let four_octet_as = self.context.four_octet_as;
        Ok(match code {
            code::ORIGIN => match value {
                [octet] if Origin::from_octet(*octet).is_some() => Outcome::Keep,
                [_] => Outcome::Withdraw(Defect::Value),
                _ => Outcome::Withdraw(Defect::Length(value.len())),
            },
            code::AS_PATH => self.as_path(value),
            code::NEXT_HOP => self.next_hop(value),
            code::MED | code::ONLY_TO_CUSTOMER => withdraw_unless(value.len() == 4, value),
            code::LOCAL_PREF | code::ORIGINATOR_ID if internal => {
                withdraw_unless(value.len() == 4, value)
            }
            code::CLUSTER_LIST if internal => withdraw_unless(is_list_of(4, value), value),
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => Outcome::Discard,
            code::ATOMIC_AGGREGATE => discard_unless(value.is_empty()),
            code::AGGREGATOR if four_octet_as => discard_unless(is_aggregator::<8, 4>(value)),
            code::AGGREGATOR => {
                self.canonical.spoil();
                discard_unless(is_aggregator::<6, 2>(value))
            }
            code::COMMUNITIES => withdraw_unless(is_list_of(4, value), value),
            code::EXT_COMMUNITIES => withdraw_unless(is_list_of(8, value), value),
            code::IPV6_EXT_COMMUNITIES => withdraw_unless(is_list_of(20, value), value),
            code::LARGE_COMMUNITIES => {
                if !value.as_chunks::<12>().0.is_sorted_by(|first, second| first < second) {
                    // Perhaps one is there twice (RFC 8092 §5).
                    self.canonical.spoil();
                }
                withdraw_unless(is_list_of(12, value), value)
            }
            code::AS4_PATH | code::AS4_AGGREGATOR if four_octet_as => Outcome::Discard,
            code::AS4_PATH => {
                self.canonical.spoil();
                match as_path::check::<4>(value) {
                    // AS numbers beyond two octets do not make a set any better (RFC 9774 §3).
                    Err(Defect::AsSet) => Outcome::Withdraw(Defect::AsSet),
                    checked => discard_unless(checked.is_ok()),
                }
            }
            code::AS4_AGGREGATOR => {
                self.canonical.spoil();
                discard_unless(is_aggregator::<8, 4>(value))
            }
            code::PMSI_TUNNEL if PmsiTunnel::decode(value).is_none() => {
                Outcome::Withdraw(Defect::Value)
            }
            code::MP_REACH_NLRI => self.mp_reach(value, octets)?,
            code::MP_UNREACH_NLRI => self.mp_unreach(value, octets)?,
            _ => Outcome::Keep,
        })
    }

    fn as_path(&mut self, value: &[u8]) -> Outcome {
        let checked = if self.context.four_octet_as {
            as_path::check::<4>(value)
        } else {
            self.canonical.spoil();
            // With four octets for each AS, it must still fit its length field. The heads of segments stay as they are.
            as_path::check::<2>(value).and_then(|checked| {
                let in_four_octets = 2 * (value.len() - checked.segments);
                let fits = in_four_octets <= usize::from(u16::MAX);
                if fits { Ok(checked) } else { Err(Defect::Length(value.len())) }
            })
        };
        match checked {
            Err(defect) => Outcome::Withdraw(defect),
            // RFC 5065 §5: only members of the confederation may show its segments, and we are in none.
            Ok(as_path::Checked { confederation: true, .. }) if self.context.external => {
                Outcome::Withdraw(Defect::Value)
            }
            Ok(_) => Outcome::Keep,
        }
    }

    fn next_hop(&mut self, value: &[u8]) -> Outcome {
        let Ok(octets) = <[u8; 4]>::try_from(value) else {
            return Outcome::Withdraw(Defect::Length(value.len()));
        };
        let next_hop = NextHop::V4(octets.into());
        if next_hop.is_host() {
            self.next_hop = Some(next_hop);
            Outcome::Keep
        } else if self.has_classic_routes {
            Outcome::Withdraw(Defect::Value)
        } else {
            // Beside MP_REACH_NLRI alone it means nothing (RFC 4760 §3).
            Outcome::Keep
        }
    }

    /// RFC 7606 §7.11: without a sound next hop length the routes are not found.
    fn mp_reach(&mut self, value: &'a [u8], octets: &[u8]) -> Result<Outcome, Notification> {
        let reset = || Notification::optional_attribute_error(octets.to_vec());
        let mut value = Reader::new(value);
        let (Some(afi), Some(safi)) = (value.u16(), value.u8()) else { return Err(reset()) };
        let family = AfiSafi { afi, safi };
        let (Some(next_hop), Some(_reserved)) = (value.take_u8_len(), value.u8()) else {
            return Err(reset());
        };
        let nlri = value.rest();
        self.reaches |= !nlri.is_empty();
        if !self.context.families.contains(family) {
            self.ignored_family = Some(family);
            return Ok(Outcome::Keep);
        }
        let next_hop = match NextHop::decode(next_hop).ok_or_else(reset)? {
            NextHop::V4(_) if family == AfiSafi::IPV6_UNICAST => return Err(reset()),
            next_hop => next_hop,
        };
        self.mp_reach = Some(MpReach { family, next_hop, nlri });
        Ok(if next_hop.is_host() { Outcome::Keep } else { Outcome::Withdraw(Defect::Value) })
    }

    fn mp_unreach(&mut self, value: &'a [u8], octets: &[u8]) -> Result<Outcome, Notification> {
        let mut value = Reader::new(value);
        let (Some(afi), Some(safi)) = (value.u16(), value.u8()) else {
            return Err(Notification::optional_attribute_error(octets.to_vec()));
        };
        let family = AfiSafi { afi, safi };
        if self.context.families.contains(family) {
            self.mp_unreach = Some(MpUnreach { family, nlri: value.rest() });
        } else {
            self.ignored_family = Some(family);
        }
        Ok(Outcome::Keep)
    }
}

fn withdraw_unless(sound: bool, value: &[u8]) -> Outcome {
    if sound { Outcome::Keep } else { Outcome::Withdraw(Defect::Length(value.len())) }
}

fn discard_unless(sound: bool) -> Outcome {
    if sound { Outcome::Keep } else { Outcome::Discard }
}

fn is_list_of(size: usize, value: &[u8]) -> bool {
    !value.is_empty() && value.len().is_multiple_of(size)
}

/// `LEN` octets, of which the first `AS` are an AS number other than 0 (RFC 7607).
fn is_aggregator<const LEN: usize, const AS: usize>(value: &[u8]) -> bool {
    value.len() == LEN && value.first_chunk::<AS>().is_some_and(|asn| asn != &[0; AS])
}
