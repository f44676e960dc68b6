#!/bin/bash
# A LAN of two silent guests carries no frame: no switch, port or cable of ours
# sends anything by itself, and none of them takes the processor.  IDLE_SECONDS
# of silence (8 by default).
. "$(dirname "$0")/tap.sh"
seconds=${IDLE_SECONDS:-8}
cat >"$tmp/idle.yaml" <<Y
lab: idle
switches: {lan: {uplinks: {far: {vlan: 5, delay: 1ms}}}, far: }
vms:
  alice: {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.1/24, vlan: 5,
          max-macs: 2, storm-broadcast: 100}}}
  bob: {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.2/24, vlan: 5}}}
expect:
  - {within: 20s, vm: alice, run: ping -c 1 10.0.0.2}
  - {within: 20s, vm: bob, run: ping -c 1 10.0.0.1}
Y
"$LANYARD" run "$tmp/idle.yaml" >"$tmp/log" 2>&1
is $? "the guests are there"
note <"$tmp/log"
sed -i '/^expect:/,$d' "$tmp/idle.yaml"
"$LANYARD" run "$tmp/idle.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 20 grep -q "bob is ready" "$tmp/log"
until_true 20 grep -q "alice is ready" "$tmp/log"
sleep 1
frames() {
	"$LANYARD" show idle ports --json | python3 -c '
import json, sys
print(sum(p["in_frames"] + p["out_frames"] for p in json.load(sys.stdin)))'
}
"$LANYARD" exec idle alice -- ping -c 1 10.0.0.2 >/dev/null
sleep 1
ticks() { sed 's/.*) //' "/proc/$lab/stat" | awk '{ print $12 + $13 }'; }
before=$(frames)
[ "$before" -gt 0 ]
is $? "a ping was counted: $before frames at all ports"
busy=$(ticks)
sleep "$seconds"
busy=$(($(ticks) - busy))
after=$(frames)
[ "$before" = "$after" ]
is $? "$seconds s of silence carry $((after - before)) frames"
[ "$busy" -le $((seconds * $(getconf CLK_TCK) / 200)) ]
is $? "the fabric took $busy ticks of the processor meanwhile"
figure "an idle LAN of two guests carried $((after - before)) frames in $seconds s"
