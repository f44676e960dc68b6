#!/bin/bash
# What happens on cables, as kernels on both sides of it see it: round trips,
# TCP at a rate, loss, ECN, a link that goes down; and what a guest is told.
#
#   client ── tap ── lan ── tap ── server        CABLE_SECONDS: each iperf3 runs
. "$(dirname "$0")/tap.sh"
seconds=${CABLE_SECONDS:-2}

# ---- virtual time: the same captures ----

for run in 1 2 3; do
	mkdir "$tmp/$run"
	seed=5
	[ $run != 3 ] || seed=6
	(cd "$tmp/$run" && "$LANYARD" run "$OLDPWD/topologies/far-office.yaml" \
	    --virtual-time --for 20s --seed $seed) >"$tmp/$run/log" 2>&1
done
[ -s "$tmp/1/far-office.pcapng" ] &&
    cmp "$tmp/1/far-office.pcapng" "$tmp/2/far-office.pcapng"
is $? "in virtual time two runs with one seed give the same capture"
! cmp -s "$tmp/1/far-office.pcapng" "$tmp/3/far-office.pcapng"
is $? "another seed gives another one"

# ---- a guest is told of its link ----

cat >"$tmp/vm.yaml" <<'Y'
lab: cable-vm
switches: {lan: }
hosts: {h: {switch: lan, address: 10.0.0.1/24}}
vms: {a: {ports: {eth0: {switch: lan, address: 10.0.0.2/24, delay: 30ms}}}}
Y
"$LANYARD" run "$tmp/vm.yaml" >"$tmp/vm.log" 2>&1 &
vm=$!
pids="$pids $vm"
until_true 60 "$LANYARD" exec cable-vm a -- ping -c 1 10.0.0.1
is $? "a guest pings over its cable"
"$LANYARD" exec cable-vm a -- ping -c 5 10.0.0.1 >"$tmp/ping" 2>&1
note <"$tmp/ping"
[ "$(grep -c 'time=6[0-9]\.' "$tmp/ping")" -ge 4 ]
is $? "its round trip is twice the delay"
link() { "$LANYARD" exec cable-vm a -- ip | grep -q "eth0: link $1"; }
until_true 5 link up
is $? "its link is up"
"$LANYARD" set cable-vm a.eth0 down
until_true 1 link down
is $? "set down: the guest sees its link down within a second"
"$LANYARD" set cable-vm a.eth0 up
until_true 1 link up
is $? "set up: and up again"
until_true 5 "$LANYARD" exec cable-vm a -- ping -c 1 10.0.0.1
is $? "and its frames pass again"
kill $vm

# ---- kernels ----

need_root "cable: kernels"
for program in ip iperf3 ping python3; do need cable $program; done
[ -w /dev/net/tun ] || skip_all "cable: kernels: needs /dev/net/tun"
namespace cable || skip_all "cable: network namespaces are not allowed here"
lab=$ns
namespace client; client=$ns
namespace server; server=$ns
cat >"$tmp/cable.yaml" <<'Y'
lab: cable
switches: {lan: }
plugs:
  client: {switch: lan, locator: "tap:lyc0"}
  server: {switch: lan, locator: "tap:lys0"}
Y
ip netns exec "$lab" "$LANYARD" run "$tmp/cable.yaml" >"$tmp/log" 2>&1 &
pids="$pids $!"
for tap in lyc0 lys0; do until_true 10 ip -n "$lab" link show $tap; done
ip -n "$lab" link set lyc0 netns "$client"
ip -n "$lab" link set lys0 netns "$server"
ip -n "$client" link set lyc0 up
ip -n "$server" link set lys0 up
ip -n "$client" addr add 10.9.0.1/24 dev lyc0
ip -n "$server" addr add 10.9.0.2/24 dev lys0
set_() { "$LANYARD" set cable client.eth0 "$@" 2>&1 | note; }
ping_() { ip netns exec "$client" ping "$@" 10.9.0.2 >"$tmp/ping" 2>&1; }
# the median: this machine may have other things to do
rtt() { sed -n 's|.* time=\([0-9.]*\) ms|\1|p' "$tmp/ping" | sort -n |
    awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
lost() { sed -n 's|.* \([0-9.]*\)% packet loss.*|\1|p' "$tmp/ping"; }
# between WHAT LOW HIGH: is it a number, and there?
between() { python3 -c 'import sys
sys.exit(not float(sys.argv[2]) <= float(sys.argv[1]) <= float(sys.argv[3]))' \
    "${1:-nan}" "$2" "$3"; }
ping_ -c 2 -i 0.2
base=$(rtt)
for delay in 1 10 50; do
	set_ plain delay=${delay}ms
	ping_ -c 20 -i 0.02 -W 2
	between "$(rtt)" $((2 * delay)) "$(python3 -c "print(2 * $delay + 1 + $base)")"
	is $? "delay ${delay}ms: the round trip is $(rtt) ms"
done
set_ plain out loss=10% in loss=10%
ping_ -c 500 -i 0.002 -W 1
between "$(lost)" 12 26
is $? "10% lost each way: of pings $(lost) % (19 expected)"
set_ plain lose=5,9
ping_ -c 20 -i 0.01 -W 1
between "$(lost)" 10 20
is $? "frames 5 and 9 each way: $(lost) % of 20 pings"

ip netns exec "$server" iperf3 -s >"$tmp/iperf-server" 2>&1 &
pids="$pids $!"
sleep 0.3
# iperf OPTION...: Mbit/s that arrived
iperf() {
	ip netns exec "$client" iperf3 -c 10.9.0.2 -C reno -t "$seconds" -O 1 --json \
	    "$@" \
	    >"$tmp/iperf" 2>&1
	python3 -c 'import json, sys
e = json.load(open(sys.argv[1]))["end"]
print("%.2f" % (e["sum_received"]["bits_per_second"] / 1e6))' "$tmp/iperf"
}
for rate in 10 100; do
	set_ plain rate=${rate}Mbit/s queue-frames=100
	got=$(iperf)
	# 1448 of 1514 bytes are TCP's; what was on its way when iperf3 began
	# to count is a little more
	between "$got" "$(python3 -c "print($rate * 0.8)")" \
	    "$(python3 -c "print($rate * 0.97)")"
	is $? "TCP at ${rate}Mbit/s: $got Mbit/s ($(python3 -c "print(round($rate * 0.9564, 2))") at best)"
	figure "TCP over rate ${rate}Mbit/s: $got Mbit/s"
done
got=$(iperf -R)
between "$got" 90 97
is $? "and the other way: $got Mbit/s"
set_ plain delay=10ms rate=20Mbit/s queue-frames=30
got=$(iperf)
between "$got" 12 19.2
is $? "TCP over 20Mbit/s, 10 ms each way and 30 frames of queue: $got Mbit/s"
set_ plain delay=20ms out loss=2%
got=$(iperf)
between "$got" 0.3 60
is $? "TCP over 40 ms with 2% lost: $got Mbit/s, alive and slow"

# ---- queues: how long a ping waits behind a TCP ----

waits() {
	iperf -t $((seconds + 1)) >"$tmp/mbit" &
	sleep 1.5
	ping_ -c 20 -i 0.05 -W 3
	wait $!
}
set_ plain rate=10Mbit/s queue-frames=300
waits
fifo=$(rtt)
set_ plain rate=10Mbit/s queue-frames=300 queue=codel
waits
codel=$(rtt)
between "$codel" 0 "$(python3 -c "print($fifo / 3)")"
is $? "behind a TCP a ping takes $fifo ms with FIFO, $codel ms with CoDel"
between "$(cat "$tmp/mbit")" 8 9.7
is $? "which leaves TCP its rate: $(cat "$tmp/mbit") Mbit/s"
figure "ping behind TCP at 10 Mbit/s: FIFO of 300 $fifo ms, CoDel $codel ms"
for end in "$client" "$server"; do
	ip netns exec "$end" sysctl -qw net.ipv4.tcp_ecn=1 2>/dev/null
done
set_ plain rate=10Mbit/s queue-frames=300 queue=codel ecn=true
waits
"$LANYARD" show cable cables --json >"$tmp/cables"
python3 - "$tmp/cables" <<'P'
import json, sys
rows = json.load(open(sys.argv[1]))
out = [r for r in rows if r["a"] == "client.eth0"][0]
assert out["marked"] > 0, out
P
is $? "with ECN it marks TCP's packets: ping $(rtt) ms"

# ---- a link that goes down, and the books ----

carrier() { [ "$(ip netns exec "$1" cat "/sys/class/net/$2/carrier" 2>/dev/null)" = "$3" ]; }
set_ plain delay=5ms
set_ down
until_true 1 carrier "$client" lyc0 0
is $? "set down: the kernel sees no carrier"
! ping_ -c 1 -W 1
is $? "nothing passes"
set_ up
until_true 1 carrier "$client" lyc0 1
is $? "set up: it sees one again"
until_true 5 ping_ -c 1 -W 1
is $? "and frames pass"
"$LANYARD" set cable client.eth0 delay=5 >"$tmp/err" 2>&1
[ $? = 2 ] && grep -q "no unit" "$tmp/err"
is $? "a wrong value is refused in words: $(cat "$tmp/err")"
"$LANYARD" set cable client.eth0 jitter=9ms >"$tmp/err" 2>&1
[ $? = 2 ] && grep -q "more than delay" "$tmp/err"
is $? "so is what cannot be: $(cat "$tmp/err")"
"$LANYARD" show cable cables --json >"$tmp/cables"
python3 - "$tmp/cables" <<'P' 2>&1 | note
import json, sys
n = 0
for r in json.load(open(sys.argv[1])):
    if r["entered"] is None:
        continue
    n += r["entered"]
    print("%(a)s: %(entered)d + %(duplicated)d == "
        "%(left)d + %(dropped)d + %(held)d" % r)
    assert r["entered"] + r["duplicated"] == r["left"] + r["dropped"] + r["held"]
assert n > 10000, n
P
[ "${PIPESTATUS[0]}" = 0 ]
is $? "the books balance after all of this"

# ---- cables between switches, to plugs and to the host ----
#
#   peer ── tap ──5 ms── left ──60 ms── right ──27 ms── the host

cat >"$tmp/far.yaml" <<'Y'
lab: cable-far
switches:
  left: {uplinks: {right: {delay: 60ms}}}
  right:
plugs:
  t: {switch: left, locator: "tap:lyt0", delay: 5ms}
bridges:
  h: {mode: host-only, interface: lyh0, address: 10.9.1.1/24, switch: right, delay: 27ms}
Y
namespace peer; peer=$ns
ip netns exec "$lab" "$LANYARD" run "$tmp/far.yaml" >"$tmp/far.log" 2>&1 &
pids="$pids $!"
until_true 10 ip -n "$lab" link show lyt0
until_true 10 ip -n "$lab" link show lyh0
ip -n "$lab" link set lyt0 netns "$peer"
ip -n "$peer" link set lyt0 up
ip -n "$peer" addr add 10.9.1.2/24 dev lyt0
# takes MS WHAT: the round trip to the host, twice each cable's delay
takes() {
	ip netns exec "$peer" ping -c 1 -W 2 10.9.1.1 >"$tmp/ping" 2>&1
	ip netns exec "$peer" ping -c 30 -i 0.05 -W 2 10.9.1.1 >"$tmp/ping" 2>&1
	best=$(sed -n 's|.* time=\([0-9.]*\) ms|\1|p' "$tmp/ping" | sort -n | head -n 1)
	between "$best" "$1" $(($1 + 15)) # there may be other work here
	is $? "$2: the best round trip is $best ms"
}
takes 184 "an uplink of 60 ms, a plug of 5 and a bridge of 27"
"$LANYARD" set cable-far left.right delay=1ms | note
takes 66 "the uplink set to 1 ms while it runs"
"$LANYARD" set cable-far h.eth0 plain | note
takes 12 "the bridge's cable set to plain"
"$LANYARD" set cable-far t.eth0 plain in delay=30ms | note
takes 32 "the plug's set to 30 ms one way"
