#!/bin/bash
# A guest that writes random values to every port, device register, MSR and
# queue, on the emulator under the sanitizers, with a card of several queues in a
# lab, two disks, a balloon and two consoles.  At worst its VM ends with a
# sentence; the lab never notices.
#
#   a ── lan ── b          HOSTILE_SECONDS (20) of it; the issue of a find is to
#         └──── hostile    be read in the log that is shown.
. "$(dirname "$0")/tap.sh"
for program in python3 truncate; do need hostile $program; done
make -s BUILD="$BUILD" hostile-guest >"$tmp/make" 2>&1
is $? "the hostile guest is made"
note <"$tmp/make"
guest=$BUILD/tests/labs/hostile/hostile.elf
vmm=$BUILD/asan/lanyard
[ -x "$vmm" ] || vmm=$LANYARD
seconds=${HOSTILE_SECONDS:-20}
truncate -s 4M "$tmp/disk.raw"
"$LANYARD" disk create "$tmp/disk.qcow2" 4M >"$tmp/make" 2>&1
is $? "a disk image is made"
note <"$tmp/make"

cat >"$tmp/hostile.yaml" <<Y
lab: hostile
switches:
  lan:
vms:
  a: {guest: tiny, engine: emulate, ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
  b: {guest: tiny, engine: emulate, ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}
plugs:
  evil: {switch: lan, locator: "vhost-user:$tmp/evil.sock"}
Y
"$LANYARD" run "$tmp/hostile.yaml" >"$tmp/lab" 2>&1 &
lab=$!
pids="$pids $lab"
ping_b() { timeout 20 "$LANYARD" exec hostile a -- ping -c 1 10.0.0.2; }
until_true 20 ping_b
is $? "the lab is up"
note <"$tmp/lab"

starts=0 unclear=0 lost=0 pings=0 attempts=0 confined=0 bare=0
end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ]; do
	"$vmm" vm --engine emulate --boot pvh --memory 16M --kernel "$guest" \
	    --nic "socket=$tmp/evil.sock,queues=4" --disk "$tmp/disk.raw" \
	    --disk "$tmp/disk.qcow2" --balloon 4M --virtio-console "$tmp/hvc" --console "$tmp/console" \
	    --console-log "$tmp/log" --agent "$tmp/agent" 2>"$tmp/err" &
	vm=$!
	pids="$pids $vm"
	starts=$((starts + 1))
	# Sooner or later it harms itself, and turns in a circle.
	turn=$(($(date +%s) + 15))
	[ $turn -lt $end ] || turn=$end
	while kill -0 $vm 2>/dev/null && [ "$(date +%s)" -lt "$turn" ]; do
		pings=$((pings + 1))
		ping_b >"$tmp/ping" 2>&1 || lost=$((lost + 1))
		sleep 0.2
	done
	if grep -q '^Seccomp:.2$' /proc/$vm/status 2>/dev/null; then
		confined=$((confined + 1))
	elif kill -0 $vm 2>/dev/null; then
		bare=$((bare + 1))
	fi
	kill $vm 2>/dev/null
	wait $vm
	status=$?
	# Off, crashed by its own doing, or stopped by us: anything else, and
	# any word of a sanitizer or an assertion, is a find.
	if [ $status -gt 1 ] ||
	    grep -q -E 'Sanitizer|runtime error|[Aa]ssert' "$tmp/err" ||
	    { [ $status = 1 ] && ! grep -q 'triple fault' "$tmp/err"; }; then
		unclear=$((unclear + 1))
		{ echo "status $status"; head -c 20000 "$tmp/err"; } | note
	fi
	sed 's/.*vm: //' "$tmp/err" | cut -c 1-70 >>"$tmp/sentences"
	n=$(grep -a -o '^attempts [0-9a-f]\{16\}' "$tmp/log" | tail -n 1)
	attempts=$((attempts + 0x0${n#attempts }))
	rm -f "$tmp/console" "$tmp/agent" "$tmp/hvc" "$tmp/log"
done
[ $unclear = 0 ]
is $? "each VM ends with a sentence, if at all"
[ $bare = 0 ] && [ $confined -gt 0 ]
is $? "each is confined"
[ $lost -le $((pings / 20)) ] && [ $pings -gt 0 ]
is $? "others in the lab reach each other all the time"
figure "$seconds s under attack by $starts VMs, \
at least $attempts attempts: $lost of $pings pings lost"
sort "$tmp/sentences" | uniq -c | sort -rn | head -n 20 | note
kill -0 $lab 2>/dev/null && ping_b >"$tmp/ping" 2>&1
is $? "the lab lives on"
kill -INT $lab
wait $lab
status=$?
[ $status -le 1 ] && ! grep -q -E 'Sanitizer|runtime error' "$tmp/lab"
is $? "the lab ends in good order"
note <"$tmp/lab"
