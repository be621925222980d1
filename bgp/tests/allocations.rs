//! An UPDATE whose attributes are known costs no memory: neither to read nor to intern, however it is written.

#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![expect(
    unsafe_code,
    reason = "counting allocations takes an allocator, and that is an unsafe trait"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bgp::types::Asn;
use bgp::wire::{
    AttributeInterner, AttributeSet, Evpn, EvpnKey, EvpnPayload, ExtCommunity, Family, FamilySet,
    HEADER_LEN, Ipv4Unicast, MAX_MESSAGE, NextHop, UpdateContext, UpdatePacker, UpdateView,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn assert_no_allocation<F: Family>(routes: &[(F::Key, F::Payload)]) {
    let mut editor = AttributeSet::builder(NextHop::V4([192, 0, 2, 1].into()));
    let set = editor
        .prepend_as(Asn(65001))
        .add_ext_community(ExtCommunity::encapsulation_vxlan())
        .build();
    let packer = UpdatePacker { max_len: MAX_MESSAGE, four_octet_as: true };
    let context = UpdateContext {
        four_octet_as: true,
        external: true,
        families: FamilySet::ALL,
        add_path: FamilySet::EMPTY,
    };
    let mut out = Vec::with_capacity(2 * MAX_MESSAGE);
    let write = |out: &mut Vec<u8>| {
        out.clear();
        packer
            .announce::<F>(&set, routes.iter().map(|(key, payload)| (key, payload)), out)
            .unwrap();
    };
    assert_eq!(allocations(|| write(&mut out)), 0, "writing");
    let body = out.split_off(HEADER_LEN);

    // As FRR writes it: a long length field of AS_PATH, so that the attributes need rewriting.
    let as_path = body.windows(2).position(|pair| pair == [0x40, 2]).unwrap();
    let mut rewritten = body.clone();
    rewritten[as_path] |= 0x10;
    rewritten.insert(as_path + 2, 0);
    rewritten[3] += 1;

    let mut interner = AttributeInterner::default();
    let mut read = |body: &[u8]| {
        let view = UpdateView::parse(body, &context).unwrap();
        for group in view.announced::<F>() {
            let shared = interner.intern(&view, group.next_hop.unwrap());
            assert_eq!(*shared, set);
            assert_eq!(group.routes.map(Result::unwrap).count(), routes.len());
        }
    };
    read(&rewritten);
    assert_eq!(allocations(|| read(&body)), 0, "reading canonical attributes");
    assert_eq!(allocations(|| read(&rewritten)), 0, "reading other attributes");
}

#[test]
fn known_attributes_cost_no_allocation_with_ipv4_routes() {
    let route = |number: u8| (ipnet::Ipv4Net::new([10, 0, number, 0].into(), 24).unwrap(), ());
    assert_no_allocation::<Ipv4Unicast>(&(0..20).map(route).collect::<Vec<_>>());
}

#[test]
fn known_attributes_cost_no_allocation_with_evpn_routes() {
    let mac = |number: u8| EvpnKey::MacIp {
        rd: bgp::types::RouteDistinguisher::default(),
        ethernet_tag: 0,
        mac: [0, 0, 0x5e, 0, 0x53, number].into(),
        ip: None,
    };
    let routes: Vec<_> = (0..3).map(|number| (mac(number), EvpnPayload::default())).collect();
    assert_no_allocation::<Evpn>(&routes);
}
