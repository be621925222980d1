use std::net::IpAddr;

use super::*;
use crate::kernel::{Hop, LinkKind, MacAddr, Nexthop, NexthopMember, Via, Vni, Vxlan};

fn link(index: Ifindex, name: &str, kind: LinkKind, master: Option<Ifindex>) -> Object {
    Object::Link(Link {
        index,
        name: name.to_owned(),
        kind,
        master,
        up: true,
        running: true,
        mac: None,
        mtu: 1500,
        port: None,
        alias: None,
        lower: None,
        lower_namespace: None,
        hardware: None,
    })
}

fn overlay() -> FakeKernel {
    let vxlan = Vxlan::new(Vni::try_from(10).unwrap(), vtep(1));
    FakeKernel::new()
        .with(link(2, "br10", LinkKind::Bridge(crate::kernel::Bridge::default()), None))
        .with(link(3, "vx10", LinkKind::Vxlan(vxlan), Some(2)))
        .with(link(4, "swp1", LinkKind::Physical, Some(2)))
}

fn vtep(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn mac(number: u8) -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 0, number)
}

fn nexthop(id: u32) -> Object {
    Object::Nexthop(Nexthop::new(
        id,
        NexthopKind::Gateway { address: vtep(1), ifindex: 4, onlink: true },
    ))
}

fn group(id: u32, member: u32) -> Object {
    Object::Nexthop(Nexthop::new(
        id,
        NexthopKind::Group(vec![NexthopMember { id: member, weight: 1 }]),
    ))
}

fn create(kernel: &mut FakeKernel, object: &Object) -> Answer {
    kernel.apply(&[Change::Create(object.clone())]).remove(0)
}

#[test]
fn what_is_required_must_exist_first() {
    let mut kernel = overlay();
    let refused = create(&mut kernel, &group(10, 1)).unwrap_err();
    assert_eq!(
        (refused.errno(), refused.reason()),
        (Some(Errno::EINVAL), Some("Invalid nexthop id"))
    );
    assert_eq!(create(&mut kernel, &nexthop(1)), Ok(()));
    assert_eq!(create(&mut kernel, &group(10, 1)), Ok(()));
    let nowhere = Object::Fdb(FdbEntry::remote_in_bridge(99, mac(1)));
    assert_eq!(create(&mut kernel, &nowhere).unwrap_err().errno(), Some(Errno::ENODEV));
}

#[test]
fn a_full_table_refuses_with_a_reason_and_takes_more_after_a_delete() {
    let mut kernel = overlay().with_table_size(Table::NexthopGroups, 1);
    for (object, fits) in [(nexthop(1), true), (group(10, 1), true), (group(11, 1), false)] {
        assert_eq!(create(&mut kernel, &object).is_ok(), fits);
    }
    let refused = create(&mut kernel, &group(11, 1)).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::ENOSPC));
    assert_eq!(refused.reason(), Some("fake: table NexthopGroups is full (1 entries)"));
    kernel.apply(&[Change::Delete(group(10, 1))]);
    assert_eq!(create(&mut kernel, &group(11, 1)), Ok(()));
}

#[test]
fn a_veto_holds_back_one_change_and_not_those_after_it() {
    let is_flood =
        |change: &Change| matches!(change.object(), Object::Fdb(entry) if entry.is_flood());
    let mut kernel = overlay().refusing(is_flood);
    let flood = Object::Fdb(FdbEntry::flood(3, vtep(7)));
    let remote = Object::Fdb(FdbEntry::remote_in_vxlan(3, mac(7), vtep(7)));
    let answers = kernel.apply(&[Change::Create(flood), Change::Create(remote.clone())]);
    assert!(answers[0].is_err() && answers[1].is_ok());
    assert!(kernel.model().get(&remote.key()).is_some());
}

#[test]
fn an_overrun_is_reported_once_and_a_snapshot_heals() {
    let mut kernel = overlay().losing_notifications_after(1);
    let mut model = kernel.snapshot().unwrap();
    for number in 1..4 {
        create(&mut kernel, &Object::Fdb(FdbEntry::remote_in_bridge(3, mac(number)))).unwrap();
    }
    assert_eq!(kernel.receive(), Err(KernelError::Overrun));
    assert!(model != *kernel.model(), "stale, and known to be");
    model = kernel.snapshot().unwrap();
    kernel.vanish(&FdbEntry::remote_in_bridge(3, mac(1)).key());
    for notification in kernel.receive().unwrap() {
        model.apply(notification);
    }
    assert!(model == *kernel.model());
}

#[test]
fn a_mac_that_moves_is_in_one_place_only() {
    let mut kernel = overlay();
    let mut model = kernel.snapshot().unwrap();
    let local = FdbEntry { extern_learn: false, ..FdbEntry::remote_in_bridge(4, mac(1)) };
    kernel.appear(Object::Fdb(FdbEntry { master: Some(2), ..local.clone() }));
    create(&mut kernel, &Object::Fdb(FdbEntry::remote_in_bridge(3, mac(1)))).unwrap();
    let dirty: Vec<Key> =
        kernel.receive().unwrap().into_iter().flat_map(|news| model.apply(news)).collect();
    let remote = FdbEntry::remote_in_bridge(3, mac(1)).key();
    assert_eq!(dirty, [local.key(), local.key(), remote]);
    assert!(model == *kernel.model() && model.get(&local.key()).is_none());
}

#[test]
fn a_route_of_another_daemon_is_neither_overwritten_nor_deleted() {
    let mut kernel = overlay();
    let ours = Route::new("10.0.0.0/8".parse().unwrap(), 20, Via::Hops(vec![Hop::device(4)]));
    kernel.appear(Object::Route(Route { protocol: 4, ..ours.clone() }));
    let refused = create(&mut kernel, &Object::Route(ours.clone())).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EEXIST));
    assert_eq!(kernel.apply(&[Change::Delete(Object::Route(ours.clone()))]), [Ok(())]);
    assert!(kernel.model().get(&ours.key()).is_some());
}

#[test]
fn one_foreign_entry_takes_the_mark_from_the_whole_flood_list() {
    let mut kernel = overlay();
    let ours = FdbEntry::flood(3, vtep(7));
    create(&mut kernel, &Object::Fdb(ours.clone())).unwrap();
    let foreign = FdbEntry { extern_learn: false, ..FdbEntry::flood(3, vtep(8)) };
    create(&mut kernel, &Object::Fdb(foreign)).unwrap();
    assert!(kernel.model().get(&ours.key()).is_some_and(|held| !held.is_ours()));
}
