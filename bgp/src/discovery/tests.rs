use std::time::Duration;

use super::*;

const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const PEER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const THIRD: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
const SWP1: u32 = 11;
const ADVERTISEMENT: Message = Message::Advertisement { lifetime: ROUTER_LIFETIME };

/// A router that looks for its neighbour on swp1, and a clock.
struct World {
    discovery: Discovery,
    now: Instant,
}

impl World {
    /// The link came up just now, and nothing was sent yet.
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let mut world = Self { discovery: Discovery::new(1), now: Instant::now() };
        world.link(Some(OWN));
        world
    }

    /// The same, with a neighbour, and what is said in the first minute is said.
    fn with_neighbor() -> Self {
        let mut world = Self::new();
        world.hears(PEER, ADVERTISEMENT);
        world.passes(60);
        assert_eq!(world.seen().map(|seen| seen.neighbor), Some(Some(PEER)));
        world
    }

    fn link(&mut self, link_local: Option<Ipv6Addr>) {
        let mac = Some(MacAddr(2, 0, 0, 0, 0, 1));
        let interface = link_local.map(|link_local| Interface { index: SWP1, link_local, mac });
        self.discovery.handle_interface("swp1", interface, self.now);
    }

    fn hears(&mut self, source: Ipv6Addr, message: Message) {
        let octets = message.encode(None);
        let packet = Packet { interface: SWP1, source, hop_limit: HOP_LIMIT, octets: &octets };
        self.discovery.handle_packet(&packet, self.now).unwrap();
    }

    /// Lets seconds pass; what was sent in them, as (milliseconds from the beginning, destination, what).
    fn passes(&mut self, seconds: u64) -> Vec<(u128, Ipv6Addr, &'static str)> {
        let begin = self.now;
        let end = begin + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        loop {
            self.discovery.handle_timeout(self.now);
            while let Some(transmit) = self.discovery.poll_transmit() {
                assert_eq!(transmit.interface, SWP1);
                let what = if transmit.octets[0] == 133 { "RS" } else { "RA" };
                sent.push((self.now.duration_since(begin).as_millis(), transmit.destination, what));
            }
            match self.discovery.poll_timeout() {
                Some(at) if at <= end => self.now = at,
                _ => break,
            }
        }
        self.now = end;
        sent
    }

    /// What is known last, if that is new.
    fn seen(&mut self) -> Option<Sighting> {
        std::iter::from_fn(|| self.discovery.poll_sighting()).last()
    }
}

#[test]
fn a_link_that_comes_up_is_advertised_and_solicited_at_once() {
    let mut world = World::new();
    let sent = world.passes(0);
    assert_eq!(sent, [(0, ALL_NODES, "RA"), (0, ALL_ROUTERS, "RS")]);
    let seen = world.seen().unwrap();
    assert_eq!((seen.interface.as_str(), seen.index, seen.neighbor), ("swp1", Some(SWP1), None));
}

#[test]
fn the_first_advertisements_come_every_three_seconds_and_the_rest_within_ten() {
    let mut world = World::new();
    let sent = world.passes(600);
    let times: Vec<u128> =
        sent.iter().filter(|(_, _, what)| *what == "RA").map(|(at, ..)| *at).collect();
    assert_eq!(times[..3], [0, 3000, 6000]);
    let waits: Vec<u128> = times.windows(2).skip(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| (3300..=10_000).contains(wait)), "{waits:?}");
    let different: std::collections::BTreeSet<_> = waits.iter().collect();
    assert!(different.len() > 20, "they are spread: {waits:?}");
}

#[test]
fn solicitations_are_three_and_end_when_a_router_is_found() {
    let solicitations = |sent: &[(u128, Ipv6Addr, &str)]| {
        sent.iter().filter(|(_, _, what)| *what == "RS").map(|(at, ..)| *at).collect::<Vec<_>>()
    };
    let mut world = World::new();
    assert_eq!(solicitations(&world.passes(60)), [0, 4000, 8000]);
    let mut world = World::new();
    world.passes(1);
    world.hears(PEER, ADVERTISEMENT);
    assert_eq!(solicitations(&world.passes(60)), []);
}

#[test]
fn who_advertises_is_the_neighbour_and_hears_of_us_at_once() {
    let mut world = World::new();
    world.passes(20);
    world.hears(PEER, ADVERTISEMENT);
    assert_eq!(world.seen().unwrap().neighbor, Some(PEER));
    assert_eq!(world.passes(0), [(0, PEER, "RA")]);
}

#[test]
fn a_router_that_is_no_default_router_is_a_neighbour_all_the_same() {
    let mut world = World::new();
    world.hears(PEER, Message::Advertisement { lifetime: 0 });
    assert_eq!(world.seen().unwrap().neighbor, Some(PEER));
}

#[test]
fn a_solicitation_is_answered_within_half_a_second_to_whom_it_came_from() {
    let mut world = World::with_neighbor();
    world.hears(PEER, Message::Solicitation);
    world.hears(PEER, Message::Solicitation);
    let answers: Vec<_> = world.passes(1).into_iter().filter(|(_, to, _)| *to == PEER).collect();
    assert!(matches!(answers[..], [(0..=500, _, "RA")]), "{answers:?}");
}

#[test]
fn solicitations_from_nobody_do_not_make_advertisements_to_all_more_frequent_than_allowed() {
    let mut world = World::with_neighbor();
    let mut sent = Vec::new();
    for second in 0..30 {
        world.hears(Ipv6Addr::UNSPECIFIED, Message::Solicitation);
        sent.extend(world.passes(1).into_iter().map(|(at, ..)| at + second * 1000));
    }
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 3000), "{sent:?}");
    assert!(sent.len() >= 8, "and they are answered: {sent:?}");
}

#[test]
fn the_neighbour_stays_however_silent_it_is() {
    let mut world = World::with_neighbor();
    world.passes(3600);
    assert_eq!(world.seen(), None);
}

#[test]
fn a_second_router_is_named_and_the_first_stays_if_it_is_still_there() {
    let mut world = World::with_neighbor();
    world.hears(THIRD, ADVERTISEMENT);
    assert!(world.passes(1).contains(&(0, ALL_ROUTERS, "RS")), "the first is asked");
    assert_eq!(world.seen(), None);
    world.hears(PEER, ADVERTISEMENT);
    let seen = world.seen().unwrap();
    assert_eq!((seen.neighbor, seen.other), (Some(PEER), Some(THIRD)));
    // Both go on.
    for _ in 0..10 {
        world.hears(THIRD, ADVERTISEMENT);
        world.hears(PEER, ADVERTISEMENT);
        assert!(world.passes(10).iter().all(|(_, _, what)| *what == "RA"));
        assert_eq!(world.seen(), None);
    }
    // Only one does.
    for _ in 0..4 {
        world.hears(PEER, ADVERTISEMENT);
        world.passes(10);
    }
    assert_eq!(world.seen().unwrap().other, None);
}

#[test]
fn a_neighbour_that_changed_its_address_is_followed() {
    let mut world = World::with_neighbor();
    world.hears(THIRD, ADVERTISEMENT);
    world.passes(4);
    let seen = world.seen().unwrap();
    assert_eq!((seen.neighbor, seen.other), (Some(THIRD), None));
}

#[test]
fn the_second_router_succeeds_when_the_first_falls_silent() {
    let mut world = World::with_neighbor();
    world.hears(THIRD, ADVERTISEMENT);
    world.hears(PEER, ADVERTISEMENT);
    for _ in 0..5 {
        world.passes(10);
        world.hears(THIRD, ADVERTISEMENT);
    }
    assert_eq!(world.seen().unwrap().neighbor, Some(THIRD));
}

#[test]
fn made_up_routers_do_not_make_us_ask_more_often() {
    let mut world = World::with_neighbor();
    let mut asked = 0;
    for number in 10..1010 {
        world.hears(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number), ADVERTISEMENT);
        world.hears(PEER, ADVERTISEMENT);
        asked += world.passes(0).iter().filter(|(_, _, what)| *what == "RS").count();
    }
    assert_eq!(asked, 1);
}

#[test]
fn a_link_that_goes_down_forgets_its_neighbour() {
    let mut world = World::with_neighbor();
    world.link(None);
    let seen = world.seen().unwrap();
    assert_eq!((seen.index, seen.neighbor), (None, None));
    assert_eq!(world.passes(60), []);
    world.link(Some(OWN));
    assert_eq!(world.passes(0), [(0, ALL_NODES, "RA"), (0, ALL_ROUTERS, "RS")]);
    assert_eq!(world.seen().unwrap().neighbor, None);
}

#[test]
fn an_own_address_that_changes_is_a_link_that_begins_again() {
    let mut world = World::with_neighbor();
    world.link(Some(OWN));
    assert_eq!(world.seen(), None, "the same");
    world.link(Some(THIRD));
    let seen: Vec<_> = std::iter::from_fn(|| world.discovery.poll_sighting())
        .map(|seen| (seen.index, seen.neighbor))
        .collect();
    assert_eq!(seen, [(None, None), (Some(SWP1), None)]);
}

#[test]
fn what_comes_in_by_another_interface_or_from_ourselves_is_nothing() {
    let mut world = World::new();
    world.seen();
    world.hears(OWN, ADVERTISEMENT);
    let octets = ADVERTISEMENT.encode(None);
    let packet = Packet { interface: 99, source: PEER, hop_limit: HOP_LIMIT, octets: &octets };
    world.discovery.handle_packet(&packet, world.now).unwrap();
    assert_eq!(world.seen(), None);
}

/// A message, and which rule of RFC 4861 §6.1 it breaks.
#[track_caller]
fn assert_invalid(source: Ipv6Addr, hop_limit: u8, octets: &[u8], why: Invalid) {
    let packet = Packet { interface: SWP1, source, hop_limit, octets };
    assert_eq!(Message::decode(&packet), Err(why));
}

#[test]
fn messages_that_the_standard_wants_discarded_are_discarded() {
    let ra = ADVERTISEMENT.encode(Some(MacAddr(2, 0, 0, 0, 0, 1)));
    let rs = Message::Solicitation.encode(Some(MacAddr(2, 0, 0, 0, 0, 1)));
    let global = "2001:db8::1".parse().unwrap();
    assert_invalid(PEER, 254, &ra, Invalid::HopLimit(254));
    assert_invalid(PEER, 64, &rs, Invalid::HopLimit(64));
    assert_invalid(global, 255, &ra, Invalid::Source(global));
    assert_invalid(Ipv6Addr::UNSPECIFIED, 255, &ra, Invalid::Source(Ipv6Addr::UNSPECIFIED));
    assert_invalid(Ipv6Addr::UNSPECIFIED, 255, &rs, Invalid::AddressOfNobody);
    assert_invalid(PEER, 255, &ra[..15], Invalid::Length(15));
    assert_invalid(PEER, 255, &rs[..7], Invalid::Length(7));
    assert_invalid(PEER, 255, &ra[..1], Invalid::Length(1));
    let with = |mut octets: Vec<u8>, at: usize, value: u8| {
        octets[at] = value;
        octets
    };
    assert_invalid(PEER, 255, &with(ra.clone(), 1, 1), Invalid::Code(1));
    assert_invalid(PEER, 255, &with(rs.clone(), 1, 7), Invalid::Code(7));
    assert_invalid(PEER, 255, &with(ra.clone(), 17, 0), Invalid::Option(16));
    assert_invalid(PEER, 255, &with(ra.clone(), 17, 2), Invalid::Option(16));
    assert_invalid(PEER, 255, &with(rs.clone(), 9, 0), Invalid::Option(8));
    assert_invalid(PEER, 255, &ra[..17], Invalid::Option(16));
}

#[test]
fn unknown_options_and_reserved_fields_do_not_matter() {
    let mut ra = ADVERTISEMENT.encode(None);
    ra[4] = 64;
    ra[5] = 0xff;
    // MTU, and one that nobody knows.
    ra.extend([5, 1, 0, 0, 0, 0, 5, 220, 200, 2]);
    ra.extend([0; 14]);
    let packet = Packet { interface: SWP1, source: PEER, hop_limit: 255, octets: &ra };
    assert_eq!(Message::decode(&packet), Ok(Some(ADVERTISEMENT)));
    let echo = Packet { octets: &[128, 0, 0, 0], hop_limit: 64, ..packet };
    assert_eq!(Message::decode(&echo), Ok(None));
}

#[test]
fn what_is_sent_is_what_the_standard_draws() {
    let mac = Some(MacAddr(2, 0, 0, 0, 0, 1));
    let ra = [134, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1];
    assert_eq!(ADVERTISEMENT.encode(mac), ra);
    assert_eq!(
        Message::Solicitation.encode(mac),
        [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1]
    );
    assert_eq!(Message::Solicitation.encode(None), [133, 0, 0, 0, 0, 0, 0, 0]);
}
