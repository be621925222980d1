//! ICMP echo, so that the demo needs no ping program.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Longer than any IPv4 header with options plus our echo.
const BUFFER: usize = 256;
/// Between two requests while waiting for the first reply: the resolution of what is measured.
const EAGER: Duration = Duration::from_millis(1);
/// How long a reply may be under way.
const STRAGGLER: Duration = Duration::from_secs(1);

/// Sends echo requests from the network namespace in which it was made.
#[derive(Debug)]
pub(super) struct Pinger {
    socket: Socket,
    id: u16,
}

/// How many echo requests were sent, and how many were not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) sent: u64,
    pub(super) lost: u64,
}

impl Pinger {
    /// In the network namespace of the calling thread.
    pub(super) fn new() -> io::Result<Self> {
        static NEXT_ID: AtomicU16 = AtomicU16::new(1);
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        Ok(Self { socket, id: NEXT_ID.fetch_add(1, Ordering::Relaxed) })
    }

    /// Asks again and again until the first reply; returns how long that took.
    pub(super) fn first_reply(
        &mut self,
        target: Ipv4Addr,
        within: Duration,
    ) -> io::Result<Option<Duration>> {
        let start = Instant::now();
        self.socket.set_read_timeout(Some(EAGER))?;
        let mut sequence = 0;
        while start.elapsed() < within {
            self.send(target, sequence)?;
            sequence = sequence.wrapping_add(1);
            if self.receive()?.is_some() {
                return Ok(Some(start.elapsed()));
            }
        }
        Ok(None)
    }

    /// Asks every `interval` until `stop`, then waits for stragglers.
    fn count(
        &mut self,
        target: Ipv4Addr,
        interval: Duration,
        stop: &AtomicBool,
    ) -> io::Result<Loss> {
        let mut waiting: HashSet<u16> = HashSet::new();
        let mut sent = 0_u64;
        let mut sequence = 0_u16;
        while !stop.load(Ordering::Relaxed) {
            self.send(target, sequence)?;
            waiting.insert(sequence);
            sent += 1;
            sequence = sequence.wrapping_add(1);
            self.receive_until(Instant::now() + interval, &mut waiting, false)?;
        }
        self.receive_until(Instant::now() + STRAGGLER, &mut waiting, true)?;
        Ok(Loss { sent, lost: waiting.len() as u64 })
    }

    fn receive_until(
        &mut self,
        deadline: Instant,
        waiting: &mut HashSet<u16>,
        stop_early: bool,
    ) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (stop_early && waiting.is_empty()) {
                return Ok(());
            }
            self.socket.set_read_timeout(Some(left))?;
            if let Some(sequence) = self.receive()? {
                waiting.remove(&sequence);
            }
        }
    }

    fn send(&self, target: Ipv4Addr, sequence: u16) -> io::Result<()> {
        let mut echo = [ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 0];
        echo[4..6].copy_from_slice(&self.id.to_be_bytes());
        echo[6..8].copy_from_slice(&sequence.to_be_bytes());
        let sum = checksum(&echo);
        echo[2..4].copy_from_slice(&sum.to_be_bytes());
        match self.socket.send_to(&echo, &SocketAddrV4::new(target, 0).into()) {
            Ok(_) => Ok(()),
            // The kernel reports an unanswered ARP request on the next send: that is a lost packet, not a failure.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The sequence number of a reply to us; `None` when the read timed out or something else came.
    fn receive(&mut self) -> io::Result<Option<u16>> {
        let mut buffer = [0; BUFFER];
        match self.socket.read(&mut buffer) {
            Ok(length) => Ok(self.parse(buffer.get(..length).unwrap_or_default())),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(None),
                io::ErrorKind::HostUnreachable => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// A raw socket gets the IPv4 header too (RFC 791: its length in 32-bit words is in the low nibble).
    fn parse(&self, packet: &[u8]) -> Option<u16> {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let echo: &[u8; 8] = packet.get(header..header + 8)?.first_chunk()?;
        let [kind, _, _, _, id_high, id_low, high, low] = *echo;
        (kind == ECHO_REPLY && u16::from_be_bytes([id_high, id_low]) == self.id)
            .then(|| u16::from_be_bytes([high, low]))
    }
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// A ping that runs beside the story.
#[derive(Debug)]
pub(super) struct Background {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Loss>>,
}

impl Background {
    pub(super) fn start(mut pinger: Pinger, target: Ipv4Addr, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || pinger.count(target, interval, &stop)
        });
        Self { stop, thread }
    }

    pub(super) fn stop(self) -> io::Result<Loss> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the ping thread panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_packet_that_has_its_checksum_is_zero() {
        let mut echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1];
        let sum = checksum(&echo).to_be_bytes();
        echo[2..4].copy_from_slice(&sum);
        assert_eq!(checksum(&echo), 0);
    }
}
