//! Bytes to messages and back. No policy, no sessions, no clock.
//!
//! A message is split off the stream by [`split_message`]; its body is then given to the decoder of its type. OPEN,
//! NOTIFICATION and ROUTE-REFRESH are rare and decode to owned values. UPDATE is not: [`UpdateView`] borrows the body,
//! checks every path attribute in one pass and says in its [`Verdict`] what RFC 7606 wants done with the routes.
//! [`AttributeInterner`] then turns the attributes into one shared [`AttributeSet`], and [`UpdatePacker`] is the way back.
//!
//! Everything that differs between address families is in the trait [`Family`].

mod attribute;
mod capability;
mod family_set;
mod header;
mod nlri;
mod notification;
mod open;
mod reader;
mod route_refresh;
mod update;

pub use attribute::as_path::{AsPath, Segment, SegmentKind};
pub use attribute::editor::AttributeEditor;
pub use attribute::error::{AttributeCodes, AttributeError, Defect};
pub use attribute::ext_community::{ExtCommunity, NeighborFlags};
pub use attribute::interner::AttributeInterner;
pub use attribute::next_hop::NextHop;
pub use attribute::pmsi_tunnel::PmsiTunnel;
pub use attribute::set::{Aggregator, AttributeSet, LargeCommunity, LocalAttributes, Protocol};
pub(crate) use attribute::{OPTIONAL, TRANSITIVE};
pub use attribute::{Origin, code, community, is_known_attribute};
pub use capability::{Capability, ExtendedNextHop, GracefulRestart, LongLived};
pub use family_set::FamilySet;
pub(crate) use header::write_update;
pub use header::{
    Frame, HEADER_LEN, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, MessageType, encode_keepalive,
    split_message,
};
pub use nlri::evpn::{Evpn, EvpnKey, EvpnPayload};
pub use nlri::prefix::{Ipv4Unicast, Ipv6Unicast};
pub use nlri::{DecodedRoute, Family, NlriError, Paths, Route, Routes};
pub use notification::{CeaseReason, Notification};
pub use open::{Open, OpenMessage};
pub use reader::Reader;
pub use route_refresh::RouteRefresh;
pub use update::packer::{UpdatePacker, UpdateTooLong};
pub use update::{Announced, MpReach, MpUnreach, UpdateContext, UpdateView, Verdict};

#[cfg(test)]
mod tests;
