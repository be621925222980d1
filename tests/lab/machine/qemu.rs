//! QEMU's process and command line.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use super::{conversation::Conversation, hardware::Hardware, image::Image, protocol};
use crate::Result;

/// A running QEMU and its outputs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Qemu {
    child: Child,
    pub(super) conversation: Conversation,
}

/// What a machine is made of.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    /// Which machine of the lab it is: MAC addresses differ by it.
    pub(super) number: u8,
    /// The machine's directory.
    pub(super) dir: &'a Path,
    /// The lab's directory, which the machine sees at the same path.
    pub(super) lab_dir: &'a Path,
    pub(super) agent: &'a Path,
    pub(super) hardware: &'a Hardware,
    pub(super) sockets: usize,
}

impl Qemu {
    pub(super) fn start(plan: &Plan<'_>, image: &Image) -> Result<Self> {
        // setpriv: a test that is killed takes its machines with it.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(arguments(plan, image))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let Some(((stdin, stdout), stderr)) = pipes else {
            unreachable!("all three were asked for");
        };
        let conversation = Conversation::start(plan.name, stdin, stdout);
        let mut log =
            OpenOptions::new().create(true).append(true).open(plan.dir.join("console.log"))?;
        let listener = conversation.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(std::io::Result::ok) {
                let line = String::from_utf8_lossy(&line);
                // A log that cannot be written is no reason to stop listening.
                let _ = writeln!(log, "{}", line.trim_end());
                if protocol::is_complaint(&line) || line.starts_with("qemu-system-x86_64: -") {
                    listener.trouble(&format!("its console says {}", line.trim()));
                }
            }
        });
        Ok(Self { child, conversation })
    }

    /// Unique on the host as long as the machine lives.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Already ended is as good. Its disk is memory: there is nothing to shut down.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The emulated CPU, never KVM: a lab runs the same in any CI. The agent talks through QEMU's standard input and output;
/// console and QEMU's own complaints share standard error.
fn arguments(plan: &Plan<'_>, image: &Image) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let mut words: Vec<String> = [
        "-M q35 -accel tcg -cpu max -smp 1 -m 1024",
        "-nodefaults -no-user-config -display none -no-reboot",
        "-chardev stdio,id=agent,signal=off",
        "-device virtio-serial-pci -device virtserialport,chardev=agent,name=agent",
        "-chardev file,id=console,path=/dev/stderr -serial chardev:console",
        "-device virtio-rng-pci",
        "-device virtio-9p-pci,fsdev=host,mount_tag=host",
        "-device virtio-9p-pci,fsdev=lab,mount_tag=lab",
    ]
    .iter()
    .flat_map(|line| line.split_whitespace().map(String::from))
    .collect();
    let (dir, lab_dir) = (text(plan.dir), text(plan.lab_dir));
    let pairs = [
        ("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap".into()),
        ("-fsdev", format!("local,id=lab,path={lab_dir},security_model=mapped-file")),
        ("-qmp", format!("unix:{dir}/qmp.sock,server=on,wait=off")),
        ("-kernel", text(&image.kernel)),
        ("-initrd", text(&image.initramfs)),
        (
            "-append",
            format!(
                "console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 random.trust_cpu=on mitigations=off init_on_alloc=0 apparmor=0 audit=0 \
                 lab.agent={} lab.modules={} lab.dir={lab_dir} lab.log={dir}/kernel.log",
                text(plan.agent),
                text(&image.modules),
            ),
        ),
    ];
    for (option, value) in pairs {
        words.extend([option.to_owned(), value]);
    }
    for socket in 0..plan.sockets {
        words.extend(port_arguments(plan.dir, &super::cable::nic(socket)));
        words.extend([
            "-device".to_owned(),
            format!(
                "virtio-net-pci,netdev={},romfile=,mac={}",
                super::cable::nic(socket).netdev,
                super::cable::nic_mac(plan.number, socket)
            ),
        ]);
    }
    for port in plan.hardware.qemu_ports() {
        words.extend(port_arguments(plan.dir, &port));
    }
    words.extend(plan.hardware.qemu_arguments(plan.number));
    words
}

/// A port is one end of a hub: the far end is plugged in while the machine runs. All that passes is captured.
///
/// The third end leads nowhere: without an end that takes frames, a NIC would wait for ever after its first one.
fn port_arguments(dir: &Path, port: &super::cable::Port) -> [String; 6] {
    let (netdev, hub) = (&port.netdev, port.hub);
    [
        "-netdev".into(),
        format!("hubport,id={netdev},hubid={hub}"),
        "-netdev".into(),
        format!("hubport,id={netdev}-nowhere,hubid={hub}"),
        "-object".into(),
        format!(
            "filter-dump,id=dump-{netdev},netdev={netdev},file={}/{netdev}.pcap",
            dir.display()
        ),
    ]
}
