//! `docs/offload-constraints.md`, out of the same rows that predictions are made from.

use std::fmt::Write as _;

use super::{Constraint, constraints};

/// The whole document, in Markdown.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for (table, title) in TABLES {
        let _ = writeln!(text, "\n## {title}\n");
        text.push_str(
            "| # | it wants | the driver says | when broken | holds for |\n|---|---|---|---|---|\n",
        );
        constraints().filter(|it| it.id.starts_with(table)).for_each(|it| row(&mut text, it));
    }
    text
}

fn row(text: &mut String, constraint: &Constraint) {
    let words: Vec<String> = constraint.words.iter().map(|words| format!("`{words}`")).collect();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} |",
        constraint.id,
        constraint.rule,
        words.join("<br>"),
        constraint.effect,
        constraint.scope
    );
}

const TABLES: [(&str, &str); 4] = [
    ("V", "VXLAN"),
    ("B", "Bridges, VLANs, bonds, what stands on ports"),
    ("R", "Routing"),
    ("C", "What other drivers do not do"),
];

const HEAD: &str = "\
# What switch chips will not take

Each row is a demand of a switchdev driver on the kernel's objects, with the driver's own words. `switchd check` predicts
them (for what the kernel holds, or for what a command would make of it), and `switchctl offload` names the row that keeps
an object in software. What is refused for lack of room is not here: that is known only afterwards.

The rows were read in the drivers of Linux 6.1 and 6.12. Those of Spectrum for Linux 6.1 are also tried against the driver
itself: `tests/hardware/prediction` has each predicted, then refused with the same words, then mended. Not tried: the second
words of V15, B4 and B10, the third of B5; what differs in 6.12; V16; table C but for unit tests, with words read in the
drivers. \"Before Linux 6.6\" marks what 6.1 has and 6.12 has not; in which
release between it went is from the kernel's history, not run.

This file is made from the code: `BLESS=1 cargo nextest run -p platform offload_constraints`.
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_of_offload_constraints_is_what_the_code_says() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/offload-constraints.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, document()).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == document(), "{} is stale: see its head", file.display());
    }
}
