//! What an external neighbour is told of AS_PATH and MED beyond RFC 4271: `as-override`, `remove-private-as`,
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

/// How the path of a route changes on its way to a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct PathRules {
    /// This one, the neighbour's, becomes ours: sites of one AS can hear of each other.
    pub(crate) override_as: Option<Asn>,
    /// Private ones go, but for this one, the neighbour's: it must see that the path went through it.
    pub(crate) remove_private: Option<(RemovePrivateAs, Asn)>,
    /// Our own is not put in front.
    pub(crate) as_path_unchanged: bool,
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
        editor.change_as_path(|asn| match removed {
            Some((remove, kept)) if is_private(asn) && asn != kept => {
                remove.replace.then_some(ours)
            }
            _ if self.override_as == Some(asn) => Some(ours),
            _ => Some(asn),
        });
    }
}

/// RFC 6996 §5.
fn is_private(asn: Asn) -> bool {
    matches!(asn.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
}
