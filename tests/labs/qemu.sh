#!/bin/bash
# QEMU attaches a Debian guest to our vhost-user port: it gets a lease from our
# DHCP server, pings through our NAT and fetches a file.
#
#   QEMU ── vhost-user ── lan ── gw ── wan ── tap ── server
. "$(dirname "$0")/tap.sh"
need_root qemu
for program in qemu-system-x86_64 ip make python3; do
	need qemu $program
done
[ -w /dev/net/tun ] || skip_all "qemu: needs /dev/net/tun"
make_guest qemu
linux=$BUILD/guest/linux
namespace router || skip_all "qemu: network namespaces are not allowed here"
router=$ns
namespace server; server=$ns

cat >"$tmp/qemu.yaml" <<Y
lab: qemu
switches:
  lan:
  wan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
plugs:
  guest: {switch: lan, locator: "vhost-user:$tmp/guest.sock"}
  server: {switch: wan, locator: "tap:lys0"}
captures:
  - {at: [gw.inside, gw.outside], file: $tmp/qemu.pcapng}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/qemu.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lys0
ip -n "$router" link set lys0 netns "$server"
ip -n "$server" link set lys0 up
ip -n "$server" addr add 203.0.113.10/24 dev lys0
mkdir "$tmp/www"
head -c 3000000 /dev/urandom >"$tmp/www/file"
sum=$(sha256sum <"$tmp/www/file" | cut -d ' ' -f 1)
(cd "$tmp/www" && exec ip netns exec "$server" python3 -m http.server \
    --bind 203.0.113.10 80 >/dev/null 2>&1) &
pids="$pids $!"

# vectors=0: Debian 12's QEMU crashes with MSI-X and vhost-user under TCG.
start=$(date +%s)
timeout 150 qemu-system-x86_64 -accel tcg -machine q35,memory-backend=ram -m 256 \
    -object memory-backend-memfd,id=ram,size=256M,share=on -nodefaults \
    -display none -serial "file:$tmp/console" -no-reboot \
    -chardev "socket,id=agent,path=$tmp/agent,server=on,wait=on" \
    -serial chardev:agent -chardev "socket,id=port,path=$tmp/guest.sock" \
    -netdev vhost-user,id=net,chardev=port \
    -device virtio-net-pci,netdev=net,vectors=0 \
    -kernel "$linux/vmlinuz" -initrd "$linux/initrd" \
    -append "$(cat "$linux/cmdline") lanyard.name=guest lanyard.eth0=dhcp" \
    >"$tmp/qemu" 2>&1 &
qemu=$!
pids="$pids $qemu"
ask() { tests/labs/agent "$tmp/agent" "$@"; }
ask 120
is $? "QEMU runs the guest until its agent is ready ($(($(date +%s) - start)) s)"
# shellcheck disable=SC2016 # the guest's shell is to expand it
ask 60 'for i in $(seq 100); do ip route | grep -q default && break; usleep 200000; done; ip -4 addr show dev eth0' >"$tmp/address"
grep -q 'inet 10\.0\.0\.1[0-9][0-9]/24' "$tmp/address"
is $? "the guest gets a lease"
ask 60 "ping -c 3 -W 5 203.0.113.10" >"$tmp/ping"
is $? "the guest pings through the NAT"
[ "$(ask 60 "wget -q -O - http://203.0.113.10/file | sha256sum")" = "$sum  -" ]
is $? "the guest fetches 3 MB unchanged, offloads and all"
ask 30 poweroff 2>/dev/null
wait $qemu
is $? "the guest powers off, and QEMU ends"
note <"$tmp/ping"
tail -n 30 "$tmp/console" "$tmp/qemu" | note
"$LANYARD" show qemu ports | note
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
note <"$tmp/log"
if command -v tshark >/dev/null; then
	bad=$(tshark -r "$tmp/qemu.pcapng" -o ip.check_checksum:TRUE \
	    -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -Y \
	    'ip.checksum.status == 0 or tcp.checksum.status == 0 or udp.checksum.status == 0 or frame.len > 1514' \
	    2>/dev/null | wc -l)
	[ "$bad" = 0 ]
	is $? "no bad checksum and no superframe in the capture ($bad found)"
fi
