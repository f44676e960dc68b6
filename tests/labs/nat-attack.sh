#!/bin/bash
# Attacks on a router with NAT, DHCP and DNS, by hping3 and by scapy's packets
# through tcpreplay, while another host goes about its business: that loses
# nothing, a ping is answered in time, the router's memory stays at its limit,
# and each frame that is lost is counted under its reason.
#
#   innocent ──┐                          ┌── server
#              lan ── gw ── NAT ── wan ───┤
#   attacker ──┘                          └── outsider
#
# ATTACK_S seconds each (0.7); LONG=1 scans from a million ports.
. "$(dirname "$0")/tap.sh"
need_root nat-attack
for program in ip hping3 tcpreplay ping udhcpc jq python3; do
	need nat-attack $program
done
[ -w /dev/net/tun ] || skip_all "nat-attack: needs /dev/net/tun"
for scapy in python3 /usr/bin/python3; do
	$scapy -c 'import scapy' 2>/dev/null && break
	scapy=
done
[ -n "$scapy" ] || skip_all "nat-attack: needs scapy, which is missing"
namespace router ||
    skip_all "nat-attack: network namespaces are not allowed here"
router=$ns
for name in innocent attacker server outsider; do
	namespace $name
	eval "$name=$ns"
done
seconds=${ATTACK_S:-0.7}
hosts=2 # each with 50000 ports
[ -n "${LONG:-}" ] && hosts=20

cat >"$tmp/attack.yaml" <<Y
lab: attack
switches:
  lan:
  wan:
routers:
  gw:
    ports:
      inside:
        {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.200-10.0.0.249}
      outside: {switch: wan, address: 203.0.113.1/24}
    dns:
    nat: {outside: outside, limit: 20000, host-limit: 5000}
plugs:
  innocent: {switch: lan, locator: "tap:lya0"}
  attacker: {switch: lan, locator: "tap:lya1"}
  server: {switch: wan, locator: "tap:lya2"}
  outsider: {switch: wan, locator: "tap:lya3"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/attack.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lya3 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
attach lya0 "$innocent" 10.0.0.10/24
attach lya1 "$attacker" 10.0.0.66/24
attach lya2 "$server" 203.0.113.10/24
attach lya3 "$outsider" 203.0.113.66/24
ip -n "$innocent" route add default via 10.0.0.1
ip -n "$attacker" route add default via 10.0.0.1

ip netns exec "$server" tests/labs/innocent serve 203.0.113.10 7 \
    >"$tmp/server" 2>&1 &
pids="$pids $!"
until_true 5 ip netns exec "$server" sh -c 'ss -Hltn | grep -q :7'
coproc talk {
	exec ip netns exec "$innocent" tests/labs/innocent talk 10.0.0.10 \
	    203.0.113.10 7 200 2>"$tmp/talk"
}
pids="$pids $talk_PID"
read -r -t 20 -u "${talk[0]}" line
[ "$line" = ready ] || {
	not_ok "the innocent host talks to the server"
	note <"$tmp/talk"
	exit 1
}
# A socket for its own answers alone: one for all ICMP would overflow when errors
# come in by the thousand.
ip netns exec "$innocent" sysctl -qw net.ipv4.ping_group_range="0 2147483647"
ip netns exec "$innocent" ping -n -D -i 0.02 203.0.113.10 >"$tmp/pings" 2>&1 &
pids="$pids $!"
for n in "$attacker" "$outsider"; do
	ip netns exec "$n" ping -c 1 -W 5 \
	    "$([ "$n" = "$attacker" ] && echo 10.0.0.1 || echo 203.0.113.1)" \
	    >"$tmp/ping" 2>&1
done
mac_of() { ip -n "$1" neigh show "$2" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p'; }
own_mac() { ip -n "$1" -o link show "$2" | sed 's/.*ether \([^ ]*\).*/\1/'; }
inside_mac=$(mac_of "$attacker" 10.0.0.1)
outside_mac=$(mac_of "$outsider" 203.0.113.1)
attacker_mac=$(own_mac "$attacker" lya1)
outsider_mac=$(own_mac "$outsider" lya3)

rss() { awk '/^VmRSS/ {print $2}' "/proc/$lab/status"; }
drops() {
	"$LANYARD" show attack drops --json |
	    jq -r '.[] | select(.node == "gw") | "\(.reason) \(.frames)"'
}
forget() { echo forget >&"${talk[1]}"; }
report() { echo >&"${talk[1]}" && read -r -t 30 -u "${talk[0]}" line; }

# Of what the innocent host said: did it lose anything?
judge() {
	python3 -c 'import json, sys
w = json.loads(sys.argv[1])
u, t = w["udp"], w["tcp"]
print("UDP sent %d, arrived %d, back %d; TCP sent %d, back %d, sent again %d, "
      "of which %d had come" % (
      u["sent"], u["arrived"], u["back"], t["sent"], t["back"], t["resent"],
      t["late"]))
sys.exit(u["sent"] < 20 or u["sent"] != u["arrived"] or
         u["sent"] != u["back"] or t["sent"] != t["back"] or
         t["resent"] != t["late"])' "$1"
}
# percentile SINCE: the 99th of the times of the ping that goes on, in ms, and how
# many of its echo requests were not answered
percentile() {
	sed -n 's/^\[\([0-9.]*\)\].*icmp_seq=\([0-9]*\) .*time=\([0-9.]*\).*/\1 \2 \3/p' \
	    "$tmp/pings" | awk -v since="$1" '$1 >= since' | sort -n -k 3 | awk '
	    {t[NR] = $3; if (!low || $2 < low) low = $2; if ($2 > high) high = $2}
	    END {print NR ? t[int(NR * 0.99) + (NR < 100)] : "-", high - low + 1 - NR}'
}

# under NAME REASONS COMMAND...: the attack runs, then all that must hold
under() {
	name=$1
	reasons=$2
	shift 2
	forget # what was before
	drops >"$tmp/before"
	since=$(date +%s.%N)
	"$@" >"$tmp/attack" 2>&1
	report
	read -r p99 lost <<<"$(percentile "$since")"
	figures=$(judge "$line")
	is $? "$name: nothing of the other host's is lost"
	drops >"$tmp/after"
	for reason in $reasons; do
		before=$(awk -v r="$reason" '$1 == r {print $2}' "$tmp/before")
		after=$(awk -v r="$reason" '$1 == r {print $2}' "$tmp/after")
		[ "${after:-0}" -gt "${before:-0}" ]
		is $? "$name: is counted as $reason"
		figures="$figures; $reason $((${after:-0} - ${before:-0}))"
	done
	awk -v p="$p99" -v l="$lost" 'BEGIN {exit !(p != "-" && p < 100 && !l)}'
	is $? "$name: its pings are answered, 99 of 100 within 100 ms"
	figure "$name: $figures; ping p99 $p99 ms; RSS $(rss) KiB"
}
# inside, outside COMMAND...: there, for the time of an attack
inside() { timeout "$seconds" ip netns exec "$attacker" "$@"; }
outside() { timeout "$seconds" ip netns exec "$outsider" "$@"; }
# from_inside, from_outside KIND KEY=VALUE...: what scapy is to make
frames=
from_inside() { frames="$frames $* smac=$attacker_mac dmac=$inside_mac --"; }
from_outside() { frames="$frames $* smac=$outsider_mac dmac=$outside_mac --"; }
replay() { # inside|outside KIND
	device=lya1
	[ "$1" = outside ] && device=lya3
	preload=-K
	[ "$2" = scan ] && preload= # large, it would take all the time
	"$1" tcpreplay -q $preload --topspeed --loop 1000000 -i $device "$tmp/$2"
	return 0
}

from_inside scan "$tmp/scan" inside=10.0.0.64 hosts=$hosts ports=50000 \
    to=203.0.113.10
from_outside icmp "$tmp/icmp-outside" src=203.0.113.1 sport=8 tcp=9 \
    dst=203.0.113.10 dport=7 dtcp=7 from=203.0.113.10,203.0.113.66,
from_inside icmp "$tmp/icmp-inside" src=203.0.113.10 sport=7 tcp=7 \
    dst=10.0.0.10 dport=8 dtcp=9 from=10.0.0.66,10.0.0.10,
from_outside fragments "$tmp/fragments-outside" from=203.0.113.66 \
    to=203.0.113.1 n=800
from_inside fragments "$tmp/fragments-inside" from=10.0.0.66 \
    to=203.0.113.10 n=800
from_inside dhcp "$tmp/dhcp-one" n=1000 macs=one take=no
from_inside dhcp "$tmp/dhcp-many" n=1000 macs=many take=yes
from_inside arp "$tmp/arp" net=10.0.0 own=10.0.0.1 victim=10.0.0.10 n=300
from_inside dns "$tmp/dns" from=10.0.0.66 to=10.0.0.1 n=500
"$scapy" tests/labs/attacks $frames || {
	not_ok "scapy makes the frames of the attacks"
	exit 1
}

# Hosts believe what they hear about their gateway: that is not the router's.
ip -n "$innocent" neigh replace 10.0.0.1 lladdr "$inside_mac" dev lya0 \
    nud permanent
memory=$(rss)
under "SYN flood from one host inside" nat-host-limit \
    inside hping3 --flood -S -p ++1 203.0.113.10
ip netns exec "$innocent" ping -c 3 -i 0.2 -W 2 203.0.113.66 >"$tmp/ping" 2>&1
is $? "what the other host begins is not refused when one host has its share"
"$LANYARD" set attack gw nat.host-limit=20000
under "SYN flood from outside" nat-unsolicited \
    outside hping3 --flood --rand-source -S -p ++1 203.0.113.1
[ -n "${LONG:-}" ] && {
	seconds=60
	under "UDP from a million ports, once" nat-full \
	    inside tcpreplay -q --topspeed -i lya1 "$tmp/scan"
	seconds=${ATTACK_S:-0.7}
}
under "UDP from $((hosts * 50000)) ports" nat-full replay inside scan
under "ICMP errors from outside" nat-icmp-unknown replay outside icmp-outside
under "ICMP errors from inside" "nat-icmp-unknown martian" \
    replay inside icmp-inside
under "fragments from outside" fragment replay outside fragments-outside
under "fragments from inside" fragment replay inside fragments-inside
lease() {
	ip netns exec "$innocent" udhcpc -i lya0 -n -q -f -t 10 -T 1 \
	    -s /bin/true 2>&1 | sed -n 's/.*lease of \([0-9.]*\) obtained.*/\1/p'
}
mine=$(lease)
under "DHCP for stations that are not" dhcp-limit replay inside dhcp-one
under "DHCP from stations that are not" dhcp-full replay inside dhcp-many
replay inside dhcp-many >"$tmp/attack" 2>&1 &
same=$(lease)
[ -n "$mine" ] && [ "$same" = "$mine" ]
is $? "the lease that the other host has, ${mine:-none}, is its own meanwhile: ${same:-none}"
wait $!
under "ARP in any name" "group-source martian arp-op" replay inside arp
under "DNS queries" "" replay inside dns

# A table of 20000 entries, its share of mappings, and what may wait for a
# neighbour or for fragments.
once=$(rss)
[ $((once - memory)) -lt 16384 ]
is $? "the attacks took no more memory than the limits of tables: $((once - memory)) KiB"
under "the scan again" nat-full replay inside scan
# Its entries are listed in pieces: frames pass in between.
listed() {
	"$LANYARD" show attack nat --json >"$tmp/rows"
}
under "a full table is listed" "" listed
[ "$(jq length "$tmp/rows")" -gt 15000 ]
is $? "all of it: $(jq length "$tmp/rows") entries"
under "the fragments again" fragment replay inside fragments-inside
again=$(rss)
[ $((again - once)) -lt 1024 ]
is $? "and no more the next time: $((again - once)) KiB"
"$LANYARD" show attack drops | note
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
