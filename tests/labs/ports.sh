#!/bin/bash
# Ports that reach outside, each against its real peer, in namespaces of this
# script's own.
. "$(dirname "$0")/tap.sh"
need_root ports
for program in ip ping vde_switch vde_plug wirefilter dpipe python3; do
	need ports $program
done
[ -w /dev/net/tun ] || skip_all "ports: needs /dev/net/tun"
namespace lab || skip_all "ports: network namespaces are not allowed here"
lab_ns=$ns
namespace peer; peer=$ns
at_peer() { ip netns exec "$peer" "$@"; }

# start FILE LAB: runs a lab in the lab namespace; its process is left in $lab
start() {
	ip netns exec "$lab_ns" "$LANYARD" run "$1" >"$1.log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 10 "$LANYARD" show "$2" ports && return
	not_ok "$2 starts"
	note <"$1.log"
	exit 1
}
stop() {
	kill -INT "$lab"
	wait "$lab"
	is $? "$1 ends with status 0"
	note <"$2.log"
}
# pings NAME ADDRESS: ten in a row, none of which may be lost
pings() {
	until_true 10 at_peer ping -c 1 -W 1 "$2"
	at_peer ping -c 10 -i 0.02 -W 2 "$2" >"$tmp/ping"
	is $? "$1: ten pings, ten answers"
	grep -q ' 0% packet loss' "$tmp/ping"
	is $? "$1: nothing lost"
	! grep -q DUP "$tmp/ping"
	is $? "$1: nothing doubled"
}

# ---- VDE ----
#
#   a1 ── s1 ── vde ── vde_switch 0 ── vde_plug ── vde_switch 1 ── vt1
#   a2 ── s2 ── vde-listen ── wirefilter ──────── vde_switch 2 ── vt2
#   a3 ── s3 ── vde-listen ── vde_plug ────────── vde_switch 3 ── vt3

# vde_switch_up N OPTION...: its process is left in $!
vde_switch_up() {
	n=$1
	shift
	ip netns exec "$peer" vde_switch -s "$tmp/sw$n" "$@" <"$tmp/quiet" \
	    >/dev/null 2>&1 &
	pids="$pids $!"
	until_true 5 [ -S "$tmp/sw$n/ctl" ]
}
mkfifo "$tmp/quiet"
exec 8<>"$tmp/quiet" # a console on which nobody types
vde_switch_of() { # vde_switch_of N: with a TAP of 10.0.N.1/24
	vde_switch_up "$1" -t "vt$1"
	until_true 5 at_peer ip link set "vt$1" up
	at_peer ip addr add "10.0.$1.1/24" dev "vt$1"
}
cat >"$tmp/vde.yaml" <<Y
lab: ports-vde
switches:
  s[1-3]:
hosts:
  a1: {switch: s1, address: 10.0.1.2/24}
  a2: {switch: s2, address: 10.0.2.2/24}
  a3: {switch: s3, address: 10.0.3.2/24}
plugs:
  one: {switch: s1, locator: "vde:$tmp/sw0?port=5"}
  two: {switch: s2, locator: "vde-listen:$tmp/plug2"}
  three: {switch: s3, locator: "vde-listen:$tmp/plug3"}
Y
# The lab is up before the switch that it plugs into.
start "$tmp/vde.yaml" ports-vde
"$LANYARD" show ports-vde ports | grep -q 'one.eth0.*waiting for a switch'
is $? "vde: a switch that is not there is waited for, and shown so"
vde_switch_up 0
sw0=$!
for i in 1 2 3; do vde_switch_of $i; done
dpipe vde_plug "$tmp/sw0" = vde_plug "$tmp/sw1" &
pids="$pids $!"
wirefilter -v "$tmp/plug2:$tmp/sw2" -N <"$tmp/quiet" \
    >"$tmp/wf.log" 2>&1 &
pids="$pids $!"
dpipe vde_plug "$tmp/plug3" = vde_plug "$tmp/sw3" &
pids="$pids $!"
pings "vde, into a vde_switch" 10.0.1.2
"$LANYARD" show ports-vde ports | grep -q 'one.eth0.*plugged in'
is $? "vde: it says that it is plugged in"
pings "vde-listen, wirefilter" 10.0.2.2
pings "vde-listen, vde_plug" 10.0.3.2
at_peer ping -q -c 200 -i 0.002 -s 1400 -W 2 10.0.1.2 | grep -q '200 received'
is $? "vde: 200 pings of 1442 bytes at 500 a second"
# The switch goes and comes.
kill $sw0
until_true 5 sh -c "'$LANYARD' show ports-vde ports | grep -q 'one.eth0.*waiting for'"
is $? "vde: a switch that has gone is noticed"
rm -rf "$tmp/sw0"
vde_switch_up 0
dpipe vde_plug "$tmp/sw0" = vde_plug "$tmp/sw1" &
pids="$pids $!"
pings "vde, after another switch came up there" 10.0.1.2
"$LANYARD" show ports-vde ports | note
stop "the lab of VDE" "$tmp/vde.yaml"
[ ! -e "$tmp/plug2" ] && [ ! -e "$tmp/plug3" ]
is $? "vde-listen: nothing is left of its folders"

# ---- UDP: two labs, one in each namespace ----

ip -n "$lab_ns" link add v0 type veth peer name v1 netns "$peer"
ip -n "$lab_ns" link set v0 up
ip -n "$peer" link set v1 up
ip -n "$lab_ns" addr add 192.0.2.1/24 dev v0
ip -n "$peer" addr add 192.0.2.2/24 dev v1
ip -n "$lab_ns" addr add 2001:db8::1/64 dev v0 nodad
ip -n "$peer" addr add 2001:db8::2/64 dev v1 nodad

cat >"$tmp/udp.yaml" <<Y
lab: ports-udp
switches: {s4: , s6: }
hosts:
  a4: {switch: s4, address: 10.0.4.2/24}
  a6: {switch: s6, address: 10.0.6.2/24}
plugs:
  four: {switch: s4, locator: "udp:192.0.2.2:5000"}
  six: {switch: s6, locator: "udp:[2001:db8::2]:5001?local=[2001:db8::1]:5002"}
Y
cat >"$tmp/udp2.yaml" <<Y
lab: ports-udp2
switches: {s4: , s6: }
plugs:
  four: {switch: s4, locator: "udp:192.0.2.1:5000"}
  six: {switch: s6, locator: "udp:[2001:db8::1]:5002?local=[2001:db8::2]:5001"}
  tap4: {switch: s4, locator: "tap:u4"}
  tap6: {switch: s6, locator: "tap:u6"}
Y
start "$tmp/udp.yaml" ports-udp
ip netns exec "$peer" "$LANYARD" run "$tmp/udp2.yaml" >"$tmp/udp2.log" 2>&1 &
lab2=$!
pids="$pids $lab2"
until_true 10 ip -n "$peer" link show u6
ip -n "$peer" addr add 10.0.4.1/24 dev u4
ip -n "$peer" addr add 10.0.6.1/24 dev u6
pings "udp over IPv4, between two labs" 10.0.4.2
pings "udp over IPv6, between two labs" 10.0.6.2
"$LANYARD" show ports-udp ports | note
kill -INT $lab2
wait $lab2
is $? "the other lab ends with status 0"
stop "the lab of UDP" "$tmp/udp.yaml"
