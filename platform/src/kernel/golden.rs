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
    let digits: Vec<u8> = line.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
