//! Graceful restart (RFC 4724), both roles, for all families.
//!
//! As helper we keep the routes of a peer whose connection broke, marked stale, until it has confirmed them or took too
//! long. As restarter we hold back best paths and what we tell others until all peers have spoken, and the end of our
//! own routes until our owner has announced them all: a peer that hears it earlier would drop what still forwards.
//!
//! A speaker that tells only what forwards has also to hear, of each path that it then decides for, whether it does: what
//! it has adopted from its predecessor is confirmed at once. So long it says neither the end of its routes, nor
//! withdraws what a peer has from its predecessor. If answers are still missing after twice the selection deferral, those
//! routes count as not forwarding. At any other time, as in FRR, the end mark waits for no answer.

use std::time::Instant;

use super::neighbor::Retained;
use super::{Event, GracefulRestartConfig, NeighborId, Speaker, SpeakerConfig};
use crate::rib::peers::Source;
use crate::session::negotiate::Negotiated;
use crate::types::AfiSafi;
use crate::wire::{FamilySet, RouteRefresh};

/// Families whose decision waits for all peers after our own restart.
#[derive(Debug)]
pub(super) struct Deferral {
    families: FamilySet,
    until: Option<Instant>,
    /// When the end of our routes is said although nobody has told of some whether they forward.
    give_up: Option<Instant>,
}

impl Deferral {
    pub(super) fn new(config: &SpeakerConfig, now: Instant) -> Self {
        if !config.restarting {
            return Self { families: FamilySet::EMPTY, until: None, give_up: None };
        }
        // Also without graceful restart: sessions may have been resumed.
        let wait = config.graceful_restart.as_ref().map_or_else(
            || GracefulRestartConfig::default().selection_deferral,
            |restart| restart.selection_deferral,
        );
        Self {
            families: FamilySet::ALL,
            until: Some(now + wait),
            give_up: config.suppress_fib_pending.then(|| now + 2 * wait),
        }
    }

    pub(super) fn holds(&self, family: AfiSafi) -> bool {
        self.families.contains(family)
    }

    pub(super) fn is_restarting(&self) -> bool {
        !self.families.is_empty()
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Speaker {
    // Restarter.

    /// Families that wait for nobody.
    pub(super) fn report_ready_families(&mut self) {
        for family in FamilySet::ALL.iter().filter(|family| !self.deferral.holds(*family)) {
            self.events.push_back(Event::Converged { family });
        }
    }

    /// Whether somebody we wait for has spoken.
    pub(super) fn check_deferral(&mut self) {
        for family in self.deferral.families.iter() {
            let waits = self.neighbors.iter().flatten().any(|neighbor| {
                let offered =
                    neighbor.config.families.contains(&family) && !neighbor.session.is_stopped();
                offered
                    && neighbor.session.established().is_none_or(|(negotiated, ..)| {
                        let complete = neighbor.complete.contains(family);
                        neighbor.asked.families.contains(family)
                            || has_more_to_say(negotiated, family) && !complete
                    })
            });
            if !waits {
                self.end_deferral(family);
            }
        }
    }

    /// A peer that does not preserve a family may say the end of its routes too early or never (FRR does both). With
    /// enhanced route refresh it can be asked for all of them between two marks, which cannot be mistaken.
    pub(super) fn ask_who_does_not_say_the_end(&mut self, index: u32, negotiated: &Negotiated) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        if !negotiated.route_refresh || !negotiated.enhanced_refresh {
            return;
        }
        let promised = promises_an_end(negotiated);
        let silent = negotiated.families.iter().filter(|family| !promised.contains(*family));
        for family in silent.filter(|family| self.deferral.holds(*family)) {
            neighbor.asked.families.insert(family);
            neighbor.session.send(|_, out| {
                RouteRefresh { family, subtype: RouteRefresh::REQUEST }.encode(out);
            });
        }
    }

    pub(super) fn expire_deferral(&mut self, now: Instant) {
        match self.deferral.until {
            Some(until) if until <= now => {
                for family in self.deferral.families.iter() {
                    tracing::warn!(%family, "not all neighbors came back in time after our restart");
                    self.end_deferral(family);
                }
            }
            Some(until) => self.wake_at = [self.wake_at, Some(until)].into_iter().flatten().min(),
            None => {}
        }
        match self.deferral.give_up {
            Some(at) if at <= now => self.give_up_on_answers(),
            Some(at) => self.wake_at = [self.wake_at, Some(at)].into_iter().flatten().min(),
            None => {}
        }
    }

    fn give_up_on_answers(&mut self) {
        self.deferral.give_up = None;
        for family in FamilySet::ALL.iter() {
            let unanswered =
                self.tables.get_mut(family).map_or(0, |table| table.give_up_on_answers());
            if unanswered > 0 {
                tracing::warn!(%family, unanswered, "after our restart, nobody has said of some routes that they forward");
            }
        }
    }

    fn end_deferral(&mut self, family: AfiSafi) {
        self.deferral.families.remove(family);
        if let Some(table) = self.tables.get_mut(family) {
            table.owe_answers();
        }
        self.events.push_back(Event::Converged { family });
        if !self.deferral.is_restarting() {
            self.deferral.until = None;
            for neighbor in self.neighbors.iter_mut().flatten() {
                if let Some(restart) = &mut neighbor.session.offer_mut().graceful_restart {
                    restart.restarting = false;
                }
            }
        }
    }

    // Helper.

    /// The session is gone: the neighbour's routes go too, or become stale.
    pub(super) fn end_routes(
        &mut self,
        index: u32,
        negotiated: &Negotiated,
        keep: bool,
        now: Instant,
    ) {
        let covered = negotiated.graceful_restart.iter().flat_map(|restart| &restart.families);
        let covered: FamilySet = covered.map(|(family, _)| *family).collect();
        let time = negotiated.restart_time().unwrap_or_default();
        self.note_long_lived_times(index, negotiated, keep);
        let families = if keep && (!time.is_zero() || negotiated.long_lived.is_some()) {
            covered.intersection(negotiated.families)
        } else {
            FamilySet::EMPTY
        };
        let source = Source::neighbor(index);
        for family in FamilySet::ALL.iter() {
            let is_long_lived = self.is_long_lived(index, family);
            let Some(table) = self.tables.get_mut(family) else { continue };
            table.stop_listening(index);
            // What was stale already has had its chance (RFC 4724 §4.2), unless its time is a long one.
            if !is_long_lived {
                table.flush(source, families.contains(family), &self.peers);
            }
            if families.contains(family) {
                table.mark_stale(source);
            }
        }
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            neighbor.retained =
                (!families.is_empty()).then(|| Retained { families, until: now + time });
        }
    }

    /// The neighbour is back: what it did not keep forwarding goes now, the rest at its End-of-RIB.
    pub(super) fn keep_confirmed_families(
        &mut self,
        index: u32,
        negotiated: &Negotiated,
        now: Instant,
    ) {
        self.keep_forwarding_long_lived(index, negotiated);
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let Some(retained) = neighbor.retained.take() else { return };
        let forwarding = negotiated.graceful_restart.iter().flat_map(|restart| &restart.families);
        let forwarding: FamilySet =
            forwarding.filter(|(_, preserved)| *preserved).map(|(family, _)| *family).collect();
        let kept = retained.families.intersection(forwarding).intersection(negotiated.families);
        let until = now + stale_path_time(self.config.graceful_restart.as_ref());
        neighbor.retained = (!kept.is_empty()).then_some(Retained { families: kept, until });
        for family in retained.families.iter().filter(|family| !kept.contains(*family)) {
            self.flush_stale(index, family);
        }
    }

    pub(super) fn handle_end_of_rib(&mut self, index: u32, family: AfiSafi) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.complete.insert(family);
        self.drop_unconfirmed(index, family);
        self.events.push_back(Event::EndOfRib { neighbor: NeighborId(index), family });
        self.check_deferral();
    }

    /// The neighbour begins to send all its routes again (RFC 7313 §4).
    pub(super) fn expect_all_again(&mut self, index: u32, family: AfiSafi, now: Instant) {
        let until = now + stale_path_time(self.config.graceful_restart.as_ref());
        if let Some(table) = self.tables.get_mut(family) {
            table.mark_stale(Source::neighbor(index));
        }
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            if let Some(import) = neighbor.imports.get_mut(family) {
                import.forget_all();
            }
            let retained =
                neighbor.retained.get_or_insert(Retained { families: FamilySet::EMPTY, until });
            retained.families.insert(family);
            retained.until = until;
        }
    }

    /// The neighbour has sent all its routes: what it did not mention is gone.
    pub(super) fn drop_unconfirmed(&mut self, index: u32, family: AfiSafi) {
        self.drop_unconfirmed_long_lived(index, family);
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let Some(retained) = &mut neighbor.retained else { return };
        if !retained.families.contains(family) {
            return;
        }
        retained.families.remove(family);
        if retained.families.is_empty() {
            neighbor.retained = None;
        }
        self.flush_stale(index, family);
    }

    pub(super) fn expire_retained(&mut self, index: u32, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        if let Some(retained) = neighbor.retained
            && retained.until <= now
        {
            neighbor.retained = None;
            for family in retained.families.iter() {
                if !self.begin_long_lived(index, family, now) {
                    self.flush_stale(index, family);
                }
            }
        }
    }

    pub(super) fn flush_stale(&mut self, index: u32, family: AfiSafi) {
        if let Some(table) = self.tables.get_mut(family) {
            table.flush(Source::neighbor(index), true, &self.peers);
        }
    }
}

/// RFC 4724 §4.1: nobody waits for a peer without graceful restart, nor for one that has restarted itself.
fn has_more_to_say(negotiated: &Negotiated, family: AfiSafi) -> bool {
    negotiated.families.contains(family)
        && promises_an_end(negotiated).contains(family)
        && negotiated.graceful_restart.as_ref().is_some_and(|restart| !restart.restarting)
}

/// The families that the peer's graceful restart capability lists.
fn promises_an_end(negotiated: &Negotiated) -> FamilySet {
    let families = negotiated.graceful_restart.iter().flat_map(|restart| &restart.families);
    families.map(|(family, _)| *family).collect()
}

fn stale_path_time(config: Option<&GracefulRestartConfig>) -> std::time::Duration {
    config.map_or_else(
        || GracefulRestartConfig::default().stale_path_time,
        |config| config.stale_path_time,
    )
}
