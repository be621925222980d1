//! Answers the API's requests: asks the owner of the state, hands out a view of the answer.

use std::pin::Pin;
use std::sync::Arc;

use bgp::types::{AfiSafi, UnknownFamily};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::clear;
use super::explain::{self, Subject};
use super::proto::switch_server::{Switch, SwitchServer};
use super::proto::{
    BgpRoute, BgpSummary, CheckRequest, ClearBgpRequest, ClearBgpResponse, Condition,
    DumpMrtRequest, ExplainRequest, ExplainStep, GetBgpSummaryRequest, GetHardwareRequest,
    Hardware, ListBgpRoutesRequest, ListConditionsRequest, ListMacsRequest, ListOffloadRequest,
    ListVnisRequest, Mac, MrtChunk, OffloadEntry, Violation, Vni,
};
use super::{mrt, views};
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

/// Serves the API on `listener` until the daemon ends.
///
/// # Errors
/// The transport failed for good.
pub async fn serve(
    listener: UnixListener,
    core: mpsc::Sender<Query>,
    bgp: Option<BgpAccess>,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(SwitchServer::new(Server { core, bgp }))
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
}

struct Server {
    core: mpsc::Sender<Query>,
    bgp: Option<BgpAccess>,
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

impl Server {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Query,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.core.send(question(reply)).await.map_err(going_down)?;
        answer.await.map_err(going_down)
    }

    fn bgp(&self) -> Result<&bgp::net::Handle, Status> {
        self.bgp.as_ref().map(|bgp| &bgp.handle).ok_or_else(|| {
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
    type ListVnisStream = Items<Vni>;
    type ListMacsStream = Items<Mac>;
    type ListOffloadStream = Items<OffloadEntry>;
    type CheckStream = Items<Violation>;
    type ExplainStream = Items<ExplainStep>;
    type ListConditionsStream = Items<Condition>;

    async fn get_bgp_summary(
        &self,
        _: Request<GetBgpSummaryRequest>,
    ) -> Result<Response<BgpSummary>, Status> {
        let Some(bgp) = &self.bgp else { return Ok(Response::new(BgpSummary::default())) };
        let families = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST, AfiSafi::L2VPN_EVPN];
        let (neighbors, tables, now) = bgp
            .handle
            .with(move |speaker, now| {
                (
                    speaker.neighbors(),
                    families.map(|family| (family, speaker.route_count(family))),
                    now,
                )
            })
            .await
            .map_err(going_down)?;
        Ok(Response::new(views::bgp_summary(&bgp.config, &neighbors, &tables, now)))
    }

    async fn clear_bgp(
        &self,
        request: Request<ClearBgpRequest>,
    ) -> Result<Response<ClearBgpResponse>, Status> {
        let request = request.into_inner();
        let cleared = self.bgp()?.with(move |speaker, now| clear::clear(speaker, &request, now));
        let neighbors = cleared.await.map_err(going_down)?.map_err(Status::invalid_argument)?;
        Ok(Response::new(ClearBgpResponse { neighbors }))
    }

    async fn list_bgp_routes(
        &self,
        request: Request<ListBgpRoutesRequest>,
    ) -> Result<Response<Self::ListBgpRoutesStream>, Status> {
        let family = parse_family(&request.into_inner().family)?;
        let routes = self.bgp()?.routes(family).await.map_err(going_down)?;
        Ok(stream(views::bgp_routes(routes)))
    }

    async fn dump_mrt(
        &self,
        request: Request<DumpMrtRequest>,
    ) -> Result<Response<Self::DumpMrtStream>, Status> {
        let names = request.into_inner().families;
        let families = names.iter().map(|name| parse_family(name)).collect::<Result<_, _>>()?;
        let chunks = mrt::dump(self.bgp()?.clone(), families).await.map_err(going_down)?;
        Ok(Response::new(Box::pin(
            chunks.map(|chunk| chunk.map(|data| MrtChunk { data }).map_err(going_down)),
        )))
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
        if let Some(bgp) = &self.bgp {
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
