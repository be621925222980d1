//! `check`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Client, CtlError, Output, collect};
use crate::api::proto::{CheckRequest, GetHardwareRequest, Violation};

pub(super) async fn check(client: &mut Client, output: Output) -> Result<String, CtlError> {
    let hardware = client.get_hardware(GetHardwareRequest {}).await?.into_inner();
    let violations = collect(client.check(CheckRequest {}).await?.into_inner()).await?;
    let profile = hardware.asic.map(|asic| asic.profile);
    Ok(output.render(
        || violations.iter().map(violation_json).collect(),
        || text(profile.as_deref(), &violations),
    ))
}

fn violation_json(violation: &Violation) -> Value {
    json!({
        "constraint": violation.constraint, "object": violation.object, "message": violation.message,
        "effect": violation.effect, "remedy": violation.remedy, "configLine": violation.config_line,
    })
}

fn text(profile: Option<&str>, violations: &[Violation]) -> String {
    let Some(profile) = profile else {
        return "This machine has no switch ASIC: nothing can be refused by one. For another machine, see `switchd check --asic`.\n".to_owned();
    };
    if violations.is_empty() {
        return format!("{profile}: takes all that is in the kernel.\n");
    }
    let mut text = String::new();
    for violation in violations {
        let _ = writeln!(
            text,
            "{} {}: {}\n    {}",
            violation.constraint, violation.object, violation.message, violation.effect
        );
        for (what, line) in [
            ("mend it with", &violation.remedy),
            ("or in the configuration", &violation.config_line),
        ] {
            if !line.is_empty() {
                let _ = writeln!(text, "    {what}: {line}");
            }
        }
    }
    let count = violations.len();
    let _ = writeln!(
        text,
        "\n{profile}: {count} {} it does not take",
        if count == 1 { "thing that" } else { "things that" }
    );
    text
}
