#!/bin/bash
# A LAN bridged to a Linux bridge with a second host behind: every frame comes
# once, both ways.  The same LAN bridged to it twice, by mistake: the loop is
# found, said and cut.
# BRIDGE_SECONDS: how long traffic runs (3).
. "$(dirname "$0")/tap.sh"
need_root bridge-loop
for program in ip python3 ping; do need bridge-loop $program; done
[ -c /dev/net/tun ] || skip_all "bridge-loop: needs /dev/net/tun"
seconds=${BRIDGE_SECONDS:-3}
once=$PWD/tests/labs/each-once

# near runs the lab and has the NICs n0 and n1; middle has the bridge br0 that
# both lead to; far is a host behind that, one a host in the LAN.
for each in near middle far one; do
	namespace $each || skip_all "bridge-loop: cannot make network namespaces"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	eval $each=$ns
done
ip -n "$middle" link add br0 type bridge stp_state 0 2>"$tmp/why" ||
    skip_all "bridge-loop: cannot make a bridge: $(cat "$tmp/why")"
ip -n "$middle" link set br0 up
# behind NAMESPACE INTERFACE PORT: a cable from there to the bridge
behind() {
	ip -n "$1" link add "$2" type veth peer name "$3" netns "$middle"
	ip -n "$middle" link set "$3" master br0 up
	ip -n "$1" link set "$2" up
}
behind "$near" n0 f0
behind "$near" n1 f1
behind "$far" h0 f2
ip -n "$far" addr add 192.0.2.2/24 dev h0

# lab MODE [BRIDGE]: runs it, with a host on a TAP; BRIDGE is one more line
lab() {
	cat >"$tmp/loop.yaml" <<-END
	lab: loop
	switches:
	  lan:
	bridges:
	  out: {mode: $1, nic: n0, switch: lan}
	  ${2:-}
	plugs:
	  one: {locator: "tap:g0", switch: lan}
	END
	ip netns exec "$near" "$LANYARD" run "$tmp/loop.yaml" >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 20 "$LANYARD" show loop ports || note <"$tmp/log"
	ip -n "$near" link set g0 netns "$one"
	ip -n "$one" link set g0 address 02:00:00:00:01:01 up
	ip -n "$one" addr add 192.0.2.1/24 dev g0
}
end() { kill "$lab"; wait "$lab" 2>/dev/null; }
reaches() { ip netns exec "$1" ping -q -c 5 -i 0.2 -W 1 "$2" >"$tmp/ping" 2>&1; }
# frames, both ways, that the bridge's port to the NIC has seen
passed() {
	cat_it="/sys/class/net/f0/statistics"
	ip netns exec "$middle" sh -c "cat $cat_it/rx_packets $cat_it/tx_packets" |
	    awk '{ sum += $1 } END { print sum }'
}

# ---- once ----
lab bridged
until_true 10 reaches "$one" 192.0.2.2
is $? "the hosts reach each other"
ip netns exec "$far" "$once" h0 "$seconds" >"$tmp/far" &
other=$!
ip netns exec "$one" "$once" g0 "$seconds" >"$tmp/one"
wait "$other"
for who in one far; do
	read -r sent got double missing <"$tmp/$who"
	[ "$got" -ge $((seconds * 100)) ] && [ "$double" = 0 ]
	is $? "host $who got $got frames in $seconds s, none of them twice"
	[ "$missing" = 0 ]
	is $? "... and missed none"
	figure "bridged, host $who: sent $sent, received $got, twice $double," \
	    "missing $missing in $seconds s"
done
end

# ---- twice ----
before=$(passed)
lab bridged "again: {nic: n1, switch: lan}"
# To everybody: what comes back by the other NIC would go round.
ip netns exec "$one" ping -q -b -c 3 -i 0.2 192.0.2.255 >/dev/null 2>&1
until_true 10 grep -q 'a loop leads from here to' "$tmp/log"
is $? "bridged twice: the loop is found and said"
grep 'a loop' "$tmp/log" | note
"$LANYARD" show loop ports >"$tmp/ports"
grep -q 'blocked: a loop with' "$tmp/ports"
is $? "... and shown"
note <"$tmp/ports"
sleep 1
round=$(($(passed) - before))
[ "$round" -gt 0 ] && [ "$round" -lt 20000 ]
is $? "it is cut: $round frames passed until then"
figure "bridged twice: $round frames passed the NIC until the loop was cut"
before=$(passed)
sleep 2
calm=$(($(passed) - before))
[ "$calm" -lt 100 ]
is $? "... and nothing goes round: $calm frames in 2 s"
reaches "$one" 192.0.2.2 && ! grep -q duplicates "$tmp/ping"
is $? "the hosts reach each other, no answer comes twice"
note <"$tmp/ping"
ip -n "$middle" link set f1 down
until_true 15 sh -c "! \"$LANYARD\" show loop ports | grep -q blocked"
is $? "the loop gone, nothing is blocked"
end
# MAC-NAT changes what would tell of a loop.
sed -i 's/{nic: n1/{mode: mac-nat, nic: n1/' "$tmp/loop.yaml"
! "$LANYARD" check "$tmp/loop.yaml" >"$tmp/check" 2>&1 &&
    grep -q 'could make a loop' "$tmp/check"
is $? "twice, once by MAC-NAT, is refused before it runs"
note <"$tmp/check"
