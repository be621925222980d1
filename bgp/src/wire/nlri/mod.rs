//! What differs between address families: how a route is named on the wire, and what it carries besides its name.

pub(crate) mod evpn;
pub(crate) mod prefix;

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::marker::PhantomData;

use super::attribute::set::AttributeSet;
use super::reader::Reader;
use crate::types::AfiSafi;

/// An address family. Tables, packing and refresh are written once, over this.
pub trait Family: Copy + 'static {
    /// AFI and SAFI.
    const FAMILY: AfiSafi;
    /// What makes two routes the same one. Never holds what may change: labels, segment, gateway.
    type Key: Clone + Eq + Ord + Hash + Debug + Display;
    /// What the NLRI carries besides the key.
    type Payload: Clone + Eq + Debug + Default;

    /// Takes the next route off a field; `None` at its end. A route that can be neither used nor relayed is skipped: what
    /// follows it is sound (RFC 7606 §5.4).
    ///
    /// After an error nothing is left to read: what follows cannot be found, and the session has to be reset (RFC 7606
    /// §5.3).
    fn decode(input: &mut Reader<'_>) -> Option<DecodedRoute<Self>>;

    /// Appends one NLRI. To withdraw, the default payload does.
    fn encode(key: &Self::Key, payload: &Self::Payload, out: &mut Vec<u8>);

    /// Whether this route may be used. If not, it counts as withdrawn: alone, not with the others of its UPDATE.
    fn is_usable(_key: &Self::Key, _payload: &Self::Payload, _attributes: &AttributeSet) -> bool {
        true
    }
}

/// Key and payload of a route.
pub type DecodedRoute<F> = Result<(<F as Family>::Key, <F as Family>::Payload), NlriError>;

/// NLRI after which the rest of the field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NlriError {
    /// The field ends within a route.
    #[error("the field ends within a route")]
    Truncated,
    /// A prefix longer than its address.
    #[error("prefix length {length} is more than {max}")]
    PrefixLength {
        /// Bits claimed.
        length: u8,
        /// Bits of an address.
        max: u8,
    },
}

/// The routes of one field of an UPDATE, decoded one by one. Nothing follows an error.
#[derive(Debug, Clone)]
pub struct Routes<'a, F> {
    input: Reader<'a>,
    family: PhantomData<F>,
}

impl<'a, F: Family> Routes<'a, F> {
    /// The routes in these bytes.
    pub const fn new(nlri: &'a [u8]) -> Self {
        Self { input: Reader::new(nlri), family: PhantomData }
    }
}

impl<F: Family> Iterator for Routes<'_, F> {
    type Item = DecodedRoute<F>;

    // Inlined with what the caller does with the route: otherwise it is copied through the stack, twice.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        F::decode(&mut self.input)
    }
}

impl<F: Family> std::iter::FusedIterator for Routes<'_, F> {}
