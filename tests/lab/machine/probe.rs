//! A cable whose far end is the test itself: it sends frames byte by byte and sees what really leaves a port, tags
//! included.

use std::{
    fmt,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use crate::{LabError, Result, ensure};

/// The test's end of a cable.
#[derive(Debug)]
pub struct Probe {
    name: String,
    socket: UnixDatagram,
    /// Where QEMU listens.
    port: String,
}

/// An Ethernet frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Probe {
    pub(super) fn bind(name: String, own: &str, port: String) -> Result<Self> {
        Ok(Self { name, socket: UnixDatagram::bind(own)?, port })
    }

    /// Sends a frame into the port.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn send(&self, frame: &Frame) -> Result {
        self.socket.send_to(&frame.bytes, &self.port)?;
        Ok(())
    }

    /// Waits for a frame that `wanted` accepts; others are passed over.
    ///
    /// # Errors
    /// None came in time.
    pub fn expect(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Result<Frame> {
        let deadline = Instant::now() + timeout;
        let mut others = Vec::new();
        while let Some(frame) = self.receive(deadline)? {
            if wanted(&frame) {
                return Ok(frame);
            }
            others.push(frame);
        }
        Err(LabError::Unexpected(format!(
            "no {what} left {} within {timeout:?}, only {others:?}",
            self.name
        )))
    }

    /// Wants no frame that `unwanted` accepts for a while. To be used after something that must arrive has arrived
    /// elsewhere, so that the while can be short.
    ///
    /// # Errors
    /// One came.
    pub fn never(&self, what: &str, unwanted: impl Fn(&Frame) -> bool) -> Result {
        let deadline = Instant::now() + Duration::from_millis(500);
        while let Some(frame) = self.receive(deadline)? {
            ensure!(!unwanted(&frame), "{what} left {}: {frame:?}", self.name);
        }
        Ok(())
    }

    fn receive(&self, deadline: Instant) -> Result<Option<Frame>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut bytes = vec![0; 10_000];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(Frame { bytes }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Frame {
    /// A frame with an EtherType for experiments (IEEE 802 local experimental 1) and this text in it.
    ///
    /// # Panics
    /// The addresses are not written as `02:00:00:00:00:01`.
    pub fn text(destination: &str, source: &str, vlan: Option<u16>, text: &str) -> Self {
        Self::new(destination, source, vlan, &[0x88, 0xb5], text.as_bytes())
    }

    /// Any frame: `kind` is the EtherType, or the length of an LLC frame.
    ///
    /// # Panics
    /// The addresses are not written as `02:00:00:00:00:01`.
    pub fn new(
        destination: &str,
        source: &str,
        vlan: Option<u16>,
        kind: &[u8; 2],
        payload: &[u8],
    ) -> Self {
        let mut bytes = [mac(destination), mac(source)].concat();
        if let Some(vlan) = vlan {
            bytes.extend([0x81, 0]);
            bytes.extend(vlan.to_be_bytes());
        }
        bytes.extend(kind);
        bytes.extend(payload);
        // The shortest frame on a real cable.
        let length = bytes.len().max(60);
        bytes.resize(length, 0);
        Self { bytes }
    }

    /// Whether the text is in it.
    pub fn says(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Whether it goes to this address.
    ///
    /// # Panics
    /// The address is not written as `02:00:00:00:00:01`.
    pub fn is_to(&self, destination: &str) -> bool {
        self.bytes.starts_with(&mac(destination))
    }

    /// The VLAN in its tag.
    pub fn vlan(&self) -> Option<u16> {
        match self.bytes.get(12..16)? {
            [0x81, 0, high, low] => Some(u16::from_be_bytes([high & 0xf, *low])),
            _ => None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes.iter().take(64).enumerate() {
            let gap = if matches!(index, 6 | 12 | 14 | 16 | 18) { " " } else { "" };
            write!(f, "{gap}{byte:02x}")?;
        }
        write!(f, " ({} bytes)", self.bytes.len())
    }
}

#[expect(clippy::expect_used, reason = "a test's own constant")]
fn mac(text: &str) -> Vec<u8> {
    text.split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("a MAC like 02:00:00:00:00:01"))
        .collect()
}
