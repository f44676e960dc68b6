#!/bin/bash
# lanyard nat test: guests find out by packets alone what a NAT does, and it is
# what the NAT is told to do; what is changed while the lab runs is found as
# well, and so is what a router does otherwise than it was told.
# NAT_EXAMINE=all: every combination of mapping, filtering, ports and hairpin,
# and each preset; otherwise a few.
. "$(dirname "$0")/tap.sh"

# lab NAME [MORE OF GW]...: the lines of a lab with two guests on each side
lab() {
	name=$1
	shift
	cat <<-Y
	lab: $name
	switches:
	  lan:
	  internet:
	routers:
	  gw:
	    ports:
	      inside:  {switch: lan, address: 10.0.0.1/24}
	      outside: {switch: internet, address: 203.0.113.1/24}
	    nat: {outside: outside, udp-idle: 300s}
	vms:
	  alice:    {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.100/24, gateway: 10.0.0.1}}}
	  bob:      {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.101/24, gateway: 10.0.0.1}}}
	  friend:   {guest: tiny, ports: {eth0: {switch: internet, address: 203.0.113.10/24, gateway: 203.0.113.1}}}
	  stranger: {guest: tiny, ports: {eth0: {switch: internet, address: 203.0.113.66/24, gateway: 203.0.113.1}}}
	captures:
	  - {at: [gw.inside, gw.outside], file: $name.pcapng}
	Y
}
start() { # LAB
	(cd "$tmp" && exec "$LANYARD" run "$1.yaml" --for 900s) \
	    >"$tmp/$1.log" 2>&1 &
	pids="$pids $!"
	until_true 20 "$LANYARD" show "$1" vms && return
	not_ok "the lab $1 starts"
	note <"$tmp/$1.log"
	exit 1
}
examine() { timeout 300 "$LANYARD" nat test "$@" >"$tmp/found" 2>"$tmp/why"; }
# found BEHAVIOUR VALUE [AGREES]
found() {
	awk -v what="$1" -v is="$2" -v agrees="${3:-yes}" '
	    $1 == what && $2 == is && $4 == agrees { hit = 1 }
	    END { exit !hit }' "$tmp/found"
}
set_nat() { "$LANYARD" set examine gw "$@" 2>"$tmp/why"; }

# The timers' lab runs beside the others: it mostly waits.
lab timers | sed 's/udp-idle: 300s/udp-idle: 2s, udp-one-way: 1s/' \
    >"$tmp/timers.yaml"
start timers
timeout 300 "$LANYARD" nat test timers gw --timers 3s \
    >"$tmp/timers.found" 2>&1 &
timers=$!

lab examine >"$tmp/examine.yaml"
start examine
examine examine gw
is $? "a NAT by the RFCs is found to be what it is told"
note <"$tmp/found"
[ "$(awk 'NR > 3 && $4 == "yes"' "$tmp/found" | wc -l)" = 11 ]
is $? "... with nothing left open"
examine examine gw --json && jq -e 'length == 11 and all(.agrees)' "$tmp/found"
is $? "... for programs as well" >&2

# Nothing but packets tells the guest: asked without the lab's command, it finds
# the same, and what is set meanwhile.
set_nat nat.mapping=address-dependent nat.filtering=address-dependent
"$LANYARD" exec examine friend -- stund 203.0.113.66 >"$tmp/out" 2>&1 &&
    "$LANYARD" exec examine stranger -- stund 203.0.113.10 >"$tmp/out" 2>&1 &&
    "$LANYARD" exec examine alice -- nattest 203.0.113.10 >"$tmp/found" 2>&1
is $? "a guest examines the NAT by itself"
note <"$tmp/found"
grep -q '^mapping *address-dependent ' "$tmp/found" &&
    grep -q '^filtering *address-dependent ' "$tmp/found"
is $? "... and finds what was set meanwhile"

try() { # KEY=VALUE...
	words="$*"
	set_nat "$@" nat.udp-idle=10s nat.udp-one-way=10s \
	    nat.port-rest=0s || { not_ok "set $words"; note <"$tmp/why"; return; }
	examine examine gw
	is $? "${words//nat./}: is found"
	[ -s "$tmp/why" ] && note <"$tmp/why"
	grep -q ' no ' "$tmp/found" && note <"$tmp/found"
	! grep -q ' unknown ' "$tmp/found"
	is $? "${words//nat./}: all of it"
}
behaviours="endpoint-independent address-dependent address-and-port-dependent"
if [ "${NAT_EXAMINE:-}" = all ]; then
	for m in $behaviours; do for f in $behaviours; do
	for p in preserving contiguous random blocks; do
	for h in external internal; do
		try nat.preset=rfc4787 nat.mapping=$m nat.filtering=$f \
		    nat.ports=$p nat.hairpin-source=$h
	done; done; done; done
	for p in rfc4787 full-cone restricted port-restricted symmetric linux \
	    pf cgn; do
		try nat.preset=$p
		try nat.preset=$p nat.parity=false nat.hairpin=false
	done
fi
try nat.preset=cgn
try nat.preset=linux
found ports overloading && found mapping address-and-port-dependent
is $? "linux: a neighbour shows that it is not endpoint-independent"
try nat.preset=rfc4787 nat.ports=contiguous nat.parity=true \
    nat.hairpin-source=internal
found hairpin-source internal
is $? "the source of a hairpin is found"
# Alone, alice cannot see all, and it is said so.
set_nat nat.preset=linux
examine examine gw --inside alice --outside stranger,friend
is $? "without a neighbour nothing is said to differ"
found mapping endpoint-independent -
is $? "... and what only a neighbour shows is left open"

# Several outside addresses, one for each host or any for each port.
lab pool | sed 's/udp-idle: 300s/addresses: [203.0.113.5, 203.0.113.6, 203.0.113.7], pooling: arbitrary/' \
    >"$tmp/pool.yaml"
start pool
examine pool gw
is $? "a pool: is found"
found pooling arbitrary
is $? "... that any port may have any address"
note <"$tmp/found"
"$LANYARD" set pool gw nat.pooling=paired && examine pool gw && found pooling paired
is $? "... and that a host has one"
note <"$tmp/found"

# A filter that eats what a NAT should translate.
lab eats | sed 's/^    nat:/    filter:\n      - {match: icmp, do: drop}\n      - {out: outside, match: "ip[6:2] \& 0x3fff != 0", do: drop}\n&/' \
    >"$tmp/eats.yaml"
start eats
examine eats gw
[ $? = 1 ]
is $? "what a router does otherwise than told is found"
found icmp-errors lost no && found fragments lost no
is $? "... lost ICMP errors and fragments"
note <"$tmp/found"

# Labs and names that will not do.
sed '/^  stranger:/d; s/^lab: .*/lab: one/; /captures/,$d' "$tmp/examine.yaml" \
    >"$tmp/one.yaml"
start one
examine one gw
[ $? = 2 ] && grep -q 'no two tiny guests' "$tmp/why"
is $? "one address outside is not enough, and it is said so"
examine one lan
[ $? = 2 ] && grep -q 'no router with NAT' "$tmp/why"
is $? "what is no router is said to be none"
examine examine gw --inside zoe
[ $? = 2 ] && grep -q '"zoe" is no VM' "$tmp/why"
is $? "nor is a guest that does not exist"

wait $timers
is $? "timers: are found"
cp "$tmp/timers.found" "$tmp/found"
note <"$tmp/found"
found refresh both && grep -q '^udp-one-way .* 1s  *yes' "$tmp/found"
is $? "timers: idle, one-way, and what refreshes"

sleep 2.5 # its entries are gone
"$LANYARD" set timers gw nat.host-limit=16 &&
    examine timers gw --inside alice && found host-limit reached
is $? "a limit of a host's entries is found"
note <"$tmp/found"

# What was asked can be looked at.
if command -v tshark >/dev/null; then
	tshark -r "$tmp/examine.pcapng" -Y 'stun && !_ws.malformed' 2>/dev/null |
	    grep -q 'Binding Request'
	is $? "the questions are in the capture, and Wireshark reads them"
else
	skip "the capture as Wireshark reads it: needs tshark"
fi
