//! What the ledger costs while 100,000 entries are programmed: the daemon's core and the kernel's own tables, with a switch
//! that the ledger watches and without one, in turns in the same run. Needs root.
//!
//! The machine has no ASIC, so a port of one is pretended: the flags never come, and the ledger looks for each of them as
//! often as it ever does. That is its worst case; the looks begin when the writing is done.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bgp::speaker::{BestPath, Event, RouteKey};
use bgp::types::{Label, MacAddr, RouteDistinguisher, RouteTarget};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NextHop};
use nix::sched::{CloneFlags, unshare};
use platform::asic::{Driver, KernelVersion, Profile};
use platform::kernel::{
    Address, Change, Dataplane as _, Hardware, KernelError, Key, Link, LinkSettings, Monitor,
    NewLink, Notification, Object, Socket, SwitchId, Vni, Vxlan,
};
use switchd::config::Config;
use switchd::core::Core;

/// Each is two entries.
const MACS: u32 = 50_000;
const ENTRIES: usize = 2 * MACS as usize;
const ROUNDS: usize = 21;
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn main() {
    // Cargo builds benches as tests too, and runs them with this.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut pairs: Vec<[f64; 2]> = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push([false, true].map(|watched| {
            std::thread::spawn(move || round(watched)).join().unwrap().as_secs_f64()
        }));
    }
    println!("median of {ROUNDS} pairs of rounds, {ENTRIES} entries of remote MACs:");
    for (name, column) in [("without ledger", 0), ("with ledger", 1)] {
        let time = median(pairs.iter().map(|pair| pair[column]));
        println!("  {name:15} {time:.3} s, {:.0} entries/s", ENTRIES as f64 / time);
    }
    // Within a pair the machine was the same.
    println!("  ratio           {:.3}", median(pairs.iter().map(|[without, with]| with / without)));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From the first route to the last entry in the kernel, in a namespace of its own.
fn round(watched: bool) -> Duration {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let (monitor, stop) = Monitor::open().unwrap();
    let mut kernel = Socket::open().unwrap();
    make_gateway(&mut kernel);
    let now = Instant::now();
    let profile = Profile::new(Driver::MlxswSpectrum { generation: 2 }, KernelVersion::new(6, 1));
    let config = "[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\n";
    let config = Config::parse(config, Path::new("bench")).unwrap();
    let model = kernel.snapshot().unwrap();
    let port = model.link_named("port1").unwrap().clone();
    let vxlan = model.link_named("vx100").unwrap().index;
    let mut core = Core::new(&config, model, watched.then_some(profile), now);
    if watched {
        let switch_id = SwitchId::new(&[1]);
        let hardware = Hardware { switch_id, port_name: Some("p1".into()), ..Hardware::default() };
        let port = Link { hardware: Some(Box::new(hardware)), ..port };
        core.handle_notifications(vec![Notification::New(Object::Link(port))], now);
    }
    let events: Vec<Event> = (0..MACS).map(far_mac).collect();

    let (to_core, from_kernel) = channel();
    let (to_kernel, requests) = channel();
    let watcher = std::thread::spawn({
        let to_core = to_core.clone();
        move || watch(monitor, &to_core)
    });
    let writer = std::thread::spawn(move || write(kernel, &requests, &to_core));
    let start = Instant::now();
    for events in events.chunks(1024) {
        core.handle_bgp(events.to_vec());
        while let Ok(event) = from_kernel.try_recv() {
            handle(&mut core, event);
        }
        act(&mut core, &to_kernel);
    }
    while core.model().fdb_count(vxlan) < ENTRIES {
        handle(&mut core, from_kernel.recv().unwrap());
        act(&mut core, &to_kernel);
    }
    let taken = start.elapsed();
    drop(to_kernel);
    writer.join().unwrap();
    drop(stop);
    watcher.join().unwrap();
    taken
}

enum FromKernel {
    Notifications(Vec<Notification>),
    Applied(Vec<Change>, Vec<Result<(), KernelError>>),
    Read(Vec<Key>, Vec<Object>),
}

enum ToKernel {
    Apply(Vec<Change>),
    Read(Vec<Key>),
}

/// As the daemon does it: one thread listens, one writes, and the core is on a third.
fn watch(mut monitor: Monitor, events: &Sender<FromKernel>) {
    while let Ok(Some(news)) = monitor.receive() {
        if events.send(FromKernel::Notifications(news)).is_err() {
            return;
        }
    }
}

fn write(mut kernel: Socket, requests: &Receiver<ToKernel>, events: &Sender<FromKernel>) {
    for request in requests {
        let event = match request {
            ToKernel::Apply(batch) => {
                let results = kernel.apply(&batch);
                FromKernel::Applied(batch, results)
            }
            ToKernel::Read(keys) => {
                let found = kernel.read(&keys).unwrap();
                FromKernel::Read(keys, found)
            }
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

fn handle(core: &mut Core, event: FromKernel) {
    let now = Instant::now();
    match event {
        FromKernel::Notifications(news) => core.handle_notifications(news, now),
        FromKernel::Applied(batch, results) => core.handle_outcome(&batch, results, now),
        FromKernel::Read(keys, found) => core.handle_read(&keys, found, now),
    }
}

fn act(core: &mut Core, to_kernel: &Sender<ToKernel>) {
    if let Some(batch) = core.poll_batch(Instant::now()) {
        to_kernel.send(ToKernel::Apply(batch)).unwrap();
    }
    if let Some(keys) = core.poll_read(Instant::now()) {
        to_kernel.send(ToKernel::Read(keys)).unwrap();
    }
}

fn make_gateway(kernel: &mut Socket) {
    let up = |master| LinkSettings { up: Some(true), master, ..LinkSettings::default() };
    let lo = kernel.link_named("lo").unwrap().unwrap().index;
    kernel.change_link(lo, &up(None)).unwrap();
    let own = Object::Address(Address::new(lo, format!("{OWN}/32").parse().unwrap()));
    kernel.apply(&[Change::Create(own)]);
    kernel.create_link(&NewLink::bridge("br100").with(up(None))).unwrap();
    let bridge = kernel.link_named("br100").unwrap().unwrap().index;
    let vxlan = Vxlan::new(Vni::try_from(100).unwrap(), IpAddr::V4(OWN));
    kernel.create_link(&NewLink::vxlan("vx100", vxlan).with(up(Some(bridge)))).unwrap();
    kernel.create_link(&NewLink::veth("port1", "host1", None).with(up(Some(bridge)))).unwrap();
}

fn far_mac(number: u32) -> Event {
    let [a, b, c, d] = number.to_be_bytes();
    let mac = MacAddr::new(2, 0, a, b, c, d);
    let rd = RouteDistinguisher::from_ipv4(FAR, 100);
    let key = RouteKey::Evpn(EvpnKey::MacIp { rd, ethernet_tag: 0, mac, ip: None });
    let mut editor = AttributeSet::builder(NextHop::V4(FAR));
    editor.add_ext_community(ExtCommunity::route_target(RouteTarget::from_as2(65002, 100)));
    let payload = EvpnPayload { label: Label::from_vni(100), ..EvpnPayload::default() };
    let best = Some(Arc::new(editor.build()));
    Event::BestPath(BestPath { key, payload, best, source: None, equal: Vec::new(), fib: None })
}
