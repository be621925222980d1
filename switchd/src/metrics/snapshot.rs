//! What a scrape shows, before it is text.

use bgp::speaker::{NeighborSummary, SessionState};
use platform::devlink::{Handle, HealthReporter, Policer, Resource, Trap};

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Kernel objects by what the hardware made of them.
    pub entries: Vec<Entries>,
    /// What became of our changes, since the start.
    pub kernel: KernelTotals,
    /// BGP sessions.
    pub sessions: Vec<Session>,
    /// The switch hardware.
    pub devices: Devices,
}

/// How many objects of one kind have one verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// As `switchctl offload` says it: `fdb`, `route`.
    pub kind: String,
    /// As `switchctl offload` says it: `in-hardware`, `refused`.
    pub verdict: String,
    /// How many.
    pub count: u64,
}

/// Totals since the daemon started. They never fall while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelTotals {
    /// Batches of changes that were sent.
    pub batches: u64,
    /// Changes in them.
    pub changes: u64,
    /// Changes that the kernel or the driver refused.
    pub refusals: u64,
    /// How often the kernel had to be read anew as a whole, after notifications were lost or changes vanished.
    pub resyncs: u64,
}

/// One configured neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its address, or its interface.
    pub peer: String,
    /// Whether routes flow.
    pub established: bool,
    /// How often routes began to flow.
    pub established_count: u64,
    /// By address family.
    pub prefixes: Vec<Prefixes>,
}

/// Routes of one family from and to one neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    /// As in `switchd.toml`: `l2vpn-evpn`.
    pub family: String,
    /// Paths that we have from it.
    pub received: u64,
    /// Routes that it has from us.
    pub sent: u64,
}

/// What devlink told.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// Whether it could be read at all. A machine without such a device reads well: there is none.
    pub readable: bool,
    /// Each device.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Which.
    pub handle: Handle,
    /// Its tables, the outermost; those within are shown too.
    pub resources: Vec<Resource>,
    /// Why packets were dropped or came to the CPU.
    pub traps: Vec<Trap>,
    /// What did not come to the CPU because it was too much.
    pub policers: Vec<Policer>,
    /// How its parts are.
    pub reporters: Vec<HealthReporter>,
}

impl From<&NeighborSummary> for Session {
    fn from(neighbor: &NeighborSummary) -> Self {
        let prefixes = neighbor.families.iter().map(|family| Prefixes {
            family: family.family.to_string(),
            received: family.received as u64,
            sent: family.sent as u64,
        });
        Self {
            peer: neighbor.config.name(),
            established: matches!(neighbor.state, SessionState::Established),
            established_count: neighbor.established_count,
            prefixes: prefixes.collect(),
        }
    }
}
