#!/bin/bash
# A Multiboot kernel, with an ELF header and without, on our engine and on QEMU:
# what it is given, interrupts, paging, fw_cfg and the exit port.  Both say the
# same, to the byte, and end with the same status.
. "$(dirname "$0")/tap.sh"
for program in qemu-system-x86_64 make cmp; do
	need multiboot $program
done
make BUILD="$BUILD" multiboot >"$tmp/make" 2>&1 || {
	# A compiler without 32-bit output.
	grep -q 'm32\|elf_i386' "$tmp/make" && skip_all "multiboot: $(tail -n 1 "$tmp/make")"
	not_ok "make multiboot makes the kernel"
	note <"$tmp/make"
	exit 1
}
cp "$BUILD/tests/vmm/multiboot/elf" "$BUILD/tests/vmm/multiboot/flat" "$tmp"
cd "$tmp" || exit 1 # short names, which the kernel is told
head -c 54321 /dev/urandom >module

# ours OPTION...: its output in ours, its status in $status
ours() {
	timeout 60 "$LANYARD" vm --engine emulate --memory 32M "$@" \
	    >ours 2>ours.err </dev/null
	status=$?
}
theirs() {
	timeout 60 qemu-system-x86_64 -accel tcg -m 32 -nodefaults \
	    -display none -no-reboot -serial stdio \
	    -device isa-debug-exit,iobase=0xf4,iosize=4 "$@" \
	    >theirs 2>theirs.err </dev/null
	their_status=$?
}
# alike STATUS NAME: both ended with it and said the same, and nothing is wrong
alike() {
	[ "$status" = "$1" ]
	is $? "$2: status $status"
	[ "$status" = "$their_status" ]
	is $? "$2: the same on QEMU"
	cmp -s ours theirs && tail -n 1 ours | grep -q '^bye' && ! grep -q WRONG ours
	is $? "$2: $(wc -l <ours) lines are the same"
	diff theirs ours | cut -c 1-100 | head -n 20 | note
	cat ours.err | note
}

for kind in elf flat; do
	ours --kernel $kind --cmdline "one two exit=5" --exit-port
	theirs -kernel $kind -append "one two exit=5"
	alike 11 $kind
	ours --kernel $kind --cmdline exit=127 --initrd module --vcpus 2 --exit-port=0xf4
	theirs -kernel $kind -append exit=127 -initrd module -smp 2
	alike 255 "$kind with a module and two CPUs"
	grep -q '^module module: 54321 bytes' ours && grep -q '^fw_cfg CPUs: 2 of 2' ours
	is $? "$kind: it has seen them"
done
ours --kernel elf --boot multiboot --cmdline exit=0 --exit-port
theirs -kernel elf -append exit=0
alike 1 "asked for"

# A port of one's own choice, to which the kernel does not write: it stays.
timeout 5 "$LANYARD" vm --engine emulate --memory 32M --kernel flat \
    --exit-port=0x501 >ours 2>ours.err </dev/null
status=$?
[ $status = 124 ] || [ $status = 0 ] # told to stop
is $? "another exit port is another port ($status)"
tail -n 1 ours | grep -q '^bye'
is $? "... all the same, it ran to its end"

# Bad headers.
# refused NAME SENTENCE OPTION...
refused() {
	name=$1
	sentence=$2
	shift 2
	ours --exit-port "$@"
	[ $status = 2 ] && grep -qF -- "$sentence" ours.err
	is $? "refused: $name"
	note <ours.err
}
# damage OFFSET BYTES: what flat begins with is the header
damage() {
	cp flat bad
	printf '%b' "$2" | dd of=bad bs=1 seek="$1" conv=notrunc status=none
}
damage 8 '\01\02\03\04'
refused "a wrong checksum" "has the checksum 0x04030201; make it 0xe4514ffb" --kernel bad
damage 28 '\00\00\00\00'
refused "an entry outside of the kernel" "mend entry_addr" --kernel bad
head -c 1000 flat >bad
refused "a file that is cut short" "the file is cut short" --kernel bad
head -c 5000 /dev/zero >bad
refused "no header" "has no Multiboot header" --kernel bad --boot multiboot
refused "a 32-bit kernel, by Linux's protocol" "use --boot pvh or multiboot" \
    --kernel elf --boot linux
