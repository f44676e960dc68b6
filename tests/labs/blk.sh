#!/bin/bash
# Debian on our emulator with disks, an entropy source, a balloon and a second
# console: what it writes is in the file and survives reboots, what it discards
# goes.
. "$(dirname "$0")/tap.sh"
for program in python3 make sha256sum; do
	need blk $program
done
guest=$BUILD/guest/linux
make_guest blk
disk=$tmp/disk.img
fixed=$tmp/fixed.img
truncate -s 64M "$disk"
head -c 8M /dev/urandom >"$fixed"

first=$disk,id=first
# start OPTION...: a guest with the disks, until its agent is ready
start() {
	rm -f "$tmp/agent"
	"$LANYARD" vm --engine emulate --memory 128M \
	    --kernel "$guest/vmlinuz" --initrd "$guest/initrd" \
	    --cmdline "$(cat "$guest/cmdline")" --agent "$tmp/agent" \
	    --console "$tmp/con" --console-log "$tmp/console" \
	    --disk "$first" --disk "$fixed,ro" "$@" \
	    </dev/null >"$tmp/vm" 2>&1 &
	vm=$!
	pids="$pids $vm"
	tests/labs/agent "$tmp/agent" 100
}
ask() { tests/labs/agent "$tmp/agent" 60 "$@" 2>>"$tmp/asked"; }
# status STATUS NAME COMMAND
status() {
	ask "$3" >"$tmp/out"
	got=$?
	[ "$got" = "$1" ]
	is $? "$2"
	[ "$got" = "$1" ] || { echo "status $got"; cat "$tmp/out"; } | note
}
# expect OUTPUT NAME COMMAND
expect() {
	got=$(ask "$3")
	[ "$got" = "$1" ]
	is $? "$2"
	[ "$got" = "$1" ] || printf '%s\n' "$3: $got" "instead of $1" | note
}
sum() { sha256sum | cut -d ' ' -f 1; }
kib() { echo $(($(stat -c %b "$1") / 2)); }

start --balloon 32M --virtio-console "$tmp/hvc"
is $? "the guest starts"
status 0 "Debian's drivers have their devices" \
    "cd /sys/bus/virtio/drivers && ls -d virtio_blk/virtio0 virtio_blk/virtio1 virtio_rng/virtio2 virtio_balloon/virtio3 virtio_console/virtio4"
expect "131072 16384" "the disks have their sizes" \
    'echo $(cat /sys/block/vda/size /sys/block/vdb/size)'
expect "first disk1" "... and their names" \
    'echo $(cat /sys/block/vda/serial) $(cat /sys/block/vdb/serial)'

# ---- reading and writing ----

text=$(seq 1 300000 | sum)
status 0 "the guest writes and syncs" "seq 1 300000 >/dev/vda && sync"
[ "$(head -c "$(seq 1 300000 | wc -c)" "$disk" | sum)" = "$text" ]
is $? "... which is in the file then"
expect "$text" "... and is read back from the disk" \
    'echo 3 >/proc/sys/vm/drop_caches; head -c $(seq 1 300000 | wc -c) /dev/vda | sha256sum | cut -d " " -f 1'
expect "$(sum <"$fixed")" "a disk that is read only is read whole" \
    "sha256sum /dev/vdb | cut -d ' ' -f 1"
status 1 "... and cannot be written" \
    "dd if=/dev/zero of=/dev/vdb bs=512 count=1"
# Four at a time, each in its own quarter.
ask 'for i in 0 1 2 3; do (head -c 2097152 /dev/urandom >/tmp/q$i; dd if=/tmp/q$i of=/dev/vda bs=64k seek=$((i*256)) conv=fsync 2>/dev/null) & done; wait; echo 3 >/proc/sys/vm/drop_caches; for i in 0 1 2 3; do sha256sum </tmp/q$i; rm /tmp/q$i; done' >"$tmp/want"
ask 'for i in 0 1 2 3; do (dd if=/dev/vda bs=64k skip=$((i*256)) count=32 2>/dev/null | sha256sum >/tmp/r$i) & done; wait; cat /tmp/r*; rm /tmp/r*' >"$tmp/got"
[ "$(sort -u "$tmp/want" | wc -l)" = 4 ] && cmp "$tmp/want" "$tmp/got"
is $? "four writers and four readers at a time find what they wrote"
for i in 0 1 2 3; do
	dd if="$disk" bs=64k skip=$((i * 256)) count=32 2>/dev/null | sha256sum
done | cmp - "$tmp/want"
is $? "... and so does the host"
rate=$(ask 'dd if=/dev/zero of=/dev/vda bs=1M conv=fsync 2>&1; t=$(cut -d " " -f 1 /proc/uptime); dd if=/dev/zero of=/dev/vda bs=1M conv=fsync 2>/dev/null; u=$(cut -d " " -f 1 /proc/uptime); echo 3 >/proc/sys/vm/drop_caches; cat /dev/vda >/dev/null; v=$(cut -d " " -f 1 /proc/uptime); echo "$t $u $v"' | tail -n 1)
figure "$(echo "$rate" | awk '{ printf "64 MiB: written at %.0f MiB/s, read at %.0f MiB/s", 64 / ($2 - $1), 64 / ($3 - $2) }')"

# ---- room that comes back ----

full=$(kib "$disk")
status 0 "the guest discards half of its disk" \
    "blkdiscard -o 33554432 -l 33554432 /dev/vda"
half=$(kib "$disk")
[ $((full - half)) -ge 32000 ]
is $? "... whose room is the host's again ($full KiB, then $half KiB)"
status 0 "... and reads as zeros" \
    "dd if=/dev/vda bs=1M skip=32 2>/dev/null | cmp -n 33554432 - /dev/zero"
total=$(ask "sed -n 's/MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo")
shared=$(sed -n 's/RssShmem:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$vm/status")
[ "$total" -lt 98304 ] && [ "$shared" -lt 99328 ]
is $? "the balloon took 32 of 128 MiB (guest: $total KiB, host: $shared KiB)"

# ---- entropy ----

status 0 "the entropy source is in use" \
    "grep virtio_rng /sys/class/misc/hw_random/rng_current"
[ "$(ask 'head -c 1000 /dev/hwrng | wc -c')" = 1000 ] &&
    [ "$(ask 'head -c 100 /dev/hwrng | sha256sum')" != \
	"$(ask 'head -c 100 /dev/hwrng | sha256sum')" ]
is $? "... and gives other bytes each time"

# ---- the second console ----

# 300,000 bytes, more than the socket and the console hold.
ask 'exec 3<>/dev/hvc0; stty raw -echo <&3; (read -r line <&3; echo "$line" >/tmp/typed; seq 52000 >&3) >/dev/null 2>&1 &' >/dev/null
tests/labs/console "$tmp/hvc" 60 '^' 'a line for hvc0' '\n52000\n' >"$tmp/hvc.out" 2>"$tmp/out"
[ "$(seq 52000 | sum)" = "$(sum <"$tmp/hvc.out")" ]
is $? "what the guest writes to hvc0 arrives whole"
note <"$tmp/out"
expect "a line for hvc0" "... and what is typed there arrives, too" 'cat /tmp/typed'

# ---- file systems, and other boots ----

status 0 "a file system is made and written" \
    "mke2fs /dev/vda >/dev/null 2>&1 && mount -t ext2 /dev/vda /mnt && seq 1 300000 >/mnt/file && umount /mnt"
"$LANYARD" vm --disk "$disk" </dev/null >"$tmp/out" 2>&1
[ $? = 2 ] && grep -q "$disk: another program uses this image" "$tmp/out"
is $? "another machine cannot have the disk meanwhile"
# Whose next word may be the new machine's.
ask reboot >/dev/null
grep -q "'ready'" "$tmp/asked" || tests/labs/agent "$tmp/agent" 100
is $? "the guest reboots"
: >"$tmp/asked"
expect "$text" "... and finds its file" \
    "mount -t ext2 /dev/vda /mnt && sha256sum /mnt/file | cut -d ' ' -f 1"
status 0 "what it writes while it is mounted" "echo more >/mnt/more && sync"
kill -9 $vm
wait $vm 2>/dev/null
start --vcpus 2 --acpi --no-rng
is $? "... is there when its machine was killed, on two CPUs"
expect more "... as it was synced" \
    "mount -t ext2 /dev/vda /mnt && cat /mnt/more"
status 1 "... and has no entropy source if it is to have none" \
    "ls /sys/bus/virtio/drivers/virtio_rng/virtio*"
ask 'umount /mnt' >/dev/null
ask poweroff >/dev/null
wait $vm
is $? "the guest powers off"
! grep -i -E 'oops|call trace|does not load|I/O error|makes no sense' "$tmp/console" "$tmp/vm" |
    grep -v 'dev vdb'
is $? "nothing went wrong on the way"

# ---- a differential disk on top of the raw one ----

first=$disk,ro,id=first
below=$(sha256sum <"$disk")
"$LANYARD" disk create "$tmp/top.qcow2" --backing disk.img >"$tmp/out" 2>&1
is $? "an image is made on top of the disk"
note <"$tmp/out"
start --disk "$tmp/top.qcow2"
is $? "the guest starts with it"
expect "$text" "... and finds below it what is there" \
    "mount -t ext2 /dev/vdc /mnt && sha256sum /mnt/file | cut -d ' ' -f 1"
status 0 "... and writes above it" \
    "seq 300000 600000 >/mnt/above && sync && umount /mnt && blkdiscard -o 33554432 /dev/vdc"
ask poweroff >/dev/null
wait $vm
is $? "the guest powers off"
[ "$(sha256sum <"$disk")" = "$below" ]
is $? "the disk below is as it was"
if command -v qemu-img >/dev/null; then
	qemu-img check "$tmp/top.qcow2" >"$tmp/out" 2>&1
	is $? "qemu-img finds the image in order"
	note <"$tmp/out"
fi
start --disk "$tmp/top.qcow2,ro"
expect "$(seq 300000 600000 | sum)" "what was written above is there again" \
    "mount -t ext2 -o ro /dev/vdc /mnt && sha256sum /mnt/above | cut -d ' ' -f 1"
ask poweroff >/dev/null
wait $vm

# ---- wrong use ----

refuse() {
	name=$1 words=$2
	shift 2
	timeout 20 "$LANYARD" vm "$@" </dev/null >"$tmp/out" 2>&1
	[ $? = 2 ] && grep -q -e "$words" "$tmp/out"
	is $? "$name"
	note <"$tmp/out"
}
refuse "a disk that is not there" 'No such file' --disk "$tmp/none"
refuse "a setting that is not known" 'use ro, format=raw' --disk "$disk,rw"
refuse "a name that is too long" 'at most 20 bytes' \
    --disk "$disk,id=123456789012345678901"
refuse "a raw disk that is called an image" 'not a qcow2 image' \
    --disk "$fixed,format=qcow2"
refuse "a directory" 'give a file or a block device' --disk "$tmp,ro"
refuse "a balloon as large as the memory" 'leaves the guest no memory' \
    --memory 64M --balloon 64M
[ ! -s "$tmp/asked" ] || note <"$tmp/asked"
