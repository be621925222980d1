//! The driver and a keeper, over loopback: an engine that dies within its process, and one that goes on.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "real sockets and the real clock are what is tested"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bgp::net::{Handle, KeptSession, SessionKeeper, spawn, spawn_with_keeper};
use bgp::speaker::{
    Event, NeighborConfig, RemoteAs, Route, RouteKey, SavedSession, SessionState, Speaker,
    SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::{AttributeSet, EvpnPayload, NextHop};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const IPV4: AfiSafi = AfiSafi::IPV4_UNICAST;
const LEFT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 7, 0, 1));
const RIGHT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 7, 0, 2));
const NEXT_HOP: NextHop = NextHop::V4(Ipv4Addr::new(198, 51, 100, 1));

#[test]
fn a_killed_engine_is_followed_by_one_that_goes_on_with_its_sessions() {
    let keeper = Shelf::default();
    let runtime = Runtime::new().unwrap();
    let port = free_port();
    let (right, mut right_events) = runtime.block_on(async { start_right(port) });

    let life = Runtime::new().unwrap();
    let (left, _events) =
        life.block_on(async { start_left(port, false, &keeper, Vec::new()).unwrap() });
    life.block_on(async {
        left.announce(vec![route("203.0.113.0/24"), route("198.51.100.0/24")]).await.unwrap();
    });
    runtime.block_on(until(&right, |neighbors, routes| neighbors == 1 && routes == 2));
    kill(life);
    drop(left);

    let (left, _events) = runtime.block_on(async {
        let kept = keeper.give_back();
        assert_eq!(kept.len(), 1);
        start_left(port, true, &keeper, kept).unwrap()
    });
    runtime.block_on(async {
        left.announce(vec![route("203.0.113.0/24"), route("192.0.2.0/24")]).await.unwrap();
        until(&right, |neighbors, routes| neighbors == 1 && routes == 3).await;
        left.local_routes_ready(IPV4).await.unwrap();
        until(&right, |neighbors, routes| neighbors == 1 && routes == 2).await;
        let mut prefixes: Vec<String> = right
            .routes(IPV4)
            .await
            .unwrap()
            .iter()
            .map(|route| format!("{:?}", route.key))
            .collect();
        prefixes.sort();
        assert!(
            prefixes[0].contains("192.0.2.0") && prefixes[1].contains("203.0.113.0"),
            "{prefixes:?}"
        );
        assert_eq!(ups_and_downs(&mut right_events), 1, "the first session is the only one");
        assert_eq!(keeper.keys(), [0], "kept under the same key");

        left.shutdown().await;
        until(&right, |neighbors, routes| neighbors == 0 && routes == 0).await;
        // A session that was ended is not kept.
        wait(|| keeper.keys().is_empty()).await;
    });
}

#[test]
fn an_unclean_session_is_closed_and_comes_back_as_a_new_one() {
    let keeper = Shelf::default();
    let runtime = Runtime::new().unwrap();
    let port = free_port();
    let (right, mut right_events) = runtime.block_on(async { start_right(port) });
    let life = Runtime::new().unwrap();
    let (left, _events) =
        life.block_on(async { start_left(port, false, &keeper, Vec::new()).unwrap() });
    // The right end may be up before the left one is, and has something to keep.
    runtime.block_on(wait(|| keeper.keys() == [0]));
    runtime.block_on(until(&right, |neighbors, _| neighbors == 1));
    kill(life);
    drop(left);

    let (_left, _events) = runtime.block_on(async {
        let mut kept = keeper.give_back();
        kept[0].clean = false;
        start_left(port, true, &keeper, kept).unwrap()
    });
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), async {
            let mut changes = 0;
            while changes < 3 {
                changes += ups_and_downs(&mut right_events);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("up, down, up");
        until(&right, |neighbors, _| neighbors == 1).await;
        // The right end turns away whoever connects before it has seen the old session end: there may be several attempts.
        wait(|| matches!(*keeper.keys(), [key] if key > 0)).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_makes_the_session_unclean_until_it_does() {
    let keeper = Shelf::default();
    let port = free_port();
    let listener = TcpListener::bind(SocketAddr::new(RIGHT, port)).unwrap();
    let (left, _events) = start_left(port, false, &keeper, Vec::new()).unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The OPEN of the right side, and a KEEPALIVE.
        let mut words = Vec::new();
        bgp::wire::Open {
            asn: Asn(65_002),
            hold_time: 90,
            router_id: RouterId(Ipv4Addr::new(10, 0, 0, 2)),
            capabilities: vec![
                bgp::wire::Capability::Multiprotocol(IPV4),
                bgp::wire::Capability::RouteRefresh,
                bgp::wire::Capability::EnhancedRouteRefresh,
                bgp::wire::Capability::FourOctetAs(Asn(65_002)),
            ],
        }
        .encode(&mut words);
        bgp::wire::encode_keepalive(&mut words);
        std::io::Write::write_all(&mut stream, &words).unwrap();
        stream
    });
    let mut stream = peer.join().unwrap();
    wait(|| keeper.keys() == [0]).await;
    assert!(keeper.is_clean());
    let routes = (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b)));
    let routes: Vec<Route> = routes.map(|(a, b)| distinct_route(a, b)).collect();
    left.announce(routes).await.unwrap();
    wait(|| !keeper.is_clean()).await;
    let reader = std::thread::spawn(move || {
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
        stream
    });
    wait(|| keeper.is_clean()).await;
    drop(reader.join());
}

/// A keeper in this process.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<Vec<KeptSession>>>);

impl Shelf {
    /// The shelf goes on holding its own.
    fn give_back(&self) -> Vec<KeptSession> {
        let kept = self.0.lock().unwrap();
        let copy = |kept: &KeptSession| KeptSession {
            key: kept.key,
            state: kept.state.clone(),
            clean: kept.clean,
            socket: kept.socket.try_clone().unwrap(),
        };
        kept.iter().map(copy).collect()
    }

    fn keys(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|kept| kept.key).collect()
    }

    fn is_clean(&self) -> bool {
        self.0.lock().unwrap().iter().all(|kept| kept.clean)
    }
}

impl SessionKeeper for Shelf {
    fn keep(&mut self, key: u64, session: &SavedSession, socket: BorrowedFd<'_>) {
        let socket: OwnedFd = socket.try_clone_to_owned().unwrap();
        let kept = KeptSession { key, state: session.encode(), clean: true, socket };
        self.0.lock().unwrap().push(kept);
    }

    fn set_clean(&mut self, key: u64, clean: bool) {
        for kept in self.0.lock().unwrap().iter_mut().filter(|kept| kept.key == key) {
            kept.clean = clean;
        }
    }

    fn forget(&mut self, key: u64) {
        self.0.lock().unwrap().retain(|kept| kept.key != key);
    }
}

type Engine = (Handle, mpsc::Receiver<Vec<Event>>);

fn start_left(
    port: u16,
    restarting: bool,
    keeper: &Shelf,
    kept: Vec<KeptSession>,
) -> std::io::Result<Engine> {
    let mut config = SpeakerConfig::new(Asn(65_001), RouterId(Ipv4Addr::new(10, 0, 0, 1)));
    config.restarting = restarting;
    config.connect_retry = Duration::from_secs(1);
    let mut speaker = Speaker::new(config, now());
    let mut neighbor = NeighborConfig::new(RIGHT, RemoteAs::External, [IPV4]);
    neighbor.port = port;
    neighbor.local_address = Some(LEFT);
    // Loopback addresses are no next hops.
    neighbor.next_hop_unchanged = true;
    speaker.add_neighbor(neighbor, now()).unwrap();
    spawn_with_keeper(speaker, &[], Box::new(keeper.clone()), kept)
}

fn start_right(port: u16) -> Engine {
    let config = SpeakerConfig::new(Asn(65_002), RouterId(Ipv4Addr::new(10, 0, 0, 2)));
    let mut speaker = Speaker::new(config, now());
    let mut neighbor = NeighborConfig::new(LEFT, RemoteAs::External, [IPV4]);
    neighbor.passive = true;
    speaker.add_neighbor(neighbor, now()).unwrap();
    spawn(speaker, &[SocketAddr::new(RIGHT, port)]).unwrap()
}

fn route(prefix: &str) -> Route {
    let attributes = AttributeSet::builder(NEXT_HOP).build();
    let key = RouteKey::Ipv4(prefix.parse().unwrap());
    Route { key, payload: EvpnPayload::default(), attributes }
}

/// Attributes of its own, so that it takes an UPDATE of its own.
fn distinct_route(a: u8, b: u8) -> Route {
    let mut editor = AttributeSet::builder(NEXT_HOP);
    for _ in 0..8 {
        editor.prepend_as(Asn(u32::from(u16::from_be_bytes([a, b])) + 1));
    }
    Route { attributes: editor.build(), ..route(&format!("10.{a}.{b}.0/24")) }
}

/// Its tasks are dropped where they stand, its sockets close; nobody says good-bye. Returns when all that is done.
fn kill(life: Runtime) {
    life.shutdown_timeout(Duration::from_secs(10));
}

async fn until(engine: &Handle, holds: impl Fn(usize, usize) -> bool) {
    let mut last = (0, 0);
    for _ in 0..1000 {
        let neighbors = engine.neighbors().await.unwrap();
        let up = neighbors.iter().filter(|one| one.state == SessionState::Established).count();
        last = (up, engine.routes(IPV4).await.unwrap().len());
        if holds(last.0, last.1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} neighbors up, {} routes", last.0, last.1);
}

async fn wait(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to hold");
}

fn ups_and_downs(events: &mut mpsc::Receiver<Vec<Event>>) -> usize {
    let batches = std::iter::from_fn(|| events.try_recv().ok());
    let session =
        |event: &Event| matches!(event, Event::SessionUp { .. } | Event::SessionDown { .. });
    batches.flatten().filter(session).count()
}

fn free_port() -> u16 {
    let probe = TcpListener::bind(SocketAddr::new(RIGHT, 0)).unwrap();
    probe.local_addr().unwrap().port()
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}
