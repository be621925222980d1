//! Answers the API's requests: asks the owner of the state, hands out a view of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bgp::speaker::{NeighborId, Speaker};
use bgp::types::{AfiSafi, UnknownFamily};
use ipnet::IpNet;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::bfd;
use super::explain::{self, Subject};
use super::proto::switch_server::{Switch, SwitchServer};
use super::proto::{BfdPeer, ListBfdPeersRequest};
use super::proto::{
    BgpNeighbor, BgpRoute, BgpSummary, CheckRequest, ClearBgpRequest, ClearBgpResponse, Condition,
    DumpMrtRequest, ExplainRequest, ExplainStep, FibRoute, GetBgpNeighborRequest,
    GetBgpSummaryRequest, GetHardwareRequest, Hardware, ListBgpRoutesRequest,
    ListConditionsRequest, ListFibRequest, ListMacsRequest, ListOffloadRequest,
    ListRouteMapsRequest, ListVnisRequest, Mac, MrtChunk, OffloadEntry, ReloadReply, ReloadRequest,
    RouteMap, SetGracefulShutdownReply, SetGracefulShutdownRequest, ShutdownNeighborReply,
    ShutdownNeighborRequest, Violation, Vni,
};
use super::{clear, mrt, neighbor, policy, views};
use crate::config::Bgp;
use crate::metrics::{Entries, KernelTotals};

/// A question to the task that owns the gateway's state.
#[derive(Debug)]
pub enum Query {
    /// The VNIs found in the kernel.
    Vnis(oneshot::Sender<Vec<Vni>>),
    /// MAC addresses, of one VNI or of all.
    Macs(Option<u32>, oneshot::Sender<Vec<Mac>>),
    /// Kernel objects and their verdicts: all, or those that are not in hardware and should be.
    Offload(bool, oneshot::Sender<Vec<OffloadEntry>>),
    /// Prefixes of one IP version that BGP wants something in the kernel for.
    FibPrefixes(bool, oneshot::Sender<Vec<IpNet>>),
    /// What became of these.
    Fib(Vec<IpNet>, oneshot::Sender<Vec<FibRoute>>),
    /// The ASIC.
    Hardware(oneshot::Sender<Hardware>),
    /// What metrics show of the kernel.
    Metrics(oneshot::Sender<(Vec<Entries>, KernelTotals)>),
    /// What the ASIC's driver does not take.
    Check(oneshot::Sender<Vec<Violation>>),
    /// The story of one entry.
    Explain(Subject, oneshot::Sender<Vec<ExplainStep>>),
    /// What is not as it should be.
    Conditions(oneshot::Sender<Vec<Condition>>),
}

/// A request to read the configuration again: what changed, or why nothing did.
pub type Reload = oneshot::Sender<Result<Vec<String>, String>>;

/// The ways to who can answer.
#[derive(Debug, Clone)]
pub struct Access {
    /// The task that owns the gateway's state.
    pub core: mpsc::Sender<Query>,
    /// The same, for what changes it.
    pub reload: mpsc::Sender<Reload>,
    /// The speaker, if there is one.
    pub bgp: Option<BgpAccess>,
}

/// Serves the API on `listener` until the daemon ends.
///
/// # Errors
/// The transport failed for good.
pub async fn serve(listener: UnixListener, access: Access) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(SwitchServer::new(Server(access)))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
}

/// The way to the BGP speaker, and what it was configured to be.
#[derive(Debug, Clone)]
pub struct BgpAccess {
    /// The running speaker.
    pub handle: bgp::net::Handle,
    /// Its configuration.
    pub config: Arc<Bgp>,
    /// Its BFD sessions.
    pub bfd: crate::bfd::Table,
}

struct Server(Access);

/// Routes that the core is asked for at once.
const FIB_LOT: usize = 1024;

fn parse_prefix(text: &str) -> Result<IpNet, Status> {
    let prefix = text.parse().map(|prefix: IpNet| prefix.trunc());
    prefix.map_err(|_| {
        Status::invalid_argument(format!("\"{text}\" is not a prefix; write it as 10.0.0.0/24"))
    })
}

type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn stream<T: Send + 'static>(items: Vec<T>) -> Response<Items<T>> {
    Response::new(Box::pin(tokio_stream::iter(items).map(Ok)))
}

fn going_down<E>(_: E) -> Status {
    Status::unavailable("switchd is shutting down; try again when it is back")
}

fn parse_family(name: &str) -> Result<AfiSafi, Status> {
    name.parse().map_err(|unknown: UnknownFamily| Status::invalid_argument(unknown.to_string()))
}

fn no_such_neighbor(name: &str) -> Status {
    Status::not_found(format!("there is no neighbor {name}; switchctl show bgp summary lists them"))
}

/// RFC 9003 §2: the length of a shutdown text is one octet.
const MAX_SHUTDOWN_TEXT: usize = 255;

impl Server {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Query,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.0.core.send(question(reply)).await.map_err(going_down)?;
        answer.await.map_err(going_down)
    }

    /// Does something to the neighbour of this name.
    async fn at_neighbor(
        &self,
        name: String,
        act: impl FnOnce(&mut Speaker, NeighborId, Instant) + Send + 'static,
    ) -> Result<(), Status> {
        let wanted = name.clone();
        let found = self
            .bgp()?
            .handle
            .with(move |speaker, now| {
                let neighbors = speaker.neighbors();
                let id = neighbors.iter().find(|it| it.config.name() == wanted)?.id;
                act(speaker, id, now);
                Some(())
            })
            .await
            .map_err(going_down)?;
        found.ok_or_else(|| no_such_neighbor(&name))
    }

    fn bgp(&self) -> Result<&BgpAccess, Status> {
        self.0.bgp.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "switchd runs without BGP: its configuration has no [bgp] table",
            )
        })
    }
}

#[tonic::async_trait]
impl Switch for Server {
    type ListBgpRoutesStream = Items<BgpRoute>;
    type DumpMrtStream = Items<MrtChunk>;
    type ListBfdPeersStream = Items<BfdPeer>;
    type ListFibStream = Items<FibRoute>;
    type ListVnisStream = Items<Vni>;
    type ListMacsStream = Items<Mac>;
    type ListOffloadStream = Items<OffloadEntry>;
    type CheckStream = Items<Violation>;
    type ExplainStream = Items<ExplainStep>;
    type ListRouteMapsStream = Items<RouteMap>;
    type ListConditionsStream = Items<Condition>;

    async fn get_bgp_summary(
        &self,
        _: Request<GetBgpSummaryRequest>,
    ) -> Result<Response<BgpSummary>, Status> {
        let Some(bgp) = &self.0.bgp else { return Ok(Response::new(BgpSummary::default())) };
        let families = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];
        let (neighbors, tables, goes, now) = bgp
            .handle
            .with(move |speaker, now| {
                (
                    speaker.neighbors(),
                    families.map(|family| (family, speaker.route_count(family))),
                    speaker.config().graceful_shutdown,
                    now,
                )
            })
            .await
            .map_err(going_down)?;
        Ok(Response::new(views::bgp_summary(&bgp.config, &neighbors, &tables, goes, now)))
    }

    async fn list_route_maps(
        &self,
        _: Request<ListRouteMapsRequest>,
    ) -> Result<Response<Self::ListRouteMapsStream>, Status> {
        let neighbors = self.bgp()?.handle.neighbors().await.map_err(going_down)?;
        Ok(stream(policy::route_maps(&neighbors)))
    }

    async fn clear_bgp(
        &self,
        request: Request<ClearBgpRequest>,
    ) -> Result<Response<ClearBgpResponse>, Status> {
        let request = request.into_inner();
        let cleared =
            self.bgp()?.handle.with(move |speaker, now| clear::clear(speaker, &request, now));
        let neighbors = cleared.await.map_err(going_down)?.map_err(Status::invalid_argument)?;
        Ok(Response::new(ClearBgpResponse { neighbors }))
    }

    async fn get_bgp_neighbor(
        &self,
        request: Request<GetBgpNeighborRequest>,
    ) -> Result<Response<BgpNeighbor>, Status> {
        let name = request.into_inner().address;
        let wanted = name.clone();
        let bgp = self.bgp()?;
        let found = bgp
            .handle
            .with(move |speaker, now| {
                let neighbors = speaker.neighbors();
                let summary = neighbors.into_iter().find(|it| it.config.name() == wanted)?;
                let our_open = speaker.our_open(summary.id);
                let transport = summary.config.transport(speaker.config().asn);
                Some((neighbor::Facts { summary, our_open, transport }, now))
            })
            .await
            .map_err(going_down)?;
        let (facts, now) = found.ok_or_else(|| no_such_neighbor(&name))?;
        Ok(Response::new(neighbor::view(&bgp.config, &facts, now)))
    }

    async fn shutdown_neighbor(
        &self,
        request: Request<ShutdownNeighborRequest>,
    ) -> Result<Response<ShutdownNeighborReply>, Status> {
        let ShutdownNeighborRequest { address, shutdown, message } = request.into_inner();
        if message.len() > MAX_SHUTDOWN_TEXT {
            return Err(Status::invalid_argument(format!(
                "the message has {} octets; RFC 9003 has room for {MAX_SHUTDOWN_TEXT}",
                message.len()
            )));
        }
        self.at_neighbor(address, move |speaker, id, now| {
            if shutdown {
                speaker.disable_neighbor(id, Some(&message), now);
            } else {
                speaker.enable_neighbor(id, now);
            }
        })
        .await?;
        Ok(Response::new(ShutdownNeighborReply {}))
    }

    async fn set_graceful_shutdown(
        &self,
        request: Request<SetGracefulShutdownRequest>,
    ) -> Result<Response<SetGracefulShutdownReply>, Status> {
        let SetGracefulShutdownRequest { neighbor, on } = request.into_inner();
        if neighbor.is_empty() {
            let set = self.bgp()?.handle.with(move |speaker, _| speaker.set_graceful_shutdown(on));
            set.await.map_err(going_down)?;
        } else {
            self.at_neighbor(neighbor, move |speaker, id, _| {
                speaker.set_neighbor_graceful_shutdown(id, on);
            })
            .await?;
        }
        Ok(Response::new(SetGracefulShutdownReply {}))
    }

    async fn reload(&self, _: Request<ReloadRequest>) -> Result<Response<ReloadReply>, Status> {
        let (reply, answer) = oneshot::channel();
        self.0.reload.send(reply).await.map_err(going_down)?;
        let changes = answer.await.map_err(going_down)?.map_err(Status::failed_precondition)?;
        Ok(Response::new(ReloadReply { changes }))
    }

    async fn list_bgp_routes(
        &self,
        request: Request<ListBgpRoutesRequest>,
    ) -> Result<Response<Self::ListBgpRoutesStream>, Status> {
        let family = parse_family(&request.into_inner().family)?;
        let routes = self.bgp()?.handle.routes(family).await.map_err(going_down)?;
        Ok(stream(views::bgp_routes(routes)))
    }

    async fn list_bfd_peers(
        &self,
        _: Request<ListBfdPeersRequest>,
    ) -> Result<Response<Self::ListBfdPeersStream>, Status> {
        let sessions = self.0.bgp.as_ref().map(|bgp| bgp.bfd.sessions()).unwrap_or_default();
        Ok(stream(bfd::peers(&sessions)))
    }

    async fn dump_mrt(
        &self,
        request: Request<DumpMrtRequest>,
    ) -> Result<Response<Self::DumpMrtStream>, Status> {
        let names = request.into_inner().families;
        let families = names.iter().map(|name| parse_family(name)).collect::<Result<_, _>>()?;
        let chunks = mrt::dump(self.bgp()?.handle.clone(), families).await.map_err(going_down)?;
        Ok(Response::new(Box::pin(
            chunks.map(|chunk| chunk.map(|data| MrtChunk { data }).map_err(going_down)),
        )))
    }

    async fn list_fib(
        &self,
        request: Request<ListFibRequest>,
    ) -> Result<Response<Self::ListFibStream>, Status> {
        let ListFibRequest { v6, prefix } = request.into_inner();
        let mut prefixes = match prefix.as_str() {
            "" => self.ask(|reply| Query::FibPrefixes(v6, reply)).await?,
            text => vec![parse_prefix(text)?],
        };
        prefixes.sort_unstable();
        // In lots: the core has other things to do in between.
        let mut routes = Vec::with_capacity(prefixes.len());
        for lot in prefixes.chunks(FIB_LOT) {
            routes.extend(self.ask(|reply| Query::Fib(lot.to_vec(), reply)).await?);
        }
        Ok(stream(routes))
    }

    async fn list_vnis(
        &self,
        _: Request<ListVnisRequest>,
    ) -> Result<Response<Self::ListVnisStream>, Status> {
        Ok(stream(self.ask(Query::Vnis).await?))
    }

    async fn list_macs(
        &self,
        request: Request<ListMacsRequest>,
    ) -> Result<Response<Self::ListMacsStream>, Status> {
        let vni = request.into_inner().vni;
        Ok(stream(self.ask(|reply| Query::Macs(vni, reply)).await?))
    }

    async fn list_offload(
        &self,
        request: Request<ListOffloadRequest>,
    ) -> Result<Response<Self::ListOffloadStream>, Status> {
        let all = request.into_inner().all;
        Ok(stream(self.ask(|reply| Query::Offload(all, reply)).await?))
    }

    async fn get_hardware(
        &self,
        _: Request<GetHardwareRequest>,
    ) -> Result<Response<Hardware>, Status> {
        Ok(Response::new(self.ask(Query::Hardware).await?))
    }

    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<Self::CheckStream>, Status> {
        Ok(stream(self.ask(Query::Check).await?))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Self::ExplainStream>, Status> {
        let subject = Subject::parse(request.into_inner()).map_err(Status::invalid_argument)?;
        let mut steps = Vec::new();
        if let Some(bgp) = &self.0.bgp {
            let told = subject.told_by(&bgp.handle).await.map_err(going_down)?;
            steps.extend(explain::sources(&told));
        }
        steps.extend(self.ask(|reply| Query::Explain(subject, reply)).await?);
        Ok(stream(steps))
    }

    async fn list_conditions(
        &self,
        _: Request<ListConditionsRequest>,
    ) -> Result<Response<Self::ListConditionsStream>, Status> {
        Ok(stream(self.ask(Query::Conditions).await?))
    }
}
