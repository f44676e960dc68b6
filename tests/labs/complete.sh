#!/bin/bash
# The shell completes commands, options, tables, and the names of a lab that
# runs.
. "$(dirname "$0")/tap.sh"
cat >"$tmp/lab.yaml" <<Y
lab: words
switches: {lan: }
vms:
  alice: {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.254/24}
      outside: {switch: lan, address: 203.0.113.1/24}
    nat: {outside: outside}
Y
"$LANYARD" run "$tmp/lab.yaml" >"$tmp/log" 2>&1 &
pids="$pids $!"
until_true 20 grep -q "alice is ready" "$tmp/log"
is $? "the lab runs"

# What bash makes of a line's last word.
lanyard() { "$LANYARD" "$@"; }
. lab/lanyard.bash
completes() { # WORD... IS WHAT...
	COMP_WORDS=(lanyard)
	while [ "$1" != = ]; do
		COMP_WORDS+=("$1")
		shift
	done
	shift
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_lanyard "$LANYARD" "${COMP_WORDS[COMP_CWORD]}"
	[ "${COMPREPLY[*]}" = "$*" ]
	is $? "${COMP_WORDS[*]}: $*"
}
completes sch = schema
completes pcap st = stats
completes nat t = test
completes run --f = --for
completes run --for 3 x =
completes show w = words
completes show words nat = nat nat-rules
completes show words nat f = flows
completes exec words a = alice
completes exec words alice -- a =
completes set words alice. = alice.eth0
completes set words lan.g = lan.gw.inside lan.gw.outside
completes nat test words g = gw
completes show nobody-runs-this v = vlans vms
completes exec nobody-runs-this a =
completes nothing-like-this a =
