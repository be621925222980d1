//! Policy: which routes are taken and told, and with which attributes. Lists and route maps with FRR's meaning.
//!
//! A [`RouteMap`] is entries in the order of their sequence numbers. The first whose conditions all hold decides; if none
//! does, the route is denied. What it says depends on attributes, which many routes share, and perhaps on the route
//! itself. So a map is worked out once for each attribute set, as far as it does not depend on the route (`worked`), and
//! what is left of it is asked for each route: nothing, for most maps.
//!
//! Lists are looked up by name when a configuration is read, not here: a map holds what it refers to.

mod as_path_list;
mod community_list;
mod condition;
mod neighbor;
mod prefix_list;
mod route_map;
mod setting;
mod show;
mod worked;

pub use as_path_list::{AsPathList, AsPathListError};
pub use community_list::{
    BadCommunity, Community, CommunityEntry, CommunityList, CommunityPattern, ExtPattern,
    LargePattern, Numbers, StandardPattern, parse_ext_community,
};
pub use condition::{AttributeCondition, Condition, RouteCondition, RouteRef};
pub(crate) use neighbor::Policy;
pub use neighbor::{FamilyPolicy, NeighborPolicy};
pub use prefix_list::{PrefixList, PrefixListError, PrefixRule};
pub use route_map::{Continue, Entry, RouteMap, RouteMapError};
pub(crate) use setting::Surroundings;
pub use setting::{NextHopSetting, Setting};
pub(crate) use worked::{Permitted, Worked};

/// What an entry of a list or a map says of what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Yes.
    Permit,
    /// No.
    Deny,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        })
    }
}

#[cfg(test)]
mod tests;
