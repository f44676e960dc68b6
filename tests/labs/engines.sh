#!/bin/bash
# The same labs on each engine.
. "$(dirname "$0")/tap.sh"
cp topologies/*.yaml "$tmp/"
cd "$tmp" || exit 1
for engine in kvm emulate; do
	if [ $engine = kvm ] && ! [ -w /dev/kvm ]; then
		skip "engine kvm: needs /dev/kvm, which cannot be opened"
		continue
	fi
	for name in nat hostonly; do
		"$LANYARD" run --engine $engine $name.yaml >"$tmp/log" 2>&1
		is $? "$name on engine $engine"
		note <"$tmp/log"
		grep -E ' is ready' "$tmp/log" | tail -n 1 |
		    sed "s/^[^]]*\] /# figure: engine $engine: /"
	done
	sed 's/guest: tiny,/guest: tiny, vcpus: 2,/' nat.yaml >two.yaml
	"$LANYARD" run --engine $engine two.yaml >"$tmp/log" 2>&1
	is $? "nat with two CPUs each on engine $engine"
	note <"$tmp/log"
done

# What auto is, is settled once for all VMs of a lab, and shown.
cat >"$tmp/auto.yaml" <<'Y'
lab: auto
switches:
  lan:
vms:
  a: {ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
  b: {engine: emulate, ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}
Y
# engines OPTION...: those that show vms has
engines() {
	"$LANYARD" run "$@" auto.yaml >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 10 "$LANYARD" exec auto a -- true
	"$LANYARD" show auto vms --json >"$tmp/vms"
	kill -INT $lab
	wait $lab
	python3 -c '
import json, sys
print(*(vm["engine"] for vm in json.load(open(sys.argv[1]))))' "$tmp/vms"
}
auto=emulate
! "$LANYARD" doctor kvm >/dev/null 2>&1 || auto=kvm
[ "$(engines)" = "$auto emulate" ]
is $? "auto is $auto on this machine"
"$LANYARD" doctor engine | grep -q "auto takes $auto\$"
is $? "doctor says so"
[ "$(engines --engine emulate)" = "emulate emulate" ]
is $? "run --engine is for all VMs"
