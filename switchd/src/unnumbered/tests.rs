use platform::kernel::{LinkKind, Notification, Object};

use super::*;

const LINK_LOCAL: &str = "fe80::1/64";

/// swp51, as far as it is there.
struct World {
    model: Model,
    unnumbered: Unnumbered,
}

impl World {
    fn new() -> Self {
        let unnumbered = Unnumbered::new(["swp51".to_owned()]);
        Self { model: Model::default(), unnumbered }
    }

    /// Up, with a link-local address, and discovery knows it.
    fn usable() -> Self {
        let mut world = Self::new();
        world.link(7, "swp51", true, true);
        world.address(7, LINK_LOCAL, false);
        assert!(matches!(world.changes()[..], [(_, Some(Interface { index: 7, .. }))]));
        world
    }

    fn tell(&mut self, notification: Notification) {
        for key in self.model.apply(notification) {
            self.unnumbered.handle_changed(&key);
        }
    }

    fn link(&mut self, index: u32, name: &str, up: bool, running: bool) {
        let link = Link { up, running, ..Link::new(index, name, LinkKind::Veth) };
        self.tell(Notification::New(Object::Link(link)));
    }

    fn address(&mut self, index: u32, prefix: &str, tentative: bool) {
        let address = Address::new(index, prefix.parse().unwrap());
        self.tell(Notification::New(Object::Address(Address { tentative, ..address })));
    }

    fn sees(&mut self, neighbor: Option<&str>, other: Option<&str>) {
        let parse = |text: &str| text.parse().unwrap();
        self.unnumbered.handle_sighting(Sighting {
            interface: "swp51".to_owned(),
            index: Some(7),
            neighbor: neighbor.map(parse),
            other: other.map(parse),
        });
    }

    fn changes(&mut self) -> Vec<(String, Option<Interface>)> {
        self.unnumbered.poll_changes(&self.model)
    }

    fn problem(&self) -> Option<Problem> {
        self.unnumbered.problems(&self.model).next()
    }
}

#[test]
fn an_interface_is_named_by_what_it_lacks_until_it_can_be_used() {
    let mut world = World::new();
    let name = || "swp51".to_owned();
    assert_eq!(world.problem(), Some(Problem::Missing(name())));
    world.link(7, "swp51", false, false);
    assert_eq!(world.problem(), Some(Problem::Down(name())));
    world.link(7, "swp51", true, false);
    assert_eq!(world.problem(), Some(Problem::NoCarrier(name())));
    world.link(7, "swp51", true, true);
    let problem = world.problem().unwrap();
    assert_eq!(problem, Problem::NoLinkLocal(name()));
    assert_eq!(
        problem.remedy(),
        "sysctl -w net/ipv6/conf/swp51/disable_ipv6=0 net/ipv6/conf/swp51/addr_gen_mode=0"
    );
    world.address(7, LINK_LOCAL, true);
    assert_eq!(world.problem(), Some(Problem::Tentative(name())));
    assert!(world.changes().is_empty(), "discovery has nothing to do so far");
    world.address(7, LINK_LOCAL, false);
    assert_eq!(world.problem(), Some(Problem::NobodyHeard(name())));
    assert_eq!(world.changes().len(), 1);
    world.sees(Some("fe80::2"), None);
    assert_eq!(world.problem(), None);
    world.sees(Some("fe80::2"), Some("fe80::3"));
    assert_eq!(
        world.problem().unwrap().to_string(),
        "two routers are on the link of swp51: fe80::2, the BGP neighbor, and fe80::3, which is ignored"
    );
}

#[test]
fn discovery_is_told_of_an_interface_once_and_of_its_end() {
    let mut world = World::usable();
    world.address(7, "2001:db8::1/64", false);
    assert!(world.changes().is_empty());
    world.link(7, "swp51", true, false);
    assert_eq!(world.changes(), [("swp51".to_owned(), None)]);
    assert!(world.changes().is_empty());
}

#[test]
fn a_link_is_followed_by_its_name() {
    let mut world = World::usable();
    world.link(7, "uplink", true, true);
    assert_eq!(world.changes(), [("swp51".to_owned(), None)]);
    world.link(8, "swp51", true, true);
    world.address(8, LINK_LOCAL, false);
    assert!(matches!(world.changes()[..], [(_, Some(Interface { index: 8, .. }))]));
}

#[test]
fn a_link_local_address_that_changes_is_told() {
    let mut world = World::usable();
    let old = Address::new(7, LINK_LOCAL.parse().unwrap());
    world.tell(Notification::Gone(Object::Address(old)));
    world.address(7, "fe80::9/64", false);
    let changes = world.changes();
    let own = changes[0].1.map(|interface| interface.link_local.to_string());
    assert_eq!(own.as_deref(), Some("fe80::9"));
}

#[test]
fn an_interface_that_leaves_the_configuration_is_forgotten() {
    let mut world = World::usable();
    world.unnumbered.set_names(["swp52".to_owned()]);
    assert_eq!(world.changes(), [("swp51".to_owned(), None)]);
    assert_eq!(world.problem(), Some(Problem::Missing("swp52".to_owned())));
}
