use std::net::{IpAddr, Ipv4Addr};

use platform::kernel::{
    Errno, FdbEntry, FdbState, MacAddr, NEXTHOP_IDS, Nexthop, NexthopKind, Notification, Route, Via,
};

use super::*;

const VXLAN: u32 = 7;
const VTEP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// A reconciler, the kernel that it writes to, and a clock.
struct World {
    reconciler: Reconciler,
    model: Model,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { reconciler: Reconciler::default(), model: Model::default(), now: Instant::now() }
    }

    fn holding(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut world = Self::new();
        objects.into_iter().for_each(|object| world.kernel_reports(Notification::New(object)));
        world
    }

    fn desire(&mut self, object: impl Into<Object>) {
        let object = object.into();
        self.reconciler.desire(object.key(), Some(object));
    }

    fn no_longer_desire(&mut self, key: Key) {
        self.reconciler.desire(key, None);
    }

    fn kernel_reports(&mut self, notification: Notification) {
        for key in self.model.apply(notification) {
            let held = self.model.get(&key);
            self.reconciler.handle_kernel_change(key, held.as_ref(), self.now);
        }
    }

    fn poll(&mut self) -> Vec<Change> {
        self.reconciler.poll_batch(&self.model, |_| true, self.now).unwrap_or_default()
    }

    /// Polls, and has the kernel do and report what the batch says.
    fn run(&mut self) -> Vec<Change> {
        let batch = self.poll();
        let results = batch.iter().map(|_| Ok(())).collect();
        self.reconciler.handle_outcome(&batch, results, self.now);
        for change in &batch {
            self.kernel_reports(match change {
                Change::Create(object) | Change::Replace { to: object, .. } => {
                    Notification::New(object.clone())
                }
                Change::Delete(object) => Notification::Gone(object.clone()),
            });
        }
        batch
    }

    fn refuse_all(&mut self, errno: Errno, reason: &str) -> Vec<Change> {
        let batch = self.poll();
        let refused = |change: &Change| {
            Err(KernelError::Refused { key: change.key(), errno, reason: Some(reason.to_owned()) })
        };
        self.reconciler.handle_outcome(&batch, batch.iter().map(refused).collect(), self.now);
        batch
    }

    fn advance(&mut self, by: Duration) -> bool {
        self.now += by;
        self.reconciler.handle_timeout(self.now)
    }

    fn missing(&self) -> Vec<Object> {
        self.reconciler.missing(&self.model).collect()
    }
}

fn remote(last: u8) -> Object {
    Object::Fdb(FdbEntry::remote_in_vxlan(VXLAN, MacAddr::new(2, 0, 0, 0, 0, last), VTEP))
}

fn of_operator(last: u8) -> Object {
    let Object::Fdb(entry) = remote(last) else { unreachable!() };
    Object::Fdb(FdbEntry { extern_learn: false, state: FdbState::Permanent, ..entry })
}

fn id_of(nexthop: u32) -> u32 {
    NEXTHOP_IDS.start() + nexthop
}

fn nexthop(nexthop: u32) -> Object {
    let id = id_of(nexthop);
    Object::Nexthop(Nexthop::new(
        id,
        NexthopKind::Gateway { address: VTEP, ifindex: VXLAN, onlink: false },
    ))
}

fn route(nexthop: u32) -> Object {
    Object::Route(Route::new("192.0.2.0/24".parse().unwrap(), 20, Via::Nexthop(id_of(nexthop))))
}

#[test]
fn what_is_desired_and_missing_is_created_once() {
    let mut world = World::new();
    world.desire(remote(1));
    assert_eq!(world.run(), [Change::Create(remote(1))]);
    assert_eq!(world.run(), []);
    assert_eq!(world.missing(), []);
}

#[test]
fn an_entry_that_a_former_run_left_is_adopted_without_a_write() {
    let mut world = World::holding([remote(1)]);
    world.desire(remote(1));
    assert_eq!(world.run(), []);
}

#[test]
fn leftovers_are_deleted_only_once_the_sweep_has_begun() {
    let mut world = World::holding([remote(1), remote(2)]);
    world.desire(remote(1));
    assert_eq!(world.run(), []);
    world.reconciler.start_sweep(&world.model, |_| true);
    assert_eq!(world.run(), [Change::Delete(remote(2))]);
}

#[test]
fn what_lacks_our_mark_is_never_deleted_nor_replaced() {
    let mut world = World::holding([of_operator(1), of_operator(2)]);
    world.desire(remote(1));
    world.reconciler.start_sweep(&world.model, |_| true);
    assert_eq!(world.run(), []);
}

#[test]
fn what_was_desired_in_this_run_is_deleted_without_a_sweep() {
    let mut world = World::new();
    world.desire(remote(1));
    world.run();
    world.no_longer_desire(remote(1).key());
    assert_eq!(world.run(), [Change::Delete(remote(1))]);
}

#[test]
fn an_entry_that_an_operator_deletes_by_hand_comes_back() {
    let mut world = World::new();
    world.desire(remote(1));
    world.run();
    world.kernel_reports(Notification::Gone(remote(1)));
    assert_eq!(world.run(), [Change::Create(remote(1))]);
}

#[test]
fn a_desire_that_changes_while_its_batch_is_under_way_is_not_forgotten() {
    let mut world = World::new();
    world.desire(remote(1));
    let batch = world.poll();
    world.no_longer_desire(remote(1).key());
    world.reconciler.handle_outcome(&batch, vec![Ok(())], world.now);
    world.kernel_reports(Notification::New(remote(1)));
    assert_eq!(world.run(), [Change::Delete(remote(1))]);
}

#[test]
fn the_writer_has_a_second_batch_while_it_works_on_the_first_and_no_key_is_in_both() {
    let mut world = World::new();
    world.desire(remote(1));
    let first = world.poll();
    // The kernel reports before the writer does, and the entry is no longer wanted.
    world.kernel_reports(Notification::New(remote(1)));
    world.no_longer_desire(remote(1).key());
    world.desire(remote(2));
    let second = world.poll();
    assert_eq!(second, [Change::Create(remote(2))]);
    world.desire(remote(3));
    assert_eq!(world.poll(), []);
    world.reconciler.handle_outcome(&first, vec![Ok(())], world.now);
    assert_eq!(world.poll(), [Change::Delete(remote(1)), Change::Create(remote(3))]);
}

#[test]
fn what_stands_on_a_nexthop_waits_for_the_answer_to_it() {
    let mut world = World::new();
    world.desire(nexthop(1));
    let first = world.poll();
    world.desire(route(1));
    assert_eq!(world.poll(), []);
    world.reconciler.handle_outcome(&first, vec![Ok(())], world.now);
    assert_eq!(world.poll(), [Change::Create(route(1))]);
}

#[test]
fn a_refused_entry_holds_nothing_else_back_and_says_the_kernels_words() {
    let mut world = World::new();
    world.desire(remote(1));
    world.refuse_all(Errno::ENOSPC, "mlxsw_spectrum: table full");
    world.desire(remote(2));
    assert_eq!(world.run(), [Change::Create(remote(2))]);
    assert_eq!(world.missing(), [remote(1)]);
    let refusal = world.reconciler.refusal(&remote(1).key()).expect("a refusal");
    assert_eq!(refusal.reason(), Some("mlxsw_spectrum: table full"));
    assert_eq!(refusal.errno(), Some(Errno::ENOSPC));
}

#[test]
fn a_refused_entry_is_tried_again_later_and_less_and_less_often() {
    let mut world = World::new();
    world.desire(remote(1));
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.refuse_all(Errno::ENOSPC, "table full");
        let next = world.reconciler.poll_timeout().expect("a retry is planned");
        let wait = next - world.now;
        waits.push(wait);
        world.advance(wait);
    }
    assert_eq!(waits[0], RETRY_FIRST);
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(waits[11], RETRY_LONGEST);
    assert_eq!(world.run(), [Change::Create(remote(1))]);
    assert_eq!(world.missing(), []);
}

#[test]
fn a_new_link_makes_refused_entries_try_at_once() {
    let mut world = World::new();
    world.desire(remote(1));
    world.refuse_all(Errno::ENODEV, "no such device");
    assert_eq!(world.poll(), []);
    world.reconciler.handle_kernel_change(Key::Link(VXLAN), None, world.now);
    assert_eq!(world.run(), [Change::Create(remote(1))]);
}

#[test]
fn an_acknowledged_entry_that_the_kernel_never_reports_asks_for_a_snapshot() {
    let mut world = World::new();
    world.desire(remote(1));
    let batch = world.poll();
    world.reconciler.handle_outcome(&batch, vec![Ok(())], world.now);
    assert_eq!(world.missing(), [remote(1)]);
    assert!(!world.advance(CONFIRM_WITHIN / 2));
    assert!(world.advance(CONFIRM_WITHIN / 2));
    assert_eq!(world.run(), [Change::Create(remote(1))]);
}

#[test]
fn a_nexthop_is_made_before_its_routes_and_deleted_after_them() {
    let mut world = World::new();
    world.desire(route(1));
    world.desire(nexthop(1));
    assert_eq!(world.run(), [Change::Create(nexthop(1)), Change::Create(route(1))]);

    world.no_longer_desire(nexthop(1).key());
    world.desire(nexthop(2));
    world.desire(route(2));
    let moved = Change::Replace { from: route(1), to: route(2) };
    assert_eq!(world.run(), [Change::Create(nexthop(2)), moved, Change::Delete(nexthop(1))]);
}

#[test]
fn a_spent_nexthop_outlives_routes_that_did_not_fit_into_the_batch() {
    let mut world = World::new();
    world.desire(nexthop(1));
    world.desire(route(1));
    world.run();
    for index in 0..BATCH {
        let mac = MacAddr::new(
            2,
            1,
            0,
            0,
            u8::try_from(index >> 8).unwrap(),
            u8::try_from(index & 0xff).unwrap(),
        );
        world.desire(Object::Fdb(FdbEntry::remote_in_vxlan(VXLAN, mac, VTEP)));
    }
    world.no_longer_desire(route(1).key());
    world.no_longer_desire(nexthop(1).key());
    let first = world.run();
    assert!(!first.iter().any(|change| matches!(change, Change::Delete(_))));
    assert_eq!(world.run(), [Change::Delete(route(1)), Change::Delete(nexthop(1))]);
}

#[test]
fn an_entry_is_made_again_on_request_although_the_kernel_holds_it() {
    let mut world = World::new();
    world.desire(remote(1));
    world.run();
    world.reconciler.recreate(remote(1).key());
    assert_eq!(world.run(), [Change::Delete(remote(1)), Change::Create(remote(1))]);
    assert_eq!(world.run(), []);
    assert_eq!(world.missing(), []);
}

#[test]
fn a_nexthop_is_not_made_again_because_deleting_it_would_take_its_routes_along() {
    let mut world = World::new();
    world.desire(nexthop(1));
    world.desire(route(1));
    world.run();
    assert!(!world.reconciler.recreate(nexthop(1).key()));
    assert_eq!(world.run(), []);
}

#[test]
fn what_is_not_desired_is_never_made_again() {
    let mut world = World::holding([of_operator(1)]);
    assert!(!world.reconciler.recreate(of_operator(1).key()));
    assert_eq!(world.run(), []);
}

#[test]
fn flood_lists_are_written_before_single_macs() {
    let flood = Object::Fdb(FdbEntry::flood(VXLAN + 1, VTEP));
    let mut world = World::new();
    world.desire(remote(1));
    world.desire(flood.clone());
    assert_eq!(world.run(), [Change::Create(flood), Change::Create(remote(1))]);
}

#[test]
fn between_the_reports_of_a_delete_and_the_create_after_it_nothing_is_made_once_more() {
    let mut world = World::new();
    world.desire(remote(1));
    world.run();
    world.reconciler.recreate(remote(1).key());
    let batch = world.poll();
    assert_eq!(batch, [Change::Delete(remote(1)), Change::Create(remote(1))]);
    world.reconciler.handle_outcome(&batch, vec![Ok(()), Ok(())], world.now);
    // A report from before the delete is late.
    world.kernel_reports(Notification::New(remote(1)));
    world.kernel_reports(Notification::Gone(remote(1)));
    assert_eq!(world.poll(), []);
    world.kernel_reports(Notification::New(remote(1)));
    assert_eq!(world.poll(), []);
    // From here on a delete is somebody else's.
    world.kernel_reports(Notification::Gone(remote(1)));
    assert_eq!(world.run(), [Change::Create(remote(1))]);
}

#[test]
fn an_entry_whose_return_is_never_reported_is_made_again_after_a_while() {
    let mut world = World::new();
    world.desire(remote(1));
    world.run();
    world.reconciler.recreate(remote(1).key());
    let batch = world.poll();
    world.reconciler.handle_outcome(&batch, vec![Ok(()), Ok(())], world.now);
    world.kernel_reports(Notification::Gone(remote(1)));
    assert_eq!(world.poll(), []);
    assert!(world.advance(CONFIRM_WITHIN), "a snapshot is due");
    assert_eq!(world.run(), [Change::Create(remote(1))]);
}

#[test]
fn a_refusal_that_ends_without_a_change_in_the_kernel_is_told() {
    let mut world = World::new();
    world.desire(remote(1));
    world.refuse_all(Errno::EEXIST, "it is there");
    world.kernel_reports(Notification::New(remote(1)));
    assert_eq!(world.reconciler.poll_accepted(), []);
    world.advance(RETRY_FIRST);
    assert_eq!(world.poll(), []);
    assert_eq!(world.reconciler.poll_accepted(), [remote(1).key()]);
}
