#!/bin/bash
# Hosts behind our NAT ask for mappings: natpmpc by NAT-PMP, and a client of PCP
# that was written from the RFC.  Who is outside then reaches them.
#
#   client ── tap ── lan ── gw ── wan ── tap ── server
#
# By IPv4 the router translates, by IPv6 it filters.
. "$(dirname "$0")/tap.sh"
need_root natpmp
for program in ip natpmpc python3; do need natpmp $program; done
[ -w /dev/net/tun ] || skip_all "natpmp: needs /dev/net/tun"
namespace router || skip_all "natpmp: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

# start PROTOCOLS
start() {
	cat >"$tmp/pcp.yaml" <<-Y
	lab: natpmp
	switches: {lan: , wan: }
	routers:
	  gw:
	    ports:
	      inside: {switch: lan, address: 10.0.0.1/24, address6: "2001:db8:1::1/64"}
	      outside: {switch: wan, address: 203.0.113.1/24, address6: "2001:db8:2::1/64"}
	    nat: {outside: outside}
	    firewall6: {outside: outside}
	    pcp: {protocols: $1, min-lifetime: 3s}
	plugs:
	  client: {switch: lan, locator: "tap:lyk0"}
	  server: {switch: wan, locator: "tap:lyk1"}
	Y
	ip netns exec "$router" "$LANYARD" run "$tmp/pcp.yaml" >"$tmp/log" 2>&1 &
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
	ip -n "$client" addr add 10.0.0.11/24 dev lyk0
	ip -n "$server" addr add 203.0.113.10/24 dev lyk1
	ip -n "$client" addr add 2001:db8:1::10/64 dev lyk0 nodad
	ip -n "$server" addr add 2001:db8:2::10/64 dev lyk1 nodad
	ip -n "$client" link set lyk0 up
	ip -n "$server" link set lyk1 up
	ip -n "$client" route add default via 10.0.0.1
	ip -n "$client" route add default via 2001:db8:1::1
	ip -n "$server" route add default via 2001:db8:2::1
}
stop() {
	kill -INT $lab
	wait $lab
}
inside() { timeout 20 ip netns exec "$client" "$@"; }
outside() { timeout 20 ip netns exec "$server" "$@"; }
pcp() { inside tests/labs/pcp-client 10.0.0.1 "$@" >"$tmp/pcp" 2>&1; }
pcp6() { inside tests/labs/pcp-client 2001:db8:1::1 "$@" >"$tmp/pcp" 2>&1; }
answers() { ! grep -q unlike "$tmp/pcp" && grep -q -- "$1" "$tmp/pcp"; }
shows() { "$LANYARD" show natpmp nat | grep -q "$1"; }
# connects ADDRESS PORT SECONDS: is TCP answered there, for who comes from outside?
connects() {
	outside python3 -c 'import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()' \
	    "$@" 2>/dev/null
}
reached() { connects 203.0.113.1 "$1" 6; }
refused() { ! connects 203.0.113.1 "$1" 0.5; }

start both
inside tests/labs/pcp-client listen 5 >"$tmp/heard" 2>&1 &
listener=$!
pids="$pids $listener"
inside tests/labs/pcp-client listen 5 lyk0 >"$tmp/heard6" 2>&1 &
listener6=$!
pids="$pids $listener6"
for port in 5000 5001 5002; do
	ip netns exec "$client" python3 -m http.server -b :: $port >/dev/null 2>&1 &
	pids="$pids $!"
done
for port in 5000 5001 5002; do
	until_true 5 inside sh -c "ss -Hltn | grep -q :$port"
done

refused 40000
is $? "before, nobody is reached from outside"
inside natpmpc >"$tmp/pmp" 2>&1
grep -q 'Public IP address : 203\.0\.113\.1' "$tmp/pmp"
is $? "natpmpc finds the router and is told the outer address"
inside natpmpc -g 10.0.0.1 -a 40000 5000 tcp 7200 >"$tmp/pmp" 2>&1
grep -q 'Mapped public port 40000 protocol TCP to local port 5000 lif[a-z]* 7200' \
    "$tmp/pmp"
is $? "natpmpc maps TCP port 5000 as 40000"
note <"$tmp/pmp"
reached 40000
is $? "a stranger outside reaches it, though filters are strict"
shows 'tcp *10.0.0.10:5000 *203.0.113.1:40000.*pinned.*asked for it by NAT-PMP'
is $? "show nat tells why it is there"
inside natpmpc -g 10.0.0.1 -a 0 5000 tcp 0 >"$tmp/pmp" 2>&1
grep -q 'protocol TCP to local port 5000 lif[a-z]* 0' "$tmp/pmp"
is $? "natpmpc deletes it"
! shows pinned
is $? "... and it is gone"

pcp map protocol=tcp in=5001 out=41000 lifetime=600
answers 'op=129 result=0 lifetime=600 .*out=203.0.113.1:41000'
is $? "PCP maps it as 41000"
reached 41000
is $? "and it is reached"
pcp map protocol=tcp in=5001 out=41000 lifetime=600 filter=198.51.100.7/32:0
answers 'result=0'
is $? "a filter is added"
refused 41000
is $? "who is not named is not admitted"
pcp map protocol=tcp in=5001 out=41000 lifetime=0 nonce=another
answers 'result=2 lifetime=[1-9]'
is $? "another nonce deletes nothing"
pcp map protocol=tcp in=6000 out=41000 prefer-failure
answers 'result=11 '
is $? "PREFER_FAILURE of a port that is taken fails"
pcp map protocol=tcp in=6000 out=41000
answers 'result=0 .*out=203.0.113.1:' && ! answers ':41000'
is $? "without it there is another"
pcp map in=6000 third-party=10.0.0.77
answers 'result=5 '
is $? "nobody asks for others"
pcp map in=6000 client=10.0.0.77
answers 'result=12 '
is $? "nor as another"
pcp map protocol=sctp in=6000
answers 'result=9 '
is $? "SCTP is not supported"
pcp peer in=6001 out=42000 remote=203.0.113.10:9 lifetime=600
answers 'op=130 result=0 lifetime=600 .*out=203.0.113.1:42000'
is $? "PEER brings back a port"
shows 'udp *10.0.0.10:6001 *203.0.113.1:42000 *203.0.113.10:9 *pinned.*asked for it by PCP'
is $? "show nat tells for whom"
pcp map in=6003 option=129:0102030405
answers 'result=0 '
is $? "an option that may be ignored is"
pcp map in=6003 option=9:
answers 'result=5 '
is $? "another that must be known is refused, and comes back"
pcp peer in=6001 remote=203.0.113.10:9 lifetime=0
answers 'result=0 lifetime=[1-9]'
is $? "PEER does not delete"
pcp map in=6001 lifetime=0
answers 'result=2 '
is $? "and MAP not what PEER made"
pcp map in=5351
answers 'result=0 ' && ! answers ':535[01]$'
is $? "nobody has PCP's own port"
pcp announce
answers 'op=128 result=0 lifetime=0 epoch=[0-9]'
is $? "ANNOUNCE tells the epoch"
pcp raw hex=030100000000000000000000000000000000ffff0a00000a
answers 'version=2 op=129 result=1 '
is $? "version 3 is told which is spoken"
pcp raw hex=020500000000000000000000000000000000ffff0a00000a
answers 'result=4 '
is $? "opcode 5 is not supported"
pcp map in=6002 out=43000 lifetime=1
answers 'lifetime=3 '
is $? "a second is too short, and made three"
until_true 5 eval '! shows :43000'
is $? "after which it is gone"

# ---- IPv6 ----

reached6() { connects 2001:db8:1::10 "$1" 6; }
refused6() { ! connects 2001:db8:1::10 "$1" 0.5; }
holes() { "$LANYARD" show natpmp flows | grep -q "$1"; }
refused6 5002
is $? "before, nobody outside begins anything by IPv6"
pcp6 map protocol=tcp in=5002 lifetime=600
answers 'op=129 result=0 lifetime=600 .*out=\[2001:db8:1::10\]:5002'
is $? "PCP over IPv6 opens a hole: the end outside is the host's own"
reached6 5002
is $? "and it is reached"
holes 'tcp *\[2001:db8:1::10\]:5002 *any *pinned.*asked for it by PCP' &&
    holes 'a host outside began, as the inside one asked for'
is $? "show flows tells why"
pcp6 map protocol=tcp in=5002 lifetime=600 filter=2001:db8:9::/48:0
answers 'result=0' && refused6 5002
is $? "with a filter, not for who is not named"
pcp6 map protocol=tcp in=5002 lifetime=0 nonce=another
answers 'result=2 lifetime=[1-9]'
is $? "another nonce closes nothing"
pcp6 map protocol=tcp in=5002 lifetime=0
answers 'result=0 lifetime=0' && ! holes pinned
is $? "who opened it closes it"
pcp6 map in=5003 out=5004 prefer-failure
answers 'result=11 '
is $? "there is no other port outside"
pcp6 map protocol=all lifetime=600
answers 'result=0 .*out=\[2001:db8:1::10\]:0' && reached6 5002
is $? "all protocols can be asked for"
pcp6 map protocol=all lifetime=0
pcp6 map in=5003 client=2001:db8:1::77
answers 'result=12 '
is $? "nobody asks as another"
pcp6 raw hex=0000
answers 'version=2 op=128 result=1 '
is $? "NAT-PMP is not spoken by IPv6"
wait $listener $listener6
grep -q '^fe80::.*:5351 version=2 op=128 result=0' "$tmp/heard6"
is $? "the router announced itself by IPv6"
note <"$tmp/heard6"
grep -q '^10.0.0.1:5351 version=2 op=128 result=0' "$tmp/heard" &&
    grep -q '^10.0.0.1:5351 version=0 op=128 result=0' "$tmp/heard"
is $? "the router announced itself by both protocols"
"$LANYARD" show natpmp drops >"$tmp/drops"
grep -q 'gw.*pcp-refused' "$tmp/drops" && grep -q 'gw.*pcp-unsupported' "$tmp/drops"
is $? "refusals are counted by reason"
note <"$tmp/drops"
stop

start nat-pmp
pcp announce
answers 'version=0 op=128 result=1'
is $? "a router of NAT-PMP alone says so to who speaks PCP"
stop
start pcp
pcp raw hex=0000
answers 'version=2 op=128 result=1 '
is $? "a router of PCP alone says so to who speaks NAT-PMP"
stop
