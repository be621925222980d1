//! Documents that name tests name tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// `SUITE path::to::name`, in backquotes: a test of `tests/` or of `bgp`.
fn named_tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|words| words.split_once(' '));
    named.filter(|(suite, _)| ["underlay", "overlay", "resilience", "bgp"].contains(suite))
}

/// Where a module of a suite may stand.
fn files(root: &Path, suite: &str, module: &str) -> Vec<PathBuf> {
    let folders = match suite {
        "bgp" => vec![root.join("bgp/tests"), root.join("bgp/src")],
        suite => vec![root.join("tests").join(suite)],
    };
    let path = module.replace("::", "/");
    let places =
        |folder: PathBuf| [folder.join(format!("{path}.rs")), folder.join(&path).join("mod.rs")];
    folders.into_iter().flat_map(places).collect()
}

#[test]
fn every_test_that_the_table_of_interoperability_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("docs/interoperability.md")).unwrap();
    let mut found = 0;
    for (suite, path) in named_tests(&table) {
        let (module, name) = path.rsplit_once("::").unwrap_or((path, ""));
        let wanted = format!("#[test]\nfn {name}()");
        let files = files(&root, suite, module);
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        // A test of a module that is indented is in its `mod tests`.
        let is_there =
            texts.map(|text| text.replace("\n    ", "\n")).any(|text| text.contains(&wanted));
        assert!(is_there, "docs/interoperability.md names `{suite} {path}`, which is not there");
        found += 1;
    }
    assert!(found > 50, "{found} tests are named: is the table read at all?");
}
