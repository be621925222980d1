//! Reads attributes. A length that does not fit ends the walk; a value of another width than asked for is not there.

use netlink_packet_core::NlasIterator;

const HEADER: usize = 4;

/// The attributes of a message, or those nested in one attribute.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Every attribute, in order: its kind without flags, and its value.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        NlasIterator::new(self.0).map_while(Result::ok).filter_map(|attribute| {
            let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
            Some((kind, attribute.into_inner().get(HEADER..length)?))
        })
    }

    pub(crate) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    pub(crate) fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.try_into().map(u8::from_ne_bytes).ok()
    }

    pub(crate) fn u16(self, kind: u16) -> Option<u16> {
        self.get(kind)?.try_into().map(u16::from_ne_bytes).ok()
    }

    pub(crate) fn u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().map(u32::from_ne_bytes).ok()
    }

    pub(crate) fn u64(self, kind: u16) -> Option<u64> {
        self.get(kind)?.try_into().map(u64::from_ne_bytes).ok()
    }

    /// A `u8` that is 0 or not.
    pub(crate) fn truth(self, kind: u16) -> Option<bool> {
        Some(self.u8(kind)? != 0)
    }

    /// Whether an attribute that carries no value is there.
    pub(crate) fn flag(self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    /// Text up to its NUL. What is not UTF-8 in it is replaced.
    pub(crate) fn text(self, kind: u16) -> Option<String> {
        let text = self.get(kind)?.split(|octet| *octet == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// What is nested in the first attribute of this kind; nothing if there is none.
    pub(crate) fn nested(self, kind: u16) -> Self {
        Self(self.get(kind).unwrap_or_default())
    }

    /// What is nested in each attribute of this kind.
    pub(crate) fn all(self, kind: u16) -> impl Iterator<Item = Self> {
        self.iter().filter(move |(found, _)| *found == kind).map(|(_, value)| Self(value))
    }
}
