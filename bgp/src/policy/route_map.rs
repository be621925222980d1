//! Route maps: entries, and the steps that they come to.

use std::sync::Arc;

use super::worked::Worked;
use super::{
    Action, AttributeCondition, Condition, RouteCondition, RouteRef, Setting, Surroundings,
};
use crate::types::Asn;
use crate::wire::AttributeSet;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the map.
    pub sequence: u32,
    /// What becomes of a route that it matches.
    pub action: Action,
    /// All of them have to hold. None: every route matches.
    pub conditions: Vec<Condition>,
    /// What is changed when it permits.
    pub settings: Vec<Setting>,
    /// Asked next, after the changes: if that map denies the route, this one does.
    pub call: Option<Arc<RouteMap>>,
    /// Where to go on when it permits.
    pub then: Continue,
}

/// Where to go on after an entry that permits (FRR's `on-match`, and `continue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Continue {
    /// Nowhere: the route is permitted.
    #[default]
    No,
    /// To the next entry.
    Next,
    /// To the entry with this sequence number.
    At(u32),
}

/// A map that cannot be meant. `entry` is the place of the entry in what [`RouteMap::new`] was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteMapError {
    /// Two entries with one sequence number.
    #[error("sequence {sequence} is used twice; give each entry its own")]
    Sequence {
        /// The second of them.
        entry: usize,
        /// The number.
        sequence: u32,
    },
    /// It goes on where there is nothing, or where it has been.
    #[error(
        "continue = {target} is no later entry of this map; use a sequence number above {sequence}"
    )]
    Continue {
        /// Which entry.
        entry: usize,
        /// Its number.
        sequence: u32,
        /// Where it wants to go.
        target: u32,
    },
    /// Calls of calls of calls.
    #[error("with all that it calls, the map has more than {MAX_STEPS} entries")]
    TooLarge,
}

impl RouteMapError {
    /// The place of the entry in what [`RouteMap::new`] was given; of no single one, the first.
    pub const fn entry(&self) -> usize {
        match self {
            Self::Sequence { entry, .. } | Self::Continue { entry, .. } => *entry,
            Self::TooLarge => 0,
        }
    }
}

const MAX_STEPS: usize = 65_536;

/// A route map.
#[derive(Debug, Clone)]
pub struct RouteMap {
    name: String,
    entries: Vec<Arc<Entry>>,
    /// The entries, and those of the maps that they call, in their place.
    pub(super) steps: Vec<Step>,
}

/// An entry, and where it leads.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) entry: Arc<Entry>,
    pub(super) asks_routes: bool,
    pub(super) matched: Target,
    pub(super) unmatched: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Step(u32),
    Permit,
    Deny,
}

impl RouteMap {
    /// A map of entries in any order.
    ///
    /// # Errors
    /// An entry that cannot be meant.
    pub fn new(name: String, mut entries: Vec<Entry>) -> Result<Self, RouteMapError> {
        let mut order: Vec<(u32, usize)> =
            entries.iter().enumerate().map(|(index, entry)| (entry.sequence, index)).collect();
        order.sort_unstable();
        if let Some([_, (sequence, entry)]) = order.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(RouteMapError::Sequence { entry: *entry, sequence: *sequence });
        }
        for (index, Entry { sequence, then, .. }) in entries.iter().enumerate() {
            if let Continue::At(target) = *then
                && (target <= *sequence || !order.iter().any(|(known, _)| *known == target))
            {
                return Err(RouteMapError::Continue { entry: index, sequence: *sequence, target });
            }
        }
        entries.sort_by_key(|entry| entry.sequence);
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        Ok(Self { name, steps: steps(&entries)?, entries })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its entries, in the order of their sequence numbers.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// What the map makes of a route that begins here; `None` if it denies it. A next hop that depends on a session is
    /// left as it is.
    pub fn apply(
        &self,
        route: RouteRef<'_>,
        attributes: &Arc<AttributeSet>,
        asn: Asn,
    ) -> Option<Arc<AttributeSet>> {
        let surroundings = Surroundings { asn, from: None };
        let mut worked = Worked::new(Arc::clone(attributes));
        worked.outcome(self, route, &surroundings, |permitted| Some(permitted.attributes))
    }

    /// Whether an answer depends on the neighbour that a route is from.
    pub(crate) fn asks_for_peer(&self) -> bool {
        self.steps.iter().any(|step| {
            let asks = |condition: &Condition| {
                matches!(condition, Condition::Attribute(AttributeCondition::Peer(_)))
            };
            step.entry.conditions.iter().any(asks)
        })
    }
}

/// Equal entries do the same.
impl PartialEq for RouteMap {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.entries == other.entries
    }
}

impl Eq for RouteMap {}

fn steps(entries: &[Arc<Entry>]) -> Result<Vec<Step>, RouteMapError> {
    // An entry's own step, then those of the map that it calls.
    let mut at = 0;
    let mut places: Vec<(u32, u32)> = Vec::with_capacity(entries.len());
    for entry in entries {
        places.push((entry.sequence, u32::try_from(at).map_err(|_| RouteMapError::TooLarge)?));
        at += 1 + entry.call.as_ref().map_or(0, |map| map.steps.len());
    }
    if at > MAX_STEPS {
        return Err(RouteMapError::TooLarge);
    }
    let mut steps = Vec::with_capacity(at);
    for (index, entry) in entries.iter().enumerate() {
        let next = places.get(index + 1).map_or(Target::Deny, |(_, place)| Target::Step(*place));
        let then = match entry.then {
            Continue::No => Target::Permit,
            Continue::Next => next,
            Continue::At(sequence) => {
                let place = places.iter().find(|(known, _)| *known == sequence);
                place.map_or(Target::Deny, |(_, place)| Target::Step(*place))
            }
        };
        let first = u32::try_from(steps.len()).map_err(|_| RouteMapError::TooLarge)? + 1;
        let called = entry.call.as_ref().map_or(&[][..], |map| &map.steps);
        let matched = match (entry.action, &entry.call) {
            (Action::Deny, _) => Target::Deny,
            (Action::Permit, None) => then,
            (Action::Permit, Some(_)) if called.is_empty() => Target::Deny,
            (Action::Permit, Some(_)) => Target::Step(first),
        };
        let asks_routes =
            entry.conditions.iter().any(|condition| matches!(condition, Condition::Route(_)));
        steps.push(Step { entry: Arc::clone(entry), asks_routes, matched, unmatched: next });
        steps.extend(called.iter().map(|step| {
            let moved = |target| match target {
                Target::Step(place) => Target::Step(place + first),
                Target::Permit => then,
                Target::Deny => Target::Deny,
            };
            Step { matched: moved(step.matched), unmatched: moved(step.unmatched), ..step.clone() }
        }));
    }
    Ok(steps)
}

impl Entry {
    pub(super) fn holds_for_attributes(
        &self,
        attributes: &AttributeSet,
        surroundings: &Surroundings,
    ) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Attribute(condition) => condition.holds(attributes, surroundings),
            Condition::Route(_) => true,
        })
    }

    pub(super) fn holds_for_route(&self, route: RouteRef<'_>, attributes: &AttributeSet) -> bool {
        let mut conditions = self.conditions.iter().filter_map(route_condition);
        conditions.all(|condition| condition.holds(route, attributes))
    }
}

fn route_condition(condition: &Condition) -> Option<&RouteCondition> {
    match condition {
        Condition::Route(condition) => Some(condition),
        Condition::Attribute(_) => None,
    }
}
