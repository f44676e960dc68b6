#!/bin/bash
# Two tiny VMs and a Debian one on a LAN that is bridged to a NIC with all its
# offloads on, and a server behind: addresses by DHCP, TCP both ways, and what
# enters the LAN is what a wire could have carried.
# BRIDGE_MB: how much TCP, in megabytes (20).
. "$(dirname "$0")/tap.sh"
need_root bridge-tcp
for program in ip dnsmasq tshark tcpdump iperf3 ethtool python3 make; do
	need bridge-tcp $program
done
make_guest bridge-tcp
megabytes=${BRIDGE_MB:-20}
judge=$PWD/tests/labs/wire-judge
export LC_ALL=C

for each in near far; do
	namespace $each || skip_all "bridge-tcp: cannot make network namespaces"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	eval $each=$ns
done
ip -n "$near" link add n0 type veth peer name f0 netns "$far"
ip -n "$near" link set n0 up
ip -n "$far" link set f0 up
ip -n "$far" addr add 192.0.2.1/24 dev f0
for each in "$near n0" "$far f0"; do
	set -- $each
	ip netns exec $1 ethtool -K $2 gro on tso on gso on tx on rx on \
	    >/dev/null 2>&1
	ip netns exec $1 ethtool -k $2 >"$tmp/features"
	for feature in tcp-segmentation-offload generic-receive-offload \
	    tx-checksumming; do
		grep -q "^$feature: on" "$tmp/features"
		is $? "$2 has $feature on"
	done
done
ip netns exec "$far" dnsmasq -k --conf-file=/dev/null --port=0 \
    --dhcp-range=192.0.2.10,192.0.2.20,1h --dhcp-authoritative \
    --dhcp-leasefile="$tmp/leases" --no-ping --pid-file= \
    >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"
ip netns exec "$far" iperf3 -s >/dev/null 2>&1 &
pids="$pids $!"
ip netns exec "$far" tcpdump -q --immediate-mode -U -ni f0 -w "$tmp/far.pcap" \
    not tcp 2>"$tmp/far.err" &
sniffer=$!
pids="$pids $sniffer"
until_true 10 grep -q listening "$tmp/far.err"

alice=02:00:00:00:00:0a bob=02:00:00:00:00:0b debian=02:00:00:00:00:0d
# lab [MORE]: runs it; MORE is to be of the switch
lab() {
	cat >"$tmp/tcp.yaml" <<-END
	lab: tcp
	switches:
	  lan: {${1:-}}
	bridges:
	  out: {nic: n0, switch: lan}
	plugs:
	  spy: {locator: "udp:127.0.0.1:7001?local=127.0.0.1:7002", switch: lan}
	vms:
	  alice:  {guest: tiny, ports: {eth0: {switch: lan, mac: "$alice"}}}
	  bob:    {guest: tiny, ports: {eth0: {switch: lan, mac: "$bob"}}}
	  debian: {guest: linux, ports: {eth0: {switch: lan, mac: "$debian"}}}
	END
	(cd "$tmp" && exec ip netns exec "$near" \
	    "$LANYARD" run tcp.yaml >"$tmp/log" 2>&1) &
	lab=$!
	pids="$pids $lab"
}
in_lab() { who=$1; shift; timeout 300 "$LANYARD" exec tcp "$who" -- "$@"; }
has_address() {
	case $1 in
	debian) in_lab debian ip -4 addr show dev eth0 ;;
	*) in_lab "$1" ip ;;
	esac | grep -q 192.0.2.
}
end() { kill "$lab"; wait "$lab" 2>/dev/null; }
# Frames that went to the server, and that came from it: by the interface's count
# there, then by the lab's.
counts() {
	stats=/sys/class/net/f0/statistics
	ip netns exec "$far" cat $stats/rx_packets $stats/tx_packets
	"$LANYARD" show tcp ports | awk '$1 == "out.eth0" { print $4; print $6 }'
}
drops() { "$LANYARD" show tcp drops | grep '^\(out\|debian\) '; }
# transfer WAY MEGABYTES: prints retransmissions, Gbit/s, bytes sent and received
transfer() {
	in_lab debian iperf3 -c 192.0.2.1 -n "${2}M" -J $1 >"$tmp/iperf" 2>&1 &&
	    python3 -c '
import json, sys
end = json.load(open(sys.argv[1]))["end"]
print(end["sum_sent"]["retransmits"],
      "%.2f" % (end["sum_received"]["bits_per_second"] / 1e9),
      end["sum_sent"]["bytes"], end["sum_received"]["bytes"])' "$tmp/iperf"
}

lab
for who in alice bob debian; do
	until_true 60 has_address $who
	is $? "$who has an address of the server behind the NIC"
done
[ -s "$tmp/leases" ] || note <"$tmp/log"
for who in $alice $bob $debian; do
	grep -q $who "$tmp/leases"
	is $? "... which knows $who"
done
for who in alice bob debian; do
	in_lab $who ping -c 2 192.0.2.1 >"$tmp/ping"
	is $? "$who reaches the server"
done
drops >"$tmp/early" # before a guest was ready, it could take none
counts >"$tmp/before"
for way in "" -R; do
	name=${way:+in}
	read -r again gbits sent received < <(transfer "$way" "$megabytes")
	# The sender's clock stops before the last of it is read.
	[ "${sent:-0}" -ge $((megabytes * 1000000)) ] &&
	    [ "$received" -ge $((megabytes * 500000)) ]
	is $? "TCP ${name:-out}: $megabytes MB go through"
	[ "${sent:-0}" != 0 ] || tail -n 20 "$tmp/iperf" | note
	figure "bridged, Debian guest, TCP ${name:-out}: $megabytes MB at" \
	    "${gbits:-no} Gbit/s, ${again:-?} retransmissions"
done
# On a machine that is busy a sender may send again what is only late; that is
# not for want of a frame, of which none is lost.
"$LANYARD" show tcp ports >"$tmp/ports"
! grep -q 'came too fast' "$tmp/ports"
is $? "the NIC lost no frame"
drops >"$tmp/drops"
diff "$tmp/early" "$tmp/drops" >"$tmp/diff"
is $? "... nor did the lab, to the guest or from it"
same() {
	counts | paste "$tmp/before" - | awk '
	    { n[NR] = $2 - $1 }
	    END { print n[1], n[3], n[2], n[4]
		exit !(n[1] == n[3] && n[2] == n[4] && n[1] > 100 && n[2] > 100) }' \
	    >"$tmp/same"
}
until_true 5 same
is $? "the server's interface and the lab counted the same frames"
figure "frames to the server, by its interface and by the lab, and from it:" \
    "$(cat "$tmp/same")"
cat "$tmp/ports" "$tmp/diff" | note
sleep 0.5
kill "$sniffer"
wait "$sniffer" 2>/dev/null
for who in $alice $bob $debian; do
	n=$(tshark -r "$tmp/far.pcap" -Y "eth.src==$who && icmp" 2>/dev/null | wc -l)
	[ "$n" -ge 2 ]
	is $? "behind the NIC, $n echo messages are seen from $who"
done
n=$(tshark -r "$tmp/far.pcap" -T fields -e eth.src 2>/dev/null | sort -u |
    grep -cv "$alice\|$bob\|$debian\|$(ip -n "$far" -o link show f0 |
	sed 's|.*link/ether \([^ ]*\).*|\1|')")
[ "$n" = 0 ]
is $? "... and no other address"
end

# ---- what enters ----
ip netns exec "$near" "$judge" 7001 1514 >"$tmp/judged" 2>"$tmp/judge" &
judging=$!
pids="$pids $judging"
until_true 10 grep -q listening "$tmp/judge"
lab "mirrors: {wire: {in: out.eth0, to: spy.eth0}}"
until_true 60 has_address debian
is $? "with a mirror of what comes from the NIC, the guest has an address"
transfer -R 4 >"$tmp/moved"
is $? "... and TCP comes in"
sleep 3
kill "$judging"
wait "$judging" 2>/dev/null
read -r frames data long bad <"$tmp/judged"
[ "${data:-0}" -ge 2800 ]
is $? "a receiver without offloads sees all of it: ${data:-0} segments with data"
[ "${long:-1}" = 0 ]
is $? "... none of ${frames:-?} frames is a superframe"
[ "${bad:-1}" = 0 ]
is $? "... and none has a bad checksum"
figure "into the LAN, offloads on: ${frames:-?} frames, ${data:-?} TCP segments" \
    "with data, ${long:-?} superframes, ${bad:-?} bad checksums"
"$LANYARD" show tcp drops | note
end
