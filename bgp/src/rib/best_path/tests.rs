use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::*;
use crate::rib::peers::Source;
use crate::types::{Asn, MacAddr, RouteDistinguisher, RouterId};
use crate::wire::{AttributeEditor, Evpn, EvpnKey, EvpnPayload, Ipv4Unicast, NextHop, Origin};

/// Neighbours 0 and 1 are external, in AS 65001 and 65002; 2 and 3 are internal. Identifiers fall as addresses rise.
fn peers() -> Peers {
    let router_id = RouterId(Ipv4Addr::new(10, 0, 0, 100));
    let mut peers = Peers::new(Asn(65_000), router_id, Multipath::OFF);
    for (index, asn) in [(0, 65_001), (1, 65_002), (2, 65_000), (3, 65_000)] {
        let last = u8::try_from(index).unwrap();
        peers.set(
            index,
            Peer {
                external: asn != 65_000,
                client: false,
                asn: Asn(asn),
                router_id: RouterId(Ipv4Addr::new(10, 0, 0, 9 - last)),
                address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
                scope_id: 0,
            },
        );
    }
    peers
}

fn path(from: Option<u32>, change: impl FnOnce(&mut AttributeEditor<'_>)) -> Path<Ipv4Unicast> {
    let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(198, 51, 100, 1)));
    editor.set_as_path(&[Asn(65_001)]);
    change(&mut editor);
    let source = from.map_or(Source::LOCAL, Source::neighbor);
    Path::new(Arc::new(editor.build()), source, 0, ())
}

fn winner(paths: &[Path<Ipv4Unicast>]) -> usize {
    let peers = peers();
    let key = "203.0.113.0/24".parse().unwrap();
    let chosen = decide(&key, paths, &peers).best;
    let mut reversed = paths.to_vec();
    reversed.reverse();
    assert_eq!(
        paths.len() - 1 - decide(&key, &reversed, &peers).best,
        chosen,
        "the order must not matter"
    );
    chosen
}

fn same(_: &mut AttributeEditor<'_>) {}

#[test]
fn higher_local_pref_beats_everything_that_follows() {
    let better = path(Some(3), |a| {
        a.set_local_pref(101).set_origin(Origin::Incomplete).prepend_as_times(Asn(65_001), 9);
    });
    assert_eq!(winner(&[path(Some(0), same), better]), 1);
}

#[test]
fn our_own_route_beats_a_shorter_one() {
    let ours = path(None, |a| {
        a.prepend_as_times(Asn(65_000), 5);
    });
    assert_eq!(winner(&[path(Some(0), same), ours]), 1);
}

#[test]
fn the_shorter_path_beats_the_better_origin() {
    let longer = path(Some(0), |a| {
        a.prepend_as(Asn(65_001));
    });
    let shorter = path(Some(1), |a| {
        a.set_origin(Origin::Incomplete);
    });
    assert_eq!(winner(&[longer, shorter]), 1);
}

#[test]
fn the_better_origin_beats_the_lower_med() {
    let egp = path(Some(0), |a| {
        a.set_origin(Origin::Egp).set_med(1);
    });
    let igp = path(Some(1), |a| {
        a.set_med(9);
    });
    assert_eq!(winner(&[egp, igp]), 1);
}

#[test]
fn med_counts_only_between_paths_of_one_neighboring_as() {
    let med = |from, asn, med| {
        path(Some(from), move |a| {
            a.set_as_path(&[Asn(asn)]).set_med(med);
        })
    };
    assert_eq!(winner(&[med(0, 65_001, 9), med(1, 65_001, 5)]), 1);
    // Other AS: the lower identifier, which is neighbour 1's.
    assert_eq!(winner(&[med(0, 65_001, 5), med(1, 65_002, 9)]), 1);
    // Pairwise comparison would go in circles here.
    let circle = [med(2, 65_001, 1), med(3, 65_001, 2), med(1, 65_002, 3)];
    assert_eq!(winner(&circle), 2, "external beats internal");
}

#[test]
fn no_med_is_the_lowest_med() {
    let some = path(Some(0), |a| {
        a.set_med(1);
    });
    assert_eq!(winner(&[some, path(Some(1), same)]), 1);
}

#[test]
fn external_beats_internal() {
    assert_eq!(winner(&[path(Some(3), same), path(Some(0), same)]), 1);
}

#[test]
fn the_originator_stands_for_the_reflector() {
    let reflected = path(Some(2), |a| {
        a.set_originator_id(RouterId(Ipv4Addr::new(10, 0, 0, 1)))
            .prepend_cluster(Ipv4Addr::new(9, 9, 9, 9));
    });
    assert_eq!(winner(&[path(Some(3), same), reflected]), 1);
}

#[test]
fn fewer_clusters_beat_the_lower_address() {
    let originator = RouterId(Ipv4Addr::new(10, 0, 0, 1));
    let cluster = Ipv4Addr::new(9, 9, 9, 9);
    let far = path(Some(2), |a| {
        a.set_originator_id(originator).prepend_cluster(cluster).prepend_cluster(cluster);
    });
    let near = path(Some(3), |a| {
        a.set_originator_id(originator).prepend_cluster(cluster);
    });
    assert_eq!(winner(&[far, near]), 1);
}

#[test]
fn the_lowest_address_decides_in_the_end() {
    let originator = RouterId(Ipv4Addr::new(10, 0, 0, 1));
    let tied = |from| {
        path(Some(from), |a| {
            a.set_originator_id(originator);
        })
    };
    assert_eq!(winner(&[tied(3), tied(2)]), 1);
}

#[test]
fn mobility_is_read_on_mac_routes_only() {
    let rd = RouteDistinguisher::default();
    let mac = EvpnKey::MacIp { rd, ethernet_tag: 0, mac: MacAddr::zero(), ip: None };
    let other =
        EvpnKey::Multicast { rd, ethernet_tag: 0, originator: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let paths: Vec<Path<Evpn>> = [(0, 7, 0), (1, 3, 100)]
        .into_iter()
        .map(|(from, sequence, pref)| {
            let mut editor = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(198, 51, 100, 1)));
            editor
                .set_local_pref(pref)
                .add_ext_community(ExtCommunity::mac_mobility(false, sequence));
            Path::new(Arc::new(editor.build()), Source::neighbor(from), 0, EvpnPayload::default())
        })
        .collect();
    assert_eq!(decide(&mac, &paths, &peers()).best, 0);
    assert_eq!(decide(&other, &paths, &peers()).best, 1);
}
