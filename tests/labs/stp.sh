#!/bin/bash
# A ring of two switches of ours and a bridge of theirs: Open vSwitch with RSTP,
# then the kernel's bridge with STP.  Each link is cut and mended in turn while
# numbered datagrams go from alice to bob, from bob to carol and from carol to
# alice, one a millisecond each.
#
#   alice ── tap ── s1 ───────────── s2 ── tap ── carol
#                     \             /
#                  tap lyl       tap lyr
#                       \         /
#                        their br0 ── veth ── bob
#
# STP waits for its timers: the kernel's bridge sees one cut, unless STP_LONG=1
# asks for all three.
. "$(dirname "$0")/tap.sh"
need_root stp
for program in ip python3 ethtool; do need stp $program; done
[ -w /dev/net/tun ] || skip_all "stp: needs /dev/net/tun"

stream=$PWD/tests/labs/stp-stream
now() { date +%s.%N; }

# lab STP-MODE FORWARD-DELAY MAX-AGE HELLO
start_lab() {
	cat >"$tmp/$peer.yaml" <<Y
lab: $peer-ring
switches:
  s1:
    uplinks: [s2]
    stp: {mode: $1, priority: 4096, forward-delay: $2, max-age: $3, hello: $4,
        ports: [{to: alice.eth0, edge: yes}]}
  s2: {stp: {mode: $1, forward-delay: $2, max-age: $3, hello: $4,
        ports: [{to: carol.eth0, edge: yes}]}}
plugs:
  alice: {switch: s1, locator: "tap:lya"}
  carol: {switch: s2, locator: "tap:lyc"}
  left: {switch: s1, locator: "tap:lyl"}
  right: {switch: s2, locator: "tap:lyr"}
Y
	ip netns exec "$theirs" "$LANYARD" run "$tmp/$peer.yaml" \
	    >"$tmp/$peer.log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	for tap in lya lyc lyl lyr; do
		until_true 10 ip -n "$theirs" link show $tap
	done
	give lya "$alice" 10.9.0.1
	give lyc "$carol" 10.9.0.3
}

# give TAP NAMESPACE ADDRESS
give() {
	ip -n "$theirs" link set "$1" netns "$2"
	ip -n "$2" link set "$1" up
	ip -n "$2" addr add "$3/24" dev "$1"
	# Open vSwitch reads frames by a raw socket, and so misses that their
	# checksums are left to others.
	ip netns exec "$2" ethtool -K "$1" tx off >/dev/null 2>&1
}

set_up() {
	namespace "$peer-t" || skip_all "stp: no network namespaces here"
	theirs=$ns
	namespace "$peer-a"; alice=$ns
	namespace "$peer-b"; bob=$ns
	namespace "$peer-c"; carol=$ns
	ip -n "$theirs" link add lyv type veth peer name eth0 netns "$bob"
	ip -n "$theirs" link set lyv up
	ip -n "$bob" link set eth0 up
	ip -n "$bob" addr add 10.9.0.2/24 dev eth0
	ip netns exec "$bob" ethtool -K eth0 tx off rx off >/dev/null 2>&1
}

stop_lab() {
	kill -INT $lab
	wait $lab
	is $? "$peer: the lab ends with status 0 on Ctrl-C"
	note <"$tmp/$peer.log"
}

show() {
	"$LANYARD" show "$peer-ring" trees 2>&1 | note
	"$LANYARD" show "$peer-ring" stp 2>&1 | note
}

# converges SECONDS ADDRESS...
converges() {
	limit=$1
	shift
	for to in "$@"; do
		until_true "$limit" ip netns exec "$alice" ping -c 1 -W 1 "$to"
		is $? "$peer: the ring lets alice reach $to"
	done
	show
}

# stream NAMESPACE ADDRESS TO COUNT, and what comes to ADDRESS is kept
stream() {
	ip netns exec "$1" "$stream" receive "$2" "$tmp/$peer.at-$2" &
	pids="$pids $!"
	sleep 0.3
	ip netns exec "$1" "$stream" send "$2" "$3" "$4" &
	sends="$sends $!"
	pids="$pids $!"
}

streams() {
	sends=
	sent=$1
	stream "$alice" 10.9.0.1 10.9.0.2 "$1"
	stream "$bob" 10.9.0.2 10.9.0.3 "$1"
	stream "$carol" 10.9.0.3 10.9.0.1 "$1"
	sleep 1
}

# cut_and_mend SECONDS PORT...: marks when
cut_and_mend() {
	wait_s=$1
	shift
	marks=
	for port in "$@"; do
		marks="$marks cut-$port=$(now)"
		"$LANYARD" set "$peer-ring" "$port" down
		sleep "$wait_s"
		marks="$marks mended-$port=$(now)"
		"$LANYARD" set "$peer-ring" "$port" up
		sleep "$wait_s"
	done
	marks="$marks end=$(now)"
}

# judge LIMIT-ms: every silence is below, nothing came twice
judge() {
	for p in $sends; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
	sleep 0.2
	for at in alice:10.9.0.1 bob:10.9.0.2 carol:10.9.0.3; do
		file=$tmp/$peer.at-${at#*:}
		at=${at%:*}
		"$stream" judge "$file" "$sent" $marks >"$tmp/judged"
		while read -r what ms; do
			case $what in
			twice)
				[ "$ms" = 0 ]
				is $? "$peer: no datagram reaches $at twice ($ms)"
				;;
			lost) ;;
			*)
				[ "$ms" != never ] && [ "$ms" -lt "$1" ]
				is $? "$peer: $what: $at hears again within $1 ms"
				figure "$peer ring, $what, at $at: $ms ms without" \
				    "traffic"
				;;
			esac
		done <"$tmp/judged"
	done
}

# ---- Open vSwitch ----

ovs() {
	if ! command -v ovs-vswitchd >/dev/null; then
		skip "ovs: needs openvswitch-switch, which is missing"
		return
	fi
	peer=ovs
	set_up
	export OVS_RUNDIR=$tmp/ovs OVS_LOGDIR=$tmp/ovs OVS_DBDIR=$tmp/ovs \
	    OVS_SYSCONFDIR=$tmp/ovs
	mkdir "$tmp/ovs"
	ovsdb-tool create "$tmp/ovs/conf.db" \
	    /usr/share/openvswitch/vswitch.ovsschema
	ip netns exec "$theirs" ovsdb-server "$tmp/ovs/conf.db" \
	    --remote=punix:"$tmp/ovs/db.sock" >"$tmp/ovs/db.out" 2>&1 &
	pids="$pids $!"
	until_true 5 test -S "$tmp/ovs/db.sock"
	vsctl="ovs-vsctl --timeout=20 --db=unix:$tmp/ovs/db.sock"
	$vsctl --no-wait init
	ip netns exec "$theirs" ovs-vswitchd "unix:$tmp/ovs/db.sock" \
	    --disable-system >"$tmp/ovs/out" 2>&1 &
	pids="$pids $!"
	start_lab rstp 15s 20s 2s
	$vsctl add-br br0 -- set bridge br0 datapath_type=netdev \
	    other_config:rstp-priority=32768 rstp_enable=true
	for port in lyl lyr; do
		$vsctl add-port br0 $port -- set port $port \
		    other_config:rstp-path-cost=20000
	done
	$vsctl add-port br0 lyv -- set port lyv \
	    other_config:rstp-port-admin-edge=true \
	    other_config:rstp-path-cost=20000
	converges 30 10.9.0.2 10.9.0.3
	until_true 10 sh -c "'$LANYARD' show ovs-ring stp | grep -q alternate ||
	    $vsctl list port | grep -q Alternate"
	is $? "ovs: one port of the ring blocks"
	$vsctl --columns=name,rstp_status list port 2>&1 | note
	"$LANYARD" show ovs-ring stp | grep -q ' rstp '
	is $? "ovs: the neighbours speak RSTP"
	streams 40000
	cut_and_mend 3 s1.s2 left.eth0 right.eth0
	judge 1000
	show
	stop_lab
}

# ---- the kernel's bridge ----

kernel() {
	peer=kernel
	set_up
	# It goes by old addresses until it cleans up, changed topology or not,
	# and does that as often as addresses age.
	if ! ip -n "$theirs" link add br0 type bridge stp_state 1 \
	    forward_delay 400 max_age 600 hello_time 100 ageing_time 300 \
	    2>"$tmp/why"; then
		skip "kernel: this kernel has no bridge: $(head -1 "$tmp/why")"
		return
	fi
	start_lab rstp 4s 6s 1s
	for port in lyl lyr lyv; do
		ip -n "$theirs" link set $port master br0
		ip -n "$theirs" link set $port up
	done
	ip -n "$theirs" link set br0 up
	converges 60 10.9.0.2 10.9.0.3
	"$LANYARD" show kernel-ring stp | grep -q ' stp '
	is $? "kernel: the neighbours speak STP with it"
	"$LANYARD" show kernel-ring stp | grep -q 's1.s2 .* rstp '
	is $? "kernel: ours speak RSTP with each other"
	cuts=left.eth0
	[ -z "${STP_LONG:-}" ] || cuts="left.eth0 right.eth0 s1.s2"
	streams 300000
	cut_and_mend 19 $cuts
	judge 18000
	show
	stop_lab
}

ovs
kernel
