#!/bin/bash
# Each call of each command on disks fails in turn, or is the last one; then a
# file system that is full, one that is read-only, and who is not root.
# FAULTS=1 tries all calls, WHATS="kill EIO EIO+ ENOSPC ENOSPC+" in all ways.
. "$(dirname "$0")/tap.sh"
for program in qemu-img qemu-io gcc python3; do need disk-faults $program; done
need_root disk-faults
step=${FAULTS:-79}
labs=$PWD/tests/labs
faulter=$labs/disk-faulter
gcc -std=gnu17 -O1 -shared -fPIC -o "$tmp/fault.so" tests/labs/fault.c \
    >"$tmp/out" 2>&1 || { not_ok "the fault library is built"; note <"$tmp/out"; exit 1; }
cd "$tmp" || exit 1
disk() { "$LANYARD" disk "$@"; }

# ---- calls, in turn ----

for what in ${WHATS:-kill EIO ENOSPC+}; do
	mkdir "$tmp/faults"
	cd "$tmp/faults" || exit 1
	timeout 3000 "$faulter" "$LANYARD" "$tmp/fault.so" $what "$step" \
	    >"$tmp/out" 2>&1
	is $? "$(tail -n 1 "$tmp/out" | sed 's/, [0-9]* wrong//')"
	note <"$tmp/out"
	cd "$tmp" && rm -rf faults
done

# ---- a full file system ----

mkdir full
mount -t tmpfs -o size=12M lanyard full || { skip "a full file system: needs the right to mount"; exit 0; }
trap 'umount -l "$tmp/full" 2>/dev/null; umount -l "$tmp/ro" 2>/dev/null; finish' EXIT

sums() { for f in "$@"; do qemu-img convert -U -O raw "$f" "$tmp/x.raw" && sha256sum <"$tmp/x.raw"; done; }
consistent() { for f in "$@"; do qemu-img check -q -U "$f" >/dev/null; case $? in 0 | 3) ;; *) return 1 ;; esac; done; }
# says PATTERN NAME COMMAND...: fails with status 2 and that sentence
says() {
	pattern=$1 name=$2
	shift 2
	"$@" >"$tmp/said" 2>&1
	status=$?
	[ $status = 2 ] && grep -q "^lanyard: .*$pattern" "$tmp/said"
	said=$?
	is $said "$name"
	[ $said = 0 ] || note <"$tmp/said"
}

cd full || exit 1
disk create base.qcow2 64M
qemu-io -f qcow2 -c 'write -q -P 9 0 2M' base.qcow2
for i in 1 2 3; do
	disk clone --linked base.qcow2 b$i.qcow2
	qemu-io -f qcow2 -c "write -q -P $i ${i}00k 1M" b$i.qcow2
done
disk create below.qcow2 64M
disk clone --linked below.qcow2 b4.qcow2
qemu-io -f qcow2 -c 'write -q -P 4 3M 1M' b4.qcow2
before=$(sums b?.qcow2)
"$LANYARD" disk serve --socket "$tmp/s" b1.qcow2 >"$tmp/ready" 2>"$tmp/served" &
server=$!
pids="$pids $server"
until_true 10 test -s "$tmp/ready"
"$labs/nbd-client" "$tmp/s" fill >filled 2>"$tmp/out"
is $? "a guest that fills the file system is told ENOSPC, and only that"
note <"$tmp/out"
head -c 20M /dev/zero >filler 2>/dev/null
says 'No space left' "a snapshot that finds no room says so" \
    disk snapshot x b2.qcow2
says 'No space left' "a clone that finds no room says so" \
    disk clone --full b3.qcow2 copy.qcow2
says 'No space left' "a commit that finds no room says so" \
    disk commit b4.qcow2
{ kill -9 $server; wait $server; } 2>/dev/null
consistent ./*.qcow2
is $? "all images are consistent after that"
[ "$(echo "$before" | tail -n 3)" = "$(sums b2.qcow2 b3.qcow2 b4.qcow2)" ]
is $? "the other branches are as they were"
"$labs/nbd-client" b1.qcow2 filled <filled >"$tmp/out" 2>&1
is $? "all that was flushed before is there"
note <"$tmp/out"
rm filler
mount -o remount,size=64M "$tmp/full"
disk commit --keep-siblings b3.qcow2 >"$tmp/out" 2>&1 &&
    disk commit b4.qcow2 >>"$tmp/out" 2>&1 &&
    disk snapshot x b2.qcow2 >>"$tmp/out" 2>&1
is $? "with more room all of it is done"
note <"$tmp/out"
[ "$(echo "$before" | tail -n 3)" = "$(sums b2.qcow2 b3.qcow2 b4.qcow2)" ] &&
    consistent ./*.qcow2
is $? "and nothing has changed"

# ---- a file system that is read-only ----

mkdir "$tmp/ro"
mount --bind "$tmp/full" "$tmp/ro" && mount -o remount,bind,ro "$tmp/ro"
cd "$tmp/ro" || exit 1
disk tree >"$tmp/out" 2>&1 && disk info b2.qcow2 >>"$tmp/out" 2>&1 &&
    disk map b2.qcow2 >>"$tmp/out" 2>&1 && disk check b2.qcow2 >>"$tmp/out" 2>&1
reads=$?
is $reads "what only reads works on a read-only file system"
[ $reads = 0 ] || note <"$tmp/out"
for command in "snapshot y b2.qcow2" "rollback x b2.qcow2" "commit b3.qcow2" \
    "commit --relabel b3.qcow2" "clone --linked b3.qcow2 c.qcow2" \
    "clone --full b3.qcow2 c.qcow2" "create c.qcow2 1M" \
    "resize b3.qcow2 128M" "repair b3.qcow2"; do
	# shellcheck disable=SC2086 # words
	says 'Read-only file system' "disk $command says that it is read-only" \
	    disk $command
done

# ---- who is not root ----

chmod 755 "$tmp"
mkdir "$tmp/user"
chown nobody "$tmp/user"
cd "$tmp/user" || exit 1
cp "$LANYARD" "$tmp/lanyard"
as() { setpriv --reuid nobody --clear-groups "$tmp/lanyard" disk "$@"; }
as create base.qcow2 4M && as clone --linked base.qcow2 a.qcow2 &&
    as clone --linked base.qcow2 b.qcow2 && as snapshot s b.qcow2 &&
    as commit --keep-siblings a.qcow2 && as commit --relabel a.qcow2 &&
    as rollback s b.qcow2 && as compact >/dev/null &&
    as repair base.qcow2 >/dev/null && as commit --keep-siblings a.qcow2
is $? "all operations on frozen images are their owner's, root or not"
[ "$(stat -c %a base.qcow2 b@s.qcow2 | tr '\n' ' ')" = "444 444 " ]
is $? "and they stay frozen"
says 'b@s.qcow2: cannot be opened to write' "which is not opened for writing" \
    as serve --socket "$tmp/s2" b@s.qcow2
cp b.qcow2 secret.qcow2
chmod 600 secret.qcow2
chown root secret.qcow2
says 'secret.qcow2: cannot be read' \
    "an image that may not be read could stand on any other, and stops a commit" \
    as commit a.qcow2
