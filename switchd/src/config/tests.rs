use std::path::Path;

use bgp::speaker::LimitAction;

use super::*;

const SMALLEST: &str = r#"
[bgp]
asn = 65001
router-id = "192.0.2.1"
fib = true
profile = "datacenter"

[[bgp.neighbor]]
address = "192.0.2.2"
remote-as = 65002
families = ["ipv4-unicast", "l2vpn-evpn"]
passive = false

[evpn]
advertise-all-vni = true
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("switchd.toml")).map_err(|error| error.to_string())
}

/// The refusal of the smallest config with `from` replaced by `to`.
fn refusal(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from} is not in the config under test");
    parse(&SMALLEST.replace(from, to)).expect_err("must be refused")
}

#[test]
fn the_smallest_useful_file_of_the_design_is_accepted() {
    let config = parse(SMALLEST).expect("accepted");
    let bgp = config.bgp.expect("has bgp");
    assert_eq!(bgp.asn, Asn(65001));
    assert_eq!(bgp.hold_time, 9);
    assert_eq!(bgp.neighbors[0].families, [AfiSafi::IPV4_UNICAST, AfiSafi::L2VPN_EVPN]);
    assert!(config.evpn.advertise_all_vni);
}

#[test]
fn an_empty_file_means_no_bgp() {
    assert_eq!(parse("").expect("accepted").bgp, None);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_key_that_was_meant() {
    let message = refusal("router-id", "routerid");
    assert!(message.starts_with("switchd.toml:4:1: unknown field `routerid`"), "{message}");
    assert!(message.ends_with("did you mean `router-id`?"), "{message}");
}

#[test]
fn an_unknown_key_like_no_other_gets_no_misleading_suggestion() {
    let message = refusal("passive = false", "xyzzy = 1");
    assert!(message.contains("unknown field `xyzzy`"), "{message}");
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn values_that_cannot_be_meant_are_refused_where_they_stand() {
    for (from, to, want) in [
        ("65001", "0", "3:7: AS number 0 is reserved"),
        ("\"192.0.2.1\"", "\"0.0.0.0\"", "4:13: router-id 0.0.0.0 is not valid"),
        (
            "\"datacenter\"",
            "\"traditonal\"",
            "6:11: unknown profile \"traditonal\"; use \"datacenter\" or",
        ),
        ("65002", "\"extrenal\"", "10:13: remote-as \"extrenal\" is neither"),
        ("\"l2vpn-evpn\"", "\"evpn\"", "11:29: unknown address family 'evpn'"),
        ("passive = false", "hold-time = 2", "12:13: hold-time is 2 s; it must be 3 to 65535 s"),
        (
            "fib = true",
            "maximum-paths = 0",
            "5:17: maximum-paths is 0; write 1 to 256, where 1 uses",
        ),
        (
            "fib = true",
            "maximum-paths-ibgp = 257",
            "5:22: maximum-paths-ibgp is 257; write 1 to 256",
        ),
        ("passive = false", "addpath-tx = 0", "12:14: addpath-tx 0 would tell nothing"),
        (
            "passive = false",
            "addpath-tx = \"some\"",
            "12:14: addpath-tx \"some\" is neither \"all\"",
        ),
        (
            "passive = false",
            "local-address = \"2001:db8::1\"",
            "12:17: local-address must be of the same IP version",
        ),
        (
            "fib = true",
            "networks = [\"10.0.0.1/24\"]",
            "5:13: 10.0.0.1/24 has bits set behind its prefix length; write \"10.0.0.0/24\"",
        ),
        ("fib = true", "redistribute = [\"ospf\"]", "5:17: cannot redistribute \"ospf\""),
        (
            "fib = true",
            "redistribute = [\"static\", \"static\"]",
            "5:27: \"static\" is redistributed already",
        ),
        (
            "[[bgp.neighbor]]",
            "[[bgp.aggregate]]\nprefix = \"10.0.0.0/8\"\nas-set = true\n[[bgp.neighbor]]",
            "10:10: as-set would put an AS_SET into the path, and others drop such a route (RFC 9774)",
        ),
        (
            "profile = \"datacenter\"",
            "networks = [\"10.0.0.0/8\"]\n[[bgp.aggregate]]\nprefix = \"10.0.0.0/8\"",
            "8:10: 10.0.0.0/8 is in networks too, which announces it always; remove one",
        ),
    ] {
        let message = refusal(from, to);
        assert!(message.contains(want), "{to}: {message}");
    }
}

#[test]
fn a_neighbor_configured_twice_is_refused_at_the_second() {
    let message = parse(&format!(
        "{SMALLEST}\n[[bgp.neighbor]]\naddress = \"192.0.2.2\"\nremote-as = \"external\"\n"
    ))
    .expect_err("must be refused");
    assert!(
        message.contains("switchd.toml:18:11: neighbor 192.0.2.2 is configured twice"),
        "{message}"
    );
}

/// The rules of the neighbour of the smallest config with these keys.
fn rules(keys: &str) -> Result<RouteRules, String> {
    let bgp = parse(&SMALLEST.replace("passive = false", keys))?.bgp.expect("has bgp");
    Ok(bgp.neighbors[0].route_rules.clone())
}

#[test]
fn rules_for_routes_are_read() {
    assert_eq!(rules("passive = false").expect("accepted"), RouteRules::default());
    let limit = |family, limit, warning, action| MaximumPrefix { family, limit, warning, action };
    let rules = rules(
        "role = \"customer\"\nrole-strict = true\nallowas-in = \"origin\"\nas-override = true\n\
         remove-private-as = { all = true }\nattribute-unchanged = [\"next-hop\", \"med\"]\n\
         advertisement-interval = 5\n\
         maximum-prefix.ipv4-unicast = { limit = 1000 }\n\
         maximum-prefix.l2vpn-evpn = { limit = 9, warning = 50, action = \"restart\", restart-after = 2 }",
    )
    .expect("accepted");
    let restart = LimitAction::Restart(Duration::from_secs(120));
    assert_eq!(
        rules.maximum_prefix,
        [
            limit(AfiSafi::IPV4_UNICAST, 1000, 75, LimitAction::Teardown),
            limit(AfiSafi::L2VPN_EVPN, 9, 50, restart),
        ]
    );
    assert_eq!((rules.role, rules.role_strict), (Some(Role::Customer), true));
    assert_eq!(rules.allow_own_as, AllowOwnAs::Origin);
    assert_eq!(rules.remove_private_as, Some(RemovePrivateAs { all: true, replace: false }));
    assert!(rules.as_override && rules.next_hop_unchanged && rules.med_unchanged);
    assert!(!rules.as_path_unchanged);
    assert_eq!(rules.advertisement_interval, 5);
}

#[test]
fn long_lived_graceful_restart_needs_graceful_restart() {
    let with = |keys: &str| parse(&SMALLEST.replace("fib = true", keys));
    let bgp = with("long-lived-stale-time = 86400\ngraceful-restart-notification = true")
        .expect("accepted")
        .bgp
        .expect("has bgp");
    assert_eq!((bgp.long_lived_stale_time, bgp.graceful_restart_notification), (86_400, true));
    let message = with("long-lived-stale-time = 16777216").expect_err("24 bits");
    assert!(message.contains("5:25: long-lived-stale-time has 24 bits"), "{message}");
    let message = with("long-lived-stale-time = 1\ngraceful-restart = false").expect_err("alone");
    assert!(message.contains("5:25: long-lived-stale-time needs graceful-restart"), "{message}");
}

#[test]
fn local_as_is_a_number_or_a_table() {
    let local_as = |keys: &str| {
        let bgp = parse(&SMALLEST.replace("passive = false", keys)).expect("accepted").bgp;
        bgp.expect("has bgp").neighbors[0].local_as
    };
    let old = |no_prepend, replace_as| Some(LocalAs { asn: Asn(65_099), no_prepend, replace_as });
    assert_eq!(local_as("passive = false"), None);
    assert_eq!(local_as("local-as = 65099"), old(false, false));
    assert_eq!(local_as("local-as = { asn = 65099, replace-as = true }"), old(false, true));
    let all = "local-as = { asn = 65099, no-prepend = true, replace-as = true }";
    assert_eq!(local_as(all), old(true, true));
}

#[test]
fn rules_that_cannot_be_meant_are_refused_where_they_stand() {
    for (keys, want) in [
        ("role = \"boss\"", "12:8: unknown role \"boss\"; ours towards the neighbor is one of"),
        ("local-as = 65001", "12:12: local-as 65001 is our own AS number"),
        ("local-as = 65002", "12:12: local-as 65002 is the neighbor's AS number"),
        ("local-as = { asn = 0 }", "12:12: AS number 0 is reserved"),
        ("role-strict = true", "12:15: role-strict asks the neighbor for its role"),
        ("allowas-in = 11", "12:14: allowas-in is how often"),
        ("maximum-prefix.ipv4-unicast = { limit = 0 }", "12:41: limit is 0"),
        (
            "maximum-prefix.ipv4-unicast = { limit = 1, warning = 101 }",
            "12:54: warning is 101 %; it must be 1 to 100 %",
        ),
        (
            "maximum-prefix.ipv4-unicast = { limit = 1, action = \"restart\" }",
            "12:53: action \"restart\" needs a time: restart-after = MINUTES",
        ),
        (
            "maximum-prefix.ipv4-unicast = { limit = 1, restart-after = 1 }",
            "12:60: restart-after belongs to action = \"restart\"",
        ),
        (
            "maximum-prefix.ipv4-unicast = { limit = 1, action = \"panic\" }",
            "12:53: unknown action \"panic\"",
        ),
        ("maximum-prefix.evpn = { limit = 1 }", "unknown field `evpn`"),
    ] {
        let message = rules(keys).expect_err("must be refused");
        assert!(message.contains(want), "{keys}: {message}");
    }
}

/// A group, and a member of it with `keys` of its own.
fn grouped(group: &str, member: &str) -> Result<Config, String> {
    parse(&format!(
        "[bgp]\nasn = 65001\nrouter-id = \"192.0.2.1\"\n\
         [[bgp.peer-group]]\n{group}\n\
         [[bgp.neighbor]]\n{member}\n"
    ))
}

#[test]
fn a_neighbor_has_the_keys_of_its_group_and_its_own_win() {
    let group = "name = \"spines\"\nremote-as = \"external\"\nhold-time = 30\npassive = true\nfamilies = [\"ipv4-unicast\", \"l2vpn-evpn\"]";
    let member =
        "address = \"192.0.2.2\"\npeer-group = \"spines\"\nhold-time = 60\npassive = false";
    let bgp = grouped(group, member).expect("accepted").bgp.expect("has bgp");
    let [neighbor] = bgp.neighbors.as_slice() else { panic!("one neighbor") };
    assert_eq!(neighbor.peer_group.as_deref(), Some("spines"));
    assert_eq!(neighbor.remote_as, RemoteAs::External);
    assert_eq!(neighbor.families, [AfiSafi::IPV4_UNICAST, AfiSafi::L2VPN_EVPN]);
    assert_eq!((neighbor.hold_time, neighbor.passive), (Some(60), false));
}

#[test]
fn a_group_that_cannot_be_meant_is_refused_where_it_stands() {
    let member = "address = \"192.0.2.2\"\npeer-group = \"spines\"";
    for (group, member, want) in [
        ("remote-as = 65002", member, "4:1: a peer-group needs a name"),
        ("name = \"leaves\"", member, "8:14: there is no peer-group \"spines\""),
        ("name = \"spines\"", member, "6:1: neighbor 192.0.2.2 has no remote-as"),
        ("name = \"spines\"\naddress = \"192.0.2.3\"", member, "6:11: a peer-group has no address"),
        ("name = \"spines\"\nhold-time = 2", member, "has no remote-as"),
        ("name = \"spines\"\nremote-as = 0", member, "6:13: AS number 0 is reserved"),
        ("name = \"spines\"\nremote-as = 1", "name = \"x\"", "8:8: a neighbor has no name"),
        (
            "name = \"spines\"\nremote-as = 1",
            "passive = true",
            "7:1: a neighbor needs an address or an interface",
        ),
    ] {
        let message = grouped(group, member).expect_err("must be refused");
        assert!(message.contains(want), "{group} / {member}: {message}");
    }
}

#[test]
fn a_neighbor_on_an_interface_needs_no_address_and_has_ipv4_routes_by_default() {
    let bgp = grouped("name = \"x\"", "interface = \"swp51\"\nremote-as = \"external\"")
        .expect("accepted")
        .bgp
        .expect("has bgp");
    let [neighbor] = bgp.neighbors.as_slice() else { panic!("one neighbor") };
    assert_eq!(neighbor.peer, Peer::Interface("swp51".to_owned()));
    assert_eq!(neighbor.families, [AfiSafi::IPV4_UNICAST]);
}

#[test]
fn a_neighbor_that_cannot_be_on_an_interface_is_refused_where_it_stands() {
    let interface = "interface = \"swp51\"\nremote-as = 1";
    let twice = format!("{interface}\n[[bgp.neighbor]]\n{interface}");
    for (group, member, want) in [
        (
            "name = \"x\"",
            "interface = \"swp51\"\naddress = \"fe80::1\"",
            "7:13: a neighbor has an address or an interface, not both",
        ),
        (
            "name = \"x\"",
            "interface = \"swp51 \"",
            "7:13: \"swp51 \" cannot be the name of an interface",
        ),
        (
            "name = \"x\"",
            "interface = \"far-too-long-name\"",
            "7:13: \"far-too-long-name\" cannot be",
        ),
        (
            "name = \"x\"",
            "interface = \"swp51\"\nlocal-address = \"fe80::1\"",
            "8:17: sessions on an interface run between",
        ),
        ("name = \"x\"", twice.as_str(), "10:13: neighbor swp51 is configured twice"),
        ("name = \"x\"\ninterface = \"swp51\"", interface, "6:13: a peer-group has no interface"),
    ] {
        let message = grouped(group, member).expect_err("must be refused");
        assert!(message.contains(want), "{group} / {member}: {message}");
    }
}

#[test]
fn distance_and_password_of_a_neighbor_are_checked_where_they_stand() {
    let with = |keys: &str| {
        parse(&SMALLEST.replace("passive = false", keys)).map(|config| {
            let neighbor = config.bgp.expect("has bgp").neighbors.remove(0);
            (neighbor.distance, neighbor.password)
        })
    };
    assert_eq!(with("ebgp-multihop = 3").expect("accepted").0, Distance::Hops(3));
    assert_eq!(with("ttl-security-hops = 1").expect("accepted").0, Distance::Security(1));
    assert_eq!(with("disable-connected-check = true").expect("accepted").0, Distance::Unchecked);
    assert_eq!(with("password = \"quicksand\"").expect("accepted").1, Secret::new(*b"quicksand"));
    for (keys, want) in [
        ("ebgp-multihop = 0", "12:17: ebgp-multihop is 0 hops"),
        (
            "ebgp-multihop = 2\nttl-security-hops = 2",
            "13:21: ttl-security-hops and ebgp-multihop exclude",
        ),
        (
            "ebgp-multihop = 2\ndisable-connected-check = true",
            "13:27: disable-connected-check says nothing",
        ),
        ("password = \"\"", "12:12: the password has 0 octets; the kernel takes 1 to 80"),
        ("password-file = \"/nonexistent\"", "12:17: cannot read the password from /nonexistent"),
        (
            "password = \"a\"\npassword-file = \"/dev/null\"",
            "13:17: password and password-file exclude",
        ),
    ] {
        let message = with(keys).expect_err("must be refused");
        assert!(message.contains(want), "{keys}: {message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error =
        Config::read(Path::new("/nonexistent/switchd.toml")).expect_err("no such file").to_string();
    assert!(error.contains("/nonexistent/switchd.toml"), "{error}");
}

#[test]
fn metrics_are_off_unless_an_address_is_given() {
    assert_eq!(parse("").expect("accepted").metrics, None);
    let on = parse("[metrics]\nlisten = \"127.0.0.1:9342\"\n").expect("accepted").metrics;
    assert_eq!(on.map(|metrics| metrics.listen.to_string()).as_deref(), Some("127.0.0.1:9342"));
    let message = parse("[metrics]\n").expect_err("must be refused");
    assert!(message.contains("missing field `listen`"), "{message}");
    for wrong in ["localhost:9342", "9342", "127.0.0.1:0", "127.0.0.1"] {
        let text = format!("[metrics]\nlisten = \"{wrong}\"\n");
        let message = parse(&text).expect_err("must be refused");
        assert!(message.starts_with("switchd.toml:2:10: listen must be an address"), "{message}");
    }
}

#[test]
fn several_paths_are_used_by_default_and_told_if_that_is_asked_for() {
    let plain = parse(SMALLEST).expect("accepted").bgp.expect("has bgp");
    assert_eq!(plain.multipath, Multipath { external: 64, internal: 64, relaxed: false });
    assert_eq!(plain.neighbors[0].add_path_send, None);
    for (value, expected) in [
        ("\"all\"", AddPathSend::All),
        ("\"best-per-as\"", AddPathSend::BestPerAs),
        ("3", AddPathSend::Best(3)),
    ] {
        let text = SMALLEST.replace("passive = false", &format!("addpath-tx = {value}"));
        let bgp = parse(&text).expect("accepted").bgp.expect("has bgp");
        assert_eq!(bgp.neighbors[0].add_path_send, Some(expected));
    }
}
