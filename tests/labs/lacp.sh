#!/bin/bash
# A bond of three ports against one of Open vSwitch, both speaking LACP: it
# comes up, flows spread over it both ways, a member that is cut or falls silent
# is left, and comes back.
#
#   h1..h8 ── lan ══ bond of m1, m2, m3 ══ Open vSwitch, 10.0.0.2
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/ovs"
need_root lacp
for program in ip ovs-vswitchd ovsdb-server ping tshark python3; do
	need lacp $program
done
[ -w /dev/net/tun ] || skip_all "lacp: needs /dev/net/tun"
namespace lan || skip_all "lacp: network namespaces are not allowed here"
lan=$ns
namespace ovs; ovs=$ns

{
	cat <<Y
lab: lacp
switches:
  lan:
    bonds:
      b0: {mode: active, rate: fast, hash: l4}
plugs:
  m1: {switch: lan, bond: b0, locator: "tap:lyl1"}
  m2: {switch: lan, bond: b0, locator: "tap:lyl2"}
  m3: {switch: lan, bond: b0, locator: "tap:lyl3"}
captures:
  - {at: [m1.eth0, m2.eth0, m3.eth0], file: $tmp/lacp.pcapng,
     filter: ether proto 0x8809}
hosts:
Y
	for h in 1 2 3 4 5 6 7 8; do cat <<Y
  h$h:
    {switch: lan, address: 10.0.0.1$h/24,
     send: {to: 10.0.0.2, protocol: udp, source-port: 700$h, every: 5ms}}
Y
	done
} >"$tmp/lacp.yaml"
ip netns exec "$lan" "$LANYARD" run "$tmp/lacp.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
for i in 1 2 3; do
	until_true 10 ip -n "$lan" link show lyl$i
	ip -n "$lan" link set lyl$i netns "$ovs"
	ip -n "$ovs" link set lyl$i up
done
ovs_start "$ovs" || { not_ok "Open vSwitch starts"; note <"$tmp/ovs/vswitchd.log"; exit 1; }
ovs_vsctl add-br br0 -- set bridge br0 datapath_type=netdev \
    -- add-bond br0 bond0 lyl1 lyl2 lyl3 lacp=active bond_mode=balance-tcp \
    other_config:lacp-time=fast
ip -n "$ovs" addr add 10.0.0.2/24 dev br0
ip -n "$ovs" link set br0 up

show() { "$LANYARD" show lacp bonds --json; }
# states WANTED...: the states of m1, m2, m3
states() {
	show | python3 -c '
import json, sys
rows = json.load(sys.stdin)
sys.exit([r["state"] for r in rows] != sys.argv[1:])' "$@"
}
attached() {
	[ "$(ovs_appctl lacp/show bond0 | grep -c 'current attached')" = "$1" ]
}
until_true 15 states distributing distributing distributing
is $? "all three links of ours distribute"
until_true 10 attached 3
is $? "Open vSwitch has attached all three"
"$LANYARD" show lacp bonds | note
ovs_appctl lacp/show bond0 | sed -n '1,20p' | note
show | python3 -c '
import json, subprocess, sys
rows = json.load(sys.stdin)
assert len({r["partner"] for r in rows}) == 1, rows
assert all("GSCD" in r["actor_state"] and "GSCD" in r["partner_state"]
           for r in rows), rows'
is $? "both sides say aggregated, in sync, collecting, distributing"

# counts KEY: of m1, m2, m3
counts() {
	show | python3 -c '
import json, sys
print(*[r[sys.argv[1]] for r in json.load(sys.stdin)])' "$1"
}
# Flows both ways: eight of ours to the bridge, echoes by ping to eight hosts.
before_out=$(counts out_frames)
before_in=$(counts in_frames)
sleep 2
ip netns exec "$ovs" python3 - <<'P'
import socket
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
for round in range(20):
    for i, one in enumerate(s):
        one.sendto(b"x" * 50, (f"10.0.0.{11 + i % 8}", 9000 + i))
P
sleep 0.3
spread() {
	python3 - "$1" "$2" <<'P'
import sys
a, b = ([int(n) for n in s.split()] for s in sys.argv[1:])
n = [y - x for x, y in zip(a, b)]
print("%s of %d" % (" + ".join(map(str, n)), sum(n)))
sys.exit(min(n) < sum(n) * 0.08)
P
}
out=$(spread "$before_out" "$(counts out_frames)")
is $? "our eight flows use all three links"
in=$(spread "$before_in" "$(counts in_frames)")
is $? "Open vSwitch's 64 flows come in by all three"
figure "frames by link: ours $out, theirs $in"

# losses: pings each 10 ms to all hosts while something happens
probe() {
	for h in 1 2 3 4 5 6 7 8; do
		ip netns exec "$ovs" ping -D -i 0.01 -w "$1" -W 1 10.0.0.1$h \
		    >"$tmp/ping$h" 2>&1 &
		probes="$probes $!"
	done
}
# The longest time that one host was not heard, in ms.
gap() {
	wait $probes
	probes=
	python3 - "$tmp" <<'P'
import re, sys
worst = duplicates = 0
for h in range(1, 9):
    text = open(f"{sys.argv[1]}/ping{h}").read()
    duplicates += text.count("DUP!")
    at = [float(t) for t in re.findall(r"^\[([\d.]+)\].*icmp_seq", text, re.M)]
    assert len(at) > 50, text
    worst = max([worst] + [b - a for a, b in zip(at, at[1:])])
assert duplicates == 0, duplicates
print(round(worst * 1000))
P
}
probes=
probe 4
sleep 1
"$LANYARD" set lacp m2.eth0 down
until_true 5 states distributing down distributing
is $? "a member that is cut is left"
until_true 5 attached 2
is $? "Open vSwitch leaves it, too"
cut=$(gap)
is $? "nothing is delivered twice meanwhile"
figure "longest silence of one of eight hosts when a member is cut: $cut ms"
[ "${cut:-9999}" -lt 1000 ]
is $? "no host is silent for a second"
"$LANYARD" set lacp m2.eth0 up
until_true 10 states distributing distributing distributing
is $? "a member that is back is used again"
until_true 10 attached 3

# It falls silent with its link up: LACP alone can tell.
probe 7
sleep 1
"$LANYARD" set lacp m3.eth0 loss=100%
until_true 6 states distributing distributing attached
is $? "a member that falls silent is left by LACP"
silent=$(gap)
figure "longest silence of one of eight hosts when a member falls silent: $silent ms"
[ "${silent:-9999}" -lt 4500 ]
is $? "no host is silent for longer than LACP's timeout"
"$LANYARD" set lacp m3.eth0 loss=none
until_true 10 states distributing distributing distributing
is $? "and is used again once it speaks"

kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
tshark -r "$tmp/lacp.pcapng" -Y 'lacp' -T fields -e lacp.actor.state \
    2>/dev/null | wc -l >"$tmp/n"
[ "$(cat "$tmp/n")" -gt 30 ]
is $? "tshark reads the PDUs as LACP"
tshark -r "$tmp/lacp.pcapng" \
    -Y '_ws.malformed || _ws.expert.severity >= 0x400000' \
    >"$tmp/bad" 2>/dev/null
[ ! -s "$tmp/bad" ]
is $? "tshark finds nothing malformed or strange in them"
head -5 "$tmp/bad" | note
tail -n 5 "$tmp/log" | note
