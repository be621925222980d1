//! `clear bgp`: sessions begin anew, or routes are sent again.

use std::time::Instant;

use bgp::speaker::{NeighborSummary, Speaker};

use super::proto::ClearBgpRequest;

/// Does it, and tells to whom it was done.
///
/// # Errors
/// There is no such neighbour, or it cannot do what it is asked for.
pub(super) fn clear(
    speaker: &mut Speaker,
    request: &ClearBgpRequest,
    now: Instant,
) -> Result<Vec<String>, String> {
    let is_meant = |summary: &NeighborSummary| {
        request.neighbor == "*" || summary.config.name() == request.neighbor
    };
    let meant: Vec<_> = speaker.neighbors().into_iter().filter(is_meant).collect();
    if meant.is_empty() && request.neighbor != "*" {
        return Err(format!(
            "there is no neighbor {}; switchctl show bgp summary lists them",
            request.neighbor
        ));
    }
    for neighbor in &meant {
        let address = neighbor.config.name();
        if !request.soft_in && !request.soft_out {
            speaker.reset_neighbor(neighbor.id, now);
            continue;
        }
        let Some(negotiated) = &neighbor.negotiated else { continue };
        if request.soft_in && !negotiated.route_refresh {
            return Err(format!(
                "neighbor {address} cannot send its routes again (no route refresh, RFC 2918); reset its session: switchctl clear bgp {address}"
            ));
        }
        for family in negotiated.families.iter() {
            if request.soft_in {
                speaker.request_refresh(neighbor.id, family);
            }
            if request.soft_out {
                speaker.resend(neighbor.id, family);
            }
        }
    }
    Ok(meant.iter().map(|neighbor| neighbor.config.name()).collect())
}
