#!/bin/bash
# Every way into a kernel, on our own engine: the tiny guest and Debian's kernel
# by Linux's protocol and by PVH, with one CPU and with two, and the bzImage by
# its own entry, where it unpacks itself.  Each gets as far as its agent, which
# then switches the machine off.
. "$(dirname "$0")/tap.sh"
need kernel-boot python3
need kernel-boot make
make_guest kernel-boot
linux=$BUILD/guest/linux

# boots NAME READY-COMMAND EXPECTED OPTION...: until the agent is ready, a
# command and what it has to say, and the end
boots() {
	name=$1
	command=$2
	expected=$3
	shift 3
	rm -f "$tmp/agent" "$tmp/console" "$tmp/log"
	timeout 120 "$LANYARD" vm --engine emulate --agent "$tmp/agent" \
	    --console "$tmp/console" --console-log "$tmp/log" "$@" \
	    >"$tmp/out" 2>&1 &
	vm=$!
	pids="$pids $vm"
	began=$(date +%s%N)
	tests/labs/agent "$tmp/agent" 100 2>"$tmp/said"
	is $? "$name: the agent is ready"
	figure "$name: ready after $((($(date +%s%N) - began) / 1000000)) ms"
	got=$(tests/labs/agent "$tmp/agent" 30 "$command" 2>>"$tmp/said")
	[ "$got" = "$expected" ]
	is $? "$name: $command says what it has to"
	[ "$got" = "$expected" ] || printf '%s\n' "$got" | note
	tests/labs/agent "$tmp/agent" 30 poweroff >/dev/null 2>&1
	wait $vm
	status=$?
	[ $status = 0 ]
	is $? "$name: it is off"
	# Linux has brought up what it was given without a word about it.
	! grep -a -i -E 'oops|call trace|BUG:|panic' "$tmp/log"
	is $? "$name: nothing went wrong on the way"
	[ ! -s "$tmp/out" ] || note <"$tmp/out"
	[ $status = 0 ] || tail -n 20 "$tmp/log" "$tmp/said" | note
}

for protocol in auto linux pvh; do
	boots "tiny by $protocol" "help uptime" "uptime: time since the start
usage: uptime " --memory 16M --boot $protocol
done
boots_linux() {
	what=$1
	cpus=$2
	kernel=$3
	shift 3
	boots "$what, $cpus CPU" nproc "$cpus" --memory 128M --vcpus "$cpus" \
	    --kernel "$kernel" --initrd "$linux/initrd" \
	    --cmdline "$(cat "$linux/cmdline")" "$@"
}
for cpus in 1 2; do
	for protocol in linux pvh; do
		boots_linux "Linux by $protocol" $cpus "$linux/vmlinuz" \
		    --boot $protocol
	done
done
# A header that does not say where the payload is, so that nobody else can
# unpack it; the kernel's own code does not look there.
python3 - "$linux/vmlinuz" "$tmp/packed" <<'P'
import sys
image = bytearray(open(sys.argv[1], "rb").read())
image[0x248:0x250] = bytes(8)  # payload_offset, payload_length
open(sys.argv[2], "wb").write(image)
P
"$LANYARD" vm --kernel "$tmp/packed" --boot pvh >"$tmp/out" 2>&1
[ $? = 2 ] && grep -q 'packed in an unknown way' "$tmp/out"
is $? "a payload that cannot be found cannot be entered by PVH"
for cpus in 1 2; do
	boots_linux "Linux by its own entry" $cpus "$tmp/packed"
done
