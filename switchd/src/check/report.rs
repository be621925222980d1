//! What a check found, for people and for programs.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use platform::asic::{Effect, Violation};
use serde_json::{Value, json};

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// About the configuration file, if one was looked at.
    pub file: Option<FileOutcome>,
    /// The switch chip, its driver's version included; `None` without one.
    pub profile: Option<String>,
    /// What it does not take.
    pub violations: Vec<Violation>,
    /// What became of the command, if one was tried.
    pub command: Option<CommandOutcome>,
}

/// What is to be said of the configuration file.
#[derive(Debug, Clone)]
pub struct FileOutcome {
    /// Which.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// What became of a command in the scratch namespace.
#[derive(Debug, Clone)]
pub struct CommandOutcome {
    /// The command.
    pub words: Vec<String>,
    /// Its exit status; `None`: a signal ended it.
    pub status: Option<i32>,
    /// What of this machine could not be put there, and why.
    pub not_copied: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
            && self.file.as_ref().is_none_or(|file| file.error.is_none())
            && self.command.as_ref().is_none_or(|command| command.status == Some(0))
    }

    /// Adds what was found otherwise. What is known already stays as it is.
    pub(super) fn add(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            let same = |known: &Violation| {
                (known.constraint.id, known.key) == (violation.constraint.id, violation.key)
            };
            if !self.violations.iter().any(same) {
                self.violations.push(violation);
            }
        }
    }

    /// What is wrong with the configuration file.
    pub fn file_error(&self) -> Option<&str> {
        self.file.as_ref()?.error.as_deref()
    }

    /// For people, less [`Self::file_error`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(FileOutcome { file, error: None }) = &self.file {
            let _ = writeln!(text, "{}: valid", file.display());
        }
        if let Some(command) = &self.command {
            for what in &command.not_copied {
                let _ = writeln!(text, "not in the scratch namespace: {what}");
            }
            if command.status != Some(0) {
                let how = command.status.map_or_else(
                    || "ended by a signal".to_owned(),
                    |status| format!("failed with exit status {status}"),
                );
                let words = command.words.join(" ");
                let _ = writeln!(
                    text,
                    "'{words}' {how} in the scratch namespace; what follows is about what it did until then"
                );
            }
        }
        let Some(profile) = &self.profile else { return text };
        if self.violations.is_empty() {
            let _ = writeln!(text, "{profile}: takes all of it");
            return text;
        }
        let mut told = HashSet::new();
        for violation in &self.violations {
            let known = !told.insert(&violation.remedy.commands);
            write_violation(&mut text, violation, known);
        }
        let count = self.violations.len();
        let things = if count == 1 { "thing that" } else { "things that" };
        let _ = writeln!(text, "\n{profile}: {count} {things} it does not take");
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "clean": self.is_clean(),
            "file": self.file.as_ref().map(|file| json!({
                "path": file.file.display().to_string(), "valid": file.error.is_none(), "error": file.error,
            })),
            "asic": self.profile,
            "command": self.command.as_ref().map(|command| json!({
                "words": command.words, "status": command.status, "notCopied": command.not_copied,
            })),
            "violations": self.violations.iter().map(violation_json).collect::<Vec<_>>(),
        })
    }
}

fn write_violation(text: &mut String, violation: &Violation, remedy_is_known: bool) {
    let constraint = violation.constraint;
    let said = violation.words.unwrap_or(match violation.effect {
        Effect::Silent => "not a word is said",
        Effect::Refused { .. } => "refused without a word",
    });
    let _ = writeln!(text, "{} {}: {said}", constraint.id, violation.object);
    let _ = writeln!(text, "    it wants: {}", constraint.rule);
    let _ = writeln!(text, "    {}", violation.effect);
    match violation.remedy.commands.as_slice() {
        [] => {}
        _ if remedy_is_known => text.push_str("    mend it as above\n"),
        commands => {
            for (index, command) in commands.iter().enumerate() {
                let label = if index == 0 { "mend it with:" } else { "" };
                let _ = writeln!(text, "    {label:<14}{command}");
            }
        }
    }
    for (system, line) in [
        ("/etc/network/interfaces", violation.remedy.ifupdown2),
        ("systemd-networkd", violation.remedy.networkd),
    ] {
        if let Some(line) = line {
            let _ = writeln!(text, "    in {system}: {line}");
        }
    }
}

fn violation_json(violation: &Violation) -> Value {
    json!({
        "constraint": violation.constraint.id,
        "rule": violation.constraint.rule,
        "object": violation.object,
        "message": violation.words,
        "effect": violation.effect.to_string(),
        "remedy": violation.remedy.commands,
        "ifupdown2": violation.remedy.ifupdown2,
        "networkd": violation.remedy.networkd,
    })
}

#[cfg(test)]
mod tests {
    use platform::asic::{Driver, KernelVersion, Ports, Profile, violations};
    use platform::kernel::{Bridge, BridgePort, Link, LinkKind, Model, Object, Vni, Vxlan};

    use super::*;

    fn report() -> Report {
        let vxlan = Vxlan::new(Vni::try_from(10).unwrap(), "192.0.2.1".parse().unwrap());
        let port = Some(BridgePort::default());
        let vxlan = LinkKind::Vxlan(Vxlan { tos: 0, udp_checksum: true, ..vxlan });
        let bridge = LinkKind::Bridge(Bridge { multicast_snooping: false, ..Bridge::default() });
        let model: Model = [
            Link::new(1, "br0", bridge),
            Link { master: Some(1), port, ..Link::new(2, "vx10", vxlan) },
            Link { master: Some(1), port, ..Link::new(3, "swp1", LinkKind::Physical) },
        ]
        .map(Object::Link)
        .into_iter()
        .collect();
        let profile =
            Profile::new(Driver::MlxswSpectrum { generation: 2 }, KernelVersion::new(6, 1))
                .with_ports(Ports::Named(["swp1".to_owned()].into()));
        Report {
            profile: Some(profile.to_string()),
            violations: violations(&model, &profile),
            ..Report::default()
        }
    }

    #[test]
    fn people_read_the_drivers_words_and_what_to_do_once() {
        let text = report().text();
        for expected in [
            "V5 vxlan device vx10: mlxsw_spectrum: VxLAN: TOS must be configured to inherit\n",
            "V7 vxlan device vx10: mlxsw_spectrum: VxLAN: Zero UDP checksum must be allowed for TX\n",
            "    mend it with: ip link del vx10\n",
            "ip link add vx10 type vxlan id 10 local 192.0.2.1 dstport 4789 nolearning ttl 64 tos inherit noudpcsum\n",
            "    mend it as above\n",
            "    in systemd-networkd: [VXLAN] UDPChecksum=no\n",
            "\nSpectrum-2, Linux 6.1: 2 things that it does not take\n",
        ] {
            assert!(text.contains(expected), "no {expected:?} in\n{text}");
        }
        assert_eq!(text.matches("ip link del vx10").count(), 1);
        assert!(!report().is_clean());
    }

    #[test]
    fn programs_read_the_same() {
        let json = report().json();
        assert_eq!(json["clean"], false);
        assert_eq!(json["violations"][0]["constraint"], "V5");
        assert_eq!(json["violations"][1]["networkd"], "[VXLAN] UDPChecksum=no");
        let clean = Report { profile: Some("a switch".to_owned()), ..Report::default() };
        assert_eq!(clean.text(), "a switch: takes all of it\n");
        assert!(clean.is_clean() && clean.json()["violations"].as_array().unwrap().is_empty());
    }

    #[test]
    fn a_command_that_failed_is_not_clean() {
        let command = CommandOutcome {
            words: vec!["ip".to_owned(), "link".to_owned()],
            status: Some(2),
            not_copied: vec!["bond0: not supported".to_owned()],
        };
        let report = Report { command: Some(command), ..Report::default() };
        assert!(!report.is_clean());
        assert!(report.text().contains("'ip link' failed with exit status 2"));
        assert!(report.text().starts_with("not in the scratch namespace: bond0"));
    }
}
