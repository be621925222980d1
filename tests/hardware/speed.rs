use lab::{Hardware, Lab, Result};
use std::time::Instant;
#[test]
fn speed() -> Result {
    Lab::run(|lab| {
        let m = lab.machine("m", Hardware::None)?;
        let s = Instant::now(); m.wait_until_up()?; eprintln!("up {:?}", s.elapsed());

        for c in ["for i in 1 2 3 4 5 6 7 8 9 10; do ip link >/dev/null; done", "for i in 1 2 3 4 5 6 7 8 9 10; do ip link >/dev/null; done",
"true"] {
            let s = Instant::now(); m.shell(c)?; eprintln!("{:?} {c} ", s.elapsed());
        }
        let s = Instant::now(); for _ in 0..10 { m.switch().run("ip link")?; } eprintln!("10 ip link {:?}", s.elapsed());
        let s = Instant::now(); for _ in 0..10 { m.switch().run("/bin/true")?; } eprintln!("10 true {:?}", s.elapsed());
        let n = m.node("x")?;
        let s = Instant::now(); for _ in 0..10 { n.run("/bin/true")?; } eprintln!("10 true in netns {:?}", s.elapsed());
        let s = Instant::now(); for _ in 0..10 { n.run("ip netns exec x /bin/true")?; } eprintln!("10 true in ip netns exec {:?}", s.elapsed());
        Ok(())
    })
}
