#!/bin/bash
# A Linux guest in QEMU, whose disk our server exports: it makes ext4 and writes,
# a snapshot is taken, it writes on; then the disk goes back.
. "$(dirname "$0")/tap.sh"
for program in qemu-system-x86_64 qemu-img python3 make; do
	need disk-guest $program
done
guest=$BUILD/guest/linux
make_guest disk-guest
disk=$tmp/d.qcow2

# start IMAGE...: served by us, the guest's vda, vdb; until its agent is ready
start() {
	drives=
	servers=
	for image in "$@"; do
		sock=$tmp/s${#servers}
		rm -f "$tmp/ready"
		"$LANYARD" disk serve --socket "$sock" "$image" >"$tmp/ready" &
		servers="$servers $!"
		until_true 10 test -s "$tmp/ready"
		drives="$drives -drive if=virtio,format=raw,discard=unmap,file.driver=nbd,file.server.type=unix,file.server.path=$sock"
	done
	pids="$pids $servers"
	rm -f "$tmp/agent"
	# shellcheck disable=SC2086 # words
	timeout 300 qemu-system-x86_64 -accel tcg -m 128 -nodefaults \
	    -display none -no-reboot \
	    -chardev "socket,id=c,path=$tmp/con,server=on,wait=off,logfile=$tmp/console" \
	    -chardev "socket,id=a,path=$tmp/agent,server=on,wait=on" \
	    -serial chardev:c -serial chardev:a -kernel "$guest/vmlinuz" \
	    -initrd "$guest/initrd" -append "$(cat "$guest/cmdline")" \
	    $drives >"$tmp/qemu" 2>&1 &
	qemu=$!
	pids="$pids $qemu"
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
stop() {
	ask poweroff >/dev/null
	wait $qemu
	for s in $servers; do kill "$s"; wait "$s" || return 1; done
}
sums='cd /mnt && find . -type f | sort | xargs sha256sum; cd /'

"$LANYARD" disk create "$disk" 256M
start "$disk"
is $? "the guest starts on a disk that we serve"
status 0 "it makes ext4 and writes" \
    "mkfs.ext4 -q /dev/vda && mount -t ext4 /dev/vda /mnt && mkdir /mnt/d && seq 200000 >/mnt/one && seq 300000 >/mnt/d/two && sync"
ask "$sums" >"$tmp/old"
status 0 "the file system is unmounted" "umount /mnt"
"$LANYARD" disk snapshot rest "$disk"
is $? "a snapshot of it at rest"
status 0 "the guest goes on: writes, overwrites, removes, trims" \
    "mount -t ext4 /dev/vda /mnt && seq 5 >/mnt/one && rm /mnt/d/two && seq 400000 >/mnt/three && fstrim /mnt && sync"
ask "$sums" >"$tmp/later"
! cmp -s "$tmp/old" "$tmp/later" && [ -s "$tmp/later" ]
is $? "what it has is other files by now"
(for i in 1 2 3; do sleep 0.3; "$LANYARD" disk snapshot "busy$i" "$disk" || exit; done) &
snapshots=$!
ask 'for i in $(seq 40); do dd if=/dev/urandom of=/mnt/busy$i bs=64k count=4 conv=fsync 2>/dev/null; done' >/dev/null
wait $snapshots
is $? "snapshots while it writes"
status 1 "it has noticed nothing" \
    "dmesg | grep -i -E 'I/O error|EXT4-fs (error|warning)'"
stop
is $? "the guest powers off, the servers end"

"$LANYARD" disk clone --linked "$tmp/d@busy2.qcow2" "$tmp/busy.qcow2"
"$LANYARD" disk rollback rest "$disk"
is $? "the disk goes back to the snapshot at rest"
start "$disk" "$tmp/busy.qcow2"
is $? "a guest starts on it, and on one that was taken while it was written"
status 0 "fsck -n finds the file system clean" "e2fsck -fn /dev/vda"
ask "mount -t ext4 -o ro /dev/vda /mnt && $sums; umount /mnt" >"$tmp/got"
cmp -s "$tmp/old" "$tmp/got" && [ "$(wc -l <"$tmp/old")" = 2 ]
is $? "the old files are back"
status 0 "the other one's journal is replayed, and fsck -n finds it clean" \
    "mount -t ext4 /dev/vdb /mnt && umount /mnt && e2fsck -fn /dev/vdb"
ask "mount -t ext4 -o ro /dev/vdb /mnt && $sums; umount /mnt" |
    grep -v busy >"$tmp/got"
cmp -s "$tmp/later" "$tmp/got"
is $? "... with the files of its time"
stop
is $? "the guest powers off"
bad=
for image in "$tmp"/*.qcow2; do
	qemu-img check -q "$image" || { bad=1; echo "$image" | note; }
done
[ -z "$bad" ]
is $? "qemu-img check: all images are in order"
