//! Changes to requests: which messages go to the kernel in one send, and what its answers mean.
//!
//! Both halves of a remote MAC that stand side by side become one message. If that is refused, or only one half is there to
//! be deleted, the halves go again one by one, so that each gets its own answer.

#[cfg(test)]
mod tests;

use super::link_request::{self, NewLink};
use super::message::{Acknowledgement, Request};
use super::{Change, Errno, FdbTable, KernelError, Object};

/// More does not pay: from 300 messages on the kernel slows down (measured, Linux 6.18).
const MAX_MESSAGES: usize = 64;
const MAX_BYTES: usize = 8192;

/// What goes to the kernel in one send.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) requests: Vec<Request>,
    steps: Vec<Step>,
    bytes: usize,
}

/// One or two changes and the requests that bring them about.
#[derive(Debug, Clone, Copy)]
struct Step {
    changes: usize,
    requests: usize,
}

/// What a batch came to, for each change in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(Result<(), KernelError>),
    /// The kernel refused a pair: try this one alone.
    Alone,
}

impl Batch {
    /// Takes as many of the changes as go in one send, and at least one.
    pub(super) fn fill(changes: &[Change]) -> Self {
        let mut batch = Self::default();
        let mut rest = changes;
        while let [first, after @ ..] = rest {
            let pair = after.first().and_then(|second| encode_pair(first, second));
            let (requests, taken) =
                pair.map_or_else(|| (encode(first), 1), |request| (vec![request], 2));
            if !batch.push(requests, taken) {
                break;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        batch
    }

    /// A single change, never paired.
    pub(super) fn single(change: &Change) -> Self {
        let mut batch = Self::default();
        batch.push(encode(change), 1);
        batch
    }

    fn push(&mut self, requests: Vec<Request>, changes: usize) -> bool {
        let bytes: usize = requests.iter().map(Request::len).sum();
        let fits =
            self.requests.len() + requests.len() <= MAX_MESSAGES && self.bytes + bytes <= MAX_BYTES;
        if !fits && !self.steps.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.steps.push(Step { changes, requests: requests.len() });
        self.requests.extend(requests);
        true
    }

    /// How many changes it covers.
    pub(super) fn changes(&self) -> usize {
        self.steps.iter().map(|step| step.changes).sum()
    }

    /// Reads the kernel's answers, one per request, as answers to the changes.
    pub(super) fn outcomes(
        &self,
        changes: &[Change],
        answers: Vec<Acknowledgement>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let (mut answers, mut changes) = (answers.into_iter(), changes.iter());
        for step in &self.steps {
            let mut refusal = Ok(());
            for answer in answers.by_ref().take(step.requests) {
                refusal = refusal.and(answer);
            }
            for change in changes.by_ref().take(step.changes) {
                outcomes.push(match (&refusal, step.changes) {
                    (Ok(()), _) => Outcome::Done(Ok(())),
                    (Err(_), 2..) => Outcome::Alone,
                    (Err((errno, _)), _) if is_what_was_wanted(change, *errno) => {
                        Outcome::Done(Ok(()))
                    }
                    (Err((errno, reason)), _) => {
                        Outcome::Done(Err(refused(change, *errno, reason.clone())))
                    }
                });
            }
        }
        outcomes
    }
}

fn encode(change: &Change) -> Vec<Request> {
    match change {
        Change::Create(object) => encode_create(object),
        Change::Replace { from: Object::Link(from), to: Object::Link(to) } => {
            link_request::encode_replace(from, to)
        }
        Change::Replace { to: Object::Nexthop(nexthop), .. } => vec![nexthop.encode_replace()],
        Change::Replace { to: Object::Route(route), .. } => vec![route.encode_replace()],
        Change::Replace { to, .. } => encode_create(to),
        Change::Delete(object) => vec![encode_delete(object)],
    }
}

fn encode_create(object: &Object) -> Vec<Request> {
    vec![match object {
        Object::Link(link) => return NewLink::from(link).encode(link.index),
        Object::Address(address) => address.encode_create(),
        Object::Nexthop(nexthop) => nexthop.encode_create(),
        Object::Fdb(entry) => entry.encode_create(),
        Object::Neighbor(neighbor) => neighbor.encode_create(),
        Object::Route(route) => route.encode_create(),
        Object::BridgeVlan(vlan) => vlan.encode_create(),
        Object::Rule(rule) => rule.encode_create(),
        Object::Filter(filter) => filter.encode_create(),
    }]
}

fn encode_delete(object: &Object) -> Request {
    match object {
        Object::Link(link) => link_request::encode_delete(link.index),
        Object::Address(address) => address.encode_delete(),
        Object::Nexthop(nexthop) => nexthop.encode_delete(),
        Object::Fdb(entry) => entry.encode_delete(),
        Object::Neighbor(neighbor) => neighbor.encode_delete(),
        Object::Route(route) => route.encode_delete(),
        Object::BridgeVlan(vlan) => vlan.encode_delete(),
        Object::Rule(rule) => rule.encode_delete(),
        Object::Filter(filter) => filter.encode_delete(),
    }
}

fn encode_pair(first: &Change, second: &Change) -> Option<Request> {
    match (first, second) {
        (Change::Delete(Object::Fdb(first)), Change::Delete(Object::Fdb(second))) => {
            first.encode_delete_pair(second)
        }
        (
            Change::Create(Object::Fdb(first)) | Change::Replace { to: Object::Fdb(first), .. },
            Change::Create(Object::Fdb(second)) | Change::Replace { to: Object::Fdb(second), .. },
        ) => first.encode_create_pair(second),
        _ => None,
    }
}

/// Whether a refusal says that things are already as they should be: what is to be deleted is gone, perhaps with its link.
fn is_what_was_wanted(change: &Change, errno: Errno) -> bool {
    let Change::Delete(object) = change else { return false };
    match (object, errno) {
        (_, Errno::ENODEV) => true,
        (Object::Address(_), Errno::EADDRNOTAVAIL) => true,
        (
            Object::Nexthop(_)
            | Object::Fdb(_)
            | Object::Neighbor(_)
            | Object::Rule(_)
            | Object::Filter(_),
            Errno::ENOENT,
        ) => true,
        (Object::Route(_), Errno::ESRCH) => true,
        // The link is no longer a port of any bridge.
        (Object::Fdb(entry), Errno::EOPNOTSUPP) => entry.table == FdbTable::Bridge,
        _ => false,
    }
}

fn refused(change: &Change, errno: Errno, reason: Option<String>) -> KernelError {
    match change.object() {
        Object::Link(link) if link.index == 0 => {
            KernelError::LinkRefused { name: link.name.clone(), errno, reason }
        }
        object => KernelError::Refused { key: object.key(), errno, reason },
    }
}
