//! The gateway's brain: kernel facts and EVPN routes in, kernel entries and EVPN routes to originate out. Pure: no I/O,
//! no clock.
//!
//! | module | is | knows nothing of |
//! |---|---|---|
//! | `facts` | what the kernel says, ready to be looked up | EVPN |
//! | `remote` | what received routes say, by VNI | the kernel |
//! | `domain` | bridge domains, found from links | MACs |
//! | `merge` | who has a MAC or an address; the one place that gives sequence numbers | tables |
//! | `settle` | from facts to what follows, one function per key | formats |
//! | `objects`, `originate` | what follows, as kernel entries and as routes | how it came about |
//! | `views`, `problem` | what there is to show and to mend | |
//!
//! | standard | | proven by |
//! |---|---|---|
//! | RFC 7432 §7.2, §9, §11: types 2 and 3 | yes | `tests::local`, `tests::remote` |
//! | RFC 7432 §7.7, §15: MAC mobility, sticky MACs | yes; no duplicate detection (§15.1), which needs a clock | `tests::mobility` |
//! | RFC 7432 §8, §14: multihoming | no; routes of a segment are used by their next hop | |
//! | RFC 8365 §5: VXLAN, VNI as label, ingress replication | one VNI for a domain; no downstream-assigned VNIs | `tests::remote` |
//! | RFC 9047: router flag | yes | `tests::local`, `tests::remote` |
//! | RFC 9135, RFC 9136: routing between VNIs | no | |
//!
//! A domain is a bridge without VLANs, or one VLAN of a bridge, that a VXLAN device carries as a VNI. A VXLAN device stands
//! for one VNI, or for many (`external`), and then its port says which VLAN is which VNI.

mod domain;
mod facts;
mod gateway;
mod merge;
mod objects;
mod originate;
mod problem;
mod remote;
mod settle;
mod views;

#[cfg(test)]
mod tests;

pub use gateway::{Gateway, GatewayConfig};
pub use problem::Problem;
pub use remote::Unused;
pub use views::{Device, DomainView, MacView, NeighborView, PlaceView, UnusedRoute};
