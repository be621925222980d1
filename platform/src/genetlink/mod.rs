//! Generic netlink: how `devlink` and `ethtool` talk to the kernel. Formats, and one blocking socket.
//!
//! Ours rather than `netlink-bindings`, which is generated from the kernel's own description: that description lacks what we
//! came for (the children of a devlink resource, the values of a health message), and its accessors of repeated
//! attributes stop at the first attribute of another type, so it reads no version out of `devlink dev info` (0.3.5).

mod attributes;
mod error;
mod request;
mod socket;

pub(crate) use attributes::Attributes;
pub use error::GenetlinkError;
pub(crate) use request::{Request, message};
pub(crate) use socket::Genetlink;

/// Walks the messages of one datagram: type, flags, sequence number, payload. Ends at the first that does not fit.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

/// One message from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) message_type: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let buffer = netlink_packet_core::NetlinkBuffer::new_checked(self.0).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let message = Message {
            message_type: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload: buffer.payload(),
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

impl<'a> Message<'a> {
    /// The command and the attributes behind the generic header of four octets.
    pub(crate) fn command(&self) -> Option<(u8, Attributes<'a>)> {
        let ([command, _version, _, _], rest) = self.payload.split_first_chunk()?;
        Some((*command, Attributes::new(rest)))
    }
}

/// The messages of a capture of `tests/golden/genetlink`, one per line after the line that tells where they come from.
#[cfg(test)]
pub(crate) fn golden(name: &str) -> Vec<Vec<u8>> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/genetlink").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().skip(1).map(|line| line.as_bytes().chunks(2).map(octet).collect()).collect()
}
