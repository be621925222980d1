//! BGP and EVPN, sans-IO: bytes, events and `now` in; bytes, events and deadlines out.
//!
//! | module | is | knows nothing of |
//! |---|---|---|
//! | [`types`] | identifiers: AS numbers, route distinguishers, route targets | the wire |
//! | [`wire`] | bytes to messages and back, RFC 7606 verdicts | policy, sessions |

#[cfg(feature = "net")]
pub mod net;
mod rib;
mod session;
pub mod speaker;
pub mod types;
pub mod wire;
