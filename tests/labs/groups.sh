#!/bin/bash
# Multicast goes to those who joined, and to multicast routers: kernels join by
# IGMPv3, IGMPv2 and MLDv2, name a source, leave, and are kept by the querier's
# questions; of two queriers, the one of the lower address asks.
#
#   s1, s2, r1, r2, r3 ── lan ── core ── r4         (each a kernel behind a TAP)
. "$(dirname "$0")/tap.sh"
need_root groups
for program in ip tshark python3 sysctl; do need groups $program; done
[ -w /dev/net/tun ] || skip_all "groups: needs /dev/net/tun"
namespace lab || skip_all "groups: network namespaces are not allowed here"
home=$ns
hosts="s1 s2 r1 r2 r3 r4"
for h in $hosts; do namespace "$h"; done
in_ns() { n=lyd-$1-$$; shift; ip netns exec "$n" "$@"; }

{
	cat <<Y
lab: groups
switches:
  lan:
    uplinks: core
    snooping: {querier: 10.0.0.250, query-interval: 3s, response-time: 1s,
               last-member: 500ms}
  core:
    snooping: {querier: 10.0.0.240, query-interval: 3s, response-time: 1s,
               last-member: 500ms}
captures:
  - {at: [r1.eth0, r4.eth0], file: $tmp/groups.pcapng}
plugs:
Y
	for h in $hosts; do
		sw=lan
		[ $h = r4 ] && sw=core
		echo "  $h: {switch: $sw, locator: \"tap:lym$h\"}"
	done
} >"$tmp/groups.yaml"
ip netns exec "$home" "$LANYARD" run "$tmp/groups.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
i=0
for h in $hosts; do
	i=$((i + 1))
	until_true 10 ip -n "$home" link show lym$h
	ip -n "$home" link set lym$h netns lyd-$h-$$
	in_ns $h sysctl -qw net.ipv4.conf.default.force_igmp_version=0
	[ $h = r3 ] && in_ns $h sysctl -qw net.ipv4.conf.all.force_igmp_version=2
	in_ns $h ip addr add 10.0.0.$i/24 dev lym$h
	in_ns $h ip link set lym$h up
	in_ns $h ip route add 224.0.0.0/4 dev lym$h
done
address_s1=10.0.0.1

# send HOST GROUP, join HOST GROUP [SOURCE]: the process is left in $!
send() {
	ip=$(in_ns $1 ip -4 -o addr show lym$1 |
	    sed 's/.*inet \([0-9.]*\).*/\1/')
	ip netns exec lyd-$1-$$ tests/labs/multicast send $ip lym$1 $2 5000 \
	    0.01 >"$tmp/send-$1" 2>&1 &
	pids="$pids $!"
}
join() {
	ip netns exec lyd-$1-$$ tests/labs/multicast join lym$1 $2 5000 \
	    ${3:-} >"$tmp/join-$1-$2" 2>&1 &
	pids="$pids $!"
}
ports() { "$LANYARD" show groups ports --json; }
# deltas SECONDS: how many frames a second went out to each of r1..r4
deltas() {
	a=$(ports)
	sleep "$1"
	b=$(ports)
	python3 - "$a" "$b" "$1" <<'P'
import json, sys
def out(t):
    return {r["port"]: r["out_frames"] for r in json.loads(t)}
a, b = out(sys.argv[1]), out(sys.argv[2])
names = ["lan.r1.eth0", "lan.r2.eth0", "lan.r3.eth0", "core.r4.eth0"]
print(*[round((b[n] - a[n]) / float(sys.argv[3])) for n in names])
P
}
# gets PATTERN NAME: of r1..r4, x: about the 100 frames a second, -: none
gets() {
	got=$(deltas 1 | tr ' ' '\n' | while read -r n; do
		if [ "$n" -ge 70 ]; then printf x
		elif [ "$n" -le 15 ]; then printf -- -
		else printf '?'; fi
	done)
	[ "$got" = "$1" ]
	is $? "$2 ($got)"
}
groups() { "$LANYARD" show groups groups --json; }
member() { # PORT GROUP MODE VERSION
	groups | python3 -c '
import json, sys
want = dict(zip(("port", "group", "mode", "version"), sys.argv[1:]))
sys.exit(not any(all(r[k] == v for k, v in want.items())
                 for r in json.load(sys.stdin)))' "$@"
}
trusted() { # the switch restricts: the time for first answers has passed
	[ "$("$LANYARD" show groups mrouters --json | grep -o '"querier"' |
	    wc -l)" -ge 4 ]
}
until_true 10 trusted
sleep 1.5

send s1 239.1.1.1
gets ---- "a group that nobody joined goes nowhere"
join r1 239.1.1.1; r1=$!
until_true 5 member lan.r1.eth0 239.1.1.1 exclude IGMPv3
is $? "a kernel joins by IGMPv3"
in_ns r1 ip maddr show dev lymr1 | grep -q 239.1.1.1
is $? "ip maddr shows the group in that kernel"
gets x--- "the group goes to its member alone"
join r3 239.1.1.1; r3=$!
join r4 239.1.1.1; r4=$!
until_true 5 member lan.r3.eth0 239.1.1.1 exclude IGMPv2
is $? "a kernel of IGMPv2 joins"
until_true 5 member core.r4.eth0 239.1.1.1 exclude IGMPv3
gets x-xx "and to members behind another switch"
"$LANYARD" show groups groups | note
"$LANYARD" show groups mrouters | note

"$LANYARD" show groups mrouters --json | python3 -c '
import json, sys
rows = [r for r in json.load(sys.stdin) if r["protocol"] == "igmp"]
asks = [(r["switch"], r["port"], r["address"]) for r in rows
        if r["what"] == "querier"]
assert ("core", "itself", "10.0.0.240") in asks, asks
assert ("lan", "lan.core", "10.0.0.240") in asks, asks' 2>"$tmp/why"
is $? "of two queriers the one of the lower address asks"
note <"$tmp/why"

# Two senders, of which r2 wants one.
send s2 239.1.1.1
join r2 239.1.1.1 $address_s1; r2=$!
until_true 5 member lan.r2.eth0 239.1.1.1 include IGMPv3
is $? "a kernel joins one source of a group"
sleep 0.3
rates=$(deltas 2)
set -- $rates
[ "$1" -ge 140 ] && [ "$2" -ge 70 ] && [ "$2" -le 115 ]
is $? "who named a source gets that one alone, others both ($rates a second)"

kill -USR1 $r1
left() { ! member lan.r1.eth0 239.1.1.1; }
until_true 8 left
is $? "who leaves is forgotten"
kill -USR1 $r3
left3() { ! member lan.r3.eth0 239.1.1.1; }
until_true 8 left3
is $? "a leave of IGMPv2, too"
sleep 0.2
rates=$(deltas 1)
set -- $rates
[ "$1" -le 15 ] && [ "$3" -le 15 ] && [ "$4" -ge 140 ]
is $? "and gets no more ($rates a second)"

# IPv6: MLD.  Link-local groups go to all.
send s1 ff15::99
join r1 ff15::99; r1=$!
until_true 5 member lan.r1.eth0 ff15::99 exclude MLDv2
is $? "a kernel joins an IPv6 group by MLDv2"
sleep 0.3
rates=$(deltas 1)
set -- $rates
[ "$1" -ge 70 ] && [ "$3" -le 15 ]
is $? "which goes to its member alone ($rates a second)"
send s2 224.0.0.99
sleep 0.3
rates=$(deltas 1)
set -- $rates
[ "$3" -ge 70 ] && [ "$4" -ge 70 ]
is $? "a group of the link goes to all ($rates a second)"

# Members are kept as long as they answer: seven seconds are a membership's life.
sleep "${GROUPS_SECONDS:-7}"
member core.r4.eth0 239.1.1.1 exclude IGMPv3 &&
    member lan.r2.eth0 239.1.1.1 include IGMPv3 &&
    member lan.r1.eth0 ff15::99 exclude MLDv2
is $? "members that answer the querier stay"
in_ns r4 ip link set lymr4 down # its carrier stays; it answers no more
gone() { ! member core.r4.eth0 239.1.1.1; }
until_true 9 gone
is $? "a member that answers no more is forgotten"
"$LANYARD" set groups r2.eth0 down
gone2() { ! member lan.r2.eth0 239.1.1.1; }
until_true 2 gone2
is $? "one whose link goes down is forgotten at once"

kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
# From the word of leaving (a change to include of no source) to the last frame.
tshark -r "$tmp/groups.pcapng" -T fields -e frame.time_relative -e igmp.type \
    -e igmp.record_type -Y '(igmp.type == 0x22 && igmp.record_type == 3 &&
    igmp.maddr == 239.1.1.1 && ip.src == 10.0.0.3) || (frame.interface_name ==
    "r1.eth0" && ip.dst == 239.1.1.1 && udp)' 2>/dev/null | python3 -c '
import sys
left = last = 0
for line in sys.stdin:
    at, *igmp = line.rstrip("\n").split("\t")
    if igmp[0]:
        left = left or float(at)
    else:
        last = float(at)
print(round((last - left) * 1000))
sys.exit(not 0 < last - left < 2.5)' >"$tmp/left"
is $? "it got frames no longer than the questions took"
figure "from a leave to the last frame: $(cat "$tmp/left") ms, of two" \
    "questions 500 ms apart by another switch"
[ "$(tshark -r "$tmp/groups.pcapng" -Y 'igmp.type == 0x11' 2>/dev/null |
    wc -l)" -gt 4 ]
is $? "tshark reads the queries as IGMP"
[ "$(tshark -r "$tmp/groups.pcapng" -Y 'icmpv6.type == 130' 2>/dev/null |
    wc -l)" -gt 4 ]
is $? "and as MLD"
tshark -o ip.check_checksum:TRUE -r "$tmp/groups.pcapng" \
    -Y '(igmp || icmpv6) && (_ws.malformed || _ws.expert.severity >= 0x400000)' \
    >"$tmp/bad" 2>/dev/null
[ ! -s "$tmp/bad" ]
is $? "tshark finds nothing malformed or strange in them"
head -5 "$tmp/bad" | note
tail -n 4 "$tmp/log" | note
