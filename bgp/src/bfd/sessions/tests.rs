//! Two ends of a path, a virtual clock, and packets that the test may lose or damage.

use std::net::Ipv4Addr;

use super::*;

const FAST: Intervals = Intervals {
    min_tx: Duration::from_millis(50),
    min_rx: Duration::from_millis(50),
    multiplier: 3,
};

/// Address of an end: 192.0.2.1 and 192.0.2.2.
fn address(end: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, if end == 0 { 1 } else { 2 }).into()
}

struct Path {
    now: Instant,
    ends: [Sessions; 2],
    changes: [Vec<Change>; 2],
    /// Packets to this end are lost.
    deaf: [bool; 2],
    hop_limit: u8,
    delivered: usize,
}

impl Path {
    fn new() -> Self {
        let now = test_clock();
        Self {
            now,
            ends: [Sessions::new(1), Sessions::new(2)],
            changes: [Vec::new(), Vec::new()],
            deaf: [false, false],
            hop_limit: 255,
            delivered: 0,
        }
    }

    fn up() -> Self {
        let mut path = Self::new();
        path.start(0, FAST);
        path.start(1, FAST);
        path.pass(3000);
        assert_eq!(path.states(), [SessionState::Up; 2]);
        path
    }

    fn start(&mut self, end: usize, intervals: Intervals) {
        self.ends[end].start(Peer::new(address(1 - end), 0, false), intervals, self.now);
    }

    fn stop(&mut self, end: usize) {
        self.ends[end].stop(&Peer::new(address(1 - end), 0, false), self.now);
    }

    fn view(&self, end: usize) -> SessionView {
        self.ends[end].get(&Peer::new(address(1 - end), 0, false)).unwrap()
    }

    fn states(&self) -> [SessionState; 2] {
        [self.view(0).state, self.view(1).state]
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for from in [0, 1] {
                while let Some((peer, packet)) = self.ends[from].poll_transmit(self.now) {
                    assert_eq!(peer.address, address(1 - from));
                    moved = true;
                    self.deliver(from, &packet.encode());
                }
                while let Some(change) = self.ends[from].poll_change() {
                    self.changes[from].push(change);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self, from: usize, octets: &[u8]) {
        let arrival = Arrival {
            source: address(from),
            interface: 2,
            multihop: false,
            hop_limit: self.hop_limit,
        };
        let to = 1 - from;
        if !self.deaf[to] && self.ends[to].handle_packet(&arrival, octets, self.now).is_ok() {
            self.delivered += 1;
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.settle();
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(next) = self.ends.iter().filter_map(Sessions::poll_timeout).min()
            && next <= end
        {
            self.now = self.now.max(next);
            self.ends.iter_mut().for_each(|sessions| sessions.handle_timeout(self.now));
            self.settle();
        }
        self.now = end;
    }
}

#[test]
fn two_ends_find_each_other_and_then_speed_up() {
    let mut path = Path::up();
    assert_eq!(path.view(0).remote_min_tx, FAST.min_tx);
    assert_eq!(path.view(0).remote_discriminator, path.view(1).discriminator);
    let before = path.delivered;
    path.pass(1000);
    // 20 to 27 each, by jitter.
    assert!((40..=54).contains(&(path.delivered - before)), "{}", path.delivered - before);
}

#[test]
fn a_path_that_fails_is_noticed_within_the_detection_time_and_is_a_failure() {
    let mut path = Path::up();
    path.deaf = [true, true];
    path.pass(100);
    assert_eq!(path.states(), [SessionState::Up; 2]);
    path.pass(50);
    assert_eq!(path.states(), [SessionState::Down; 2]);
    for changes in &path.changes {
        let last = changes.last().unwrap();
        assert!(last.failed);
        assert_eq!(last.session.diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
    }
    path.deaf = [false, false];
    path.pass(3000);
    assert_eq!(path.states(), [SessionState::Up; 2]);
}

#[test]
fn a_path_that_fails_in_one_direction_takes_both_ends_down() {
    let mut path = Path::up();
    path.deaf = [true, false];
    path.pass(200);
    assert_eq!(path.view(0).diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
    assert_eq!(path.view(1).diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
    assert!(path.changes[1].iter().any(|change| change.failed));
}

#[test]
fn an_end_that_is_stopped_has_not_failed_and_its_session_is_forgotten() {
    let mut path = Path::up();
    path.stop(0);
    path.pass(10);
    let heard = path.changes[1].last().unwrap();
    assert_eq!(heard.session.state, SessionState::Down);
    assert_eq!(heard.session.remote_diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
    assert!(path.changes[1].iter().all(|change| !change.failed));
    assert_eq!(path.ends[0].peers().count(), 0);
    path.pass(2000);
    assert_eq!(path.ends[0].sessions.len(), 0);
    assert_eq!(path.ends[0].poll_timeout(), None);
}

#[test]
fn a_session_that_is_stopped_and_started_again_comes_up_with_another_number() {
    let mut path = Path::up();
    let before = path.view(0).discriminator;
    path.stop(0);
    path.start(0, FAST);
    path.pass(4000);
    assert_eq!(path.states(), [SessionState::Up; 2]);
    assert_ne!(path.view(0).discriminator, before);
}

#[test]
fn other_intervals_reach_the_other_end_without_a_failure() {
    let mut path = Path::up();
    let slow = Intervals {
        min_tx: Duration::from_millis(300),
        min_rx: Duration::from_millis(200),
        multiplier: 5,
    };
    path.start(0, slow);
    path.pass(2000);
    let view = path.view(1);
    assert_eq!(view.remote_min_tx, slow.min_tx);
    assert_eq!(view.remote_min_rx, slow.min_rx);
    assert_eq!(view.remote_multiplier, 5);
    path.start(0, FAST);
    path.pass(2000);
    assert!(path.changes.iter().flatten().all(|change| !change.failed));
}

#[test]
fn over_a_single_hop_a_packet_that_passed_a_router_counts_for_nothing() {
    let mut path = Path::new();
    path.hop_limit = 254;
    path.start(0, FAST);
    path.start(1, FAST);
    path.pass(5000);
    assert_eq!(path.delivered, 0);
    let arrival = Arrival { source: address(1), interface: 2, multihop: false, hop_limit: 254 };
    assert_eq!(
        path.ends[0].handle_packet(&arrival, &[], path.now),
        Err(Discard::HopLimit { found: 254, least: 255 })
    );
}

#[test]
fn over_many_hops_the_hop_limit_does_not_matter() {
    let now = test_clock();
    let mut sessions = Sessions::new(1);
    sessions.start(Peer::new(address(1), 0, true), FAST, now);
    let (_, packet) = {
        sessions.handle_timeout(now);
        sessions.poll_transmit(now).unwrap()
    };
    let arrival = Arrival { source: address(1), interface: 2, multihop: true, hop_limit: 3 };
    assert_eq!(sessions.handle_packet(&arrival, &packet.encode(), now), Ok(()));
}

#[test]
fn a_packet_belongs_to_the_session_that_it_names_or_to_the_one_with_its_sender() {
    let mut path = Path::up();
    let (now, ours) = (path.now, path.view(0).discriminator);
    let mut packet = ControlPacket {
        diagnostic: Diagnostic::NONE,
        state: SessionState::Down,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: 3,
        my_discriminator: 77,
        your_discriminator: ours,
        desired_min_tx: FAST.min_tx,
        required_min_rx: FAST.min_rx,
        required_min_echo_rx: Duration::ZERO,
    };
    let arrival = |source| Arrival { source, interface: 2, multihop: false, hop_limit: 255 };
    let stranger: IpAddr = Ipv4Addr::new(192, 0, 2, 9).into();
    let mut hear = |packet: ControlPacket, source| {
        path.ends[0].handle_packet(&arrival(source), &packet.encode(), now)
    };
    assert_eq!(hear(packet, stranger), Err(Discard::WrongPeer));
    packet.your_discriminator = ours ^ 1;
    assert_eq!(hear(packet, address(1)), Err(Discard::NoSession));
    packet.your_discriminator = 0;
    assert_eq!(hear(packet, stranger), Err(Discard::NoSession));
    assert_eq!(hear(packet, address(1)), Ok(()));
    assert_eq!(path.view(0).remote_discriminator, 77);
}

#[test]
fn the_same_link_local_address_on_two_links_is_two_peers() {
    let now = test_clock();
    let mut sessions = Sessions::new(1);
    let link_local: IpAddr = "fe80::1".parse().unwrap();
    for interface in [2, 3] {
        sessions.start(Peer::new(link_local, interface, false), FAST, now);
    }
    assert_eq!(sessions.peers().count(), 2);
    // And a global address is the same one on every link.
    assert_eq!(Peer::new(address(1), 2, false), Peer::new(address(1), 3, false));
}

#[test]
fn of_many_sessions_each_keeps_its_own_time() {
    let now = test_clock();
    let mut sessions = Sessions::new(1);
    let peers: Vec<Peer> = (0..=255u8)
        .map(|last| Peer::new(Ipv4Addr::new(192, 0, 2, last).into(), 0, false))
        .collect();
    for peer in &peers {
        sessions.start(*peer, FAST, now);
    }
    let mut sent = 0;
    let end = now + Duration::from_secs(10);
    let mut at = now;
    while let Some(next) = sessions.poll_timeout()
        && next <= end
    {
        at = at.max(next);
        sessions.handle_timeout(at);
        while sessions.poll_transmit(at).is_some() {
            sent += 1;
        }
    }
    // One a second, at once and jittered, and nobody answers: the heap holds nothing but what is to come.
    assert!((256 * 10..=256 * 14).contains(&sent), "{sent}");
    assert!(sessions.timers.len() <= 2 * peers.len(), "{}", sessions.timers.len());
}

#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
fn test_clock() -> Instant {
    Instant::now()
}
