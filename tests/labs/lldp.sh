#!/bin/bash
# A switch and lldpd tell each other who they are: each part as the other reads
# it, a change of the link, and a goodbye.  A switch without LLDP is silent.
#
#   lan ── tap ── lldpd in a namespace
. "$(dirname "$0")/tap.sh"
need_root lldp
for program in ip lldpd lldpcli tshark python3; do need lldp $program; done
[ -w /dev/net/tun ] || skip_all "lldp: needs /dev/net/tun"
namespace lan || skip_all "lldp: network namespaces are not allowed here"
lan=$ns
namespace lldpd; peer=$ns

cat >"$tmp/lldp.yaml" <<Y
lab: lldp
switches:
  lan:
    lldp: {interval: 2s, hold: 3, address: 10.9.8.7}
    bonds: {b0: {mode: static}}
  quiet:
plugs:
  peer: {switch: lan, bond: b0, vlan: 10, max-packet: 2000, locator: "tap:lyd1"}
  still: {switch: quiet, locator: "tap:lyd2"}
captures:
  - {at: [peer.eth0], file: $tmp/lldp.pcapng, filter: ether proto 0x88cc}
  - {at: [still.eth0], file: $tmp/quiet.pcapng}
Y
# The kernel's own IPv6 is not silent.
for n in "$lan" "$peer"; do
	ip netns exec "$n" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
done
ip netns exec "$lan" "$LANYARD" run "$tmp/lldp.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
for i in 1 2; do
	until_true 10 ip -n "$lan" link show lyd$i
	ip -n "$lan" link set lyd$i netns "$peer"
	ip -n "$peer" link set lyd$i up
done
chmod 711 "$tmp" # lldpd drops its rights
mkdir -m 777 "$tmp/lldpd"
ip netns exec "$peer" lldpd -d -u "$tmp/lldpd/sock" -I lyd1 -C lyd1 \
    -S "a host under test" >"$tmp/lldpd.log" 2>&1 &
lldpd=$!
pids="$pids $lldpd"
until_true 10 [ -S "$tmp/lldpd/sock" ]
cli() { ip netns exec "$peer" lldpcli -u "$tmp/lldpd/sock" "$@"; }
cli configure lldp tx-interval 2 >"$tmp/cli" 2>&1
cli configure system hostname "peer-host" >>"$tmp/cli" 2>&1

# What lldpd knows of us, one "path=value" a line.
theirs() {
	cli -f keyvalue show neighbors details | sed 's/^lldp\.lyd1\.//'
}
heard() { theirs | grep -q '^chassis.name=lan$'; }
until_true 10 heard
is $? "lldpd hears of the switch"
theirs >"$tmp/theirs"
while read -r line; do
	grep -qx -- "$line" "$tmp/theirs"
	is $? "lldpd reads $line"
done <<T
chassis.mac=[0-9a-f:]\{17\}
chassis.name=lan
chassis.descr=lanyard virtual switch
chassis.mgmt-ip=10.9.8.7
chassis.Bridge.enabled=on
port.ifname=lan.peer.eth0
port.descr=cable to peer.eth0
port.ttl=7
port.mfs=2018
vlan.vlan-id=10
vlan.pvid=yes
vlan=VLAN 10
port.aggregation=.*
T
note <"$tmp/theirs"

ours() { "$LANYARD" show lldp lldp --json; }
known() { ours | grep -q peer-host; }
until_true 10 known
is $? "the switch hears of lldpd"
"$LANYARD" show lldp lldp | note
address=$(ip -n "$peer" -o link show lyd1 | sed -n 's/.*link\/ether \([^ ]*\).*/\1/p')
ours | python3 -c '
import json, sys
row, = json.load(sys.stdin)
want = {"port": "lan.peer.eth0", "chassis": sys.argv[1], "name": "peer-host",
        "neighbour_port": sys.argv[1], "port_description": "lyd1",
        "description": "a host under test", "ttl_s": 8, "aggregated": False}
wrong = {k: row[k] for k in want if str(row[k]) != str(want[k])}
print(wrong or "all right", row)
sys.exit(bool(wrong))' "$address" >"$tmp/row" 2>&1
is $? "each part of its message is read as it was sent"
note <"$tmp/row"

"$LANYARD" set lldp peer.eth0 down
gone() { [ "$(ours)" = "[]" ]; }
until_true 3 gone
is $? "a link that is down has no neighbour"
"$LANYARD" set lldp peer.eth0 up
until_true 10 known
is $? "it is heard again when the link is up"
kill $lldpd
until_true 12 gone
is $? "a neighbour that says goodbye, or is silent, is forgotten"

kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
frames() { tshark -r "$tmp/lldp.pcapng" "$@" 2>/dev/null; }
frames -Y 'lldp.time_to_live == 0 && lldp.port.id == "lan.peer.eth0"' >"$tmp/bye"
[ "$(wc -l <"$tmp/bye")" = 1 ]
is $? "the switch says goodbye when it stops"
frames -Y '_ws.malformed || _ws.expert.severity >= 0x800000' >"$tmp/bad"
# One part has a successor, which is sent too; lldpd knows the old one alone.
frames -Y '_ws.expert.severity >= 0x400000' -T fields -e _ws.expert.message |
    tr ',' '\n' | grep -v -e deprecated -e ' to this node itself' \
    -e '^peer: ' >>"$tmp/bad"
[ ! -s "$tmp/bad" ]
is $? "tshark finds nothing malformed or strange"
head -5 "$tmp/bad" | note
n=$(tshark -r "$tmp/quiet.pcapng" 2>/dev/null | wc -l)
[ "$n" = 0 ]
is $? "a switch without LLDP sent not a frame"
