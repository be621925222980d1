//! What an external neighbour is told of AS_PATH and MED beyond RFC 4271: `local-as`, `as-override`, `remove-private-as`,
//! `attribute-unchanged`.

use crate::types::Asn;
use crate::wire::{AsPath, AttributeEditor};

/// Which private AS numbers (RFC 6996) an external neighbour is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RemovePrivateAs {
    /// Also if there are other AS numbers in the path.
    pub all: bool,
    /// Put our AS number in their place, so that the path stays as long as it is.
    pub replace: bool,
}

/// Another AS number than our own towards one external neighbour: the one that it knew us by before we moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalAs {
    /// What our OPEN says, and what stands in front of the paths that the neighbour is told.
    pub asn: Asn,
    /// Paths from the neighbour do not get it in front.
    pub no_prepend: bool,
    /// The neighbour does not see our own AS number: it is not put into paths, and the other one stands in its place.
    pub replace_as: bool,
}

/// How the path of a route changes on its way to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct PathRules {
    /// This one, the neighbour's, becomes ours: sites of one AS can hear of each other.
    pub(crate) override_as: Option<Asn>,
    /// Private ones go, but for this one, the neighbour's: it must see that the path went through it.
    pub(crate) remove_private: Option<(RemovePrivateAs, Asn)>,
    /// Our own is not put in front.
    pub(crate) as_path_unchanged: bool,
    /// Instead of our own, or in front of it.
    pub(crate) local_as: Option<LocalAs>,
    /// MED goes on to a third AS.
    pub(crate) med_unchanged: bool,
}

impl PathRules {
    /// Changes a path before our own AS number comes to its front.
    pub(super) fn apply(&self, path: AsPath<'_>, ours: Asn, editor: &mut AttributeEditor<'_>) {
        let removed = self
            .remove_private
            .filter(|(remove, _)| remove.all || !path.is_empty() && path.asns().all(is_private));
        let changes = removed.is_some() || self.override_as.is_some_and(|asn| path.contains(asn));
        if !changes {
            return;
        }
        let ours = self.hidden_behind().unwrap_or(ours);
        editor.change_as_path(|asn| match removed {
            Some((remove, kept)) if is_private(asn) && asn != kept => {
                remove.replace.then_some(ours)
            }
            _ if self.override_as == Some(asn) => Some(ours),
            _ => Some(asn),
        });
    }

    /// Puts us in front of a path.
    pub(super) fn prepend(&self, ours: Asn, editor: &mut AttributeEditor<'_>) {
        if self.as_path_unchanged {
            return;
        }
        if self.hidden_behind().is_none() {
            editor.prepend_as(ours);
        }
        if let Some(local) = self.local_as {
            editor.prepend_as(local.asn);
        }
    }

    /// The AS number that is all that the neighbour is to know of us.
    fn hidden_behind(&self) -> Option<Asn> {
        self.local_as.filter(|local| local.replace_as).map(|local| local.asn)
    }
}

/// RFC 6996 §5.
fn is_private(asn: Asn) -> bool {
    matches!(asn.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
}
