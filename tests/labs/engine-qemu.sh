#!/bin/bash
# The same labs, their VMs run by QEMU: our own guest, Debian, a disk; on the same
# ports, consoles and agents.
. "$(dirname "$0")/tap.sh"
for program in qemu-system-x86_64 qemu-img make; do need engine-qemu $program; done
cp topologies/{nat,linux-nat,disk}.yaml "$tmp/"

# lab NAME FILE: QEMU meets its expectations
lab() {
	name=$1
	shift
	(cd "$tmp" && timeout 240 "$LANYARD" run --engine qemu "$@") >"$tmp/log" 2>&1
	is $? "$name"
	note <"$tmp/log"
	grep -E ' is ready' "$tmp/log" | tail -n 1 |
	    sed "s/^[^]]*\] /# figure: engine qemu: /"
}
lab "our guest behind a NAT" nat.yaml
[ "$(grep -c ' is ready' "$tmp/log")" = 3 ] && ! grep -q died "$tmp/log"
is $? "its VMs were up, and ended when they were told"
sed 's/guest: tiny,/guest: tiny, vcpus: 2,/' "$tmp/nat.yaml" >"$tmp/two.yaml"
lab "with two CPUs each" two.yaml

make_guest engine-qemu
lab "Debian behind a NAT, iperf3 through it" linux-nat.yaml
lab "a disk that it makes a file system on" disk.yaml
qemu-img check "$tmp/alice.qcow2" >"$tmp/out" 2>&1
is $? "its image is consistent after that"
note <"$tmp/out"
lab "what it wrote is there for the next run" disk.yaml
"$LANYARD" disk info "$tmp/alice.qcow2" >"$tmp/out" 2>&1
is $? "and for our own tools"

# ---- consoles, what is shown, what cannot be ----

cat >"$tmp/box.yaml" <<'Y'
lab: box
switches:
  lan:
vms:
  a: {guest: tiny, engine: qemu, ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
  b: {guest: tiny, engine: emulate, ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}
Y
"$LANYARD" run "$tmp/box.yaml" >"$tmp/log" 2>&1 &
run=$!
pids="$pids $run"
until_true 30 "$LANYARD" exec box a -- ping -c 1 10.0.0.2
is $? "QEMU's and our own VM reach each other"
note <"$tmp/log"
"$LANYARD" show box vms | grep -qE '^a .* qemu .* seccomp'
is $? "show vms says which is which, and that QEMU has its sandbox"
"$LANYARD" show box vms | note
python3 - "$XDG_RUNTIME_DIR/lanyard/box/a.con" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(b"\rhelp\r")
got = b""
while b"ping" not in got:
    got += s.recv(4096)
P
is $? "its console answers"
! "$LANYARD" checkpoint box a now >"$tmp/out" 2>&1 &&
    grep -q "QEMU's machines have no checkpoints" "$tmp/out"
is $? "a checkpoint is refused with a reason"
note <"$tmp/out"
kill -INT $run
wait $run
[ ! -e "$XDG_RUNTIME_DIR/lanyard/box" ]
is $? "nothing of the lab is left"

refused() { # WORDS KEY...: a lab is refused with these words
	words=$1
	printf 'lab: no\nswitches: {lan: }\nvms:\n  a: {engine: qemu, %s, ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}\n' \
	    "$2" >"$tmp/no.yaml"
	"$LANYARD" check "$tmp/no.yaml" >"$tmp/out" 2>&1
	[ $? = 2 ] && grep -q "$words" "$tmp/out"
	is $? "refused: $2"
	note <"$tmp/out"
}
refused 'has no balloon' 'guest: linux, memory: 128M, balloon: 8M'
refused "the disk's own loader" 'disk: x.qcow2, cmdline: quiet'
sed 's/engine: qemu/engine: emulate/' "$tmp/no.yaml" >"$tmp/yes.yaml"
"$LANYARD" run --engine qemu "$tmp/yes.yaml" >"$tmp/out" 2>&1
[ $? = 2 ] && grep -q "the disk's own loader" "$tmp/out"
is $? "by --engine, too"
note <"$tmp/out"
PATH=/nowhere "$LANYARD" run "$tmp/box.yaml" >"$tmp/out" 2>&1
[ $? = 2 ] && grep -q 'apt install qemu-system-x86' "$tmp/out"
is $? "where it is not installed, that is said"
note <"$tmp/out"
