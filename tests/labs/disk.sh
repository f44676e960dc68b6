#!/bin/bash
# Disks, judged by programs that are not ours: qemu-img reads, checks, maps and
# compares what lanyard disk has made, and the other way round.
. "$(dirname "$0")/tap.sh"

need disk qemu-img
need disk qemu-io
cd "$tmp" || exit 1
disk() { "$LANYARD" disk "$@"; }
hash_of() { qemu-img convert -U -O raw "$1" hash.raw && sha256sum <hash.raw; }
# all FILE...: each is consistent
consistent() {
	for f in "$@"; do
		qemu-img check -q -U "$f" || { echo "# $f: $?"; return 1; }
		disk check "$f" >/dev/null || return 1
	done
}
serve() {
	rm -f "$tmp/s"
	"$LANYARD" disk serve "$@" --socket "$tmp/s" &
	server=$!
	pids="$pids $server"
	until_true 5 python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$tmp/s"
}
unserve() { kill "$server"; wait "$server"; }
export URI="nbd+unix:///?socket=$tmp/s"

# ---- branches ----

rm -f ./*.qcow2 lanyard.disks
disk create base.qcow2 16M
qemu-io -f qcow2 -c 'write -q -P 9 0 12M' base.qcow2
for i in 1 2 3 4 5; do
	disk clone --linked base.qcow2 b$i.qcow2
	qemu-io -f qcow2 -c "write -q -P $i ${i}M 1M" \
	    -c "write -q -P 7$i $((i * 100))k 30k" \
	    -c "write -q -z 5M 300k" b$i.qcow2
done
before=$(for i in 1 2 3 4 5; do hash_of b$i.qcow2; done)
disk commit b1.qcow2 2>refused
[ $? = 2 ] && grep -q 'b2.qcow2, b3.qcow2, b4.qcow2, b5.qcow2' refused
is $? "a commit below four others is refused, and they are named"
disk commit --keep-siblings b1.qcow2
[ "$before" = "$(for i in 1 2 3 4 5; do hash_of b$i.qcow2; done)" ]
is $? "commit --keep-siblings changes no branch"
disk snapshot s b2.qcow2
disk commit --relabel b3.qcow2
[ "$before" = "$(for i in 1 2 3 4 5; do hash_of b$i.qcow2; done)" ]
is $? "commit --relabel changes no branch"
[ "$(hash_of base.qcow2)" = "$(hash_of b3.qcow2)" ]
is $? "and the base is what the branch was"
rm -f b1.qcow2 b2.qcow2 b2@s.qcow2 b5.qcow2
disk clone --linked b4.qcow2 c.qcow2
# Of the hidden base's children base.qcow2 and b4.qcow2 one goes.
rm -f b3.qcow2 base.qcow2
disk compact | grep -q '1 hidden'
is $? "a hidden image that one other needs is merged into that one"
[ "$(hash_of c.qcow2)" = "$(echo "$before" | sed -n 4p)" ] &&
    consistent b4.qcow2 c.qcow2 && ! ls ./*~*.base >/dev/null 2>&1
is $? "which keeps its contents, and the hidden one is gone"

# ---- rollback ----

rm -f ./*.qcow2 lanyard.disks
disk create a.qcow2 8M
qemu-io -f qcow2 -c 'write -q -P 1 0 4M' a.qcow2
was=$(hash_of a.qcow2)
disk snapshot before a.qcow2
qemu-io -f qcow2 -c 'write -q -P 2 1M 4M' a.qcow2
disk diff a.qcow2 a@before.qcow2 | grep -q '^4194304 bytes differ'
is $? "diff tells how much was written since the snapshot"
disk rollback before a.qcow2
[ "$was" = "$(hash_of a.qcow2)" ]
is $? "rollback brings the old contents back"
disk serve --socket "$tmp/x" a@before.qcow2 2>frozen
grep -q 'is frozen' frozen
is $? "a snapshot is not opened for writing"

# ---- locks ----

serve a.qcow2
! qemu-io -f qcow2 -c 'write 0 512' a.qcow2 >/dev/null 2>&1 &&
    ! qemu-img info a.qcow2 >/dev/null 2>&1 &&
    qemu-img info -U a.qcow2 >/dev/null
is $? "QEMU keeps off a disk that is served"
disk info a.qcow2 2>/dev/null
[ $? = 2 ]
is $? "and so do we"
unserve
