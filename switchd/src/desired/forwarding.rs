//! What BGP may tell its neighbours under `suppress-fib-pending`: whether each best path forwards, in hardware where there
//! is an ASIC, else in the kernel.

use std::collections::HashMap;

use bgp::speaker::{FibReport, FibState, FibToken, RouteKey};
use platform::kernel::{Key, Verdict};

use crate::ledger::Standing;

/// Best paths that BGP wants an answer for, and the answers.
#[derive(Debug, Default)]
pub struct Forwarding {
    asked: HashMap<Key, Asked>,
    /// Asked anew, or something changed.
    dirty: Vec<Key>,
}

#[derive(Debug)]
struct Asked {
    route: RouteKey,
    token: FibToken,
    /// The last answer to this token.
    answered: Option<FibState>,
}

impl Forwarding {
    /// BGP wants an answer for the best path whose route in the kernel has this key; `None`: no longer.
    pub fn ask(&mut self, key: Key, route: RouteKey, token: Option<FibToken>) {
        match token {
            Some(token) => {
                self.asked.insert(key, Asked { route, token, answered: None });
                self.dirty.push(key);
            }
            None => {
                self.asked.remove(&key);
            }
        }
    }

    /// The kernel's route under this key changed, or what is known of it.
    pub fn handle_change(&mut self, key: Key) {
        if self.asked.contains_key(&key) {
            self.dirty.push(key);
        }
    }

    /// What is known of every route may have changed.
    pub fn handle_change_of_all(&mut self) {
        self.dirty = self.asked.keys().copied().collect();
    }

    /// Answers that are due. `standing`: where the route of a key stands; `None` if none is wanted in the kernel.
    pub fn poll_reports(&mut self, standing: impl Fn(&Key) -> Option<Standing>) -> Vec<FibReport> {
        let mut reports = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            let Some(asked) = self.asked.get_mut(&key) else { continue };
            // While something is under way, the last word stands: a withdrawal would be a flap.
            let Some(state) = state(standing(&key)) else { continue };
            if asked.answered != Some(state) {
                asked.answered = Some(state);
                let Asked { route, token, .. } = asked;
                reports.push(FibReport { key: route.clone(), token: *token, state });
            }
        }
        reports
    }
}

/// `None`: not decided yet.
fn state(standing: Option<Standing>) -> Option<FibState> {
    let Some(standing) = standing else { return Some(FibState::NotForwarding) };
    match standing.verdict {
        // Trapped: the hardware knows it and has the CPU forward, for instance until the gateway's MAC is known.
        Verdict::InHardware | Verdict::Trapped => Some(FibState::Forwarding),
        Verdict::Software if !standing.expected => Some(FibState::Forwarding),
        Verdict::Software | Verdict::Refused { .. } => Some(FibState::NotForwarding),
        Verdict::Pending => None,
    }
}
