#!/bin/bash
# Captures what FRR, GoBGP and BIRD really say, for the files beside this script. Needs root, and frr, gobgpd, bird2,
# tcpdump and python3. Works in three network namespaces of its own and stops only what it started.
#
#   sudo bgp/tests/golden/capture.sh      rewrites *.hex here
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; sleep 1; for n in frr gobgp bird; do ip netns del wire-$n 2>/dev/null; done; rm -rf "$work"' EXIT

for n in frr gobgp bird; do
  ip netns add wire-$n
  ip -n wire-$n link set lo up
done
link() { # namespace, FRR's end, prefix
  ip link add "$2" netns wire-frr type veth peer name eth0 netns "wire-$1"
  ip -n wire-frr addr add "$3.1/24" dev "$2"; ip -n wire-frr link set "$2" up
  ip -n "wire-$1" addr add "$3.2/24" dev eth0; ip -n "wire-$1" link set eth0 up
}
link gobgp gobgp 192.0.2
link bird bird 198.51.100
ip -n wire-frr addr add 2001:db8::1/64 dev gobgp nodad
ip -n wire-gobgp addr add 2001:db8::2/64 dev eth0 nodad

# An overlay for FRR to advertise: VNI 10 with a station, VNI 5000 for the default VRF.
in_frr() { ip netns exec wire-frr "$@"; }
for vni in 10 5000; do
  in_frr ip link add br$vni type bridge
  in_frr ip link add vxlan$vni type vxlan id $vni local 192.0.2.1 dstport 4789 nolearning
  in_frr ip link set vxlan$vni master br$vni addrgenmode none
  in_frr ip link set br$vni up; in_frr ip link set vxlan$vni up
done
in_frr ip link set br5000 address 00:00:5e:00:53:50
in_frr ip addr add 10.10.0.1/24 dev br10
in_frr ip link add host10 type veth peer name host10-far; in_frr ip link set host10 master br10; in_frr ip link set host10 up; in_frr ip link set host10-far up
in_frr bridge fdb add 00:00:5e:00:53:01 dev host10 master static
in_frr ip neigh add 10.10.0.5 lladdr 00:00:5e:00:53:01 dev br10 nud reachable

cat >"$work/frr.conf" <<'CONF'
vni 5000
router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart
 neighbor 192.0.2.2 remote-as 4200000002
 neighbor 192.0.2.2 timers connect 1
 neighbor 198.51.100.2 remote-as 65003
 neighbor 198.51.100.2 timers connect 1
 address-family ipv4 unicast
  network 203.0.113.0/24 route-map marked
  network 10.0.0.0/8
  neighbor 192.0.2.2 activate
  neighbor 198.51.100.2 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:1::/48
  neighbor 192.0.2.2 activate
  neighbor 192.0.2.2 route-map v6 out
 exit-address-family
 address-family l2vpn evpn
  neighbor 192.0.2.2 activate
  advertise-all-vni
  advertise ipv4 unicast
 exit-address-family
route-map v6 permit 10
 set ipv6 next-hop global 2001:db8::1
route-map marked permit 10
 set community 65001:1 no-export
 set large-community 65001:2:3
 set metric 7
CONF
cat >"$work/gobgp.toml" <<'CONF'
[global.config]
as = 4200000002
router-id = "192.0.2.2"
[[neighbors]]
[neighbors.config]
neighbor-address = "192.0.2.1"
peer-as = 65001
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv6-unicast"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "l2vpn-evpn"
CONF
cat >"$work/bird.conf" <<'CONF'
router id 198.51.100.2;
protocol device {}
protocol static { ipv4; route 203.0.113.128/25 blackhole; route 100.64.0.0/10 blackhole; route 0.0.0.0/0 blackhole; }
protocol bgp frr {
  local as 65003; neighbor 198.51.100.1 as 65001;
  connect retry time 1; connect delay time 1;
  enable extended messages on;
  ipv4 { import all; export filter { bgp_med = 5; bgp_community.add((65003, 7)); bgp_ext_community.add((rt, 65003, 9)); accept; }; };
  ipv6 { import all; export all; };
}
CONF
chown -R frr:frr "$work"; chmod 755 "$work"

in_frr tcpdump -Z root -U -i gobgp -w "$work/gobgp.pcap" tcp port 179 2>/dev/null & pids+=($!)
in_frr tcpdump -Z root -U -i bird -w "$work/bird.pcap" tcp port 179 2>/dev/null & pids+=($!)
frr() { # daemon
  in_frr /usr/lib/frr/"$1" -f "$work/frr.conf" -z "$work/zserv.api" -i "$work/$1.pid" --vty_socket "$work" -P 0 >"$work/$1.log" 2>&1 & pids+=($!)
}
frr zebra; sleep 2; frr bgpd; sleep 2
ip netns exec wire-gobgp gobgpd -f "$work/gobgp.toml" --api-hosts 127.0.0.1:50051 >"$work/gobgpd.log" 2>&1 & pids+=($!)
ip netns exec wire-bird bird -f -c "$work/bird.conf" -s "$work/bird.ctl" >"$work/bird.log" 2>&1 & pids+=($!)
sleep 8
rib() { ip netns exec wire-gobgp gobgp global rib add "$@" || echo "refused: $*"; }
rib -a ipv4 100.65.0.0/16 community 65002:1 med 10
rib -a ipv6 2001:db8:2::/48 nexthop 2001:db8::2
rib -a evpn macadv 00:00:5e:00:53:02 0.0.0.0 etag 0 label 10 rd 192.0.2.2:10 rt 65002:10 encap vxlan
rib -a evpn macadv 00:00:5e:00:53:02 10.10.0.6 etag 0 label 10 rd 192.0.2.2:10 rt 65002:10 encap vxlan
rib -a evpn macadv 00:00:5e:00:53:03 2001:db8:10::6 esi ARBITRARY 11:22:33:44:55:66:77:88:99 etag 0 label 10 rd 192.0.2.2:10 rt 65002:10 encap vxlan
rib -a evpn multicast 192.0.2.2 etag 0 rd 192.0.2.2:10 rt 65002:10 encap vxlan pmsi ingress-repl 10 192.0.2.2
rib -a evpn prefix 10.30.0.0/16 etag 0 label 5000 rd 192.0.2.2:1 rt 65002:5000 encap vxlan router-mac 00:00:5e:00:53:51
rib -a evpn prefix 2001:db8:30::/48 gw 2001:db8:30::1 etag 0 label 5000 rd 192.0.2.2:1 rt 65002:5000 encap vxlan
rib -a evpn esi 192.0.2.2 esi ARBITRARY 11:22:33:44:55:66:77:88:99 rd 192.0.2.2:10
rib -a evpn a-d esi ARBITRARY 11:22:33:44:55:66:77:88:99 etag 0 label 10 rd 192.0.2.2:10 rt 65002:10 encap vxlan
sleep 2
ip netns exec wire-gobgp gobgp global rib del -a evpn macadv 00:00:5e:00:53:02 0.0.0.0 etag 0 label 10 rd 192.0.2.2:10
in_frr bridge fdb del 00:00:5e:00:53:01 dev host10 master
sleep 2
ip netns exec wire-gobgp gobgp neighbor 192.0.2.1 shutdown "rack 7 moves"
ip netns exec wire-bird birdc -s "$work/bird.ctl" 'disable frr "night shift"' >/dev/null
sleep 2
[ -n "${DEBUG:-}" ] && tail "$work"/*.log

python3 "$here/extract.py" "$work/gobgp.pcap" 192.0.2.1 frr "captured from FRR 8.4.4 (Debian) talking to GoBGP by capture.sh" >"$here/frr-8.4.4.hex"
python3 "$here/extract.py" "$work/gobgp.pcap" 192.0.2.2 gobgp "captured from GoBGP 3.10 (Debian) talking to FRR by capture.sh" >"$here/gobgp-3.10.hex"
python3 "$here/extract.py" "$work/bird.pcap" 198.51.100.2 bird "captured from BIRD 2.0.12 (Debian) talking to FRR by capture.sh" >"$here/bird-2.0.12.hex"
wc -l "$here"/*.hex
