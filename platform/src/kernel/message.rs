//! Netlink framing: requests on their way out, messages and acknowledgements on their way in.
//!
//! Reading never trusts a length: what does not fit ends the walk.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable, NlasIterator};
use nix::errno::Errno;
use pnet_base::MacAddr;

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_SETLINK: u16 = 19;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_GETROUTE: u16 = 26;
pub(super) const RTM_NEWNEIGH: u16 = 28;
pub(super) const RTM_DELNEIGH: u16 = 29;
pub(super) const RTM_GETNEIGH: u16 = 30;
pub(super) const RTM_NEWRULE: u16 = 32;
pub(super) const RTM_DELRULE: u16 = 33;
pub(super) const RTM_GETRULE: u16 = 34;
pub(super) const RTM_NEWQDISC: u16 = 36;
pub(super) const RTM_DELQDISC: u16 = 37;
pub(super) const RTM_GETQDISC: u16 = 38;
pub(super) const RTM_NEWTFILTER: u16 = 44;
pub(super) const RTM_DELTFILTER: u16 = 45;
pub(super) const RTM_GETTFILTER: u16 = 46;
pub(super) const RTM_NEWNEXTHOP: u16 = 104;
pub(super) const RTM_DELNEXTHOP: u16 = 105;
pub(super) const RTM_GETNEXTHOP: u16 = 106;
pub(super) const RTM_NEWVLAN: u16 = 112;
pub(super) const RTM_DELVLAN: u16 = 113;

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;

pub(super) const NLM_F_REQUEST: u16 = 0x001;
pub(super) const NLM_F_ACK: u16 = 0x004;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x010;
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_REPLACE: u16 = 0x100;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;

const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

const HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: usize = 4;
const ALIGN: usize = 4;

/// One message to the kernel, less its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) message_type: u16,
    pub(super) flags: u16,
    pub(super) payload: Vec<u8>,
}

impl Request {
    pub(super) fn new(message_type: u16, flags: u16, message: &impl Emitable) -> Self {
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        Self { message_type, flags, payload }
    }

    /// Asks for everything of one type; `family` and zeros make the header that strict checking wants.
    pub(super) fn dump(
        message_type: u16,
        family: u8,
        header_len: usize,
        attributes: &[DefaultNla],
    ) -> Self {
        let mut payload = vec![0; header_len + attributes.buffer_len()];
        if let Some(rest) = payload.get_mut(header_len..) {
            attributes.emit(rest);
        }
        if let Some(first) = payload.first_mut() {
            *first = family;
        }
        Self { message_type, flags: NLM_F_DUMP, payload }
    }

    pub(super) fn len(&self) -> usize {
        HEADER_LEN + self.payload.len().next_multiple_of(ALIGN)
    }

    /// Appends the message, as the kernel reads it.
    pub(super) fn write(&self, flags: u16, sequence: u32, out: &mut Vec<u8>) {
        let length = u32::try_from(HEADER_LEN + self.payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&self.message_type.to_ne_bytes());
        out.extend_from_slice(&(self.flags | NLM_F_REQUEST | flags).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0_u32.to_ne_bytes());
        out.extend_from_slice(&self.payload);
        out.resize(out.len().next_multiple_of(ALIGN), 0);
    }
}

/// One message from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) message_type: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// Walks the messages of one datagram.
pub(super) struct Replies<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Replies<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        let header = self.0.first_chunk::<HEADER_LEN>()?;
        let [l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let payload = self.0.get(HEADER_LEN..length)?;
        self.0 = self.0.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(Reply {
            message_type: u16::from_ne_bytes([t0, t1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

/// The kernel's answer to one request.
pub(super) type Acknowledgement = Result<(), (Errno, Option<String>)>;

impl Reply<'_> {
    /// Reads an `NLMSG_ERROR`, which is also what says that all is well, or the end of a dump.
    pub(super) fn acknowledgement(&self) -> Acknowledgement {
        let Some((code, rest)) = self.payload.split_first_chunk::<4>() else { return Ok(()) };
        match i32::from_ne_bytes(*code) {
            0 => Ok(()),
            code => Err((Errno::from_raw(code.wrapping_neg()), self.reason(rest))),
        }
    }

    /// The text of the extended acknowledgement. It stands behind the header of the request, which itself stands there in
    /// full or without its payload.
    fn reason(&self, after_code: &[u8]) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let offset = match (self.message_type, self.flags & NLM_F_CAPPED) {
            (NLMSG_DONE, _) => 0,
            (_, 0) => {
                let length = u32::from_ne_bytes(*after_code.first_chunk::<4>()?);
                usize::try_from(length).ok()?.next_multiple_of(ALIGN)
            }
            _ => HEADER_LEN,
        };
        let text =
            attributes(after_code.get(offset..)?).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?.1;
        let text = String::from_utf8_lossy(text);
        Some(text.trim_end_matches('\0').to_owned())
    }
}

/// Walks attributes; ends at the first that does not fit.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).filter_map(|attribute| {
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Some((kind, attribute.into_inner().get(ATTRIBUTE_HEADER_LEN..length)?))
    })
}

/// The bytes of an address, whose length tells its family.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(super) fn mac(bytes: &[u8]) -> Option<MacAddr> {
    <[u8; 6]>::try_from(bytes).ok().map(MacAddr::from)
}

pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    <[u8; 4]>::try_from(bytes).ok().map(u32::from_ne_bytes)
}
