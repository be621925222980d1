//! How long a table of IPv4 routes takes from BGP's best paths to the kernel, beside a writer that does nothing but write:
//! the same routes over the same nexthop object, in turns in the same run. Needs root.
//!
//! `cargo bench -p switchd --bench fib -- 1000000` says how many routes; 200,000 unless told otherwise.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bgp::speaker::{
    BestPath, Event, NeighborConfig, PathSource, RemoteAs, RouteKey, Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::{AttributeSet, EvpnPayload, NextHop};
use ipnet::Ipv4Net;
use nix::sched::{CloneFlags, unshare};
use platform::kernel::{
    Address, Change, Dataplane as _, Ifindex, KernelError, LinkSettings, Monitor, NEXTHOP_IDS,
    NewLink, Nexthop, NexthopKind, Notification, Object, Socket,
};
use socket2::{Domain, Protocol, Type};
use switchd::config::Config;
use switchd::core::Core;

const ROUNDS: usize = 3;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

fn main() {
    // Cargo builds benches as tests too, and runs them with this.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let count = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    let mut pairs: Vec<[f64; 2]> = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push(
            [bare as fn(u32) -> Duration, whole].map(|round| {
                std::thread::spawn(move || round(count)).join().unwrap().as_secs_f64()
            }),
        );
    }
    println!("median of {ROUNDS} pairs of rounds, {count} IPv4 routes by a nexthop object:");
    for (name, column) in [("bare writer", 0), ("switchd", 1)] {
        let time = median(pairs.iter().map(|pair| pair[column]));
        println!("  {name:12} {time:.3} s, {:.0} routes/s", f64::from(count) / time);
    }
    // Within a pair the machine was the same.
    println!("  ratio        {:.2}", median(pairs.iter().map(|[bare, whole]| whole / bare)));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn prefix(number: u32) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + (number << 8)), 24).unwrap()
}

/// A link that is up, with a subnet that the gateway is in, in a namespace of its own.
fn prepare(kernel: &mut Socket) -> Ifindex {
    let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
    kernel.create_link(&NewLink::veth("up0", "up1", None).with(up.clone())).unwrap();
    let peer = kernel.link_named("up1").unwrap().unwrap().index;
    kernel.change_link(peer, &up).unwrap();
    let link = kernel.link_named("up0").unwrap().unwrap().index;
    let own = Object::Address(Address::new(link, "10.1.0.1/24".parse().unwrap()));
    kernel.apply(&[Change::Create(own)]).into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    link
}

/// Bytes to the kernel, 128 messages to a send, and nothing else: only the last one is answered.
fn bare(count: u32) -> Duration {
    const RTM_NEWROUTE: u16 = 24;
    const REQUEST_CREATE_EXCL: u16 = 0x601;
    const ACK: u16 = 4;
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut kernel = Socket::open().unwrap();
    let ifindex = prepare(&mut kernel);
    let id = *NEXTHOP_IDS.start();
    let kind = NexthopKind::Gateway { address: GATEWAY.into(), ifindex, onlink: false };
    let nexthop = Change::Create(Object::Nexthop(Nexthop::new(id, kind)));
    kernel.apply(&[nexthop]).into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let (domain, route) = (Domain::from(16), Protocol::from(0));
    let socket = socket2::Socket::new(domain, Type::RAW, Some(route)).unwrap();
    let start = Instant::now();
    let mut out = Vec::new();
    for number in 0..count {
        let is_last = number + 1 == count;
        let flags = REQUEST_CREATE_EXCL | if is_last { ACK } else { 0 };
        out.extend_from_slice(&52_u32.to_ne_bytes());
        out.extend_from_slice(&RTM_NEWROUTE.to_ne_bytes());
        out.extend_from_slice(&flags.to_ne_bytes());
        out.extend_from_slice(&[0; 8]);
        // Family, prefix length, .., main table, protocol bgp, universe, unicast.
        out.extend_from_slice(&[2, 24, 0, 0, 254, 186, 0, 1, 0, 0, 0, 0]);
        let octets = prefix(number).addr().octets();
        // Destination, metric, nexthop object.
        for (kind, value) in [(1_u16, octets), (6, 20_u32.to_ne_bytes()), (30, id.to_ne_bytes())] {
            out.extend_from_slice(&8_u16.to_ne_bytes());
            out.extend_from_slice(&kind.to_ne_bytes());
            out.extend_from_slice(&value);
        }
        if is_last || (number + 1) % 128 == 0 {
            socket.send(&out).unwrap();
            out.clear();
        }
    }
    let mut answer = [const { std::mem::MaybeUninit::uninit() }; 4096];
    socket.recv(&mut answer).unwrap();
    let taken = start.elapsed();
    assert_eq!(
        kernel.snapshot().unwrap().routes().filter(|route| route.is_ours()).count(),
        count as usize
    );
    taken
}

/// From the first best path to the last route that the kernel reports.
fn whole(count: u32) -> Duration {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let (monitor, stop) = Monitor::open().unwrap();
    let mut kernel = Socket::open().unwrap();
    prepare(&mut kernel);
    let config = "[bgp]\nasn = 65001\nrouter-id = \"10.0.0.1\"\n";
    let config = Config::parse(config, Path::new("bench")).unwrap();
    let mut core = Core::new(&config, kernel.snapshot().unwrap(), None, Instant::now());
    let source = neighbor();
    let attributes = Arc::new(AttributeSet::builder(NextHop::V4(GATEWAY)).build());

    let (to_core, from_kernel) = channel();
    let (to_kernel, requests) = channel();
    let watcher = std::thread::spawn({
        let to_core = to_core.clone();
        move || watch(monitor, &to_core)
    });
    let writer = std::thread::spawn(move || write(kernel, &requests, &to_core));
    let start = Instant::now();
    for first in (0..count).step_by(1024) {
        let numbers = first..(first + 1024).min(count);
        core.handle_bgp(numbers.map(|number| best(number, &attributes, source)).collect());
        while let Ok(event) = from_kernel.try_recv() {
            handle(&mut core, event);
        }
        act(&mut core, &to_kernel);
    }
    while core.is_writing() {
        handle(&mut core, from_kernel.recv().unwrap());
        act(&mut core, &to_kernel);
    }
    let taken = start.elapsed();
    assert_eq!(core.model().routes().filter(|route| route.is_ours()).count(), count as usize);
    drop(to_kernel);
    writer.join().unwrap();
    drop(stop);
    watcher.join().unwrap();
    taken
}

/// A neighbour that told the routes.
fn neighbor() -> PathSource {
    let config = SpeakerConfig::new(Asn(65001), RouterId([10, 0, 0, 1].into()));
    let mut speaker = Speaker::new(config, Instant::now());
    let families = [AfiSafi::IPV4_UNICAST];
    let config = NeighborConfig::new(GATEWAY.into(), RemoteAs::External, families);
    let id = speaker.add_neighbor(config, Instant::now()).unwrap();
    PathSource::Neighbor { id, address: GATEWAY.into(), scope_id: 0, external: true }
}

fn best(number: u32, attributes: &Arc<AttributeSet>, source: PathSource) -> Event {
    Event::BestPath(BestPath {
        key: RouteKey::Ipv4(prefix(number)),
        payload: EvpnPayload::default(),
        best: Some(Arc::clone(attributes)),
        source: Some(source),
        equal: Vec::new(),
        fib: None,
    })
}

enum FromKernel {
    Notifications(Vec<Notification>),
    Applied(Vec<Change>, Vec<Result<(), KernelError>>),
}

/// As the daemon does it: one thread listens, one writes, and the core is on a third.
fn watch(mut monitor: Monitor, events: &Sender<FromKernel>) {
    while let Ok(Some(news)) = monitor.receive() {
        if events.send(FromKernel::Notifications(news)).is_err() {
            return;
        }
    }
}

fn write(mut kernel: Socket, requests: &Receiver<Vec<Change>>, events: &Sender<FromKernel>) {
    for batch in requests {
        let results = kernel.apply(&batch);
        if events.send(FromKernel::Applied(batch, results)).is_err() {
            return;
        }
    }
}

fn handle(core: &mut Core, event: FromKernel) {
    let now = Instant::now();
    match event {
        FromKernel::Notifications(news) => core.handle_notifications(news, now),
        FromKernel::Applied(batch, results) => core.handle_outcome(&batch, results, now),
    }
}

fn act(core: &mut Core, to_kernel: &Sender<Vec<Change>>) {
    if let Some(batch) = core.poll_batch(Instant::now()) {
        to_kernel.send(batch).unwrap();
    }
}
