//! Looking into emulated chips, and breaking them.

use serde_json::{Value, json};

use super::{Hardware, Machine, hardware};
use crate::Result;

/// Tables of the rocker, by their OF-DPA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RockerTable {
    /// VLANs of ports.
    Vlan = 10,
    /// IPv4 routes.
    UnicastRouting = 30,
    /// MAC addresses.
    Bridging = 50,
}

/// Tables of the fake Spectrum whose size can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpectrumTable {
    /// MAC addresses, of ports and of tunnels.
    Fdb,
    /// IPv4 routes.
    Ipv4Routes,
    /// IPv6 routes.
    Ipv6Routes,
}

impl Machine {
    /// The flows of a table of the rocker with their hits: what the chip itself has forwarded.
    ///
    /// # Errors
    /// There is no rocker.
    pub fn rocker_flows(&self, table: RockerTable) -> Result<Vec<Value>> {
        let flows = self.qmp(
            "query-rocker-of-dpa-flows",
            &json!({ "name": hardware::ROCKER, "tbl-id": table as u32 }),
        )?;
        Ok(flows.as_array().cloned().unwrap_or_default())
    }

    /// All that the fake Spectrum holds, one entry a line: the hardware's truth, to compare with the kernel's flags.
    ///
    /// # Errors
    /// There is no Spectrum.
    pub fn spectrum_holds(&self) -> Result<Vec<String>> {
        let text = self.switch().run(&format!("cat {SPECTRUM}/tables"))?;
        Ok(text.lines().map(String::from).collect())
    }

    /// Makes a table of the Spectrum take only so many more entries; `None` lifts the limit.
    ///
    /// # Errors
    /// There is no Spectrum.
    pub fn spectrum_room(&self, table: SpectrumTable, more: Option<u32>) -> Result {
        let name = table.name();
        let limit = more.map_or_else(
            || u32::MAX.to_string(),
            |more| {
                format!("$(($(awk '$2 == \"{name}\" {{ print $4 }}' {SPECTRUM}/tables) + {more}))")
            },
        );
        self.shell(&format!("echo {limit} >{SPECTRUM}/{name}_max")).map(drop)
    }

    /// Makes the next accesses to a register fail ("ralue": routes; "tnumt": flood lists; "sfmr": FIDs and their VNIs).
    ///
    /// # Errors
    /// There is no Spectrum, or no such register.
    pub fn spectrum_fails(&self, register: &str, accesses: u32) -> Result {
        self.break_spectrum("fail", &format!("{register} {accesses}"))
    }

    /// Makes the Spectrum take no entry for a MAC, or take it again.
    ///
    /// # Errors
    /// There is no Spectrum.
    pub fn spectrum_refuses(&self, mac: &str, refuses: bool) -> Result {
        let sign = if refuses { "" } else { "-" };
        self.break_spectrum("refuse", &format!("{sign}{mac}"))
    }

    /// Makes the Spectrum forget a MAC without telling anyone.
    ///
    /// # Errors
    /// It has no such entry.
    pub fn spectrum_loses(&self, mac: &str, fid: u32) -> Result {
        self.break_spectrum("lose", &format!("{mac} {fid}"))
    }

    /// Gives the front panel ports their names again, after `devlink dev reload` has made them anew.
    ///
    /// # Errors
    /// The ports are not there.
    pub fn name_ports(&self) -> Result {
        let prefix = match self.hardware() {
            Hardware::Rocker { .. } => format!("{}p", hardware::ROCKER),
            _ => "p".to_owned(),
        };
        self.shell(&self.hardware().naming(&prefix)).map(drop)
    }

    fn break_spectrum(&self, file: &str, what: &str) -> Result {
        self.shell(&format!("echo '{what}' >{SPECTRUM}/{file}")).map(drop)
    }
}

impl SpectrumTable {
    fn name(self) -> &'static str {
        match self {
            Self::Fdb => "fdb",
            Self::Ipv4Routes => "lpm4",
            Self::Ipv6Routes => "lpm6",
        }
    }
}

/// Where the fake Spectrum shows itself, in the machine.
const SPECTRUM: &str = "/sys/kernel/debug/mlxfake";
