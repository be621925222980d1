//! Connections, bytes and time into the speaker.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::neighbor::{Asked, Inbound, Neighbor};
use super::{Action, ConnectionId, Event, NeighborId, Speaker};
use crate::policy::Policy;
use crate::rib::adj_out::Mark;
use crate::rib::egress::{EgressPolicy, NextHopRule, SessionKind};
use crate::rib::ingress::Refusal;
use crate::rib::path_rules::PathRules;
use crate::rib::peers::{Peer, Source};
use crate::rib::roles;
use crate::session::negotiate::Negotiated;
use crate::session::{Session, SessionAction, SessionEvent};
use crate::types::AfiSafi;
use crate::wire::{
    AttributeError, FamilySet, Frame, MAX_EXTENDED_MESSAGE, MessageType, NextHop, Notification,
    RouteRefresh, UpdateContext, UpdateView, Verdict, split_message,
};

impl Speaker {
    /// Somebody has connected to us. `None`: nobody that we take; close it.
    pub fn handle_accepted(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        now: Instant,
    ) -> Option<ConnectionId> {
        let index = match self.neighbor_at(remote) {
            Some(index) => index,
            None => self.admit(remote, now)?,
        };
        self.found_at(index, remote, now);
        let id = self.new_connection(index);
        let mut taken = false;
        self.with_session(index, now, |session| {
            taken = session.handle_accepted(id, remote, local, now)
        });
        self.keep_connection(id, taken)
    }

    /// A connection that [`Action::Connect`] asked for stands. `None`: it is no longer wanted; close it.
    pub fn handle_connected(
        &mut self,
        neighbor: NeighborId,
        local: SocketAddr,
        now: Instant,
    ) -> Option<ConnectionId> {
        let remote = self.neighbors.get(neighbor.0 as usize)?.as_ref()?.config.remote();
        let id = self.new_connection(neighbor.0);
        let mut taken = false;
        self.with_session(neighbor.0, now, |session| {
            taken = session.handle_connected(id, remote, local, now);
        });
        self.keep_connection(id, taken)
    }

    /// A connection that [`Action::Connect`] asked for did not come about, for this reason.
    pub fn handle_connect_failed(&mut self, neighbor: NeighborId, reason: String, now: Instant) {
        self.with_session(neighbor.0, now, |session| session.handle_connect_failed(reason, now));
    }

    /// A connection is gone, and [`Action::Close`] did not ask for it.
    pub fn handle_closed(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(inbound) = self.connections.remove(&connection) {
            self.with_session(inbound.neighbor, now, |session| {
                session.handle_closed(connection, now)
            });
        }
    }

    /// Bytes from a connection, in order, cut anywhere.
    pub fn handle_bytes(&mut self, connection: ConnectionId, input: &[u8], now: Instant) {
        let Some(inbound) = self.connections.get_mut(&connection) else { return };
        let index = inbound.neighbor;
        let mut rest = mem::take(&mut inbound.rest);
        let consumed = if rest.is_empty() {
            self.handle_messages(index, connection, input, now)
        } else {
            rest.extend_from_slice(input);
            self.handle_messages(index, connection, &rest, now)
        };
        // Whoever closed the connection in between has forgotten it.
        if let Some(inbound) = self.connections.get_mut(&connection) {
            if rest.is_empty() {
                rest.extend_from_slice(input.get(consumed..).unwrap_or_default());
            } else {
                rest.drain(..consumed);
            }
            inbound.rest = rest;
        }
        self.sweep_if_due();
    }

    /// Time has passed. To be called at [`Self::poll_timeout`]; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wake_at.is_none_or(|at| at > now) || self.stopped {
            return;
        }
        self.wake_at = None;
        for index in 0..self.neighbors.len() {
            let Ok(index) = u32::try_from(index) else { break };
            self.advance_mrai(index, now);
            self.with_session(index, now, |session| session.handle_timeout(now));
            self.expire_retained(index, now);
            self.expire_long_lived(index, now);
            self.dismiss_if_over(index, now);
        }
        self.expire_deferral(now);
        self.tell_stations_counts(now);
    }

    /// Takes whole messages off the front; returns how many bytes that were.
    fn handle_messages(
        &mut self,
        index: u32,
        connection: ConnectionId,
        input: &[u8],
        now: Instant,
    ) -> usize {
        let mut consumed = 0;
        let mut heard = false;
        while let Some(rest) = input.get(consumed..)
            && !rest.is_empty()
        {
            match split_message(rest, MAX_EXTENDED_MESSAGE) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    consumed += frame.len;
                    heard = true;
                    self.handle_message(index, connection, &frame, now);
                }
                Err(notification) => {
                    self.with_session(index, now, |session| {
                        session.fail(connection, notification, now)
                    });
                }
            }
            if !self.connections.contains_key(&connection) {
                break;
            }
        }
        if heard && let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            // Once for all UPDATEs of this chunk.
            neighbor.session.heard_on(connection, now);
        }
        consumed
    }

    fn handle_message(
        &mut self,
        index: u32,
        connection: ConnectionId,
        frame: &Frame<'_>,
        now: Instant,
    ) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.counters.received += 1;
        if frame.kind == MessageType::Update
            && let Some(negotiated) = neighbor.session.established_on(connection)
        {
            let context = UpdateContext {
                four_octet_as: negotiated.four_octet_as,
                external: negotiated.external,
                families: negotiated.families,
                add_path: negotiated.add_path_receive,
            };
            neighbor.counters.updates_received += 1;
            let hard = negotiated.notification_restart;
            self.tell_stations_update(index, frame.body, now);
            if let Err(refusal) = self.handle_update(index, frame.body, &context) {
                self.end_session(index, connection, refusal, hard, now);
            }
            return;
        }
        self.with_session(index, now, |session| {
            session.handle_message(connection, frame.kind, frame.body, now)
        });
    }

    fn handle_update(
        &mut self,
        index: u32,
        body: &[u8],
        context: &UpdateContext,
    ) -> Result<(), Refusal> {
        let view = UpdateView::parse(body, context)?;
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return Ok(()) };
        let Some((_, local, ..)) = neighbor.session.established() else { return Ok(()) };
        if let Some(family) = view.end_of_rib() {
            self.handle_end_of_rib(index, family);
            return Ok(());
        }
        let receiver = self.receiver(neighbor, local);
        let has_limits = !neighbor.config.maximum_prefix.is_empty();
        if let Verdict::TreatAsWithdraw(error) = view.verdict {
            self.note_defect(index, error);
        }
        let source = Source::neighbor(index);
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return Ok(()) };
        let imports = &mut neighbor.imports;
        self.tables.update(&view, source, &receiver, imports, &self.peers, &mut self.interner)?;
        if has_limits {
            self.check_limits(index);
        }
        Ok(())
    }

    /// `hard`: the peer would keep the routes of a session that ends with a NOTIFICATION (RFC 8538).
    pub(super) fn end_session(
        &mut self,
        index: u32,
        connection: ConnectionId,
        refusal: Refusal,
        hard: bool,
        now: Instant,
    ) {
        match refusal {
            Refusal::Broken(notification) => self.with_session(index, now, |session| {
                session.fail(connection, notification, now);
            }),
            Refusal::TooMany { family, limit } => {
                let until = self.note_over_limit(index, family, now);
                let cease = Notification::maximum_prefixes(family, limit);
                let cease = if hard { cease.into_hard_reset() } else { cease };
                self.with_session(index, now, |session| {
                    session.fail(connection, cease, now);
                    session.rest(until);
                });
            }
        }
    }

    /// A peer that sends nothing but defects must not fill the log: the first is told, then the 2nd, 4th, 8th ...
    fn note_defect(&mut self, index: u32, error: AttributeError) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        neighbor.counters.treated_as_withdraw += 1;
        let count = neighbor.counters.treated_as_withdraw;
        if count.is_power_of_two() {
            tracing::warn!(neighbor = %neighbor.config.address, %error, count, "update treated as withdraw");
        }
    }

    // Sessions.

    /// Does something with a session, then everything that follows from it.
    pub(super) fn with_session(
        &mut self,
        index: u32,
        now: Instant,
        act: impl FnOnce(&mut Session),
    ) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        act(&mut neighbor.session);
        while let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) {
            if let Some(event) = neighbor.session.poll_event() {
                self.handle_session_event(index, event, now);
            } else if let Some(action) = neighbor.session.poll_action() {
                self.handle_session_action(index, action);
            } else {
                let next = neighbor.next_timeout();
                self.wake_at = [self.wake_at, next].into_iter().flatten().min();
                break;
            }
        }
        self.dismiss_if_over(index, now);
    }

    fn handle_session_action(&mut self, index: u32, action: SessionAction) {
        match action {
            SessionAction::Connect => {
                let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
                self.actions.push_back(Action::Connect {
                    neighbor: NeighborId(index),
                    remote: neighbor.config.remote(),
                    local: neighbor.config.local_address,
                    transport: neighbor.config.transport(self.config.asn),
                });
            }
            SessionAction::Close { connection, last_words } => {
                self.connections.remove(&connection);
                self.actions.push_back(Action::Close { connection, last_words });
            }
        }
    }

    fn handle_session_event(&mut self, index: u32, event: SessionEvent, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let (address, name) = (neighbor.config.address, neighbor.config.name());
        match event {
            SessionEvent::Up(negotiated) => {
                tracing::info!(neighbor = %name, asn = %negotiated.asn, "session up");
                neighbor.asked = Asked::default();
                if let Some((connection, session)) = neighbor.session.save() {
                    let session = Box::new(session);
                    self.actions.push_back(Action::Keep { connection, session });
                }
                self.ask_who_does_not_say_the_end(index, &negotiated);
                self.session_up(index, negotiated, Mark::EndOfRib, now);
            }
            SessionEvent::Resumed(negotiated) => {
                tracing::info!(neighbor = %name, asn = %negotiated.asn, "session resumed");
                self.expect_answers(index, &negotiated);
                self.session_up(index, negotiated, Mark::Resume, now);
                self.presume_sent(index);
            }
            SessionEvent::Down { reason, negotiated, keep_routes } => {
                self.tell_stations_down(index, &negotiated, &reason, now);
                self.end_routes(index, &negotiated, keep_routes, now);
                tracing::info!(neighbor = %name, %reason, keep_routes, "session down");
                self.events.push_back(Event::SessionDown {
                    neighbor: NeighborId(index),
                    address,
                    reason,
                    routes_kept: keep_routes,
                });
            }
            SessionEvent::Refresh(refresh) => self.handle_refresh(index, refresh, now),
        }
    }

    /// Routes flow; `mark` is what stands around our first ones.
    fn session_up(&mut self, index: u32, negotiated: Arc<Negotiated>, mark: Mark, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize) else { return };
        let address = neighbor.config.address;
        neighbor.complete = FamilySet::EMPTY;
        neighbor.mrai.reset();
        neighbor.counters.established += 1;
        self.tell_stations_up(index, now);
        if let Some(Some(neighbor)) = self.neighbors.get_mut(index as usize)
            && let Some(restart) = &mut neighbor.session.offer_mut().graceful_restart
        {
            // From here on there is something that can go on forwarding.
            restart.forwarding = true;
        }
        self.begin_routes(index, &negotiated, mark, now);
        let neighbor = NeighborId(index);
        self.events.push_back(Event::SessionUp { neighbor, address, negotiated });
        self.start_bfd(index);
        self.check_deferral();
    }

    /// The neighbour gets our routes, and its own count.
    fn begin_routes(&mut self, index: u32, negotiated: &Negotiated, mark: Mark, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let Some((_, local, remote, _)) = neighbor.session.established() else { return };
        let address = neighbor.config.address;
        let peer = Peer {
            external: negotiated.external,
            client: neighbor.config.route_reflector_client,
            asn: negotiated.asn,
            router_id: negotiated.router_id,
            address,
            scope_id: scope_id(remote),
        };
        let policies = self.egress_policies(neighbor, negotiated, local.ip());
        let originates_default = neighbor.config.default_originate;
        let add_path = neighbor.config.add_path_send;
        self.peers.set(index, peer);
        self.set_limits(index);
        self.set_imports(index, negotiated);
        self.keep_confirmed_families(index, negotiated, now);
        for (family, policy) in policies {
            let policy = self.egress.policy(policy);
            if let Some(table) = self.tables.get_mut(family) {
                let add_path = add_path.filter(|_| negotiated.add_path_send.contains(family));
                table.listen(index, policy, address, add_path, mark);
                if originates_default {
                    table.originate_default(index);
                }
            }
        }
    }

    pub(super) fn egress_policies(
        &self,
        neighbor: &Neighbor,
        negotiated: &Negotiated,
        local: IpAddr,
    ) -> Vec<(AfiSafi, EgressPolicy)> {
        let policy = |family| (family, self.egress_policy(neighbor, negotiated, family, local));
        negotiated.families.iter().map(policy).collect()
    }

    fn egress_policy(
        &self,
        neighbor: &Neighbor,
        negotiated: &Negotiated,
        family: AfiSafi,
        local: IpAddr,
    ) -> EgressPolicy {
        let ours = own_next_hop(local, negotiated);
        let config = &neighbor.config;
        let next_hop = if family == AfiSafi::L2VPN_EVPN {
            NextHopRule::Unchanged
        } else if negotiated.external && !config.next_hop_unchanged {
            NextHopRule::Always(ours)
        } else if config.next_hop_self {
            NextHopRule::OfExternal(ours)
        } else {
            NextHopRule::IfUnspecified(ours)
        };
        let export = config.policy.export(family, negotiated.external);
        EgressPolicy {
            family,
            local_asn: self.config.asn,
            cluster: self.config.cluster_id.unwrap_or(self.config.router_id.0),
            session: if negotiated.external {
                let theirs = negotiated.asn;
                SessionKind::External {
                    avoid: (config.sender_side_loop_check && !config.as_override).then_some(theirs),
                    path: PathRules {
                        override_as: config.as_override.then_some(theirs),
                        remove_private: config.remove_private_as.map(|remove| (remove, theirs)),
                        as_path_unchanged: config.as_path_unchanged,
                        med_unchanged: config.med_unchanged,
                        local_as: config.local_as,
                    },
                }
            } else {
                SessionKind::Internal { client: config.route_reflector_client }
            },
            next_hop,
            extended_next_hop: negotiated.extended_next_hop.contains(family),
            role: negotiated.role.filter(|_| roles::apply_to(family)),
            long_lived: negotiated.long_lived.is_some(),
            graceful_shutdown: self.config.graceful_shutdown || neighbor.graceful_shutdown,
            own_address: matches!(export, Policy::Map(_)).then_some(ours),
            asks_for_peer: matches!(&export, Policy::Map(map) if map.asks_for_peer()),
            export,
        }
    }

    fn handle_refresh(&mut self, index: u32, refresh: RouteRefresh, now: Instant) {
        let Some(Some(neighbor)) = self.neighbors.get(index as usize) else { return };
        let Some((negotiated, ..)) = neighbor.session.established() else { return };
        if !negotiated.families.contains(refresh.family) {
            return;
        }
        let mark = if negotiated.enhanced_refresh { Mark::Refresh } else { Mark::Silent };
        match refresh.subtype {
            RouteRefresh::REQUEST => {
                if let Some(table) = self.tables.get_mut(refresh.family) {
                    table.send_all(index, mark);
                }
            }
            RouteRefresh::BEGIN if mark == Mark::Refresh => {
                self.expect_all_again(index, refresh.family, now);
                self.handle_answer_begun(index, refresh.family);
            }
            RouteRefresh::END if mark == Mark::Refresh => {
                self.drop_unconfirmed(index, refresh.family);
                self.handle_answer_ended(index, refresh.family);
                self.tell_stations_end_of_rib(index, refresh.family, now);
            }
            _ => {}
        }
    }

    // Connections.

    pub(super) fn new_connection(&mut self, neighbor: u32) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(id, Inbound { neighbor, rest: Vec::new() });
        id
    }

    pub(super) fn keep_connection(
        &mut self,
        id: ConnectionId,
        taken: bool,
    ) -> Option<ConnectionId> {
        if !taken {
            self.connections.remove(&id);
        }
        taken.then_some(id)
    }
}

/// The interface that a link-local address belongs to; 0 for others.
pub(super) fn scope_id(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => address.scope_id(),
        _ => 0,
    }
}

/// Ourselves as next hop. A link-local address stands twice, as FRR has it, for peers that expect a global one before it;
/// those that say so take it alone (draft-ietf-idr-linklocal-capability §3).
fn own_next_hop(local: IpAddr, negotiated: &Negotiated) -> NextHop {
    match local {
        IpAddr::V6(address) if address.is_unicast_link_local() => NextHop::V6 {
            global: address,
            link_local: (!negotiated.link_local_next_hop).then_some(address),
        },
        _ => NextHop::from(local),
    }
}
