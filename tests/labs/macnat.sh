#!/bin/bash
# A port that lets one MAC address in, as an access point does to a station:
# bridged guests fail there, those behind MAC-NAT do not.
. "$(dirname "$0")/tap.sh"
need_root macnat
for program in ip nft dnsmasq tshark tcpdump ping iperf3 python3; do
	need macnat $program
done
[ -c /dev/net/tun ] || skip_all "macnat: needs /dev/net/tun"
export LC_ALL=C

# near has the NIC n0; far is behind it, and f0 there admits n0's address only.
# g1 and g2 are hosts with TAPs for NICs.
for each in near far one two; do
	namespace $each || skip_all "macnat: cannot make network namespaces"
	eval $each=$ns
done
nic=02:00:00:00:00:01
ip -n "$near" link add n0 address $nic type veth peer name f0 netns "$far"
ip -n "$near" link set n0 up
ip -n "$near" addr add 192.0.2.200/24 dev n0
ip -n "$far" link set f0 up
ip -n "$far" addr add 192.0.2.1/24 dev f0
ip -n "$far" addr add 2001:db8::1/64 dev f0 nodad
ip netns exec "$far" sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns exec "$far" nft -f - <<END || skip_all "macnat: needs nftables' netdev"
table netdev station {
	counter others { }
	chain in {
		type filter hook ingress device f0 priority 0;
		ether saddr != $nic counter name others drop
	}
}
END
ip netns exec "$far" dnsmasq -k --conf-file=/dev/null --port=0 --enable-ra \
    --dhcp-range=192.0.2.10,192.0.2.20,1h --dhcp-authoritative \
    --dhcp-range=2001:db8::,ra-only --dhcp-leasefile="$tmp/leases" \
    --no-ping --pid-file= >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"
ip netns exec "$far" iperf3 -s >/dev/null 2>&1 &
pids="$pids $!"

alice=02:00:00:00:00:0a
# lab MODE: runs it in the background, and gives the hosts their NICs
lab() {
	cat >"$tmp/macnat.yaml" <<-END
	lab: macnat
	switches:
	  lan:
	bridges:
	  out: {mode: $1, nic: n0, switch: lan}
	plugs:
	  one: {locator: "tap:g1", switch: lan}
	  two: {locator: "tap:g2", switch: lan}
	vms:
	  alice: {guest: tiny, ports: {eth0: {switch: lan, mac: "$alice"}}}
	captures:
	  - {at: [out.eth0], file: $tmp/$1.pcapng, filter: not tcp}
	END
	ip netns exec "$near" "$LANYARD" run "$tmp/macnat.yaml" >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 20 "$LANYARD" exec macnat alice true || note <"$tmp/log"
	for n in 1 2; do
		host=$one
		[ $n = 1 ] || host=$two
		ip -n "$near" link set g$n netns "$host"
		ip -n "$host" link set g$n address 02:00:00:00:01:0$n up
		ip -n "$host" addr add 192.0.2.10$n/24 dev g$n
	done
}
end() { kill "$lab"; wait "$lab" 2>/dev/null; }
counted() {
	ip netns exec "$far" nft list counter netdev station others |
	    sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
# reaches NAMESPACE ADDRESS
reaches() { ip netns exec "$1" ping -q -c 2 -i 0.2 -W 1 "$2" >"$tmp/ping" 2>&1; }
global() { # the address that a host has by router advertisements
	ip -n "$1" -6 addr show scope global | sed -n 's|.*inet6 \(2001:[^/]*\)/.*|\1|p' | head -n 1
}
has_global() { [ -n "$(global "$1")" ]; }

# ---- bridged: the port refuses them ----
lab bridged
! reaches "$one" 192.0.2.1
is $? "bridged, a host does not get through by IPv4"
! reaches "$one" 2001:db8::1
is $? "... nor by IPv6"
! "$LANYARD" exec macnat alice ip | grep -q 192.0.2.
is $? "... and a guest gets no address by DHCP"
before=$(counted)
[ "$before" -gt 0 ]
is $? "... since the port refused $before frames"
end
before=$(counted) # with what the guests said until their end

# ---- with MAC-NAT ----
lab mac-nat
until_true 30 sh -c "\"$LANYARD\" exec macnat alice ip | grep -q 192.0.2."
is $? "with MAC-NAT, a guest has an address by DHCP"
grep -q $alice "$tmp/leases"
is $? "... under its own chaddr"
note <"$tmp/leases"
"$LANYARD" exec macnat alice -- ping -c 2 192.0.2.1 >"$tmp/ping"
is $? "... and pings"
until_true 20 has_global "$one" && until_true 20 has_global "$two"
is $? "two hosts have IPv6 addresses by router advertisements"
for to in 192.0.2.1 2001:db8::1; do
	reaches "$one" $to && reaches "$two" $to
	is $? "both reach $to"
done
theirs=$(awk -v m=$alice '$2 == m { print $3 }' "$tmp/leases")
ip -n "$far" neigh flush dev f0
for to in 192.0.2.101 192.0.2.102 "$(global "$one")" "$(global "$two")" \
    "${theirs:-192.0.2.99}"; do
	reaches "$far" "$to"
	is $? "from behind the port, $to is reached"
done
# dnsmasq's advertisements are heard by itself, too.
own=$(ip -n "$far" -br link show f0 | awk '{ print $3 }')
ip -n "$far" neigh show dev f0 | grep -v "$own" >"$tmp/neighbours"
[ "$(grep -c lladdr "$tmp/neighbours")" -ge 5 ] &&
    ! grep lladdr "$tmp/neighbours" | grep -vq $nic
is $? "... where all have the NIC's address"
note <"$tmp/neighbours"
reaches "$one" 192.0.2.102 && reaches "$two" "$(global "$one")"
is $? "among themselves they speak as before"
"$LANYARD" show macnat macnat >"$tmp/table"
is $? "there is a table"
for each in "192.0.2.101 .*02:00:00:00:01:01" "192.0.2.102 .*02:00:00:00:01:02" \
    "$(global "$one") .*02:00:00:00:01:01" "$(global "$two") .*02:00:00:00:01:02" \
    "${theirs:-none} .*$alice"; do
	grep -q "$each" "$tmp/table"
	is $? "... that shows $each"
done
note <"$tmp/table"
# iperf3 to and from a host, so offloads too.
for way in "" -R; do
	ip netns exec "$one" iperf3 -c 192.0.2.1 -t 1 $way -J >"$tmp/iperf" 2>&1
	speed=$(python3 -c '
import json, sys
end = json.load(open(sys.argv[1]))["end"]
print("%.2f" % (end["sum_received"]["bits_per_second"] / 1e9))' "$tmp/iperf" 2>&1)
	is $? "TCP ${way:-out}"
	figure "TCP over MAC-NAT ${way:-out}: $speed Gbit/s"
done
# What cannot work is refused, and an address of the host's is no guest's.
ip netns exec "$two" python3 - <<'END'
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('g2', 0))
s.send(bytes.fromhex('ffffffffffff02000000010288b5') + b'x' * 46)
END
ip -n "$two" addr add 192.0.2.200/24 dev g2
! ip netns exec "$two" ping -q -c 1 -W 1 -I 192.0.2.200 192.0.2.1 >/dev/null
is $? "a guest cannot take the host's address"
"$LANYARD" show macnat drops >"$tmp/refusals"
for reason in macnat-protocol macnat-taken; do
	grep -q "$reason" "$tmp/refusals"
	is $? "... $reason was counted"
done
note <"$tmp/refusals"
[ "$(counted)" = "$before" ]
is $? "the port refused no frame of all that ($(counted), $before)"
end
tshark -r "$tmp/mac-nat.pcapng" -T fields -e frame.comment 2>/dev/null >"$tmp/comments"
grep -q 'by entry\|entry' "$tmp/comments" && grep -qi "NIC's address" "$tmp/comments"
is $? "a capture says what MAC-NAT did"
sort "$tmp/comments" | uniq -c | sort -rn | head -n 4 | note
