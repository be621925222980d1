//! Bidirectional Forwarding Detection, sans-IO: does the path to a neighbour still carry packets? (RFC 5880)
//!
//! Asynchronous mode only: both sides send small packets at the pace they agreed on, and who hears nothing for a few
//! intervals says so. [`Sessions`] holds all of them behind `handle_*` and `poll_*`; [`crate::net::bfd`] has the sockets
//! and the clock. What BGP makes of it is [`crate::speaker::Speaker::handle_bfd`].
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 5880 §6.8 | state machine, timers, jitter, Poll and Final, demultiplexing, AdminDown | yes |
//! | 5880 §6.6 | demand mode: the peer's is honoured, we never ask for it | partly |
//! | 5880 §6.7 | authentication: a packet that carries it is dropped | no |
//! | 5880 §6.4 | echo: we say that we return none | no |
//! | 5881 | single hop: port 3784, hop limit 255 out and in | yes |
//! | 5883 | multihop: port 4784 | yes |

mod packet;
mod session;
mod sessions;

pub use packet::{ControlPacket, Diagnostic, PACKET_LEN, PacketError, SessionState};
pub use session::{Discard, Intervals};
pub use sessions::{Arrival, Change, Peer, SessionView, Sessions};
