//! A MAC that two VTEPs have (RFC 7432 §7.7, §15), and the ways in which others get it wrong.

use super::*;

const FAR: &str = "192.0.2.9";
const LOW: &str = "192.0.2.1";

/// The MAC is here if we advertise it and install nothing, elsewhere if it is the other way round; never both.
fn place(lab: &mut Lab) -> String {
    let stations = lab.stations();
    let advertised = stations.lines().next().map(|line| line.replace(MAC, "here"));
    let entries = lab.entries();
    let installed =
        entries.lines().find_map(|line| line.split_once(" dst ")).map(|(_, dst)| dst.to_owned());
    match (advertised, installed) {
        (Some(here), None) => here,
        (None, Some(vtep)) => vtep,
        (None, None) => "nowhere".to_owned(),
        both => panic!("in two places: {both:?}"),
    }
}

#[test]
fn a_static_claim_beats_a_higher_sequence_and_that_beats_a_lower_vtep_address() {
    let mut lab = Lab::with_vni_10();
    let steps = [
        (Received::mac(MAC, "192.0.2.8"), "192.0.2.8"),
        (Received::mac(MAC, "192.0.2.7"), "192.0.2.7"),
        (Received::mac(MAC, "192.0.2.9").moved(1), "192.0.2.9"),
        (Received::mac(MAC, "192.0.2.6").sticky(), "192.0.2.6"),
    ];
    for (route, winner) in &steps {
        lab.receive(route);
        assert_eq!(place(&mut lab), *winner);
    }
    for (route, winner) in [(3, "192.0.2.9"), (2, "192.0.2.7"), (1, "192.0.2.8"), (0, "nowhere")] {
        lab.withdraw(&steps[route].0);
        assert_eq!(place(&mut lab), winner);
    }
}

#[test]
fn a_remote_mac_seen_here_is_advertised_with_the_next_sequence_number() {
    for (route, advertised) in [
        (Received::mac(MAC, FAR), "here MM:1"),
        (Received::mac(MAC, FAR).moved(6), "here MM:7"),
        (Received::mac(MAC, FAR).moved(u32::MAX - 1), "here MM:4294967295"),
    ] {
        let mut lab = Lab::with_vni_10();
        lab.receive(&route);
        assert_eq!(place(&mut lab), FAR);
        lab.set(station(MAC, PORT));
        assert_eq!(place(&mut lab), advertised);
        lab.withdraw(&route);
        assert_eq!(place(&mut lab), advertised, "the number stays when the other side gives up");
    }
}

#[test]
fn a_local_mac_moves_away_on_a_higher_sequence_or_on_an_equal_one_of_a_lower_vtep() {
    for (route, winner) in [
        (Received::mac(MAC, FAR), "here"),
        (Received::mac(MAC, LOW), LOW),
        (Received::mac(MAC, FAR).moved(1), FAR),
        (Received::mac(MAC, FAR).sticky(), FAR),
    ] {
        let mut lab = Lab::with_vni_10();
        lab.set(station(MAC, PORT));
        lab.poll();
        lab.receive(&route);
        assert_eq!(place(&mut lab), winner, "{route:?}");
    }
}

#[test]
fn a_mac_whose_remote_route_is_withdrawn_is_advertised_again_if_the_kernel_still_has_it_here() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    let route = Received::mac(MAC, FAR).moved(3);
    lab.receive(&route);
    assert_eq!(place(&mut lab), FAR);
    lab.withdraw(&route);
    assert_eq!(place(&mut lab), "here MM:4");
}

#[test]
fn a_mac_that_both_sides_forgot_starts_again_from_zero() {
    let mut lab = Lab::with_vni_10();
    let route = Received::mac(MAC, FAR).moved(7);
    lab.receive(&route);
    lab.set(station(MAC, PORT));
    assert_eq!(place(&mut lab), "here MM:8");
    lab.withdraw(&route);
    lab.unset(station(MAC, PORT));
    assert_eq!(place(&mut lab), "nowhere");
    lab.receive(&Received::mac(MAC, FAR));
    assert_eq!(place(&mut lab), FAR, "a low number is not compared with a forgotten one");
    lab.withdraw(&route);
    lab.set(station(MAC, PORT));
    assert_eq!(place(&mut lab), "here");
}

#[test]
fn a_vm_that_migrates_a_hundred_times_is_always_in_the_right_place() {
    let mut lab = Lab::with_vni_10();
    let tell_installed = |lab: &mut Lab| {
        let entry =
            FdbEntry { master: Some(BRIDGE), ..FdbEntry::remote_in_bridge(VXLAN, mac(MAC)) };
        lab.set(entry);
    };
    lab.set(station(MAC, PORT));
    for round in 0..50 {
        let sequence = 2 * round + 1;
        // It leaves: the other side saw it and counts up; our kernel replaces the entry when told to.
        lab.receive(&Received::mac(MAC, FAR).moved(sequence));
        assert_eq!(place(&mut lab), FAR, "round {round}");
        tell_installed(&mut lab);
        assert_eq!(place(&mut lab), FAR, "round {round}");
        // It comes back: the kernel moves the entry to the port by itself.
        lab.set(station(MAC, PORT));
        assert_eq!(place(&mut lab), format!("here MM:{}", sequence + 1), "round {round}");
        lab.withdraw(&Received::mac(MAC, FAR));
        assert_eq!(place(&mut lab), format!("here MM:{}", sequence + 1), "round {round}");
    }
}

#[test]
fn an_entry_of_ours_that_crosses_with_a_local_learn_does_not_keep_the_mac_away() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac(MAC, FAR));
    lab.poll();
    lab.set(station(MAC, PORT));
    assert_eq!(place(&mut lab), "here MM:1");
    // Our entry, written before we knew, replaces the kernel's: then the kernel says so, and so do we.
    lab.set(FdbEntry { master: Some(BRIDGE), ..FdbEntry::remote_in_bridge(VXLAN, mac(MAC)) });
    assert_eq!(place(&mut lab), FAR);
    // The next frame of the station settles it.
    lab.set(station(MAC, PORT));
    assert_eq!(place(&mut lab), "here MM:1");
}

#[test]
fn a_mac_that_changes_port_in_one_burst_keeps_its_sequence_number() {
    let mut lab = Lab::with_vni_10();
    lab.set(port(301, BRIDGE));
    let route = Received::mac(MAC, FAR).moved(4);
    lab.receive(&route);
    lab.set(station(MAC, PORT));
    lab.withdraw(&route);
    assert_eq!(place(&mut lab), "here MM:5");
    lab.unset(station(MAC, PORT));
    lab.set(station(MAC, 301));
    assert_eq!(place(&mut lab), "here MM:5");
}

#[test]
fn a_mac_that_is_static_elsewhere_is_not_advertised_but_a_problem() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac(MAC, FAR).sticky());
    lab.set(station(MAC, PORT));
    assert_eq!(place(&mut lab), FAR);
    assert_eq!(
        lab.problems(),
        [
            "00:00:5e:00:53:01 in VNI 10 is static at 192.0.2.9, and seen here on swp300: not advertised \
          [bridge fdb delete 00:00:5e:00:53:01 dev swp300 master]"
        ]
    );
    lab.unset(station(MAC, PORT));
    assert_eq!(lab.problems(), Vec::<String>::new());
}

#[test]
fn a_static_mac_of_ours_does_not_move_away_from_a_learned_claim() {
    let mut lab = Lab::with_vni_10();
    lab.set(FdbEntry { state: FdbState::Static, ..station(MAC, PORT) });
    lab.receive(&Received::mac(MAC, FAR).moved(9));
    assert_eq!(place(&mut lab), "here MM:0, sticky MAC");
}

#[test]
fn after_a_restart_the_usual_comparison_decides_who_has_a_mac_that_both_claim() {
    // The domain comes into service when both claims are there: who was first, no one knows.
    for (route, winner) in
        [(Received::mac(MAC, FAR), "here"), (Received::mac(MAC, FAR).moved(2), FAR)]
    {
        let mut lab = Lab::empty();
        lab.receive(&route);
        lab.set(bridge(BRIDGE));
        lab.set(port(PORT, BRIDGE));
        lab.set(station(MAC, PORT));
        lab.set(vxlan(VXLAN, 10, BRIDGE));
        assert_eq!(place(&mut lab), winner);
    }
}

#[test]
fn addresses_move_with_their_mac() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.set(neighbor("10.0.0.1", MAC));
    assert_eq!(lab.stations(), "00:00:5e:00:53:01\n00:00:5e:00:53:01 10.0.0.1\n");
    lab.receive(&Received::mac_ip(MAC, "10.0.0.1", FAR).moved(1));
    assert_eq!(lab.stations(), "");
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:01 dev 100\n"));
    // Seen here again. The neighbour table has our entry until it is deleted; then the kernel asks and learns.
    lab.set(Neighbor::remote(BRIDGE, ip("10.0.0.1"), mac(MAC)));
    lab.unset(station(MAC, PORT));
    lab.poll();
    lab.set(station(MAC, PORT));
    assert_eq!(
        (lab.entries(), lab.stations()),
        (String::new(), "00:00:5e:00:53:01 MM:2\n".to_owned())
    );
    lab.set(neighbor("10.0.0.1", MAC));
    assert_eq!(lab.stations(), "00:00:5e:00:53:01 MM:2\n00:00:5e:00:53:01 10.0.0.1 MM:2\n");
}

#[test]
fn an_address_that_another_mac_claims_with_a_better_sequence_is_no_longer_ours() {
    let mut lab = Lab::with_vni_10();
    lab.set(station(MAC, PORT));
    lab.set(neighbor("10.0.0.1", MAC));
    let route = Received::mac_ip("00:00:5e:00:53:02", "10.0.0.1", FAR);
    lab.receive(&route);
    assert!(lab.stations().contains("10.0.0.1"), "an equal claim of a higher VTEP changes nothing");
    assert!(!lab.entries().contains("10.0.0.1"));
    lab.receive(&route.clone().moved(1));
    assert!(!lab.stations().contains("10.0.0.1"));
    assert!(lab.entries().contains("10.0.0.1 lladdr 00:00:5e:00:53:02 dev 100\n"));
    lab.withdraw(&route);
    assert!(lab.stations().contains("00:00:5e:00:53:01 10.0.0.1"));
}

#[test]
fn sequence_numbers_of_both_sides_are_shown() {
    let mut lab = Lab::with_vni_10();
    lab.receive(&Received::mac_ip(MAC, "10.0.0.1", FAR).moved(3));
    lab.poll();
    let view = lab.gateway.mac(vni_of(10), mac(MAC)).unwrap();
    assert_eq!((view.local_sequence, view.remote_sequence), (0, 3));
    assert_eq!(view.neighbors, [ip("10.0.0.1")]);
    lab.set(station(MAC, PORT));
    lab.poll();
    let view = lab.gateway.mac(vni_of(10), mac(MAC)).unwrap();
    assert_eq!((view.local_sequence, view.remote_sequence), (4, 3));
    assert_eq!(view.neighbors, Vec::<IpAddr>::new());
}
