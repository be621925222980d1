//! A BMP station (RFC 7854) that watches a switchd whose neighbour is BIRD.

use std::fs;

use lab::{Lab, PATIENCE, Process, Result, ensure, eventually, peers::Bird, switch::Switch};

use crate::{Pair, SWITCHD, bird};

/// Message types of RFC 7854 §4.1.
const ROUTE_MONITORING: u8 = 0;
const PEER_DOWN: u8 = 2;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;

#[test]
fn a_station_sees_sessions_come_and_go_and_the_routes_of_the_neighbor() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let mut bird = Bird::start(&pair.right, bird::CONFIG)?;
        // Left to itself, nc would close its half of the connection, having nothing to say.
        let heard = pair.right.dir().join("station.bmp");
        let store = format!("cat > {}", heard.display());
        let words = ["busybox", "nc", "-l", "-p", "11019", "-e", "sh", "-c", &store];
        let _station = Process::start(&pair.right, "station", &words)?;
        eventually(PATIENCE, || {
            let listening = pair.right.run("ss -Hltn sport = :11019")?;
            ensure!(!listening.is_empty(), "the station does not listen yet");
            Ok(())
        })?;
        let config = format!("{SWITCHD}\n[[bgp.bmp-station]]\naddress = \"10.1.0.2:11019\"\n");
        let _switch = Switch::start(&pair.left, &config)?;

        let of_type = |wanted: u8| -> Result<Vec<Vec<u8>>> {
            let bytes = fs::read(&heard)?;
            Ok(messages(&bytes).filter(|(kind, _)| *kind == wanted).map(|(_, body)| body).collect())
        };
        eventually(PATIENCE, || {
            ensure!(of_type(INITIATION)?.len() == 1, "one initiation");
            ensure!(of_type(PEER_UP)?.len() == 2, "both sessions are up");
            // 10.77.0.0/16 is the last of the NLRI, and of the message.
            let routes = of_type(ROUTE_MONITORING)?;
            ensure!(
                routes.iter().any(|body| body.windows(3).any(|octets| octets == [16, 10, 77])),
                "no 10.77.0.0/16 in {routes:?}"
            );
            Ok(())
        })?;
        ensure!(of_type(PEER_DOWN)?.is_empty(), "no session is down");
        bird.stop()?;
        eventually(PATIENCE, || {
            ensure!(of_type(PEER_DOWN)?.len() == 2, "both sessions are down");
            Ok(())
        })
    })
}

/// Type and body of each whole message.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u8, Vec<u8>)> {
    std::iter::from_fn(move || {
        let [3, a, b, c, d, kind, ..] = *bytes else { return None };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let body = bytes.get(6..length)?.to_vec();
        bytes = bytes.get(length..)?;
        Some((kind, body))
    })
}
