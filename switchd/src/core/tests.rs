//! The whole daemon without tokio, sockets or root: the core, and a kernel that is honest or hostile.

use std::collections::BTreeSet;
use std::sync::Arc;

use bgp::speaker::BestPath;
use bgp::types::{MacAddr, RouteDistinguisher, RouteTarget};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NextHop};
use platform::asic::{Driver, KernelVersion};
use platform::kernel::fake::{FakeKernel, Table};
use platform::kernel::{
    Address, Bridge, BridgePort, Dataplane as _, FdbEntry, FdbState, FdbTable, Hardware, Link,
    LinkKind, Object, SwitchId, Verdict, Vni, Vxlan,
};

use super::*;

const BRIDGE: u32 = 10;
const VXLAN: u32 = 11;
const PORT: u32 = 12;
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A core and the kernel that it drives.
struct World {
    core: Core,
    kernel: FakeKernel,
    now: Instant,
    announced: BTreeSet<RouteKey>,
}

impl World {
    /// A bridge with VXLAN device 100 and a port, as an operator made them.
    fn new(prepare: impl FnOnce(FakeKernel) -> FakeKernel) -> Self {
        Self::with("", None, prepare)
    }

    /// The same on a switch whose chip has room for so many remote MACs.
    fn on_asic(room: usize) -> Self {
        let driver = Driver::MlxswSpectrum { generation: 2 };
        let profile = Profile::new(driver, KernelVersion::new(6, 1));
        Self::with("", Some(profile), |kernel| kernel.with_asic(room))
    }

    /// With these lines in the configuration's `[bgp]`.
    fn with(
        lines: &str,
        profile: Option<Profile>,
        prepare: impl FnOnce(FakeKernel) -> FakeKernel,
    ) -> Self {
        let port = Some(BridgePort::default());
        let in_bridge = |link| Link { master: Some(BRIDGE), port, ..link };
        let vxlan = LinkKind::Vxlan(Vxlan::new(Vni::try_from(100).unwrap(), OWN.into()));
        let operators = [
            Object::Link(Link::new(1, "lo", LinkKind::Physical)),
            Object::Address(Address::new(1, format!("{OWN}/32").parse().unwrap())),
            Object::Link(Link::new(BRIDGE, "br100", LinkKind::Bridge(Bridge::default()))),
            Object::Link(in_bridge(Link::new(VXLAN, "vxlan100", vxlan))),
            Object::Link(in_bridge(Link {
                hardware: profile.as_ref().map(|_| {
                    let switch_id = SwitchId::new(&[1]);
                    let port_name = Some("p1".to_owned());
                    Box::new(Hardware { switch_id, port_name, ..Hardware::default() })
                }),
                ..Link::new(PORT, "swp1", LinkKind::Physical)
            })),
        ];
        let mut kernel = prepare(operators.into_iter().fold(FakeKernel::new(), FakeKernel::with));
        let config = Config::parse(
            &format!("[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\n{lines}"),
            std::path::Path::new("test"),
        )
        .unwrap();
        let now = Instant::now();
        let core = Core::new(&config, kernel.snapshot().unwrap(), profile, now);
        let mut world = Self { core, kernel, now, announced: BTreeSet::new() };
        world.run();
        world
    }

    fn converged(mut self) -> Self {
        self.core
            .handle_bgp(FAMILIES.into_iter().map(|family| Event::Converged { family }).collect());
        self.run();
        self
    }

    /// Moves data between core and kernel until nothing moves any more.
    fn run(&mut self) {
        loop {
            let mut moved = false;
            if let Some(Originations { announce, withdraw }) = self.core.poll_originations() {
                self.announced.extend(announce.into_iter().map(|route| route.key));
                self.announced.retain(|key| !withdraw.contains(key));
            }
            if let Some(batch) = self.core.poll_batch(self.now) {
                let results = self.kernel.apply(&batch);
                self.core.handle_outcome(&batch, results, self.now);
                moved = true;
            }
            match self.kernel.receive() {
                Ok(news) if news.is_empty() => {}
                Ok(news) => {
                    self.core.handle_notifications(news, self.now);
                    moved = true;
                }
                Err(_) => self.core.handle_overrun(),
            }
            if let Some(keys) = self.core.poll_read(self.now) {
                let found = self.kernel.read(&keys).unwrap();
                self.core.handle_read(&keys, found, self.now);
                moved = true;
            }
            if self.core.poll_snapshot_due() {
                self.core.handle_snapshot(self.kernel.snapshot().unwrap(), self.now);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// Time passes, with all that becomes due in it.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.run();
        }
        self.now = until;
    }

    /// The last octets of the remote MACs that are in hardware, by the chip and by the ledger.
    fn in_hardware(&self) -> [BTreeSet<u8>; 2] {
        let last = |entry: &FdbEntry| entry.mac.octets()[5];
        let halves = || {
            let entries = self.kernel.model().fdb().filter(|entry| entry.is_ours());
            entries.filter(|entry| entry.table == FdbTable::Vxlan && !entry.is_flood())
        };
        let taken = |entry: &&FdbEntry| entry.offload.offloaded;
        let known = |entry: &&FdbEntry| {
            let standing = self.core.standing(
                &Object::Fdb((*entry).clone()),
                &Prediction::default(),
                self.now,
            );
            standing.verdict == Verdict::InHardware
        };
        [halves().filter(taken).map(last).collect(), halves().filter(known).map(last).collect()]
    }

    /// The far VTEP announces, or withdraws, a MAC of VNI 100.
    fn far_mac(&mut self, last: u8, here: bool) {
        let rd = RouteDistinguisher::from_ipv4(FAR, 100);
        let key = RouteKey::Evpn(EvpnKey::MacIp { rd, ethernet_tag: 0, mac: mac(last), ip: None });
        let mut editor = AttributeSet::builder(NextHop::V4(FAR));
        editor.add_ext_community(ExtCommunity::route_target(RouteTarget::from_as2(65002, 100)));
        let payload =
            EvpnPayload { label: bgp::types::Label::from_vni(100), ..EvpnPayload::default() };
        let best = here.then(|| Arc::new(editor.build()));
        self.core.handle_bgp(vec![Event::BestPath(BestPath {
            key,
            payload,
            best,
            source: None,
            equal: Vec::new(),
            fib: None,
        })]);
        self.run();
    }

    fn remote_macs(&self) -> BTreeSet<Key> {
        self.kernel.model().fdb().filter(|entry| entry.is_ours()).map(FdbEntry::key).collect()
    }

    fn refusals(&self) -> Vec<String> {
        let reason = |object: Object| match self
            .core
            .standing(&object, &Prediction::default(), self.now)
            .verdict
        {
            Verdict::Refused { reason, .. } => reason,
            _ => None,
        };
        self.core.missing().filter_map(reason).collect()
    }
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 0, last)
}

fn both_halves(last: u8) -> [FdbEntry; 2] {
    [
        FdbEntry::remote_in_bridge(VXLAN, mac(last)),
        FdbEntry::remote_in_vxlan(VXLAN, mac(last), FAR.into()),
    ]
}

fn keys(macs: impl IntoIterator<Item = u8>) -> BTreeSet<Key> {
    macs.into_iter().flat_map(|last| both_halves(last).map(|entry| entry.key())).collect()
}

#[test]
fn a_remote_mac_is_written_to_both_tables_and_goes_with_its_route() {
    let mut world = World::new(|kernel| kernel).converged();
    world.far_mac(1, true);
    assert_eq!(world.remote_macs(), keys([1]));
    world.far_mac(1, false);
    assert_eq!(world.remote_macs(), keys([]));
}

#[test]
fn a_mac_that_the_bridge_learns_is_announced_and_withdrawn_when_it_ages_out() {
    let mut world = World::new(|kernel| kernel).converged();
    let station = FdbEntry {
        ifindex: PORT,
        table: FdbTable::Bridge,
        state: FdbState::Dynamic,
        extern_learn: false,
        master: Some(BRIDGE),
        ..FdbEntry::remote_in_bridge(VXLAN, mac(7))
    };
    let key = station.key();
    let before = world.announced.clone();
    world.kernel.appear(Object::Fdb(station));
    world.run();
    assert_eq!(world.announced.len(), before.len() + 1);
    world.kernel.vanish(&key);
    world.run();
    assert_eq!(world.announced, before);
}

#[test]
fn after_lost_notifications_the_kernel_equals_what_is_desired_again() {
    let mut world = World::new(|kernel| kernel.losing_notifications_after(20)).converged();
    for last in 1..=100 {
        world.far_mac(last, true);
    }
    assert_eq!(world.remote_macs(), keys(1..=100));
    let [bridge, vxlan] = both_halves(50);
    world.kernel.vanish(&bridge.key());
    world.kernel.vanish(&vxlan.key());
    world.run();
    assert_eq!(world.remote_macs(), keys(1..=100), "what an operator deletes by hand comes back");
}

#[test]
fn a_full_table_refuses_what_does_not_fit_says_why_and_takes_it_when_there_is_room() {
    let mut world = World::new(|kernel| kernel.with_table_size(Table::Fdb, 6)).converged();
    (1..=4).for_each(|last| world.far_mac(last, true));
    assert!(world.remote_macs().len() <= 6);
    assert!(!world.refusals().is_empty());
    world.far_mac(1, false);
    while let Some(deadline) = world.core.poll_timeout().filter(|_| !world.refusals().is_empty()) {
        world.now = deadline;
        world.core.handle_timeout(deadline);
        world.run();
    }
    assert_eq!(world.remote_macs(), keys(2..=4));
}

#[test]
fn what_a_former_run_left_is_adopted_and_the_rest_swept_only_after_convergence() {
    let leftovers = || both_halves(1).into_iter().chain(both_halves(2)).map(Object::Fdb);
    let mut world = World::new(|kernel| leftovers().fold(kernel, FakeKernel::with));
    assert!(has_leftovers(world.kernel.model()));
    assert_eq!(
        world.remote_macs(),
        keys([1, 2]),
        "nothing is deleted before the peers have spoken"
    );
    world.far_mac(1, true);
    assert_eq!(world.kernel.applied(), [], "what is there already is not written again");
    let world = world.converged();
    assert_eq!(world.remote_macs(), keys([1]));
}

#[test]
fn a_vxlan_device_that_vanishes_takes_its_entries_along_and_leaves_no_retries() {
    let mut world = World::new(|kernel| kernel).converged();
    (1..=3).for_each(|last| world.far_mac(last, true));
    world.kernel.vanish(&Key::Link(VXLAN));
    world.run();
    assert_eq!(world.remote_macs(), keys([]));
    assert_eq!(world.announced, BTreeSet::new());
    assert_eq!(world.refusals(), [""; 0]);
}

#[test]
fn evpn_routes_are_asked_for_when_the_first_vxlan_device_comes_and_unicast_routes_only_for_a_fib() {
    let config = "[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\nfib = false\n";
    let config = Config::parse(config, std::path::Path::new("test")).unwrap();
    let mut core = Core::new(&config, Model::default(), None, Instant::now());
    assert_eq!(core.poll_wanted(), [].into());
    let vxlan = LinkKind::Vxlan(Vxlan::new(Vni::try_from(100).unwrap(), OWN.into()));
    let vxlan = Object::Link(Link::new(VXLAN, "vxlan100", vxlan));
    core.handle_notifications(vec![Notification::New(vxlan)], Instant::now());
    assert_eq!(core.poll_wanted(), [AfiSafi::L2VPN_EVPN].into());
    assert_eq!(core.poll_wanted(), [].into());
    let mut leaf = World::new(|kernel| kernel);
    assert_eq!(leaf.core.poll_wanted(), FAMILIES.into());
}

#[test]
fn a_route_that_goes_and_comes_back_before_anyone_asks_is_announced() {
    let mut world = World::new(|kernel| kernel).converged();
    let down = Object::Link(Link {
        up: false,
        running: false,
        ..world.kernel.model().link(VXLAN).unwrap().clone()
    });
    let up = Object::Link(world.kernel.model().link(VXLAN).unwrap().clone());
    world.core.handle_notifications(vec![Notification::New(down)], world.now);
    world.core.handle_notifications(vec![Notification::New(up)], world.now);
    let Originations { announce, withdraw } = world.core.poll_originations().unwrap();
    assert_eq!((announce.len(), withdraw), (1, Vec::new()));
}

#[test]
fn what_does_not_fit_into_hardware_stays_in_software_and_moves_up_when_there_is_room() {
    let mut world = World::on_asic(2).converged();
    (1..=4).for_each(|last| world.far_mac(last, true));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.remote_macs(), keys(1..=4), "the kernel has them all");
    assert_eq!(
        world.in_hardware(),
        [1, 2].map(|_| BTreeSet::from([1, 2])),
        "first come, first kept"
    );
    world.far_mac(1, false);
    world.pass(Duration::from_secs(10));
    let [chip, ledger] = world.in_hardware();
    assert!(chip.contains(&2) && chip.len() == 2, "{chip:?}");
    assert_eq!(ledger, chip);
    world.kernel.resize_asic(10);
    world.pass(Duration::from_secs(120));
    assert_eq!(world.in_hardware(), [1, 2].map(|_| BTreeSet::from([2, 3, 4])));
}

#[test]
fn what_is_in_hardware_is_never_made_again_for_the_sake_of_what_is_not() {
    let mut world = World::on_asic(2).converged();
    (1..=4).for_each(|last| world.far_mac(last, true));
    world.pass(Duration::from_secs(300));
    let touched: BTreeSet<u8> = world
        .kernel
        .applied()
        .iter()
        .filter(|change| matches!(change, Change::Delete(_)))
        .filter_map(|change| match change.key() {
            Key::Fdb { mac, .. } => Some(mac.octets()[5]),
            _ => None,
        })
        .collect();
    assert_eq!(touched, BTreeSet::from([3, 4]), "those left out are tried in turn");
}

#[test]
fn an_entry_that_the_chip_drops_in_silence_is_noticed_and_put_back() {
    let mut world = World::on_asic(10).converged();
    world.far_mac(1, true);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.in_hardware(), [1, 2].map(|_| BTreeSet::from([1])));
    let none = platform::kernel::Offload::default();
    both_halves(1).iter().for_each(|half| world.kernel.set_offload(&half.key(), none));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.in_hardware(), [1, 2].map(|_| BTreeSet::from([1])));
}

#[test]
fn flags_are_read_only_after_writing_is_done() {
    let mut world = World::on_asic(10).converged();
    world.far_mac(1, true);
    world.pass(Duration::from_millis(10));
    // A second MAC is on its way to the kernel.
    let [_, vxlan] = both_halves(2);
    world.core.reconciler.desire(vxlan.key(), Some(Object::Fdb(vxlan)));
    world.now += Duration::from_millis(100);
    assert_eq!(world.core.poll_read(world.now), None);
    assert!(world.core.poll_timeout().is_some_and(|at| at > world.now), "no busy waiting");
    world.run();
    world.now += Duration::from_millis(100);
    assert!(world.core.poll_read(world.now).is_some());
}

#[test]
fn the_end_of_our_routes_comes_after_the_aggregates_of_what_others_told_us() {
    let mut world =
        World::with("[[bgp.aggregate]]\nprefix = \"10.0.0.0/8\"", None, |kernel| kernel);
    assert_eq!(world.core.poll_ready_families(), []);
    let best = BestPath {
        key: RouteKey::Ipv4("10.1.0.0/16".parse().unwrap()),
        payload: EvpnPayload::default(),
        best: Some(Arc::new(AttributeSet::builder(NextHop::V4(FAR)).build())),
        source: None,
        equal: Vec::new(),
        fib: None,
    };
    let converged = Event::Converged { family: AfiSafi::IPV4_UNICAST };
    world.core.handle_bgp(vec![Event::BestPath(best), converged]);
    let originations = world.core.poll_originations().unwrap();
    let aggregate = RouteKey::Ipv4("10.0.0.0/8".parse().unwrap());
    assert!(originations.announce.iter().any(|route| route.key == aggregate));
    assert_eq!(world.core.poll_ready_families(), [AfiSafi::IPV4_UNICAST]);
    assert_eq!(world.core.poll_ready_families(), [], "said once");
}
