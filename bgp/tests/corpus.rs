//! Every input that the fuzzer keeps, without the fuzzer.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/checks.rs"]
#[expect(unreachable_pub, reason = "public in the fuzz crate, which it belongs to")]
mod checks;

fn check(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    inputs.sort();
    for input in inputs {
        eprintln!("{}", input.display());
        check(&fs::read(input).unwrap());
    }
}

#[test]
fn every_input_of_the_corpus_passes_its_check() {
    check("discovery", checks::discovery);
    check("bfd", checks::bfd);
    check("message", checks::message);
    check("open", checks::open);
    check("update", checks::update);
    check("attribute", checks::attribute);
    check("evpn", checks::evpn);
    check("prefix", checks::prefix);
    check("capability", checks::capability);
    check("notification", checks::notification);
    check("route_refresh", checks::route_refresh);
    check("round_trip", checks::round_trip);
}
