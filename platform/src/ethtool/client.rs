//! Asks, and has things done. The only file here that does I/O.

use std::fmt;

use super::{
    EepromPage, Fec, FecMode, GenetlinkError, LinkModes, LinkSettings, LinkState, Request,
};
use crate::genetlink::Genetlink;
use crate::kernel::Ifindex;

/// A socket to ethtool. Sees the links of the network namespace of the thread that opened it. Setting and reading modules
/// need `CAP_NET_ADMIN`.
pub struct Ethtool(Genetlink);

impl Ethtool {
    /// Opens it in the network namespace of this thread.
    pub fn open() -> Result<Self, GenetlinkError> {
        Genetlink::open("ethtool").map(Self)
    }

    /// Speed, duplex, lanes, and what both ends offer.
    pub fn link_modes(&mut self, port: Ifindex) -> Result<LinkModes, GenetlinkError> {
        let attempted = format_args!("read the link modes of link {port}");
        self.0.one(&LinkModes::request(port), &attempted, LinkModes::decode)
    }

    /// Changes what `settings` names.
    pub fn set_link(
        &mut self,
        port: Ifindex,
        settings: &LinkSettings,
    ) -> Result<(), GenetlinkError> {
        self.order(&settings.encode(port), &format_args!("set the link modes of link {port}"))
    }

    /// Whether the link is up, and if not, why.
    pub fn link_state(&mut self, port: Ifindex) -> Result<LinkState, GenetlinkError> {
        let attempted = format_args!("read the state of link {port}");
        self.0.one(&LinkState::request(port), &attempted, |attributes| {
            Some(LinkState::decode(attributes))
        })
    }

    /// Forward error correction.
    pub fn fec(&mut self, port: Ifindex) -> Result<Fec, GenetlinkError> {
        let attempted = format_args!("read the FEC of link {port}");
        self.0.one(&Fec::request(port), &attempted, Fec::decode)
    }

    /// Asks for one of these corrections; with `auto`, leaves the choice to the driver.
    pub fn set_fec(
        &mut self,
        port: Ifindex,
        modes: &[FecMode],
        auto: bool,
    ) -> Result<(), GenetlinkError> {
        self.order(&Fec::encode(port, modes, auto), &format_args!("set the FEC of link {port}"))
    }

    /// Half a page of the module's memory: 128 octets. Takes milliseconds, for the bus to the module is slow.
    pub fn module_eeprom(
        &mut self,
        port: Ifindex,
        page: EepromPage,
    ) -> Result<Vec<u8>, GenetlinkError> {
        let attempted = format_args!("read page {} of the module of link {port}", page.page);
        self.0.one(&page.request(port), &attempted, EepromPage::decode)
    }

    /// Has something done. A reservation is for people: what it leaves undone, reading back shows.
    fn order(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
    ) -> Result<(), GenetlinkError> {
        if let Some(reservation) = self.0.order(request, attempted)? {
            tracing::warn!(%attempted, reservation, "the kernel did it with a reservation");
        }
        Ok(())
    }
}
