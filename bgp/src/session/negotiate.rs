//! What the two OPENs agree on. Unknown capabilities are no error (RFC 5492); what only one side says does not hold.

use std::time::Duration;

use crate::speaker::config::RemoteAs;
use crate::types::{AfiSafi, Asn, Role, RouterId};
use crate::wire::{
    Capability, CeaseReason, ExtendedNextHop, FamilySet, GracefulRestart, LongLived, Notification,
    Open,
};
use crate::wire::{MAX_EXTENDED_MESSAGE, MAX_MESSAGE};

const AFI_IPV6: u16 = 2;
/// Modes of ADD-PATH (RFC 7911 §4).
const CAN_RECEIVE: u8 = 1;
const CAN_SEND: u8 = 2;

/// What our OPEN says, apart from what changes with a restart.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// What we say is ours.
    pub(crate) asn: Asn,
    /// What is: no external peer is in it.
    pub(crate) own_as: Asn,
    pub(crate) router_id: RouterId,
    pub(crate) remote_as: RemoteAs,
    pub(crate) hold_time: u16,
    pub(crate) families: FamilySet,
    /// Several paths of a destination may come (RFC 7911).
    pub(crate) add_path_receive: bool,
    /// Several paths of a destination are told.
    pub(crate) add_path_send: bool,
    pub(crate) extended_next_hop: bool,
    /// The peers are on one link, and may have no other addresses than those of it.
    pub(crate) link_local_next_hop: bool,
    /// What we call ourselves.
    pub(crate) hostname: Option<String>,
    pub(crate) graceful_restart: Option<RestartOffer>,
    /// What we are to an external peer.
    pub(crate) role: Option<Role>,
    /// The peer has to say its role.
    pub(crate) role_strict: bool,
}

/// Our side of graceful restart towards one neighbour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestartOffer {
    pub(crate) time: u16,
    pub(crate) notification: bool,
    /// We have just restarted (R bit).
    pub(crate) restarting: bool,
    /// What we had from this neighbour is still forwarding (F bit of every family).
    pub(crate) forwarding: bool,
    /// Seconds that our routes may outlive the restart time; 0: no long-lived graceful restart.
    pub(crate) long_lived: u32,
}

/// The session's agreement: what both sides can do, and who the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's identifier.
    pub router_id: RouterId,
    /// The peer's AS number.
    pub asn: Asn,
    /// The peer is in another AS.
    pub external: bool,
    /// Agreed hold time in seconds: the lower of both; 0 means that no keepalives are sent.
    pub hold_time: u16,
    /// Families that both sides want.
    pub families: FamilySet,
    /// Families in which the peer's routes have path identifiers (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Families in which ours have.
    pub add_path_send: FamilySet,
    /// AS numbers take four octets.
    pub four_octet_as: bool,
    /// The peer answers ROUTE-REFRESH.
    pub route_refresh: bool,
    /// Both sides mark begin and end of a refresh (RFC 7313).
    pub enhanced_refresh: bool,
    /// UPDATE messages may be longer than 4096 octets (RFC 8654).
    pub extended_message: bool,
    /// Families whose routes may have an IPv6 next hop although they are not IPv6 (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// Both sides take a link-local next hop without a global one (draft-ietf-idr-linklocal-capability).
    pub link_local_next_hop: bool,
    /// The peer's graceful restart capability, if both sides have it.
    pub graceful_restart: Option<GracefulRestart>,
    /// The peer's long-lived graceful restart, if both sides have it and the other one too (RFC 9494 §4.1).
    pub long_lived: Option<Vec<LongLived>>,
    /// Both sides keep routes also after a NOTIFICATION (RFC 8538).
    pub notification_restart: bool,
    /// What we are to the peer, if it is external and we were told so (RFC 9234).
    pub role: Option<Role>,
    /// What the peer says it is to us.
    pub peer_role: Option<Role>,
    /// The peer's OPEN.
    pub peer_open: Open,
}

impl Negotiated {
    /// The longest UPDATE that this peer takes.
    pub fn max_message(&self) -> usize {
        if self.extended_message { MAX_EXTENDED_MESSAGE } else { MAX_MESSAGE }
    }

    /// How long the peer's routes may outlive its connection; `None` if they may not.
    pub fn restart_time(&self) -> Option<Duration> {
        self.graceful_restart.as_ref().map(|restart| Duration::from_secs(u64::from(restart.time)))
    }
}

impl Offer {
    pub(crate) fn open(&self) -> Open {
        let mut capabilities: Vec<Capability> =
            self.families.iter().map(Capability::Multiprotocol).collect();
        capabilities.push(Capability::RouteRefresh);
        capabilities.push(Capability::EnhancedRouteRefresh);
        capabilities.push(Capability::ExtendedMessage);
        capabilities.push(Capability::FourOctetAs(self.asn));
        let receive = if self.add_path_receive { CAN_RECEIVE } else { 0 };
        let send = if self.add_path_send { CAN_SEND } else { 0 };
        let mode = receive | send;
        if mode != 0 {
            let families = self.families.iter().map(|family| (family, mode)).collect();
            capabilities.push(Capability::AddPath(families));
        }
        if self.extended_next_hop {
            let entry = ExtendedNextHop { family: AfiSafi::IPV4_UNICAST, next_hop_afi: AFI_IPV6 };
            capabilities.push(Capability::ExtendedNextHop(vec![entry]));
        }
        if let Some(role) = self.role.filter(|_| self.remote_as.may_be_external(self.asn)) {
            capabilities.push(Capability::Role(role));
        }
        if let Some(host) = self.hostname.clone() {
            capabilities.push(Capability::Hostname { host, domain: String::new() });
        }
        if self.link_local_next_hop {
            capabilities.push(Capability::LinkLocalNextHop);
        }
        if let Some(restart) = self.graceful_restart {
            capabilities.push(Capability::GracefulRestart(GracefulRestart {
                restarting: restart.restarting,
                notification: restart.notification,
                time: restart.time,
                families: self.families.iter().map(|family| (family, restart.forwarding)).collect(),
            }));
            if restart.long_lived > 0 {
                let (forwarding, time) = (restart.forwarding, restart.long_lived);
                let long_lived = |family| LongLived { family, forwarding, time };
                let families = self.families.iter().map(long_lived).collect();
                capabilities.push(Capability::LongLivedGracefulRestart(families));
            }
        }
        Open { asn: self.asn, hold_time: self.hold_time, router_id: self.router_id, capabilities }
    }

    /// Judges the peer's OPEN.
    pub(crate) fn negotiate(&self, theirs: &Open) -> Result<Negotiated, Notification> {
        if !self.remote_as.accepts(self.asn, theirs.asn) {
            return Err(Notification::bad_peer_as());
        }
        let external = theirs.asn != self.asn;
        if external && theirs.asn == self.own_as {
            return Err(Notification::bad_peer_as());
        }
        // RFC 6286 §2.1: unique within an AS.
        if !external && theirs.router_id == self.router_id {
            return Err(Notification::bad_bgp_identifier());
        }
        let families = self.families.intersection(offered_families(theirs));
        if families.is_empty() {
            return Err(self.unsupported_capability());
        }
        let role = self.role.filter(|_| external);
        let peer_role = peer_role(theirs)?;
        match (role, peer_role) {
            (Some(role), Some(theirs)) if theirs != role.counterpart() => {
                return Err(Notification::role_mismatch());
            }
            (Some(_), None) if self.role_strict => return Err(Notification::role_mismatch()),
            _ => {}
        }
        let has = |wanted: &Capability| theirs.capabilities.contains(wanted);
        let graceful_restart =
            theirs.capabilities.iter().rev().find_map(|capability| match capability {
                Capability::GracefulRestart(restart) => Some(restart.clone()),
                _ => None,
            });
        let ours = self.graceful_restart;
        let graceful_restart = graceful_restart.filter(|_| ours.is_some());
        let long_lived = theirs.capabilities.iter().rev().find_map(|capability| match capability {
            Capability::LongLivedGracefulRestart(families) => Some(families.clone()),
            _ => None,
        });
        let long_lived = long_lived
            .filter(|_| graceful_restart.is_some() && ours.is_some_and(|ours| ours.long_lived > 0));
        let notification_restart = ours.is_some_and(|ours| ours.notification)
            && graceful_restart.as_ref().is_some_and(|restart| restart.notification);
        Ok(Negotiated {
            router_id: theirs.router_id,
            asn: theirs.asn,
            external,
            hold_time: self.hold_time.min(theirs.hold_time),
            families,
            add_path_receive: if self.add_path_receive {
                add_path(theirs, CAN_SEND).intersection(families)
            } else {
                FamilySet::EMPTY
            },
            add_path_send: if self.add_path_send {
                add_path(theirs, CAN_RECEIVE).intersection(families)
            } else {
                FamilySet::EMPTY
            },
            four_octet_as: has(&Capability::FourOctetAs(theirs.asn)),
            route_refresh: has(&Capability::RouteRefresh),
            enhanced_refresh: has(&Capability::RouteRefresh)
                && has(&Capability::EnhancedRouteRefresh),
            extended_message: has(&Capability::ExtendedMessage),
            extended_next_hop: if self.extended_next_hop {
                extended_next_hop(theirs).intersection(families)
            } else {
                FamilySet::EMPTY
            },
            link_local_next_hop: self.link_local_next_hop && has(&Capability::LinkLocalNextHop),
            graceful_restart,
            long_lived,
            notification_restart,
            role,
            peer_role,
            peer_open: theirs.clone(),
        })
    }

    /// RFC 5492 §5: the data lists what we cannot do without.
    fn unsupported_capability(&self) -> Notification {
        let mut wanted = Vec::new();
        for family in self.families.iter() {
            Capability::Multiprotocol(family).encode(&mut wanted);
        }
        Notification::unsupported_capability(wanted)
    }
}

/// A speaker has one role, however often it says so (RFC 9234 §4.2).
fn peer_role(open: &Open) -> Result<Option<Role>, Notification> {
    let mut roles = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::Role(role) => Some(*role),
        _ => None,
    });
    let role = roles.next();
    if roles.any(|other| Some(other) != role) {
        return Err(Notification::role_mismatch());
    }
    Ok(role)
}

/// A speaker without the multiprotocol capability means IPv4 unicast (RFC 4760 §8).
fn offered_families(open: &Open) -> FamilySet {
    let offered = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::Multiprotocol(family) => Some(*family),
        _ => None,
    });
    let mut offered = offered.peekable();
    if offered.peek().is_none() {
        return FamilySet::from_iter([AfiSafi::IPV4_UNICAST]);
    }
    offered.collect()
}

/// Families for which a peer says this of itself. Of several entries for one family, the first counts.
fn add_path(open: &Open, wanted: u8) -> FamilySet {
    let entries = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::AddPath(entries) => Some(entries),
        _ => None,
    });
    let (mut seen, mut found) = (FamilySet::EMPTY, FamilySet::EMPTY);
    for (family, mode) in entries.flatten() {
        if !seen.contains(*family) && mode & wanted != 0 {
            found.insert(*family);
        }
        seen.insert(*family);
    }
    found
}

fn extended_next_hop(open: &Open) -> FamilySet {
    let entries = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::ExtendedNextHop(entries) => Some(entries),
        _ => None,
    });
    entries
        .flatten()
        .filter(|entry| entry.next_hop_afi == AFI_IPV6)
        .map(|entry| entry.family)
        .collect()
}

/// The end of a session by the operator; routes are not to be kept even if RFC 8538 would have them kept.
pub(crate) fn farewell(
    reason: CeaseReason,
    text: Option<&str>,
    notification_restart: bool,
) -> Notification {
    let cease = text.filter(|text| !text.is_empty()).map_or_else(
        || Notification::cease(reason),
        |text| Notification::cease_with_text(reason, text),
    );
    if notification_restart { cease.into_hard_reset() } else { cease }
}

#[cfg(test)]
#[path = "negotiate/tests.rs"]
mod tests;
