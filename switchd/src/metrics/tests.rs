//! The text as a scraper reads it, and the server as a stranger may treat it.

use std::time::Duration;

use platform::devlink::{
    Counters, HealthReporter, HealthState, Policer, Resource, ResourceUnit, Trap, TrapAction,
    TrapKind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn snapshot() -> Snapshot {
    let entries = |kind: &str, verdict: &str, count| Entries {
        kind: kind.to_owned(),
        verdict: verdict.to_owned(),
        count,
    };
    Snapshot {
        entries: vec![entries("fdb", "in-hardware", 1000), entries("route", "refused", 2)],
        kernel: KernelTotals { batches: 7, changes: 1002, refusals: 2, resyncs: 1 },
        sessions: vec![Session {
            peer: "192.0.2.2".to_owned(),
            established: true,
            established_count: 3,
            prefixes: vec![Prefixes { family: "l2vpn-evpn".to_owned(), received: 500, sent: 600 }],
        }],
        devices: Devices { readable: true, devices: vec![device()] },
    }
}

fn device() -> Device {
    Device {
        handle: "pci/0000:03:00.0".parse().unwrap(),
        resources: vec![Resource {
            size: u64::MAX,
            children: vec![resource("kvd/linear", 98_304, Some(4096))],
            ..resource("kvd", 0, None)
        }],
        traps: vec![Trap {
            name: "blackhole_route".to_owned(),
            kind: TrapKind::Drop,
            generic: true,
            action: TrapAction::Drop,
            group: "l3_drops".to_owned(),
            reports_port: true,
            reports_flow_action: false,
            counters: Counters { packets: 0, bytes: 0, dropped: Some(42) },
        }],
        policers: vec![Policer { id: 1, rate: 10_240, burst: 4096, dropped: Some(5) }],
        reporters: vec![HealthReporter {
            name: "fw_fatal".to_owned(),
            port: None,
            state: HealthState::Error,
            errors: 1,
            recoveries: 0,
            last_dump: None,
            grace_period: None,
            auto_recover: None,
            auto_dump: Some(true),
        }],
    }
}

fn resource(path: &str, size: u64, occupancy: Option<u64>) -> Resource {
    Resource {
        path: path.to_owned(),
        id: 1,
        size,
        new_size: None,
        size_valid: None,
        size_min: None,
        size_max: None,
        granularity: None,
        unit: ResourceUnit::Entry,
        occupancy,
        children: Vec::new(),
    }
}

#[test]
fn every_family_is_there_with_its_samples() {
    let text = render(&snapshot());
    for line in [
        r#"switchd_offload_entries{kind="fdb",verdict="in-hardware"} 1000"#,
        r#"switchd_offload_entries{kind="route",verdict="refused"} 2"#,
        "switchd_kernel_batches_total 7",
        "switchd_kernel_changes_total 1002",
        "switchd_kernel_refusals_total 2",
        "switchd_kernel_resyncs_total 1",
        r#"switchd_bgp_session_up{peer="192.0.2.2"} 1"#,
        r#"switchd_bgp_session_established_total{peer="192.0.2.2"} 3"#,
        r#"switchd_bgp_prefixes_received{peer="192.0.2.2",family="l2vpn-evpn"} 500"#,
        r#"switchd_bgp_prefixes_sent{peer="192.0.2.2",family="l2vpn-evpn"} 600"#,
        "switchd_devlink_up 1",
        r#"switchd_devlink_resource_size{device="pci/0000:03:00.0",resource="kvd",unit="entry"} +Inf"#,
        r#"switchd_devlink_resource_size{device="pci/0000:03:00.0",resource="kvd/linear",unit="entry"} 98304"#,
        r#"switchd_devlink_resource_occupancy{device="pci/0000:03:00.0",resource="kvd/linear",unit="entry"} 4096"#,
        r#"switchd_devlink_trap_packets_total{device="pci/0000:03:00.0",trap="blackhole_route",group="l3_drops",type="drop"} 0"#,
        r#"switchd_devlink_trap_dropped_total{device="pci/0000:03:00.0",trap="blackhole_route",group="l3_drops",type="drop"} 42"#,
        r#"switchd_devlink_policer_dropped_total{device="pci/0000:03:00.0",policer="1"} 5"#,
        r#"switchd_devlink_policer_rate_packets_per_second{device="pci/0000:03:00.0",policer="1"} 10240"#,
        r#"switchd_devlink_health_reporter_up{device="pci/0000:03:00.0",reporter="fw_fatal",port=""} 0"#,
        r#"switchd_devlink_health_reporter_errors_total{device="pci/0000:03:00.0",reporter="fw_fatal",port=""} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
    }
}

#[test]
fn what_nobody_counts_is_left_out() {
    let text = render(&Snapshot::default());
    assert!(!text.contains("switchd_bgp"), "{text}");
    assert!(!text.contains("switchd_devlink_trap"), "{text}");
    assert!(text.contains("switchd_devlink_up 0\n"), "{text}");
    let mut unaware = snapshot();
    unaware.devices.devices[0].traps[0].counters.dropped = None;
    assert!(!render(&unaware).contains("trap_dropped"), "a driver that does not count has no zero");
}

#[test]
fn labels_are_escaped() {
    let mut odd = snapshot();
    odd.entries[0].kind = "a\"b\\c\nd".to_owned();
    let text = render(&odd);
    assert!(text.contains(r#"{kind="a\"b\\c\nd",verdict="in-hardware"} 1000"#), "{text}");
}

/// The rules of the format, as far as they can be checked without Prometheus: each family once, its help and type before
/// its samples, counters named `_total`, no sample twice.
#[test]
fn the_text_keeps_the_rules_of_the_format() {
    let text = render(&snapshot());
    assert!(text.ends_with('\n'));
    let (mut families, mut samples, mut current) = (Vec::new(), Vec::new(), String::new());
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["#", "HELP", name, help, ..] => {
                assert!(!families.contains(&(*name).to_owned()), "{name} comes twice");
                assert!(!help.is_empty());
                families.push((*name).to_owned());
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(families.last().map(String::as_str), Some(*name));
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                current = (*name).to_owned();
            }
            [sample, value] => {
                assert_eq!(sample.split('{').next(), Some(current.as_str()));
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(!samples.contains(&(*sample).to_owned()), "{sample} comes twice");
                samples.push((*sample).to_owned());
            }
            _ => panic!("no line of the format: {line}"),
        }
    }
    assert!(samples.len() > 20);
}

/// Sends `request` to a server that has this to show; returns the answer until the server closes.
async fn ask(show: Option<Snapshot>, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, move || {
        let show = show.clone();
        async move { show }
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer));
    read.await.expect("the server closes").unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn a_scrape_is_answered_and_the_connection_closed() {
    let answer = ask(Some(snapshot()), "GET /metrics HTTP/1.1\r\nHost: switch\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, render(&snapshot()));
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    for method in ["POST", "PUT", "DELETE", "FROBNICATE"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        let answer = ask(Some(snapshot()), &request).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
    }
    let answer = ask(Some(snapshot()), "GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = ask(Some(snapshot()), "nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_daemon_that_goes_down_says_so() {
    let answer = ask(None, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let request = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let answer = ask(Some(snapshot()), &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn those_who_say_nothing_do_not_keep_others_out() {
    tokio::time::pause();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, || async { Some(Snapshot::default()) }));
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.abort();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = listen(address).await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot serve metrics on {address}")), "{error}");
}
