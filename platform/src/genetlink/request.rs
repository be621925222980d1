//! Writes requests.

pub(super) const NLM_F_REQUEST: u16 = 0x001;
pub(super) const NLM_F_ACK: u16 = 0x004;
pub(super) const NLM_F_DUMP: u16 = 0x300;

const NLA_F_NESTED: u16 = 0x8000;
/// Of every family that we speak.
const VERSION: u8 = 1;
const ALIGN: usize = 4;

/// One request to a family, less what the socket adds: the family's number and the sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    command: u8,
    dump: bool,
    attributes: Vec<u8>,
}

impl Request {
    /// Asks for one thing, or to do it.
    pub(crate) const fn new(command: u8) -> Self {
        Self { command, dump: false, attributes: Vec::new() }
    }

    /// Asks for everything of a kind.
    pub(crate) const fn dump(command: u8) -> Self {
        Self { command, dump: true, attributes: Vec::new() }
    }

    pub(crate) const fn is_dump(&self) -> bool {
        self.dump
    }

    pub(crate) fn u8(self, kind: u16, value: u8) -> Self {
        self.octets(kind, &[value])
    }

    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.octets(kind, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, kind: u16, value: u64) -> Self {
        self.octets(kind, &value.to_ne_bytes())
    }

    pub(crate) fn flag(self, kind: u16) -> Self {
        self.octets(kind, &[])
    }

    /// Text with the NUL that the kernel wants behind it. What stands behind a NUL of its own is cut off.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let mut octets: Vec<u8> = text.bytes().take_while(|octet| *octet != 0).collect();
        octets.push(0);
        self.octets(kind, &octets)
    }

    /// Nests what `fill` adds.
    pub(crate) fn nested(self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let inner = fill(Self { attributes: Vec::new(), ..self });
        self.octets(kind | NLA_F_NESTED, &inner.attributes)
    }

    pub(crate) fn octets(mut self, kind: u16, value: &[u8]) -> Self {
        // The longest we write are a few names: this only keeps a length from wrapping.
        let value = value.get(..usize::from(u16::MAX) - ALIGN).unwrap_or(value);
        let length = u16::try_from(value.len() + ALIGN).unwrap_or(u16::MAX);
        self.attributes.extend_from_slice(&length.to_ne_bytes());
        self.attributes.extend_from_slice(&kind.to_ne_bytes());
        self.attributes.extend_from_slice(value);
        self.attributes.resize(self.attributes.len().next_multiple_of(ALIGN), 0);
        self
    }
}

/// The whole message, as the kernel reads it.
pub(crate) fn message(request: &Request, family: u16, sequence: u32) -> Vec<u8> {
    let how = if request.dump { NLM_F_DUMP } else { NLM_F_ACK };
    let length = 16 + 4 + request.attributes.len();
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend_from_slice(&family.to_ne_bytes());
    out.extend_from_slice(&(NLM_F_REQUEST | how).to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&0_u32.to_ne_bytes());
    out.extend_from_slice(&[request.command, VERSION, 0, 0]);
    out.extend_from_slice(&request.attributes);
    out
}
