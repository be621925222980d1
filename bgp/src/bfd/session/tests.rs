//! The rules of RFC 5880 §6.8, one by one: a single session, and the packets of a peer that the test makes up.

use super::*;

const FAST: Intervals = Intervals {
    min_tx: Duration::from_millis(50),
    min_rx: Duration::from_millis(50),
    multiplier: 3,
};

/// A session and its clock.
struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn new(intervals: Intervals) -> Self {
        let now = test_clock();
        let mut bench = Self { session: Session::new(7, intervals, now), now };
        bench.session.handle_timeout(now);
        bench.session.poll_transmit(now).unwrap();
        bench
    }

    fn up(intervals: Intervals) -> Self {
        let mut bench = Self::new(intervals);
        bench.hear(packet(SessionState::Down));
        bench.hear(packet(SessionState::Init));
        bench.hear(ControlPacket { is_final: true, ..packet(SessionState::Up) });
        assert_eq!(bench.session.state(), SessionState::Up);
        while bench.session.poll_transmit(bench.now).is_some() {}
        bench
    }

    fn hear(&mut self, packet: ControlPacket) -> Option<ControlPacket> {
        // Whether it counts is what tests look at.
        let _ = self.session.handle_packet(&packet, self.now);
        self.session.poll_transmit(self.now)
    }

    /// When the next packet is sent if nothing is heard, and the packet.
    fn next_packet(&mut self) -> (Duration, ControlPacket) {
        let start = self.now;
        loop {
            if let Some(packet) = self.session.poll_transmit(self.now) {
                return (self.now - start, packet);
            }
            self.now = self.session.next_timeout().unwrap();
            self.session.handle_timeout(self.now);
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.session.handle_timeout(self.now);
    }
}

/// What a peer says that knows us, with 3 x 50 ms.
fn packet(state: SessionState) -> ControlPacket {
    ControlPacket {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: 3,
        my_discriminator: 9,
        your_discriminator: 7,
        desired_min_tx: Duration::from_millis(50),
        required_min_rx: Duration::from_millis(50),
        required_min_echo_rx: Duration::ZERO,
    }
}

#[test]
fn the_state_machine_is_that_of_the_figure_in_6_2() {
    use SessionState::{AdminDown, Down, Init, Up};
    let start = |state| match state {
        Down => Bench::new(FAST),
        Up => Bench::up(FAST),
        Init => {
            let mut bench = Bench::new(FAST);
            bench.hear(packet(Down));
            bench
        }
        AdminDown => {
            let mut bench = Bench::new(FAST);
            bench.session.take_down(bench.now);
            bench
        }
    };
    for (from, heard, to) in [
        (Down, AdminDown, Down),
        (Down, Down, Init),
        (Down, Init, Up),
        (Down, Up, Down),
        (Init, AdminDown, Down),
        (Init, Down, Init),
        (Init, Init, Up),
        (Init, Up, Up),
        (Up, AdminDown, Down),
        (Up, Down, Down),
        (Up, Init, Up),
        (Up, Up, Up),
        (AdminDown, Down, AdminDown),
        (AdminDown, Up, AdminDown),
    ] {
        let mut bench = start(from);
        assert_eq!(bench.session.state(), from);
        bench.hear(packet(heard));
        assert_eq!(bench.session.state(), to, "{from} and then {heard}");
    }
}

#[test]
fn whoever_is_not_up_says_and_keeps_at_least_one_second() {
    let mut bench = Bench::new(FAST);
    let (after, packet) = bench.next_packet();
    assert_eq!(packet.desired_min_tx, SLOW);
    assert!((750..=1000).contains(&after.as_millis()), "{after:?}");
}

#[test]
fn jitter_takes_up_to_a_quarter_away_and_at_least_a_tenth_if_the_multiplier_is_one() {
    for (multiplier, most) in [(3, 100), (1, 90)] {
        let mut bench =
            Bench::up(Intervals { min_tx: Duration::from_millis(100), multiplier, ..FAST });
        let mut seen: Vec<u128> = Vec::new();
        for _ in 0..200 {
            let (after, _) = bench.next_packet();
            bench.hear(packet(SessionState::Up));
            seen.push(after.as_millis());
        }
        let (least, greatest) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
        assert!((75..80).contains(least), "{least}");
        assert!((most - 5..=most).contains(greatest), "{greatest}");
    }
}

#[test]
fn the_peer_decides_how_fast_it_is_sent_to() {
    let mut bench = Bench::up(FAST);
    let slow = Duration::from_millis(400);
    bench.hear(ControlPacket { required_min_rx: slow, ..packet(SessionState::Up) });
    bench.next_packet();
    bench.hear(ControlPacket { required_min_rx: slow, ..packet(SessionState::Up) });
    // Long enough for that: the detection time is not what this is about.
    let mut unheard = packet(SessionState::Up);
    unheard.desired_min_tx = Duration::from_secs(9);
    unheard.required_min_rx = slow;
    bench.hear(unheard);
    let (after, _) = bench.next_packet();
    assert!((300..=400).contains(&after.as_millis()), "{after:?}");
}

#[test]
fn a_peer_that_wants_no_packets_gets_none() {
    let mut bench = Bench::up(FAST);
    bench.hear(ControlPacket { required_min_rx: Duration::ZERO, ..packet(SessionState::Up) });
    bench.wait(100);
    assert_eq!(bench.session.poll_transmit(bench.now), None);
}

#[test]
fn the_detection_time_is_the_peers_multiplier_times_the_slower_of_both_paces() {
    let heard = ControlPacket {
        desired_min_tx: Duration::from_millis(80),
        detect_multiplier: 5,
        ..packet(SessionState::Up)
    };
    let mut bench = Bench::up(FAST);
    bench.hear(heard);
    assert_eq!(bench.session.detection_time(), Some(Duration::from_millis(400)));
    bench.wait(399);
    assert_eq!(bench.session.state(), SessionState::Up);
    bench.wait(1);
    assert_eq!(bench.session.state(), SessionState::Down);
    assert_eq!(bench.session.diagnostic(), Diagnostic::DETECTION_TIME_EXPIRED);
    let (_, packet) = bench.next_packet();
    assert_eq!((packet.state, packet.your_discriminator), (SessionState::Down, 0));
    assert_eq!(packet.diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
}

#[test]
fn a_change_of_state_is_told_at_once() {
    let mut bench = Bench::up(FAST);
    let told = bench.hear(packet(SessionState::Down)).unwrap();
    assert_eq!(told.state, SessionState::Down);
    assert_eq!(told.diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
    assert_eq!(told.desired_min_tx, SLOW);
}

#[test]
fn a_poll_is_answered_at_once_and_never_with_a_poll() {
    let mut bench = Bench::new(FAST);
    bench.hear(packet(SessionState::Down));
    // Ours is open now: going up asks for the fast pace.
    bench
        .session
        .handle_packet(&ControlPacket { poll: true, ..packet(SessionState::Init) }, bench.now)
        .unwrap();
    let first = bench.session.poll_transmit(bench.now).unwrap();
    let second = bench.session.poll_transmit(bench.now).unwrap();
    assert!(first.is_final && !first.poll, "{first:?}");
    assert!(second.poll && !second.is_final, "{second:?}");
    assert_eq!(second.desired_min_tx, FAST.min_tx);
    // Until it is answered.
    assert!(bench.next_packet().1.poll);
    bench.hear(ControlPacket { is_final: true, ..packet(SessionState::Up) });
    assert!(!bench.next_packet().1.poll);
}

#[test]
fn a_slower_pace_holds_only_once_the_peer_has_confirmed_it() {
    let mut bench = Bench::up(FAST);
    bench.next_packet();
    let slow = Intervals { min_tx: Duration::from_millis(500), ..FAST };
    bench.session.set_intervals(slow, bench.now);
    let patient =
        ControlPacket { desired_min_tx: Duration::from_secs(9), ..packet(SessionState::Up) };
    bench.hear(patient);
    for _ in 0..3 {
        let (after, packet) = bench.next_packet();
        assert!(after <= Duration::from_millis(50), "{after:?}");
        assert!(packet.poll);
        assert_eq!(packet.desired_min_tx, slow.min_tx);
    }
    bench.hear(ControlPacket { is_final: true, ..patient });
    bench.next_packet();
    let (after, packet) = bench.next_packet();
    assert!((375..=500).contains(&after.as_millis()), "{after:?}");
    assert!(!packet.poll);
}

#[test]
fn a_shorter_detection_time_holds_only_once_the_peer_has_confirmed_it() {
    let slow = Intervals { min_rx: Duration::from_millis(500), ..FAST };
    let mut bench = Bench::up(slow);
    assert_eq!(bench.session.detection_time(), Some(Duration::from_millis(1500)));
    bench.session.set_intervals(FAST, bench.now);
    bench.hear(packet(SessionState::Up));
    assert_eq!(bench.session.detection_time(), Some(Duration::from_millis(1500)));
    bench.hear(ControlPacket { is_final: true, ..packet(SessionState::Up) });
    assert_eq!(bench.session.detection_time(), Some(Duration::from_millis(150)));
}

#[test]
fn an_answer_to_an_earlier_question_does_not_end_the_poll_for_a_later_one() {
    let mut bench = Bench::up(FAST);
    let slower = |milliseconds| Intervals { min_tx: Duration::from_millis(milliseconds), ..FAST };
    bench.session.set_intervals(slower(100), bench.now);
    bench.session.set_intervals(slower(200), bench.now);
    bench.hear(ControlPacket { is_final: true, ..packet(SessionState::Up) });
    assert!(bench.next_packet().1.poll);
    bench.hear(ControlPacket { is_final: true, ..packet(SessionState::Up) });
    assert!(!bench.next_packet().1.poll);
}

#[test]
fn a_peer_in_demand_mode_hears_only_polls_and_answers() {
    let mut bench = Bench::up(FAST);
    let demand = ControlPacket { demand: true, ..packet(SessionState::Up) };
    bench.hear(demand);
    bench.wait(60);
    assert_eq!(bench.session.poll_transmit(bench.now), None);
    let answer = bench.hear(ControlPacket { poll: true, ..demand }).unwrap();
    assert!(answer.is_final);
    // We go on listening: the peer sends, since we did not ask it not to.
    bench.wait(150);
    assert_eq!(bench.session.state(), SessionState::Down);
}

#[test]
fn a_session_that_is_taken_down_says_so_and_hears_nothing_more() {
    let mut bench = Bench::up(FAST);
    bench.session.take_down(bench.now);
    let told = bench.session.poll_transmit(bench.now).unwrap();
    assert_eq!(told.state, SessionState::AdminDown);
    assert_eq!(told.diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
    let outcome = bench.session.handle_packet(&packet(SessionState::Down), bench.now);
    assert_eq!(outcome, Err(Discard::AdminDown));
    bench.wait(10_000);
    assert_eq!(bench.session.state(), SessionState::AdminDown);
}

#[test]
fn we_return_no_echo_and_ask_for_no_demand_mode() {
    let mut bench = Bench::up(FAST);
    let (_, packet) = bench.next_packet();
    assert_eq!(packet.required_min_echo_rx, Duration::ZERO);
    assert!(!packet.demand);
}

#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
fn test_clock() -> Instant {
    Instant::now()
}
