#!/bin/bash
# Debian's kernel as it comes, a bzImage, on each engine.
. "$(dirname "$0")/tap.sh"
for program in make python3; do need kernel $program; done
make_guest kernel
guest=$BUILD/guest/linux
words=$(sed 's/quiet//' "$guest/cmdline")

# boot ENGINE OPTION...: a guest in the background, its console in a file
boot() {
	rm -f "$tmp/console" "$tmp/agent"
	engine=$1
	shift
	timeout 120 "$LANYARD" vm --engine "$engine" --memory 256M \
	    --kernel "$guest/vmlinuz" --console "$tmp/con" \
	    --console-log "$tmp/console" --agent "$tmp/agent" "$@" \
	    >"$tmp/vm" 2>&1 &
	vm=$!
	pids="$pids $vm"
	began=$(date +%s%N)
}
passed() { echo $((($(date +%s%N) - began) / 1000000)); }
says() { grep -q -a "$1" "$tmp/console"; }

for protocol in linux pvh; do
	boot emulate --boot $protocol --initrd "$guest/initrd" \
	    --cmdline "$words earlyprintk=serial,ttyS0,115200"
	tests/labs/agent "$tmp/agent" 100
	is $? "Debian starts by protocol $protocol on emulate"
	figure "Debian's agent is ready by protocol $protocol after $(passed) ms"
	says "Linux version"
	is $? "its console has the kernel's first words"
	[ "$(tests/labs/agent "$tmp/agent" 30 'echo $((6 * 7))')" = 42 ]
	is $? "it runs a command"
	tests/labs/agent "$tmp/agent" 30 poweroff >/dev/null 2>&1
	wait $vm
	is $? "it powers off"
	! grep -a -i -E 'oops|call trace|BUG:|WARNING:' "$tmp/console"
	is $? "nothing went wrong on the way"
	tail -n 30 "$tmp/console" "$tmp/vm" | note
done

# Software behind /dev/kvm would take minutes to the end.
if [ -w /dev/kvm ]; then
	boot kvm --cmdline "earlyprintk=serial,ttyS0,115200"
	until_true 60 says "Linux version"
	is $? "Debian's kernel says its first words on kvm"
	figure "Linux version on kvm after $(passed) ms"
	kill $vm
	wait $vm
	is $? "it ends when it is told to"
	tail -n 10 "$tmp/console" "$tmp/vm" | note
else
	skip "engine kvm: needs /dev/kvm, which cannot be opened"
fi
