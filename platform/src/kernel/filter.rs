//! Traffic control filters: access lists, mirrors, policers (`tc filter`), as far as it takes to say whether the hardware
//! has them.
//!
//! What a filter matches and does is not modelled: operators and controllers write it with `tc`. So a filter can be read and
//! deleted here, not made; the kernel refuses a create, because it has no options.
//!
//! Found by trying (Linux 6.1): the announcement of a new `matchall` leaves out its handle and its flags. There is one to a
//! priority, so it is known here without its handle; what became of it in hardware, only reading it again tells.

use std::fmt;

use netlink_packet_core::{DefaultNla, Emitable};

use super::message::{
    self, NLM_F_CREATE, NLM_F_EXCL, RTM_DELTFILTER, RTM_GETQDISC, RTM_GETTFILTER, RTM_NEWTFILTER,
    Request,
};
use super::{Ifindex, Key, Verdict};

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Which one.
    pub id: FilterId,
    /// Its classifier: `flower`, `matchall`, `u32`, `bpf`.
    pub kind: FilterKind,
    /// Whether the hardware took it. `None`: the kernel did not say; read it again.
    pub hardware: Option<FilterHardware>,
}

/// The identity of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId {
    /// Where it hangs.
    pub place: FilterPlace,
    /// In which chain.
    pub chain: u32,
    /// The lowest is tried first (`pref`).
    pub priority: u16,
    /// For packets of which protocol (`ETH_P_*`).
    pub protocol: u16,
    /// Its number among those of one place, chain and priority; 0 for `matchall`, of which there is one.
    pub handle: u32,
}

/// Where a filter hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilterPlace {
    /// On packets that come in on a link.
    Ingress(Ifindex),
    /// On packets that go out on a link.
    Egress(Ifindex),
    /// On a block that several links share, by its number.
    Block(u32),
}

/// The classifier of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterKind {
    /// Matches fields of the packet.
    Flower,
    /// Matches every packet.
    Matchall,
    /// Matches words of the packet.
    U32,
    /// A program.
    Bpf,
    /// Another, by the kernel's name.
    Other(String),
}

/// What the kernel says of a filter and the hardware (`TCA_CLS_FLAGS_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilterHardware {
    /// It is in hardware (`in_hw`).
    pub in_hardware: bool,
    /// It was not wanted in hardware (`skip_hw`).
    pub skip_hardware: bool,
    /// It was wanted in hardware only (`skip_sw`).
    pub skip_software: bool,
    /// In so many devices of a shared block; `None` where the classifier does not count.
    pub devices: Option<u32>,
}

impl Filter {
    /// Its identity.
    pub fn key(&self) -> Key {
        Key::Filter(self.id)
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        self.id.place.link().map(Key::Link).into_iter().collect()
    }

    /// Never: the kernel keeps no mark with a filter.
    pub fn is_ours(&self) -> bool {
        false
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self.id == held.id && self.kind == held.kind
    }

    /// Whether the hardware took it.
    pub fn verdict(&self) -> Verdict {
        match self.hardware {
            None => Verdict::Pending,
            Some(FilterHardware { in_hardware: true, .. }) => Verdict::InHardware,
            Some(_) => Verdict::Software,
        }
    }

    /// Whether this is no filter but a priority with all of its filters: dumps begin each with it, and it is what goes away
    /// when a priority is deleted.
    pub(super) fn is_priority(&self) -> bool {
        self.id.handle == 0 && self.kind != FilterKind::Matchall
    }

    pub(super) fn encode_create(&self) -> Request {
        Request::new(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &self.message())
    }

    pub(super) fn encode_delete(&self) -> Request {
        Request::new(RTM_DELTFILTER, 0, &self.message())
    }

    fn message(&self) -> Message {
        Message {
            header: Header {
                info: u32::from(self.id.priority) << 16 | u32::from(self.id.protocol.to_be()),
                handle: self.id.handle,
                ..Header::of(self.id.place)
            },
            attributes: vec![
                DefaultNla::new(TCA_KIND, format!("{}\0", self.kind).into_bytes()),
                DefaultNla::new(TCA_CHAIN, self.id.chain.to_ne_bytes().to_vec()),
            ],
        }
    }

    /// Asks where filters can hang at all.
    pub(super) fn dump_places() -> Request {
        Request::dump(RTM_GETQDISC, 0, TCMSG_LEN, &[])
    }

    /// Asks for the filters of one place.
    pub(super) fn dump_of(place: FilterPlace) -> Request {
        let message = Message { header: Header::of(place), attributes: Vec::new() };
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        Request { payload, ..Request::dump(RTM_GETTFILTER, 0, TCMSG_LEN, &[]) }
    }

    /// `None`: it hangs in a queueing discipline, where it sorts packets into classes.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (header, rest) = Header::decode(payload)?;
        let mut filter = Self {
            id: FilterId {
                place: header.place()?,
                chain: 0,
                priority: u16::try_from(header.info >> 16).ok()?,
                protocol: u16::from_be(u16::try_from(header.info & 0xffff).ok()?),
                handle: header.handle,
            },
            kind: FilterKind::Other(String::new()),
            hardware: None,
        };
        let mut options = None;
        for (kind, value) in message::attributes(rest) {
            match kind {
                TCA_KIND => filter.kind = FilterKind::named(value),
                TCA_CHAIN => filter.id.chain = message::number(value)?,
                TCA_OPTIONS => options = Some(value),
                _ => {}
            }
        }
        if filter.kind == FilterKind::Matchall {
            filter.id.handle = 0;
        }
        filter.hardware = options.map(|options| filter.kind.read_hardware(options));
        Some(filter)
    }

    /// Reads a queueing discipline: the places for filters that it offers on a link, or takes along when it goes away. A
    /// shared block is a place of several links. `None`: one that offers none.
    pub(super) fn decode_places(payload: &[u8]) -> Option<(Ifindex, Vec<FilterPlace>)> {
        let (header, rest) = Header::decode(payload)?;
        if header.parent != TC_H_INGRESS {
            return None;
        }
        let link = header.ifindex;
        let (mut ingress, mut egress) = (FilterPlace::Ingress(link), None);
        for (kind, value) in message::attributes(rest) {
            match (kind, message::number(value)) {
                (TCA_KIND, _) if value.starts_with(b"clsact") => {
                    egress = egress.or(Some(FilterPlace::Egress(link)))
                }
                (TCA_INGRESS_BLOCK, Some(block)) => ingress = FilterPlace::Block(block),
                (TCA_EGRESS_BLOCK, Some(block)) => egress = Some(FilterPlace::Block(block)),
                _ => {}
            }
        }
        Some((link, std::iter::once(ingress).chain(egress).collect()))
    }
}

impl FilterPlace {
    /// The link, if it is one.
    pub fn link(self) -> Option<Ifindex> {
        match self {
            Self::Ingress(link) | Self::Egress(link) => Some(link),
            Self::Block(_) => None,
        }
    }
}

impl fmt::Display for FilterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress(link) => write!(f, "dev {link} ingress"),
            Self::Egress(link) => write!(f, "dev {link} egress"),
            Self::Block(block) => write!(f, "block {block}"),
        }
    }
}

impl FilterKind {
    fn named(value: &[u8]) -> Self {
        match value.strip_suffix(b"\0").unwrap_or(value) {
            b"flower" => Self::Flower,
            b"matchall" => Self::Matchall,
            b"u32" => Self::U32,
            b"bpf" => Self::Bpf,
            other => Self::Other(String::from_utf8_lossy(other).into_owned()),
        }
    }

    fn read_hardware(&self, options: &[u8]) -> FilterHardware {
        let mut hardware = FilterHardware::default();
        let Some((flags_kind, count_kind)) = self.attributes() else { return hardware };
        for (kind, value) in message::attributes(options) {
            if kind == flags_kind {
                hardware.take_flags(message::number(value).unwrap_or_default());
            } else if Some(kind) == count_kind {
                hardware.devices = message::number(value);
            }
        }
        hardware
    }

    /// The options of each classifier are numbered by itself: where its flags are, and how many devices have it.
    fn attributes(&self) -> Option<(u16, Option<u16>)> {
        Some(match self {
            Self::Flower => (TCA_FLOWER_FLAGS, Some(TCA_FLOWER_IN_HW_COUNT)),
            Self::Matchall => (TCA_MATCHALL_FLAGS, None),
            Self::U32 => (TCA_U32_FLAGS, None),
            Self::Bpf => (TCA_BPF_FLAGS_GEN, None),
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for FilterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flower => "flower",
            Self::Matchall => "matchall",
            Self::U32 => "u32",
            Self::Bpf => "bpf",
            Self::Other(name) => name,
        })
    }
}

impl FilterHardware {
    fn take_flags(&mut self, flags: u32) {
        self.skip_hardware = flags & TCA_CLS_FLAGS_SKIP_HW != 0;
        self.skip_software = flags & TCA_CLS_FLAGS_SKIP_SW != 0;
        self.in_hardware = flags & TCA_CLS_FLAGS_IN_HW != 0;
    }
}

/// `struct tcmsg`.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    ifindex: u32,
    handle: u32,
    parent: u32,
    info: u32,
}

impl Header {
    fn of(place: FilterPlace) -> Self {
        let (ifindex, parent) = match place {
            FilterPlace::Ingress(link) => (link, PARENT_INGRESS),
            FilterPlace::Egress(link) => (link, PARENT_EGRESS),
            FilterPlace::Block(block) => (TCM_IFINDEX_MAGIC_BLOCK, block),
        };
        Self { ifindex, parent, ..Self::default() }
    }

    fn place(&self) -> Option<FilterPlace> {
        Some(match (self.ifindex, self.parent) {
            (TCM_IFINDEX_MAGIC_BLOCK, block) => FilterPlace::Block(block),
            // With the older `ingress` discipline, the parent is the discipline itself.
            (link, PARENT_INGRESS | HANDLE_INGRESS) => FilterPlace::Ingress(link),
            (link, PARENT_EGRESS) => FilterPlace::Egress(link),
            _ => return None,
        })
    }

    fn decode(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = payload.split_first_chunk::<TCMSG_LEN>()?;
        let word = |at: usize| message::number(header.get(at..at + 4)?);
        Some((
            Self { ifindex: word(4)?, handle: word(8)?, parent: word(12)?, info: word(16)? },
            rest,
        ))
    }
}

struct Message {
    header: Header,
    attributes: Vec<DefaultNla>,
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        TCMSG_LEN + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let Some((header, rest)) = buffer.split_first_chunk_mut::<TCMSG_LEN>() else { return };
        let Header { ifindex, handle, parent, info } = self.header;
        for (word, value) in header.chunks_mut(4).zip([0, ifindex, handle, parent, info]) {
            word.copy_from_slice(&value.to_ne_bytes());
        }
        self.attributes.as_slice().emit(rest);
    }
}

const TCMSG_LEN: usize = 20;
const TCM_IFINDEX_MAGIC_BLOCK: u32 = 0xffff_ffff;
/// Also `TC_H_CLSACT`: where both disciplines sit.
const TC_H_INGRESS: u32 = 0xffff_fff1;
const PARENT_INGRESS: u32 = 0xffff_fff2;
const PARENT_EGRESS: u32 = 0xffff_fff3;
const HANDLE_INGRESS: u32 = 0xffff_0000;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
const TCA_INGRESS_BLOCK: u16 = 13;
const TCA_EGRESS_BLOCK: u16 = 14;

const TCA_FLOWER_FLAGS: u16 = 22;
const TCA_FLOWER_IN_HW_COUNT: u16 = 86;
const TCA_MATCHALL_FLAGS: u16 = 3;
const TCA_U32_FLAGS: u16 = 11;
const TCA_BPF_FLAGS_GEN: u16 = 9;

const TCA_CLS_FLAGS_SKIP_HW: u32 = 1;
const TCA_CLS_FLAGS_SKIP_SW: u32 = 2;
const TCA_CLS_FLAGS_IN_HW: u32 = 4;
