//! ethtool: what the driver tells of one port.
//!
//! One file per object, each with its type and its formats; [`Ethtool`] is the one that asks. Constants are those of
//! `linux/ethtool_netlink.h`; names of link modes and FEC are the kernel's own, so that modes newer than this code read as
//! well as any. Blocking, like all of `platform`.
//!
//! | object | answers |
//! |---|---|
//! | [`LinkModes`] | at which speed, and which speeds can it, do we offer, does the peer offer? |
//! | [`LinkState`] | is the link up, and if not, why? |
//! | [`Fec`] | which forward error correction is asked for, and which is in use? |
//! | [`EepromPage`] | which octets are in the module's memory? What they mean is not decided here. |
//!
//! Not here: statistics, rings, channels, offload features, pause, wake on LAN.

mod bitset;
mod client;
mod eeprom;
mod fec;
mod link_modes;
mod link_state;
mod report;
#[cfg(test)]
mod tests;

pub use client::Ethtool;
pub use eeprom::EepromPage;
pub use fec::{Fec, FecMode};
pub use link_modes::{Duplex, LinkModes, LinkSettings};
pub use link_state::{DownReason, LinkState};
pub use report::Report;

pub use crate::genetlink::GenetlinkError;
use crate::genetlink::{Attributes, Request};
use crate::kernel::Ifindex;

/// The header has this number in every message of the family.
const HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;

/// Addresses a request to a port.
fn to_port(request: Request, port: Ifindex) -> Request {
    request.nested(HEADER, |header| header.u32(ETHTOOL_A_HEADER_DEV_INDEX, port))
}

/// Which port a message is about.
fn port_of(attributes: Attributes<'_>) -> Option<Ifindex> {
    attributes.nested(HEADER).u32(ETHTOOL_A_HEADER_DEV_INDEX)
}
