//! Reads the netlink captures of `tests/golden/netlink`.

use std::path::Path;

/// The messages of a capture, one per line after the line that tells where they come from.
pub(super) fn messages(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/netlink").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).map(octets).collect()
}

fn octets(line: &str) -> Vec<u8> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    line.as_bytes().chunks(2).map(octet).collect()
}
