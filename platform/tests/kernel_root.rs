//! Against the running kernel, each test in a network namespace of its own. Needs root.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail as tests do")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use platform::kernel::{
    Address, BridgeVlan, Change, Dataplane, Errno, FdbEntry, FdbTable, FilterPlace, Hop, Ifindex,
    KernelError, Key, LinkSettings, MacAddr, Model, Monitor, Namespace, Neighbor, NewLink, Nexthop,
    NexthopKind, NexthopMember, Object, PortSettings, PortState, Route, Rule, RuleAction,
    RuleSelector, Socket, Via, Vni, Vxlan,
};

const MACS: u32 = 10_000;

/// Runs a test on a thread with a network namespace of its own.
fn in_namespace(test: impl FnOnce(&mut Socket) + Send + 'static) {
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace of our own (needs root)");
        let mut socket = Socket::open().expect("socket");
        let lo = socket.link_named("lo").expect("lookup").expect("lo");
        socket.change_link(lo.index, &up()).expect("lo up");
        test(&mut socket);
    };
    thread::spawn(body).join().expect("test thread");
}

fn up() -> LinkSettings {
    LinkSettings { up: Some(true), ..LinkSettings::default() }
}

fn in_bridge(bridge: Ifindex) -> LinkSettings {
    LinkSettings { master: Some(bridge), ..up() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn index(socket: &mut Socket, name: &str) -> Ifindex {
    socket.link_named(name).expect("lookup").unwrap_or_else(|| panic!("no link {name}")).index
}

/// A bridge with a VXLAN device and an access port, everything up.
struct Overlay {
    bridge: Ifindex,
    vxlan: Ifindex,
    port: Ifindex,
}

impl Overlay {
    fn new(socket: &mut Socket) -> Self {
        socket.create_link(&NewLink::bridge("br10").with(up())).expect("bridge");
        let bridge = index(socket, "br10");
        let vni = Vni::try_from(10).expect("vni");
        let port = PortSettings {
            learning: Some(false),
            neigh_suppress: Some(true),
            ..PortSettings::default()
        };
        let vxlan = NewLink::vxlan("vx10", Vxlan::new(vni, ip("192.0.2.1"))).with(LinkSettings {
            port,
            mtu: Some(1450),
            ..in_bridge(bridge)
        });
        socket.create_link(&vxlan).expect("vxlan");
        socket
            .create_link(&NewLink::veth("port1", "host1", None).with(in_bridge(bridge)))
            .expect("veth");
        let host = index(socket, "host1");
        socket.change_link(host, &up()).expect("host1 up");
        let port_forwards = |socket: &mut Socket| {
            let port = socket.link_named("port1").expect("lookup").and_then(|port| port.port);
            port.is_some_and(|port| port.state == PortState::Forwarding)
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while !port_forwards(socket) {
            assert!(Instant::now() < deadline, "port1 does not forward");
            thread::sleep(Duration::from_millis(5));
        }
        Self { bridge, vxlan: index(socket, "vx10"), port: index(socket, "port1") }
    }

    /// Bridge half and VXLAN half of many remote MACs.
    fn remote_macs(&self, count: u32) -> Vec<Object> {
        (0..count).flat_map(|number| self.remote_mac(mac(number), ip("192.0.2.7"))).collect()
    }

    fn remote_mac(&self, mac: MacAddr, vtep: IpAddr) -> [Object; 2] {
        let bridge = FdbEntry::remote_in_bridge(self.vxlan, mac);
        [Object::Fdb(bridge), Object::Fdb(FdbEntry::remote_in_vxlan(self.vxlan, mac, vtep))]
    }
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr::new(0x02, 0, a, b, c, d)
}

fn creates(objects: &[Object]) -> Vec<Change> {
    objects.iter().cloned().map(Change::Create).collect()
}

fn deletes(objects: &[Object]) -> Vec<Change> {
    objects.iter().cloned().map(Change::Delete).collect()
}

fn apply_all(socket: &mut Socket, changes: &[Change]) {
    for (change, answer) in changes.iter().zip(socket.apply(changes)) {
        assert_eq!(answer, Ok(()), "{change:?}");
    }
}

fn assert_holds(model: &Model, objects: &[Object]) {
    for object in objects {
        let held = model
            .get(&object.key())
            .unwrap_or_else(|| panic!("the kernel has no {}", object.key()));
        assert!(object.is_satisfied_by(&held), "wanted {object:?}, the kernel has {held:?}");
    }
}

/// What iproute2 says: an independent witness.
fn witness(command: &str) -> String {
    let mut words = command.split(' ');
    let output =
        Command::new(words.next().expect("command")).args(words).output().expect("iproute2");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("utf-8")
}

/// Applies notifications until the model is what a new snapshot says. Some time may pass: the kernel finishes some things
/// (duplicate address detection, flushing routes) later.
fn follow(socket: &mut Socket, monitor: &mut Monitor, model: &mut Model) -> BTreeSet<Key> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut dirty = BTreeSet::new();
    loop {
        while has_news(monitor) {
            for notification in monitor.receive().expect("receive").expect("not stopped") {
                dirty.extend(model.apply(notification));
            }
        }
        let kernel = socket.snapshot().expect("snapshot");
        if *model == kernel {
            return dirty;
        }
        if Instant::now() > deadline {
            let only_in = |one: &Model, other: &Model| -> Vec<Object> {
                one.objects()
                    .filter(|object| other.get(&object.key()).as_ref() != Some(object))
                    .collect()
            };
            panic!(
                "the model: {:#?}\nthe kernel: {:#?}",
                only_in(model, &kernel),
                only_in(&kernel, model)
            );
        }
    }
}

fn has_news(monitor: &Monitor) -> bool {
    let mut fds = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(100_u8)).expect("poll") == 1
}

#[test]
fn links_are_made_as_asked_and_iproute2_sees_them_so() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let seen = witness("ip -d -j link show dev vx10");
        for expected in [
            r#""id":10"#,
            r#""local":"192.0.2.1""#,
            r#""port":4789"#,
            r#""learning":false"#,
            r#""tos":"0x1""#,
            r#""ttl":64"#,
            r#""udp_csum":false"#,
            r#""neigh_suppress":true"#,
            r#""mtu":1450"#,
            r#""master":"br10""#,
        ] {
            assert!(seen.contains(expected), "{expected} is not in {seen}");
        }
        let model = socket.snapshot().expect("snapshot");
        let vxlan = model.link(overlay.vxlan).expect("vxlan");
        assert_eq!(
            vxlan.vxlan(),
            Some(&Vxlan::new(Vni::try_from(10).expect("vni"), ip("192.0.2.1")))
        );
        let port = vxlan.port.expect("a port");
        assert!(port.neigh_suppress && !port.learning);
        assert_eq!((vxlan.master, vxlan.mtu, vxlan.up), (Some(overlay.bridge), 1450, true));
        socket.delete_link(overlay.vxlan).expect("delete");
        socket.delete_link(overlay.vxlan).expect("deleting what is gone is success");
        assert_eq!(socket.link_named("vx10"), Ok(None));
    });
}

#[test]
fn the_other_end_of_a_veth_pair_is_born_in_another_namespace() {
    in_namespace(|socket| {
        let here = std::fs::File::open("/proc/thread-self/ns/net").expect("this namespace");
        unshare(CloneFlags::CLONE_NEWNET).expect("a second namespace");
        let mut there = Socket::open().expect("socket there");
        let veth = NewLink::veth("right", "left", namespace_of(&here));
        there.create_link(&veth.with(up())).expect("veth");
        assert!(socket.link_named("left").expect("lookup").is_some_and(|left| !left.up));
        assert!(socket.link_named("right").expect("lookup").is_none());
        let right = there.link_named("right").expect("lookup").expect("right");
        let move_back = LinkSettings { namespace: namespace_of(&here), ..LinkSettings::default() };
        there.change_link(right.index, &move_back).expect("move");
        assert!(socket.link_named("right").expect("lookup").is_some());
    });
}

fn namespace_of(file: &std::fs::File) -> Option<Namespace> {
    Some(Namespace::Fd(file.as_raw_fd()))
}

#[test]
fn ten_thousand_remote_macs_are_installed_seen_by_iproute2_and_removed() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let mut objects = overlay.remote_macs(MACS);
        objects.extend(
            ["192.0.2.7", "192.0.2.8"]
                .map(|vtep| Object::Fdb(FdbEntry::flood(overlay.vxlan, ip(vtep)))),
        );
        apply_all(socket, &creates(&objects));
        let model = socket.snapshot().expect("snapshot");
        assert_holds(&model, &objects);
        assert!(
            objects
                .iter()
                .all(|object| model.get(&object.key()).is_some_and(|held| held.is_ours()))
        );

        let seen = witness("bridge -j fdb show dev vx10");
        assert_eq!(seen.matches(r#""dst":"192.0.2.7""#).count(), MACS as usize + 1);
        assert_eq!(
            seen.matches(r#""flags":["extern_learn"],"master":"br10""#).count(),
            MACS as usize
        );
        assert_eq!(seen.matches(r#""mac":"00:00:00:00:00:00""#).count(), 2);

        apply_all(socket, &creates(&objects));
        assert!(socket.snapshot().expect("snapshot") == model, "writing it again changes nothing");

        apply_all(socket, &deletes(&objects));
        assert!(!witness("bridge -j fdb show dev vx10").contains("192.0.2."));
        apply_all(socket, &deletes(&objects));
    });
}

#[test]
fn a_remote_mac_replaces_a_learned_one_and_the_model_follows_the_move() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let learned = FdbEntry {
            ifindex: overlay.port,
            extern_learn: false,
            ..FdbEntry::remote_in_bridge(overlay.port, mac(1))
        };
        apply_all(socket, &[Change::Create(Object::Fdb(learned.clone()))]);
        let mut model = socket.snapshot().expect("snapshot");
        assert!(model.get(&learned.key()).is_some_and(|held| !held.is_ours()));

        let remote = overlay.remote_mac(mac(1), ip("192.0.2.7"));
        apply_all(socket, &creates(&remote));
        let expected = socket.snapshot().expect("snapshot");
        assert_eq!(expected.get(&learned.key()), None, "a bridge has a MAC in one place only");
        let dirty = follow(socket, &mut monitor, &mut model);
        assert!(dirty.contains(&learned.key()), "its old place is reported");
        assert!(dirty.contains(&remote[0].key()) && dirty.contains(&remote[1].key()));

        let moved = overlay.remote_mac(mac(1), ip("192.0.2.9"));
        let change = Change::Replace { from: remote[1].clone(), to: moved[1].clone() };
        apply_all(socket, &[change]);
        assert_holds(&socket.snapshot().expect("snapshot"), &moved);
    });
}

#[test]
fn half_a_pair_that_is_gone_does_not_keep_the_other_half() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let remote = overlay.remote_mac(mac(1), ip("192.0.2.7"));
        apply_all(socket, &creates(&remote));
        apply_all(socket, &deletes(&remote[..1]));
        apply_all(socket, &deletes(&remote));
        let model = socket.snapshot().expect("snapshot");
        assert_eq!(model.get(&remote[1].key()), None);
    });
}

#[test]
fn a_refused_half_of_a_pair_is_named_and_the_other_is_not() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let remote = overlay.remote_mac(mac(1), ip("2001:db8::7"));
        let answers = socket.apply(&creates(&remote));
        assert_eq!(answers[0], Ok(()));
        assert!(
            matches!(answers[1], Err(KernelError::Refused { key, .. }) if key == remote[1].key()),
            "{answers:?}"
        );
        let model = socket.snapshot().expect("snapshot");
        assert!(model.get(&remote[0].key()).is_some() && model.get(&remote[1].key()).is_none());
    });
}

#[test]
fn a_pair_on_a_link_outside_any_bridge_is_accepted_and_reading_back_shows_that_half_is_missing() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let outside = LinkSettings { master: Some(0), ..LinkSettings::default() };
        socket.change_link(overlay.vxlan, &outside).expect("out of the bridge");
        let remote = overlay.remote_mac(mac(1), ip("192.0.2.7"));
        assert_eq!(socket.apply(&creates(&remote)), [Ok(()), Ok(())]);
        let model = socket.snapshot().expect("snapshot");
        assert!(model.get(&remote[0].key()).is_none() && model.get(&remote[1].key()).is_some());
        let alone = socket.apply(&creates(&remote[..1])).remove(0);
        assert!(
            matches!(alone, Err(KernelError::Refused { key, .. }) if key == remote[0].key()),
            "{alone:?}"
        );
    });
}

#[test]
fn the_reason_of_a_refusal_is_the_kernels_own_words() {
    in_namespace(|socket| {
        let nexthop = Nexthop::new(
            0x5357_0001,
            NexthopKind::Gateway { address: ip("10.0.0.2"), ifindex: 99, onlink: false },
        );
        let answer = socket.apply(&[Change::Create(Object::Nexthop(nexthop.clone()))]).remove(0);
        let Err(KernelError::Refused { key, errno, reason }) = answer else { panic!("{answer:?}") };
        assert_eq!((key, errno), (nexthop.key(), Errno::EINVAL));
        assert_eq!(reason.as_deref(), Some("Invalid device index"));
        let again = NewLink::bridge("lo");
        let Err(KernelError::LinkRefused { name, errno, .. }) = socket.create_link(&again) else {
            panic!("lo exists")
        };
        assert_eq!((name.as_str(), errno), ("lo", Errno::EEXIST));
    });
}

/// A veth pair, both ends up, with a subnet of each family; returns the near end.
fn routed_link(socket: &mut Socket) -> Ifindex {
    socket.create_link(&NewLink::veth("near", "far", None).with(up())).expect("veth");
    let (near, far) = (index(socket, "near"), index(socket, "far"));
    socket.change_link(far, &up()).expect("far up");
    let addresses = ["10.0.0.1/24", "2001:db8::1/64"]
        .map(|prefix| Object::Address(Address::new(near, prefix.parse().expect("prefix"))));
    apply_all(socket, &creates(&addresses));
    near
}

fn routes(near: Ifindex) -> Vec<Object> {
    let id = |number: u32| 0x5357_0000 + number;
    let gateway = |number, address| {
        Object::Nexthop(Nexthop::new(
            id(number),
            NexthopKind::Gateway { address: ip(address), ifindex: near, onlink: false },
        ))
    };
    let member = |number, weight| NexthopMember { id: id(number), weight };
    let group = NexthopKind::Group(vec![member(1, 1), member(2, 3)]);
    let route =
        |prefix: &str, via| Object::Route(Route::new(prefix.parse().expect("prefix"), 20, via));
    let hop = |address, weight| Hop { weight, ..Hop::gateway(ip(address), near) };
    vec![
        gateway(1, "10.0.0.2"),
        gateway(2, "10.0.0.3"),
        gateway(6, "2001:db8::2"),
        Object::Nexthop(Nexthop::new(id(10), group)),
        route("10.1.0.0/16", Via::Nexthop(id(10))),
        route("10.2.0.0/16", Via::Nexthop(id(6))),
        route("2001:db8:2::/48", Via::Nexthop(id(6))),
        route("10.3.0.0/16", Via::Hops(vec![hop("10.0.0.2", 1), hop("10.0.0.3", 4)])),
        route("10.4.0.0/16", Via::Hops(vec![hop("10.0.0.2", 1)])),
        route("10.5.0.0/16", Via::Hops(vec![hop("2001:db8::2", 1)])),
        route("2001:db8:3::/48", Via::Hops(vec![hop("2001:db8::2", 1), hop("2001:db8::3", 1)])),
        route("0.0.0.0/0", Via::Hops(vec![hop("10.0.0.2", 1)])),
    ]
}

#[test]
fn routes_by_gateway_by_several_and_by_nexthop_are_installed_and_removed() {
    in_namespace(|socket| {
        let near = routed_link(socket);
        let objects = routes(near);
        apply_all(socket, &creates(&objects));
        let model = socket.snapshot().expect("snapshot");
        assert_holds(&model, &objects);
        assert!(
            objects
                .iter()
                .all(|object| model.get(&object.key()).is_some_and(|held| held.is_ours()))
        );
        let seen = witness("ip -d route show proto bgp");
        assert!(
            seen.contains("10.2.0.0/16 nhid 1398210566 via inet6 2001:db8::2 dev near"),
            "{seen}"
        );
        assert!(seen.contains("nexthop via 10.0.0.3 dev near weight 4"), "{seen}");

        let doubled = socket.apply(&creates(&objects[4..5])).remove(0);
        assert_eq!(
            doubled.err().and_then(|error| error.errno()),
            Some(Errno::EEXIST),
            "it may be another's"
        );

        let gone: Vec<Object> = objects.into_iter().rev().collect();
        apply_all(socket, &deletes(&gone));
        assert_eq!(witness("ip route show proto bgp"), "");
        assert_eq!(witness("ip nexthop"), "");
        apply_all(socket, &deletes(&gone));
    });
}

#[test]
fn a_route_of_someone_else_is_neither_overwritten_nor_deleted() {
    in_namespace(|socket| {
        routed_link(socket);
        witness("ip route add 10.9.0.0/16 via 10.0.0.9 metric 20 proto static");
        let near = index(socket, "near");
        let via = Via::Hops(vec![Hop::gateway(ip("10.0.0.2"), near)]);
        let ours = Object::Route(Route::new("10.9.0.0/16".parse().expect("prefix"), 20, via));
        let answer = socket.apply(&[Change::Create(ours.clone())]).remove(0);
        assert_eq!(answer.err().and_then(|error| error.errno()), Some(Errno::EEXIST));
        apply_all(socket, &[Change::Delete(ours)]);
        assert!(witness("ip route show proto static").contains("10.9.0.0/16 via 10.0.0.9"));
    });
}

#[test]
fn the_model_draws_the_consequences_that_the_kernel_does_not_announce() {
    in_namespace(|socket| {
        let near = routed_link(socket);
        let far = index(socket, "far");
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let mut model = socket.snapshot().expect("snapshot");
        let mut step = |socket: &mut Socket, what: &str, action: &mut dyn FnMut(&mut Socket)| {
            action(socket);
            println!("{what}");
            // What is tested is what the kernel does not announce: there is no event to await. A change of carrier takes
            // it up to a second (linkwatch), and before that the model would equal it for nothing.
            thread::sleep(Duration::from_millis(1200));
            follow(socket, &mut monitor, &mut model);
        };
        let objects = routes(near);
        let down = LinkSettings { up: Some(false), ..LinkSettings::default() };
        step(socket, "routes", &mut |socket| apply_all(socket, &creates(&objects)));
        step(socket, "a nexthop goes away", &mut |socket| {
            apply_all(socket, &deletes(&objects[..1]))
        });
        step(socket, "the carrier goes away", &mut |socket| {
            socket.change_link(far, &down).expect("far down")
        });
        step(socket, "the carrier is back", &mut |socket| {
            socket.change_link(far, &up()).expect("far up")
        });
        step(socket, "routes again", &mut |socket| drop(socket.apply(&creates(&objects))));
        step(socket, "the link goes down", &mut |socket| {
            socket.change_link(near, &down).expect("near down")
        });
        step(socket, "the link is up", &mut |socket| {
            socket.change_link(near, &up()).expect("near up")
        });
        step(socket, "routes once more", &mut |socket| drop(socket.apply(&creates(&objects))));
        step(socket, "the link is deleted", &mut |socket| {
            socket.delete_link(near).expect("delete")
        });
    });
}

#[test]
fn the_model_follows_the_overlay_through_the_life_of_its_links() {
    in_namespace(|socket| {
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let mut model = socket.snapshot().expect("snapshot");
        let mut step = |socket: &mut Socket| {
            follow(socket, &mut monitor, &mut model);
        };
        let overlay = Overlay::new(socket);
        let mut objects = overlay.remote_macs(100);
        objects.push(Object::Fdb(FdbEntry::flood(overlay.vxlan, ip("192.0.2.7"))));
        objects.push(Object::Neighbor(Neighbor::remote(overlay.bridge, ip("10.10.0.7"), mac(7))));
        objects.push(Object::Neighbor(Neighbor::remote(
            overlay.bridge,
            ip("2001:db8:10::7"),
            mac(7),
        )));
        apply_all(socket, &creates(&objects));
        assert_holds(&socket.snapshot().expect("snapshot"), &objects);
        step(socket);
        let port = PortSettings {
            neigh_suppress: Some(false),
            isolated: Some(true),
            ..PortSettings::default()
        };
        socket
            .change_link(overlay.vxlan, &LinkSettings { port, ..LinkSettings::default() })
            .expect("port");
        step(socket);
        witness("bridge link set dev vx10 flood off");
        step(socket);
        for up in [false, true] {
            let settings = LinkSettings { up: Some(up), ..LinkSettings::default() };
            socket.change_link(overlay.vxlan, &settings).expect("down and up");
            step(socket);
        }
        socket.change_link(overlay.vxlan, &LinkSettings { master: Some(0), ..up() }).expect("out");
        step(socket);
        socket.delete_link(overlay.vxlan).expect("delete");
        step(socket);
        socket.delete_link(overlay.bridge).expect("delete");
        step(socket);
    });
}

#[test]
fn a_monitor_that_is_overrun_says_so_and_a_new_snapshot_heals_the_model() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let (mut monitor, _stop) = Monitor::with_receive_buffer(4096).expect("monitor");
        let mut model = socket.snapshot().expect("snapshot");
        let objects = overlay.remote_macs(1000);
        apply_all(socket, &creates(&objects));
        let overrun = loop {
            match monitor.receive() {
                Ok(Some(notifications)) => {
                    notifications.into_iter().for_each(|it| drop(model.apply(it)))
                }
                Ok(None) => panic!("nobody stopped it"),
                Err(error) => break error,
            }
        };
        assert_eq!(overrun, KernelError::Overrun);
        model = socket.snapshot().expect("snapshot");
        assert_holds(&model, &objects);
        apply_all(socket, &deletes(&objects[..2]));
        follow(socket, &mut monitor, &mut model);
    });
}

#[test]
fn a_monitor_stops_when_it_is_told_to() {
    in_namespace(|_| {
        let (mut monitor, stop) = Monitor::open().expect("monitor");
        let listener = thread::spawn(move || {
            loop {
                match monitor.receive() {
                    Ok(Some(_)) => {}
                    end => return end.map(|_| ()),
                }
            }
        });
        drop(stop);
        assert_eq!(listener.join().expect("listener"), Ok(()));
    });
}

#[test]
fn the_mark_of_a_flood_list_is_lost_when_someone_else_adds_to_it() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let ours = Object::Fdb(FdbEntry::flood(overlay.vxlan, ip("192.0.2.7")));
        apply_all(socket, &creates(std::slice::from_ref(&ours)));
        assert!(
            socket
                .snapshot()
                .expect("snapshot")
                .get(&ours.key())
                .is_some_and(|held| held.is_ours())
        );
        witness("bridge fdb append 00:00:00:00:00:00 dev vx10 dst 192.0.2.8 self permanent");
        let model = socket.snapshot().expect("snapshot");
        assert!(model.get(&ours.key()).is_some_and(|held| !held.is_ours()));
        assert_eq!(model.fdb_of(overlay.vxlan).filter(|entry| entry.is_flood()).count(), 2);
        assert!(
            model
                .fdb_of(overlay.vxlan)
                .all(|entry| entry.table == FdbTable::Bridge || !entry.is_ours())
        );
    });
}

#[test]
fn single_objects_are_read_anew_as_a_snapshot_shows_them() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let address =
            Object::Address(Address::new(overlay.bridge, "10.0.0.1/24".parse().expect("prefix")));
        let mut objects: Vec<Object> = overlay.remote_macs(100);
        objects.extend(
            ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
                .map(|vtep| Object::Fdb(FdbEntry::flood(overlay.vxlan, ip(vtep)))),
        );
        objects.push(Object::Neighbor(Neighbor::remote(overlay.bridge, ip("10.0.0.7"), mac(7))));
        let gateway = NexthopKind::Gateway {
            address: ip("10.0.0.7"),
            ifindex: overlay.bridge,
            onlink: false,
        };
        objects.push(Object::Nexthop(Nexthop::new(NEXTHOP, gateway)));
        objects.push(Object::Route(Route::new(
            "203.0.113.0/24".parse().expect("prefix"),
            20,
            Via::Nexthop(NEXTHOP),
        )));
        apply_all(socket, &creates(&[address]));
        apply_all(socket, &creates(&objects));

        let keys: Vec<Key> = objects.iter().map(Object::key).collect();
        let read = socket.read(&keys).expect("read");
        let model = socket.snapshot().expect("snapshot");
        assert_eq!(read.len(), keys.len(), "every object is there once");
        for object in read {
            assert_eq!(model.get(&object.key()), Some(object));
        }
    });
}

#[test]
fn what_is_not_there_is_not_read() {
    in_namespace(|socket| {
        let overlay = Overlay::new(socket);
        let [bridge, vxlan] = overlay.remote_mac(mac(1), ip("192.0.2.7"));
        let route = Route::new(
            "203.0.113.0/24".parse().expect("prefix"),
            20,
            Via::Hops(vec![Hop::device(overlay.bridge)]),
        );
        let specific = Route { prefix: "203.0.113.0/25".parse().expect("prefix"), ..route.clone() };
        apply_all(
            socket,
            &creates(&[Object::Route(specific.clone()), Object::Route(route.clone())]),
        );
        let keys = [
            bridge.key(),
            vxlan.key(),
            Key::Nexthop(NEXTHOP),
            Key::Fdb {
                ifindex: 4711,
                mac: mac(1),
                vlan: None,
                table: FdbTable::Vxlan,
                vni: None,
                destination: None,
            },
        ];
        assert_eq!(socket.read(&keys).expect("read"), Vec::new());
        // Hidden below a more specific route: not read, and nothing else is taken for it.
        assert_eq!(socket.read(&[route.key()]).expect("read"), Vec::new());
        assert_eq!(socket.read(&[specific.key()]).expect("read").len(), 1);
    });
}

/// An id that is ours.
const NEXTHOP: u32 = 0x5357_0001;

#[test]
fn rules_are_made_as_asked_and_iproute2_sees_them_so() {
    in_namespace(|socket| {
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let mut model = socket.snapshot().expect("snapshot");
        assert!(model.rules().count() > 2 && model.rules().all(Rule::is_default));
        let selector = RuleSelector {
            source: Some("10.0.0.0/8".parse().expect("prefix")),
            input: Some("lo".to_owned()),
            mark: Some((1, 3)),
            ..RuleSelector::default()
        };
        let action = RuleAction::Table(1000);
        let rule = Rule { v6: false, priority: 100, action, selector, protocol: 186 };
        let other = Rule {
            v6: true,
            selector: RuleSelector { inverted: true, ..rule.selector.clone() },
            ..rule.clone()
        };
        let source = Some("2001:db8::/32".parse().expect("prefix"));
        let other = Rule { selector: RuleSelector { source, ..other.selector }, ..other };
        let rules = [rule, other].map(Object::Rule);
        apply_all(socket, &creates(&rules));
        assert_holds(&socket.snapshot().expect("snapshot"), &rules);
        assert!(witness("ip rule").contains("from 10.0.0.0/8 fwmark 0x1/0x3 iif lo lookup 1000"));
        assert!(witness("ip -6 rule").contains("not from 2001:db8::/32"));
        follow(socket, &mut monitor, &mut model);
        assert_holds(&model, &rules);
        apply_all(socket, &deletes(&rules));
        apply_all(socket, &deletes(&rules));
        let dirty = follow(socket, &mut monitor, &mut model);
        assert!(rules.iter().all(|rule| dirty.contains(&rule.key())));
        assert!(model.rules().all(Rule::is_default));
    });
}

#[test]
#[ignore = "needs bridge VLAN filtering: runs in a machine, by tests::hardware platform_kernel"]
fn vlans_of_ports_and_bridges_are_made_as_asked_and_followed() {
    in_namespace(|socket| {
        witness("ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0");
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let bridge = index(socket, "br0");
        // Of a bridge that is down, the kernel does not tell that its settings changed.
        socket.change_link(bridge, &up()).expect("br0 up");
        socket
            .create_link(&NewLink::veth("port1", "host1", None).with(in_bridge(bridge)))
            .expect("veth");
        let mut model = socket.snapshot().expect("snapshot");
        let port = index(socket, "port1");
        let vlans: Vec<Object> = [BridgeVlan::access(port, 10), BridgeVlan::of_bridge(bridge, 10)]
            .into_iter()
            .chain((20..30).map(|vlan| BridgeVlan::tagged(port, vlan)))
            .map(Object::BridgeVlan)
            .collect();
        apply_all(socket, &creates(&vlans));
        assert_holds(&socket.snapshot().expect("snapshot"), &vlans);
        follow(socket, &mut monitor, &mut model);
        assert_holds(&model, &vlans);
        let seen = witness("bridge -j vlan show");
        assert!(seen.contains(r#"{"vlan":10,"flags":["PVID","Egress Untagged"]}"#), "{seen}");

        let moved = Object::BridgeVlan(BridgeVlan::access(port, 20));
        apply_all(socket, &[Change::Replace { from: vlans[2].clone(), to: moved.clone() }]);
        follow(socket, &mut monitor, &mut model);
        assert_holds(
            &model,
            &[moved, Object::BridgeVlan(BridgeVlan { pvid: false, ..access10(port) })],
        );

        witness("ip link set br0 type bridge vlan_default_pvid 30");
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.vlan(port, 30), Some(&BridgeVlan::access(port, 30)));
        apply_all(socket, &deletes(&vlans[1..3]));
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.vlan(bridge, 10), None);
        socket.change_link(port, &LinkSettings { master: Some(0), ..up() }).expect("leave");
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.vlans_of(port), []);
        witness("ip link set port1 master br0");
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.vlans_of(port), [BridgeVlan::access(port, 30)]);
    });
}

fn access10(port: Ifindex) -> BridgeVlan {
    BridgeVlan::access(port, 10)
}

#[test]
#[ignore = "needs tc's flower: runs in a machine, by tests::hardware platform_kernel"]
fn filters_are_followed_until_their_discipline_goes() {
    in_namespace(|socket| {
        socket.create_link(&NewLink::veth("port1", "host1", None).with(up())).expect("veth");
        witness("tc qdisc add dev port1 clsact");
        let (mut monitor, _stop) = Monitor::open().expect("monitor");
        let mut model = socket.snapshot().expect("snapshot");
        let port = index(socket, "port1");
        let filter = "tc filter add dev port1 ingress protocol ip pref";
        let flower = "flower dst_ip 10.0.0.9 action drop";
        witness(&format!("{filter} 5 {flower}"));
        witness(&format!("{filter} 5 handle 7 {flower}").replace("0.9", "0.8"));
        witness(&format!("{filter} 6 chain 3 {flower}"));
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.filters().count(), 3);
        assert!(model.filters().all(|filter| filter.id.place == FilterPlace::Ingress(port)));
        let one = model.filters().find(|filter| filter.id.handle == 7).expect("handle 7").clone();
        apply_all(socket, &deletes(&[Object::Filter(one)]));
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.filters().count(), 2);
        witness("tc filter del dev port1 ingress pref 5");
        follow(socket, &mut monitor, &mut model);
        assert_eq!(model.filters().count(), 1);
        witness("tc qdisc del dev port1 clsact");
        follow(socket, &mut monitor, &mut model);
        assert_eq!((model.filters().count(), model.filter_places().count()), (0, 0));
    });
}
