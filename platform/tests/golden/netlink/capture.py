#!/usr/bin/env python3
"""Captures what iproute2 asks the kernel, and what the kernel announces then, as golden files.

Run as root, in this folder: unshare -n ./capture.py
and, in a guest of the switch lab with a Spectrum of eight ports (its kernel has what many a host's has not, and a driver that offloads):
./capture.py switch; unshare -n ./capture.py rules
Writes NAME.request (from strace) and NAME.notification (from a netlink socket), hex with the provenance in the first line.
"""
import re, socket, struct, subprocess, sys, time

GROUPS = [1, 3, 4, 5, 7, 8, 9, 11, 19, 32, 33]  # link, neigh, tc, ipv4/6 ifaddr, route and rule, nexthop, bridge VLAN
SETUP = """
ip link set lo up
ip link add near type veth peer name far
ip link set near up
ip link set far up
ip addr add 10.0.0.1/24 dev near
ip addr add 2001:db8::1/64 dev near nodad
ip link add br10 type bridge
"""
# name, type of the message that is kept, command
CASES = [
    ("vxlan", 16, "ip link add vx10 type vxlan id 10 local 192.0.2.1 dstport 4789 nolearning ttl 64 tos inherit noudpcsum"),
    ("vxlan_in_bridge", 16, "ip link set vx10 master br10 up"),
    ("port_flags", 16, "bridge link set dev vx10 learning off neigh_suppress on"),
    ("fdb_remote", 28, "bridge fdb replace 02:00:00:00:00:07 dev vx10 dst 192.0.2.7 self master extern_learn dynamic"),
    ("fdb_remote_v6_vtep", 28, "bridge fdb replace 02:00:00:00:00:08 dev vx10v6 dst 2001:db8::7 self extern_learn dynamic"),
    ("fdb_flood", 28, "bridge fdb append 00:00:00:00:00:00 dev vx10 dst 192.0.2.7 self permanent extern_learn"),
    ("fdb_delete", 29, "bridge fdb del 02:00:00:00:00:07 dev vx10 dst 192.0.2.7 self master"),
    ("neighbor", 28, "ip neigh replace 10.0.0.7 lladdr 02:00:00:00:00:07 dev near nud noarp extern_learn"),
    ("neighbor_v6", 28, "ip neigh replace 2001:db8::7 lladdr 02:00:00:00:00:07 dev near nud noarp extern_learn router"),
    ("address", 20, "ip addr add 10.1.0.1/16 dev near"),
    ("nexthop", 104, "ip nexthop add id 1398210561 via 10.0.0.2 dev near protocol bgp"),
    ("nexthop_v6", 104, "ip nexthop add id 1398210566 via 2001:db8::2 dev near protocol bgp"),
    ("nexthop_group", 104, "ip nexthop add id 1398210570 group 1398210561/1398210566,4 protocol bgp"),
    ("nexthop_fdb", 104, "ip nexthop add id 1398210571 via 192.0.2.7 fdb protocol bgp"),
    ("nexthop_delete", 105, "ip nexthop del id 1398210571"),
    ("route_nexthop", 24, "ip route add 10.2.0.0/16 nhid 1398210570 metric 20 proto bgp"),
    ("route_gateway", 24, "ip route add 10.3.0.0/16 via 10.0.0.2 dev near metric 20 proto bgp"),
    ("route_v6_gateway", 24, "ip route add 10.4.0.0/16 via inet6 2001:db8::2 dev near metric 20 proto bgp"),
    ("route_multipath", 24, "ip route add 10.5.0.0/16 metric 20 proto bgp nexthop via 10.0.0.2 dev near weight 1 nexthop via 10.0.0.3 dev near weight 4"),
    ("route_default", 24, "ip route add default via 10.0.0.2 dev near metric 20 proto bgp"),
    ("route_table", 24, "ip route add 10.6.0.0/16 via 10.0.0.2 dev near metric 20 proto bgp table 1000"),
    ("route_v6", 24, "ip -6 route add 2001:db8:3::/48 via 2001:db8::2 dev near metric 20 proto bgp"),
    ("route_delete", 25, "ip route del 10.3.0.0/16 metric 20 proto bgp"),
    ("link_delete", 17, "ip link del vx10"),
]

SWITCH_SETUP = """
ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0
ip link set swp1 master br0
ip link set swp1 up
ip link set swp2 up
ip addr add 10.0.0.1/24 dev swp2
ip nexthop add id 1398210573 via 10.0.0.3 dev swp2 protocol bgp
tc qdisc add dev swp1 clsact
tc qdisc add dev swp3 ingress_block 7 clsact
"""
# As above; a list of types where several kinds of message tell.
SWITCH_CASES = [
    ("switch_port", 16, "ip link set swp1 alias front"),
    ("bridge_settings", 16, "ip link add br1 type bridge vlan_protocol 802.1ad vlan_default_pvid 7 stp_state 1"),
    ("bond", 16, "ip link add bond1 type bond mode 802.3ad xmit_hash_policy layer3+4"),
    ("vlan", 16, "ip link add link wire5 name wire5.20 type vlan proto 802.1ad id 20"),
    ("macvlan", 16, "ip link add link swp2 name gateway address 00:00:5e:00:01:01 type macvlan mode private"),
    ("vxlan_rare", 16, "ip link add vx20 type vxlan id 20 local 192.0.2.1 dstport 4789 ttl inherit srcport 5000 6000 l2miss l3miss rsc gbp remcsumtx remcsumrx"),
    ("vxlan_flow_label", 16, "ip link add vx21 type vxlan local 2001:db8::1 dstport 8472 flowlabel 77 gpe external"),
    ("bridge_vlan", [16, 112], "bridge vlan add dev swp1 vid 10 pvid untagged"),
    ("bridge_vlan_range", [16, 112], "bridge vlan add dev swp1 vid 20-29"),
    ("bridge_vlan_self", [16, 112], "bridge vlan add dev br0 vid 10 self"),
    ("bridge_vlan_delete", [16, 113], "bridge vlan del dev swp1 vid 10"),
    ("filter", 44, "tc filter add dev swp1 ingress protocol ip pref 5 chain 0 handle 3 flower skip_sw dst_ip 10.0.0.9 action drop"),
    ("filter_software", 44, "tc filter add dev swp1 egress protocol all pref 6 matchall skip_hw action drop"),
    ("filter_block", 44, "tc filter add block 7 protocol ip pref 7 flower dst_ip 10.0.0.9 action drop"),
    ("filter_delete", 45, "tc filter del dev swp1 ingress pref 5"),
    ("filter_place", 36, "tc qdisc add dev swp4 clsact"),
    ("filter_place_delete", 37, "tc qdisc del dev swp1 clsact"),
    ("nexthop_resilient", 104, "ip nexthop add id 1398210574 group 1398210573 type resilient buckets 32 idle_timer 60 protocol bgp"),
]

# In the same guest, in a namespace without the switch: its driver refuses these.
RULE_SETUP = """
ip link add swp2 type dummy
ip link set swp2 up
ip addr add 10.0.0.1/24 dev swp2
"""
RULE_CASES = [
    ("nexthop_encap", 104, "ip nexthop add id 1398210572 encap mpls 16 via 10.0.0.2 dev swp2 protocol bgp"),
    ("rule", 32, "ip rule add from 10.0.0.0/8 iif swp2 fwmark 1/3 priority 100 table 1000 protocol bgp"),
    ("rule_more", 32, "ip -6 rule add ipproto tcp dport 22 priority 101 table main"),
    ("rule_vrf", 32, "ip link add vrf1 type vrf table 100"),
    ("rule_delete", 33, "ip rule del priority 100"),
]

def messages(data):
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[:length]
        data = data[(length + 3) & ~3:]

def receive(listener):
    time.sleep(0.2)
    while True:
        try:
            yield from messages(listener.recv(65536))
        except BlockingIOError:
            return

def sent(command):
    """Runs it; returns the messages that it sent."""
    result = subprocess.run(
        ["strace", "-xx", "-s", "65535", "-e", "trace=sendmsg,sendto", "-o", "/tmp/capture.strace", "-e", "abbrev=none", "-e", "raw=none"]
        + ["-e", "write=all"] + command.split(), capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{command}: {result.stderr}")
    dump = b""
    for line in open("/tmp/capture.strace"):
        if re.match(r"^(sendmsg|sendto)", line):
            if dump:
                yield from messages(dump)
            dump = b""
        elif hexes := re.match(r"^ \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+?)  ", line):
            dump += bytes.fromhex(hexes.group(1).replace(" ", ""))
    yield from messages(dump)

def write(name, what, kind, found):
    kinds = kind if isinstance(kind, list) else [kind]
    hexes = "\n".join(message.hex() for found_kind, message in found if found_kind in kinds)
    kernel = subprocess.check_output(["uname", "-r"], text=True).strip()
    iproute = subprocess.check_output(["ip", "-V"], text=True).split(", ")[1].strip()
    with open(name, "w") as file:
        file.write(f"# Linux {kernel}, {iproute}; {what}\n{hexes}\n")

def main():
    which = sys.argv[1] if len(sys.argv) > 1 else "host"
    setup, cases = {"host": (SETUP, CASES), "switch": (SWITCH_SETUP, SWITCH_CASES), "rules": (RULE_SETUP, RULE_CASES)}[which]
    for line in setup.strip().splitlines():
        subprocess.check_call(line.split())
    if which == "host":
        subprocess.check_call("ip link add vx10v6 type vxlan id 11 local 2001:db8::1 dstport 4789 nolearning".split())
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    listener.bind((0, 0))
    for group in GROUPS:
        listener.setsockopt(270, 1, group)
    listener.setblocking(False)
    time.sleep(3)
    for name, kind, command in cases:
        list(receive(listener))
        requests = list(sent(command))
        asked = 16 if kind == 16 else kind
        if name == "port_flags" or isinstance(kind, list):
            asked = [17, 19]
        write(f"{name}.request", f"strace of `{command}`", asked, requests)
        write(f"{name}.notification", f"announced after `{command}`", kind, receive(listener))

main()
