//! What an entry of a route map changes.

use std::net::IpAddr;
use std::sync::Arc;

use super::{CommunityList, ExtPattern, LargePattern, StandardPattern};
use crate::types::Asn;
use crate::wire::{
    AttributeEditor, AttributeSet, ExtCommunity, LargeCommunity, NextHop, Origin, code,
};

/// One change. Those of an entry are made in the order in which they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// LOCAL_PREF.
    LocalPref(u32),
    /// MED.
    Med(u32),
    /// MED, so much more; at most its greatest value. None counts as 0.
    MedPlus(u32),
    /// MED, so much less; at least 0.
    MedMinus(u32),
    /// ORIGIN.
    Origin(Origin),
    /// Before LOCAL_PREF in our own decision; told to nobody.
    Weight(u32),
    /// A mark for later policies; told to nobody.
    Tag(u32),
    /// ATOMIC_AGGREGATE is there.
    AtomicAggregate,
    /// These communities instead of what is there; none takes the attribute out.
    Communities(Vec<u32>),
    /// These communities as well.
    AddCommunities(Vec<u32>),
    /// Not those that a list permits.
    DeleteCommunities(Arc<CommunityList<StandardPattern>>),
    /// These large communities instead of what is there.
    LargeCommunities(Vec<LargeCommunity>),
    /// These large communities as well.
    AddLargeCommunities(Vec<LargeCommunity>),
    /// Not those that a list permits.
    DeleteLargeCommunities(Arc<CommunityList<LargePattern>>),
    /// These route targets and sites of origin instead of those that are there. Others stay.
    ExtCommunities(Vec<ExtCommunity>),
    /// These extended communities as well.
    AddExtCommunities(Vec<ExtCommunity>),
    /// Not those that a list permits.
    DeleteExtCommunities(Arc<CommunityList<ExtPattern>>),
    /// Link bandwidth (draft-ietf-idr-link-bandwidth), in megabits per second, of our own AS.
    Bandwidth {
        /// The rate.
        megabits: u32,
        /// It may leave the AS, as FRR sends it.
        transitive: bool,
    },
    /// These AS numbers before the path, the first one first.
    Prepend(Vec<Asn>),
    /// The path's first AS so many times more.
    PrependLast(u8),
    /// The path without these AS numbers.
    Exclude(Vec<Asn>),
    /// Our own AS number instead of these; of all if there are none.
    Replace(Vec<Asn>),
    /// The next hop.
    NextHop(NextHopSetting),
}

/// Where packets are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextHopSetting {
    /// There.
    Address(IpAddr),
    /// To us: our address on the session that the route is told on. For received routes it means nothing.
    Own,
    /// To the neighbour that told us the route. Towards a neighbour: to us, which is its peer.
    PeerAddress,
    /// Where it says, even if the session's rule is another one.
    Unchanged,
}

/// What a map may ask besides the route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Our AS number.
    pub(crate) asn: Asn,
    /// The neighbour that the route is from.
    pub(crate) from: Option<IpAddr>,
}

impl Setting {
    /// Makes the change, all but that of the next hop where that depends on the session: it is returned.
    pub(super) fn apply(
        &self,
        from: &AttributeSet,
        editor: &mut AttributeEditor<'_>,
        surroundings: &Surroundings,
    ) -> Option<NextHopSetting> {
        match self {
            Self::LocalPref(value) => editor.set_local_pref(*value),
            Self::Med(value) => editor.set_med(*value),
            Self::MedPlus(more) => editor.set_med(from.med().unwrap_or(0).saturating_add(*more)),
            Self::MedMinus(less) => editor.set_med(from.med().unwrap_or(0).saturating_sub(*less)),
            Self::Origin(origin) => editor.set_origin(*origin),
            Self::AtomicAggregate => editor.set_atomic_aggregate(),
            Self::Weight(weight) => {
                editor.local().weight = *weight;
                editor
            }
            Self::Tag(tag) => {
                editor.local().tag = *tag;
                editor
            }
            Self::Communities(_) | Self::AddCommunities(_) | Self::DeleteCommunities(_) => {
                self.change_communities(editor)
            }
            Self::LargeCommunities(_)
            | Self::AddLargeCommunities(_)
            | Self::DeleteLargeCommunities(_) => self.change_large_communities(editor),
            Self::ExtCommunities(_)
            | Self::AddExtCommunities(_)
            | Self::DeleteExtCommunities(_)
            | Self::Bandwidth { .. } => self.change_ext_communities(editor, surroundings.asn),
            Self::Prepend(_) | Self::PrependLast(_) | Self::Exclude(_) | Self::Replace(_) => {
                self.change_as_path(from, editor, surroundings.asn)
            }
            Self::NextHop(next_hop) => {
                if let NextHopSetting::Address(address) = next_hop {
                    editor.set_next_hop(NextHop::from(*address));
                }
                return Some(*next_hop);
            }
        };
        None
    }

    fn change_communities<'e, 'a>(
        &self,
        editor: &'e mut AttributeEditor<'a>,
    ) -> &'e mut AttributeEditor<'a> {
        match self {
            Self::DeleteCommunities(list) => {
                editor.retain_communities(|community| !list.contains(community))
            }
            Self::Communities(communities) => {
                editor.remove(code::COMMUNITIES);
                communities.iter().fold(editor, |editor, one| editor.add_community(*one))
            }
            Self::AddCommunities(communities) => {
                communities.iter().fold(editor, |editor, one| editor.add_community(*one))
            }
            _ => editor,
        }
    }

    fn change_large_communities<'e, 'a>(
        &self,
        editor: &'e mut AttributeEditor<'a>,
    ) -> &'e mut AttributeEditor<'a> {
        match self {
            Self::DeleteLargeCommunities(list) => {
                editor.retain_large_communities(|community| !list.contains(community))
            }
            Self::LargeCommunities(communities) => {
                editor.remove(code::LARGE_COMMUNITIES);
                communities.iter().fold(editor, |editor, one| editor.add_large_community(*one))
            }
            Self::AddLargeCommunities(communities) => {
                communities.iter().fold(editor, |editor, one| editor.add_large_community(*one))
            }
            _ => editor,
        }
    }

    fn change_ext_communities<'e, 'a>(
        &self,
        editor: &'e mut AttributeEditor<'a>,
        asn: Asn,
    ) -> &'e mut AttributeEditor<'a> {
        match self {
            Self::DeleteExtCommunities(list) => {
                editor.retain_ext_communities(|community| !list.contains(community))
            }
            Self::ExtCommunities(communities) => {
                let kind = |community: ExtCommunity| community.0[1];
                editor.retain_ext_communities(|old| {
                    old.0[0] > 2 || !communities.iter().any(|new| kind(*new) == kind(old))
                });
                communities.iter().fold(editor, |editor, one| editor.add_ext_community(*one))
            }
            Self::AddExtCommunities(communities) => {
                communities.iter().fold(editor, |editor, one| editor.add_ext_community(*one))
            }
            Self::Bandwidth { megabits, transitive } => {
                // The draft has room for two octets of the AS number.
                let asn = u16::try_from(asn.0).map_or(Asn::TRANS, |asn| Asn(asn.into()));
                let bandwidth = ExtCommunity::link_bandwidth(asn, *megabits, *transitive);
                editor
                    .retain_ext_communities(|old| old.as_link_bandwidth().is_none())
                    .add_ext_community(bandwidth)
            }
            _ => editor,
        }
    }

    fn change_as_path<'e, 'a>(
        &self,
        from: &AttributeSet,
        editor: &'e mut AttributeEditor<'a>,
        asn: Asn,
    ) -> &'e mut AttributeEditor<'a> {
        match self {
            Self::Prepend(asns) => {
                asns.iter().rev().fold(editor, |editor, asn| editor.prepend_as(*asn))
            }
            Self::PrependLast(times) => match from.first_as() {
                Some(first) => editor.prepend_as_times(first, (*times).into()),
                None => editor,
            },
            Self::Exclude(asns) => {
                editor.change_as_path(|old| (!asns.contains(&old)).then_some(old))
            }
            Self::Replace(asns) => {
                let is_meant = |old| asns.is_empty() || asns.contains(&old);
                editor.change_as_path(|old| Some(if is_meant(old) { asn } else { old }))
            }
            _ => editor,
        }
    }
}
