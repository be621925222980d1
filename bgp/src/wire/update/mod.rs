//! UPDATE (RFC 4271 §4.3), read without copying: one pass over the attributes that ends in a verdict (RFC 7606).

mod attributes;
pub(crate) mod packer;

use self::attributes::Scan;
use super::attribute::canonical::Parts;
use super::attribute::error::{AttributeCodes, AttributeError};
use super::attribute::next_hop::NextHop;
use super::family_set::FamilySet;
use super::nlri::{Family, Paths, Routes};
use super::notification::Notification;
use super::reader::Reader;
use crate::types::AfiSafi;

/// What the session negotiated that changes how an UPDATE reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateContext {
    /// Both sides have the four-octet AS capability.
    pub four_octet_as: bool,
    /// The peer is in another AS.
    pub external: bool,
    /// Families that both sides agreed on; IPv4 unicast too if the peer named no families at all. Others are ignored.
    pub families: FamilySet,
    /// Families in which each of the peer's routes has a path identifier before it (RFC 7911).
    pub add_path: FamilySet,
}

/// What to do with the routes that an UPDATE announces. Its withdrawals count in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take them.
    Accept,
    /// Take them without these attributes.
    DiscardAttributes(AttributeCodes),
    /// Withdraw them.
    TreatAsWithdraw(AttributeError),
}

/// The body of an UPDATE.
#[derive(Debug, Clone)]
pub struct UpdateView<'a> {
    /// What to do with the announced routes.
    pub verdict: Verdict,
    /// Withdrawn IPv4 routes.
    pub withdrawn: &'a [u8],
    /// Announced IPv4 routes; their next hop is [`Self::next_hop`].
    pub nlri: &'a [u8],
    /// NEXT_HOP, if there is a sound one.
    pub next_hop: Option<NextHop>,
    /// MP_REACH_NLRI, if its family was negotiated.
    pub mp_reach: Option<MpReach<'a>>,
    /// MP_UNREACH_NLRI, if its family was negotiated.
    pub mp_unreach: Option<MpUnreach<'a>>,
    /// A family in MP_REACH_NLRI or MP_UNREACH_NLRI that was not negotiated; its routes were ignored.
    pub ignored_family: Option<AfiSafi>,
    end_of_rib: Option<AfiSafi>,
    /// All path attributes as received.
    pub(super) attributes: &'a [u8],
    pub(super) discarded: AttributeCodes,
    pub(super) four_octet_as: bool,
    add_path: FamilySet,
    /// The attributes in pieces, if they need no rewriting.
    pub(super) canonical: Option<Parts<'a>>,
}

/// Announced routes with their family and next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MpReach<'a> {
    /// Family of the routes.
    pub family: AfiSafi,
    /// Their next hop.
    pub next_hop: NextHop,
    /// The routes.
    pub nlri: &'a [u8],
}

/// Withdrawn routes with their family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MpUnreach<'a> {
    /// Family of the routes.
    pub family: AfiSafi,
    /// The routes.
    pub nlri: &'a [u8],
}

/// Routes that an UPDATE announces with one next hop.
#[derive(Debug, Clone)]
pub struct Announced<'a, F> {
    /// Their next hop. `None` only if the verdict is to withdraw them.
    pub next_hop: Option<NextHop>,
    /// The routes.
    pub routes: Routes<'a, F>,
}

impl<'a> UpdateView<'a> {
    /// Reads the body of an UPDATE. Routes are not decoded here: see [`Self::announced`].
    ///
    /// # Errors
    /// The NOTIFICATION for a session reset: the routes cannot be told apart from what is broken.
    pub fn parse(body: &'a [u8], context: &UpdateContext) -> Result<Self, Notification> {
        let mut body = Reader::new(body);
        let (Some(mut withdrawn), Some(attributes)) = (body.take_u16_len(), body.take_u16_len())
        else {
            return Err(Notification::malformed_attribute_list());
        };
        let mut nlri = body.rest();
        let mut scan = Scan::run(attributes, !nlri.is_empty(), context)?;
        let has_routes = !nlri.is_empty() || scan.reaches;
        let is_empty = withdrawn.is_empty() && nlri.is_empty() && attributes.is_empty();
        if !context.families.contains(AfiSafi::IPV4_UNICAST) {
            if !(withdrawn.is_empty() && nlri.is_empty()) {
                scan.ignored_family = Some(AfiSafi::IPV4_UNICAST);
            }
            (withdrawn, nlri) = (&[], &[]);
        }
        let verdict = scan.verdict(has_routes, !nlri.is_empty())?;
        let end_of_rib = match scan.mp_unreach {
            Some(MpUnreach { family, nlri: [] }) if scan.is_mp_unreach_alone() => Some(family),
            _ => Some(AfiSafi::IPV4_UNICAST)
                .filter(|family| is_empty && context.families.contains(*family)),
        };
        Ok(Self {
            verdict,
            withdrawn,
            nlri,
            next_hop: scan.next_hop,
            mp_reach: scan.mp_reach,
            mp_unreach: scan.mp_unreach,
            ignored_family: scan.ignored_family,
            end_of_rib,
            attributes,
            discarded: scan.discarded,
            four_octet_as: context.four_octet_as,
            add_path: context.add_path,
            canonical: scan.canonical_parts(),
        })
    }

    /// Announced routes of a family: the classic field and MP_REACH_NLRI, each with its next hop.
    pub fn announced<F: Family>(&self) -> impl Iterator<Item = Announced<'a, F>> + use<'a, F> {
        let has_path_ids = self.add_path.contains(F::FAMILY);
        let routes = move |nlri| Routes::with_path_ids(nlri, has_path_ids);
        let classic = (F::FAMILY == AfiSafi::IPV4_UNICAST && !self.nlri.is_empty())
            .then(|| Announced { next_hop: self.next_hop, routes: routes(self.nlri) });
        let multiprotocol = self
            .mp_reach
            .filter(|reach| reach.family == F::FAMILY)
            .map(|reach| Announced { next_hop: Some(reach.next_hop), routes: routes(reach.nlri) });
        classic.into_iter().chain(multiprotocol)
    }

    /// Withdrawn routes of a family: the classic field and MP_UNREACH_NLRI. A route that is withdrawn and announced in
    /// one UPDATE is announced (RFC 4271 §4.3): handle these first.
    pub fn withdrawn<F: Family>(
        &self,
    ) -> impl Iterator<Item = <Routes<'a, F> as Iterator>::Item> + use<'a, F> {
        let [classic, multiprotocol] = self.withdrawn_fields::<F>();
        classic.chain(multiprotocol)
    }

    /// The same with path identifiers: 0 where there are none.
    pub fn withdrawn_paths<F: Family>(
        &self,
    ) -> impl Iterator<Item = <Paths<'a, F> as Iterator>::Item> + use<'a, F> {
        let [classic, multiprotocol] = self.withdrawn_fields::<F>();
        classic.paths().chain(multiprotocol.paths())
    }

    fn withdrawn_fields<F: Family>(&self) -> [Routes<'a, F>; 2] {
        let has_path_ids = self.add_path.contains(F::FAMILY);
        let classic: &[u8] = if F::FAMILY == AfiSafi::IPV4_UNICAST { self.withdrawn } else { &[] };
        let multiprotocol = self.mp_unreach.filter(|unreach| unreach.family == F::FAMILY);
        let multiprotocol: &[u8] = multiprotocol.map_or(&[], |unreach| unreach.nlri);
        [classic, multiprotocol].map(|nlri| Routes::with_path_ids(nlri, has_path_ids))
    }

    /// The family whose initial routes are all sent, if this is an End-of-RIB (RFC 4724 §2).
    pub const fn end_of_rib(&self) -> Option<AfiSafi> {
        self.end_of_rib
    }
}

#[cfg(test)]
mod tests;
