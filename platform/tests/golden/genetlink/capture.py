#!/usr/bin/env python3
"""Captures what devlink(8) and ethtool(8) ask the kernel, and what it answers, as golden files.

Run as root where the devices are, with the name that the files shall begin with, a devlink device, and a port of it:
    capture.py netdevsim netdevsim/netdevsim10 eth0
Writes NAME.request, NAME.reply (one message a line, hex, provenance in the first line), NAME.json (what the tool made of
the same answer; NAME.txt where the tool has no JSON), and NAME.refusal where the kernel said no, or yes with
a reservation.
"""
import re, struct, subprocess, sys

prefix, device, port = sys.argv[1:4]
NETDEVSIM = prefix == "netdevsim"
CASES = [
    ("info", f"devlink -j dev info {device}"),
    ("ports", f"devlink -j port show"),
    ("resources", f"devlink -j resource show {device}"),
    ("traps", f"devlink -j -v -s trap show"),
    ("trap_groups", f"devlink -j -s trap group show"),
    ("policers", f"devlink -j -s trap policer show"),
    ("health", f"devlink -j health show"),
    ("fec", f"ethtool --json --show-fec {port}"),
] + ([
    ("set_trap", f"devlink trap set {device} trap blackhole_route action trap"),
    ("set_group_action", f"devlink trap group set {device} group l3_drops action trap"),
    ("set_group_policer", f"devlink trap group set {device} group l3_drops policer 1"),
    ("set_group_no_policer", f"devlink trap group set {device} group l3_drops nopolicer"),
    ("set_policer", f"devlink trap policer set {device} policer 1 rate 1000 burst 128"),
    ("set_resource", f"devlink resource set {device} path IPv4/fib size 40"),
    ("resources_waiting", f"devlink -j resource show {device}"),
    ("recover", f"devlink health recover {device} reporter dummy"),
    ("set_fec", f"ethtool --set-fec {port} encoding rs"),
    ("fec_rs", f"ethtool --json --show-fec {port}"),
    ("reload", f"devlink dev reload {device} action driver_reinit"),
] if NETDEVSIM else [
    ("link", f"ethtool {port}"),
    ("set_policer_refused", f"devlink trap policer set {device} policer 1 burst 100"),
    ("set_trap_refused", f"devlink trap set {device} trap arp_request action drop"),
    ("set_link", f"ethtool -s {port} speed 50000 lanes 2 autoneg off"),
    ("link_forced", f"ethtool {port}"),
    ("link_down", f"ethtool {port[:-1]}4"),
    ("eeprom_lower", f"ethtool -m {port} hex on offset 0 length 128 page 0x0 bank 0 i2c 0x50"),
    ("eeprom", f"ethtool -m {port} hex on offset 128 length 128 page 0x0 bank 0 i2c 0x50"),
    ("split", f"devlink port split {device}/1 count 4"),
    ("ports_split", f"devlink -j port show"),
    ("unsplit", f"devlink port unsplit {device}/1"),
])
CONTROL, ERROR, DONE = 16, 2, 3


def messages(data):
    while len(data) >= 16:
        length, kind, _, sequence = struct.unpack_from("=IHHI", data)
        yield kind, sequence, data[:length]
        data = data[(length + 3) & ~3:]


def traffic(command):
    """Runs it; returns the messages that it sent, those that it received, its exit code and what it printed."""
    result = subprocess.run(
        ["strace", "-xx", "-s", "0", "-e", "trace=sendmsg,sendto,recvmsg,recvfrom", "-o", "/tmp/capture.strace",
         "-e", "write=all", "-e", "read=all"] + command.split(), capture_output=True, text=True)
    sent, received, data, into = [], [], b"", None
    for line in list(open("/tmp/capture.strace")) + ["end"]:
        if hexes := re.match(r"^ \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+?)  ", line):
            data += bytes.fromhex(hexes.group(1).replace(" ", ""))
            continue
        if line.startswith(" *"):
            continue
        if into is not None:
            into.extend(messages(data))
        data, into = b"", sent if line.startswith("send") else received
    return sent, received, result


def write(name, what, found):
    kernel = subprocess.check_output(["uname", "-r"], text=True).strip()
    tool = subprocess.check_output(["ethtool", "--version"] if "ethtool" in what else ["devlink", "-V"], text=True)
    with open(f"{prefix}.{name}", "w") as file:
        file.write(f"# Linux {kernel}, {tool.split(', ')[-1].strip()}; {what}\n")
        file.writelines(message.hex() + "\n" for message in found)


for name, command in CASES:
    sent, received, result = traffic(command)
    asked = [sequence for kind, sequence, _ in sent if kind > CONTROL]
    if not asked:
        print(f"{name}: nothing asked: {result.stderr}")
        continue
    # ethtool asks several questions; devlink's last one is the one that was meant.
    asked = asked if "ethtool" in command else asked[-1:]
    write(f"{name}.request", f"strace of `{command}`",
          [message for kind, sequence, message in sent if kind > CONTROL and sequence in asked])
    answers = [message for kind, sequence, message in received if kind > CONTROL and sequence in asked]
    refusals = [message for kind, sequence, message in received
                if kind == ERROR and sequence in asked and (message[16:20] != bytes(4) or message[7] & 2)]
    if refusals and not answers:
        write(f"{name}.refusal", f"answer to `{command}`", refusals)
    if answers and result.stdout and name != "reload":
        write(f"{name}.reply", f"answer to `{command}`", answers)
        extension = "json" if result.stdout.strip().startswith(("{", "[")) else "txt"
        open(f"{prefix}.{name}.{extension}", "w").write(result.stdout.rstrip("\n") + "\n")
    print(name, len(answers), len(refusals), result.returncode, result.stderr.strip())
