//! The policies of one neighbour.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RouteMap;
use crate::types::AfiSafi;

/// What is taken from a neighbour, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeighborPolicy {
    /// Without a policy, nothing is taken from an external neighbour and nothing is told to it (RFC 8212).
    pub required: bool,
    /// Keep what the neighbour sent where a policy refused or changed it, so that another one can be tried on it without
    /// asking again.
    pub keep_received: bool,
    /// Per family; one that is not here has none.
    pub families: BTreeMap<AfiSafi, FamilyPolicy>,
}

/// The policies of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FamilyPolicy {
    /// Of routes from the neighbour.
    pub import: Option<Arc<RouteMap>>,
    /// Of routes to the neighbour.
    pub export: Option<Arc<RouteMap>>,
}

/// One direction of one family of one session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// Everything passes as it is.
    #[default]
    Everything,
    /// Nothing passes: there is no policy, and there has to be one.
    Nothing,
    /// What the map permits, as it says.
    Map(Arc<RouteMap>),
}

impl NeighborPolicy {
    pub(crate) fn import(&self, family: AfiSafi, external: bool) -> Policy {
        let map = self.families.get(&family).and_then(|policy| policy.import.as_ref());
        self.policy(map, external)
    }

    pub(crate) fn export(&self, family: AfiSafi, external: bool) -> Policy {
        let map = self.families.get(&family).and_then(|policy| policy.export.as_ref());
        self.policy(map, external)
    }

    fn policy(&self, map: Option<&Arc<RouteMap>>, external: bool) -> Policy {
        match map {
            Some(map) => Policy::Map(Arc::clone(map)),
            None if self.required && external => Policy::Nothing,
            None => Policy::Everything,
        }
    }
}
