//! Asks, and has things done. The only file here, beside the monitor, that does I/O.

use std::fmt;

use super::{
    Attributes, GenetlinkError, Handle, HealthReporter, Info, Policer, Port, ReloadAction, Request,
    Resource, Trap, TrapAction, TrapGroup,
};
use crate::genetlink::Genetlink;

/// A socket to devlink. Sees the devices of the network namespace of the thread that opened it. Reading needs no rights but
/// for health reporters' dumps; setting needs `CAP_NET_ADMIN`.
pub struct Devlink(Genetlink);

impl Devlink {
    /// Opens it in the network namespace of this thread.
    pub fn open() -> Result<Self, GenetlinkError> {
        Genetlink::open("devlink").map(Self)
    }

    /// The devices that have devlink.
    pub fn devices(&mut self) -> Result<Vec<Handle>, GenetlinkError> {
        self.0.all(&Handle::dump(), &"list devlink devices", Handle::decode)
    }

    /// Driver, serial number, versions.
    pub fn info(&mut self, device: &Handle) -> Result<Info, GenetlinkError> {
        let attempted = format_args!("read the versions of {device}");
        self.0.one(&Info::request(device), &attempted, |attributes| Some(Info::decode(attributes)))
    }

    /// The ports.
    pub fn ports(&mut self, device: &Handle) -> Result<Vec<Port>, GenetlinkError> {
        self.dump(device, &Port::dump(device), "ports", Port::decode)
    }

    /// Splits a port into `count` ports. The port disappears, and with it its network device; the new ones appear.
    pub fn split_port(
        &mut self,
        device: &Handle,
        index: u32,
        count: u32,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("split port {index} of {device} into {count}");
        self.order(&Port::encode_split(device, index, count), &attempted)
    }

    /// Makes one port again of those that the port `index`, one of them, was split into.
    pub fn unsplit_port(&mut self, device: &Handle, index: u32) -> Result<(), GenetlinkError> {
        let attempted = format_args!("unsplit port {index} of {device}");
        self.order(&Port::encode_unsplit(device, index), &attempted)
    }

    /// The outermost resources; [`Resource::walk`] finds those within.
    pub fn resources(&mut self, device: &Handle) -> Result<Vec<Resource>, GenetlinkError> {
        let attempted = format_args!("read the resources of {device}");
        let lists = self.0.all(&Resource::request(device), &attempted, |attributes| {
            Some(Resource::decode_all(attributes))
        })?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// Sets the size that the resource of this path gets at the next reload.
    pub fn set_resource_size(
        &mut self,
        device: &Handle,
        path: &str,
        size: u64,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("set the size of resource {path} of {device} to {size}");
        let resources = self.resources(device)?;
        let id = resources.iter().flat_map(Resource::walk).find(|found| found.path == path);
        let id = id.map(|resource| resource.id).ok_or_else(|| GenetlinkError::NotFound {
            attempted: attempted.to_string(),
            what: "resource",
        })?;
        self.order(&Resource::encode_size(device, id, size), &attempted)
    }

    /// The traps, with what they have counted.
    pub fn traps(&mut self, device: &Handle) -> Result<Vec<Trap>, GenetlinkError> {
        self.dump(device, &Trap::dump(device), "traps", Trap::decode)
    }

    /// Sets what the device does with the packets of one trap. Only that of drops can be set: for others the kernel says yes
    /// and leaves it undone, which is an error here.
    pub fn set_trap_action(
        &mut self,
        device: &Handle,
        trap: &str,
        action: TrapAction,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("set the action of trap {trap} of {device} to {action}");
        match self.0.order(&Trap::encode_action(device, trap, action), &attempted)? {
            None => Ok(()),
            Some(reason) => {
                Err(GenetlinkError::Undone { attempted: attempted.to_string(), reason })
            }
        }
    }

    /// The groups of traps, with what they have counted.
    pub fn trap_groups(&mut self, device: &Handle) -> Result<Vec<TrapGroup>, GenetlinkError> {
        self.dump(device, &TrapGroup::dump(device), "trap groups", TrapGroup::decode)
    }

    /// Sets the action of every drop of a group; other traps of it stay as they are.
    pub fn set_trap_group_action(
        &mut self,
        device: &Handle,
        group: &str,
        action: TrapAction,
    ) -> Result<(), GenetlinkError> {
        let attempted =
            format_args!("set the action of trap group {group} of {device} to {action}");
        self.order(&TrapGroup::encode_action(device, group, action), &attempted)
    }

    /// Sets the policer of a group, or takes it off.
    pub fn set_trap_group_policer(
        &mut self,
        device: &Handle,
        group: &str,
        policer: Option<u32>,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("set the policer of trap group {group} of {device}");
        self.order(&TrapGroup::encode_policer(device, group, policer), &attempted)
    }

    /// The policers of what comes to the CPU.
    pub fn policers(&mut self, device: &Handle) -> Result<Vec<Policer>, GenetlinkError> {
        self.dump(device, &Policer::dump(device), "trap policers", Policer::decode)
    }

    /// Sets the rate (packets per second) and the burst (packets) of a policer, as far as given.
    pub fn set_policer(
        &mut self,
        device: &Handle,
        id: u32,
        rate: Option<u64>,
        burst: Option<u64>,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("set trap policer {id} of {device}");
        self.order(&Policer::encode_set(device, id, rate, burst), &attempted)
    }

    /// The health reporters of the device and of its ports.
    pub fn health_reporters(
        &mut self,
        device: &Handle,
    ) -> Result<Vec<HealthReporter>, GenetlinkError> {
        let request = HealthReporter::dump(device);
        self.dump(device, &request, "health reporters", HealthReporter::decode)
    }

    /// Recovers what a reporter tells of. A healthy one has nothing to recover, which is success.
    pub fn recover(
        &mut self,
        device: &Handle,
        port: Option<u32>,
        reporter: &str,
    ) -> Result<(), GenetlinkError> {
        let attempted = format_args!("recover {reporter} of {device}");
        self.order(&HealthReporter::encode_recover(device, port, reporter), &attempted)
    }

    /// Starts the driver or the firmware anew. Takes seconds; every port disappears meanwhile.
    pub fn reload(&mut self, device: &Handle, action: ReloadAction) -> Result<(), GenetlinkError> {
        self.order(&action.encode(device), &format_args!("reload {device}"))
    }

    /// Has something done. A reservation is for people: what it leaves undone, reading back shows.
    fn order(
        &mut self,
        request: &Request,
        attempted: &dyn fmt::Display,
    ) -> Result<(), GenetlinkError> {
        if let Some(reservation) = self.0.order(request, attempted)? {
            tracing::warn!(%attempted, reservation, "the kernel did it with a reservation");
        }
        Ok(())
    }

    /// A dump of one device. Kernels before 6.6 ignore which device is asked for and tell of all.
    fn dump<T>(
        &mut self,
        device: &Handle,
        request: &Request,
        what: &str,
        decode: impl Fn(Attributes<'_>) -> Option<T>,
    ) -> Result<Vec<T>, GenetlinkError> {
        self.0.all(request, &format_args!("read the {what} of {device}"), |attributes| {
            if Handle::decode(attributes)? != *device {
                return None;
            }
            let decoded = decode(attributes);
            if decoded.is_none() {
                tracing::warn!(%device, what, "skipped a devlink message that lacks what it should have");
            }
            decoded
        })
    }
}
