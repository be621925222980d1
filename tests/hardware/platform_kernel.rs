//! Tests of the netlink code that need a kernel with VLAN filtering and filters, which the host's may lack: they run here, in a
//! machine.

use std::{fs, path::PathBuf};

use lab::{Hardware, Lab, LabError, Result, ensure};

#[test]
fn vlans_and_filters_are_read_and_written_on_a_kernel_that_has_them() -> Result {
    Lab::run(|lab| {
        let program = built("kernel_root")?.display().to_string();
        let machine = lab.machine("linux", Hardware::None)?;
        let output = machine.switch().output(&[&program, "--ignored", "--test-threads", "1"])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}{complaint}");
        ensure!(!said.contains(" 0 passed"), "no test ran: {said}");
        Ok(())
    })
}

/// The newest test program of this name that cargo built beside this one.
fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(fs::read_dir).transpose()?.into_iter().flatten();
    let newest = beside
        .filter_map(std::result::Result::ok)
        .filter(|entry| {
            let file = entry.file_name().to_string_lossy().into_owned();
            file.starts_with(&format!("{name}-")) && !file.contains('.')
        })
        .max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    newest.map(|entry| entry.path()).ok_or_else(|| {
        LabError::Missing(format!("no {name} beside {}: run `cargo test --no-run`", own.display()))
    })
}
