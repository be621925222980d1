//! The engine over real TCP on the loopback address: sessions, a table of some size, a reader that stops, the end.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "real sockets and the real clock are what is tested"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgp::net::{Handle, spawn};
use bgp::speaker::{
    DownReason, Event, FibReport, FibState, NeighborConfig, NeighborSummary, RemoteAs, Route,
    RouteKey, SessionState, Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, RouterId};
use bgp::wire::{AttributeSet, EvpnPayload, NextHop};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::Receiver;

const IPV4: AfiSafi = AfiSafi::IPV4_UNICAST;

/// A speaker at 127.0.77.(its number), on this port.
fn engine(asn: u32, last: u8, port: u16) -> (Handle, Receiver<Vec<Event>>) {
    engine_with(asn, last, port, |_| {})
}

fn engine_with(
    asn: u32,
    last: u8,
    port: u16,
    change: impl FnOnce(&mut SpeakerConfig),
) -> (Handle, Receiver<Vec<Event>>) {
    let mut config = SpeakerConfig::new(Asn(asn), RouterId(Ipv4Addr::new(10, 0, 0, last)));
    config.connect_retry = Duration::from_secs(1);
    config.best_path_events = vec![IPV4];
    change(&mut config);
    spawn(Speaker::new(config, Instant::now()), &[SocketAddr::new(address(last), port)]).unwrap()
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 77, last))
}

fn neighbor(own: u8, other: u8, port: u16) -> NeighborConfig {
    let mut neighbor = NeighborConfig::new(address(other), RemoteAs::External, [IPV4]);
    neighbor.local_address = Some(address(own));
    neighbor.port = port;
    // Our own addresses here are loopback ones, and no next hop for anybody.
    neighbor.next_hop_unchanged = true;
    neighbor
}

fn route(number: u32) -> Route {
    let prefix = ipnet::Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 | number << 8), 24).unwrap();
    let attributes = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(198, 51, 100, 1))).build();
    Route { key: RouteKey::Ipv4(prefix), payload: EvpnPayload::default(), attributes }
}

async fn next(events: &mut Receiver<Vec<Event>>, mut wanted: impl FnMut(&Event) -> bool) {
    let search = async {
        while let Some(batch) = events.recv().await {
            if batch.iter().any(&mut wanted) {
                return;
            }
        }
        panic!("the engine ended");
    };
    tokio::time::timeout(Duration::from_secs(20), search)
        .await
        .expect("the event should have come");
}

/// Waits until the first attempt to connect has failed.
async fn refused(engine: &Handle) {
    let search = async {
        while engine.neighbors().await.unwrap()[0].state != SessionState::Active {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect("refused");
}

/// Waits until so many sessions are up.
async fn established(engine: &Handle, count: usize) {
    let is_up = |neighbor: &NeighborSummary| neighbor.state == SessionState::Established;
    let search = async {
        while engine.neighbors().await.unwrap().iter().filter(|one| is_up(one)).count() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect("established");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_crosses_real_tcp_and_leaves_again() {
    let (left, _left_events) = engine(65_001, 1, 11_791);
    let (right, mut events) = engine(65_002, 2, 11_791);
    left.announce((0..50_000).map(route).collect()).await.unwrap();
    left.add_neighbor(neighbor(1, 2, 11_791)).await.unwrap().unwrap();
    right.add_neighbor(neighbor(2, 1, 11_791)).await.unwrap().unwrap();
    let mut paths = 0;
    next(&mut events, |event| {
        paths += usize::from(matches!(event, Event::BestPath(best) if best.best.is_some()));
        paths == 50_000
    })
    .await;
    assert_eq!(right.routes(IPV4).await.unwrap().len(), 50_000);
    left.shutdown().await;
    next(&mut events, |event| {
        matches!(event, Event::SessionDown { reason: DownReason::Closed, .. })
    })
    .await;
    assert_eq!(right.routes(IPV4).await.unwrap().len(), 0);
    assert!(left.neighbors().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbor_that_comes_later_is_found() {
    let (left, mut events) = engine(65_001, 3, 11_792);
    left.add_neighbor(neighbor(3, 4, 11_792)).await.unwrap().unwrap();
    refused(&left).await;
    let (right, _right_events) = engine(65_002, 4, 11_792);
    let mut passive = neighbor(4, 3, 11_792);
    passive.passive = true;
    right.add_neighbor(passive).await.unwrap().unwrap();
    next(&mut events, |event| matches!(event, Event::SessionUp { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stops_reading_does_not_hold_up_others() {
    let (left, _left_events) = engine(65_001, 5, 11_793);
    let (right, mut events) = engine(65_002, 6, 11_793);
    left.add_neighbor(neighbor(5, 6, 11_793)).await.unwrap().unwrap();
    let mut silent = neighbor(5, 7, 11_793);
    silent.passive = true;
    left.add_neighbor(silent).await.unwrap().unwrap();
    right.add_neighbor(neighbor(6, 5, 11_793)).await.unwrap().unwrap();
    next(&mut events, |event| matches!(event, Event::SessionUp { .. })).await;

    // The silent one: OPEN, KEEPALIVE, and never a read again.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address(7), 0)).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(SocketAddr::new(address(5), 11_793)).await.unwrap();
    let mut hello = Vec::new();
    let open = bgp::wire::Open {
        asn: Asn(65_007),
        hold_time: 90,
        router_id: RouterId(Ipv4Addr::new(10, 0, 0, 7)),
        capabilities: vec![bgp::wire::Capability::FourOctetAs(Asn(65_007))],
    };
    open.encode(&mut hello);
    bgp::wire::encode_keepalive(&mut hello);
    tokio::io::AsyncWriteExt::write_all(&mut stream, &hello).await.unwrap();
    established(&left, 2).await;

    // More than any socket buffer holds, and all of it different: 8,000 messages of 4 kB. Few of them, because a build for
    // tests takes its time for each community.
    let mut plain = AttributeSet::builder(NextHop::V4(Ipv4Addr::new(198, 51, 100, 1)));
    (0..950).for_each(|community| {
        plain.add_community(community);
    });
    let plain = plain.build();
    let routes = (0..8_000).map(|number| {
        let mut editor = plain.edit();
        editor.set_med(number);
        Route { attributes: editor.build(), ..route(number) }
    });
    left.announce(routes.collect()).await.unwrap();
    next(&mut events, |event| {
        matches!(event, Event::BestPath(best) if best.key == route(7_999).key && best.best.is_some())
    })
    .await;
    let neighbors = left.neighbors().await.unwrap();
    assert!(
        neighbors.iter().any(|neighbor| neighbor.families[0].pending > 0),
        "the silent one is behind"
    );
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_pass_when_the_fib_has_them_and_a_silent_fib_stalls_no_session() {
    const PORT: u16 = 11_796;
    const ROUTES: u32 = 50_000;
    // Three seconds without a keepalive are the end of a session.
    let (left, _left_events) = engine_with(65_001, 9, PORT, |c| c.hold_time = 3);
    let (middle, mut fib) = engine_with(65_002, 10, PORT, |c| {
        c.hold_time = 3;
        c.suppress_fib_pending = true;
    });
    let (right, mut events) = engine_with(65_003, 11, PORT, |c| c.hold_time = 3);
    left.announce((0..ROUTES).map(route).collect()).await.unwrap();
    for (own, other, engine) in
        [(9, 10, &left), (11, 10, &right), (10, 9, &middle), (10, 11, &middle)]
    {
        engine.add_neighbor(neighbor(own, other, PORT)).await.unwrap().unwrap();
    }
    // Nobody reads the reports, nobody answers.
    next(&mut events, |event| matches!(event, Event::EndOfRib { .. })).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let neighbors = middle.neighbors().await.unwrap();
    assert!(neighbors.iter().all(|neighbor| neighbor.established_count == 1));
    assert!(neighbors.iter().all(|neighbor| neighbor.state == SessionState::Established));
    assert_eq!(neighbors[0].families[0].received, ROUTES as usize);
    assert_eq!(right.routes(IPV4).await.unwrap().len(), 0);

    let mut reports = Vec::new();
    next(&mut fib, |event| {
        if let Event::BestPath(best) = event
            && let Some(token) = best.fib
        {
            reports.push(FibReport { key: best.key.clone(), token, state: FibState::Forwarding });
        }
        reports.len() == ROUTES as usize
    })
    .await;
    middle.report_fib(reports).await.unwrap();
    let mut paths = 0;
    next(&mut events, |event| {
        paths += usize::from(matches!(event, Event::BestPath(best) if best.best.is_some()));
        paths == ROUTES as usize
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_closed_at_once() {
    let (_left, _events) = engine(65_001, 8, 11_794);
    let mut stream =
        tokio::net::TcpStream::connect(SocketAddr::new(address(8), 11_794)).await.unwrap();
    let mut bytes = Vec::new();
    let read =
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_address_that_is_not_ours_cannot_be_listened_on() {
    let config = SpeakerConfig::new(Asn(65_001), RouterId(Ipv4Addr::new(10, 0, 0, 1)));
    let speaker = Speaker::new(config, Instant::now());
    assert!(spawn(speaker, &["192.0.2.1:11795".parse().unwrap()]).is_err());
}
