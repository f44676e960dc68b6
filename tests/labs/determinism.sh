#!/bin/bash
# Under a virtual clock two runs of a guest are the same: as many instructions,
# the same RAM, the same bytes on the console.
. "$(dirname "$0")/tap.sh"
guest=$BUILD/guest/linux
make_guest determinism

# twice NAME OPTION...: runs a VM until its agent is ready, two times
twice() {
	name=$1
	shift
	for run in 1 2; do
		timeout 120 "$LANYARD" vm --engine emulate --virtual-clock \
		    --until-ready --verbose --console "$tmp/console" \
		    --console-log "$tmp/log.$run" "$@" \
		    2>"$tmp/err.$run" </dev/null
		is $? "$name: run $run comes to its agent"
		sed -n 's/.*virtual clock: //p' "$tmp/err.$run" >"$tmp/sum.$run"
	done
	[ -s "$tmp/sum.1" ] && cmp -s "$tmp/sum.1" "$tmp/sum.2"
	is $? "$name: both retire as many instructions and leave the same RAM"
	cat "$tmp/sum.1" "$tmp/sum.2" | note
	cmp -s "$tmp/log.1" "$tmp/log.2"
	is $? "$name: both write the same to the console"
	figure "$name: $(cat "$tmp/sum.1")"
	rm -f "$tmp"/log.* "$tmp/console"
}

twice tiny
twice linux --memory 256M --kernel "$guest/vmlinuz" --initrd "$guest/initrd" \
    --cmdline "$(cat "$guest/cmdline")"

"$LANYARD" vm --engine emulate --virtual-clock --vcpus 2 2>"$tmp/err" </dev/null
[ $? = 2 ] || [ $? = 1 ]
is $? "several CPUs are refused"
grep -q 'use one' "$tmp/err"
is $? "and the message says what to do"
