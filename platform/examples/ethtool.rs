//! Prints what ethtool tells of a port, as ethtool(8) does; changes what is asked for. For the lab, which compares the two:
//!
//! ```sh
//! cargo run -p platform --example ethtool -- link swp1
//! ```

#![expect(clippy::panic, clippy::expect_used, reason = "an example fails as tests do")]

#[path = "../tests/witness/ethtool.rs"]
mod witness;

use std::process::ExitCode;

use platform::ethtool::{EepromPage, Ethtool, FecMode, GenetlinkError, LinkSettings};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), GenetlinkError> {
    let mut ethtool = Ethtool::open()?;
    let [what, name, rest @ ..] = arguments else { panic!("what to do, and on which port") };
    let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).expect("a port");
    let port = index.trim().parse().expect("an index");
    match (*what, rest) {
        ("link", []) => {
            print!("{}", witness::link(&ethtool.link_modes(port)?, &ethtool.link_state(port)?));
        }
        ("fec", []) => println!("{}", witness::fec(name, &ethtool.fec(port)?)),
        ("eeprom", []) => {
            let octets = ethtool.module_eeprom(port, EepromPage::LOWER)?;
            print!("{}", witness::eeprom(0, &octets));
        }
        ("eeprom", [page]) => {
            let page = EepromPage::upper(page.parse().expect("a page"));
            print!("{}", witness::eeprom(128, &ethtool.module_eeprom(port, page)?));
        }
        ("set-link", [speed, lanes]) => {
            let settings = LinkSettings {
                autoneg: Some(false),
                speed: Some(speed.parse().expect("a speed")),
                lanes: lanes.parse().ok(),
                ..LinkSettings::default()
            };
            ethtool.set_link(port, &settings)?;
        }
        ("set-fec", modes) => ethtool.set_fec(port, &fec_modes(modes), modes.contains(&"auto"))?,
        other => panic!("cannot do {other:?}"),
    }
    Ok(())
}

fn fec_modes(words: &[&str]) -> Vec<FecMode> {
    let mode = |word: &&str| match *word {
        "off" => Some(FecMode::Off),
        "rs" => Some(FecMode::ReedSolomon),
        "baser" => Some(FecMode::BaseR),
        "llrs" => Some(FecMode::LowLatencyReedSolomon),
        "auto" => None,
        other => panic!("no FEC is called {other}"),
    };
    words.iter().filter_map(mode).collect()
}
