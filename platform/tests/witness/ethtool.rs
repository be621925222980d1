//! Writes what we read of a port as ethtool(8) does, as far as it prints it.

use std::fmt::Write;

use platform::ethtool::{Fec, FecMode, LinkModes, LinkState};
use serde_json::{Value, json};

/// The lines of `ethtool PORT` that are about speed and link, less indentation.
pub(crate) fn link(modes: &LinkModes, state: &LinkState) -> String {
    // What is no mode stands elsewhere in what ethtool prints.
    let with_speed = |names: &[String]| -> String {
        let names: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| name.contains("base")).collect();
        if names.is_empty() { "Not reported".to_owned() } else { names.join(" ") }
    };
    let mut text = String::new();
    let mut line = |name: &str, value: &str| writeln!(text, "{name}: {value}").expect("written");
    line("Supported link modes", &with_speed(&modes.supported));
    line("Advertised link modes", &with_speed(&modes.advertised));
    line(
        "Speed",
        &modes.speed.map_or_else(|| "Unknown!".to_owned(), |speed| format!("{speed}Mb/s")),
    );
    if let Some(lanes) = modes.lanes {
        line("Lanes", &lanes.to_string());
    }
    line(
        "Duplex",
        match modes.duplex.map(|duplex| duplex.to_string()).as_deref() {
            Some("full") => "Full",
            Some("half") => "Half",
            _ => "Unknown! (255)",
        },
    );
    line("Auto-negotiation", if modes.autoneg { "on" } else { "off" });
    line("Link detected", if state.up == Some(true) { "yes" } else { "no" });
    text
}

/// `ethtool --json --show-fec PORT`.
pub(crate) fn fec(port: &str, fec: &Fec) -> Value {
    let word = |mode: &FecMode| match mode {
        FecMode::Off => "Off".to_owned(),
        FecMode::ReedSolomon => "RS".to_owned(),
        FecMode::BaseR => "BaseR".to_owned(),
        FecMode::LowLatencyReedSolomon => "LLRS".to_owned(),
        FecMode::Other(name) => name.clone(),
    };
    let mut config: Vec<String> = fec.modes.iter().map(word).collect();
    if fec.auto {
        config.insert(0, "Auto".to_owned());
    }
    if config.is_empty() {
        config.push("None".to_owned());
    }
    let active = fec.active.as_ref().map_or_else(|| "None".to_owned(), word);
    json!([{ "ifname": port, "config": config, "active": [active] }])
}

/// `ethtool -m PORT hex on offset FIRST length ...`.
pub(crate) fn eeprom(first: usize, octets: &[u8]) -> String {
    let mut text = String::from("Offset\t\tValues\n------\t\t------\n");
    for (row, octets) in octets.chunks(16).enumerate() {
        write!(text, "0x{:04x}:\t\t", first + 16 * row).expect("written");
        octets.iter().for_each(|octet| write!(text, "{octet:02x} ").expect("written"));
        text.push('\n');
    }
    text
}
