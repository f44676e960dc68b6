#!/bin/bash
# A Debian guest in QEMU with a NIC by each of the ways that QEMU has without
# shared memory, each in a network of its own, to a server beyond a TAP.  It
# pings and fetches a file of PORTS_BYTES by each.
#
#     eth0 ── stream ──────── s0 ── tap ──┐
#     eth1 ── dgram, unix ─── s1 ── tap ──┤
#     eth2 ── dgram, inet ─── s2 ── tap ──┼── server
#     eth3 ── vde ─────────── s3 ── tap ──┘
. "$(dirname "$0")/tap.sh"
need_root ports-qemu
for program in ip make python3 ping qemu-system-x86_64; do
	need ports-qemu $program
done
qemu-system-x86_64 -netdev help 2>/dev/null | grep -qx vde ||
    skip_all "ports-qemu: this QEMU has no VDE"
[ -w /dev/net/tun ] || skip_all "ports-qemu: needs /dev/net/tun"
bytes=${PORTS_BYTES:-2000000}
make_guest ports-qemu
linux=$BUILD/guest/linux
namespace lab || skip_all "ports-qemu: network namespaces are not allowed here"
lab_ns=$ns
# start FILE LAB: runs a lab in the lab namespace; its process is left in $lab
start() {
	ip netns exec "$lab_ns" "$LANYARD" run "$1" >"$1.log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 10 "$LANYARD" show "$2" ports && return
	not_ok "$2 starts"
	note <"$1.log"
	exit 1
}
stop() {
	kill -INT "$lab"
	wait "$lab"
	is $? "$1 ends with status 0"
	note <"$2.log"
}

namespace server; server=$ns
cat >"$tmp/qemu.yaml" <<Y
lab: ports-qemu
switches:
  s[0-3]:
plugs:
  stream: {switch: s0, locator: "qemu:$tmp/stream"}
  dgram: {switch: s1, locator: "qemu-dgram:$tmp/dgram"}
  udp: {switch: s2, locator: "udp:127.0.0.1:5001?local=127.0.0.1:5002"}
  vde: {switch: s3, locator: "vde-listen:$tmp/vde"}
  tap0: {switch: s0, locator: "tap:lys0"}
  tap1: {switch: s1, locator: "tap:lys1"}
  tap2: {switch: s2, locator: "tap:lys2"}
  tap3: {switch: s3, locator: "tap:lys3"}
Y
start "$tmp/qemu.yaml" ports-qemu
append="$(cat "$linux/cmdline") lanyard.name=guest"
for i in 0 1 2 3; do
	ip -n "$lab_ns" link set lys$i netns "$server"
	ip -n "$server" link set lys$i up
	ip -n "$server" addr add 10.0.$i.1/24 dev lys$i
	append="$append lanyard.eth$i=10.0.$i.2/24"
done
mkdir "$tmp/www"
head -c "$bytes" /dev/urandom >"$tmp/www/file"
sum=$(sha256sum <"$tmp/www/file" | cut -d ' ' -f 1)
(cd "$tmp/www" && exec ip netns exec "$server" python3 -m http.server \
    --bind 0.0.0.0 80 >/dev/null 2>&1) &
pids="$pids $!"

boot() {
	ip netns exec "$lab_ns" qemu-system-x86_64 -accel tcg -m 256 -nodefaults -display none \
	    -no-reboot -serial "file:$tmp/console" \
	    -chardev "socket,id=agent,path=$tmp/agent,server=on,wait=on" \
	    -serial chardev:agent \
	    -netdev "stream,id=n0,addr.type=unix,addr.path=$tmp/stream" \
	    -netdev "dgram,id=n1,local.type=unix,local.path=$tmp/dgram.qemu,remote.type=unix,remote.path=$tmp/dgram" \
	    -netdev "dgram,id=n2,local.type=inet,local.host=127.0.0.1,local.port=5001,remote.type=inet,remote.host=127.0.0.1,remote.port=5002" \
	    -netdev "vde,id=n3,sock=$tmp/vde" \
	    -device virtio-net-pci,netdev=n0 -device virtio-net-pci,netdev=n1 \
	    -device virtio-net-pci,netdev=n2 -device virtio-net-pci,netdev=n3 \
	    -kernel "$linux/vmlinuz" -initrd "$linux/initrd" \
	    -append "$append" >"$tmp/qemu" 2>&1 &
	qemu=$!
	pids="$pids $qemu"
}
ask() { tests/labs/agent "$tmp/agent" "$@"; }
boot
ask 120 || { not_ok "QEMU runs a guest"; tail "$tmp/qemu" | note; exit 1; }
ok "QEMU runs a guest with NICs by stream, dgram (unix and inet) and vde"
way=(stream "dgram over unix sockets" "dgram over UDP" vde)
for i in 0 1 2 3; do
	ask 30 "ping -c 3 -i 0.2 -W 5 10.0.$i.1" >"$tmp/ping$i"
	is $? "${way[$i]}: the guest pings"
	figure "${way[$i]}: $(grep -o 'min/avg.*' "$tmp/ping$i")"
	began=$(date +%s%N)
	[ "$(ask 60 "wget -q -O - http://10.0.$i.1/file | sha256sum")" = \
	    "$sum  -" ]
	is $? "${way[$i]}: the guest fetches $bytes bytes unchanged"
	took=$(($(date +%s%N) - began))
	figure "${way[$i]}: $((bytes * 8000 / took)) Mbit/s"
	ip netns exec "$server" ping -q -c 2 -i 0.2 -W 5 10.0.$i.2 >/dev/null
	is $? "${way[$i]}: the server pings the guest"
done
"$LANYARD" show ports-qemu ports | note
# QEMU goes without a word, and another takes its place.
kill -9 $qemu
wait $qemu 2>/dev/null
rm -f "$tmp/agent" "$tmp/dgram.qemu"
boot
ask 120
is $? "QEMU is killed, and another one plugs in at the same places"
for i in 0 1 2 3; do
	ask 30 "ping -c 1 -W 5 10.0.$i.1" >/dev/null
	is $? "${way[$i]}: the next guest pings"
done
kill -9 $qemu
wait $qemu 2>/dev/null
tail -n 5 "$tmp/qemu" | note
stop "the lab of QEMU's ways" "$tmp/qemu.yaml"
