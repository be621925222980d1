//! Policies that change while sessions are up. No session is reset for that.

use std::time::Instant;

use super::{NeighborId, Speaker};
use crate::policy::NeighborPolicy;
use crate::rib::peers::Source;
use crate::session::negotiate::Negotiated;
use crate::wire::FamilySet;

impl Speaker {
    /// Gives neighbours other policies, at once and without resetting their sessions. Families with another export policy
    /// are told everything again, and what is now denied is withdrawn. Another import policy is applied to what the neighbour
    /// sent, if that is kept; otherwise the neighbour is asked for all its routes again (RFC 2918); if it cannot send them,
    /// its old routes stay as they are until it is reset, and [`FamilySummary::needs_reset`](super::FamilySummary::needs_reset) says so.
    /// Only a neighbour that now has more routes than its limit loses its session for that.
    pub fn set_policies(
        &mut self,
        policies: impl IntoIterator<Item = (NeighborId, NeighborPolicy)>,
        now: Instant,
    ) {
        for (NeighborId(index), policy) in policies {
            let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { continue };
            if neighbor.config.policy != policy {
                neighbor.config.policy = policy;
                self.change_imports(index);
                self.change_egress(index);
                self.enforce_limits(index, now);
            }
        }
        let mut used = Vec::new();
        for table in self.tables.all_mut() {
            used.extend(table.policies());
        }
        self.egress.retain(&used);
    }

    /// A session begins: these are the policies for routes from the neighbour.
    pub(super) fn set_imports(&mut self, index: u32, negotiated: &Negotiated) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.needs_reset = FamilySet::EMPTY;
        let policies = &neighbor.config.policy;
        for family in negotiated.families.iter() {
            if let Some(import) = neighbor.imports.get_mut(family) {
                let policy = policies.import(family, negotiated.external);
                import.change(policy, policies.keep_received);
                import.forget_all();
            }
        }
    }

    fn change_imports(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let Some((negotiated, ..)) = neighbor.session.established() else { return };
        let policies = &neighbor.config.policy;
        let (mut reapply, mut ask) = (FamilySet::EMPTY, FamilySet::EMPTY);
        for family in negotiated.families.iter() {
            let policy = policies.import(family, negotiated.external);
            let Some(import) = neighbor.imports.get_mut(family) else { continue };
            let known = import.keeps() && policies.keep_received;
            if *import.policy() != policy && known {
                reapply.insert(family);
            } else if *import.policy() != policy || policies.keep_received && !known {
                ask.insert(family);
            }
            import.change(policy, policies.keep_received);
        }
        for family in reapply.iter() {
            let (source, asn) = (Source::neighbor(index), self.config.asn);
            let (imports, peers) = (&mut neighbor.imports, &self.peers);
            self.tables.reapply(family, source, asn, imports, peers, &mut self.interner);
        }
        self.ask_again(index, ask);
    }

    /// The neighbour is to send its routes of these families again, as far as they are negotiated; if it cannot, that is to
    /// be known.
    pub(super) fn ask_again(&mut self, index: u32, families: FamilySet) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let Some((negotiated, ..)) = neighbor.session.established() else { return };
        let families = families.intersection(negotiated.families);
        if negotiated.route_refresh {
            for family in families.iter() {
                self.request_refresh(NeighborId(index), family);
            }
            return;
        }
        let address = neighbor.config.address;
        for family in families.iter() {
            neighbor.needs_reset.insert(family);
            tracing::warn!(neighbor = %address, %family, "the neighbor cannot send its routes again; reset its session for the new rules");
        }
    }

    /// The neighbour is told by other rules from now on.
    pub(super) fn change_egress(&mut self, index: u32) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let Some((negotiated, local, ..)) = neighbor.session.established() else { return };
        for (family, policy) in self.egress_policies(neighbor, negotiated, local.ip()) {
            let policy = self.egress.policy(policy);
            if let Some(table) = self.tables.get_mut(family) {
                table.change_policy(index, policy);
            }
        }
    }
}
