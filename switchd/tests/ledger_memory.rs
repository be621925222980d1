//! What the ledger remembers of 100,000 entries, beyond the kernel model that it judges.

#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![expect(
    unsafe_code,
    reason = "counting allocations takes an allocator, and that is an unsafe trait"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;
use std::time::Instant;

use platform::asic::{Driver, KernelVersion, Profile};
use platform::kernel::{
    Bridge, BridgePort, FdbEntry, Hardware, Link, LinkKind, MacAddr, Model, Notification, Object,
    Offload, SwitchId, Vni, Vxlan,
};
use switchd::ledger::Ledger;

struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.with(|held| held.set(held.get().wrapping_add(layout.size())));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get().wrapping_sub(layout.size())));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ENTRIES: u32 = 100_000;
const PORT: u32 = 2;
const BRIDGE: u32 = 10;
const VXLAN: u32 = 11;

#[test]
fn a_hundred_thousand_entries_in_hardware_cost_at_most_a_hundred_bytes_each() {
    let model = gateway();
    let profile = Profile::new(Driver::MlxswSpectrum { generation: 2 }, KernelVersion::new(6, 1));
    let mut ledger = Ledger::default();
    let before = HELD.get();
    ledger.handle_profile(Some(profile), &model, Instant::now());
    let each = HELD.get().wrapping_sub(before) / ENTRIES as usize;
    println!("{each} bytes per entry");
    assert!(each <= 100, "{each} bytes per entry");
    // It must have been worth something.
    assert!(each >= 16, "{each} bytes per entry: nothing is remembered");
}

/// A VXLAN device with this many remote MACs, both halves of each, in hardware.
fn gateway() -> Model {
    let switch_id = SwitchId::new(&[1]);
    let hardware = Hardware { switch_id, port_name: Some("p1".into()), ..Hardware::default() };
    let local = IpAddr::from([10, 0, 0, 1]);
    let vxlan = LinkKind::Vxlan(Vxlan::new(Vni::try_from(100).unwrap(), local));
    let member = |link| Link { master: Some(BRIDGE), port: Some(BridgePort::default()), ..link };
    let links = [
        Link::new(BRIDGE, "br100", LinkKind::Bridge(Bridge::default())),
        member(Link {
            hardware: Some(Box::new(hardware)),
            ..Link::new(PORT, "swp1", LinkKind::Physical)
        }),
        member(Link::new(VXLAN, "vxlan100", vxlan)),
    ];
    let offload = Offload { offloaded: true, ..Offload::default() };
    let remote = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = MacAddr::new(2, 0, a, b, c, d);
        let bridge = FdbEntry::remote_in_bridge(VXLAN, mac);
        [
            FdbEntry { master: Some(BRIDGE), offload, ..bridge },
            FdbEntry { offload, ..FdbEntry::remote_in_vxlan(VXLAN, mac, [10, 0, 0, 2].into()) },
        ]
    };
    let mut model = Model::default();
    let entries = (0..ENTRIES / 2).flat_map(remote).map(Object::Fdb);
    for object in links.into_iter().map(Object::Link).chain(entries) {
        model.apply(Notification::New(object));
    }
    model
}
