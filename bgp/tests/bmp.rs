//! What a BMP station is told, read by a decoder that we did not write.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod pair;

use std::time::Duration;

use bgp::speaker::{GracefulRestartConfig, NeighborConfig, RemoteAs, StationConfig, StationId};
use bgp::types::AfiSafi;
use bytes::BytesMut;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bmp_pkt::BmpMessage;
use netgauze_bmp_pkt::codec::BmpCodec;
use netgauze_bmp_pkt::v3::{
    BmpMessageValue, InitiationInformation, PeerDownNotificationReason, RouteMonitoringMessage,
    StatisticsCounter,
};
use pair::{Network, ipv4, pair, prefix};
use tokio_util::codec::Decoder;

const FAMILIES: [AfiSafi; 2] = [AfiSafi::IPV4_UNICAST, AfiSafi::L2VPN_EVPN];
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

struct Station {
    id: StationId,
    codec: BmpCodec,
}

impl Station {
    /// Of the second of a pair.
    fn connect(network: &mut Network, statistics: Option<Duration>) -> Self {
        let config = StationConfig {
            name: "leaf1".to_owned(),
            description: "a switch".to_owned(),
            backlog: 64 * 1024,
            statistics,
            epoch: (network.now, EPOCH),
        };
        let speaker = &mut network.nodes[1].speaker;
        let id = speaker.add_station(config);
        speaker.handle_station_connected(id, network.now);
        Self { id, codec: BmpCodec::default() }
    }

    fn read(&mut self, network: &mut Network) -> Vec<BmpMessageValue> {
        network.settle();
        let bytes = network.nodes[1].speaker.poll_station(self.id).unwrap_or_default();
        let mut bytes = BytesMut::from(bytes.as_slice());
        let mut messages = Vec::new();
        while let Some(message) = self.codec.decode(&mut bytes).unwrap() {
            let BmpMessage::V3(message) = message else { panic!("version 3: {message:?}") };
            messages.push(message);
        }
        assert!(bytes.is_empty());
        messages
    }
}

/// Announced prefixes, and whether it is an end mark.
fn routes(message: &RouteMonitoringMessage) -> (Vec<String>, bool) {
    let BgpMessage::Update(update) = message.update_message() else { panic!("{message:?}") };
    let nlri = update.nlri().iter().map(|nlri| nlri.network().address().to_string()).collect();
    (nlri, update.end_of_rib().is_some())
}

#[test]
fn a_station_that_connects_learns_of_sessions_and_gets_all_routes_again() {
    let mut network = pair(&FAMILIES);
    network.announce(0, ipv4("203.0.113.0/24"));
    network.seconds(10);
    let mut station = Station::connect(&mut network, None);
    let messages = station.read(&mut network);

    let [BmpMessageValue::Initiation(hello), BmpMessageValue::PeerUpNotification(up), rest @ ..] =
        messages.as_slice()
    else {
        panic!("initiation and peer up come first: {messages:?}");
    };
    assert!(hello.information().contains(&InitiationInformation::SystemName("leaf1".into())));
    let neighbor = network.neighbor(1, 0);
    let (local, remote) = neighbor.addresses.unwrap();
    let header = up.peer_header();
    assert_eq!(header.address(), Some(remote.ip()));
    assert_eq!(header.peer_as(), neighbor.negotiated.unwrap().asn.0);
    assert_eq!(up.local_address(), Some(local.ip()));
    assert_eq!((up.local_port(), up.remote_port()), (Some(local.port()), Some(remote.port())));
    let opens = [up.sent_message(), up.received_message()];
    assert!(opens.iter().all(|open| matches!(open, BgpMessage::Open(_))));

    let monitored: Vec<_> = rest
        .iter()
        .map(|message| match message {
            BmpMessageValue::RouteMonitoring(message) => routes(message),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(monitored.iter().any(|(nlri, _)| nlri == &["203.0.113.0/24"]), "{monitored:?}");
    assert_eq!(monitored.iter().filter(|(_, end)| *end).count(), FAMILIES.len());
}

#[test]
fn a_station_sees_what_comes_later_with_its_time() {
    let mut network = pair(&FAMILIES);
    let mut station = Station::connect(&mut network, None);
    station.read(&mut network);
    network.seconds(5);
    station.read(&mut network);
    network.announce(0, ipv4("203.0.113.0/24"));
    let messages = station.read(&mut network);
    let [BmpMessageValue::RouteMonitoring(message)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert_eq!(routes(message).0, ["203.0.113.0/24"]);
    let time = message.peer_header().timestamp().unwrap().timestamp();
    assert_eq!(u64::try_from(time).unwrap(), EPOCH.as_secs() + 5);

    network.withdraw(0, &prefix("203.0.113.0/24"));
    let messages = station.read(&mut network);
    let [BmpMessageValue::RouteMonitoring(message)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let BgpMessage::Update(update) = message.update_message() else { panic!("{message:?}") };
    assert_eq!(update.withdraw_routes().len(), 1);
}

#[test]
fn a_session_that_ends_is_told_with_the_reason() {
    let mut network = pair(&FAMILIES);
    let mut station = Station::connect(&mut network, None);
    station.read(&mut network);
    let id = network.neighbor(0, 1).id;
    network.nodes[0].speaker.disable_neighbor(id, Some("maintenance"), network.now);
    let messages = station.read(&mut network);
    let [BmpMessageValue::PeerDownNotification(down)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let PeerDownNotificationReason::RemoteSystemClosedNotificationPduFollows(
        BgpMessage::Notification(_),
    ) = down.reason()
    else {
        panic!("{down:?}");
    };
    network.nodes[0].speaker.enable_neighbor(id, network.now);
    network.seconds(60);
    let messages = station.read(&mut network);
    let ups = messages
        .iter()
        .filter(|message| matches!(message, BmpMessageValue::PeerUpNotification(_)))
        .count();
    assert_eq!(ups, 1, "{messages:?}");
}

#[test]
fn counts_come_when_they_are_due_and_not_before() {
    let mut network = pair(&FAMILIES);
    network.announce(0, ipv4("203.0.113.0/24"));
    let mut station = Station::connect(&mut network, Some(Duration::from_secs(60)));
    station.read(&mut network);
    network.seconds(59);
    assert_eq!(station.read(&mut network), []);
    network.seconds(1);
    let messages = station.read(&mut network);
    let [BmpMessageValue::StatisticsReport(report)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let one = |counter: &StatisticsCounter| matches!(counter, StatisticsCounter::NumberOfRoutesInAdjRibIn(gauge) if gauge.value() == 1);
    assert!(report.counters().iter().any(one), "{report:?}");
    network.seconds(60);
    assert_eq!(station.read(&mut network).len(), 1);
}

#[test]
fn a_station_that_does_not_read_is_let_go_and_costs_no_more() {
    let mut network = pair(&FAMILIES);
    let mut station = Station::connect(&mut network, None);
    station.read(&mut network);
    // Each attribute set is as large as a message allows.
    let mut number = 0u32;
    while !network.nodes[1].speaker.is_station_given_up(station.id) {
        assert!(number < 40, "never given up");
        let communities = (0..900).map(|low| (number << 10) | low);
        let route = pair::ipv4_with("203.0.113.0/24", |editor| {
            communities.for_each(|community| {
                editor.add_community(community);
            });
        });
        network.announce(0, route);
        network.captured.clear();
        number += 1;
    }
    let messages = station.read(&mut network);
    assert!(matches!(messages.as_slice(), [BmpMessageValue::Termination(_)]), "{messages:?}");
    network.withdraw(0, &prefix("203.0.113.0/24"));
    assert_eq!(station.read(&mut network), []);

    network.nodes[1].speaker.handle_station_closed(station.id);
    network.nodes[1].speaker.handle_station_connected(station.id, network.now);
    let messages = station.read(&mut network);
    assert!(matches!(messages.as_slice(), [BmpMessageValue::Initiation(_), ..]));
}

#[test]
fn peer_up_has_both_opens_octet_by_octet() {
    let mut network = Network::new();
    let mut ours = pair::config(65_001, 1);
    // What we would say to the next peer changes once a session is up.
    ours.graceful_restart = Some(GracefulRestartConfig::default());
    network.add(ours);
    let now = network.now;
    let speaker = &mut network.nodes[0].speaker;
    let mut peer = NeighborConfig::new([192, 0, 2, 9].into(), RemoteAs::External, FAMILIES);
    peer.passive = true;
    speaker.add_neighbor(peer, now).unwrap();
    let (remote, local) = ("192.0.2.9:40000", "192.0.2.1:179");
    let (remote, local) = (remote.parse().unwrap(), local.parse().unwrap());
    let connection = speaker.handle_accepted(remote, local, now).unwrap();
    let sent = speaker.poll_transmit(connection, 4096).unwrap();
    // An optional parameter for each capability, where we would write one for all; and one that nobody knows.
    let parameters = [&[2, 6, 1, 4, 0, 1, 0, 1][..], &[2, 2, 2, 0], &[2, 4, 222, 2, 7, 7]].concat();
    let length = u8::try_from(parameters.len()).unwrap();
    let mut open = vec![0xff; 16];
    open.extend([0, 29 + length, 1, 4, 0xfd, 0xea, 0, 90, 192, 0, 2, 9, length]);
    open.extend(&parameters);
    speaker.handle_bytes(connection, &open, now);
    let mut keepalive = Vec::new();
    bgp::wire::encode_keepalive(&mut keepalive);
    speaker.handle_bytes(connection, &keepalive, now);
    let config = StationConfig {
        name: "leaf1".to_owned(),
        description: "a switch".to_owned(),
        backlog: 64 * 1024,
        statistics: None,
        epoch: (now, EPOCH),
    };
    let id = speaker.add_station(config);
    speaker.handle_station_connected(id, now);
    let told = speaker.poll_station(id).unwrap();
    let both = [sent, open].concat();
    assert!(told.windows(both.len()).any(|part| part == both), "the sent OPEN, then the received");
}
