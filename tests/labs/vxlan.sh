#!/bin/bash
# VXLAN plugs, each against its real peer, in namespaces of this script's own.
#
#   lab                      one                      two
#   a1 ─┐                    vx7 10.0.7.11 (kernel)   vx7 10.0.7.12 (kernel)
#   a2 ─s7── vxlan, VNI 7 ═════╪════════════════════════╛
#   a3 ──s8── vxlan, VNI 8 ════╪══ Open vSwitch, vo 10.0.8.11, of a fourth
#   a6 ──s6── vxlan, IPv6 ═════╧══ vx6 10.0.6.11 (kernel)
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/ovs"
need_root vxlan
for program in ip ping bridge ethtool; do need vxlan $program; done
namespace lab || skip_all "vxlan: network namespaces are not allowed here"
lab_ns=$ns
namespace one; one=$ns
namespace two; two=$ns

ip -n "$one" link add type vxlan id 1 dstport 4000 2>"$tmp/vxlan" ||
	skip_all "vxlan: no vxlan device here: $(head -1 "$tmp/vxlan")"
ip -n "$one" link show type vxlan | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' |
	while read -r made; do ip -n "$one" link del "$made"; done

# One wire between the three, of a kernel bridge.
ip -n "$lab_ns" link add wire type bridge
ip -n "$lab_ns" link set wire up
attach() { # attach NAMESPACE N
	ip -n "$lab_ns" link add "w$2" type veth peer name e0 netns "$1"
	ip -n "$lab_ns" link set "w$2" master wire up
	ip -n "$1" link set e0 up
	ip -n "$1" addr add "192.0.2.$2/24" dev e0
	ip -n "$1" addr add "2001:db8::$2/64" dev e0 nodad
}
ip -n "$lab_ns" addr add 192.0.2.1/24 dev wire
ip -n "$lab_ns" addr add 2001:db8::1/64 dev wire nodad
attach "$one" 2
attach "$two" 3

# kernel NAMESPACE ADDRESS REMOTE...: its vxlan device of VNI 7, which floods to
# those remotes.
kernel() {
	at=$1 address=$2
	shift 2
	ip -n "$at" link add vx7 type vxlan id 7 dstport 4789
	for remote in "$@"; do
		bridge -n "$at" fdb append 00:00:00:00:00:00 dev vx7 dst "$remote"
	done
	ip -n "$at" addr add "$address/24" dev vx7
	ip -n "$at" link set vx7 mtu 1500 up
}
kernel "$one" 10.0.7.11 192.0.2.1 192.0.2.3
kernel "$two" 10.0.7.12 192.0.2.1 192.0.2.2
ip -n "$one" link add vx6 type vxlan id 6 dstport 4790 remote 2001:db8::1 dev e0
ip -n "$one" addr add 10.0.6.11/24 dev vx6
ip -n "$one" link set vx6 up

cat >"$tmp/vxlan.yaml" <<Y
lab: vxlan
switches: {s6: , s7: , s8: }
hosts:
  a1: {switch: s7, address: 10.0.7.1/24}
  a2: {switch: s7, address: 10.0.7.2/24}
  a3: {switch: s8, address: 10.0.8.1/24}
  a6: {switch: s6, address: 10.0.6.1/24}
plugs:
  seven: {switch: s7, locator: "vxlan:192.0.2.2?vni=7&remote=192.0.2.3"}
  eight: {switch: s8, locator: "vxlan:192.0.2.4?vni=8"}
  six: {switch: s6, locator: "vxlan:2001:db8::2?vni=6&port=4790"}
Y
ip netns exec "$lab_ns" "$LANYARD" run "$tmp/vxlan.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 "$LANYARD" show vxlan ports || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}

# pings NAME NAMESPACE ADDRESS [OPTION...]: ten in a row, none may be lost
pings() {
	name=$1 from=$2 to=$3
	shift 3
	until_true 10 ip netns exec "$from" ping -c 1 -W 1 "$to"
	ip netns exec "$from" ping -c 10 -i 0.02 -W 2 "$@" "$to" >"$tmp/ping"
	is $? "$name: ten pings, ten answers"
	! grep -q DUP "$tmp/ping"
	is $? "$name: nothing doubled"
}
pings "the kernel's vxlan, one of two machines" "$one" 10.0.7.1
pings "the kernel's vxlan, the other machine" "$two" 10.0.7.2
pings "the two kernels, past the lab" "$one" 10.0.7.12
pings "the kernel's vxlan, in fragments" "$one" 10.0.7.1 -s 1472
pings "the kernel's vxlan over IPv6" "$one" 10.0.6.1
bridge -n "$one" fdb show dev vx7 | grep -v 00:00:00:00:00:00 |
    grep -q 'dst 192.0.2.1'
is $? "the kernel learned where the lab's hosts are"

# A host's frames go to the machine that it was seen at, and to no other.
two_in() { ip -n "$two" -s link show vx7 | awk '/RX:/ {getline; print $2}'; }
before=$(two_in)
ip netns exec "$one" ping -q -c 100 -i 0.005 -W 2 10.0.7.1 >"$tmp/ping"
grep -q ' 0% packet loss' "$tmp/ping"
is $? "100 pings of one machine"
flooded=$(($(two_in) - before))
[ $flooded -le 4 ]
is $? "of them the other machine saw $flooded frames"
"$LANYARD" show vxlan ports | grep -q 'seven.eth0.*VNI 7 at .*192.0.2.2:4789 and 1 more, 2 addresses'
is $? "show ports says where it goes, and how many addresses are known"

# A machine that is not named, and a network that is not there.
ip -n "$two" link add vx9 type vxlan id 9 dstport 4789 dev e0 remote 192.0.2.1
ip -n "$two" link add vx8 type vxlan id 8 dstport 4789 dev e0 remote 192.0.2.1
for i in 8 9; do
	ip -n "$two" addr add "10.0.$i.12/24" dev vx$i
	ip -n "$two" link set vx$i up
	! ip netns exec "$two" ping -c 2 -i 0.1 -W 1 10.0.$i.1 >"$tmp/ping"
	is $? "VNI $i from a machine that may not: no answer"
done
"$LANYARD" show vxlan drops >"$tmp/drops"
grep -q 'vxlan-remote' "$tmp/drops"
is $? "its frames are counted, by their reason"
grep -q 'vxlan-vni' "$tmp/drops"
is $? "those of no network are, too"
note <"$tmp/drops"

# Open vSwitch: its tunnels leave by a bridge that has the outer address.
open_vswitch() {
	attach "$ovs" 4
	ip -n "$ovs" addr flush dev e0
	# It reads what a veth would leave to be summed by the far end.
	ip netns exec "$lab_ns" ethtool -K wire tx off >"$tmp/ethtool"
	ovs_start "$ovs" || return 1
	ovs_vsctl add-br outer -- set bridge outer datapath_type=netdev -- \
	    add-port outer e0 || return 1
	ovs_vsctl add-br inner -- set bridge inner datapath_type=netdev -- \
	    add-port inner vo -- set interface vo type=internal -- \
	    add-port inner vx8 -- set interface vx8 type=vxlan \
	    options:remote_ip=192.0.2.1 options:key=8 || return 1
	ip -n "$ovs" addr add 192.0.2.4/24 dev outer
	ip -n "$ovs" addr add 10.0.8.11/24 dev vo
	ip -n "$ovs" link set outer up
	ip -n "$ovs" link set vo up
}
if command -v ovs-vswitchd >/dev/null && [ -w /dev/net/tun ]; then
	namespace ovs; ovs=$ns
	open_vswitch
	is $? "Open vSwitch starts"
	pings "Open vSwitch's vxlan" "$ovs" 10.0.8.1
else
	skip "Open vSwitch's vxlan: needs openvswitch-switch and /dev/net/tun"
fi

"$LANYARD" show vxlan ports | note
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
note <"$tmp/log"
