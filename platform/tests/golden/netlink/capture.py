#!/usr/bin/env python3
"""Captures what iproute2 asks the kernel, and what the kernel announces then, as golden files.

Run as root, in this folder: unshare -n ./capture.py
Writes NAME.request (from strace) and NAME.notification (from a netlink socket), hex with the provenance in the first line.
"""
import re, socket, struct, subprocess, time

GROUPS = [1, 3, 5, 7, 9, 11, 32]  # link, neigh, ipv4/6 ifaddr and route, nexthop
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
    ("fdb_remote", 28, "bridge fdb replace 02:00:00:00:00:07 dev vx10 dst 192.0.2.7 self master extern_learn static"),
    ("fdb_remote_v6_vtep", 28, "bridge fdb replace 02:00:00:00:00:08 dev vx10v6 dst 2001:db8::7 self extern_learn static"),
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
    hexes = "\n".join(message.hex() for found_kind, message in found if found_kind == kind)
    kernel = subprocess.check_output(["uname", "-r"], text=True).strip()
    iproute = subprocess.check_output(["ip", "-V"], text=True).split(", ")[1].strip()
    with open(name, "w") as file:
        file.write(f"# Linux {kernel}, {iproute}; {what}\n{hexes}\n")

def main():
    for line in SETUP.strip().splitlines():
        subprocess.check_call(line.split())
    subprocess.check_call("ip link add vx10v6 type vxlan id 11 local 2001:db8::1 dstport 4789 nolearning".split())
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    listener.bind((0, 0))
    for group in GROUPS:
        listener.setsockopt(270, 1, group)
    listener.setblocking(False)
    time.sleep(3)
    for name, kind, command in CASES:
        list(receive(listener))
        requests = list(sent(command))
        asked = 16 if kind == 16 else kind
        if name == "port_flags":
            asked = 19
        write(f"{name}.request", f"strace of `{command}`", asked, requests)
        write(f"{name}.notification", f"announced after `{command}`", kind, receive(listener))

main()
