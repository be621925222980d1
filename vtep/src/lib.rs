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
//! What is followed now: one VXLAN device per VNI in a bridge without VLAN filtering, EVPN routes of types 2 and 3.

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
