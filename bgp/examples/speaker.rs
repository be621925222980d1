//! A BGP speaker in a hundred lines: one neighbour, one MAC and one prefix announced, every event printed.
//!
//! `cargo run -p bgp --example speaker -- <our AS> <our address> <neighbour's AS> <neighbour's address>`
//!
//! Ctrl-C closes the connection without a NOTIFICATION, as a daemon does that is about to restart; the environment
//! variable `RESTARTING` makes the next run say so.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgp::net::spawn;
use bgp::speaker::{
    Event, GracefulRestartConfig, NeighborConfig, RemoteAs, Route, RouteKey, Speaker, SpeakerConfig,
};
use bgp::types::{AfiSafi, Asn, Label, MacAddr, RouteDistinguisher, RouteTarget, RouterId};
use bgp::wire::{AttributeSet, EvpnKey, EvpnPayload, ExtCommunity, NextHop};

const FAMILIES: [AfiSafi; 3] = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [asn, address, remote_as, remote] = arguments.as_slice() else {
        return Err(
            "usage: speaker <our AS> <our address> <neighbour's AS> <neighbour's address>".into()
        );
    };
    let (asn, remote_as) = (Asn(asn.parse()?), Asn(remote_as.parse()?));
    let address: Ipv4Addr = address.parse()?;
    let remote: IpAddr = remote.parse()?;

    let mut config = SpeakerConfig::new(asn, RouterId(address));
    config.connect_retry = Duration::from_secs(5);
    config.best_path_events = FAMILIES.to_vec();
    config.graceful_restart = Some(GracefulRestartConfig::default());
    config.restarting = std::env::var_os("RESTARTING").is_some();
    #[expect(clippy::disallowed_methods, reason = "a program has a clock")]
    let speaker = Speaker::new(config, Instant::now());
    let (engine, mut events) = spawn(speaker, &[SocketAddr::from((address, 179))])?;

    let mut neighbor = NeighborConfig::new(remote, RemoteAs::Asn(remote_as), FAMILIES);
    neighbor.local_address = Some(IpAddr::V4(address));
    engine.add_neighbor(neighbor).await??;
    engine.announce(vec![host(address, asn), prefix()?]).await?;
    for family in FAMILIES {
        engine.local_routes_ready(family).await?;
    }

    loop {
        tokio::select! {
            batch = events.recv() => match batch {
                Some(batch) => batch.iter().for_each(print),
                None => return Ok(()),
            },
            interrupt = tokio::signal::ctrl_c() => {
                interrupt?;
                engine.shutdown().await;
                return Ok(());
            }
        }
    }
}

/// A station behind us, in VNI 100.
fn host(vtep: Ipv4Addr, asn: Asn) -> Route {
    let rd = RouteDistinguisher::from_ipv4(vtep, 100);
    let mac = MacAddr::new(0, 0, 0x5e, 0, 0x53, 1);
    let mut attributes = AttributeSet::builder(NextHop::V4(vtep));
    let short_asn = u16::try_from(asn.0).unwrap_or(23_456);
    attributes
        .add_ext_community(ExtCommunity::route_target(RouteTarget::from_as2(short_asn, 100)))
        .add_ext_community(ExtCommunity::encapsulation_vxlan());
    Route {
        key: RouteKey::Evpn(EvpnKey::MacIp { rd, ethernet_tag: 0, mac, ip: None }),
        payload: EvpnPayload { label: Label::from_vni(100), ..EvpnPayload::default() },
        attributes: attributes.build(),
    }
}

fn prefix() -> Result<Route, Box<dyn Error>> {
    Ok(Route {
        key: RouteKey::Ipv4("203.0.113.0/24".parse()?),
        payload: EvpnPayload::default(),
        attributes: AttributeSet::builder(NextHop::V4(Ipv4Addr::UNSPECIFIED)).build(),
    })
}

fn print(event: &Event) {
    match event {
        Event::SessionUp { address, negotiated, .. } => println!("{address} up: {negotiated:?}"),
        Event::SessionDown { address, reason, routes_kept, .. } => {
            println!("{address} down: {reason}{}", if *routes_kept { ", routes kept" } else { "" });
        }
        // No neighbour of ours has BFD.
        Event::Bfd { .. } => {}
        Event::EndOfRib { family, .. } => println!("end of {family}"),
        Event::Converged { family } => println!("{family} converged"),
        Event::BestPath(best) => match &best.best {
            Some(attributes) => println!("+ {} {attributes:?}", best.key),
            None => println!("- {}", best.key),
        },
    }
}
