//! How many remote MACs per second reach the kernel through our socket, and how much of that is our own work.
//!
//! `cargo bench -p platform` needs root. The kernel's own limit on the machine where it was first measured: 164,000 MACs
//! (both halves in one message) per second with an acknowledgement each, 220,000 without.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use nix::sched::{CloneFlags, unshare};
use platform::kernel::{
    Change, Dataplane, FdbEntry, Ifindex, LinkSettings, MacAddr, Model, NewLink, Notification,
    Object, Socket, Vni, Vxlan,
};

const MACS: u32 = 20_000;

fn overlay(socket: &mut Socket) -> Ifindex {
    let up = |master| LinkSettings { up: Some(true), master, ..LinkSettings::default() };
    socket.create_link(&NewLink::bridge("br10").with(up(None))).unwrap();
    let bridge = socket.link_named("br10").unwrap().unwrap().index;
    let vxlan = Vxlan::new(Vni::try_from(10).unwrap(), IpAddr::from([192, 0, 2, 1]));
    socket.create_link(&NewLink::vxlan("vx10", vxlan).with(up(Some(bridge)))).unwrap();
    socket.link_named("vx10").unwrap().unwrap().index
}

fn remote_macs(vxlan: Ifindex) -> Vec<Object> {
    let remote = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = MacAddr::new(2, 0, a, b, c, d);
        let vtep = IpAddr::from([192, 0, 2, 7]);
        [FdbEntry::remote_in_bridge(vxlan, mac), FdbEntry::remote_in_vxlan(vxlan, mac, vtep)]
            .map(Object::Fdb)
    };
    (0..MACS).flat_map(remote).collect()
}

fn timed(socket: &mut Socket, changes: &[Change]) -> Duration {
    let start = Instant::now();
    let answers = socket.apply(changes);
    let taken = start.elapsed();
    assert!(answers.iter().all(Result::is_ok));
    taken
}

fn kernel(criterion: &mut Criterion) {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut socket = Socket::open().unwrap();
    let objects = remote_macs(overlay(&mut socket));
    let creates: Vec<Change> = objects.iter().cloned().map(Change::Create).collect();
    let deletes: Vec<Change> = objects.iter().cloned().map(Change::Delete).collect();
    let mut group = criterion.benchmark_group("kernel");
    group.sample_size(10).throughput(Throughput::Elements(MACS.into()));
    group.bench_function("install remote MACs", |bencher| {
        bencher.iter_custom(|rounds| {
            let one = |_| {
                let taken = timed(&mut socket, &creates);
                timed(&mut socket, &deletes);
                taken
            };
            (0..rounds).map(one).sum()
        });
    });
    group.bench_function("remove remote MACs", |bencher| {
        bencher.iter_custom(|rounds| {
            let one = |_| {
                timed(&mut socket, &creates);
                timed(&mut socket, &deletes)
            };
            (0..rounds).map(one).sum()
        });
    });
    group.finish();
}

fn model(criterion: &mut Criterion) {
    let objects = remote_macs(3);
    let mut group = criterion.benchmark_group("model");
    group.sample_size(10).throughput(Throughput::Elements(MACS.into()));
    group.bench_function("take in remote MACs", |bencher| {
        let news = || objects.iter().cloned().map(Notification::New).collect::<Vec<_>>();
        let take_in = |news: Vec<Notification>| {
            let mut model = Model::default();
            for one in news {
                model.apply(one);
            }
            model
        };
        bencher.iter_batched(news, take_in, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, kernel, model);
criterion_main!(benches);
