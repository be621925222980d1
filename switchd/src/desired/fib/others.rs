//! Routes that others made in the main table (static ones, an IGP's): a next hop may be resolved through them as well.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use platform::kernel::{Hop, Key, Object, PROTOCOL_BGP, RouteKind, TABLE_MAIN, Via};

/// Of the kernel itself: the subnets of its addresses, which [`super::Fib`] knows from these.
const PROTOCOL_KERNEL: u8 = 2;

/// Where they lead, by prefix and metric. Nothing is known of those that go by nexthop objects.
#[derive(Debug, Default)]
pub(super) struct Others {
    routes: HashMap<IpNet, BTreeMap<u32, Vec<Hop>>, RandomState>,
}

impl Others {
    /// A route appeared, changed or vanished. Whether a next hop may lead elsewhere now.
    pub(super) fn handle_object(&mut self, key: &Key, object: Option<&Object>) -> bool {
        let Key::Route { table: TABLE_MAIN, prefix, metric } = *key else { return false };
        match object {
            // The default route is no way to anybody in particular, as in FRR.
            Some(Object::Route(route))
                if ![PROTOCOL_BGP, PROTOCOL_KERNEL].contains(&route.protocol)
                    && prefix.prefix_len() > 0 =>
            {
                let hops = match (&route.via, route.kind) {
                    (Via::Hops(hops), RouteKind::Unicast) => hops.clone(),
                    _ => Vec::new(),
                };
                let known = self.routes.entry(prefix).or_default().insert(metric, hops.clone());
                known != Some(hops)
            }
            _ => {
                let Some(routes) = self.routes.get_mut(&prefix) else { return false };
                let vanished = routes.remove(&metric).is_some();
                if routes.is_empty() {
                    self.routes.remove(&prefix);
                }
                vanished
            }
        }
    }

    /// The route to exactly this prefix that packets take: its metric and hops; no hops lead nowhere.
    pub(super) fn best(&self, prefix: &IpNet) -> Option<(u32, &[Hop])> {
        let (metric, hops) = self.routes.get(prefix)?.first_key_value()?;
        Some((*metric, hops))
    }
}
