//! The socket: one request at a time. Blocking: meant for a thread of its own.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_GENERIC;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Attributes, GenetlinkError, Message, Messages, Request, message};

/// A netlink datagram is 32 KiB at most.
const DATAGRAM: usize = 65536;
/// The kernel answers before a send returns, however long the driver takes; this only keeps a bug from blocking for good.
const PATIENCE_SECONDS: i64 = 30;
const DUMP_ATTEMPTS: u32 = 5;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x010;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
const HEADER: usize = 16;

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;

/// A socket that speaks to one family, in the network namespace of the thread that opened it.
pub(crate) struct Genetlink {
    socket: netlink_sys::Socket,
    family: Family,
    sequence: u32,
    buffer: Vec<u8>,
}

/// How the kernel said yes.
struct Answer {
    /// Nothing changed under the dump.
    settled: bool,
    /// What it remarked.
    reservation: Option<String>,
}

/// What the kernel calls a family.
struct Family {
    id: u16,
    groups: Vec<(String, u32)>,
}

impl Genetlink {
    pub(crate) fn open(name: &'static str) -> Result<Self, GenetlinkError> {
        let mut socket =
            netlink_sys::Socket::new(NETLINK_GENERIC).map_err(|error| io_error("open", &error))?;
        socket.bind_auto().map_err(|error| io_error("bind", &error))?;
        for option in [socket.set_cap_ack(true), socket.set_ext_ack(true)] {
            option.map_err(|error| io_error("set option", &error))?;
        }
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))
            .map_err(|errno| GenetlinkError::Io { operation: "set timeout", errno })?;
        let control = Family { id: GENL_ID_CTRL, groups: Vec::new() };
        let buffer = Vec::with_capacity(DATAGRAM);
        let mut opened = Self { socket, family: control, sequence: 0, buffer };
        let request = Request::new(CTRL_CMD_GETFAMILY).text(CTRL_ATTR_FAMILY_NAME, name);
        opened.family = opened
            .one(&request, &format_args!("find the family '{name}'"), Family::decode)
            .map_err(|error| match error.errno() {
                Some(Errno::ENOENT) => GenetlinkError::NoFamily(name),
                _ => error,
            })?;
        Ok(opened)
    }

    /// Asks for one thing.
    pub(crate) fn one<T>(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
        decode: impl Fn(Attributes<'_>) -> Option<T>,
    ) -> Result<T, GenetlinkError> {
        let mut found = None;
        self.exchange(request, attempted, &mut |attributes| {
            found = found.take().or_else(|| decode(attributes));
        })?;
        found.ok_or_else(|| GenetlinkError::Unreadable { attempted: attempted.to_string() })
    }

    /// Asks for all of a kind; `decode` gives nothing for what is not asked for. What changes under the dump makes it start
    /// over.
    pub(crate) fn all<T>(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
        decode: impl Fn(Attributes<'_>) -> Option<T>,
    ) -> Result<Vec<T>, GenetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            if self
                .exchange(request, attempted, &mut |attributes| {
                    found.extend(decode(attributes));
                })?
                .settled
            {
                return Ok(found);
            }
        }
        let attempted = attempted.to_string();
        Err(GenetlinkError::Unsettled { attempted, attempts: DUMP_ATTEMPTS })
    }

    /// Has something done. The kernel may say yes with a reservation, which is what is returned.
    pub(crate) fn order(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
    ) -> Result<Option<String>, GenetlinkError> {
        Ok(self.exchange(request, attempted, &mut |_| {})?.reservation)
    }

    /// Joins a multicast group of the family.
    pub(crate) fn join(&mut self, group: &'static str) -> Result<(), GenetlinkError> {
        let attempted = || format!("listen to the group '{group}'");
        let (_, id) =
            self.family.groups.iter().find(|(name, _)| name == group).ok_or_else(|| {
                GenetlinkError::NotFound { attempted: attempted(), what: "multicast group" }
            })?;
        self.socket.add_membership(*id).map_err(|error| io_error("join group", &error))
    }

    /// The notifications of one datagram, if one is there.
    pub(crate) fn notifications(
        &mut self,
        mut each: impl FnMut(u8, Attributes<'_>),
    ) -> Result<bool, GenetlinkError> {
        match self.receive(nix::sys::socket::MsgFlags::MSG_DONTWAIT.bits()) {
            Err(GenetlinkError::Io { errno: Errno::EAGAIN, .. }) => return Ok(false),
            received => received?,
        }
        let family = self.family.id;
        Messages(&self.buffer)
            .filter(|message| message.message_type == family)
            .filter_map(|message| message.command())
            .for_each(|(command, attributes)| each(command, attributes));
        Ok(true)
    }

    /// Sends a request and hands on what comes, until the kernel has answered.
    fn exchange(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
        each: &mut dyn FnMut(Attributes<'_>),
    ) -> Result<Answer, GenetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&message(request, self.family.id, self.sequence))?;
        let mut settled = true;
        loop {
            self.receive(0)?;
            let ours = Messages(&self.buffer).filter(|reply| reply.sequence == self.sequence);
            for reply in ours {
                settled &= reply.flags & NLM_F_DUMP_INTR == 0;
                match reply.message_type {
                    // Answers of several parts end with it too, and the acknowledgement follows.
                    NLMSG_DONE if !request.is_dump() => {}
                    NLMSG_DONE | NLMSG_ERROR => {
                        return match acknowledgement(&reply) {
                            Ok(reservation) => Ok(Answer { settled, reservation }),
                            Err((errno, reason)) => Err(GenetlinkError::Refused {
                                attempted: attempted.to_string(),
                                errno,
                                reason,
                            }),
                        };
                    }
                    _ => {
                        if let Some((_, attributes)) = reply.command() {
                            each(attributes);
                        }
                    }
                }
            }
        }
    }

    fn send(&self, message: &[u8]) -> Result<(), GenetlinkError> {
        loop {
            match self.socket.send(message, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("send", &error)),
            }
        }
    }

    /// Receives one datagram into the buffer.
    fn receive(&mut self, flags: i32) -> Result<(), GenetlinkError> {
        self.buffer.clear();
        loop {
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(match io_error("receive", &error) {
                        GenetlinkError::Io { errno: Errno::ENOBUFS, .. } => GenetlinkError::Overrun,
                        error => error,
                    });
                }
            }
        }
    }
}

impl AsFd for Genetlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Family {
    fn decode(attributes: Attributes<'_>) -> Option<Self> {
        let id = attributes.u16(CTRL_ATTR_FAMILY_ID)?;
        let group = |(_, group)| {
            let group = Attributes::new(group);
            Some((group.text(CTRL_ATTR_MCAST_GRP_NAME)?, group.u32(CTRL_ATTR_MCAST_GRP_ID)?))
        };
        let groups = attributes.nested(CTRL_ATTR_MCAST_GROUPS).iter().filter_map(group).collect();
        Some(Self { id, groups })
    }
}

/// Reads an `NLMSG_ERROR`, which is also what says that all is well, or the end of a dump.
fn acknowledgement(reply: &Message<'_>) -> Result<Option<String>, (Errno, Option<String>)> {
    let Some((code, rest)) = reply.payload.split_first_chunk::<4>() else { return Ok(None) };
    match i32::from_ne_bytes(*code) {
        0 => Ok(reason(reply, rest)),
        code => Err((Errno::from_raw(code.wrapping_neg()), reason(reply, rest))),
    }
}

/// The text of the extended acknowledgement. It stands behind the header of the request, which itself stands there in full
/// or without its payload.
fn reason(reply: &Message<'_>, after_code: &[u8]) -> Option<String> {
    if reply.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let offset = match (reply.message_type, reply.flags & NLM_F_CAPPED) {
        (NLMSG_DONE, _) => 0,
        (_, 0) => {
            let length = u32::from_ne_bytes(*after_code.first_chunk::<4>()?);
            usize::try_from(length).ok()?.next_multiple_of(4)
        }
        _ => HEADER,
    };
    Attributes::new(after_code.get(offset..)?).text(NLMSGERR_ATTR_MSG)
}

fn io_error(operation: &'static str, error: &io::Error) -> GenetlinkError {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    GenetlinkError::Io { operation, errno }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genetlink::golden;

    /// How the kernel answered, by a capture.
    fn answer(name: &str) -> Result<Option<String>, (Errno, Option<String>)> {
        let message = golden(name).pop().unwrap();
        acknowledgement(&Messages(&message).next().unwrap())
    }

    #[test]
    fn a_refusal_keeps_the_words_of_the_driver() {
        let words = "mlxsw_spectrum: Policer burst size is not power of two".to_owned();
        assert_eq!(
            answer("spectrum.set_policer_refused.refusal"),
            Err((Errno::EINVAL, Some(words)))
        );
    }

    #[test]
    fn a_refusal_without_words_has_its_number() {
        assert_eq!(answer("spectrum.fec.refusal"), Err((Errno::EOPNOTSUPP, None)));
    }

    #[test]
    fn a_yes_with_a_reservation_is_not_taken_for_a_plain_yes() {
        let words = "leftover: Cannot change action of non-drop traps. Skipping".to_owned();
        assert_eq!(answer("spectrum.set_trap_refused.refusal"), Ok(Some(words)));
    }

    #[test]
    fn an_acknowledgement_that_is_cut_off_anywhere_does_not_panic() {
        let whole = golden("spectrum.set_policer_refused.refusal").pop().unwrap();
        for length in 16..whole.len() {
            let mut cut = whole[..length].to_vec();
            cut[..4].copy_from_slice(&u32::try_from(length).unwrap().to_ne_bytes());
            Messages(&cut).for_each(|message| drop(acknowledgement(&message)));
        }
    }
}
