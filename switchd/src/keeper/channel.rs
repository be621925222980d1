//! One packet, at most one descriptor: sendmsg and recvmsg on a unix SEQPACKET socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};

use super::KeeperError;
use super::protocol::MAX_MESSAGE;

/// What one recvmsg brought.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// Sends one packet, whole or not at all.
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let flags = flags | SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| {
        sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, flags)
    })?;
    Ok(())
}

/// Receives one packet. None: the other end is gone.
///
/// A packet longer than any message comes cut to one byte more than the longest, which no decoder accepts.
pub(crate) fn receive(socket: impl AsFd, flags: RecvFlags) -> Result<Option<Packet>, Errno> {
    let mut bytes = vec![0; MAX_MESSAGE + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    })?;
    let descriptor = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .next();
    // A connected SEQPACKET socket gives zero bytes at its end; our messages are never empty.
    if received.bytes == 0 && descriptor.is_none() {
        return Ok(None);
    }
    if !received.flags.contains(ReturnFlags::TRUNC) {
        bytes.truncate(received.bytes);
    }
    Ok(Some(Packet { bytes, descriptor }))
}

/// Only processes of the same user may hand over or take sockets.
pub(crate) fn refuse_strangers(socket: impl AsFd) -> Result<(), KeeperError> {
    let peer =
        sockopt::socket_peercred(socket).map_err(|error| KeeperError::System(error.into()))?;
    if peer.uid == rustix::process::geteuid() {
        Ok(())
    } else {
        Err(KeeperError::Stranger(peer.uid.as_raw()))
    }
}
