#!/bin/bash
# A disk image of the layout that Debian's cloud images have boots on our
# emulator, without a kernel given and without firmware: to a login prompt, a
# command, a reboot, and off; and in a lab, where it gets its address.
# DEBIAN_IMAGE=1 makes the image, which takes minutes; one that has been made
# (debian/debian.qcow2 in the build folder) is used from then on.
. "$(dirname "$0")/tap.sh"
need debian python3
images=$BUILD/debian
if [ ! -s "$images/debian.qcow2" ]; then
	[ -n "${DEBIAN_IMAGE:-}" ] ||
	    skip_all "debian: no image has been made; DEBIAN_IMAGE=1 makes it, in minutes"
	tests/labs/debian-image "$images" >"$tmp/out" 2>&1
	status=$?
	[ $status != 77 ] || skip_all "debian: $(head -n 1 "$tmp/out")"
	is $status "an image is made"
	note <"$tmp/out"
	[ $status = 0 ] || exit 1
fi
image=$tmp/debian.qcow2
"$LANYARD" disk clone --full "$images/debian.qcow2" "$image" >"$tmp/out" 2>&1
is $? "its disk is copied"
note <"$tmp/out"
"$LANYARD" disk clone --linked "$image" "$tmp/disk.qcow2" >"$tmp/out" 2>&1
is $? "... and cloned"
note <"$tmp/out"
[ -s "$tmp/disk.qcow2" ] || exit 1

seconds=${DEBIAN_SECONDS:-300}
began=$(date +%s.%N)
"$LANYARD" vm --engine emulate --verbose --disk "$tmp/disk.qcow2" \
    --console "$tmp/con" --console-log "$tmp/log" --cmdline lanyard.test \
    </dev/null >"$tmp/vm" 2>&1 &
vm=$!
pids="$pids $vm"
tests/labs/console "$tmp/con" "$seconds" 'debian login:' root >"$tmp/out" 2>&1
is $? "it boots to a login prompt"
took=$(echo "$(date +%s.%N) $began" | awk '{ printf "%.1f", $1 - $2 }')
cpu=$(awk '{ printf "%.1f", ($14 + $15) / 100 }' "/proc/$vm/stat")
figure "login prompt after $took s, $cpu s of CPU time, load" \
    "$(cut -d ' ' -f 1 /proc/loadavg)"
grep -q 'boots "Debian GNU/Linux" of partition 1: /boot/vmlinuz-' "$tmp/vm"
is $? "... by the default entry of its grub.cfg"
note <"$tmp/vm"
# The words are put together by the shell: what is typed is not what is said.
tests/labs/console "$tmp/con" "$seconds" '# $' \
    'cat /proc/cmdline; findmnt -n -o SOURCE,FSTYPE /; uname -r; systemctl is-system-running --wait; ls /sys/class/dmi 2>&1 | head -1; echo it"s" "done"' \
    'its done' 'echo hello >/root/kept; sync; reboot' \
    'debian login:' root '# $' 'cat /root/kept; echo it"s" back' 'its back' \
    poweroff - >"$tmp/said" 2>&1
is $? "it is used, reboots, is used again and powered off"
wait $vm
is $? "... by itself"
for words in 'root=PARTUUID=.*console=ttyS0,115200.* lanyard.test' \
    '^/dev/vda1 *ext4' '^6\..*-cloud-amd64' '^running' 'hello$'; do
	grep -q "$words" "$tmp/said"
	is $? "it says \"$words\""
done
! grep -E 'Kernel panic|Oops|BUG:|Call Trace|blocked for more' "$tmp/log"
is $? "nothing went wrong on the way"
grep -E '\[FAILED\]|Failed to start' "$tmp/log" | head | note

# ---- in a lab ----

cat >"$tmp/lab.yaml" <<L
#  gw -- bob, who is made of his disk
lab: debian
switches: {lan: }
routers:
  gw: {ports: {inside: {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}}}
vms:
  bob: {disks: [{file: bob.qcow2, base: debian.qcow2}], engine: emulate, ports: {eth0: {switch: lan}}}
expect:
  - {within: ${seconds}s, at: gw.inside, filter: udp src port 67, frames: ">=2"}
L
(cd "$tmp" && "$LANYARD" run lab.yaml) >"$tmp/out" 2>&1
is $? "it gets an address in a lab"
note <"$tmp/out"

# ---- no kernel ----

refuse() {
	name=$1 words=$2
	shift 2
	timeout 20 "$LANYARD" vm "$@" </dev/null >"$tmp/out" 2>&1
	[ $? = 2 ] && grep -q -e "$words" "$tmp/out"
	is $? "$name"
	note <"$tmp/out"
}
truncate -s 1M "$tmp/empty"
refuse "an empty disk" 'nothing to boot is found on it' --disk "$tmp/empty"
refuse "an initial RAM disk without a kernel" 'give that, too' \
    --disk "$tmp/empty" --initrd "$tmp/empty"
