#!/bin/bash
# Network cards with several pairs of queues: two Linux guests with two CPUs
# each move streams through all of them, also when a guest uses fewer.
. "$(dirname "$0")/tap.sh"
need queues make
make_guest queues
cat >"$tmp/lab.yaml" <<L
# alice -- lan -- bob
lab: queues
switches: {lan: }
vms:
  alice: {guest: linux, engine: emulate, vcpus: 2, ports: {eth0: {switch: lan, address: 10.0.0.1/24, queues: 2}}}
  bob: {guest: linux, engine: emulate, vcpus: 2, ports: {eth0: {switch: lan, address: 10.0.0.2/24, queues: 4}}}
events:
  - {at: 0s, vm: bob, run: iperf3 -s -D}
L
"$LANYARD" run "$tmp/lab.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
in_vm() { timeout 100 "$LANYARD" exec queues "$@"; }
until_true 100 in_vm alice -- ping -c 1 -W 1 10.0.0.2
is $? "the guests reach each other"
[ "$(in_vm alice -- 'ls /sys/class/net/eth0/queues' | wc -l)" = 4 ]
is $? "a card with two pairs has two"
[ "$(in_vm bob -- 'ls /sys/class/net/eth0/queues | grep -c rx')" -ge 2 ]
is $? "one with four has as many as the guest has use for"
# Processes on both CPUs, so that each has a queue to send by.
in_vm alice -- 'for cpu in 1 2; do taskset $cpu iperf3 -c 10.0.0.2 -P 4 -n 4M >/tmp/sent || exit 1; taskset $cpu iperf3 -c 10.0.0.2 -P 4 -n 4M -R >/tmp/got || exit 1; done; tail -n 4 /tmp/sent' >"$tmp/out" 2>&1
is $? "streams pass both ways, from either CPU"
note <"$tmp/out"
# interrupts NAME: of a queue's vector, from the guest's table
interrupts() {
	in_vm "$1" -- "grep -w virtio0-$2 /proc/interrupts" |
	    awk '{ print $2 + $3 }'
}
for vm in alice bob; do
	for queue in input.0 input.1 output.0 output.1; do
		n=$(interrupts $vm $queue)
		echo "$vm $queue ${n:-none}"
	done
done >"$tmp/used"
# Output queues need interrupts only when they have run full.
[ "$(awk '$2 ~ /input/ && $3 > 9' "$tmp/used" | wc -l)" = 4 ] &&
    [ "$(grep -c output "$tmp/used")" = 4 ] && ! grep -q none "$tmp/used"
is $? "each queue received something"
note <"$tmp/used"
"$LANYARD" show queues ports >"$tmp/out" 2>&1
note <"$tmp/out"
kill $lab
wait $lab 2>/dev/null
! grep -i -E 'warn|refused|makes no sense' "$tmp/log"
is $? "nothing went wrong on the way"
