#!/bin/bash
# What the emulator computes is not changed by a timer at 10 kHz, nor by its kind
# of clock; and the kernel's own tests of its ciphers and hashes pass on it.
. "$(dirname "$0")/tap.sh"
make -s BUILD="$BUILD" bench-kernels >"$tmp/make" 2>&1
is $? "the loops are made"
note <"$tmp/make"

# result WORDS OPTION...: what a loop computes, as the exit status
result() {
	words=$1
	shift
	timeout 60 "$LANYARD" vm --engine emulate --boot pvh --memory 64M \
	    --exit-port --console "$tmp/console" --cmdline "$words" \
	    --kernel "$BUILD/tests/bench/emulate/kernels.elf" "$@" \
	    2>>"$tmp/err" </dev/null
	echo $?
}
# By the same source on the processor itself.
expected='hash 41 sieve 83 calls 13 sort 19 list 105 bytecode 87 sse 89 string 109 fault 87'
set -- $expected
while [ $# -gt 0 ]; do
	[ "$(result "$1")" = "$2" ]
	is $? "$1 computes what it should"
	[ "$(result "$1 timer")" = "$2" ]
	is $? "$1 does so while a timer interrupts it"
	[ "$(result "$1 timer" --virtual-clock)" = "$2" ]
	is $? "$1 does so under a virtual clock"
	shift 2
done
note <"$tmp/err"

make_guest emulate
guest=$BUILD/guest/linux
words=$(sed 's/cryptomgr.notests//; s/quiet//' "$guest/cmdline")
timeout 120 "$LANYARD" vm --engine emulate --memory 256M --until-ready \
    --console "$tmp/console" --console-log "$tmp/log" --cmdline "$words" \
    --kernel "$guest/vmlinuz" --initrd "$guest/initrd" 2>"$tmp/err" </dev/null
is $? "Debian comes up with its self-tests"
note <"$tmp/err"
! grep -a -i -E 'alg: .*(fail|error)|self-test.*fail|WARNING|BUG:|Oops|Call Trace' \
    "$tmp/log" >"$tmp/found"
is $? "and none of them fails"
note <"$tmp/found"
