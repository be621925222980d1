//! The one place that decides what a key needs: desire on one side, the kernel's report on the other.

use platform::kernel::{Change, Object};

/// The change that brings `held` to `desired`. What lacks our mark is never deleted; what is not desired is deleted only
/// if `may_delete`.
pub(super) fn difference(
    desired: Option<&Object>,
    held: Option<&Object>,
    may_delete: bool,
) -> Option<Change> {
    match (desired, held) {
        (Some(desired), Some(held)) if desired.is_satisfied_by(held) => None,
        (Some(desired), Some(held)) => {
            may_replace(held).then(|| Change::Replace { from: held.clone(), to: desired.clone() })
        }
        (Some(desired), None) => Some(Change::Create(desired.clone())),
        (None, Some(held)) if may_delete && held.is_ours() => Some(Change::Delete(held.clone())),
        (None, _) => None,
    }
}

/// Ours, or something that the kernel learned by itself; what an operator wrote stays.
fn may_replace(held: &Object) -> bool {
    match held {
        Object::Fdb(entry) => entry.is_ours() || entry.state == platform::kernel::FdbState::Dynamic,
        Object::Neighbor(neighbor) => {
            neighbor.is_ours() || neighbor.state != platform::kernel::NeighborState::Permanent
        }
        Object::Route(_) | Object::Nexthop(_) => held.is_ours(),
        _ => false,
    }
}
