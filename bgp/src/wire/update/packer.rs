//! Routes into UPDATE messages: as few as fit.

use crate::types::AfiSafi;
use crate::wire::attribute::set::AttributeSet;
use crate::wire::nlri::Family;

/// How UPDATEs to a peer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdatePacker {
    /// The longest message that the peer takes.
    pub max_len: usize,
    /// Whether the peer reads AS numbers of four octets.
    pub four_octet_as: bool,
}

/// Attributes so long that not even one route fits beside them. The routes have to be withdrawn (RFC 8654 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attributes leave no room for a route in a message of {max_len} bytes")]
pub struct UpdateTooLong {
    /// The longest message that the peer takes.
    pub max_len: usize,
}

impl UpdatePacker {
    /// Appends the UPDATEs that announce these routes. IPv4 unicast goes into the classic field, unless its next hop is an
    /// IPv6 address (RFC 8950); other families into MP_REACH_NLRI, which comes first (RFC 7606 §5.1).
    ///
    /// # Errors
    /// The attributes are too long for this peer; nothing was appended.
    pub fn announce<'r, F: Family>(
        &self,
        _attributes: &AttributeSet,
        _routes: impl IntoIterator<Item = (&'r F::Key, &'r F::Payload)>,
        _out: &mut Vec<u8>,
    ) -> Result<(), UpdateTooLong> {
        todo!()
    }

    /// Appends the UPDATEs that withdraw these routes.
    pub fn withdraw<'r, F: Family>(
        &self,
        _keys: impl IntoIterator<Item = &'r F::Key>,
        _out: &mut Vec<u8>,
    ) {
        todo!()
    }

    /// Appends the UPDATE that says: all routes of the family were sent (RFC 4724 §2).
    pub fn end_of_rib(&self, _family: AfiSafi, _out: &mut Vec<u8>) {
        todo!()
    }
}
