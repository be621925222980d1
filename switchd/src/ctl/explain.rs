//! `explain mac|ip|route|vni`

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Client, CtlError, Output, collect};
use crate::api::proto::explain_request::Subject;
use crate::api::proto::{ExplainRequest, ExplainStep};

#[derive(Debug, Subcommand)]
pub(super) enum Explain {
    /// A MAC address.
    Mac {
        /// As 02:00:00:00:00:01.
        mac: String,
        /// Only in this VNI.
        #[arg(long)]
        vni: Option<u32>,
        #[command(flatten)]
        output: Output,
    },
    /// A host's address: its neighbour entry and the way to it.
    Ip {
        /// IPv4 or IPv6.
        address: String,
        #[command(flatten)]
        output: Output,
    },
    /// The route of a prefix.
    Route {
        /// As 10.0.0.0/24.
        prefix: String,
        #[command(flatten)]
        output: Output,
    },
    /// A VNI: its devices, tunnel and flood list.
    Vni {
        /// The number.
        vni: u32,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn explain(client: &mut Client, what: Explain) -> Result<String, CtlError> {
    let (subject, in_vni, output) = match what {
        Explain::Mac { mac, vni, output } => (Subject::Mac(mac), vni, output),
        Explain::Ip { address, output } => (Subject::Ip(address), None, output),
        Explain::Route { prefix, output } => (Subject::Route(prefix), None, output),
        Explain::Vni { vni, output } => (Subject::Vni(vni), None, output),
    };
    let name = match &subject {
        Subject::Mac(text) | Subject::Ip(text) | Subject::Route(text) => text.clone(),
        Subject::Vni(vni) => format!("VNI {vni}"),
    };
    let request = ExplainRequest { subject: Some(subject), in_vni };
    let steps = collect(client.explain(request).await?.into_inner()).await?;
    Ok(output.render(|| steps.iter().map(step_json).collect(), || text(&name, &steps)))
}

fn step_json(step: &ExplainStep) -> Value {
    json!({
        "stage": step.stage, "text": step.text, "verdict": step.verdict, "reason": step.reason,
        "remedy": step.remedy,
    })
}

fn text(name: &str, steps: &[ExplainStep]) -> String {
    if steps.is_empty() {
        return format!(
            "Nothing is known of {name}: no peer, no port and no operator has told of it.\n"
        );
    }
    let mut text = String::new();
    let mut stage = "";
    for step in steps {
        if step.stage != stage {
            let _ = writeln!(text, "{}", step.stage);
            stage = &step.stage;
        }
        let _ = writeln!(text, "  {}", step.text);
        match (step.verdict.as_str(), step.reason.as_str()) {
            ("", _) => {}
            (verdict, "") => {
                let _ = writeln!(text, "    {verdict}");
            }
            (verdict, reason) => {
                let _ = writeln!(text, "    {verdict}: {reason}");
            }
        }
        if !step.remedy.is_empty() {
            let _ = writeln!(text, "    mend it with: {}", step.remedy);
        }
    }
    text
}
