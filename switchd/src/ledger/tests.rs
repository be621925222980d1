use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use platform::asic::{Driver, KernelVersion};
use platform::kernel::{
    Address, Bridge, BridgePort, FdbEntry, Hardware, Link, LinkKind, MacAddr, Notification,
    Offload, Route, RouteKind, SwitchId, TABLE_LOCAL, Via, Vni, Vxlan,
};

use super::*;

const PORT: u32 = 2;
const BRIDGE: u32 = 10;
const VXLAN: u32 = 11;
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const VTEP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const TAKEN: Offload = Offload { offloaded: true, trapped: false, failed: false };

/// A ledger, the kernel's objects as they are, and as we know them.
struct World {
    ledger: Ledger,
    kernel: Model,
    known: Model,
    now: Instant,
    /// How many keys were read.
    reads: usize,
}

impl World {
    /// A gateway with one VNI on a switch of this kind.
    fn on(driver: Driver) -> Self {
        let now = Instant::now();
        let mut world = Self {
            ledger: Ledger::default(),
            kernel: Model::default(),
            known: Model::default(),
            now,
            reads: 0,
        };
        world.ledger.handle_profile(Some(profile(driver)), &world.known, now);
        let hardware = hardware();
        let port = Some(BridgePort::default());
        let bridge = LinkKind::Bridge(Bridge { multicast_snooping: false, ..Bridge::default() });
        let vxlan = LinkKind::Vxlan(Vxlan::new(Vni::try_from(100).unwrap(), OWN));
        let member = |link| Link { master: Some(BRIDGE), port, ..link };
        world.tell(Object::Link(Link::new(BRIDGE, "br100", bridge)));
        world.tell(Object::Link(member(Link {
            hardware: Some(Box::new(hardware)),
            ..Link::new(PORT, "swp1", LinkKind::Physical)
        })));
        world.tell(Object::Link(member(Link::new(VXLAN, "vxlan100", vxlan))));
        world
    }

    /// The kernel announces an object.
    fn tell(&mut self, object: Object) {
        self.kernel.apply(Notification::New(object.clone()));
        let keys = self.known.apply(Notification::New(object));
        self.note(keys);
    }

    fn vanish(&mut self, object: &Object) {
        self.kernel.apply(Notification::Gone(object.clone()));
        let keys = self.known.apply(Notification::Gone(object.clone()));
        self.note(keys);
    }

    fn note(&mut self, keys: Vec<Key>) {
        for key in keys {
            let object = self.known.get(&key);
            self.ledger.handle_object(&key, object.as_ref(), &self.known, self.now);
        }
        self.ledger.settle(&self.known);
    }

    /// The driver sets the flags of an object and says nothing.
    fn flag(&mut self, object: &Object, offload: Offload) {
        let object = self.kernel.get(&object.key()).expect("it exists").with_offload(offload);
        self.kernel.apply(Notification::New(object));
    }

    /// Time passes; what the ledger wants to read is read. Returns what it wants to be made again.
    fn pass(&mut self, time: Duration) -> Vec<Key> {
        let (until, mut retries) = (self.now + time, Vec::new());
        while let Some(at) = self.ledger.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let Some(keys) = self.ledger.poll_read(self.now) else { continue };
            self.reads += keys.len();
            let found: Vec<Object> = keys.iter().filter_map(|key| self.kernel.get(key)).collect();
            for object in found {
                let keys = self.known.apply(Notification::New(object));
                self.note(keys);
            }
            self.ledger.handle_read(&keys, &self.known, self.now);
            retries.extend(self.ledger.poll_retries());
        }
        self.now = until;
        retries
    }

    fn standing(&self, object: &Object) -> Standing {
        let held = self.known.get(&object.key()).expect("it exists");
        self.ledger.standing(&held, &self.known, &Prediction::default(), self.now)
    }

    fn verdict(&self, object: &Object) -> Verdict {
        self.standing(object).verdict
    }
}

fn hardware() -> Hardware {
    let switch_id = SwitchId::new(&[1]);
    Hardware { switch_id, port_name: Some("p1".into()), ..Hardware::default() }
}

fn profile(driver: Driver) -> Profile {
    Profile::new(driver, KernelVersion::new(6, 1))
}

const SPECTRUM: Driver = Driver::MlxswSpectrum { generation: 2 };

fn mac(last: u8) -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 0, last)
}

fn in_vxlan(last: u8) -> Object {
    Object::Fdb(FdbEntry::remote_in_vxlan(VXLAN, mac(last), VTEP))
}

fn in_bridge(last: u8) -> Object {
    let entry = FdbEntry::remote_in_bridge(VXLAN, mac(last));
    Object::Fdb(FdbEntry { master: Some(BRIDGE), ..entry })
}

fn is_refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused { .. })
}

/// Longer than the driver gets.
const ITS_TIME: Duration = Duration::from_secs(6);

#[test]
fn an_entry_waits_until_the_flag_that_nobody_announces_is_seen() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_vxlan(1));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Pending);
    world.flag(&in_vxlan(1), TAKEN);
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Pending, "nobody has looked yet");
    world.pass(Duration::from_millis(100));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::InHardware);
}

#[test]
fn an_entry_that_the_driver_leaves_out_is_refused_with_a_reason_and_tried_again() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_bridge(1));
    world.tell(in_vxlan(1));
    assert_eq!(world.pass(ITS_TIME), []);
    for half in [in_bridge(1), in_vxlan(1)] {
        assert!(is_refused(&world.verdict(&half)));
        assert!(world.standing(&half).reason.contains("table may be full"));
    }
    assert_eq!(world.pass(ITS_TIME), [in_vxlan(1).key()], "only the half that the driver looks at");
    assert!(is_refused(&world.verdict(&in_vxlan(1))), "trying again is no reason to look hopeful");
}

#[test]
fn while_the_table_stays_full_attempts_become_rare() {
    let mut world = World::on(SPECTRUM);
    (1..=50).for_each(|last| world.tell(in_vxlan(last)));
    world.pass(Duration::from_secs(300));
    let attempts = world.pass(Duration::from_secs(600)).len();
    assert!((5..=12).contains(&attempts), "{attempts} attempts in ten minutes");
}

#[test]
fn when_an_entry_leaves_the_hardware_those_left_out_follow_in_the_order_in_which_they_came() {
    let mut world = World::on(SPECTRUM);
    (1..=3).for_each(|last| world.tell(in_vxlan(last)));
    world.flag(&in_vxlan(1), TAKEN);
    world.pass(ITS_TIME);
    world.vanish(&in_vxlan(1));
    let mut order = Vec::new();
    for _ in 0..20 {
        for key in world.pass(Duration::from_millis(500)) {
            order.push(key);
            // The driver takes what is made again.
            let made_again = world.kernel.get(&key).expect("it exists");
            world.flag(&made_again, TAKEN);
        }
    }
    assert_eq!(order, [in_vxlan(2).key(), in_vxlan(3).key()]);
    assert_eq!(world.verdict(&in_vxlan(2)), Verdict::InHardware);
    assert_eq!(world.verdict(&in_vxlan(3)), Verdict::InHardware);
    assert_eq!(world.ledger.left_out(), 0);
}

#[test]
fn the_bridges_half_is_seen_in_hardware_once_the_other_half_was_taken() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_bridge(1));
    world.tell(in_vxlan(1));
    world.pass(ITS_TIME);
    world.flag(&in_bridge(1), TAKEN);
    world.flag(&in_vxlan(1), TAKEN);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::InHardware);
    assert_eq!(world.verdict(&in_bridge(1)), Verdict::InHardware);
}

#[test]
fn an_entry_that_the_driver_drops_in_silence_is_found_by_the_audit() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_vxlan(1));
    world.flag(&in_vxlan(1), TAKEN);
    world.pass(ITS_TIME);
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::InHardware);
    world.flag(&in_vxlan(1), Offload::default());
    world.pass(AUDIT_EVERY + Duration::from_millis(10));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Pending);
    world.pass(ITS_TIME);
    assert!(is_refused(&world.verdict(&in_vxlan(1))));
}

#[test]
fn a_verdict_says_how_long_ago_it_was_seen() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_vxlan(1));
    world.now += Duration::from_secs(3);
    assert_eq!(world.standing(&in_vxlan(1)).seen, Some(Duration::from_secs(3)));
    world.pass(Duration::from_millis(1));
    assert!(world.standing(&in_vxlan(1)).seen < Some(Duration::from_secs(1)));
}

#[test]
fn a_route_that_failed_is_refused_at_once_and_tried_again() {
    let mut world = World::on(SPECTRUM);
    world.tell(Object::Address(Address::new(BRIDGE, "192.0.2.1/24".parse().unwrap())));
    let hop = platform::kernel::Hop::gateway("192.0.2.2".parse().unwrap(), BRIDGE);
    let route = Route::new("203.0.113.0/24".parse().unwrap(), 20, Via::Hops(vec![hop]));
    let failed = Offload { failed: true, ..Offload::default() };
    world.tell(Object::Route(Route { offload: failed, ..route.clone() }));
    let route = Object::Route(route);
    assert!(is_refused(&world.verdict(&route)));
    assert_eq!(world.pass(Duration::from_secs(10)), [route.key()]);
}

#[test]
fn entries_of_others_are_judged_and_never_made_again() {
    let mut world = World::on(SPECTRUM);
    let Object::Fdb(entry) = in_vxlan(1) else { unreachable!() };
    let foreign = Object::Fdb(FdbEntry {
        extern_learn: false,
        state: platform::kernel::FdbState::Permanent,
        ..entry
    });
    world.tell(foreign.clone());
    assert_eq!(world.pass(Duration::from_secs(600)), []);
    assert!(is_refused(&world.verdict(&foreign)));
}

#[test]
fn where_the_driver_knows_no_vxlan_the_tunnel_is_software_and_nothing_to_worry_about() {
    let mut world = World::on(Driver::Rocker);
    world.tell(in_vxlan(1));
    world.tell(in_bridge(1));
    let standing = world.standing(&in_vxlan(1));
    assert_eq!(standing.verdict, Verdict::Software);
    assert!(!standing.expected);
    assert!(standing.reason.contains("does not offload VXLAN"), "{}", standing.reason);
    assert_eq!(world.pass(Duration::from_secs(60)), []);
}

#[test]
fn a_flag_that_the_driver_sets_on_routes_to_the_cpu_is_not_believed() {
    let mut world = World::on(Driver::Rocker);
    world.tell(Object::Address(Address::new(BRIDGE, "192.0.2.1/24".parse().unwrap())));
    let hop = platform::kernel::Hop::device(BRIDGE);
    let connected = Route::new("192.0.2.0/24".parse().unwrap(), 0, Via::Hops(vec![hop]));
    world.tell(Object::Route(Route { offload: TAKEN, ..connected.clone() }));
    assert_eq!(world.verdict(&Object::Route(connected.clone())), Verdict::Trapped);
    // It sets it in silence, so that we may not have seen it.
    world.tell(Object::Route(connected.clone()));
    assert_eq!(world.verdict(&Object::Route(connected)), Verdict::Trapped);
}

#[test]
fn an_address_that_is_on_no_port_has_no_entry_where_the_driver_makes_entries_by_port() {
    let mut world = World::on(Driver::Rocker);
    let hop = platform::kernel::Hop::device(1);
    let loopback = Route::new("10.0.0.1/32".parse().unwrap(), 0, Via::Hops(vec![hop]));
    let loopback = Object::Route(Route { kind: RouteKind::Local, table: TABLE_LOCAL, ..loopback });
    world.tell(loopback.clone());
    let standing = world.standing(&loopback);
    assert_eq!((standing.verdict, standing.expected), (Verdict::Software, false));
    assert!(standing.reason.contains("no entry for it"), "{}", standing.reason);
}

#[test]
fn without_an_asic_everything_is_software_nothing_is_remembered_and_nothing_is_read() {
    let mut world = World::on(SPECTRUM);
    world.ledger.handle_profile(None, &world.known, world.now);
    world.tell(in_vxlan(1));
    let standing = world.standing(&in_vxlan(1));
    assert_eq!((standing.verdict, standing.expected), (Verdict::Software, false));
    assert!(standing.reason.contains("no switch ASIC"));
    assert_eq!(world.ledger.poll_timeout(), None);
    assert_eq!(world.reads, 0);
}

#[test]
fn links_without_a_port_of_the_asic_owe_the_hardware_nothing() {
    let mut world = World::on(SPECTRUM);
    world.tell(Object::Link(Link::new(20, "br200", LinkKind::Bridge(Bridge::default()))));
    let vxlan = LinkKind::Vxlan(Vxlan::new(Vni::try_from(200).unwrap(), OWN));
    let vxlan = Link::new(21, "vxlan200", vxlan);
    world.tell(Object::Link(Link { master: Some(20), ..vxlan }));
    let entry = Object::Fdb(FdbEntry::remote_in_vxlan(21, mac(1), VTEP));
    world.tell(entry.clone());
    assert_eq!(world.verdict(&entry), Verdict::Software);
    assert!(!world.standing(&entry).expected);
}

#[test]
fn a_port_that_joins_a_bridge_makes_its_tunnel_the_asics() {
    let mut world = World::on(SPECTRUM);
    let Some(Object::Link(port)) = world.known.get(&Key::Link(PORT)) else { unreachable!() };
    world.tell(Object::Link(Link { master: None, port: None, ..port.clone() }));
    world.tell(in_vxlan(1));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Software);
    world.tell(Object::Link(port));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Pending);
}

#[test]
fn an_asic_that_appears_is_asked_for_and_everything_is_judged_anew() {
    let mut world = World::on(SPECTRUM);
    world.ledger.handle_profile(None, &world.known, world.now);
    world.tell(in_vxlan(1));
    let hardware = hardware();
    let link = Link::new(3, "swp2", LinkKind::Physical);
    let port = Object::Link(Link { hardware: Some(Box::new(hardware)), ..link });
    world.known.apply(Notification::New(port.clone()));
    let asked = world.ledger.handle_object(&port.key(), Some(&port), &world.known, world.now);
    assert!(asked, "a port of a switch came");
    assert_eq!(world.ledger.ports(&world.known).len(), 2);
    world.ledger.handle_profile(Some(profile(SPECTRUM)), &world.known, world.now);
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Pending);
}

#[test]
fn flags_that_outlive_a_reload_of_the_driver_are_not_believed_and_the_entries_made_again() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_vxlan(1));
    world.flag(&in_vxlan(1), TAKEN);
    world.pass(ITS_TIME);
    let Some(Object::Link(port)) = world.known.get(&Key::Link(PORT)) else { unreachable!() };
    world.vanish(&Object::Link(port.clone()));
    assert_eq!(world.verdict(&in_vxlan(1)), Verdict::Software, "the port is gone, the flag is not");
    world.tell(Object::Link(port.clone()));
    assert_eq!(world.ledger.poll_retries(), [in_vxlan(1).key()]);

    // The same when the daemon was told in between that there is no ASIC any more.
    world.vanish(&Object::Link(port.clone()));
    world.ledger.handle_profile(None, &world.known, world.now);
    world.tell(Object::Link(port));
    world.ledger.handle_profile(Some(profile(SPECTRUM)), &world.known, world.now);
    assert_eq!(world.ledger.poll_retries(), [in_vxlan(1).key()]);
}

#[test]
fn what_a_former_run_left_in_hardware_is_believed_at_the_start() {
    let mut world = World::on(SPECTRUM);
    world.tell(in_vxlan(1));
    world.flag(&in_vxlan(1), TAKEN);
    world.pass(ITS_TIME);
    let mut ledger = Ledger::default();
    ledger.handle_profile(Some(profile(SPECTRUM)), &world.known, world.now);
    assert_eq!(ledger.poll_retries(), []);
}
