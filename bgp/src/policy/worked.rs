//! What a route map makes of one attribute set, worked out as far as routes have asked.
//!
//! A tree: inner nodes ask something of the route, leaves are outcomes, and what no route has come to yet is open. A map
//! that asks nothing of routes is one leaf.

use std::sync::Arc;

use super::route_map::{RouteMap, Target};
use super::{NextHopSetting, RouteRef, Surroundings};
use crate::wire::AttributeSet;

/// See the module. The set and the map it was begun with have to stay the same.
#[derive(Debug)]
pub(crate) struct Worked {
    from: Arc<AttributeSet>,
    nodes: Vec<Node>,
}

/// A route that a map permits.
#[derive(Debug, Clone)]
pub(crate) struct Permitted {
    /// Not shared yet.
    pub(crate) attributes: Arc<AttributeSet>,
    /// The last word on the next hop, if there was one.
    pub(crate) next_hop: Option<NextHopSetting>,
}

#[derive(Debug)]
enum Node {
    Open {
        so_far: Permitted,
        at: Position,
    },
    /// Conditions of a step on the route.
    Ask {
        step: u32,
        yes: u32,
        no: u32,
    },
    Done(Option<Arc<AttributeSet>>),
}

/// Where the walk through a map stands.
#[derive(Debug, Clone, Copy)]
enum Position {
    At(Target),
    /// A step that matches, and whose changes are still to be made.
    Taken(u32),
}

impl Worked {
    /// How often it refers to this very set.
    pub(crate) fn count(&self, set: &Arc<AttributeSet>) -> usize {
        let is_it = |other: &Arc<AttributeSet>| usize::from(Arc::ptr_eq(other, set));
        let nodes = self.nodes.iter().map(|node| match node {
            Node::Open { so_far, .. } => is_it(&so_far.attributes),
            Node::Ask { .. } | Node::Done(None) => 0,
            Node::Done(Some(told)) => is_it(told),
        });
        is_it(&self.from) + nodes.sum::<usize>()
    }

    pub(crate) fn new(from: Arc<AttributeSet>) -> Self {
        let so_far = Permitted { attributes: Arc::clone(&from), next_hop: None };
        Self { from, nodes: vec![Node::Open { so_far, at: Position::At(Target::Step(0)) }] }
    }

    /// Begins anew with another set, unless it is this one.
    pub(crate) fn begin(&mut self, from: &Arc<AttributeSet>) -> &mut Self {
        if !Arc::ptr_eq(&self.from, from) {
            self.nodes.clear();
            self.from = Arc::clone(from);
            let so_far = Permitted { attributes: Arc::clone(from), next_hop: None };
            self.nodes.push(Node::Open { so_far, at: Position::At(Target::Step(0)) });
        }
        self
    }

    /// The answer, if it is the same for all routes.
    pub(crate) fn answer_for_all(&self) -> Option<Option<Arc<AttributeSet>>> {
        match self.nodes.as_slice() {
            [Node::Done(outcome)] => Some(outcome.clone()),
            _ => None,
        }
    }

    /// The attributes of a route, `None` if it is denied. `finish` makes what is kept of a permitted one, once for all
    /// routes with the same answers.
    pub(crate) fn outcome(
        &mut self,
        map: &RouteMap,
        route: RouteRef<'_>,
        surroundings: &Surroundings,
        mut finish: impl FnMut(Permitted) -> Option<Arc<AttributeSet>>,
    ) -> Option<Arc<AttributeSet>> {
        let mut index = 0;
        loop {
            match self.nodes.get(index as usize)? {
                Node::Done(outcome) => return outcome.clone(),
                Node::Ask { step, yes, no } => {
                    let step = map.steps.get(*step as usize)?;
                    let holds = step.entry.holds_for_route(route, &self.from);
                    index = if holds { *yes } else { *no };
                }
                Node::Open { so_far, at } => {
                    let (so_far, at) = (so_far.clone(), *at);
                    self.explore(index, so_far, at, map, surroundings, &mut finish);
                }
            }
        }
    }

    /// Walks on from an open node to the next question or the end.
    fn explore(
        &mut self,
        index: u32,
        mut so_far: Permitted,
        mut at: Position,
        map: &RouteMap,
        surroundings: &Surroundings,
        finish: &mut impl FnMut(Permitted) -> Option<Arc<AttributeSet>>,
    ) {
        let node = loop {
            let number = match at {
                Position::At(Target::Permit) => break Node::Done(finish(so_far)),
                Position::At(Target::Deny) => break Node::Done(None),
                Position::At(Target::Step(number)) | Position::Taken(number) => number,
            };
            let Some(step) = map.steps.get(number as usize) else { break Node::Done(None) };
            if let Position::Taken(_) = at {
                so_far = change(so_far, &step.entry.settings, surroundings);
                at = Position::At(step.matched);
            } else if !step.entry.holds_for_attributes(&so_far.attributes, surroundings) {
                at = Position::At(step.unmatched);
            } else if !step.asks_routes {
                at = Position::Taken(number);
            } else {
                let yes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                let open = Node::Open { so_far: so_far.clone(), at: Position::Taken(number) };
                self.nodes.push(open);
                self.nodes.push(Node::Open { so_far, at: Position::At(step.unmatched) });
                break Node::Ask { step: number, yes, no: yes + 1 };
            }
        };
        if let Some(open) = self.nodes.get_mut(index as usize) {
            *open = node;
        }
    }
}

fn change(
    so_far: Permitted,
    settings: &[super::Setting],
    surroundings: &Surroundings,
) -> Permitted {
    if settings.is_empty() {
        return so_far;
    }
    let from = &so_far.attributes;
    let mut editor = from.edit();
    let mut next_hop = so_far.next_hop;
    for setting in settings {
        next_hop = setting.apply(from, &mut editor, surroundings).or(next_hop);
    }
    Permitted { attributes: Arc::new(editor.build()), next_hop }
}
