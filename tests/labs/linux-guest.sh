#!/bin/bash
# The Linux guest that "make guest" makes, in QEMU without hardware
# virtualization: its network, its agent, its console, its end.
. "$(dirname "$0")/tap.sh"
for program in qemu-system-x86_64 python3 make; do
	need linux-guest $program
done
guest=$BUILD/guest/linux
make_guest linux-guest
first=$(stat -c %Y "$guest/initrd")
make BUILD="$BUILD" guest >"$tmp/make" 2>&1 && [ "$(stat -c %Y "$guest/initrd")" = "$first" ]
is $? "make guest makes nothing twice"
make -s install BUILD="$BUILD" DESTDIR="$tmp/root" PREFIX=/opt >"$tmp/make" 2>&1 &&
    cmp "$guest/vmlinuz" "$tmp/root/opt/share/lanyard/linux/vmlinuz" &&
    cmp "$guest/initrd" "$tmp/root/opt/share/lanyard/linux/initrd" &&
    cmp "$guest/cmdline" "$tmp/root/opt/share/lanyard/linux/cmdline"
is $? "make install installs it"
figure "initrd: $(($(stat -c %s "$guest/initrd") / 1024)) KiB"

# start CMDLINE QEMU-OPTION...: a guest, until its agent is ready
start() {
	words=$1
	shift
	rm -f "$tmp/agent" "$tmp/console"
	# QEMU waits for the agent's first connection, so that none of what
	# it says is lost.
	timeout 120 qemu-system-x86_64 -accel tcg -m 128 -nodefaults \
	    -display none -no-reboot \
	    -chardev "socket,id=c,path=$tmp/con,server=on,wait=off,logfile=$tmp/console" \
	    -chardev "socket,id=a,path=$tmp/agent,server=on,wait=on" \
	    -serial chardev:c -serial chardev:a -kernel "$guest/vmlinuz" \
	    -initrd "$guest/initrd" -append "$(cat "$guest/cmdline") $words" \
	    "$@" >"$tmp/qemu" 2>&1 &
	qemu=$!
	pids="$pids $qemu"
	began=$(date +%s%N)
	tests/labs/agent "$tmp/agent" 100
	ready=$?
	ready_ms=$((($(date +%s%N) - began) / 1000000))
}
ask() { tests/labs/agent "$tmp/agent" 30 "$@" 2>>"$tmp/asked"; }
# expect OUTPUT NAME COMMAND
expect() {
	got=$(ask "$3")
	[ "$got" = "$1" ]
	is $? "$2"
	[ "$got" = "$1" ] || printf '%s\n' "$3: $got" "instead of $1" | note
}
# status STATUS NAME COMMAND
status() {
	ask "$3" >"$tmp/out"
	got=$?
	[ "$got" = "$1" ]
	is $? "$2"
	[ "$got" = "$1" ] || { echo "status $got"; cat "$tmp/out"; } | note
}
address='ip -o -4 addr show dev'
# What the lease brings last: a name server.
lease='for i in $(seq 50); do grep -q 10.0.2.3 /etc/resolv.conf && break; usleep 200000; done; ip addr show dev eth0 | grep "inet 10.0.2.15/24"'

nic() {
	echo "-netdev user,id=n$1,net=$2 -device virtio-net-pci,netdev=n$1"
}
# shellcheck disable=SC2046 # several words each
start "lanyard.name=alice lanyard.eth0=dhcp lanyard.eth1=192.168.7.2/24,gw=192.168.7.1,dns=192.168.7.3 lanyard.eth1.ip6=2001:db8:7::2/64,gw=2001:db8:7::1,dns=2001:db8:7::53 lanyard.eth2=none lanyard.eth2.ip6=none lanyard.eth3=10.9.9.9/32,gw=10.9.8.1,what=1" \
    $(nic 0 10.0.2.0/24) $(nic 1 192.168.7.0/24) $(nic 2 10.1.1.0/24) \
    $(nic 3 10.9.8.0/24) -device virtio-rng-pci -device virtio-balloon-pci
is $ready "the agent says that it is ready"
figure "ready after $ready_ms ms under TCG"
strings -n 8 "$guest/vmlinuz" | grep -q "^$(ask 'uname -r') "
is $? "uname -r is the kernel's"
status 0 "eth1 has its IPv6 address, router and name server" \
    "ip -6 addr show dev eth1 | grep 2001:db8:7::2/64 && ip -6 route | grep 'default via 2001:db8:7::1 dev eth1' && grep 2001:db8:7::53 /etc/resolv.conf"
expect 1 "eth2 is told to speak no IPv6" \
    "cat /proc/sys/net/ipv6/conf/eth2/disable_ipv6"
expect alice "the host name is the one given" hostname
status 0 "eth0 gets a lease" "$lease"
status 0 "... and its way out, the first of two" \
    "ip route | head -n 1 | grep 'default via 10.0.2.2 dev eth0'"
expect "nameserver 10.0.2.3
nameserver 192.168.7.3
nameserver 2001:db8:7::53" "name servers are of the lease and of the fixed addresses" \
    "cat /etc/resolv.conf"
status 0 "the lease is kept up by a program in the background" \
    "ps | grep '[u]dhcpc.*eth0.*hostname:alice'"
status 0 "eth1 has its fixed address" "$address eth1 | grep 'inet 192.168.7.2/24'"
status 1 "eth2 is left alone" "$address eth2 | grep inet"
status 0 "eth3 reaches a gateway that is not on its subnet" \
    "ip route get 10.9.8.1 | grep 'dev eth3'"
status 0 "ping" "ping -c 1 -W 5 10.0.2.2"
status 0 "iperf3, to itself" \
    "iperf3 -s -1 -D && sleep 1 && iperf3 -c 127.0.0.1 -n 1M"
expect hello "httpd and wget, and a program in the background" \
    "mkdir -p /www && echo hello >/www/file && httpd -h /www && wget -q -O - http://127.0.0.1/file"
status 0 "nc and traceroute are there" "type nc && type traceroute"
status 0 "virtio devices have their drivers" \
    "cd /sys/bus/virtio/drivers && ls virtio_net/virtio0 virtio_rng/virtio4 virtio_balloon/virtio5 >/dev/null"
status 7 "exit statuses pass" "exit 7"
status 137 "a signal's, too" "kill -9 \$\$"
sum=$(seq 1 30000 | md5sum)
[ "$(ask 'seq 1 30000' | md5sum)" = "$sum" ]
is $? "170 KB of output arrive unchanged"
tests/labs/agent "$tmp/agent" 1 '^C' "ping 127.0.0.1" >"$tmp/out" 2>&1
[ $? = 130 ] && grep -q 'packets received' "$tmp/out"
is $? "0x03 interrupts a command, which says its last words: 130"
# What the console says: the mistake on the command line, and a shell's prompt.
grep -q 'lanyard.eth3: what=1: use gw=ADDR or dns=ADDR' "$tmp/console"
is $? "a mistake on the command line is said on the console"
grep -q 'alice:~#' "$tmp/console"
is $? "the console has a shell"
! grep -i -E 'oops|call trace|does not load|not found' "$tmp/console"
is $? "nothing went wrong on the way"
ask poweroff >/dev/null
wait $qemu
is $? "poweroff ends the machine, by ACPI"
tail -n 30 "$tmp/console" "$tmp/qemu" | note
[ ! -s "$tmp/asked" ] || note <"$tmp/asked"

# shellcheck disable=SC2046
start "acpi=off" $(nic 0 10.0.2.0/24)
is $ready "without ACPI, and without a name"
expect linux "... it has one all the same" hostname
status 0 "... and looks for a lease" "$lease"
ask poweroff >/dev/null
wait $qemu
is $? "poweroff ends the machine, by its port"
tail -n 30 "$tmp/console" "$tmp/qemu" | note
