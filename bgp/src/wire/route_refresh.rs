//! ROUTE-REFRESH (RFC 2918), and its begin and end marks (RFC 7313).

use super::header::{MessageType, write_message};
use super::notification::Notification;
use crate::types::AfiSafi;

/// Asks for all routes of a family again, or marks the beginning or end of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Which routes.
    pub family: AfiSafi,
    /// One of the constants below; others are to be ignored (RFC 7313 §5).
    pub subtype: u8,
}

impl RouteRefresh {
    /// Please send all routes again.
    pub const REQUEST: u8 = 0;
    /// All routes follow: what was known before is stale now.
    pub const BEGIN: u8 = 1;
    /// All routes were sent: what is still stale is gone.
    pub const END: u8 = 2;

    /// Reads the body of a ROUTE-REFRESH.
    ///
    /// # Errors
    /// The NOTIFICATION to send when the length is wrong. A request may be longer than four octets: it then carries a
    /// filter (RFC 5291), which we never offer to honour and skip. The marks may not.
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        match body {
            [high, low, subtype, safi, rest @ ..]
                if rest.is_empty() || !matches!(*subtype, Self::BEGIN | Self::END) =>
            {
                let family = AfiSafi { afi: u16::from_be_bytes([*high, *low]), safi: *safi };
                Ok(Self { family, subtype: *subtype })
            }
            _ => {
                let mut message = Vec::new();
                write_message(MessageType::RouteRefresh, &mut message, |out| {
                    out.extend_from_slice(body)
                });
                Err(Notification::bad_route_refresh_length(message))
            }
        }
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let [high, low] = self.family.afi.to_be_bytes();
        write_message(MessageType::RouteRefresh, out, |out| {
            out.extend_from_slice(&[high, low, self.subtype, self.family.safi]);
        });
    }
}
