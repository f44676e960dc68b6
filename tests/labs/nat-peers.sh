#!/bin/bash
# What programs of others find of our router, from behind it: coturn's
# natdiscovery and the classic STUN client tell each of the nine kinds of NAT;
# traceroute, mtr, hping3, nmap and iperf3 go across.
#
#   client ── tap ── lan ── gw ── wan ── tap ── server, with two addresses
. "$(dirname "$0")/tap.sh"
need_root nat-peers
for program in ip turnserver turnutils_natdiscovery stund stun traceroute mtr \
    hping3 nmap iperf3 python3; do
	need nat-peers $program
done
[ -w /dev/net/tun ] || skip_all "nat-peers: needs /dev/net/tun"

namespace router || skip_all "nat-peers: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

# start MAPPING FILTERING
start() {
	cat >"$tmp/kinds.yaml" <<-Y
	lab: natkinds
	switches:
	  lan:
	  wan:
	routers:
	  gw:
	    ports:
	      inside: {switch: lan, address: 10.0.0.1/24}
	      outside: {switch: wan, address: 203.0.113.1/24, mtu: 1400}
	    nat: {outside: outside, mapping: $1, filtering: $2}
	plugs:
	  client: {switch: lan, locator: "tap:lyk0"}
	  server: {switch: wan, locator: "tap:lyk1"}
	Y
	ip netns exec "$router" "$LANYARD" run "$tmp/kinds.yaml" \
	    >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 10 ip -n "$router" link show lyk0
	until_true 10 ip -n "$router" link show lyk1 || {
		not_ok "the lab starts"
		note <"$tmp/log"
		exit 1
	}
	ip -n "$router" link set lyk0 netns "$client"
	ip -n "$router" link set lyk1 netns "$server"
	ip -n "$client" addr add 10.0.0.10/24 dev lyk0
	ip -n "$server" addr add 203.0.113.10/24 dev lyk1
	ip -n "$server" addr add 203.0.113.11/24 dev lyk1
	ip -n "$client" link set lyk0 up
	ip -n "$server" link set lyk1 up
	ip -n "$client" route add default via 10.0.0.1
}
stop() {
	kill -INT $lab
	wait $lab
}
serve() {
	ip netns exec "$server" "$@" >>"$tmp/served" 2>&1 &
	served="$served $!"
	pids="$pids $!"
}
inside() { timeout 30 ip netns exec "$client" "$@"; }
listens() { ip netns exec "$server" ss -Hlun "sport = :$1" | grep -q 203; }

# try MAPPING FILTERING WORD OF NATDISCOVERY FOR EACH, PATTERN OF STUN
try() {
	start "$1" "$2"
	served=
	serve turnserver -n --no-tls --no-dtls --no-cli --stun-only --no-auth \
	    -L 203.0.113.10 -L 203.0.113.11 --pidfile "$tmp/turn.pid" \
	    --log-file stdout --simple-log
	until_true 5 listens 3478
	inside turnutils_natdiscovery -m 203.0.113.10 >"$tmp/mapping" 2>&1
	grep -q "NAT with $3 Mapping" "$tmp/mapping"
	is $? "natdiscovery finds that the mapping is $1, filtering $2"
	inside turnutils_natdiscovery -f 203.0.113.10 >"$tmp/filtering" 2>&1
	grep -q "NAT with $4 Filtering" "$tmp/filtering"
	is $? "natdiscovery finds that the filtering is $2, mapping $1"
	for p in $served; do kill $p; wait $p; done 2>/dev/null
	served=
	serve stund -h 203.0.113.10 -a 203.0.113.11 -p 3478 -o 3479
	until_true 5 listens 3478
	inside stun 203.0.113.10:3478 -p 4444 >"$tmp/stun" 2>&1
	grep -q "$5" "$tmp/stun"
	is $? "the STUN client agrees: $5"
	grep -h 'NAT with\|Primary' "$tmp/mapping" "$tmp/filtering" "$tmp/stun" | note
	for p in $served; do kill $p; wait $p; done 2>/dev/null
	stop
}
ei=endpoint-independent ad=address-dependent apd=address-and-port-dependent
EI="Endpoint Independent" AD="Address Dependent" APD="Address and Port Dependent"
try $ei $ei "$EI" "$EI" "Independent Mapping, Independent Filter"
try $ei $ad "$EI" "$AD" "Independent Mapping, Address Dependent Filter"
try $ei $apd "$EI" "$APD" "Independent Mapping, Port Dependent Filter"
# The classic client tells no more of other mappings than this.
try $ad $ei "$AD" "$EI" "Dependent Mapping"
try $ad $ad "$AD" "$AD" "Dependent Mapping"
try $ad $apd "$AD" "$APD" "Dependent Mapping"
try $apd $ei "$APD" "$EI" "Dependent Mapping"
try $apd $ad "$APD" "$AD" "Dependent Mapping"
try $apd $apd "$APD" "$APD" "Dependent Mapping"

start $ei $apd
served=
serve python3 -m http.server -b 203.0.113.10 80
serve iperf3 -s -B 203.0.113.10
ip netns exec "$server" ip link set lyk1 mtu 1400
until_true 5 ip netns exec "$server" sh -c 'ss -Hltn | grep -q :80.'
for kind in -U -I "-T -p 80"; do
	inside traceroute -n -q 1 -w 2 $kind 203.0.113.10 >"$tmp/trace" 2>&1
	[ "$(grep -c '^ 1  10\.0\.0\.1 \|^ 2  203\.0\.113\.10 ' "$tmp/trace")" = 2 ]
	is $? "traceroute $kind shows our hop and the server"
done
inside traceroute -n -q 1 --mtu 203.0.113.10 >"$tmp/trace" 2>&1
grep -q 'F=1400' "$tmp/trace"
is $? "traceroute --mtu finds the outer link's MTU"
inside mtr -n -r -c 3 -i 0.2 203.0.113.10 >"$tmp/mtr" 2>&1
[ "$(grep -c '10\.0\.0\.1 * 0\.0%\|203\.0\.113\.10 * 0\.0%' "$tmp/mtr")" = 2 ]
is $? "mtr shows our hop and the server, without loss"
inside hping3 -c 3 -i u100000 -S -p 80 203.0.113.10 >"$tmp/hping" 2>&1
[ "$(grep -c 'flags=SA' "$tmp/hping")" = 3 ]
is $? "hping3's SYNs are answered"
inside hping3 -c 1 -S -p 81 203.0.113.10 >"$tmp/hping" 2>&1
grep -q 'flags=RA' "$tmp/hping"
is $? "hping3 is told that a TCP port is closed"
inside nmap -n -Pn -sS -p 80,81,5201 203.0.113.10 >"$tmp/nmap" 2>&1
grep -q '^80/tcp *open' "$tmp/nmap" && grep -q '^81/tcp *closed' "$tmp/nmap" &&
    grep -q '^5201/tcp *open' "$tmp/nmap"
is $? "nmap finds the ports that are open and closed"
inside nmap -n -Pn -sU -p 9 203.0.113.10 >"$tmp/nmap" 2>&1
grep -q '^9/udp *closed' "$tmp/nmap"
is $? "nmap is told that a UDP port is closed"
inside iperf3 -c 203.0.113.10 -t 2 -J >"$tmp/iperf" 2>&1
rate=$(python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print("%.2f" % (r["end"]["sum_received"]["bits_per_second"] / 1e9))' "$tmp/iperf")
is $? "iperf3 goes across, over the smaller MTU outside"
figure "iperf3, one stream, MTU 1500 inside and 1400 outside: $rate Gbit/s"
note <"$tmp/mtr"
stop
