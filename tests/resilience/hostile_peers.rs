//! Neighbours that misbehave, each in its own way, beside one that does not: the good one gets every keepalive in time, and
//! switchd's memory stays where it is.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use lab::{
    Lab, Node, Result, ensure,
    peers::raw::{self, Identity, Raw},
    switch::Switch,
};

const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const GOOD: Identity = Identity { address: Ipv4Addr::new(10, 9, 0, 2), asn: 65_002, hold_time: 3 };
const BAD: Identity = Identity { address: Ipv4Addr::new(10, 9, 0, 3), asn: 65_003, hold_time: 0 };

/// Hold time 3 s: a keepalive every second, and three quarters of that with jitter. What comes half a second later than that
/// is late.
const ON_TIME: Duration = Duration::from_millis(1500);
/// How long each goes on.
const MISBEHAVIOUR: Duration = Duration::from_secs(4);
/// What switchd may grow by.
const MEMORY: u64 = 64 * 1024 * 1024;

const UPDATE: u8 = 2;

const CONFIG: &str = r#"
[bgp]
asn = 65001
router-id = "10.9.0.1"
fib = false

[[bgp.neighbor]]
address = "10.9.0.2"
remote-as = 65002
hold-time = 3
passive = true

[[bgp.neighbor]]
address = "10.9.0.3"
remote-as = 65003
passive = true
"#;

#[test]
fn one_that_sends_a_byte_at_a_time() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let bad = Raw::establish(peers, BAD, DEVICE)?;
        for byte in
            announcement(BAD, 0, 200).chunks(1).cycle().take_while(|_| Instant::now() < until)
        {
            bad.send(byte)?;
            thread::sleep(Duration::from_millis(5));
        }
        ensure!(!bad.is_over(), "slow is allowed");
        Ok(())
    })
}

#[test]
fn one_that_does_not_read_while_the_table_changes() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let deaf = raw::handshake(peers, BAD, DEVICE)?;
        // The device would have to tell the deaf one of all that the changing one says.
        let changing = Raw::establish(peers, third(), DEVICE)?;
        let mut number = 0;
        while Instant::now() < until {
            changing.send(&announcement(third(), number % 64, 200))?;
            changing.send(&withdrawal(number % 64, 200))?;
            number += 1;
        }
        drop(deaf);
        Ok(())
    })
}

#[test]
fn one_that_floods() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let bad = Raw::establish(peers, BAD, DEVICE)?;
        let flood: Vec<u8> = (0..500).flat_map(|number| announcement(BAD, number, 200)).collect();
        let ebb: Vec<u8> = (0..500).flat_map(|number| withdrawal(number, 200)).collect();
        while Instant::now() < until {
            bad.send(&flood)?;
            bad.send(&ebb)?;
        }
        Ok(())
    })
}

#[test]
fn one_that_flaps_a_hundred_times_a_second() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let mut attempts = 0;
        while Instant::now() < until {
            // It need not succeed: a peer that flaps may be made to wait.
            if let Ok(mut stream) = raw::connect_from(peers, BAD.address, DEVICE) {
                let _ = stream.write_all(&raw::keepalive());
            }
            attempts += 1;
            thread::sleep(Duration::from_millis(10));
        }
        ensure!(attempts > 100, "only {attempts} attempts: this is no flapping");
        Ok(())
    })
}

#[test]
fn sessions_that_come_up_and_go_down_at_once() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let mut ups = 0;
        while Instant::now() < until {
            if let Ok(mut stream) = raw::handshake(peers, BAD, DEVICE) {
                let _ = stream.write_all(&announcement(BAD, 0, 200));
                ups += 1;
            } else {
                thread::sleep(Duration::from_millis(10));
            }
        }
        ensure!(ups > 0, "no session came up at all");
        Ok(())
    })
}

#[test]
fn a_thousand_connections() -> Result {
    beside_a_good_one(CONFIG, |peers, until| {
        let mut connections = Vec::new();
        while Instant::now() < until && connections.len() < 1000 {
            let from = if connections.len() % 2 == 0 { BAD.address } else { stranger() };
            // Refused is as good.
            connections.extend(raw::connect_from(peers, from, DEVICE));
        }
        ensure!(connections.len() == 1000, "only {} connections", connections.len());
        // And they stay.
        thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    })
}

#[test]
fn one_that_announces_ten_million_prefixes_past_its_limit() -> Result {
    let limited = CONFIG.replace(
        "remote-as = 65003",
        "remote-as = 65003\nmaximum-prefix.ipv4-unicast = { limit = 1000 }",
    );
    beside_a_good_one(&limited, |peers, _| {
        let bad = Raw::establish(peers, BAD, DEVICE)?;
        let mut sent = 0;
        for number in 0..50_000 {
            if bad.send(&announcement(BAD, number, 200)).is_err() {
                break;
            }
            sent += 200;
        }
        ensure!(sent > 1000, "closed before the limit was reached");
        ensure!(sent < 10_000_000, "nobody stopped it");
        Ok(())
    })
}

/// Another bad neighbour, in the place of the stranger.
fn third() -> Identity {
    Identity { address: Ipv4Addr::new(10, 9, 0, 4), asn: 65_004, hold_time: 0 }
}

fn stranger() -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 5)
}

/// Starts switchd and the good neighbour, lets `misbehave` do its worst, and judges how the good one fared.
fn beside_a_good_one(config: &str, misbehave: impl FnOnce(&Node, Instant) -> Result) -> Result {
    Lab::run(|lab| {
        let (device, peers) = (lab.node("device")?, lab.node("peers")?);
        lab.link(&device, "peers0", &peers, "device0")?;
        device.run(&format!("ip address add {DEVICE}/24 dev peers0"))?;
        for address in [GOOD.address, BAD.address, third().address, stranger()] {
            peers.run(&format!("ip address add {address}/24 dev device0"))?;
        }
        let third = third();
        let config = format!(
            "{config}\n[[bgp.neighbor]]\naddress = \"{}\"\nremote-as = {}\npassive = true\n",
            third.address, third.asn
        );
        let switch = Switch::start(&device, &config)?;
        let good = Raw::establish(&peers, GOOD, DEVICE)?;
        let before = memory(&switch)?;
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let keeper = scope.spawn(|| -> Result {
                while !over.load(Ordering::Relaxed) {
                    good.send(&raw::keepalive())?;
                    thread::sleep(Duration::from_millis(500));
                }
                Ok(())
            });
            let outcome = misbehave(&peers, Instant::now() + MISBEHAVIOUR);
            over.store(true, Ordering::Relaxed);
            let kept = keeper.join().map_err(|_| "the keeper panicked");
            outcome?;
            ensure!(matches!(kept, Ok(Ok(()))), "the good session ended: {kept:?}");
            Ok(())
        })?;
        ensure!(!good.is_over(), "the good session ended");
        let silence = good.longest_silence();
        ensure!(silence < ON_TIME, "a keepalive was late: nothing came for {silence:?}");
        let grown = memory(&switch)?.saturating_sub(before);
        ensure!(grown < MEMORY, "switchd grew by {grown} bytes");
        eprintln!("longest silence {silence:?}, {grown} bytes more");
        Ok(())
    })
}

/// Most that it ever had, in bytes.
fn memory(switch: &Switch) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", switch.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or_default() * 1024)
}

/// An UPDATE with `count` prefixes of 24 bits, the `number`th such.
fn announcement(from: Identity, number: u32, count: u32) -> Vec<u8> {
    // ORIGIN IGP, AS_PATH, NEXT_HOP.
    let origin_and_path = [&[0x40, 1, 1, 0, 0x40, 2, 6, 2, 1][..], &from.asn.to_be_bytes()];
    let next_hop = [&[0x40, 3, 4][..], &from.address.octets()];
    let attributes = [origin_and_path, next_hop].concat().concat();
    let length = u16::try_from(attributes.len()).unwrap_or_default();
    let body = [&[0, 0][..], &length.to_be_bytes(), &attributes, &prefixes(number, count)];
    raw::message(UPDATE, &body.concat())
}

/// The UPDATE that takes them back.
fn withdrawal(number: u32, count: u32) -> Vec<u8> {
    let prefixes = prefixes(number, count);
    let length = u16::try_from(prefixes.len()).unwrap_or_default();
    raw::message(UPDATE, &[&length.to_be_bytes()[..], &prefixes, &[0, 0]].concat())
}

fn prefixes(number: u32, count: u32) -> Vec<u8> {
    let network = |index: u32| {
        let [_, a, b, c] = (0x0010_0000 + number * count + index).to_be_bytes();
        [24, a, b, c]
    };
    (0..count).flat_map(network).collect()
}
