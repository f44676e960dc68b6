#!/bin/bash
# A Linux guest's disk, kept as it is while the guest goes on writing to it: it
# hardly notices, and what was kept comes back whole.
# SNAPSHOT_SECONDS (6): how long the guest writes, with a snapshot each second.
. "$(dirname "$0")/tap.sh"
for program in python3 make gcc; do
	need snapshot $program
done
seconds=${SNAPSHOT_SECONDS:-6}
guest=$BUILD/guest/linux
make_guest snapshot
disk=$tmp/disk.qcow2
gcc -D_GNU_SOURCE -O2 -static -o "$tmp/latency" tests/labs/latency.c 2>"$tmp/out" ||
    skip_all "snapshot: needs a static C library: $(head -n 1 "$tmp/out")"
truncate -s %512 "$tmp/latency"

# start OPTION...: a guest with the disk, until its agent is ready
start() {
	rm -f "$tmp/agent"
	"$LANYARD" vm --engine emulate --memory 128M --verbose \
	    --kernel "$guest/vmlinuz" --initrd "$guest/initrd" \
	    --cmdline "$(cat "$guest/cmdline")" --agent "$tmp/agent" \
	    --console "$tmp/con" --console-log "$tmp/console" "$@" \
	    </dev/null >"$tmp/vm" 2>&1 &
	vm=$!
	pids="$pids $vm"
	tests/labs/agent "$tmp/agent" 100
}
ask() { tests/labs/agent "$tmp/agent" $((seconds + 60)) "$@" 2>>"$tmp/asked"; }
# status STATUS NAME COMMAND
status() {
	ask "$3" >"$tmp/out"
	got=$?
	[ "$got" = "$1" ]
	is $? "$2"
	[ "$got" = "$1" ] || { echo "status $got"; cat "$tmp/out"; } | note
}
snapshot() {
	"$LANYARD" disk snapshot "$1" "$disk" >"$tmp/out" 2>&1
}
# Files and their sums, as the guest sees them at a mount point.
sums='cd %s && find . -name "file*" | sort | xargs sha256sum'

"$LANYARD" disk create "$disk" 256M
is $? "a disk is made"
start --disk "$disk" --disk "$tmp/latency,ro,format=raw"
is $? "the guest starts with it"
status 0 "it makes ext4 and writes" \
    "mkfs.ext4 -q /dev/vda && mount -t ext4 /dev/vda /mnt && mkdir /mnt/d && seq 100000 >/mnt/file1 && seq 200000 >/mnt/d/file2 && cat /dev/vdb >/tmp/latency && chmod 755 /tmp/latency && sync"
# shellcheck disable=SC2059 # the path goes in
ask "$(printf "$sums" /mnt)" >"$tmp/old"
[ "$(wc -l <"$tmp/old")" = 2 ]
is $? "... two files"

# ---- a snapshot of a file system at rest ----

status 0 "the file system is frozen" "fsfreeze --freeze /mnt"
snapshot rest
is $? "a snapshot is taken"
note <"$tmp/out"
status 0 "... and the guest goes on" \
    "fsfreeze --unfreeze /mnt && seq 300000 >/mnt/d/file2 && seq 5 >/mnt/file3 && sync"

# ---- snapshots of one that is being written ----

# shellcheck disable=SC2059
ask "$(printf "$sums" /mnt)" >"$tmp/later"
! cmp -s "$tmp/old" "$tmp/later"
is $? "what the guest has is other files by now"
status 0 "the guest writes on" "/tmp/latency /mnt/busy $seconds"
read -r _ median alone usual <"$tmp/out"
ask "/tmp/latency /mnt/busy $seconds" >"$tmp/pause" &
writer=$!
good=0
taken=0
sleep 1
while [ $taken -lt $((seconds - 1)) ]; do
	snapshot "busy$taken" && good=$((good + 1)) || note <"$tmp/out"
	taken=$((taken + 1))
	sleep 1
done
wait $writer
is $? "... while snapshots are taken"
[ $good = $taken ] && [ $taken -gt 0 ]
is $? "... $taken of them"
read -r n _ longest paused <"$tmp/pause"
[ "${n:-0}" -gt 100 ]
is $? "... and counts what each of its writes took"
figure "a guest's writes of 4 KiB take $median us; the longest in a second" \
    "$usual us, and with a snapshot in each $paused us (of all, $alone and" \
    "$longest us); load $(cut -d ' ' -f 1 /proc/loadavg)"
figure "each took the host $(sed -n 's/.*snapshot taken in \([0-9.]*\) ms/\1/p' \
    "$tmp/vm" | sort -n | tr '\n' ' ')ms"
# On top of what a busy machine holds writes up for anyway.
[ "$paused" -lt $((usual + 10000)) ]
is $? "a snapshot holds no write up for 10 ms"
status 1 "nothing but that was noticed" \
    "dmesg | grep -i -E 'I/O error|EXT4-fs (error|warning)'"
ask 'seq 9 >/mnt/file4; sync; poweroff' >/dev/null
wait $vm
is $? "the guest powers off"

# ---- back ----

# The last one that was taken while the guest wrote; and the one at rest as a
# disk of its own.
"$LANYARD" disk clone --linked "$tmp/disk@rest.qcow2" "$tmp/rest.qcow2" \
    >"$tmp/out" 2>&1
is $? "the snapshot at rest is cloned"
note <"$tmp/out"
"$LANYARD" disk rollback busy0 "$disk" >"$tmp/out" 2>&1
is $? "the disk goes back to a snapshot that was taken while it was written"
note <"$tmp/out"
"$LANYARD" disk tree "$tmp" | note
start --disk "$disk" --disk "$tmp/rest.qcow2"
is $? "a guest starts with both"
status 0 "fsck -n finds the one at rest clean" "e2fsck -fn /dev/vdb"
# shellcheck disable=SC2059
ask "mount -t ext4 -o ro /dev/vdb /mnt && $(printf "$sums" /mnt); cd /; umount /mnt" >"$tmp/got"
cmp "$tmp/old" "$tmp/got" | note
cmp -s "$tmp/old" "$tmp/got"
is $? "... and its files are the old ones"
status 0 "the other one's journal is replayed" \
    "mount -t ext4 /dev/vda /mnt && umount /mnt"
status 0 "... after which fsck -n finds it clean" "e2fsck -fn /dev/vda"
# shellcheck disable=SC2059
ask "mount -t ext4 -o ro /dev/vda /mnt && $(printf "$sums" /mnt); cd /; umount /mnt" >"$tmp/got"
cmp -s "$tmp/later" "$tmp/got"
is $? "... and its files are those of that time"
ask poweroff >/dev/null
wait $vm
for image in "$tmp"/*.qcow2; do
	"$LANYARD" disk check "$image" >"$tmp/out" 2>&1 || { echo "$image"; cat "$tmp/out"; } | note
	"$LANYARD" disk check "$image" >/dev/null 2>&1 || bad=1
	! command -v qemu-img >/dev/null ||
	    qemu-img check "$image" >"$tmp/out" 2>&1 || { bad=1; note <"$tmp/out"; }
done
[ -z "${bad:-}" ]
is $? "all images are in order"

# ---- a lab's disk ----

cp topologies/disk.yaml "$tmp/"
(cd "$tmp" && "$LANYARD" run disk.yaml >"$tmp/log" 2>&1) &
lab=$!
pids="$pids $lab"
until_true 60 "$LANYARD" exec disk alice -- grep started /mnt/starts
"$LANYARD" disk snapshot first "$tmp/alice.qcow2" >"$tmp/out" 2>&1
is $? "a running lab's disk is kept, too"
note <"$tmp/out"
wait $lab
is $? "... and the lab meets its expectations"
note <"$tmp/log"
