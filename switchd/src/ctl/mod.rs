//! `switchctl`: a client of the API and nothing else. Words and JSON keys are those of FRR's vtysh where it has them.

mod bfd;
mod bgp;
mod check;
mod dump;
mod evpn;
mod explain;
mod fib;
mod neighbor;
mod offload;
mod policy;
mod table;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use tonic::transport::Channel;

use crate::api::proto::ReloadRequest;
use crate::api::proto::switch_client::SwitchClient;
use crate::api::{self, DEFAULT_SOCKET};

/// Shows what switchd knows: BGP, EVPN, and what the hardware took.
#[derive(Debug, Parser)]
#[command(name = "switchctl", version)]
pub struct Arguments {
    /// Socket of the switchd to ask.
    #[arg(long, default_value = DEFAULT_SOCKET, global = true)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show state.
    #[command(subcommand)]
    Show(Show),
    /// Reset sessions, or have routes sent again.
    #[command(subcommand)]
    Clear(Clear),
    /// What is not in hardware and should be, and why.
    Offload {
        /// Also what is in hardware, and what need not be.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Act on a BGP neighbour.
    Neighbor {
        /// Its address, or its interface.
        address: String,
        #[command(subcommand)]
        act: neighbor::Act,
    },
    /// Act on all of BGP.
    #[command(subcommand)]
    Bgp(neighbor::ActOnAll),
    /// Read the configuration file again and make what differs so. A file with a mistake changes nothing.
    Reload,
    /// Write tables to a file.
    #[command(subcommand)]
    Dump(dump::Dump),
    /// The whole story of one entry, from its source to the ASIC.
    #[command(subcommand)]
    Explain(explain::Explain),
    /// What the ASIC's driver does not take of what is in the kernel, and the command that mends it.
    Check(Output),
}

#[derive(Debug, Subcommand)]
enum Clear {
    /// BGP sessions: `clear bgp 192.0.2.2`, `clear bgp '*' soft in`.
    Bgp {
        /// A neighbour's address, or "*" for all.
        neighbor: String,
        /// `soft`: have routes sent again instead of a reset, in both directions unless `in` or `out` says one.
        words: Vec<bgp::ClearWord>,
    },
}

#[derive(Debug, Subcommand)]
enum Show {
    /// BGP sessions and routes.
    #[command(subcommand)]
    Bgp(ShowBgp),
    /// IPv4 routes in the kernel.
    #[command(subcommand)]
    Ip(ShowIp),
    /// IPv6 routes in the kernel.
    #[command(subcommand)]
    Ipv6(ShowIp),
    /// BFD sessions.
    #[command(subcommand)]
    Bfd(ShowBfd),
    /// VNIs, MACs and neighbours of the overlay.
    #[command(subcommand)]
    Evpn(ShowEvpn),
    /// What neighbours' policies say.
    #[command(subcommand)]
    Policy(ShowPolicy),
    /// What is not as it should be, and the command that mends it.
    Conditions(Output),
}

#[derive(Debug, Subcommand)]
enum ShowBgp {
    /// Sessions, per address family.
    Summary(Output),
    /// One session: capabilities, timers, counters, why it ended.
    Neighbor {
        /// Its address, or its interface.
        address: String,
        #[command(flatten)]
        output: Output,
    },
    /// The EVPN table.
    #[command(subcommand)]
    L2vpn(ShowL2vpn),
    /// The IPv4 table.
    #[command(subcommand)]
    Ipv4(ShowUnicast),
    /// The IPv6 table.
    #[command(subcommand)]
    Ipv6(ShowUnicast),
}

#[derive(Debug, Subcommand)]
enum ShowBfd {
    /// All sessions.
    Peers(Output),
}

#[derive(Debug, Subcommand)]
enum ShowL2vpn {
    /// The EVPN table.
    #[command(subcommand)]
    Evpn(ShowL2vpnEvpn),
}

#[derive(Debug, Subcommand)]
enum ShowL2vpnEvpn {
    /// Sessions that carry EVPN.
    Summary(Output),
    /// All EVPN routes.
    Route(Output),
}

#[derive(Debug, Subcommand)]
enum ShowUnicast {
    /// All unicast routes.
    Unicast(Output),
}

#[derive(Debug, Subcommand)]
enum ShowIp {
    /// Routes.
    #[command(subcommand)]
    Route(ShowRoute),
}

#[derive(Debug, Subcommand)]
enum ShowRoute {
    /// BGP's: which are in the kernel and in hardware, and why the others are not.
    Bgp {
        /// Only this one.
        prefix: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
enum ShowPolicy {
    /// The route maps that neighbours use, or one of them.
    RouteMap {
        /// Its name.
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
enum ShowEvpn {
    /// The VNIs found in the kernel.
    Vni(Output),
    /// MAC addresses: `mac vni all` or `mac vni 100`.
    #[command(subcommand)]
    Mac(ShowMac),
}

#[derive(Debug, Subcommand)]
enum ShowMac {
    /// Of one VNI or of all.
    Vni {
        /// A VNI, or "all".
        #[arg(value_parser = parse_vni_selection)]
        vni: VniSelection,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Clone, Copy)]
enum VniSelection {
    All,
    One(u32),
}

fn parse_vni_selection(text: &str) -> Result<VniSelection, String> {
    match text {
        "all" => Ok(VniSelection::All),
        number => number
            .parse()
            .map(VniSelection::One)
            .map_err(|_| format!("\"{number}\" is neither a VNI nor \"all\"")),
    }
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Output {
    /// Print JSON with FRR's keys.
    #[arg(long)]
    json: bool,
}

impl Output {
    /// JSON if that was asked for, else text.
    fn render(
        self,
        json: impl FnOnce() -> serde_json::Value,
        text: impl FnOnce() -> String,
    ) -> String {
        if self.json { format!("{:#}\n", json()) } else { text() }
    }
}

/// Why a command could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nobody listens on the socket.
    #[error("cannot reach switchd at {}: {reason}; is it running? (systemctl status switchd, or --socket PATH)", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system answered.
        reason: String,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; give a path in a directory that you may write to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// switchd refused the request.
    #[error("switchd answered: {0}")]
    Refused(String),
}

impl From<tonic::Status> for CtlError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.message().to_owned())
    }
}

type Client = SwitchClient<Channel>;

/// Runs one command and returns what it shows.
///
/// # Errors
/// switchd cannot be reached or refuses the request.
pub async fn answer(arguments: Arguments) -> Result<String, CtlError> {
    let mut client = connect(&arguments.socket).await?;
    match arguments.command {
        Command::Show(what) => show(&mut client, what).await,
        Command::Clear(Clear::Bgp { neighbor, words }) => {
            bgp::clear(&mut client, neighbor, &words).await
        }
        Command::Offload { all, output } => offload::offload(&mut client, all, output).await,
        Command::Dump(what) => dump::dump(&mut client, what).await,
        Command::Neighbor { address, act } => neighbor::act(&mut client, address, act).await,
        Command::Bgp(act) => neighbor::act_on_all(&mut client, act).await,
        Command::Reload => reload(&mut client).await,
        Command::Explain(what) => explain::explain(&mut client, what).await,
        Command::Check(output) => check::check(&mut client, output).await,
    }
}

async fn show(client: &mut Client, what: Show) -> Result<String, CtlError> {
    match what {
        Show::Bgp(ShowBgp::Summary(output)) => {
            bgp::summary(client, output, bgp::Sessions::All).await
        }
        Show::Bgp(ShowBgp::Neighbor { address, output }) => {
            neighbor::show(client, output, address).await
        }
        Show::Bgp(ShowBgp::L2vpn(ShowL2vpn::Evpn(ShowL2vpnEvpn::Summary(output)))) => {
            bgp::summary(client, output, bgp::Sessions::Evpn).await
        }
        Show::Bgp(ShowBgp::L2vpn(ShowL2vpn::Evpn(ShowL2vpnEvpn::Route(output)))) => {
            bgp::evpn_routes(client, output).await
        }
        Show::Bgp(ShowBgp::Ipv4(ShowUnicast::Unicast(output))) => {
            bgp::unicast_routes(client, output, "ipv4-unicast").await
        }
        Show::Bgp(ShowBgp::Ipv6(ShowUnicast::Unicast(output))) => {
            bgp::unicast_routes(client, output, "ipv6-unicast").await
        }
        Show::Ip(ShowIp::Route(ShowRoute::Bgp { prefix, output })) => {
            fib::routes(client, output, false, prefix).await
        }
        Show::Ipv6(ShowIp::Route(ShowRoute::Bgp { prefix, output })) => {
            fib::routes(client, output, true, prefix).await
        }
        Show::Bfd(ShowBfd::Peers(output)) => bfd::peers(client, output).await,
        Show::Evpn(ShowEvpn::Vni(output)) => evpn::vnis(client, output).await,
        Show::Evpn(ShowEvpn::Mac(ShowMac::Vni { vni, output })) => {
            let vni = match vni {
                VniSelection::All => None,
                VniSelection::One(vni) => Some(vni),
            };
            evpn::macs(client, output, vni).await
        }
        Show::Policy(ShowPolicy::RouteMap { name, output }) => {
            policy::route_maps(client, output, name).await
        }
        Show::Conditions(output) => offload::conditions(client, output).await,
    }
}

async fn reload(client: &mut Client) -> Result<String, CtlError> {
    let changes = client.reload(ReloadRequest {}).await?.into_inner().changes;
    Ok(match changes.as_slice() {
        [] => "nothing changed\n".to_owned(),
        changes => changes.iter().map(|change| format!("{change}\n")).collect(),
    })
}

async fn connect(socket: &Path) -> Result<Client, CtlError> {
    api::connect(socket).await.map_err(|error| CtlError::Unreachable {
        socket: socket.to_owned(),
        reason: root_cause(&error),
    })
}

/// The innermost error: the one that says "No such file or directory".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Reads a server stream to its end.
async fn collect<T>(mut stream: tonic::Streaming<T>) -> Result<Vec<T>, CtlError> {
    let mut items = Vec::new();
    while let Some(item) = stream.message().await? {
        items.push(item);
    }
    Ok(items)
}
