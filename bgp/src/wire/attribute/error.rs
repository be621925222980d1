//! What can be wrong with an attribute, in a form that says which one and how.

use std::fmt;

use super::code;
use crate::wire::notification::Notification;

/// A defect of one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {defect}", Name(*code))]
pub struct AttributeError {
    /// Which attribute; 0 when the list of attributes itself ends too early.
    pub code: u8,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What can be wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Optional and transitive bits are not those of the attribute.
    #[error("wrong flags {0:#04x}")]
    Flags(u8),
    /// A length that the attribute cannot have.
    #[error("wrong length {0}")]
    Length(usize),
    /// A value that the attribute cannot have.
    #[error("invalid value")]
    Value,
    /// AS 0 (RFC 7607).
    #[error("AS number 0")]
    AsZero,
    /// AS_SET or AS_CONFED_SET (RFC 9774).
    #[error("contains an AS set")]
    AsSet,
    /// Not there, though every route needs it.
    #[error("missing")]
    Missing,
    /// The attribute is longer than the message.
    #[error("runs past the end of the attributes")]
    Overrun,
}

impl AttributeError {
    /// What to send when the defect leaves no choice but a session reset (RFC 4271 §6.3).
    pub fn notification(&self) -> Notification {
        let subcode = match (self.defect, self.code) {
            (Defect::Overrun, _) => 1,
            (Defect::Missing, code) => return Notification::with_data(3, 3, vec![code]),
            (Defect::Flags(_), _) => 4,
            (Defect::Length(_), _) => 5,
            (_, code::ORIGIN) => 6,
            (_, code::NEXT_HOP) => 8,
            (_, code::AS_PATH) => 11,
            _ => 9,
        };
        Notification::new(3, subcode)
    }
}

struct Name(u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "path attributes",
            code::ORIGIN => "ORIGIN",
            code::AS_PATH => "AS_PATH",
            code::NEXT_HOP => "NEXT_HOP",
            code::MED => "MULTI_EXIT_DISC",
            code::LOCAL_PREF => "LOCAL_PREF",
            code::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            code::AGGREGATOR => "AGGREGATOR",
            code::COMMUNITIES => "COMMUNITIES",
            code::ORIGINATOR_ID => "ORIGINATOR_ID",
            code::CLUSTER_LIST => "CLUSTER_LIST",
            code::MP_REACH_NLRI => "MP_REACH_NLRI",
            code::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
            code::EXT_COMMUNITIES => "EXTENDED_COMMUNITIES",
            code::AS4_PATH => "AS4_PATH",
            code::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            code::PMSI_TUNNEL => "PMSI_TUNNEL",
            code::IPV6_EXT_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
            code::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
            code::ONLY_TO_CUSTOMER => "ONLY_TO_CUSTOMER",
            other => return write!(f, "attribute {other}"),
        })
    }
}

/// A set of attribute codes: one bit for each of the 256.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributeCodes([u64; 4]);

impl AttributeCodes {
    /// No attribute.
    pub const EMPTY: Self = Self([0; 4]);

    /// Adds a code. Returns whether it was not there before.
    #[inline]
    pub fn insert(&mut self, code: u8) -> bool {
        let [word, bit] = position(code);
        match self.0.get_mut(word) {
            Some(word) => {
                let fresh = *word & 1 << bit == 0;
                *word |= 1 << bit;
                fresh
            }
            None => false,
        }
    }

    /// Whether the code is in the set.
    #[inline]
    pub fn contains(&self, code: u8) -> bool {
        let [word, bit] = position(code);
        self.0.get(word).is_some_and(|word| word & 1 << bit != 0)
    }

    /// Whether there is no code in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The codes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|code| self.contains(*code))
    }
}

#[inline]
fn position(code: u8) -> [usize; 2] {
    [usize::from(code >> 6), usize::from(code & 63)]
}

impl fmt::Debug for AttributeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for AttributeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, code) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Name(code))?;
        }
        Ok(())
    }
}
