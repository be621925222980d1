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

    /// The same for exactly one route: `None` inside if it is to be skipped. For fields with something between the routes.
    fn decode_one(input: &mut Reader<'_>) -> Option<Result<Option<Route<Self>>, NlriError>> {
        Self::decode(input).map(|route| route.map(Some))
    }

    /// Appends one NLRI. To withdraw, the default payload does.
    fn encode(key: &Self::Key, payload: &Self::Payload, out: &mut Vec<u8>);

    /// Whether this route may be used. If not, it counts as withdrawn: alone, not with the others of its UPDATE.
    fn is_usable(_key: &Self::Key, _payload: &Self::Payload, _attributes: &AttributeSet) -> bool {
        true
    }
}

/// Key and payload of a route.
pub type Route<F> = (<F as Family>::Key, <F as Family>::Payload);

/// A route, or why there is none.
pub type DecodedRoute<F> = Result<Route<F>, NlriError>;

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
    /// Each route has a path identifier before it (RFC 7911 §3).
    has_path_ids: bool,
    family: PhantomData<F>,
}

/// The same with their path identifiers: 0 where there are none.
#[derive(Debug, Clone)]
pub struct Paths<'a, F>(Routes<'a, F>);

impl<'a, F: Family> Routes<'a, F> {
    /// The routes in these bytes.
    pub const fn new(nlri: &'a [u8]) -> Self {
        Self { input: Reader::new(nlri), has_path_ids: false, family: PhantomData }
    }

    /// The routes in these bytes, each with a path identifier before it if `has_path_ids`.
    pub(crate) const fn with_path_ids(nlri: &'a [u8], has_path_ids: bool) -> Self {
        Self { input: Reader::new(nlri), has_path_ids, family: PhantomData }
    }

    /// The routes with their path identifiers.
    pub const fn paths(self) -> Paths<'a, F> {
        Paths(self)
    }

    #[inline(never)]
    fn next_path(&mut self) -> Option<Result<(u32, Route<F>), NlriError>> {
        while !self.input.is_empty() {
            let route = self.input.u32().and_then(|id| Some((id, F::decode_one(&mut self.input)?)));
            match route {
                Some((id, Ok(Some(route)))) => return Some(Ok((id, route))),
                Some((_, Ok(None))) => {}
                Some((_, Err(error))) => {
                    self.input.skip_rest();
                    return Some(Err(error));
                }
                None => {
                    self.input.skip_rest();
                    return Some(Err(NlriError::Truncated));
                }
            }
        }
        None
    }
}

impl<F: Family> Iterator for Routes<'_, F> {
    type Item = DecodedRoute<F>;

    // Inlined with what the caller does with the route: otherwise it is copied through the stack, twice.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_path_ids {
            return self.next_path().map(|path| path.map(|(_, route)| route));
        }
        F::decode(&mut self.input)
    }
}

impl<F: Family> Iterator for Paths<'_, F> {
    type Item = Result<(u32, Route<F>), NlriError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.has_path_ids {
            return self.0.next_path();
        }
        F::decode(&mut self.0.input).map(|route| route.map(|route| (0, route)))
    }
}

impl<F: Family> std::iter::FusedIterator for Paths<'_, F> {}

impl<F: Family> std::iter::FusedIterator for Routes<'_, F> {}
