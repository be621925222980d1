//! A machine is as good a place for a test as a namespace is.

use lab::{Hardware, Lab, Result, ensure, ensure_eq};

#[test]
fn a_machine_runs_the_hosts_programs_and_says_how_they_ended() -> Result {
    Lab::run(|lab| {
        let machine = lab.machine("switch", Hardware::None)?;
        let start = std::time::Instant::now();
        machine.wait_until_up()?;
        eprintln!("up after {:?}", start.elapsed());
        let start = std::time::Instant::now();
        let output = machine.switch().output(&["sh", "-c", "echo out; echo err >&2; exit 42"])?;
        ensure_eq!(output.status.code(), Some(42), "exit code");
        ensure_eq!(output.stdout, b"out\n", "standard output");
        ensure_eq!(output.stderr, b"err\n", "standard error");
        eprintln!("ran after {:?}", start.elapsed());
        for _ in 0..10 {
            machine.switch().run("ip link")?;
        }
        eprintln!("10 more after {:?}", start.elapsed());
        ensure!(machine.shell("uname -r")?.contains("amd64"), "not Debian's kernel");
        Ok(())
    })
}
