use std::path::Path;

use bgp::policy::{Action, Continue, Setting};
use bgp::types::AfiSafi;

use crate::config::Config;

/// Everything that a policy can say, once.
const ALL: &str = r#"
[bgp]
asn = 65000
router-id = "192.0.2.1"
profile = "traditional"

[[bgp.neighbor]]
address = "192.0.2.2"
remote-as = "external"
families = ["ipv4-unicast", "l2vpn-evpn"]
import = "from-spine"
export = { ipv4-unicast = "to-spine" }

[[policy.prefix-list]]
name = "loopbacks"
entries = [
  { action = "permit", prefix = "10.0.0.0/24", ge = 32 },
  { sequence = 20, action = "deny", prefix = "any" },
  { action = "permit", prefix = "2001:db8::/32", le = 64 },
]

[[policy.community-list]]
name = "ours"
entries = [{ action = "permit", communities = ["65000:*", "no-export"] }]

[[policy.community-list]]
name = "tenants"
kind = "extended"
entries = [{ action = "permit", communities = ["rt 65000:100-199"] }]

[[policy.community-list]]
name = "large"
kind = "large"
entries = [{ action = "deny", communities = ["65000:*:1"] }]

[[policy.as-path-list]]
name = "through-65009"
entries = [{ action = "permit", regex = "_65009_" }]

[[policy.route-map]]
name = "to-spine"

[[policy.route-map.entry]]
action = "permit"
match = { prefix-list = "loopbacks", community-list = "ours", community-exact = true, as-path-list = "through-65009", local-preference = 100, med = 5, tag = 7, protocol = "connected", peer = "192.0.2.9", origin = "igp" }
set = { med = "+10", communities = [], add-communities = ["65000:1"], prepend = [65000, 65000], next-hop = "self" }
call = "from-spine"
continue = 30

[[policy.route-map.entry]]
action = "deny"
match = { next-hop = "loopbacks", ext-community-list = "tenants", large-community-list = "large", route-type = "macip", vni = 100, rd = "192.0.2.1:2", route-target = "65000:100", mac = "00:00:5e:00:53:00/40" }

[[policy.route-map.entry]]
action = "permit"
continue = "next"
set = { local-preference = 200, weight = 5, tag = 9, origin = "incomplete", atomic-aggregate = true, ext-communities = ["rt 65000:1"], bandwidth = 1000, large-communities = ["65000:1:2"], delete-communities = "ours", exclude-as = [65009], replace-as = "any", prepend-last = 2 }

[[policy.route-map.entry]]
sequence = 100
action = "permit"

[[policy.route-map]]
name = "from-spine"
entry = [{ action = "permit" }]
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("switchd.toml")).map_err(|error| error.to_string())
}

#[test]
fn everything_that_a_policy_can_say_is_read() {
    let config = parse(ALL).unwrap();
    let list: Vec<_> = config.policies.prefix_lists["loopbacks"].rules().to_vec();
    assert_eq!(list.iter().map(|rule| rule.sequence).collect::<Vec<_>>(), [5, 20, 25]);
    let entries: Vec<_> = config.policies.route_maps["to-spine"].entries().collect();
    assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [10, 20, 30, 100]);
    assert_eq!(entries[0].conditions.len(), 9);
    assert_eq!(entries[0].settings[0], Setting::MedPlus(10));
    assert_eq!(entries[0].then, Continue::At(30));
    assert_eq!((entries[1].action, entries[1].conditions.len()), (Action::Deny, 8));
    assert_eq!((entries[2].then, entries[2].settings.len()), (Continue::Next, 12));
    assert!(entries[0].call.is_some());
}

#[test]
fn a_neighbor_has_one_map_for_all_families_or_one_for_each() {
    let bgp = parse(ALL).unwrap().bgp.unwrap();
    assert_eq!((bgp.hold_time, bgp.connect_retry.as_secs()), (180, 120));
    let policy = &bgp.neighbors[0].policy;
    assert!(policy.required, "profile traditional");
    let of = |family| &policy.families[&family];
    assert!(of(AfiSafi::IPV4_UNICAST).import.is_some() && of(AfiSafi::L2VPN_EVPN).import.is_some());
    assert!(of(AfiSafi::IPV4_UNICAST).export.is_some() && of(AfiSafi::L2VPN_EVPN).export.is_none());
    let optional = ALL.replace("profile =", "ebgp-requires-policy = false\nprofile =");
    assert!(!parse(&optional).unwrap().bgp.unwrap().neighbors[0].policy.required);
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands_with_what_to_write() {
    let mut wrong = Vec::new();
    for (from, to, want) in [
        (
            "import = \"from-spine\"",
            "import = \"form-spine\"",
            "11:10: there is no route-map \"form-spine\"; did you mean \"from-spine\"?",
        ),
        ("export = { ipv4-unicast", "export = { ipv4", "12:10: unknown address family 'ipv4'"),
        ("ge = 32", "ge = 33", "17:3: prefix length 24, ge 33 and le 32 must ascend"),
        ("ge = 32", "ge = 30, le = 28", "17:3: prefix length 24, ge 30 and le 28 must ascend"),
        ("\"10.0.0.0/24\"", "\"10.0.0.9/24\"", "17:3: 10.0.0.9/24 has bits set behind"),
        ("\"10.0.0.0/24\"", "\"10.0.0/24\"", "17:33: \"10.0.0/24\" is not a prefix; write"),
        ("sequence = 20", "sequence = 5", "18:3: sequence 5 is used twice"),
        ("\"65000:*\", ", "\"65000\", ", "24:48: \"65000\" is not a pattern of communities; write"),
        (
            "\"_65009_\"",
            "\"_(65009_\"",
            "38:41: \"_(65009_\" is not a regular expression: unclosed group; _",
        ),
        (
            "prefix-list = \"loopbacks\"",
            "prefix-list = \"xyzzy\"",
            "45:25: there is no prefix-list \"xyzzy\"; define it: [[policy.prefix-list]]",
        ),
        (
            "ext-community-list = \"tenants\"",
            "ext-community-list = \"ours\"",
            "there is no community-list \"ours\"; define it",
        ),
        ("continue = 30", "continue = 10", "43:1: continue = 10 is no later entry"),
        ("continue = 30", "continue = \"on\"", "48:12: continue = \"on\" is neither"),
        ("\"+10\"", "\"10\"", "46:15: med must be a number, or a change"),
        ("next-hop = \"self\"", "next-hop = \"me\"", "next-hop \"me\" is neither an address nor"),
        ("[65000, 65000]", "[65000, 0]", "AS number 0 is reserved"),
        ("/40\"", "/49\"", "is not the beginning of MAC addresses"),
        ("rd = \"192.0.2.1:2\"", "rd = \"192.0.2.1\"", "is not AS:NUMBER or ADDRESS:NUMBER"),
        (
            "entry = [{ action = \"permit\" }]",
            "entry = [{ action = \"permit\", call = \"to-spine\" }]",
            "route-map \"to-spine\" calls itself, by way of \"to-spine\", \"from-spine\"",
        ),
        ("name = \"from-spine\"", "name = \"to-spine\"", "route-map \"to-spine\" is defined twice"),
        ("regex =", "regexp =", "unknown field `regexp`"),
    ] {
        assert!(ALL.contains(from), "{from}");
        let message = parse(&ALL.replace(from, to)).expect_err(to);
        if !message.contains(want) {
            wrong.push(format!("{to}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
